// From the cases of each bench to its plots.
import type { BenchCase } from '../result.ts';
import { type Bar, barPlot, type Line, linePlot } from './plots.ts';
import { duration, shortNumber } from './svg.ts';

const percentiles: readonly (readonly [field: string, name: string])[] = [
  ['p50Ns', 'p50'],
  ['p90Ns', 'p90'],
  ['p99Ns', 'p99'],
  ['p999Ns', 'p99.9'],
  ['p9999Ns', 'p99.99'],
  ['maxNs', 'max'],
];

function number(one: BenchCase, field: string): number {
  const value = one[field];
  return typeof value === 'number' ? value : Number.NaN;
}

function of(cases: readonly BenchCase[], field: string, value: string): readonly BenchCase[] {
  return cases.filter((one) => one[field] === value);
}

function groups(
  cases: readonly BenchCase[],
  nameOf: (one: BenchCase) => string,
): (readonly [string, BenchCase[]])[] {
  const byName = new Map<string, BenchCase[]>();
  for (const one of cases) byName.set(nameOf(one), [...(byName.get(nameOf(one)) ?? []), one]);
  return [...byName];
}

function rates(
  title: string,
  cases: readonly BenchCase[],
  labelOf: (one: BenchCase) => string,
  seriesOf?: (one: BenchCase) => string,
  mark?: { readonly value: number; readonly label: string },
): string {
  const bars = cases.map(
    (one): Bar => ({
      label: labelOf(one),
      value: number(one, 'opsPerSecond'),
      ...(seriesOf !== undefined && { series: seriesOf(one) }),
    }),
  );
  return barPlot({
    title,
    bars,
    shown: (value) => `${shortNumber(value)}/s`,
    ...(mark !== undefined && { mark }),
  });
}

function percentileCurves(
  title: string,
  cases: readonly BenchCase[],
  nameOf: (one: BenchCase) => string,
): string {
  const lines = cases.map(
    (one): Line => ({
      name: nameOf(one),
      points: percentiles.map(([field], x) => ({ x, y: number(one, field) })),
    }),
  );
  const places = percentiles.map(([, name]) => name);
  return linePlot({
    title,
    lines,
    x: { label: 'share of the commands that took no longer', shown: String, places },
    y: { label: 'latency', shown: duration },
  });
}

/** One line for p50, p99 and max each, for every group. */
function againstLoad(
  title: string,
  cases: readonly BenchCase[],
  nameOf: (one: BenchCase) => string,
  fields: readonly (readonly [string, string])[],
): string {
  const lines = groups(cases, nameOf).flatMap(([name, members]) =>
    fields.map(
      ([field, word]): Line => ({
        name: [name, ...(fields.length > 1 ? [word] : [])].filter((part) => part !== '').join(', '),
        points: members.map((one) => ({ x: number(one, 'offeredPerSecond'), y: number(one, field) })),
      }),
    ),
  );
  return linePlot({
    title,
    lines,
    x: { label: 'offered a second', shown: shortNumber },
    y: { label: 'latency from when a command was due', shown: duration },
  });
}

const half: readonly (readonly [string, string])[] = [['p50Ns', 'p50']];
const tail: readonly (readonly [string, string])[] = [['p99Ns', 'p99']];
const threePercentiles: readonly (readonly [string, string])[] = [
  ['p50Ns', 'p50'],
  ['p99Ns', 'p99'],
  ['maxNs', 'max'],
];

const planAndJournal = (one: BenchCase): string => `${one.plan}, journal ${one.journal}`;

function node(cases: readonly BenchCase[]): string[] {
  const whole = of(cases, 'case', 'whole');
  const offered = whole[0]?.offeredPerSecond;
  return [
    rates(
      'Whole node at saturation, by plan and journal: commands a second',
      whole,
      planAndJournal,
      (one) => `journal ${one.journal}`,
    ),
    percentileCurves(
      `Whole node, open loop at ${shortNumber(Number(offered))} commands/s`,
      whole,
      planAndJournal,
    ),
    percentileCurves('Whole node, one command at a time', of(cases, 'case', 'closed'), planAndJournal),
    againstLoad(
      'Whole node: median latency against offered load',
      of(cases, 'case', 'load'),
      planAndJournal,
      half,
    ),
    againstLoad('Whole node: p99 against offered load', of(cases, 'case', 'load'), planAndJournal, tail),
  ];
}

function core(cases: readonly BenchCase[]): string[] {
  const risk = (one: BenchCase): string => (one.risk === true ? 'risk on' : 'matching only');
  return [
    rates('Core, one thread: operations a second', cases, (one) => `${one.name}, ${risk(one)}`, risk),
    percentileCurves(
      'Core, risk on: service times',
      cases.filter((one) => one.risk === true),
      (one) => String(one.name),
    ),
  ];
}

function api(cases: readonly BenchCase[]): string[] {
  const saturated = of(cases, 'case', 'saturated');
  const name = (one: BenchCase): string => `batches of ${one.batch}, ${one.lane}`;
  return [
    rates('From TypeScript, risk on: orders a second', saturated, name, (one) => `lane ${one.lane}`),
    percentileCurves(
      `From TypeScript, open loop at ${shortNumber(Number(saturated[0]?.offeredPerSecond))} orders/s`,
      saturated,
      name,
    ),
    percentileCurves('From TypeScript, one batch at a time', of(cases, 'case', 'closed'), name),
  ];
}

function edges(cases: readonly BenchCase[]): string[] {
  return [
    rates(
      'HTTP, closed loop: orders a second',
      of(cases, 'case', 'closed'),
      (one) => `${one.connections} ${one.connections === 1 ? 'connection' : 'connections'}`,
    ),
    againstLoad('HTTP: latency against offered load', of(cases, 'case', 'load'), () => '', threePercentiles),
    againstLoad(
      'Order in over HTTP until seen on the WebSocket stream: latency against offered load',
      of(cases, 'case', 'stream'),
      () => '',
      threePercentiles,
    ),
  ];
}

function journal(cases: readonly BenchCase[]): string[] {
  const name = (one: BenchCase): string => `${one.journal}, batches of ${one.batch}`;
  return [
    rates('Journal writer alone: commands a second', cases, name, (one) => String(one.journal)),
    percentileCurves('Journal writer alone: one batch appended and stored', cases, name),
  ];
}

function ring(cases: readonly BenchCase[]): string[] {
  return [
    rates(
      'Ring: cells a second',
      cases,
      (one) => `${one.topology}, ${one.cellBytes} bytes`,
      (one) => `${one.cellBytes} bytes`,
    ),
  ];
}

function snapshot(cases: readonly BenchCase[]): string[] {
  const bars = cases.flatMap((one): Bar[] => [
    { label: 'longest step with a snapshot, median', value: number(one, 'withUs') * 1000, series: 'with' },
    { label: 'longest of all with a snapshot', value: number(one, 'withWorstUs') * 1000, series: 'with' },
    { label: 'longest step without one, median', value: number(one, 'withoutUs') * 1000, series: 'without' },
    { label: 'longest of all without one', value: number(one, 'withoutWorstUs') * 1000, series: 'without' },
    { label: 'noting the mark, longest', value: number(one, 'markUs') * 1000, series: 'with' },
  ]);
  return [barPlot({ title: 'What a snapshot costs the engine', bars, shown: duration })];
}

const recoveryLabels: Readonly<Record<string, string>> = {
  recoveryJournal: 'from the journal alone',
  recoverySnapshot: 'from a snapshot and the rest of the journal',
  recoverySource: 'anew, from a journal elsewhere',
  recoverySources: 'anew, from two that are compared',
};

function recovery(cases: readonly BenchCase[]): string[] {
  const bars = cases.map(
    (one): Bar => ({
      label: recoveryLabels[String(one.case)] ?? String(one.case),
      value: number(one, 'ms') * 1e6,
    }),
  );
  const commands = Number(cases[0]?.commands);
  return [barPlot({ title: `Recovery of ${shortNumber(commands)} commands`, bars, shown: duration })];
}

function scale(cases: readonly BenchCase[]): string[] {
  const grows = [
    ['orders', 'restingOrders', 'resting orders'],
    ['accounts', 'accounts', 'accounts'],
    ['instruments', 'instruments', 'instruments'],
  ] as const;
  const costs = grows.map(([grown, field, words]) => {
    const members = of(cases, 'case', grown);
    const line = (name: string, figure: string): Line => ({
      name,
      points: members.map((one) => ({ x: number(one, field), y: number(one, figure) })),
    });
    return linePlot({
      title: `Cost of a command against the number of ${words}`,
      lines: [line('mean, in batches', 'nsPerCommand'), line('p50', 'p50Ns'), line('p99', 'p99Ns')],
      x: { label: words, shown: shortNumber },
      y: { label: 'time a command, core with risk on', shown: duration },
    });
  });
  const memory = of(cases, 'case', 'memory').flatMap((one): Bar[] => [
    {
      label: 'a resting order, with book and id tables',
      value: number(one, 'bytesPerRestingOrder'),
    },
    { label: 'an account', value: number(one, 'bytesPerAccount') },
    { label: 'an account with two balances', value: number(one, 'bytesPerFundedAccount') },
  ]);
  const shown = (value: number): string => `${Math.round(value)} B`;
  return [...costs, barPlot({ title: 'Resident memory', bars: memory, shown })];
}

function presets(cases: readonly BenchCase[]): string[] {
  return [
    rates(
      "Core, risk on, under exchange-core's presets: commands a second",
      cases,
      (one) => `${one.case}: ${one.leftOut === 'nothing' ? 'whole' : 'made smaller'}`,
    ),
    percentileCurves("Service times under exchange-core's presets", cases, (one) => String(one.case)),
  ];
}

const plotters: Readonly<Record<string, (cases: readonly BenchCase[]) => string[]>> = {
  node,
  core,
  ring,
  api,
  edges,
  journal,
  snapshot,
  recovery,
  scale,
  presets,
};

/** The plots of one bench; those without anything to draw are left out. */
export function plotsOf(bench: string, cases: readonly BenchCase[]): string[] {
  return (plotters[bench]?.(cases) ?? []).filter((plot) => plot !== '');
}
