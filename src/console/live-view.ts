// The live view: a panel redrawn in place below what was printed before it, or a plain line now and then.
import type { WriteStream } from 'node:tty';
import type { Figures, FigureTaker } from './figures.ts';
import { bytes, nanoseconds, thousands } from './format.ts';
import { colours, cut, noColours, type Paint, panel } from './panel.ts';

export interface View {
  stop(): void;
}

const esc = '\u001b';
const redrawEveryMs = 500;
const lineEveryMs = 5_000;
/** The first line comes soon: it says that the node lives. */
const firstLineMs = 1_000;
const historyMax = 60;

/** Draws on a terminal until stopped; the last panel stays on the screen. */
export class LiveView implements View {
  readonly #out: WriteStream;
  readonly #taker: FigureTaker;
  readonly #title: string;
  readonly #banner: string;
  readonly #paint: Paint;
  readonly #history: number[] = [];
  readonly #timer: NodeJS.Timeout;
  readonly #onResize = (): void => this.#resized();
  #drawn = 0;
  #figures: Figures;

  /** The banner is what stands above the panel, and is written again when a resize has upset the screen. */
  constructor(out: WriteStream, taker: FigureTaker, title: string, banner: string) {
    this.#out = out;
    this.#taker = taker;
    this.#title = title;
    this.#banner = banner;
    this.#paint = out.hasColors() ? colours : noColours;
    this.#figures = taker.look();
    out.write(`${esc}[?25l`);
    out.on('resize', this.#onResize);
    this.#timer = setInterval(() => this.#tick(), redrawEveryMs);
    this.#draw();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#out.off('resize', this.#onResize);
    this.#figures = this.#taker.look();
    this.#draw();
    this.#out.write(`${esc}[?25h`);
  }

  #tick(): void {
    this.#figures = this.#taker.look();
    this.#history.push(this.#figures.tradesPerSecond);
    if (this.#history.length > historyMax) this.#history.shift();
    this.#draw();
  }

  /** The terminal has reflowed what was drawn: nobody knows where it stands now, so all of it is drawn anew. */
  #resized(): void {
    this.#out.write(`${esc}[2J${esc}[H${this.#banner}`);
    this.#drawn = 0;
    this.#draw();
  }

  #draw(): void {
    const width = this.#out.columns;
    const lines = panel({
      title: this.#title,
      figures: this.#figures,
      width,
      height: this.#out.rows - 1,
      paint: this.#paint,
      history: this.#history,
    });
    // One write, so that the terminal never shows a half. Each line is cut, so that none wraps and upsets the count.
    const up = this.#drawn > 0 ? `${esc}[${this.#drawn}A` : '';
    const body = lines.map((line) => `${esc}[2K${cut(line, width - 1)}\n`).join('');
    this.#out.write(`${up}\r${body}${esc}[J`);
    this.#drawn = lines.length;
  }
}

/** One line every few seconds, for logs and pipes. */
export class PlainView implements View {
  #timer: NodeJS.Timeout;

  constructor(print: (line: string) => void, taker: FigureTaker) {
    const tell = (): void => {
      print(plainLine(taker.look()));
      this.#timer = setTimeout(tell, lineEveryMs);
    };
    this.#timer = setTimeout(tell, firstLineMs);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}

export function plainLine(figures: Figures): string {
  const parts = [
    `position ${figures.position}`,
    `durable ${figures.durablePosition}`,
    `commands/s ${thousands(figures.commandsPerSecond)}`,
    `trades/s ${thousands(figures.tradesPerSecond)}`,
    `journal ${bytes(figures.journalBytes)}`,
  ];
  const { latency } = figures;
  if (latency !== undefined) parts.push(`p50 ${nanoseconds(latency.p50)}`, `p99 ${nanoseconds(latency.p99)}`);
  for (const { instrument, bids, asks } of figures.instruments) {
    parts.push(`${instrument} ${bids[0]?.[0] ?? '–'}/${asks[0]?.[0] ?? '–'}`);
  }
  if (figures.fault !== undefined) parts.push(`FAULT ${String(figures.fault)}`);
  return parts.join('  ');
}
