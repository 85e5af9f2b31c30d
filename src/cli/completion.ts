import { Argument, type Command, type Option } from 'commander';

/** Completion scripts for shells, made from the commands themselves. */

type Place = {
  path: readonly string[];
  /** Commands, and the values that an argument may have. */
  names: readonly string[];
  options: readonly string[];
};

const longOf = ({ long }: Option): string[] => (long === undefined || long === null ? [] : [long]);

/** After which commands which words may come; the options of the whole command line may come anywhere. */
function placesOf(command: Command, everywhere: readonly string[], path: readonly string[] = []): Place[] {
  const choices = command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? []);
  const names = [...command.commands.map((each) => each.name()), ...choices];
  const options = [...new Set([...command.options.flatMap(longOf), ...everywhere])];
  return [{ path, names, options }, ...command.commands.flatMap((each) => placesOf(each, everywhere, [...path, each.name()]))];
}

/** Options after which a value comes, which is no command. */
const withValue = (command: Command): string[] => [
  ...new Set([...command.options.filter(({ required }) => required).flatMap(longOf), ...command.commands.flatMap(withValue)]),
];

function bash(program: Command): string {
  const places = placesOf(program, [...program.options.flatMap(longOf), '--help']);
  const cases = places.map(({ path, names, options }) => `    "${path.join(' ')}") words="${[...names, ...options].join(' ')}" ;;`);
  const known = places.filter(({ path }) => path.length > 0).map(({ path }) => `"${path.join(' ')}"`);
  return `_grantry() {
  local path="" word words="" value=""
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    if [[ -n $value ]]; then value=""; continue; fi
    case "$word" in
      ${withValue(program).join('|')}) value=1 ;;
      -*) ;;
      *) case "\${path:+$path }$word" in
        ${known.join('|')}) path="\${path:+$path }$word" ;;
      esac ;;
    esac
  done
  COMPREPLY=()
  if [[ -n $value ]]; then return; fi
  case "$path" in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _grantry grantry
`;
}

const zsh = (program: Command): string => `#compdef grantry
(( $+functions[compdef] )) || { autoload -U compinit && compinit }
autoload -U +X bashcompinit && bashcompinit
${bash(program)}`;

function fish(program: Command): string {
  const lines = placesOf(program, [...program.options.flatMap(longOf), '--help']).flatMap(({ path, names, options }) => {
    const seen = path.length === 0 ? ['__fish_use_subcommand'] : path.map((word) => `__fish_seen_subcommand_from ${word}`);
    const unseen = path.length === 0 || names.length === 0 ? [] : [`not __fish_seen_subcommand_from ${names.join(' ')}`];
    return [
      ...(names.length === 0 ? [] : [`complete -c grantry -f -n '${[...seen, ...unseen].join('; and ')}' -a '${names.join(' ')}'`]),
      `complete -c grantry -n '${seen.join('; and ')}' -a '${options.join(' ')}'`,
    ];
  });
  return `${lines.join('\n')}\n`;
}

const shells: Readonly<Record<string, (program: Command) => string>> = { bash, zsh, fish };

export function completionCommand(program: Command): void {
  program
    .command('completion')
    .description('prints a completion script: eval "$(grantry completion bash)"')
    .addArgument(new Argument('<shell>').choices(Object.keys(shells)))
    .action((shell: string) => {
      process.stdout.write(shells[shell]?.(program) ?? '');
    });
}
