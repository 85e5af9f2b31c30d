import type { z } from 'zod';
import { type AuditRecord, auditHead, listAudit } from '../../broker/audit.ts';
import * as s from './audit-schemas.ts';
import { cursorOf, pageOf } from './cursor.ts';
import { type Endpoint, endpoint } from './endpoint.ts';
import { listOf } from './schemas.ts';

/** The audit log, which is read and never changed. */

const auditView = (row: AuditRecord): z.input<typeof s.auditEntry> => ({
  seq: row.seq,
  at: row.at.toISOString(),
  project: row.project_id,
  actor: row.actor,
  action: row.action,
  target_type: row.target_type,
  target_id: row.target_id,
  address: row.address,
  request_id: row.request_id,
  details: Object.fromEntries(Object.entries(row.details).map(([name, value]) => [name, Array.isArray(value) ? [...value] : value])) as z.input<
    typeof s.auditEntry
  >['details'],
  previous_hash: row.previous_hash.toString('hex'),
  hash: row.hash.toString('hex'),
});

export const audit: readonly Endpoint[] = [
  endpoint({
    method: 'get',
    path: '/v1/audit',
    scope: 'admin',
    tag: 'Audit',
    summary: 'Who did what, from where, to what',
    description:
      'Of the own project; with the root key, of all of them and of the installation. A whole export (order=oldest) can be verified offline.',
    query: s.auditQuery,
    answer: listOf(s.auditEntry),
    status: 200,
    handle: async ({ world, caller, project, query }) => {
      const { limit: _, cursor: __, ...filter } = query;
      const { items, next } = await listAudit(world, caller.kind === 'root' ? null : project, filter, pageOf(query, /^\d{1,15}$/));
      return { data: items.map(auditView), next_cursor: cursorOf(next) };
    },
  }),
  endpoint({
    method: 'get',
    path: '/v1/audit/head',
    scope: 'admin',
    tag: 'Audit',
    summary: 'The newest link of the chain: note it elsewhere, and nobody can shorten or rewrite what is before it unseen',
    answer: s.auditHead,
    status: 200,
    handle: async ({ world }) => {
      const { seq, hash } = await auditHead(world);
      return { seq, hash: hash.toString('hex') };
    },
  }),
];
