/** The two files that a replay may write: every event as a line of JSON, and the best prices as CSV. */
import { closeSync, openSync, writeSync } from 'node:fs';
import type { Event } from '../api/types.ts';
import type { InstrumentBook } from '../mirror/book-mirror.ts';
import { ReplayError } from './replay-error.ts';

const bufferChars = 1 << 18;
/** Fields that hold names and ids, which stand in the file as its lines have them. */
const named: ReadonlySet<string> = new Set([
  'id',
  'newId',
  'account',
  'instrument',
  'asset',
  'parent',
  'other',
  'maker',
  'taker',
  'makerAccount',
  'takerAccount',
]);

/** Text written in large pieces, synchronously: a replay is never faster than its own output. */
export class TextFile {
  readonly #path: string;
  readonly #file: number;
  #text = '';

  constructor(path: string) {
    this.#path = path;
    this.#file = this.#try(() => openSync(path, 'w'));
  }

  write(text: string): void {
    this.#text += text;
    if (this.#text.length >= bufferChars) this.flush();
  }

  flush(): void {
    const bytes = Buffer.from(this.#text);
    this.#text = '';
    this.#try(() => {
      for (let at = 0; at < bytes.length; ) at += writeSync(this.#file, bytes, at);
    });
  }

  close(): void {
    this.flush();
    closeSync(this.#file);
  }

  #try<T>(work: () => T): T {
    try {
      return work();
    } catch (cause) {
      throw new ReplayError('REPLAY_OUTPUT_FAILED', `${this.#path}: ${(cause as Error).message}`, { cause });
    }
  }
}

/** `position`, `event`, `id` first, then everything else that the event says. A trade's id is the taker's. */
export function eventLine(event: Event, original: (name: string) => string): string {
  const fields = event as unknown as Record<string, unknown>;
  const id = event.event === 'trade' ? event.taker : fields.id;
  let line = `{"position":${event.position},"event":"${event.event}","id":${
    typeof id === 'string' && id !== '' ? JSON.stringify(original(id)) : 'null'
  }`;
  for (const name in fields) {
    if (name === 'position' || name === 'event' || name === 'id' || name === 'last') continue;
    const value = fields[name];
    if (value === undefined) continue;
    if (typeof value === 'string')
      line += `,"${name}":${JSON.stringify(named.has(name) ? original(value) : value)}`;
    else line += `,"${name}":${value}`; // Numbers, bigints (positions and order ids), booleans.
  }
  return `${line}}\n`;
}

export const bboHeader = 'position,instrument,bid,bidQuantity,ask,askQuantity\n';

/** Writes a line whenever a command has left another best price or another quantity on it. */
export class BestPrices {
  readonly #file: TextFile;
  readonly #original: (name: string) => string;
  readonly #written = new Map<InstrumentBook, string>();

  constructor(file: TextFile, original: (name: string) => string) {
    this.#file = file;
    this.#original = original;
    file.write(bboHeader);
  }

  after(position: bigint, book: InstrumentBook): void {
    const bid = book.best('buy');
    const ask = book.best('sell');
    const key = `${bid?.price} ${bid?.quantity} ${ask?.price} ${ask?.quantity}`;
    const before = this.#written.get(book);
    if (before === key || (before === undefined && bid === undefined && ask === undefined)) return;
    this.#written.set(book, key);
    const [bidText, askText] = [bid, ask].map((level) =>
      level === undefined ? ',' : `${book.ticks.toText(level.price)},${book.lots.toText(level.quantity)}`,
    );
    this.#file.write(`${position},${csv(this.#original(book.instrument))},${bidText},${askText}\n`);
  }
}

function csv(text: string): string {
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
