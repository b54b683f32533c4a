// The native benchmarks: built when they are not there, run, their last line taken.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { VerbexError } from '../errors/errors.ts';
import { type BenchResult, parseResult } from './result.ts';

// The same two steps up from src/bench and from dist/bench.
const root = fileURLToPath(new URL('../..', import.meta.url));
const builder = join(root, 'scripts', 'build-bench.mjs');

export type Say = (text: string) => void;

/** Brings a native benchmark up to date, runs it, and answers its object. */
export async function nativeBench(name: string, args: readonly string[], say: Say): Promise<BenchResult> {
  return await runNative(await builtProgram(name, say), args, say);
}

/** Runs a benchmark and answers the object that its last line is. Throws BENCH_FAILED. */
export async function runNative(path: string, args: readonly string[], say: Say): Promise<BenchResult> {
  const text = await run(path, [...args, '--json'], say);
  try {
    return parseResult(text.trim().split('\n').at(-1) ?? '');
  } catch (cause) {
    throw new VerbexError('BENCH_FAILED', `${path} ended without a result`, { cause });
  }
}

/** Where the program lies, built if it has to be: what is measured is what the sources say now; a package without sources brings the program or has none. */
export async function builtProgram(name: string, say: Say): Promise<string> {
  const program = join(root, 'build', 'bench', `${name}_bench`);
  if (existsSync(builder)) await run(process.execPath, [builder, name], say);
  if (!existsSync(program)) {
    throw new VerbexError(
      'BENCH_MISSING',
      `${program} is not there, nor what builds it: use a clone of the repository`,
    );
  }
  return program;
}

/** What the program prints on standard output; its standard error is handed on as it comes. */
function run(path: string, args: readonly string[], say: Say): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(path, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => say(chunk.trimEnd()));
    child.on('error', (cause) =>
      reject(new VerbexError('BENCH_FAILED', `cannot start ${path}: ${cause.message}`, { cause })),
    );
    child.on('close', (code, signal) => {
      if (code === 0) resolve(text);
      else reject(new VerbexError('BENCH_FAILED', `${path} ended with ${signal ?? code}`));
    });
  });
}
