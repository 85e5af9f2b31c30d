import { z } from 'zod';
import { type AuditAction, auditActions } from '../../protocol/audit-actions.ts';
import { idText, instant, page } from './schemas.ts';

/** Shapes of the audit log. What an export needs to be verified is in them, and nothing may be left out. */

const actions = Object.keys(auditActions) as [AuditAction, ...AuditAction[]]; // the keys of that very object

export const auditQuery = page.extend({
  limit: z.coerce.number().int().min(1).max(1_000).default(50),
  action: z.enum(actions).optional(),
  actor: idText.optional().describe('`root`, the id of an API key, `browser`, `broker` or `unknown`.'),
  target: idText.optional().describe('The id of what it was done to.'),
  from: instant.optional().describe('At this time or later.'),
  to: instant.optional().describe('Before this time.'),
  after_seq: z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER).optional().describe('Only rows with a higher seq.'),
  order: z.enum(['newest', 'oldest']).default('newest').describe('What comes first.'),
});

const hash = z.string().describe('SHA-256, 64 hexadecimal digits.');
export const auditEntry = z
  .object({
    seq: z.number().int().describe('1, 2, 3 and so on over the whole installation.'),
    at: z.iso.datetime(),
    project: z.string().nullable().describe('null: it concerns the installation.'),
    actor: z.string().describe('`root`, the id of an API key, `browser`, `broker` or `unknown`.'),
    action: z.string().describe('docs/audit.md lists them.'),
    target_type: z.string().nullable(),
    target_id: z.string().nullable(),
    address: z.string().nullable(),
    request_id: z.string().nullable(),
    details: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null(), z.array(z.string())])),
    previous_hash: hash,
    hash: hash.describe('Over all fields above; docs/audit.md says how.'),
  })
  .meta({ id: 'AuditEntry' });
export const auditHead = z
  .object({ seq: z.number().int(), hash })
  .meta({ id: 'AuditHead', description: 'The newest row; before the first one, 0 and zeros.' });
