// What the runner prints: rates, ratios to Verbex, agreement, and who was skipped.
import { cpus, loadavg, release } from 'node:os';

/** 12.3 M/s; three digits at least below a million. */
export function rate(perSecond) {
  const millions = perSecond / 1e6;
  return `${millions >= 1 ? millions.toFixed(1) : millions.toFixed(3)} M/s`;
}

/** How many times its rate Verbex has: 2.8×, 0.47×. */
export function ratio(verbex, it) {
  const times = verbex / it;
  return `${times >= 10 ? times.toFixed(0) : times.toFixed(times >= 1 ? 1 : 2)}×`;
}

export function table(head, rows) {
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => row[column].length)));
  const line = (row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]))
      .join('  ')
      .trimEnd();
  return [head, widths.map((width) => '─'.repeat(width)), ...rows].map(line).join('\n');
}

export function skippedLine({ name, reason }) {
  return `skipped: ${name}: ${reason}`;
}

export function machine() {
  const [cpu] = cpus();
  return {
    cpu: cpu?.model ?? 'unknown',
    cores: cpus().length,
    linux: release(),
    node: process.version,
    load: loadavg()[0],
  };
}

/** The rates of one engine over all rounds: median, least and most. */
export function spread(rates) {
  const sorted = rates.toSorted((a, b) => a - b);
  return { opsPerSecond: sorted[Math.floor(sorted.length / 2)], least: sorted[0], most: sorted.at(-1) };
}

function latencies({ p50Ns, p99Ns, p999Ns }) {
  return p50Ns === undefined ? '' : [p50Ns, p99Ns, p999Ns].join(' / ');
}

function named({ name, version }) {
  return version === undefined ? name : `${name} ${version}`;
}

const groupTitles = { matching: 'matching only', risk: 'risk on' };

/** One workload's table; the first of each group is the Verbex that the others of the group are compared with. */
export function workloadText({ name, operations, engines }) {
  const rows = Object.keys(groupTitles).flatMap((group) => {
    const members = engines.filter((engine) => engine.group === group);
    return members.map((engine) => [
      groupTitles[group],
      named(engine),
      rate(engine.opsPerSecond),
      `${rate(engine.least)} to ${rate(engine.most)}`,
      ratio(members[0].opsPerSecond, engine.opsPerSecond),
      latencies(engine),
      engine.agreement?.text ?? '',
    ]);
  });
  const head = [
    name,
    'engine',
    'median',
    'rounds from, to',
    'Verbex/it',
    'p50 / p99 / p99.9 ns',
    'its trades',
  ];
  return `${operations} operations\n${table(head, rows)}`;
}

export function handOffText({ operations, engines }) {
  const verbex = engines.find(({ name }) => name === 'verbex ring');
  const rows = engines.map((engine) => [
    named(engine),
    engine.what,
    rate(engine.opsPerSecond),
    `${rate(engine.least)} to ${rate(engine.most)}`,
    verbex === undefined ? '' : ratio(verbex.opsPerSecond, engine.opsPerSecond),
  ]);
  const head = ['hand-off 1→1', 'waiting', 'median', 'rounds from, to', 'Verbex/it'];
  return `${operations} messages of 128 bytes\n${table(head, rows)}`;
}

/** What the issue asks of the API: how many times the rate of nodejs-order-book, in the same run. */
export function apiLine({ name, engines }) {
  const find = (wanted) => engines.find((engine) => engine.name === wanted);
  const [api, peer] = [find('verbex TypeScript'), find('nodejs-order-book')];
  if (api === undefined || peer === undefined) return undefined;
  const times = ratio(api.opsPerSecond, peer.opsPerSecond);
  return (
    `${name}: Verbex from TypeScript, batches of 256, risk on: ${rate(api.opsPerSecond)}, ` +
    `${times} nodejs-order-book without risk (${rate(peer.opsPerSecond)})`
  );
}

export function resultText(result) {
  const { machine: on } = result;
  return [
    `${on.cpu}, ${on.cores} cores, Linux ${on.linux}, Node ${on.node}; load ${on.load.toFixed(1)} before, ${result.loadAfter.toFixed(1)} after`,
    `rounds in turn: ${result.runs}; seed ${result.seed}`,
    ...result.workloads.flatMap((workload) => ['', workloadText(workload)]),
    '',
    ...result.workloads.map(apiLine).filter((line) => line !== undefined),
    ...(result.handOff.engines.length > 0 ? ['', handOffText(result.handOff)] : []),
    '',
    ...result.skipped.map(skippedLine),
    '',
  ].join('\n');
}
