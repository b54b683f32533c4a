/** What a subcommand is: its options, its help, its work. Parsing and help come from this one description. */
import { parseArgs } from 'node:util';
import { VerbexError } from '../errors/errors.ts';
import type { Output } from './output.ts';

/** The command line is wrong: exit code 2. */
export class UsageError extends VerbexError {
  constructor(message: string) {
    super('USAGE', message);
  }
}

export interface Option {
  /** Without the dashes. */
  readonly name: string;
  /** What stands after it in the help, e.g. DIR; left out: a switch. */
  readonly value?: string;
  readonly help: string;
  readonly fallback?: string;
  readonly oneOf?: readonly string[];
  /** A whole number between these. */
  readonly range?: readonly [min: number, max: number];
  /** It may be given so often; `all` has the values. In the environment they stand behind one another, with commas. */
  readonly most?: number;
}

export interface Positional {
  /** In capitals. */
  readonly name: string;
  readonly help: string;
  readonly optional?: boolean;
}

export interface Command {
  /** As typed, e.g. `journal verify`. */
  readonly name: string;
  readonly summary: string;
  readonly positionals?: readonly Positional[];
  readonly options?: readonly Option[];
  /** [command line, what it does]. */
  readonly examples: readonly (readonly [string, string])[];
  /** More for the help: paragraphs. */
  readonly notes?: readonly string[];
  /** Answers the exit code. */
  readonly run: (given: Given, output: Output) => Promise<number>;
}

const jsonOption: Option = {
  name: 'json',
  help: 'end with one JSON object on the last line of standard output',
};
const helpOption: Option = { name: 'help', help: 'this page' };

export function optionsOf(command: Command): readonly Option[] {
  return [...(command.options ?? []), jsonOption, helpOption];
}

/** The environment variable that stands for an option, e.g. VERBEX_ADMIN_PORT for --admin-port. */
export function environmentName(option: string): string {
  return `VERBEX_${option.toUpperCase().replaceAll('-', '_')}`;
}

const yes: ReadonlySet<string> = new Set(['1', 'true', 'yes', 'on']);
const no: ReadonlySet<string> = new Set(['', '0', 'false', 'no', 'off']);

/** What stands on the command line, the environment behind it, the fallbacks last. */
export class Given {
  readonly positionals: readonly string[];
  readonly #values = new Map<string, string>();
  readonly #lists = new Map<string, readonly string[]>();
  readonly #switches = new Set<string>();

  constructor(command: Command, args: readonly string[], environment: NodeJS.ProcessEnv) {
    const options = optionsOf(command);
    const parsed = parse(command, options, args);
    this.positionals = parsed.positionals;
    const most = command.positionals?.length ?? 0;
    if (parsed.positionals.length > most)
      throw new UsageError(`"${parsed.positionals[most]}" is one argument too many`);
    for (const option of options) {
      const given = parsed.values[option.name];
      if (option.value === undefined) {
        if (given === true || (given === undefined && environmentSwitch(option.name, environment)))
          this.#switches.add(option.name);
        continue;
      }
      if (option.most !== undefined) {
        const values = Array.isArray(given)
          ? given.map(String)
          : (environment[environmentName(option.name)] ?? '').split(',').filter((each) => each !== '');
        if (values.length > option.most)
          throw new UsageError(`--${option.name} may be given ${option.most} times, not ${values.length}`);
        this.#lists.set(
          option.name,
          values.map((each) => checked(option, each)),
        );
        continue;
      }
      const value =
        typeof given === 'string' ? given : (environment[environmentName(option.name)] ?? option.fallback);
      if (value !== undefined && value !== '') this.#values.set(option.name, checked(option, value));
    }
    if (this.has('help')) return;
    for (const [at, positional] of (command.positionals ?? []).entries()) {
      if (positional.optional !== true && this.positionals[at] === undefined)
        throw new UsageError(`${positional.name} is missing`);
    }
  }

  has(name: string): boolean {
    return this.#switches.has(name);
  }

  text(name: string): string | undefined {
    return this.#values.get(name);
  }

  /** Of an option that may be given more than once. */
  all(name: string): readonly string[] {
    return this.#lists.get(name) ?? [];
  }

  need(name: string): string {
    const value = this.#values.get(name);
    if (value === undefined) throw new UsageError(`--${name} is missing`);
    return value;
  }

  integer(name: string): number | undefined {
    const value = this.#values.get(name);
    return value === undefined ? undefined : Number(value);
  }
}

function parse(
  command: Command,
  options: readonly Option[],
  args: readonly string[],
): { values: Record<string, unknown>; positionals: string[] } {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      strict: true,
      options: Object.fromEntries(
        options.map(({ name, value, most }) => [
          name,
          {
            type: value === undefined ? ('boolean' as const) : ('string' as const),
            ...(most === undefined ? {} : { multiple: true }),
            ...(name === 'help' ? { short: 'h' } : {}),
          },
        ]),
      ),
    });
    return { values, positionals };
  } catch (error) {
    const [sentence] = (error as Error).message.split('. ');
    throw new UsageError(`${sentence}; \`verbex ${command.name} --help\` has the options`);
  }
}

/** Whether an environment variable switches something on. */
export function saysYes(value: string | undefined): boolean {
  return value !== undefined && yes.has(value.toLowerCase());
}

function environmentSwitch(name: string, environment: NodeJS.ProcessEnv): boolean {
  if (name === 'help') return false;
  const variable = environmentName(name);
  const value = environment[variable]?.toLowerCase();
  if (value === undefined || no.has(value)) return false;
  if (yes.has(value)) return true;
  throw new UsageError(`${variable} is "${value}", neither true nor false`);
}

function checked(option: Option, value: string): string {
  if (option.oneOf !== undefined && !option.oneOf.includes(value)) {
    throw new UsageError(`--${option.name} is "${value}", not one of ${option.oneOf.join(', ')}`);
  }
  if (option.range !== undefined) {
    const [min, max] = option.range;
    const number = Number(value);
    if (!/^\d+$/.test(value) || number < min || number > max) {
      throw new UsageError(`--${option.name} is "${value}", not a whole number from ${min} to ${max}`);
    }
  }
  return value;
}

export function helpOf(command: Command): string {
  const positionals = command.positionals ?? [];
  const usage = positionals
    .map(({ name, optional }) => (optional === true ? ` [${name}]` : ` ${name}`))
    .join('');
  const options = optionsOf(command).map((option): [string, string] => [
    `--${option.name}${option.value === undefined ? '' : ` ${option.value}`}`,
    [
      option.help,
      option.oneOf === undefined ? '' : ` (${option.oneOf.join(' | ')})`,
      option.fallback === undefined ? '' : ` [${option.fallback}]`,
    ].join(''),
  ]);
  return [
    `verbex ${command.name}: ${command.summary}`,
    '',
    `  verbex ${command.name}${usage} [options]`,
    ...section(
      'Arguments',
      positionals.map(({ name, help }) => [name, help]),
    ),
    ...section('Options', options),
    '',
    'Each option can be set by the environment too, e.g. ' +
      `${environmentName(optionsOf(command)[0]?.name ?? 'json')} for --${optionsOf(command)[0]?.name ?? 'json'}.`,
    ...(command.notes ?? []).flatMap((note) => ['', note]),
    '',
    'Examples',
    ...command.examples.flatMap(([line, what]) => [`  # ${what}`, `  ${line}`]),
    '',
  ].join('\n');
}

function section(title: string, rows: readonly (readonly [string, string])[]): string[] {
  if (rows.length === 0) return [];
  const width = Math.max(...rows.map(([name]) => name.length));
  return ['', title, ...rows.map(([name, help]) => `  ${name.padEnd(width)}  ${help}`)];
}
