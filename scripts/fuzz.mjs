// npm run fuzz -- [--commands N] [--seed S] [--minutes M] [--workers W] [--build fuzz|release] [--json]
// npm run fuzz -- --replay FILE     runs one stream (test/fuzz/cases, test/fuzz/found) and shows the difference
// npm run fuzz -- --reach [--commands N]   how often the generator reaches each reject, event and cause
//
// Compares the core with the oracle of test/oracle after every command of streams that coverage guides.
// A difference is shrunk, printed and kept in test/fuzz/found/. See docs/testing-the-core.md.
import { fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { buildAddon } from './steps/addon.mjs';
import { main, mustRun, root, run, StepFailed, say } from './steps/console.mjs';
import { withSetupLock } from './steps/lock.mjs';

const compiled = join(root, 'build', 'fuzz-js');
const entry = join(compiled, 'fuzz', 'main.js');
const foundFolder = join(root, 'test', 'fuzz', 'found');
const crashTrialsMax = 300;

function wholeNumber(values, name, least) {
  const number = Number(values[name]);
  if (!Number.isSafeInteger(number) || number < least) {
    throw new StepFailed(`--${name} takes a whole number from ${least} on, not ${values[name]}`);
  }
  return number;
}

async function compileOracle() {
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  await mustRun(process.execPath, [tsc, '-p', join(root, 'test', 'fuzz', 'tsconfig.json')], {
    label: 'compiling the oracle',
  });
}

async function requireAddon(build) {
  const result = await withSetupLock(() => buildAddon(build));
  if (result.did === 'no sources') throw new StepFailed('native/sources.txt lists nothing in addon/');
}

/** Starts one process; resolves when it has ended. */
function startWorker(share, onMessage) {
  const child = fork(entry, ['work', JSON.stringify(share)], { serialization: 'advanced' });
  const ended = new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code, signal) => resolve({ code, signal }));
  });
  child.on('message', onMessage);
  return { child, ended };
}

function keep(json) {
  mkdirSync(foundFolder, { recursive: true });
  const file = join(foundFolder, `${createHash('sha256').update(json).digest('hex').slice(0, 12)}.json`);
  writeFileSync(file, json);
  return file;
}

/** A stream that brought the core down: every trial costs a process of its own. */
async function shrinkCrash(runningFile, build, signal) {
  const { describeCommands, inputFromRunning, runningBytes } = await import(
    join(compiled, 'fuzz', 'worker.js')
  );
  const { shrink } = await import(join(compiled, 'fuzz', 'shrink.js'));
  const { caseToJson } = await import(join(compiled, 'fuzz', 'cases.js'));
  const trial = `${runningFile}.trial`;
  const crashes = async (candidate) => {
    writeFileSync(trial, runningBytes(candidate));
    const result = await run(process.execPath, [entry, 'replay', build, trial], { output: 'keep' });
    return result.signal === null ? 0 : candidate.cells.length / 128;
  };
  const smallest = await shrink(inputFromRunning(readFileSync(runningFile)), crashes, crashTrialsMax);
  writeFileSync(trial, runningBytes(smallest));
  const last = await run(process.execPath, [entry, 'replay', build, trial], { output: 'keep' });
  // Node's own stack trace says nothing about the core.
  const text = last.text.replace(/^-+ Native stack trace -+[\s\S]*/m, '');
  return {
    json: caseToJson({ about: `the core ends with ${signal}`, input: smallest }),
    text: `${describeCommands(smallest)}\nthe core ends with ${signal}\n${text}`,
  };
}

function progressLine(states, started) {
  const sum = (field) => states.reduce((total, state) => total + state[field], 0);
  const most = (field) => Math.max(...states.map((state) => state[field]));
  const elapsed = (Date.now() - started) / 1000;
  const rate = Math.round(sum('commands') / elapsed);
  return (
    `${elapsed.toFixed(0)} s: ${sum('commands')} commands, ${sum('streams')} streams, ${rate} a second, ` +
    `coverage ${most('edges')} edges, ${most('behaviours')} behaviours, corpus ${sum('corpus')}`
  );
}

function union(maps) {
  let count = 0;
  for (let i = 0; i < 65536; i++) if (maps.some((map) => map[i] !== 0)) count++;
  return count;
}

async function campaign({ commands, seed, minutes, workers, build }) {
  const runFolder = join(compiled, 'running');
  mkdirSync(runFolder, { recursive: true });
  const started = Date.now();
  const untilMs = minutes === undefined ? Number.MAX_SAFE_INTEGER : started + minutes * 60_000;
  const states = [];
  const differences = [];
  const running = [];
  // One difference is enough: what is left of the campaign would be run again after it is mended.
  const stopOthers = (state) => {
    for (const other of running) {
      if (other.state === state) continue;
      other.stopped = true;
      other.worker.child.kill();
    }
  };
  for (let i = 0; i < workers; i++) {
    const state = { commands: 0, streams: 0, corpus: 0, edges: 0, behaviours: 0, maps: undefined };
    states.push(state);
    const share = {
      seed: seed + i * 1_000_003,
      commands: Math.ceil(commands / workers),
      untilMs,
      build,
      runningFile: join(runFolder, `${process.pid}-${i}.bin`),
    };
    const onMessage = (message) => {
      if (message.kind === 'progress') {
        Object.assign(state, message);
      } else if (message.kind === 'input') {
        for (const other of running) {
          if (other.state !== state && other.worker.child.connected) other.worker.child.send(message.bytes);
        }
      } else if (message.kind === 'difference') {
        differences.push(message);
        stopOthers(state);
      } else {
        Object.assign(state, { ...message, edges: state.edges, behaviours: state.behaviours });
        state.maps = message;
      }
    };
    running.push({ state, share, stopped: false, worker: startWorker(share, onMessage) });
  }
  const ticker = setInterval(() => say(progressLine(states, started)), 5000);
  const crashes = [];
  const failed = [];
  const watchEnd = async (one) => {
    const { code, signal } = await one.worker.ended;
    if (one.stopped || code === 0) return;
    if (signal !== null && existsSync(one.share.runningFile)) crashes.push({ share: one.share, signal });
    else failed.push(code ?? signal);
    stopOthers(one.state);
  };
  await Promise.all(running.map(watchEnd));
  clearInterval(ticker);
  if (failed.length > 0) throw new StepFailed(`a worker ended with ${failed[0]}`);
  for (const { share, signal } of crashes) {
    say(`a worker ended with ${signal}; shrinking the stream that did it`);
    differences.push({ ...(await shrinkCrash(share.runningFile, build, signal)), seed: share.seed });
  }
  for (const difference of differences) {
    const file = keep(difference.json);
    say(`\ndifference, seed ${difference.seed}, kept in ${file.slice(root.length + 1)}\n${difference.text}`);
  }
  for (const { share } of running) {
    for (const file of [share.runningFile, `${share.runningFile}.trial`]) rmSync(file, { force: true });
  }
  const maps = states.flatMap((state) => (state.maps === undefined ? [] : [state.maps]));
  const sum = (field) => states.reduce((total, state) => total + state[field], 0);
  return {
    commands: sum('commands'),
    streams: sum('streams'),
    seed,
    coverage: union(maps.map((map) => map.edges)),
    behaviours: union(maps.map((map) => map.behaviours)),
    corpus: sum('corpus'),
    differences: differences.length,
    build,
    elapsedMs: Date.now() - started,
  };
}

await main(async (args) => {
  const { values } = parseArgs({
    args,
    options: {
      commands: { type: 'string', default: '1000000' },
      seed: { type: 'string', default: '1' },
      minutes: { type: 'string' },
      workers: { type: 'string', default: String(availableParallelism()) },
      build: { type: 'string', default: 'fuzz' },
      replay: { type: 'string' },
      reach: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
    },
  });
  const { build } = values;
  if (build !== 'fuzz' && build !== 'release') throw new StepFailed('--build takes fuzz or release');
  const commands = wholeNumber(values, 'commands', 1);
  const seed = wholeNumber(values, 'seed', 0);
  const workers = wholeNumber(values, 'workers', 1);
  const minutes = values.minutes === undefined ? undefined : Number(values.minutes);
  if (minutes !== undefined && !(minutes > 0)) throw new StepFailed('--minutes takes a number above 0');
  await compileOracle();
  if (values.reach) {
    const { code } = await run(process.execPath, [entry, 'reach', String(seed), String(commands)], {
      output: 'inherit',
    });
    return code ?? 1;
  }
  await requireAddon(build);
  if (values.replay !== undefined) {
    const { code, signal } = await run(process.execPath, [entry, 'replay', build, values.replay], {
      output: 'inherit',
    });
    if (signal !== null) throw new StepFailed(`the core ended with ${signal}`);
    say(code === 0 ? 'no difference' : 'a difference');
    return code ?? 1;
  }
  const result = await campaign({ commands, seed, minutes, workers, build });
  process.stdout.write(
    values.json
      ? `${JSON.stringify(result)}\n`
      : `commands ${result.commands}, streams ${result.streams}, seed ${result.seed}, ` +
          `coverage ${result.coverage} edges, corpus ${result.corpus}, differences ${result.differences}\n`,
  );
  return result.differences === 0 ? 0 : 1;
});
