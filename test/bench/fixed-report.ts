// A report's facts that no machine has measured: one case of every kind.
import type { ReportFacts, Section } from '../../src/bench/report/collect.ts';
import type { BenchCase } from '../../src/bench/result.ts';

const latency = {
  p50Ns: 900,
  p90Ns: 2_000,
  p99Ns: 40_000,
  p999Ns: 300_000,
  p9999Ns: 900_000,
  maxNs: 5_000_000,
};

function section(command: string, cases: readonly BenchCase[]): Section {
  return {
    result: { cases, runs: 3, seed: 1, compiler: 'g++ 12.2.0' },
    loadBefore: '0.01 0.02 0.03',
    loadAfter: '1.00 0.50 0.20',
    seconds: 12,
    command,
  };
}

const journals = ['off', 'async', 'durable'];

export const fixedReport: ReportFacts = {
  version: '9.9.9',
  commandLine: 'verbex bench report <fixed>',
  date: '2026-01-02T03:04:05.000Z',
  quick: false,
  machine: {
    processor: 'A "Fast" & Small <Processor>',
    cores: 8,
    caches: 'L1 data 32K',
    governor: 'performance',
    memory: '24.0 GiB',
    system: 'Debian',
    kernel: '6.1',
    node: 'v22.0.0',
  },
  sections: {
    node: section(
      'verbex bench node',
      ['serial', 'pipelined'].flatMap((plan) =>
        journals.flatMap((journal): BenchCase[] => [
          {
            name: 'whole',
            case: 'whole',
            plan,
            journal,
            opsPerSecond: 5e6,
            offeredPerSecond: 200_000,
            ...latency,
          },
          { name: 'closed', case: 'closed', plan, journal, opsPerSecond: 4e5, ...latency },
          {
            name: 'load',
            case: 'load',
            plan,
            journal,
            opsPerSecond: 5e4,
            offeredPerSecond: 50_000,
            ...latency,
          },
          {
            name: 'load',
            case: 'load',
            plan,
            journal,
            opsPerSecond: 2e6,
            offeredPerSecond: 3.2e6,
            ...latency,
          },
        ]),
      ),
    ),
    core: section('verbex bench core', [
      { name: 'W1k', risk: false, opsPerSecond: 35e6, ...latency },
      { name: 'W1k', risk: true, opsPerSecond: 8e6, ...latency },
    ]),
    ring: section('verbex bench ring', [
      { id: 'handoff-1-1', name: 'hand-off', topology: '1→1', cellBytes: 128, opsPerSecond: 40e6 },
    ]),
    api: section('verbex bench api', [
      {
        name: 'a',
        case: 'saturated',
        lane: 'cells',
        batch: 256,
        opsPerSecond: 3e6,
        offeredPerSecond: 1e5,
        ...latency,
      },
      { name: 'b', case: 'closed', lane: 'cells', batch: 256, opsPerSecond: 2e6, ...latency },
    ]),
    edges: section('verbex bench edges', [
      { name: 'c', case: 'closed', connections: 1, opsPerSecond: 4000, ...latency },
      { name: 'l', case: 'load', connections: 32, opsPerSecond: 500, offeredPerSecond: 500, ...latency },
      { name: 's', case: 'stream', connections: 32, opsPerSecond: 500, offeredPerSecond: 500, ...latency },
    ]),
    journal: section('verbex bench journal', [
      { name: 'j', journal: 'durable', batch: 16, opsPerSecond: 1e5, ...latency },
    ]),
    snapshot: section('verbex bench snapshot', [
      { name: 's', withUs: 500, withWorstUs: 900, withoutUs: 400, withoutWorstUs: 800, markUs: 12 },
    ]),
    recovery: section('verbex bench recovery', [
      { name: 'r', case: 'recoveryJournal', commands: 1e6, replayed: 1e6, ms: 250, commandsPerSecond: 4e6 },
      { name: 'r', case: 'recoverySnapshot', commands: 1e6, replayed: 1e5, ms: 120, commandsPerSecond: 8e6 },
    ]),
    scale: section('verbex bench scale', [
      { name: 'm', case: 'memory', restingOrders: 1e6, bytesPerRestingOrder: 127.5 },
      { name: 'n', case: 'memory', accounts: 1e6, bytesPerAccount: 120, bytesPerFundedAccount: 500 },
      ...[1e3, 1e6].map((restingOrders) => ({
        name: 'o',
        case: 'orders',
        restingOrders,
        nsPerCommand: 200,
        ...latency,
      })),
      ...[1e3, 1e6].map((accounts) => ({
        name: 'p',
        case: 'accounts',
        accounts,
        nsPerCommand: 200,
        ...latency,
      })),
      ...[1, 1e4].map((instruments) => ({
        name: 'q',
        case: 'instruments',
        instruments,
        nsPerCommand: 200,
        ...latency,
      })),
    ]),
    presets: section('verbex bench presets', [
      { name: 'e', case: 'huge', opsPerSecond: 1e6, leftOut: 'all but 1/8', ...latency },
    ]),
  },
};

/** Every plot that the page has, by title. */
export const plotTitles: readonly RegExp[] = [
  /^Whole node at saturation, by plan and journal/,
  /^Whole node, open loop at 200 k commands\/s$/,
  /^Whole node, one command at a time$/,
  /^Whole node: median latency against offered load$/,
  /^Whole node: p99 against offered load$/,
  /^From TypeScript, risk on: orders a second$/,
  /^From TypeScript, open loop at 100 k orders\/s$/,
  /^From TypeScript, one batch at a time$/,
  /^HTTP, closed loop/,
  /^HTTP: latency against offered load$/,
  /^Order in over HTTP until seen on the WebSocket stream/,
  /^Core, one thread: operations a second$/,
  /^Core, risk on: service times$/,
  /^Ring: cells a second$/,
  /^Journal writer alone: commands a second$/,
  /^Journal writer alone: one batch/,
  /^What a snapshot costs the engine$/,
  /^Recovery of 1 M commands$/,
  /^Cost of a command against the number of resting orders$/,
  /^Cost of a command against the number of accounts$/,
  /^Cost of a command against the number of instruments$/,
  /^Resident memory$/,
  /^Core, risk on, under exchange-core's presets/,
  /^Service times under exchange-core's presets$/,
];
