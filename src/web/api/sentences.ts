import type { z } from 'zod';

/** What zod finds, in words that say what to write instead; a schema that brings its own sentence keeps it. */

const kinds: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list, [...]',
  object: 'an object, {...}',
  record: 'an object, {...}',
};

const formats: Readonly<Record<string, string>> = {
  datetime: 'Must be a time such as 2026-12-01T00:00:00Z.',
  email: 'Must be an e-mail address.',
};

const units: Readonly<Record<string, string>> = { string: 'characters', array: 'entries', map: 'entries', set: 'entries' };

function sizeSentence(issue: z.core.$ZodIssueTooSmall | z.core.$ZodIssueTooBig): string {
  const unit = units[issue.origin];
  if (issue.code === 'too_small') {
    if (unit === undefined) return `Must be ${issue.minimum} or more.`;
    return issue.minimum === 1 ? 'Must not be empty.' : `Must have at least ${issue.minimum} ${unit}.`;
  }
  return unit === undefined ? `Must be ${issue.maximum} or less.` : `Must have at most ${issue.maximum} ${unit}.`;
}

/** For `safeParse`; undefined: zod's own sentence. */
export const sentenceFor: z.core.$ZodErrorMap = (issue) => {
  switch (issue.code) {
    case 'invalid_type':
      return issue.input === undefined ? 'Is required.' : `Must be ${kinds[issue.expected] ?? issue.expected}.`;
    case 'invalid_value': {
      const values = issue.values.map(String).join(', ');
      const sentence = `Must be ${issue.values.length > 1 ? 'one of ' : ''}${values}.`;
      return issue.input === undefined ? `Is required. ${sentence}` : sentence;
    }
    case 'too_small':
    case 'too_big':
      return sizeSentence(issue as z.core.$ZodIssueTooSmall | z.core.$ZodIssueTooBig);
    case 'invalid_format':
      return formats[issue.format];
    default:
      return undefined;
  }
};
