import { type Attack, stopped, succeeded } from './attack.ts';
import { stepCounter } from './backtracking.ts';

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
      const stepsFor = async (letters: number) => {
        let steps = 0;
        const grantryBacktracks = (source: string, value: string) => {
          steps += stepCounter({ source: `^(?:${source})$`, flags: '' })(value);
          return false;
        };
        Object.assign(globalThis, { grantryBacktracks });
        await stage.root.call('POST', '/v1/integrations', { body: { ...body, inputs: { tenant: `${'a'.repeat(letters)}!` } } }).catch(() => {});
        return steps;
      };
      const [once, again] = [await stepsFor(few), await stepsFor(many)];
      return again > once * 8 ? succeeded(`${few} letters take ${once} steps, ${many} take ${again}`) : stopped('nothing backtracks');
    },
  },
];
