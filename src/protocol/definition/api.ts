import type { Api, Definition, Method } from './schema.ts';

/** The API as a credential of this method meets it: what the method says of it replaces, field by field, what the definition says for all. */
export function apiOf({ api }: Pick<Definition, 'api'>, method: Pick<Method, 'api'>): Api {
  const own = method.api;
  if (own === undefined) return api;
  const optional = <T>(mine: T | null | undefined, common: T | undefined): T | undefined => (mine === undefined ? common : (mine ?? undefined));
  const [base_url, probe, account] = [optional(own.base_url, api.base_url), optional(own.probe, api.probe), optional(own.account, api.account)];
  const sign = optional(own.sign, api.sign);
  return {
    token: own.token ?? api.token,
    headers: own.headers ?? api.headers,
    params: own.params ?? api.params,
    ...(sign !== undefined && { sign }),
    ...(base_url !== undefined && { base_url }),
    ...(probe !== undefined && { probe }),
    ...(account !== undefined && { account }),
  };
}
