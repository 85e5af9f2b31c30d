/**
 * What an RFC 6901 pointer names in a parsed JSON document; undefined when there is no such thing. Own properties only, so that
 * neither `__proto__` nor `constructor` ever leads out of the document. A text that is no pointer (`none`) names nothing.
 */
export function pointerValue(document: unknown, pointer: string): unknown {
  if (pointer !== '' && !pointer.startsWith('/')) return undefined;
  let value: unknown = document;
  for (const segment of pointer.split('/').slice(1)) {
    const key = segment.replaceAll('~1', '/').replaceAll('~0', '~');
    if (Array.isArray(value) && !/^(?:0|[1-9]\d{0,8})$/.test(key)) return undefined;
    value = ownValue(value, key);
  }
  return value;
}

function ownValue(holder: unknown, key: string): unknown {
  if (typeof holder !== 'object' || holder === null) return undefined;
  return Object.getOwnPropertyDescriptor(holder, key)?.value;
}
