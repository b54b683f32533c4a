// What every bench answers, native or not: flat cases whose figures' names end in their unit, and the facts that hold for all of them.

export type Figure = string | number | boolean;
export type BenchCase = Readonly<Record<string, Figure>>;
export type BenchResult = { readonly cases: readonly BenchCase[] } & Readonly<Record<string, unknown>>;

/** The last line that a bench prints. Throws where it is none. */
export function parseResult(line: string): BenchResult {
  const result: unknown = JSON.parse(line);
  if (typeof result !== 'object' || result === null || !Array.isArray((result as BenchResult).cases)) {
    throw new TypeError('no result of a bench');
  }
  return result as BenchResult;
}

/** Names of all figures, in the order in which they first come. */
export function fieldsOf(cases: readonly BenchCase[]): string[] {
  return [...new Set(cases.flatMap((one) => Object.keys(one)))];
}

const wholeHeads: Readonly<Record<string, string>> = {
  name: 'case',
  case: 'kind',
  opsPerSecond: 'ops/s',
  offeredPerSecond: 'offered/s',
  commandsPerSecond: 'commands/s',
  batchesPerSecond: 'batches/s',
  megabytesPerSecond: 'MB/s',
  ms: 'ms',
};
const units: readonly (readonly [RegExp, string])[] = [
  [/Ns$/, 'ns'],
  [/Us$/, 'us'],
  [/Ms$/, 'ms'],
  [/Bytes$/, 'bytes'],
  [/Share$/, 'share'],
];

/** A column's head, with its unit: p999Ns to "p99.9 ns", bytesPerOrder to "bytes per order". */
export function headOf(field: string): string {
  const whole = wholeHeads[field];
  if (whole !== undefined) return whole;
  const unit = units.find(([ending]) => ending.test(field));
  const stem = unit === undefined ? field : field.replace(unit[0], '');
  const percentile = /^p(99)(9+)$/.exec(stem);
  const words =
    percentile === null
      ? stem.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
      : `p${percentile[1]}.${percentile[2]}`;
  return unit === undefined ? words : `${words} ${unit[1]}`;
}

/** Comma-separated values (RFC 4180), one line a case, units in the heads. */
export function csvOf(cases: readonly BenchCase[]): string {
  const fields = fieldsOf(cases);
  const line = (values: readonly Figure[]): string => values.map((value) => quoted(String(value))).join(',');
  return [
    line(fields.map(headOf)),
    ...cases.map((one) => line(fields.map((field) => one[field] ?? ''))),
  ].join('\n');
}

function quoted(text: string): string {
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
