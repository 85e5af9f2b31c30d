import { isGrantryError } from '../errors.ts';
import { expandUrl } from '../template.ts';
import { optionsOf } from './choices.ts';
import type { Input } from './schema.ts';

export type UrlRules = {
  inputs: Readonly<Record<string, Input>>;
  /** Kept values (x of `extras.x`) that may stand for scheme and host, or for a host. */
  leading: readonly string[];
  allowPrivateHosts: boolean;
};

const variable = /\{([^{}]*)\}/g;
/** Second-level names under which registries sell domains to anybody (co.uk, com.br): no fixed suffix by themselves. */
const registry = /^(?:ac|co|com|edu|go|gob|gov|gv|ltd|me|mil|ne|net|nom|or|org|plc|sch)\.[a-z]{2}$/;

function inputOf({ inputs }: UrlRules, name: string): Input | undefined {
  return Object.hasOwn(inputs, name) ? inputs[name] : undefined;
}

/** True when the template begins with a variable that stands for scheme and host. */
function leads(template: string, rules: UrlRules): boolean {
  const [, name] = /^\{([^{}]*)\}/.exec(template) ?? [];
  if (name === undefined) return false;
  return name.startsWith('extras.') ? rules.leading.includes(name.slice('extras.'.length)) : inputOf(rules, name)?.url === true;
}

/** True for a host that is nothing but a value of an answer, which may lead as well. */
function isKeptHost(host: string, { leading }: UrlRules): boolean {
  const [, name] = /^\{extras\.([^{}]*)\}$/.exec(host) ?? [];
  return name !== undefined && leading.includes(name);
}

function hostDetails(host: string, rules: UrlRules): string[] {
  const names = namesIn(host);
  if (names.length === 0) return [];
  if (isKeptHost(host, rules)) return [];
  const inputs = names.map((name) => inputOf(rules, name));
  if (inputs.some((input) => input === undefined)) return ['Only declared inputs may stand in the host.'];
  if (inputs.some((input) => input?.secret)) return ['A secret must not stand in the host: take an input that is none.'];
  if (inputs.some((input) => input?.url)) return ['An input with url: true may stand at the very beginning only.'];
  if (inputs.some((input) => input?.host && optionsOf(input) === undefined))
    return host === `{${names[0]}}` ? [] : ['An input with host: true must be the whole host.'];
  return [...new Set(listedHosts(host, rules).flatMap((listed) => freeDetails(listed, rules)))];
}

/** What is wrong with a host whose only variables are those of which anybody may say one label. */
function freeDetails(host: string, rules: UrlRules): string[] {
  const labels = host.replace(variable, '{}').split('.');
  if (!labels.includes('{}') && !labels.some((label) => label.includes('{'))) return [];
  if (labels.some((label) => label.includes('{') && label !== '{}')) return ['A variable in the host must be a whole label, between dots.'];
  const suffix = labels.slice(labels.lastIndexOf('{}') + 1);
  if (rules.allowPrivateHosts) return [];
  if (suffix.length >= 2 && !registry.test(suffix.join('.').toLowerCase())) return [];
  return ['Behind a variable the host needs a fixed domain of its own (as in {name}.example.com), or the input must say host: true.'];
}

/** More than a person would list. */
const mostHosts = 200;

/** The host with each value that the definition lists for its variables. */
function listedHosts(host: string, rules: UrlRules): string[] {
  return namesIn(host).reduce(
    (hosts, name) => {
      const options = optionsOf(inputOf(rules, name) ?? {});
      return options === undefined ? hosts : hosts.flatMap((each) => options.map((value) => each.replaceAll(`{${name}}`, value))).slice(0, mostHosts);
    },
    [host],
  );
}

const namesIn = (text: string): string[] => [...new Set([...text.matchAll(variable)].map(([, name = '']) => name))];

/** What comes of the template with values as they may be given; each one that is listed for a host is tried. */
function sampleDetails(template: string, rules: UrlRules): string[] {
  const [authority = ''] = /^[a-z]+:\/\/[^/?#]*/i.exec(template) ?? [];
  const inHost = namesIn(authority);
  const value = (name: string) => {
    const input = inputOf(rules, name);
    if (name.startsWith('extras.') && inHost.includes(name)) return 'sample.com';
    if (name.startsWith('extras.') || (input?.url && optionsOf(input) === undefined)) return 'https://sample.com/sample';
    return (input && optionsOf(input)?.find((option) => option !== '')) ?? (input?.host ? 'sample.com' : 'sample');
  };
  const common = Object.fromEntries(namesIn(template).map((name) => [name, value(name)]));
  const samples = inHost.reduce<Record<string, string>[]>(
    (all, name) =>
      all
        .flatMap((each) => (optionsOf(inputOf(rules, name) ?? {}) ?? [value(name)]).map((option) => ({ ...each, [name]: option })))
        .slice(0, mostHosts),
    [common],
  );
  return [...new Set(samples.flatMap((values) => sampleDetail(template, values, rules)))];
}

function sampleDetail(template: string, values: Record<string, string>, rules: UrlRules): string[] {
  try {
    expandUrl(template, values, rules);
    return [];
  } catch (error) {
    if (isGrantryError(error)) return [error.message];
    throw error;
  }
}

/**
 * What is wrong with a URL template, in sentences: where variables stand in the host, and whether the address that it
 * makes is https, public, without user info and fragment (`parseOutsideUrl`).
 */
export function urlTemplateDetails(template: string, rules: UrlRules): string[] {
  if (leads(template, rules)) {
    const rest = template.replace(/^\{[^{}]*\}/, '');
    if (rest !== '' && !/^[/?]/.test(rest)) return ['Behind a variable that is a whole URL the address goes on with / or ?.'];
  } else if (/^\{/.test(template)) {
    return ["Only an input with url: true may stand at the beginning of an address; at the API also a value kept from the provider's answer."];
  } else {
    const host = /^[a-z]+:\/\/([^/?#]*)/i.exec(template)?.[1]?.replace(/:\d+$/, '') ?? '';
    const details = hostDetails(host, rules);
    if (details.length > 0) return details;
  }
  return sampleDetails(template, rules);
}
