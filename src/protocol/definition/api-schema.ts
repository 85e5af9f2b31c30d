import { z } from 'zod';
import { headers, methodId, name, param, params, pointer, url } from './fields.ts';
import { sign } from './sign-schema.ts';

/** What a definition says of the provider's API: where it is, how a credential is presented, and the calls that the broker makes itself. */

const found = z.strictObject({
  pointer: pointer.describe('Into the answer.'),
  equals: z.union([z.string(), z.number(), z.boolean()]).optional().describe('What must stand there; without it, anything but null.'),
});
const probe = z
  .strictObject({
    method: z.enum(['GET', 'POST', 'HEAD']).default('GET').describe('How it is made.'),
    path: z.string().min(1).max(500).describe('Below base_url, or a whole URL.'),
    methods: z.array(methodId).min(1).optional().describe('Only for credentials of these methods; all when left out.'),
    headers: headers.default({}).describe('Further headers of this call.'),
    json: z
      .record(param, z.json())
      .optional()
      .describe('Its body, as JSON. A text that is nothing but {name} is filled in; all others are sent as they stand.'),
    form: params.optional().describe('Its body, as a form.'),
    success: found.optional().describe('For an API that answers errors with status 200: without this value the answer says nothing.'),
  })
  .describe('A cheap call that proves that a credential works.');
const apiFields = {
  base_url: url,
  token: z
    .strictObject({
      in: z
        .enum(['header', 'query', 'path'])
        .default('header')
        .describe('Where the API wants the token. path: as a segment of its own, behind base_url and before the path of the call.'),
      name: param.default('Authorization').describe('Of the header or the query parameter.'),
      scheme: z
        .string()
        .max(40)
        .regex(/^[!-~]*$/, 'no spaces')
        .default('Bearer')
        .describe('Empty: the bare token.'),
      prefix: z
        .string()
        .max(40)
        .regex(/^[A-Za-z0-9._~-]+$/, 'letters, digits and . _ ~ -')
        .optional()
        .describe('What stands before the token in its segment of the path, as bot.'),
    })
    .describe('How a credential is presented.'),
  headers: headers.describe('What each call needs besides.'),
  params: params.describe('Query parameters that each call needs besides; one that is there already stays.'),
  sign: sign.describe('A signature on each call, over its query and form; it stands in the query.'),
  probe,
  account: pointer.describe("Where the probe's answer names the account; a reconnect must name the same."),
};
export const api = z
  .strictObject({
    ...apiFields,
    base_url: apiFields.base_url.optional(),
    token: apiFields.token.prefault({}),
    headers: apiFields.headers.default({}),
    params: apiFields.params.default({}),
    sign: apiFields.sign.optional(),
    probe: apiFields.probe.optional(),
    account: apiFields.account.optional(),
  })
  .prefault({});
export const methodApi = z
  .strictObject({
    base_url: apiFields.base_url.nullish(),
    token: apiFields.token.optional(),
    headers: apiFields.headers.optional(),
    params: apiFields.params.optional(),
    sign: apiFields.sign.nullish(),
    probe: apiFields.probe.nullish(),
    account: apiFields.account.nullish(),
  })
  .optional()
  .describe('Where the API differs for credentials of this method: each field replaces the one of `api`; null takes it away.');

export const after = z
  .array(
    z.strictObject({
      method: z.enum(['GET', 'POST']).default('GET').describe('How it is made.'),
      path: z.string().min(1).max(500).describe('Below base_url, or a whole URL.'),
      headers: headers.default({}).describe('Further headers of this call.'),
      json: z.record(param, z.json()).optional().describe('Its body, as JSON; filled in as that of the probe.'),
      form: params.optional().describe('Its body, as a form.'),
      keep: z.record(name, pointer).default({}).describe('Values of its answer to keep as extras, by the name they get.'),
    }),
  )
  .max(3)
  .default([])
  .describe('Calls of the API with a new credential, once, in this order: for what only they tell, or for what needs them before it works.');
