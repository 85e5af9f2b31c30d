/** Tests come from one address and make haste: limits are met only where one is set. */
export const noLimits = Object.fromEntries(
  ['CALLS', 'WRONG_KEYS', 'PAGES', 'UNKNOWN_CALLBACKS', 'LINKS'].map((name) => [`GRANTRY_LIMIT_${name}`, '999999']),
);
