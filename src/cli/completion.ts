import type { Command } from 'commander';
import { UsageError } from './outcome.ts';

/** Completion scripts for shells, made from the commands themselves. */

type Words = { path: string; words: string[] };

/** After which words which other ones may come. */
function wordsOf(command: Command, path: readonly string[] = []): Words[] {
  const own = command.commands.map((each) => each.name());
  const options = command.options.flatMap(({ long }) => (long === undefined || long === null ? [] : [long]));
  return [{ path: path.join(' '), words: [...own, ...options] }, ...command.commands.flatMap((each) => wordsOf(each, [...path, each.name()]))];
}

function bash(all: readonly Words[]): string {
  const cases = all.map(({ path, words }) => `    "${path}") words="${words.join(' ')}" ;;`);
  return `_grantry() {
  local path="" word words=""
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    [[ $word == -* ]] || path="\${path:+$path }$word"
  done
  case "$path" in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _grantry grantry
`;
}

const zsh = (all: readonly Words[]): string => `#compdef grantry
autoload -U +X bashcompinit && bashcompinit
${bash(all)}`;

function fish(all: readonly Words[]): string {
  const lines = all.map(({ path, words }) => {
    const seen = path.split(' ').filter((word) => word !== '');
    const condition = seen.length === 0 ? '__fish_use_subcommand' : seen.map((word) => `__fish_seen_subcommand_from ${word}`).join('; and ');
    return `complete -c grantry -f -n '${condition}' -a '${words.join(' ')}'`;
  });
  return `${lines.join('\n')}\n`;
}

const shells: Readonly<Record<string, (all: readonly Words[]) => string>> = { bash, zsh, fish };

export function completionCommand(program: Command): void {
  program
    .command('completion')
    .description('prints a completion script: eval "$(grantry completion bash)"')
    .argument('<shell>', Object.keys(shells).join(', '))
    .action((shell: string) => {
      const script = Object.hasOwn(shells, shell) ? shells[shell] : undefined;
      if (script === undefined) throw new UsageError(`"${shell}" must be one of ${Object.keys(shells).join(', ')}.`);
      process.stdout.write(script(wordsOf(program)));
    });
}
