// The plots of the report: horizontal bars, and lines over a logarithmic axis. What is no number, or cannot stand on its axis, is left out.
import { colourOf, drawing, element, escaped, label, linearScale, logScale, type Scale } from './svg.ts';

const width = 860;
const grid = '#d8dce2';
const ink = '#1c2430';
const soft = '#5a6472';

export interface Bar {
  readonly label: string;
  readonly value: number;
  /** Bars of one series have one colour; left out: all the same. */
  readonly series?: string;
}

export interface BarPlot {
  readonly title: string;
  readonly bars: readonly Bar[];
  readonly shown: (value: number) => string;
  /** A value to compare with, drawn across. */
  readonly mark?: { readonly value: number; readonly label: string };
}

const barHeight = 20;
const barGap = 8;
const labelWidth = 300;
const valueWidth = 90;

/** One bar under the other, from 0. Empty where there is no bar. */
export function barPlot({ title, bars, shown, mark }: BarPlot): string {
  const good = bars.filter(({ value }) => Number.isFinite(value) && value >= 0);
  if (good.length === 0) return '';
  const series = [...new Set(good.map((bar) => bar.series ?? ''))];
  const top = 34;
  const legend = series.length > 1 ? 24 : 0;
  const bottom = top + good.length * (barHeight + barGap);
  const axis = linearScale(
    [...good.map(({ value }) => value), ...(mark === undefined ? [] : [mark.value])],
    labelWidth,
    width - valueWidth,
  );
  const parts = [label(0, 16, title, { 'font-size': 14, 'font-weight': 600, fill: ink })];
  for (const tick of axis.ticks) {
    const x = axis.at(tick);
    parts.push(element('line', { x1: x, x2: x, y1: top - 4, y2: bottom, stroke: grid }));
    parts.push(label(x, bottom + 16, shown(tick), { 'text-anchor': 'middle', fill: soft }));
  }
  for (const [index, bar] of good.entries()) {
    const y = top + index * (barHeight + barGap);
    const x = axis.at(bar.value);
    parts.push(
      label(labelWidth - 10, y + barHeight - 6, clipped(bar.label, 46), { 'text-anchor': 'end', fill: ink }),
      element(
        'rect',
        {
          x: labelWidth,
          y,
          width: Math.max(1, x - labelWidth),
          height: barHeight,
          fill: colourOf(series.indexOf(bar.series ?? '')),
        },
        element('title', {}, escaped(`${bar.label}: ${shown(bar.value)}`)),
      ),
      label(x + 6, y + barHeight - 6, shown(bar.value), { fill: ink }),
    );
  }
  if (mark !== undefined) {
    const x = axis.at(mark.value);
    parts.push(
      element('line', { x1: x, x2: x, y1: top - 6, y2: bottom, stroke: ink, 'stroke-dasharray': '4 3' }),
      label(Math.min(x + 4, width - 4), top - 10, mark.label, {
        fill: soft,
        'text-anchor': x > width - 200 ? 'end' : 'start',
      }),
    );
  }
  if (legend > 0) parts.push(...legendOf(series, labelWidth, bottom + 38));
  return drawing(width, bottom + 26 + legend, title, parts);
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface Line {
  readonly name: string;
  readonly points: readonly Point[];
}

export interface LinePlot {
  readonly title: string;
  readonly lines: readonly Line[];
  readonly x: {
    readonly label: string;
    readonly shown: (value: number) => string;
    /** Places with names in place of a logarithmic axis: x counts them from 0. */
    readonly places?: readonly string[];
  };
  readonly y: {
    readonly label: string;
    readonly shown: (value: number) => string;
    /** Logarithmic unless said otherwise; then it begins at 0. */
    readonly linear?: boolean;
  };
  /** A value to compare with, drawn across. */
  readonly mark?: { readonly value: number; readonly label: string };
}

const plotTop = 52;
const plotBottom = 340;
const plotLeft = 82;
const plotRight = width - 24;

/** Lines with a mark on every point. Empty where no line has a point. */
export function linePlot({ title, lines, x, y, mark }: LinePlot): string {
  const { places } = x;
  const fits = (point: Point): boolean =>
    Number.isFinite(point.x) &&
    Number.isFinite(point.y) &&
    (places !== undefined || point.x > 0) &&
    (y.linear === true ? point.y >= 0 : point.y > 0);
  const good = lines
    .map(({ name, points }) => ({ name, points: points.filter(fits) }))
    .filter(({ points }) => points.length > 0);
  if (good.length === 0) return '';
  const all = good.flatMap(({ points }) => points);
  const across =
    places === undefined
      ? logScale(
          all.map((point) => point.x),
          plotLeft,
          plotRight,
        )
      : placeScale(places.length);
  const heights = [...all.map((point) => point.y), ...(mark === undefined ? [] : [mark.value])];
  const up = (y.linear === true ? linearScale : logScale)(heights, plotBottom, plotTop);
  const parts = [
    label(0, 16, title, { 'font-size': 14, 'font-weight': 600, fill: ink }),
    label(0, 38, y.label, { fill: soft }),
    label(plotRight, plotBottom + 40, x.label, { 'text-anchor': 'end', fill: soft }),
  ];
  for (const tick of up.ticks) {
    const at = up.at(tick);
    parts.push(
      element('line', { x1: plotLeft, x2: plotRight, y1: at, y2: at, stroke: grid }),
      label(plotLeft - 8, at + 4, y.shown(tick), { 'text-anchor': 'end', fill: soft }),
    );
  }
  for (const tick of across.ticks) {
    const at = across.at(tick);
    parts.push(
      element('line', { x1: at, x2: at, y1: plotTop, y2: plotBottom, stroke: grid }),
      label(at, plotBottom + 18, places?.[tick] ?? x.shown(tick), { 'text-anchor': 'middle', fill: soft }),
    );
  }
  if (mark !== undefined) {
    const at = up.at(mark.value);
    parts.push(
      element('line', {
        x1: plotLeft,
        x2: plotRight,
        y1: at,
        y2: at,
        stroke: ink,
        'stroke-dasharray': '4 3',
      }),
      label(plotRight, at - 5, mark.label, { 'text-anchor': 'end', fill: soft }),
    );
  }
  for (const [index, { name, points }] of good.entries()) {
    const colour = colourOf(index);
    const path = points.map((point) => `${round(across.at(point.x))},${round(up.at(point.y))}`).join(' ');
    parts.push(
      element('polyline', { points: path, fill: 'none', stroke: colour, 'stroke-width': 2 }),
      ...points.map((point) =>
        element(
          'circle',
          { cx: across.at(point.x), cy: up.at(point.y), r: 3.5, fill: colour },
          element(
            'title',
            {},
            escaped(`${name}, ${places?.[point.x] ?? x.shown(point.x)}: ${y.shown(point.y)}`),
          ),
        ),
      ),
    );
  }
  parts.push(
    ...legendOf(
      good.map(({ name }) => name),
      plotLeft,
      plotBottom + 64,
    ),
  );
  return drawing(width, plotBottom + 62 + 20 * legendRows(good.map(({ name }) => name)), title, parts);
}

function placeScale(count: number): Scale {
  const step = (plotRight - plotLeft) / count;
  return {
    at: (index) => plotLeft + step * (index + 0.5),
    ticks: Array.from({ length: count }, (_, index) => index),
  };
}

const entryWidth = (name: string): number => 34 + name.length * 6.6;

function legendRows(names: readonly string[]): number {
  let [rows, x] = [1, plotLeft];
  for (const name of names) {
    if (x + entryWidth(name) > width && x > plotLeft) [rows, x] = [rows + 1, plotLeft];
    x += entryWidth(name);
  }
  return rows;
}

function legendOf(names: readonly string[], left: number, top: number): string[] {
  let [x, y] = [left, top];
  return names.flatMap((name, index) => {
    if (x + entryWidth(name) > width && x > left) [x, y] = [left, y + 20];
    const parts = [
      element('rect', { x, y: y - 10, width: 12, height: 12, fill: colourOf(index) }),
      label(x + 18, y, name, { fill: ink }),
    ];
    x += entryWidth(name);
    return parts;
  });
}

function clipped(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}

function round(value: number): number {
  return Number(value.toFixed(2));
}
