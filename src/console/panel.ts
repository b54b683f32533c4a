// The panel as lines of text: pure, so that a test can read it.
import type { Figures, InstrumentFigures } from './figures.ts';
import { bytes, decimalsOf, duration, nanoseconds, price, thousands } from './format.ts';

export interface Paint {
  readonly dim: (text: string) => string;
  readonly bold: (text: string) => string;
  readonly green: (text: string) => string;
  readonly red: (text: string) => string;
  readonly cyan: (text: string) => string;
}

const esc = '\u001b';
const wrapped = (on: number, off: number) => (text: string) => `${esc}[${on}m${text}${esc}[${off}m`;
const asIs = (text: string): string => text;

export const colours: Paint = {
  dim: wrapped(2, 22),
  bold: wrapped(1, 22),
  green: wrapped(32, 39),
  red: wrapped(31, 39),
  cyan: wrapped(36, 39),
};
export const noColours: Paint = { dim: asIs, bold: asIs, green: asIs, red: asIs, cyan: asIs };

/** The widest the panel gets, however wide the terminal is. */
export const widthMax = 100;
const widthMin = 40;

/** Columns that a text takes, without what only paints. */
export function visibleLength(text: string): number {
  return [...plain(text)].length;
}

export function plain(text: string): string {
  return text.replaceAll(new RegExp(`${esc}\\[\\d+m`, 'g'), '');
}

/** Cut to `width` columns; what paints is kept whole. */
export function cut(text: string, width: number): string {
  if (visibleLength(text) <= width) return text;
  let left = width;
  let kept = '';
  for (const [part] of text.matchAll(new RegExp(`${esc}\\[\\d+m|.`, 'gu'))) {
    if (part.startsWith(esc)) kept += part;
    else if (left-- > 0) kept += part;
  }
  return kept;
}

function spread(left: string, right: string, width: number): string {
  return left + ' '.repeat(Math.max(1, width - visibleLength(left) - visibleLength(right))) + right;
}

const eighths = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/** A bar of up to `columns`, in eighths of a column. */
function bar(share: number, columns: number): string {
  const parts = Math.max(1, Math.round(share * columns * 8));
  return '█'.repeat(Math.floor(parts / 8)) + (eighths[parts % 8] ?? '');
}

/** The mirror image has no eighths to grow from the right: whole and half columns. */
function barFromRight(share: number, columns: number): string {
  const halves = Math.max(1, Math.round(share * columns * 2));
  return (halves % 2 === 1 ? '▐' : '') + '█'.repeat(Math.floor(halves / 2));
}

const sparks = '▁▂▃▄▅▆▇█';

export function spark(values: readonly number[]): string {
  const most = Math.max(1, ...values);
  return values.map((value) => sparks[Math.min(7, Math.floor((value / most) * 7.99))] ?? ' ').join('');
}

export interface PanelInput {
  readonly title: string;
  readonly figures: Figures;
  readonly width: number;
  /** Lines there are; what matters least goes first. */
  readonly height: number;
  readonly paint: Paint;
  /** Trades a second of the last looks, oldest first. */
  readonly history: readonly number[];
}

export function panel({ title, figures, width: columns, height, paint, history }: PanelInput): string[] {
  const width = Math.max(widthMin, Math.min(widthMax, columns - 1));
  const rule = paint.dim('─'.repeat(width));
  const head = [
    spread(
      ` ${paint.bold(paint.cyan('VERBEX'))}  ${title}`,
      paint.dim(`up ${duration(figures.upMs)}  Ctrl-C stops `),
      width,
    ),
    rule,
  ];
  const tops = topOfBook(figures, width, paint);
  const node = nodeLines(figures, width, paint, history);
  const [first] = figures.instruments;
  const room = height - head.length - tops.length - node.length - 2;
  const depth =
    first === undefined || room < 3 ? [] : [...ladder(first, width, Math.min(6, room - 2), paint), rule];
  const lines = [...head, ...tops, rule, ...depth, ...node];
  return lines.slice(0, Math.max(1, height)).map((line) => cut(line, width));
}

function topOfBook({ instruments }: Figures, width: number, paint: Paint): string[] {
  if (instruments.length === 0)
    return [paint.dim(' no instruments yet: the operator adds them (docs/http-api.md)')];
  const wide = width >= 78;
  // A size of 0 leaves the column out.
  const sizes = wide ? [9, 10, 10, 10, 10, 12, 9] : [8, 0, 10, 10, 0, 12, 0];
  const cells = (texts: readonly string[]): string =>
    texts
      .map((text, index) => {
        const size = sizes[index] ?? 0;
        if (size === 0) return '';
        const pad = ' '.repeat(Math.max(0, size - visibleLength(text)));
        return index === 0 ? text + pad : pad + text;
      })
      .filter((text) => text !== '')
      .join(' ');
  const title = ` ${cells(['', 'bid qty', 'bid', 'ask', 'ask qty', 'last', 'trades/s'].map((text) => paint.dim(text)))}`;
  const rows = instruments.map((one) => {
    const [ticks, lots] = [decimalsOf(one.tickSize), decimalsOf(one.lotSize)];
    const [bid, ask] = [one.bids[0], one.asks[0]];
    const shown = (text: string | undefined, decimals: number): string =>
      text === undefined ? '–' : price(text, decimals);
    const arrow = one.direction > 0 ? paint.green('▲') : one.direction < 0 ? paint.red('▼') : ' ';
    return ` ${cells([
      paint.bold(one.instrument),
      paint.dim(shown(bid?.[1], lots)),
      paint.green(shown(bid?.[0], ticks)),
      paint.red(shown(ask?.[0], ticks)),
      paint.dim(shown(ask?.[1], lots)),
      `${shown(one.last ?? undefined, ticks)} ${arrow}`,
      thousands(one.tradesPerSecond),
    ])}`;
  });
  return [title, ...rows];
}

function ladder(one: InstrumentFigures, width: number, count: number, paint: Paint): string[] {
  const [ticks, lots] = [decimalsOf(one.tickSize), decimalsOf(one.lotSize)];
  const bids = one.bids.slice(0, count);
  const asks = one.asks.slice(0, count);
  const most = Math.max(Number.MIN_VALUE, ...[...bids, ...asks].map(([, quantity]) => Number(quantity)));
  const [quantityWide, priceWide] = [10, 11];
  const barWide = Math.max(4, Math.floor((width - 3) / 2) - quantityWide - priceWide - 3);
  const lines: string[] = [];
  for (let row = 0; row < count; row++) {
    const [bid, ask] = [bids[row], asks[row]];
    const left =
      bid === undefined
        ? ' '.repeat(quantityWide + barWide + priceWide + 2)
        : `${paint.dim(price(bid[1], lots).padStart(quantityWide))} ${paint.green(barFromRight(Number(bid[1]) / most, barWide).padStart(barWide))} ${paint.green(price(bid[0], ticks).padStart(priceWide))}`;
    const right =
      ask === undefined
        ? ''
        : `${paint.red(price(ask[0], ticks).padEnd(priceWide))} ${paint.red(bar(Number(ask[1]) / most, barWide).padEnd(barWide))} ${paint.dim(price(ask[1], lots).padStart(quantityWide))}`;
    lines.push(` ${left} ${paint.dim('│')} ${right}`);
  }
  return [paint.dim(` ${one.instrument} depth`), ...lines];
}

function nodeLines(figures: Figures, width: number, paint: Paint, history: readonly number[]): string[] {
  const label = (text: string): string => paint.dim(text);
  const pair = (name: string, value: string): string => `${label(name)} ${value}`;
  const row = (head: string, ...pairs: string[]): string => ` ${label(head.padEnd(9))}${pairs.join('   ')}`;
  const { latency } = figures;
  const lag = figures.position - figures.durablePosition;
  const rates = row(
    'flow',
    pair('commands/s', paint.bold(thousands(figures.commandsPerSecond))),
    pair('trades/s', paint.bold(thousands(figures.tradesPerSecond))),
    pair('rejects/s', thousands(figures.rejectsPerSecond)),
  );
  const room = width - visibleLength(rates) - 3;
  const lines = [
    room >= 10 ? spread(rates, `${paint.cyan(spark(history.slice(-room)))} `, width) : rates,
    latency === undefined
      ? row('latency', label('measured on the demo crowd’s orders'))
      : row(
          'latency',
          pair('p50', paint.bold(nanoseconds(latency.p50))),
          pair('p90', nanoseconds(latency.p90)),
          pair('p99', nanoseconds(latency.p99)),
          pair('p99.9', nanoseconds(latency.p999)),
          pair('max', nanoseconds(latency.max)),
        ),
    row(
      'journal',
      pair('position', paint.bold(thousands(figures.position))),
      pair('durable', lag > 0n ? `−${thousands(lag)}` : 'all'),
      pair('snapshot', thousands(figures.snapshotPosition)),
      bytes(figures.journalBytes),
    ),
    row(
      'node',
      pair('http', String(figures.httpClients)),
      pair('ws', String(figures.webSocketClients)),
      ...(figures.openOrders === undefined ? [] : [pair('demo orders', thousands(figures.openOrders))]),
      pair('memory', bytes(figures.memoryBytes)),
    ),
  ];
  if (figures.fault !== undefined)
    lines.push(paint.red(` the books shown cannot be trusted: ${String(figures.fault)}`));
  return lines;
}
