/** `verbex bench core`: the native benchmark, built when it is not there. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { VerbexError } from '../errors/errors.ts';
import { type Command, UsageError } from './command.ts';
import { grouped, type Output, table } from './output.ts';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const program = join(root, 'build', 'bench', 'core_bench');
const builder = join(root, 'scripts', 'build-bench.mjs');

interface Case {
  readonly name: string;
  readonly risk: boolean;
  readonly opsPerSecond: number;
  readonly p50Ns: number;
  readonly p99Ns: number;
  readonly p999Ns: number;
  readonly maxNs: number;
}

export const benchCommand: Command = {
  name: 'bench',
  summary: 'measure the core on this machine',
  positionals: [{ name: 'WHAT', help: 'core: matching alone, and with risk on' }],
  notes: [
    'Built by the first call where a compiler is there. Close other programs first: every case fills one core.',
  ],
  examples: [
    ['verbex bench core', 'operations a second and latencies of every workload'],
    ['verbex bench core --json | tail -1', 'the same for a program'],
  ],
  async run(given, output) {
    if (given.positionals[0] !== 'core')
      throw new UsageError(`there is no bench "${given.positionals[0]}"; there is: core`);
    await build(output);
    const passed = ['case', 'operations', 'runs', 'seed'].flatMap((name) => {
      const value = given.text(name);
      return value === undefined ? [] : [`--${name}`, value];
    });
    return await measure(program, [...passed, '--json'], output);
  },
};

/** Runs a benchmark and answers the object that its last line is. */
export async function measure(path: string, args: readonly string[], output: Output): Promise<number> {
  const text = await runProgram(path, args, output);
  const line = text.trim().split('\n').at(-1) ?? '';
  let cases: readonly Case[];
  try {
    cases = (JSON.parse(line) as { cases: Case[] }).cases;
  } catch (cause) {
    throw new VerbexError('BENCH_FAILED', `${path} ended without a result`, { cause });
  }
  output.answerJson(line, () =>
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
  );
  return 0;
}

/** What is measured is what the sources say now; a package without sources brings the program or has none. */
async function build(output: Output): Promise<void> {
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
