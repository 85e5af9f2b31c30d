/**
 * What stands between an attack and its success, each with the place in the source that is it, and what that place would say without it.
 * `OFF` becomes the question whether the defence is off at the moment.
 */

export type Edit = { file: string; snippet: string; without: string };
export type Defence = { what: string; edits: readonly Edit[] };

const callback = 'src/broker/flow/callback.ts';

export const defences = {
  'own callback': {
    what: 'an answer counts only at the redirect URI that its flow was sent with',
    edits: [
      { file: callback, snippet: 'if (link.redirect_uri !== request.arrivedAt)', without: 'if (!OFF && link.redirect_uri !== request.arrivedAt)' },
    ],
  },
  issuer: {
    what: "an answer's iss is the one of the definition (RFC 9207)",
    edits: [{ file: callback, snippet: 'if (fault !== undefined) return refuse(', without: 'if (!OFF && fault !== undefined) return refuse(' }],
  },
  'code ledger': {
    what: 'a code that was seen in any flow stops both flows',
    edits: [
      {
        file: callback,
        snippet: 'if (first !== undefined) {\n    await checked(',
        without: 'if (!OFF && first !== undefined) {\n    await checked(',
      },
    ],
  },
} as const satisfies Record<string, Defence>;

export type DefenceName = keyof typeof defences;
export const defenceNames = Object.keys(defences) as DefenceName[];
