/**
 * Standard output is what a command answers, standard error everything on the way. With --json the answer is one object on the
 * last line; without, tables and sentences for people.
 */
import { NativeError, VerbexError } from '../errors/errors.ts';

export interface Streams {
  /** `once` is there on real streams: a reader that is slower than we are is waited for. */
  readonly out: { write(text: string): unknown; once?(event: 'drain', listener: () => void): unknown };
  readonly err: { write(text: string): unknown; readonly isTTY?: boolean };
}

export class Output {
  readonly json: boolean;
  readonly #streams: Streams;

  constructor(streams: Streams, json: boolean) {
    this.#streams = streams;
    this.json = json;
  }

  /** On the way: standard error. */
  say(text: string): void {
    this.#streams.err.write(`${text}\n`);
  }

  /** Over the same line again and again: terminals only. */
  status(text: string): void {
    this.#streams.err.write(`\r\x1b[2K${text}`);
  }

  get terminal(): boolean {
    return this.#streams.err.isTTY === true;
  }

  /** Many lines of the answer itself, with and without --json; resolves when there is room for more. */
  async lines(text: string): Promise<void> {
    const { out } = this.#streams;
    const full = out.write(text) === false;
    if (full && out.once !== undefined) await new Promise<void>((resolve) => out.once?.('drain', resolve));
  }

  /** The answer: the object with --json, otherwise the text. */
  answer(object: Readonly<Record<string, unknown>>, text: string): void {
    this.#streams.out.write(this.json ? `${jsonText(object)}\n` : `${text}\n`);
  }

  /** The answer where it is JSON text already, one line without blanks. */
  answerJson(line: string, text: () => string): void {
    this.#streams.out.write(this.json ? `${line}\n` : `${text()}\n`);
  }

  fail(error: unknown): void {
    const known = error instanceof VerbexError ? error : undefined;
    const code = known?.code ?? 'INTERNAL_ERROR';
    const message = error instanceof Error ? error.message : String(error);
    this.say(`verbex: ${code}: ${message}`);
    const place = known instanceof NativeError ? known.place : undefined;
    if (place !== undefined) this.say(`  at ${placeText(place)}`);
    if (known === undefined && error instanceof Error && error.stack !== undefined) this.say(error.stack);
    if (!this.json) return;
    const facts = { ...known?.details, ...(place === undefined ? {} : { place }) };
    this.#streams.out.write(`${jsonText({ error: { code, message, ...facts } })}\n`);
  }
}

/** Positions are bigints; in the answers they are JSON numbers. */
export function jsonText(value: unknown): string {
  return JSON.stringify(value, (_, member: unknown) => {
    if (typeof member !== 'bigint') return member;
    const number = Number(member);
    return Number.isSafeInteger(number) ? number : member.toString();
  });
}

export function placeText(place: Readonly<Record<string, unknown>>): string {
  const { file, offset, position, expectedPosition, what } = place;
  const at = position ?? expectedPosition;
  return [
    `${String(file)}, byte ${String(offset)}`,
    at === undefined ? '' : `, position ${String(at)}`,
    what === undefined ? '' : `: ${String(what)}`,
  ].join('');
}

/** Columns under heads; numbers to the right. */
export function table(
  heads: readonly string[],
  rows: readonly (readonly (string | number | bigint)[])[],
): string {
  const texts = rows.map((row) => row.map(String));
  const widths = heads.map((head, at) => Math.max(head.length, ...texts.map((row) => row[at]?.length ?? 0)));
  const right = heads.map(
    (_, at) => rows.length > 0 && texts.every((row) => /^-?[\d.,]*$/.test(row[at] ?? '')),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, at) => (right[at] ? cell.padStart(widths[at]!) : cell.padEnd(widths[at]!)))
      .join('  ')
      .trimEnd();
  return [line(heads), ...texts.map(line)].join('\n');
}

/** `name  value` lines. */
export function facts(rows: readonly (readonly [string, string | number | bigint])[]): string {
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join('\n');
}

/** 1234567.8 to "1,234,568". */
export function grouped(value: number | bigint): string {
  return (typeof value === 'number' ? Math.round(value) : value)
    .toString()
    .replace(/\B(?=(\d{3})+(?!\d))/g, ',');
}
