/** How far a long command is: a bar on a terminal, otherwise a line every five seconds. Standard error only. */
import { grouped, type Output } from './output.ts';

const barEveryMs = 100;
const lineEveryMs = 5000;
const barWidth = 30;

export class Progress {
  readonly #output: Output;
  readonly #what: string;
  readonly #started = performance.now();
  #shown = this.#started;
  #drawn = false;

  constructor(output: Output, what: string) {
    this.#output = output;
    this.#what = what;
  }

  show(part: number, count: number): void {
    const now = performance.now();
    const bar = this.#output.terminal;
    if (now - this.#shown < (bar ? barEveryMs : lineEveryMs)) return;
    this.#shown = now;
    const rate = grouped(count / ((now - this.#started) / 1000));
    const text = `${Math.floor(part * 100)}%  ${grouped(count)} ${this.#what}  ${rate}/s`;
    if (!bar) {
      this.#output.say(text);
      return;
    }
    const filled = Math.round(part * barWidth);
    this.#output.status(`[${'█'.repeat(filled)}${'·'.repeat(barWidth - filled)}] ${text}`);
    this.#drawn = true;
  }

  end(): void {
    if (this.#drawn) this.#output.status('');
    this.#drawn = false;
  }
}
