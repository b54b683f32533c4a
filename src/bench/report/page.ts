// The page: one HTML file that needs nothing else. What was measured, on what, how; tables and plots.
import { type BenchEntry, catalogue } from '../catalogue.ts';
import { type BenchCase, type Figure, fieldsOf, headOf } from '../result.ts';
import type { ReportFacts, Section } from './collect.ts';
import { plotsOf } from './figures.ts';
import { duration, escaped, shortNumber } from './svg.ts';

const style = `
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0; background: #f5f6f8; color: #1c2430; font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1160px; margin: 0 auto; padding: 32px 24px 64px; }
h1 { font-size: 26px; margin: 0 0 4px; }
h2 { font-size: 20px; margin: 0 0 4px; }
p { margin: 6px 0; max-width: 100ch; }
nav { margin: 12px 0 20px; }
nav a { margin-right: 14px; color: #0060a0; }
section { background: #fff; border: 1px solid #dfe3e8; border-radius: 8px; padding: 20px 24px; margin: 20px 0; }
section svg { display: block; max-width: 100%; height: auto; margin: 24px 0 8px; }
pre { background: #f5f6f8; border-radius: 6px; padding: 10px 14px; overflow-x: auto; font-size: 12.5px; line-height: 1.35; }
code { font-size: 13px; }
.scroll { overflow-x: auto; margin-top: 16px; }
table { border-collapse: collapse; font-size: 12.5px; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 3px 10px 3px 0; border-bottom: 1px solid #e8ebef; white-space: nowrap; }
td.number, th.number { text-align: right; }
.soft { color: #5a6472; font-size: 13px; }
.warning { background: #fff4e0; border-left: 4px solid #e69f00; padding: 8px 14px; }
.headline { display: flex; flex-wrap: wrap; gap: 16px; margin: 16px 0; }
.headline div { background: #fff; border: 1px solid #dfe3e8; border-radius: 8px; padding: 12px 18px; flex: 1 1 200px; }
.headline b { display: block; font-size: 24px; }
@media print { body { background: #fff; } section { break-inside: avoid; } }
`;

const order: readonly string[] = [
  'node',
  'api',
  'edges',
  'core',
  'ring',
  'journal',
  'snapshot',
  'recovery',
  'scale',
  'presets',
];

export function reportPage(facts: ReportFacts): string {
  const entries = order.flatMap((name) => catalogue.filter((entry) => entry.name === name));
  const links = entries.map(({ name }) => `<a href="#${name}">${name}</a>`).join('');
  return [
    '<!doctype html>',
    '<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">',
    `<title>Verbex ${escaped(facts.version)}: benchmarks</title><style>${style}</style></head><body><main>`,
    '<h1>Verbex, measured</h1>',
    `<p class="soft">Version ${escaped(facts.version)}, ${escaped(facts.date)}, <code>${escaped(facts.commandLine)}</code></p>`,
    facts.quick
      ? '<p class="warning">A quick run: few operations, one run each. It shows that everything works; its figures are no result.</p>'
      : '',
    headline(facts),
    machineTable(facts),
    `<nav>${links}</nav>`,
    ...entries.map((entry) => sectionOf(entry, facts.sections[entry.name])),
    '</main></body></html>',
    '',
  ].join('\n');
}

function headline({ sections }: ReportFacts): string {
  const boxes: string[] = [];
  const box = (figure: string, words: string): void => {
    boxes.push(`<div><b>${escaped(figure)}</b>${escaped(words)}</div>`);
  };
  const cases = (name: string): readonly BenchCase[] => sections[name]?.result?.cases ?? [];
  const whole = cases('node').find(
    (one) => one.case === 'whole' && one.plan === 'serial' && one.journal === 'async',
  );
  if (whole !== undefined) {
    box(
      `${shortNumber(Number(whole.opsPerSecond))}/s`,
      'commands, whole node, serial, risk on, journal async',
    );
    box(
      duration(Number(whole.p99Ns)),
      `p99 at ${shortNumber(Number(whole.offeredPerSecond))}/s offered, same node`,
    );
  }
  const batch = cases('api').find(
    (one) => one.case === 'saturated' && one.lane === 'cells' && one.batch === 256,
  );
  if (batch !== undefined)
    box(`${shortNumber(Number(batch.opsPerSecond))}/s`, 'orders from TypeScript in batches of 256');
  const order = cases('scale').find((one) => one.bytesPerRestingOrder !== undefined);
  if (order !== undefined) box(`${order.bytesPerRestingOrder} B`, 'of memory a resting order');
  return boxes.length === 0 ? '' : `<div class="headline">${boxes.join('')}</div>`;
}

function machineTable({ machine, sections }: ReportFacts): string {
  const compilers = new Set(
    Object.values(sections).flatMap(({ result }) =>
      typeof result?.compiler === 'string' ? [result.compiler] : [],
    ),
  );
  const loads = Object.values(sections);
  const rows: readonly (readonly [string, string])[] = [
    ['processor', `${machine.processor}, ${machine.cores} cores`],
    ['caches', machine.caches],
    ['governor', machine.governor],
    ['memory', machine.memory],
    ['system', `${machine.system}, Linux ${machine.kernel}`],
    ['compiler', [...compilers].join('; ') || 'not told'],
    ['Node', machine.node],
    [
      'load average',
      loads.length === 0
        ? 'not told'
        : `${loads[0]!.loadBefore} at the start, ${loads.at(-1)!.loadAfter} at the end (1, 5, 15 minutes; the benches are part of it)`,
    ],
  ];
  return `<section><h2>Measured on</h2><div class="scroll"><table>${rows
    .map(([name, value]) => `<tr><th>${escaped(name)}</th><td>${escaped(value)}</td></tr>`)
    .join('')}</table></div></section>`;
}

function sectionOf(entry: BenchEntry, section: Section | undefined): string {
  const head = [
    `<section id="${entry.name}"><h2>${escaped(entry.sentence)}</h2>`,
    `<pre>${escaped(entry.picture)}</pre>`,
    `<p>${escaped(entry.workload)}</p>`,
  ];
  if (section === undefined) return [...head, '<p class="warning">Not measured.</p></section>'].join('\n');
  head.push(
    `<p class="soft"><code>${escaped(section.command)}</code>, ${section.seconds} s, load average ${escaped(section.loadBefore)} before and ${escaped(section.loadAfter)} after.</p>`,
  );
  const { result } = section;
  if (result === undefined) {
    const why = escaped(section.failure ?? 'it ended without a result');
    return [...head, `<p class="warning">Not measured: ${why}</p></section>`].join('\n');
  }
  const { cases, ...common } = result;
  const facts = Object.entries(common)
    .filter(([name]) => name !== 'compiler' && name !== 'node')
    .map(([name, value]) => `${headOf(name)} ${String(value)}`)
    .join(', ');
  return [
    ...head,
    ...plotsOf(entry.name, cases),
    tableOf(cases),
    `<p class="soft">${escaped(facts)}</p></section>`,
  ].join('\n');
}

function tableOf(cases: readonly BenchCase[]): string {
  const fields = fieldsOf(cases);
  const numeric = new Set(
    fields.filter((field) => cases.every((one) => typeof (one[field] ?? 0) === 'number')),
  );
  const of = (field: string): string => (numeric.has(field) ? ' class="number"' : '');
  const heads = fields.map((field) => `<th${of(field)}>${escaped(headOf(field))}</th>`).join('');
  const rows = cases.map(
    (one) =>
      `<tr>${fields.map((field) => `<td${of(field)}>${escaped(shown(one[field]))}</td>`).join('')}</tr>`,
  );
  return `<div class="scroll"><table><thead><tr>${heads}</tr></thead><tbody>${rows.join('')}</tbody></table></div>`;
}

function shown(value: Figure | undefined): string {
  if (value === undefined) return '';
  if (typeof value !== 'number') return String(value);
  return Number.isInteger(value) ? value.toLocaleString('en-US') : String(value);
}
