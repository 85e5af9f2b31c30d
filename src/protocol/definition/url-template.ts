import { isGrantryError } from '../errors.ts';
import { expandUrl } from '../template.ts';
import type { Input } from './schema.ts';

export type UrlRules = {
  inputs: Readonly<Record<string, Input>>;
  /** Kept values (x of `extras.x`) that may stand for scheme and host. */
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

function hostDetails(host: string, rules: UrlRules): string[] {
  const names = [...host.matchAll(variable)].map(([, name = '']) => name);
  if (names.length === 0) return [];
  const inputs = names.map((name) => inputOf(rules, name));
  if (inputs.some((input) => input === undefined)) return ['Only declared inputs may stand in the host.'];
  if (inputs.some((input) => input?.secret)) return ['A secret must not stand in the host.'];
  if (inputs.some((input) => input?.url)) return ['An input with url: true may stand at the very beginning only.'];
  if (inputs.some((input) => input?.host)) return host === `{${names[0]}}` ? [] : ['An input with host: true must be the whole host.'];

  const labels = host.replace(variable, '{}').split('.');
  if (labels.some((label) => label.includes('{') && label !== '{}')) return ['A variable in the host must be a whole label, between dots.'];
  const suffix = labels.slice(labels.lastIndexOf('{}') + 1);
  if (rules.allowPrivateHosts) return [];
  if (suffix.length >= 2 && !registry.test(suffix.join('.').toLowerCase())) return [];
  return ['Behind a variable the host needs a fixed domain of its own (as in {name}.example.com), or the input must say host: true.'];
}

function sampleOf(template: string, rules: UrlRules): string | undefined {
  const names = [...template.matchAll(variable)].map(([, name = '']) => name);
  const value = (name: string) => {
    const input = inputOf(rules, name);
    if (name.startsWith('extras.') || input?.url) return 'https://sample.com/sample';
    return input?.host ? 'sample.com' : 'sample';
  };
  try {
    expandUrl(template, Object.fromEntries(names.map((name) => [name, value(name)])), rules);
    return undefined;
  } catch (error) {
    if (isGrantryError(error)) return error.message;
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
  const detail = sampleOf(template, rules);
  return detail === undefined ? [] : [detail];
}
