// EventStream: one consumer's way through the history, as an async iterator.
import { SlowConsumerError, type VerbexError } from '../errors/errors.ts';
import type { EventDecoder } from './event-decoder.ts';
import type { EventHistory } from './event-history.ts';
import type { Event } from './types.ts';

/** Where streams learn that there is more, or no more. */
export class EventSignal {
  #waiters: (() => void)[] = [];
  #ended: { readonly error?: VerbexError } | undefined;

  /** Set once nothing more will come. */
  get ended(): { readonly error?: VerbexError } | undefined {
    return this.#ended;
  }

  wait(): Promise<void> {
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  notify(): void {
    if (this.#waiters.length === 0) return;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const wake of waiters) wake();
  }

  end(error?: VerbexError): void {
    this.#ended ??= error === undefined ? {} : { error };
    this.notify();
  }
}

/**
 * Events from an index of the history on, in order and without gaps. Ends when the exchange is closed and everything has been read.
 * Throws SlowConsumerError where it has been overtaken. One `next()` at a time, as `for await` does it; further ones wait in line.
 */
export class EventStream implements AsyncIterableIterator<Event> {
  readonly #history: EventHistory;
  readonly #decoder: EventDecoder;
  readonly #signal: EventSignal;
  #cursor: number;
  /** The first position that has not been delivered in whole. */
  #next: bigint;
  /** Events of earlier positions are passed over. */
  readonly #from: bigint;
  #stopped = false;
  #line: Promise<unknown> = Promise.resolve();
  #pending = 0;

  constructor(
    history: EventHistory,
    decoder: EventDecoder,
    signal: EventSignal,
    cursor: number,
    from: bigint,
  ) {
    this.#history = history;
    this.#decoder = decoder;
    this.#signal = signal;
    this.#cursor = cursor;
    this.#from = from;
    this.#next = from;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<Event, undefined>> {
    if (this.#pending === 0) {
      const ready = this.#take();
      if (ready !== undefined) return ready instanceof Error ? Promise.reject(ready) : Promise.resolve(ready);
    }
    this.#pending++;
    const turn = this.#line.then(() => this.#waitAndTake()).finally(() => this.#pending--);
    this.#line = turn.catch(() => undefined);
    return turn;
  }

  return(): Promise<IteratorResult<Event, undefined>> {
    this.#stopped = true;
    this.#signal.notify();
    return Promise.resolve({ done: true, value: undefined });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  async #waitAndTake(): Promise<IteratorResult<Event, undefined>> {
    for (;;) {
      const ready = this.#take();
      if (ready instanceof Error) throw ready;
      if (ready !== undefined) return ready;
      await this.#signal.wait();
    }
  }

  /** The next event, the end, an error, or undefined where there is nothing yet. */
  #take(): IteratorResult<Event, undefined> | Error | undefined {
    const history = this.#history;
    for (;;) {
      if (this.#stopped) return { done: true, value: undefined };
      if (this.#cursor < history.tail) {
        this.#stopped = true;
        const lag = history.head - this.#cursor;
        const message = `the consumer fell ${lag} events behind, and ${history.capacity} are kept; resume from position ${this.#next}`;
        return new SlowConsumerError(this.#next, message);
      }
      if (this.#cursor === history.head) {
        if (this.#signal.ended === undefined) return undefined;
        this.#stopped = true;
        return this.#signal.ended.error ?? { done: true, value: undefined };
      }
      const cell = history.cellOf(this.#cursor++);
      const position = history.reader.position(cell);
      if (position < this.#from) continue;
      this.#next = history.reader.isLast(cell) ? position + 1n : position;
      return { done: false, value: this.#decoder.decode(history.reader, cell) };
    }
  }
}
