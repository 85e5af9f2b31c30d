/** Where an error came from: lines of its stack, without its message, which may hold parameters and bodies of others. */
export function stackOf(error: unknown): string[] {
  if (!(error instanceof Error) || typeof error.stack !== 'string') return [];
  const { stack, message } = error;
  const at = message === '' ? -1 : stack.indexOf(message);
  return (at < 0 ? stack : stack.slice(at + message.length))
    .split('\n')
    .filter((line) => line.startsWith('    at '))
    .slice(0, 8);
}
