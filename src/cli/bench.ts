/** `verbex bench`: the native benchmarks, built when they are not there. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { VerbexError } from '../errors/errors.ts';
import { type Command, UsageError } from './command.ts';
import { grouped, type Output, table } from './output.ts';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const builder = join(root, 'scripts', 'build-bench.mjs');

interface CoreCase {
  readonly name: string;
  readonly risk: boolean;
  readonly opsPerSecond: number;
  readonly p50Ns: number;
  readonly p99Ns: number;
  readonly p999Ns: number;
  readonly maxNs: number;
}

/** A case of the node's benchmark: a name, perhaps which journal, and figures whose names end in their units. */
type NodeCase = Readonly<Record<string, string | number>>;

interface Bench {
  /** What it takes of the options of all. */
  readonly options: readonly string[];
  readonly print: (cases: never) => string;
}

export const benches: Readonly<Record<string, Bench>> = {
  core: {
    options: ['case', 'operations', 'runs', 'seed'],
    print: (cases: readonly CoreCase[]) =>
      table(
        ['case', 'risk', 'ops/s', 'p50 ns', 'p99 ns', 'p99.9 ns', 'max ns'],
        cases.map((one) => [
          one.name,
          one.risk ? 'on' : 'off',
          grouped(one.opsPerSecond),
          one.p50Ns,
          one.p99Ns,
          one.p999Ns,
          one.maxNs,
        ]),
      ),
  },
  node: {
    options: ['case', 'operations', 'runs', 'seed', 'orders', 'rate', 'dir'],
    print: (cases: readonly NodeCase[]) =>
      table(
        ['case', 'figure', 'value'],
        cases.flatMap(({ name = '', journal, ...figures }) =>
          Object.entries(figures).map(([figure, value]) => [
            journal === undefined ? name : `${name}, journal ${journal}`,
            figure,
            typeof value === 'number' && Number.isInteger(value) ? grouped(value) : value,
          ]),
        ),
      ),
  },
};

const countMax = 2 ** 32 - 1;

export const benchCommand: Command = {
  name: 'bench',
  summary: 'measure the core or a whole node on this machine',
  positionals: [
    { name: 'WHAT', help: 'core: matching alone, and with risk on; node: snapshots, recovery, journal' },
  ],
  options: [
    { name: 'case', value: 'NAME', help: 'only this case' },
    { name: 'operations', value: 'N', range: [1, countMax], help: 'commands a run' },
    { name: 'runs', value: 'N', range: [1, 1000], help: 'runs, whose median is answered' },
    { name: 'seed', value: 'N', range: [0, countMax], help: 'seed of the workload' },
    { name: 'orders', value: 'N', range: [1, countMax], help: 'node: resting orders of snapshotStall' },
    { name: 'rate', value: 'N', range: [1, countMax], help: 'node: commands a second of snapshotStall' },
    { name: 'dir', value: 'DIR', help: 'node: where its folders are made; default: the temporary folder' },
  ],
  notes: [
    'Built by the first call where a compiler is there. Close other programs first: core fills one processor core, node two to three.',
  ],
  examples: [
    ['verbex bench core', 'operations a second and latencies of every workload'],
    [
      'verbex bench node --case snapshotStall',
      'what a snapshot costs the engine, with a million resting orders',
    ],
    ['verbex bench core --json | tail -1', 'the same for a program'],
  ],
  async run(given, output) {
    const what = given.positionals[0] ?? '';
    const bench = Object.hasOwn(benches, what) ? benches[what] : undefined;
    if (bench === undefined)
      throw new UsageError(`there is no bench "${what}"; there are: ${Object.keys(benches).join(', ')}`);
    const all = (benchCommand.options ?? []).map(({ name }) => name);
    const strange = all.find((name) => given.text(name) !== undefined && !bench.options.includes(name));
    if (strange !== undefined) throw new UsageError(`bench ${what} takes no --${strange}`);
    const program = join(root, 'build', 'bench', `${what}_bench`);
    await build(program, output);
    const passed = bench.options.flatMap((name) => {
      const value = given.text(name);
      return value === undefined ? [] : [`--${name}`, value];
    });
    return await measure(program, [...passed, '--json'], output, bench);
  },
};

/** Runs a benchmark and answers the object that its last line is. */
export async function measure(
  path: string,
  args: readonly string[],
  output: Output,
  bench: Bench = benches.core!,
): Promise<number> {
  const text = await runProgram(path, args, output);
  const line = text.trim().split('\n').at(-1) ?? '';
  let cases: never;
  try {
    cases = (JSON.parse(line) as { cases: never }).cases;
  } catch (cause) {
    throw new VerbexError('BENCH_FAILED', `${path} ended without a result`, { cause });
  }
  output.answerJson(line, () => bench.print(cases));
  return 0;
}

/** What is measured is what the sources say now; a package without sources brings the program or has none. */
async function build(program: string, output: Output): Promise<void> {
  if (existsSync(builder)) await runProgram(process.execPath, [builder], output);
  if (!existsSync(program)) {
    throw new VerbexError(
      'BENCH_MISSING',
      `${program} is not there, nor what builds it: use a clone of the repository`,
    );
  }
}

/** What the program prints on standard output; its standard error is ours. */
function runProgram(path: string, args: readonly string[], output: Output): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(path, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => output.say(chunk.trimEnd()));
    child.on('error', (cause) =>
      reject(new VerbexError('BENCH_FAILED', `cannot start ${path}: ${cause.message}`, { cause })),
    );
    child.on('close', (code, signal) => {
      if (code === 0) resolve(text);
      else reject(new VerbexError('BENCH_FAILED', `${path} ended with ${signal ?? code}`));
    });
  });
}
