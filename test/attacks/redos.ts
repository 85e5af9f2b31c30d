import { type Attack, stopped, succeeded } from './attack.ts';

/** ReDoS: an expression of somebody's choice, and a text for which it takes ages. What is in our own sources is in redos.test.ts. */

const pattern = '(a+)+';
/** Each letter more doubles the work of an engine that backtracks. */
const [few, many] = [8, 27];

export const redos: Attack[] = [
  {
    name: 'ReDoS: the pattern of an input, and a value on which it never ends',
    falls: [['pattern subset', 'pattern without backtracking']],
    async run(stage) {
      const id = stage.fresh('slow');
      const methods = { app: { grant: 'client_credentials', token_endpoint: `${stage.evil.url}/token?tenant={tenant}` } };
      const definition = JSON.stringify({ id, name: 'Slow', methods, inputs: { tenant: { label: 'Tenant', pattern } } });
      const refused = await stage.define(definition).then(
        () => false,
        () => true,
      );
      if (refused) return stopped('the pattern is refused');
      const body = { id, provider: id, client_id: 'app', client_secret: 'secret' };
      const timeOf = async (letters: number) => {
        const times: number[] = [];
        for (let tries = 0; tries < 2; tries += 1) {
          const before = performance.now();
          await stage.root.call('POST', '/v1/integrations', { body: { ...body, inputs: { tenant: `${'a'.repeat(letters)}!` } } }).catch(() => {});
          times.push(performance.now() - before);
        }
        return Math.min(...times);
      };
      const growth = (await timeOf(many)) / (await timeOf(few));
      return growth > 8 ? succeeded(`${many} letters take ${Math.round(growth)} times as long as ${few}`) : stopped('it takes no longer');
    },
  },
];
