import { ask } from '../web/api/ask.ts';
import { type Attack, stopped, succeeded, type Verdict } from './attack.ts';
import type { Stage } from './stage.ts';
import { twoProjects } from './two-projects.ts';

/** Prototype pollution: names that lead to what all objects share, in everything that is read. */

const polluting = ['{"__proto__":{"polluted":true}}', '{"constructor":{"prototype":{"polluted":true}}}', '{"a":[{"__proto__":{"polluted":true}}]}'];
const isPolluted = () => Object.hasOwn(Object.prototype, 'polluted');

const verdict = (taken: readonly string[]): Verdict => {
  if (isPolluted()) return succeeded('the prototype of everything was written to');
  return taken.length > 0 ? succeeded(`taken: ${taken.join(', ')}`) : stopped('refused, and nothing is polluted');
};

const asJson = (body: string) => ({ headers: { 'content-type': 'application/json' }, body });

async function inDefinitions(stage: Stage): Promise<string[]> {
  const { stranger } = await twoProjects(stage);
  const id = stage.fresh('polluting');
  const method = `{"grant":"client_credentials","token_endpoint":"${stage.evil.url}/token"}`;
  const json = (methods: string, inputs: string) => ({
    'content-type': 'application/json',
    text: `{"id":"${id}","name":"P","methods":{${methods}},"inputs":${inputs}}`,
  });
  const yaml = (more: string) => ({ 'content-type': 'application/yaml', text: `id: ${id}\nname: P\nmethods:\n  app: ${method}\n${more}` });
  const put = async ({ text, ...headers }: ReturnType<typeof json>) =>
    (await ask(stage.url, { method: 'PUT', path: `/v1/providers/${id}`, key: stranger.key, headers, body: text })).status < 300;
  if (!(await put(json(`"app":${method}`, '{}'))) || !(await put(yaml('')))) throw new Error('The definition is not right by itself.');
  const texts = [
    ...polluting.map((value) => json(`"app":${method}`, value)),
    json(`"app":${method}`, '{"__proto__":{"label":"L"}}'),
    json(`"app":${method},"constructor":${method}`, '{}'),
    json(`"app":${method},"__proto__":${method}`, '{}'),
    yaml('__proto__:\n  polluted: true\n'),
    yaml(`  constructor: ${method}\n`),
  ];
  const taken: string[] = [];
  for (const text of texts) if (await put(text)) taken.push(text.text);
  return taken;
}

async function inBodies(stage: Stage): Promise<string[]> {
  const { stranger } = await twoProjects(stage);
  const connection = await stranger.make('connections');
  const taken: string[] = [];
  for (const metadata of polluting) {
    const path = `/v1/connections/${connection}`;
    const { status } = await ask(stage.url, { method: 'PATCH', path, key: stranger.key, ...asJson(`{"metadata":${metadata}}`) });
    if (status < 300) taken.push(metadata);
  }
  for (const query of ['__proto__[polluted]=true', 'constructor[prototype][polluted]=true', '__proto__=1']) {
    const { status } = await ask(stage.url, { path: `/v1/connections?${query}`, key: stranger.key });
    if (status < 300) taken.push(query);
  }
  return taken;
}

/** Where a definition would read in an answer that has nothing there of its own. */
const inherited = ['/constructor/name', '/toString/name', '/__proto__/constructor/name'];

async function inAnswers(stage: Stage): Promise<string[]> {
  const id = stage.fresh('polluting');
  const keep = Object.fromEntries(inherited.map((pointer, index) => [`kept_${index}`, pointer]));
  const web = { grant: 'client_credentials', token_endpoint: `${stage.evil.url}/token`, response: { keep } };
  await stage.define(JSON.stringify({ id, name: 'Polluting', methods: { web } }));
  await stage.root.call('POST', '/v1/integrations', { body: { id, provider: id, client_id: 'app', client_secret: 'secret' } });
  stage.answerTokens(`{"access_token":"at","token_type":"Bearer","__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}`);
  const body = { integration: id, end_user: { id: 'u' }, grant: 'client_credentials' };
  const { extras } = await stage.root.call<{ extras: Record<string, string> }>('POST', '/v1/connections', { body });
  return Object.entries(extras).map(([name, value]) => `${name}: ${value}`);
}

export const prototypePollution: Attack[] = [
  {
    name: 'prototype pollution: in definitions, JSON and YAML',
    falls: [['plain definitions']],
    run: async (stage) => verdict(await inDefinitions(stage)),
  },
  {
    name: 'prototype pollution: in bodies and queries of the API',
    falls: [['names of the prototype']],
    run: async (stage) => verdict(await inBodies(stage)),
  },
  {
    name: 'prototype pollution: by the answer of a token endpoint',
    falls: [['own members']],
    run: async (stage) => verdict(await inAnswers(stage)),
  },
];
