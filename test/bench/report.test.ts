import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { reportPage } from '../../src/bench/report/page.ts';
import { barPlot, linePlot } from '../../src/bench/report/plots.ts';
import { duration, linearScale, logScale, shortNumber } from '../../src/bench/report/svg.ts';
import { writeReport } from '../../src/bench/report/write.ts';
import { fixedReport, plotTitles } from './fixed-report.ts';

/** Tags opened and closed in order, attributes quoted, no bare `<` or `&`: what an XML parser asks of it. */
function wrongXml(text: string): string[] {
  const wrong: string[] = [];
  const open: string[] = [];
  const rest = text.replace(
    /<(\/?)([a-zA-Z][\w:-]*)((?:\s+[\w:-]+="[^"<]*")*)\s*(\/?)>/g,
    (_, closing: string, name: string, attributes: string, alone: string) => {
      const names = [...attributes.matchAll(/([\w:-]+)="/g)].map(([, attribute]) => attribute);
      if (new Set(names).size !== names.length) wrong.push(`${name} has an attribute twice`);
      if (closing === '/') {
        if (open.pop() !== name) wrong.push(`</${name}> closes nothing`);
      } else if (alone !== '/') open.push(name);
      return attributes;
    },
  );
  if (/[<>]/.test(rest)) wrong.push('a < or > that is no tag');
  if (/&(?!(?:amp|lt|gt|quot|#\d+);)/.test(rest)) wrong.push('an & that is no entity');
  if (open.length > 0) wrong.push(`${open.join(', ')} left open`);
  return wrong;
}

function drawings(page: string): string[] {
  return page.match(/<svg[\s\S]*?<\/svg>/g) ?? [];
}

/** What a plot's coordinates are: everything that stands where a number should. */
function coordinates(svg: string): number[] {
  const attributes = [...svg.matchAll(/\s(?:x|y|x1|x2|y1|y2|cx|cy|r|width|height)="([^"]*)"/g)];
  const points = [...svg.matchAll(/\spoints="([^"]*)"/g)].flatMap(([, list]) => (list ?? '').split(/[ ,]/));
  return [...attributes.map(([, value]) => value ?? ''), ...points].map((text) =>
    text === '' ? Number.NaN : Number(text),
  );
}

describe('the page', () => {
  const page = reportPage(fixedReport);
  const plots = drawings(page);

  test('has every plot', () => {
    const titles = plots.map((svg) => /aria-label="([^"]*)"/.exec(svg)?.[1] ?? '');
    for (const title of plotTitles) expect(titles.filter((one) => title.test(one))).toHaveLength(1);
    expect(titles).toHaveLength(plotTitles.length);
  });

  test('draws valid SVG, every coordinate a number inside of the picture', () => {
    for (const svg of plots) {
      expect(wrongXml(svg)).toEqual([]);
      const [, width, height] = /viewBox="0 0 (\S+) (\S+)"/.exec(svg) ?? [];
      const most = Math.max(Number(width), Number(height));
      for (const at of coordinates(svg)) {
        expect(at).toBeGreaterThanOrEqual(0);
        expect(at).toBeLessThanOrEqual(most);
      }
    }
  });

  test('has no figure that is none', () => {
    expect(page).not.toMatch(/NaN|undefined|Infinity|\[object/);
  });

  test('needs nothing from elsewhere', () => {
    expect(page).not.toMatch(/<script|<link|src=|@import|url\(/);
  });

  test('says what it was measured on, and how', () => {
    for (const text of [
      'A &quot;Fast&quot; &amp; Small &lt;Processor&gt;, 8 cores',
      'g++ 12.2.0',
      'Linux 6.1',
      '0.01 0.02 0.03 before and 1.00 0.50 0.20 after',
      'verbex bench report &lt;fixed&gt;',
      '<code>verbex bench scale</code>',
    ]) {
      expect(page).toContain(text);
    }
  });

  test('begins with the figures that the aims name', () => {
    for (const text of ['<b>5 M/s</b>', '<b>40 µs</b>', '<b>3 M/s</b>', '<b>127.5 B</b>'])
      expect(page).toContain(text);
  });

  test('tells a bench that failed, and one that was not run', () => {
    const failure = 'ring_bench ended with 1 <sorry>';
    const { ring, node: _, ...others } = fixedReport.sections;
    const { result: __, ...outcome } = ring!;
    const broken = reportPage({ ...fixedReport, sections: { ...others, ring: { ...outcome, failure } } });
    expect(broken).toContain('Not measured: ring_bench ended with 1 &lt;sorry&gt;');
    expect(broken).toContain('Not measured.');
    expect(drawings(broken)).toHaveLength(plotTitles.length - 6);
  });

  test('says of a quick run that it is one', () => {
    expect(page).not.toContain('A quick run');
    expect(reportPage({ ...fixedReport, quick: true })).toContain('A quick run');
  });

  test('is written with everything measured beside it', () => {
    const folder = mkdtempSync(join(tmpdir(), 'verbex-report-'));
    const path = writeReport(fixedReport, folder);
    expect(readFileSync(path, 'utf8')).toBe(page);
    expect(JSON.parse(readFileSync(join(folder, 'results.json'), 'utf8'))).toEqual(fixedReport);
    rmSync(folder, { recursive: true });
  });
});

describe('plots', () => {
  const shown = String;

  test('what is no number is left out, and nothing is drawn of nothing', () => {
    const none = { label: 'none', value: Number.NaN };
    expect(barPlot({ title: 'b', bars: [none], shown })).toBe('');
    const plot = barPlot({ title: 'b', bars: [none, { label: 'a', value: 0 }], shown });
    expect(plot).not.toContain('none');
    const axes = { x: { label: 'x', shown }, y: { label: 'y', shown } };
    expect(linePlot({ title: 'l', lines: [{ name: 'a', points: [{ x: 0, y: 1 }] }], ...axes })).toBe('');
    const points = [
      { x: 1, y: 0 },
      { x: 10, y: 5 },
      { x: Number.NaN, y: 5 },
    ];
    const line = linePlot({ title: 'l', lines: [{ name: 'a', points }], ...axes });
    expect(line.match(/<circle/g)).toHaveLength(1);
    expect(line).not.toContain('NaN');
  });

  test('a longer bar is longer', () => {
    const svg = barPlot({
      title: 'b',
      shown,
      bars: [
        { label: 'a', value: 1 },
        { label: 'b', value: 2 },
      ],
    });
    const [short, long] = [...svg.matchAll(/<rect x="300" y="\d+" width="([\d.]+)"/g)].map(([, width]) =>
      Number(width),
    );
    expect(long! / short!).toBeCloseTo(2, 2);
  });

  test('scales meet their ends', () => {
    const linear = linearScale([0, 9], 100, 200);
    expect(linear.ticks).toEqual([0, 5, 10]);
    expect([linear.at(0), linear.at(10)]).toEqual([100, 200]);
    const log = logScale([30, 700], 0, 100);
    expect(log.ticks).toEqual([20, 50, 100, 200, 500, 1000]);
    expect([log.at(20), log.at(1000)]).toEqual([0, 100]);
    expect(logScale([1, 1e6], 0, 1).ticks).toEqual([1, 10, 100, 1000, 1e4, 1e5, 1e6]);
    for (const scale of [logScale([], 0, 1), logScale([5], 0, 1)]) {
      expect(scale.ticks.every(Number.isFinite)).toBe(true);
      expect(scale.ticks.length).toBeGreaterThan(1);
    }
  });

  test('numbers are short', () => {
    expect([0, 999, 1234, 5_432_100, 2e9].map(shortNumber)).toEqual(['0', '999', '1.23 k', '5.43 M', '2 G']);
    expect([850, 12_340, 4.5e6, 1.2e9].map(duration)).toEqual(['850 ns', '12.3 µs', '4.5 ms', '1.2 s']);
  });
});
