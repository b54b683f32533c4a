// How the scripts talk and start programs. Everything goes to standard error, so that standard
// output stays free for what a command answers.
import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = resolve(dirname(fileURLToPath(import.meta.url)), '..', '..');

const heartbeatMs = 10_000;

export function say(text) {
  process.stderr.write(`${text}\n`);
}

export function seconds(sinceMs) {
  return `${((performance.now() - sinceMs) / 1000).toFixed(1)} s`;
}

/** A failure whose message is all the reader needs; the command prints it without a stack. */
export class StepFailed extends Error {
  name = 'StepFailed';
}

/** Path of a program on PATH (or of a path given as such), or undefined. */
export function findProgram(name) {
  const candidates = name.includes('/')
    ? [resolve(root, name)]
    : (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, name));
  for (const candidate of candidates) {
    try {
      accessSync(candidate, constants.X_OK);
      return candidate;
    } catch {
      // Not there or not executable: the next folder may have it.
    }
  }
  return undefined;
}

/**
 * Runs a program to its end. `output` is 'show' (its lines go to standard error as they come),
 * 'keep' (collected, returned) or 'inherit' (its own standard output and error, for programs that talk to a terminal).
 * A sign of life is printed while a silent program takes long.
 */
export function run(program, args, options = {}) {
  const { output = 'show', label, env, cwd = root, timeoutMs } = options;
  return new Promise((resolvePromise, reject) => {
    const started = performance.now();
    const stdio = {
      show: ['ignore', 2, 2],
      keep: ['ignore', 'pipe', 'pipe'],
      inherit: 'inherit',
    }[output];
    const child = spawn(program, args, { cwd, stdio, env: { ...process.env, ...env } });
    let text = '';
    if (output === 'keep') {
      for (const stream of [child.stdout, child.stderr]) {
        stream.setEncoding('utf8').on('data', (chunk) => {
          text += chunk;
        });
      }
    }
    const heartbeat =
      label === undefined
        ? undefined
        : setInterval(() => say(`  … ${label}, ${seconds(started)} so far`), heartbeatMs);
    let timedOut = false;
    const timer =
      timeoutMs === undefined
        ? undefined
        : setTimeout(() => {
            timedOut = true;
            child.kill('SIGKILL');
          }, timeoutMs);
    const settle = () => {
      clearInterval(heartbeat);
      clearTimeout(timer);
    };
    child.on('error', (error) => {
      settle();
      reject(new StepFailed(`cannot start ${program}: ${error.message}`));
    });
    child.on('close', (code, signal) => {
      settle();
      resolvePromise({ code, signal, timedOut, text, elapsedMs: performance.now() - started });
    });
  });
}

/** Like run, and a failure of the program is a StepFailed that names it. */
export async function mustRun(program, args, options = {}) {
  const result = await run(program, args, options);
  if (result.code !== 0) {
    if (result.text !== '') say(result.text.trimEnd());
    const how = result.timedOut ? 'took too long' : `ended with ${result.signal ?? result.code}`;
    throw new StepFailed(`${[program, ...args].join(' ')}: ${how}`);
  }
  return result;
}

/** Runs a script's main function; its number is the exit code. */
export async function main(body) {
  try {
    process.exitCode = (await body(process.argv.slice(2))) ?? 0;
  } catch (error) {
    say(error instanceof StepFailed ? `\nverbex: ${error.message}` : error.stack);
    process.exitCode = 1;
  }
}
