/** `verbex bench`: two figures without a case, everything about one case with it (docs/benchmarks.md). */
import { readFileSync } from 'node:fs';
import type { ApiLane } from '../bench/api-bench.ts';
import { busBench, busTransports } from '../bench/bus-bench.ts';
import { type BenchEntry, catalogue, entryOf, explained } from '../bench/catalogue.ts';
import { clusterBenchOverVerbs } from '../bench/cluster-bench.ts';
import { nativeBench, type Say } from '../bench/native-program.ts';
import { type BenchCase, type BenchResult, csvOf, type Figure, fieldsOf, headOf } from '../bench/result.ts';
import { type Command, type Given, UsageError } from './command.ts';
import { facts, grouped, type Output, table } from './output.ts';

const countMax = 2 ** 32 - 1;
const countsMax = 1_000_000;
const messageBytesMax = 65_536;
const tableWidthMax = 200;
const lanes: readonly ApiLane[] = ['cells', 'objects'];
const names = [...catalogue.map(({ name }) => name), 'report'];

const reportEntry = {
  name: 'report',
  sentence: 'All of them, as a page with tables and plots: build/bench/report/index.html.',
};

export const benchCommand: Command = {
  name: 'bench',
  summary: 'measure this machine: two figures, or everything about one case',
  positionals: [
    {
      name: 'CASE',
      optional: true,
      help: `${names.join(', ')}; left out: a whole node's commands a second, and its p99`,
    },
  ],
  options: [
    { name: 'csv', help: 'comma-separated values, units in the heads' },
    { name: 'quick', help: 'report: few operations, one run each; no figures to compare' },
    { name: 'explain', help: 'say what CASE measures, with its picture, and measure nothing' },
    {
      name: 'case',
      value: 'NAME',
      help: 'core, node, ring, scale, presets: only this one; --explain lists them',
    },
    { name: 'operations', value: 'N', range: [1, countMax], help: 'commands a run' },
    { name: 'runs', value: 'N', range: [1, 1000], help: 'runs, whose median is answered' },
    { name: 'seed', value: 'N', range: [0, countMax], help: 'seed of the workload' },
    {
      name: 'plan',
      value: 'PLAN',
      help: 'node: serial, pipelined, sharded, sharded:RxM or all; default: serial',
    },
    {
      name: 'journal',
      value: 'MODE',
      oneOf: ['off', 'async', 'durable', 'all'],
      help: 'node, journal, edges: how it is journaled',
    },
    {
      name: 'rate',
      value: 'N',
      range: [1, countMax],
      help: 'node, api, gateway, cluster, warm: commands a second of the open loop; snapshot: under how many',
    },
    { name: 'rates', value: 'N,N,…', help: 'node, edges: the steps of offered load' },
    {
      name: 'seconds',
      value: 'N',
      range: [1, 3600],
      help: 'node, journal, edges, gateway, warm: how long each step lasts',
    },
    {
      name: 'orders',
      value: 'N',
      range: [1, countMax],
      help: 'snapshot: resting orders; cluster, roles: orders a run; sequencer: of its log',
    },
    { name: 'lane', value: 'LANE', oneOf: lanes, help: 'api: only this lane' },
    { name: 'batches', value: 'N,N,…', help: 'api: sizes of the batches; default: 1,16,256,4096' },
    { name: 'batch', value: 'N', range: [1, countMax], help: 'ring: cells claimed at a time' },
    { name: 'transport', value: 'NAME', oneOf: busTransports, help: 'bus, cluster: only this one' },
    { name: 'members', value: 'N', range: [1, 3], help: 'cluster: only so many; default: 1, 2 and 3' },
    {
      name: 'acknowledge',
      value: 'MODE',
      oneOf: ['memory', 'durable', 'all'],
      help: 'cluster: what an acknowledgement says; default: all',
    },
    { name: 'bytes', value: 'N,N,…', help: 'bus: sizes of the messages; default: 64,256,1024' },
    { name: 'rounds', value: 'N', range: [1, countMax], help: 'bus: round trips a run' },
    { name: 'messages', value: 'N', range: [1, countMax], help: 'bus: messages one way a run' },
    {
      name: 'connections',
      value: 'N',
      range: [1, 30_000],
      help: 'edges: HTTP connections; gateway: sessions',
    },
    {
      name: 'window',
      value: 'N',
      range: [1, 32_768],
      help: 'gateway: orders in flight on a connection, at most 1,024; cluster, roles: orders in flight',
    },
    {
      name: 'market',
      value: 'PERCENT',
      range: [1, 100],
      help: 'roles: market orders among the orders; default: none',
    },
    {
      name: 'snapshots',
      value: 'N',
      range: [1, countMax],
      help: 'roles, sequencer: every process takes a snapshot every so many commands; default: none; 262,144',
    },
    {
      name: 'processors',
      value: 'HOW',
      oneOf: ['awake', 'sleepy'],
      help: 'warm: kept awake meanwhile, or left to sleep; default: awake',
    },
    { name: 'largest', value: 'N', range: [1, countMax], help: 'scale: the largest size; default: 1000000' },
    {
      name: 'memory',
      value: 'MIB',
      range: [1, countMax],
      help: 'presets: how much may be used; default: three fifths of what is free, at most 8192',
    },
    { name: 'dir', value: 'DIR', help: 'where data folders are made; default: the temporary folder' },
  ],
  notes: [
    'Native programs are built by the first call where a compiler is there. Close other programs first: core fills one processor core, node two to five. ' +
      'Progress goes to standard error.',
    `Cases\n${[...catalogue, reportEntry].map(({ name, sentence }) => `  ${name.padEnd(10)}${sentence}`).join('\n')}`,
  ],
  examples: [
    ['verbex bench', 'two figures in a few seconds'],
    ['verbex bench node --journal async --csv', 'throughput and latency against offered load'],
    ['verbex bench api --batches 256', 'from TypeScript, in batches of 256'],
    ['verbex bench core --json | tail -1', 'every workload, for a program'],
    ['verbex bench scale --explain', 'what it measures, with a picture'],
    ['verbex bench report', 'a page with everything; some ten minutes'],
  ],
  async run(given, output) {
    if (given.has('csv') && output.json) throw new UsageError('--csv and --json exclude each other');
    const [what] = given.positionals;
    const say: Say = (text) => output.say(text);
    if (what === undefined) return await headline(given, output, say);
    if (what === 'report') return await report(given, output, say);
    if (given.has('quick')) throw new UsageError('--quick is for the report');
    const entry = entryOf(what);
    if (entry === undefined)
      throw new UsageError(`there is no bench "${what}"; there are: ${names.join(', ')}`);
    if (given.has('explain')) {
      output.answer({ ...entry }, explained(entry));
      return 0;
    }
    checkOptions(given, entry);
    answerCases(await measured(entry, given, say), given, output);
    return 0;
  },
};

/** Commands a second, and the p99 of an open loop: a whole node, serial, journal async. */
async function headline(given: Given, output: Output, say: Say): Promise<number> {
  if (given.has('explain')) {
    output.answer({ cases: catalogue }, catalogue.map(explained).join('\n\n\n'));
    return 0;
  }
  const strange = valuesOf(given).find((name) => !['seed', 'dir', 'runs', 'operations'].includes(name));
  if (strange !== undefined) throw new UsageError(`--${strange} needs a CASE`);
  const result = await nativeBench(
    'node',
    [
      '--case',
      'whole',
      '--plan',
      'serial',
      '--journal',
      'async',
      ...passed(given, ['seed', 'dir', 'runs', 'operations']),
    ],
    say,
  );
  if (given.has('csv')) {
    await output.lines(`${csvOf(result.cases)}\n`);
    return 0;
  }
  const [one = {}] = result.cases;
  output.answer({ ...one, cases: result.cases }, headlineOf(one));
  return 0;
}

/** Everything, as a page. Exit code 1 where a bench failed: the page says which. */
async function report(given: Given, output: Output, say: Say): Promise<number> {
  if (given.has('explain')) {
    output.answer({ ...reportEntry }, `${reportEntry.name}: ${reportEntry.sentence}`);
    return 0;
  }
  const strange = valuesOf(given).at(0);
  if (strange !== undefined) throw new UsageError(`bench report takes no --${strange}`);
  if (given.has('csv')) throw new UsageError('bench report takes no --csv');
  const { collect } = await import('../bench/report/collect.ts');
  const { writeReport } = await import('../bench/report/write.ts');
  const quick = given.has('quick');
  const commandLine = `verbex bench report${quick ? ' --quick' : ''}`;
  const facts = await collect({ version: packageVersion(), commandLine, quick }, say);
  const page = writeReport(facts);
  const failed = Object.entries(facts.sections)
    .filter(([, section]) => section.result === undefined)
    .map(([name]) => name);
  const left = failed.length === 0 ? '' : `, without ${failed.join(', ')}`;
  output.answer({ page, failed }, `${page}${left}`);
  return failed.length === 0 ? 0 : 1;
}

function packageVersion(): string {
  const path = new URL('../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version;
}

/** The two lines. */
export function headlineOf(one: BenchCase): string {
  const rate = `${grouped(Number(one.opsPerSecond))} commands/s`;
  const p99 = `${(Number(one.p99Ns) / 1000).toFixed(1)} us`;
  const width = Math.max(rate.length, p99.length);
  return [
    `${rate.padStart(width)}  a whole node takes: ec1k, risk on, plan ${one.plan}, journal ${one.journal}`,
    `${p99.padStart(width)}  99 of 100 are answered within, at ${grouped(Number(one.offeredPerSecond))} commands/s offered (open loop)`,
  ].join('\n');
}

function checkOptions(given: Given, entry: BenchEntry): void {
  const strange = valuesOf(given).find((name) => !entry.options.includes(name));
  if (strange !== undefined) throw new UsageError(`bench ${entry.name} takes no --${strange}`);
  const only = given.text('case');
  if (only === undefined || entry.cases.length === 0 || entry.cases.includes(only)) return;
  if (entry.name === 'node' && (only === 'snapshotStall' || only === 'recovery'))
    throw new UsageError(
      `that is a bench of its own: verbex bench ${only === 'recovery' ? only : 'snapshot'}`,
    );
  throw new UsageError(`bench ${entry.name} has no case "${only}"; there are: ${entry.cases.join(', ')}`);
}

/** Options that have a value, by name. */
function valuesOf(given: Given): string[] {
  return (benchCommand.options ?? [])
    .filter(({ name, value }) => value !== undefined && given.text(name) !== undefined)
    .map(({ name }) => name);
}

function passed(given: Given, options: readonly string[]): string[] {
  return options.flatMap((name) => {
    const value = given.text(name);
    return value === undefined ? [] : [`--${name}`, value];
  });
}

async function measured(entry: BenchEntry, given: Given, say: Say): Promise<BenchResult> {
  if (entry.name === 'api') {
    const { apiBench, apiBenchDefaults } = await import('../bench/api-bench.ts');
    const lane = given.text('lane') as ApiLane | undefined;
    return await apiBench({
      ...apiBenchDefaults,
      ...numbersOf(given, ['operations', 'runs', 'seed', 'rate']),
      ...(lane !== undefined && { lanes: [lane] }),
      batches: countsOf(given, 'batches') ?? apiBenchDefaults.batches,
      say,
    });
  }
  if (entry.name === 'edges') {
    const { edgeBench, edgeBenchDefaults } = await import('../bench/edge-bench.ts');
    const journal = given.text('journal') ?? 'async';
    if (journal !== 'async' && journal !== 'durable')
      throw new UsageError('bench edges takes --journal async or durable');
    const dir = given.text('dir');
    return await edgeBench({
      ...edgeBenchDefaults,
      ...numbersOf(given, ['connections', 'seconds']),
      rates: countsOf(given, 'rates') ?? edgeBenchDefaults.rates,
      durability: journal,
      ...(dir !== undefined && { dir }),
      say,
    });
  }
  if (entry.name === 'bus') {
    countsOf(given, 'bytes');
    const only = busTransports.find((name) => name === given.text('transport'));
    const options = passed(given, ['bytes', 'rounds', 'messages', 'runs']);
    return await busBench(only === undefined ? busTransports : [only], options, say);
  }
  if (entry.name === 'cluster' && given.text('transport') === 'verbs')
    return await clusterBenchOverVerbs(passed(given, entry.options), say);
  if (entry.name === 'journal' && given.text('journal') === 'off')
    throw new UsageError('bench journal takes --journal async, durable or all');
  countsOf(given, 'rates');
  return await nativeBench(entry.name, passed(given, entry.options), say);
}

function numbersOf(given: Given, options: readonly string[]): Record<string, number> {
  return Object.fromEntries(
    options.flatMap((name) => {
      const value = given.integer(name);
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

/** Whole numbers with commas between them. */
function countsOf(given: Given, option: string): number[] | undefined {
  const text = given.text(option);
  if (text === undefined) return undefined;
  const counts = text.split(',').map(Number);
  const most = option === 'batches' ? countsMax : option === 'bytes' ? messageBytesMax : countMax;
  if (!/^[\d,]+$/.test(text) || counts.some((count) => count < 1 || count > most))
    throw new UsageError(
      `--${option} is "${text}", no whole numbers from 1 to ${most} with commas between them`,
    );
  return counts;
}

/** One result, three printers. */
export function answerCases(
  result: BenchResult,
  given: { has(name: string): boolean },
  output: Output,
): void {
  if (given.has('csv')) output.answer({}, csvOf(result.cases));
  else output.answer(result, tableOf(result.cases));
}

/** For people: a row a case, or, where that would be too wide, a row a figure. */
export function tableOf(cases: readonly BenchCase[]): string {
  const fields = fieldsOf(cases);
  const wide = table(
    fields.map(headOf),
    cases.map((one) => fields.map((field) => shownFigure(one[field]))),
  );
  if (wide.split('\n').every((line) => line.length <= tableWidthMax)) return wide;
  return cases
    .map((one) =>
      facts(
        Object.entries(one).map(([field, value]): [string, string] => [headOf(field), shownFigure(value)]),
      ),
    )
    .join('\n\n');
}

function shownFigure(value: Figure | undefined): string {
  if (value === undefined) return '';
  return typeof value === 'number' && Number.isInteger(value) ? grouped(value) : String(value);
}
