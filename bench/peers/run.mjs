// npm run bench:peers [-- options]: Verbex and other engines on the same workload, in one run, in turn. README.md says what is compared and how.
//
//   --operations N   steps of each workload (default 500,000); hand-offs take 20 million messages
//   --runs N         rounds, whose median counts (default 3)
//   --workload NAME  W1k, ec1k or common; may be given again (default: all three, and the hand-offs)
//   --only NAME      Verbex and this peer; may be given again
//   --seed N         of the workloads (default 1)
//   --json           one line of JSON on standard output instead of tables
import { existsSync, mkdirSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { main, mustRun, root, run, StepFailed, say } from '../../scripts/steps/console.mjs';
import { engines, handOffs, workloads } from './catalogue.mjs';
import { reasonIn, Skipped } from './install.mjs';
import { machine, resultText, skippedLine, spread } from './report.mjs';
import { compareTrades, digestTrades, readTrades } from './trades.mjs';

const handOffOperations = 20_000_000;
/** Seconds of timed passes in each round. */
const timedSeconds = 0.5;
const roundTimeoutMs = 10 * 60_000;
const flows = join(root, 'build', 'peers', 'flows');

function positive(name, text) {
  if (!/^[1-9]\d{0,8}$/.test(text))
    throw new StepFailed(`--${name}: expected a whole number from 1, got ${text}`);
  return Number(text);
}

function settings(args) {
  const list = { type: 'string', multiple: true };
  const { values } = parseArgs({
    args,
    options: {
      operations: { type: 'string', default: '500000' },
      runs: { type: 'string', default: '3' },
      seed: { type: 'string', default: '1' },
      workload: { ...list, default: [] },
      only: { ...list, default: [] },
      json: { type: 'boolean', default: false },
    },
  });
  const known = [...engines, ...handOffs].map(({ name }) => name);
  for (const name of values.only) {
    if (!known.includes(name))
      throw new StepFailed(`no peer ${name}; there are: ${[...new Set(known)].join(', ')}`);
  }
  for (const name of values.workload) {
    if (!workloads.includes(name))
      throw new StepFailed(`no workload ${name}; there are: ${workloads.join(', ')}`);
  }
  return {
    operations: positive('operations', values.operations),
    runs: positive('runs', values.runs),
    seed: positive('seed', values.seed),
    workloads: values.workload.length > 0 ? values.workload : workloads,
    handOffs: values.workload.length === 0,
    only: values.only,
    json: values.json,
  };
}

/** Verbex takes part always. */
function chosen(list, only) {
  const isWanted = ({ name }) => name.startsWith('verbex') || only.includes(name);
  return only.length === 0 ? list : list.filter(isWanted);
}

/** Those that can run here, each with its command; who cannot is put into `skipped`. */
async function ready(list, skipped) {
  const found = [];
  for (const engine of list) {
    try {
      if (engine.native !== undefined) {
        if (!existsSync(join(root, 'bench', 'native', `${engine.native}.cpp`))) {
          throw new Skipped(`bench/native/${engine.native}.cpp is not there`);
        }
        const program = join(root, 'build', 'bench', engine.native);
        found.push({ ...engine, command: (args) => [program, args] });
      } else {
        found.push({ ...engine, ...(await engine.install()) });
      }
    } catch (error) {
      if (!(error instanceof Skipped)) throw error;
      // Said once of a peer that takes part twice.
      if (skipped.some(({ name, reason }) => name === engine.name && reason === error.message)) continue;
      skipped.push({ name: engine.name, reason: error.message });
      say(`peers: ${skippedLine(skipped.at(-1))}`);
    }
  }
  return found;
}

/** The object that a harness's last line is; undefined, and a line in `skipped`, where it failed. */
async function measured(engine, args, skipped, where) {
  const [program, all] = engine.command(args);
  const result = await run(program, all, { output: 'keep', timeoutMs: roundTimeoutMs });
  const line = result.text
    .split('\n')
    .filter((text) => text.startsWith('{'))
    .at(-1);
  if (result.code === 0 && line !== undefined) return JSON.parse(line);
  const reason = result.timedOut ? 'took too long' : reasonIn(result.text);
  skipped.push({ name: engine.name, reason: `failed in ${where}: ${reason}` });
  say(`peers: ${skippedLine(skipped.at(-1))}`);
  return undefined;
}

async function dump(name, { operations, seed }) {
  mkdirSync(flows, { recursive: true });
  const path = join(flows, `${name}.flow`);
  const args = ['--dump', path, '--workload', name, '--operations', `${operations}`, '--seed', `${seed}`];
  const { text } = await mustRun(join(root, 'build', 'bench', 'peer_bench'), args, { output: 'keep' });
  return { name, path, counts: JSON.parse(text) };
}

function harnessArgs(engine, flow, tradesPath) {
  const more = ['--seconds', String(timedSeconds)];
  if (engine.warmup !== undefined) more.push('--warmup', String(engine.warmup));
  if (tradesPath !== undefined) more.push('--trades', tradesPath);
  return engine.args === undefined ? [flow.path, ...more] : engine.args(flow.path, more);
}

/** Whether each made the trades that Verbex's book alone made. */
function agree(rows, flow) {
  const tradesOf = ({ name }) => readTrades(join(flows, `${flow.name}.${name.replaceAll(' ', '-')}.trades`));
  const [verbex] = rows;
  const ours = tradesOf(verbex);
  for (const row of rows) {
    const theirs = row === verbex ? ours : tradesOf(row);
    row.tradeDigest = digestTrades(theirs);
    row.agreement =
      row === verbex ? { agrees: true, text: `${row.trades} trades` } : compareTrades(ours, theirs);
  }
}

async function workloadRounds(flow, list, { runs }, skipped) {
  const part = list.filter((engine) => {
    const reason = engine.lacks?.[flow.name];
    if (reason !== undefined) skipped.push({ name: engine.name, reason: `not on ${flow.name}: ${reason}` });
    return reason === undefined;
  });
  const rounds = new Map(part.map((engine) => [engine, []]));
  for (let round = 1; round <= runs; round++) {
    for (const [engine, answers] of rounds) {
      say(`peers: ${flow.name}, round ${round} of ${runs}: ${engine.name}`);
      const trades = join(flows, `${flow.name}.${engine.name.replaceAll(' ', '-')}.trades`);
      const args = harnessArgs(engine, flow, round === 1 ? trades : undefined);
      const answer = await measured(engine, args, skipped, flow.name);
      if (answer === undefined) rounds.delete(engine);
      else answers.push(answer);
    }
  }
  const rows = [...rounds].map(([{ name, group, what, version }, answers]) => ({
    name,
    group,
    what,
    version,
    ...answers.at(-1),
    engine: undefined,
    ...spread(answers.map(({ opsPerSecond }) => opsPerSecond)),
  }));
  if (rows[0]?.name !== 'verbex') throw new StepFailed('Verbex itself did not run');
  agree(rows, flow);
  return { name: flow.name, operations: flow.counts.operations, counts: flow.counts, engines: rows };
}

async function handOffRounds(list, { runs }, skipped) {
  const rounds = new Map(list.map((engine) => [engine, []]));
  for (let round = 1; round <= runs; round++) {
    for (const [engine, answers] of rounds) {
      say(`peers: hand-off, round ${round} of ${runs}: ${engine.name}, ${engine.what}`);
      const answer = await measured(engine, engine.args(handOffOperations), skipped, 'the hand-off');
      if (answer === undefined) rounds.delete(engine);
      // The ring's bench answers a list of cases, the harnesses one.
      else answers.push(answer.cases?.[0] ?? answer);
    }
  }
  const rows = [...rounds].map(([{ name, what, version }, answers]) => ({
    name,
    what,
    version,
    ...spread(answers.map(({ opsPerSecond }) => opsPerSecond)),
  }));
  return { operations: handOffOperations, engines: rows };
}

await main(async (args) => {
  const given = settings(args);
  await mustRun(process.execPath, [join(root, 'scripts', 'build-bench.mjs'), 'peer', 'ring']);
  const skipped = [];
  const list = await ready(chosen(engines, given.only), skipped);
  const rings = given.handOffs ? await ready(chosen(handOffs, given.only), skipped) : [];
  const on = machine();
  if (on.load > on.cores / 4)
    say(`peers: the load is ${on.load.toFixed(1)}: other programs take part in the figures`);
  const result = { machine: on, runs: given.runs, seed: given.seed, workloads: [] };
  for (const name of given.workloads) {
    result.workloads.push(await workloadRounds(await dump(name, given), list, given, skipped));
  }
  result.handOff = await handOffRounds(rings, given, skipped);
  result.skipped = skipped;
  result.loadAfter = loadavg()[0];
  process.stdout.write(given.json ? `${JSON.stringify(result)}\n` : resultText(result));
  // A peer that makes other trades is told by name, not a failure of this program; Verbex's own ways must agree.
  const own = result.workloads.flatMap((workload) =>
    workload.engines.filter(({ name }) => name.startsWith('verbex')),
  );
  return own.every(({ agreement }) => agreement.agrees) ? 0 : 1;
});
