// Publication: the sending end of a stream.

import { BusClosedError, InvalidRequestError } from '../errors/errors.ts';
import { shown } from '../errors/shown.ts';
import type { NativeBus, NativePublicationState } from '../native/types.ts';
import { busError } from './failures.ts';
import { milliseconds } from './options.ts';
import type { Signal } from './signal.ts';
import { type CloseOptions, Offer, type Offered } from './types.ts';

export interface PublicationParts {
  readonly native: NativeBus;
  readonly number: number;
  readonly stream: string;
  readonly payloadMax: number;
  readonly signal: Signal;
}

export class Publication implements AsyncDisposable {
  readonly stream: string;
  readonly payloadMax: number;
  readonly #native: NativeBus;
  readonly #number: number;
  readonly #signal: Signal;
  /** Sends in the order in which they were called. */
  #line: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #closing: Promise<void> | undefined;
  /** Once it is closed. */
  #last: NativePublicationState | undefined;

  /** @internal Publications come from `bus.publish()`. */
  constructor({ native, number, stream, payloadMax, signal }: PublicationParts) {
    this.#native = native;
    this.#number = number;
    this.stream = stream;
    this.payloadMax = payloadMax;
    this.#signal = signal;
  }

  /** Peers that subscribe now. */
  get subscribers(): number {
    return this.#state.subscribers;
  }

  /** The last message's that was accepted; the first position less one before there is any. */
  get position(): bigint {
    return this.#state.accepted;
  }

  /** The oldest that a subscriber can still ask for. */
  get oldest(): bigint {
    return this.#state.oldest;
  }

  /** Every subscriber has consumed up to here. */
  get consumedByAll(): bigint {
    return this.#state.consumedByAll;
  }

  /** Answers at once: the position that the message has, or one of `Offer`. The bytes are copied. */
  offer(data: Uint8Array): Offered {
    return this.#offer(checkedData(data));
  }

  /** Answers at once how many messages from `from` on were accepted; `offer` the next one to learn what stopped it. Crosses into the engine once. */
  offerBatch(messages: readonly Uint8Array[], from = 0): number {
    if (!Array.isArray(messages)) throw invalid('messages', messages, 'an array of Uint8Arrays');
    if (!Number.isInteger(from) || from < 0 || from > messages.length)
      throw invalid('from', from, 'an index of messages');
    for (let index = from; index < messages.length; index++) checkedData(messages[index]!);
    return this.#last === undefined ? this.#native.offerBatch(this.#number, messages, from) : 0;
  }

  /** Waits for room, and for a subscriber where the publication does not retain. Rejects once it is closed. */
  send(data: Uint8Array): Promise<bigint> {
    checkedData(data);
    if (this.#waiting === 0) {
      const answer = this.#offer(data);
      if (answer > 0n) return Promise.resolve(answer);
    }
    return this.#inTurn(() => this.#offerUntilTaken(data));
  }

  /** `send` for many; resolves with the last one's position once all are accepted. */
  sendBatch(messages: readonly Uint8Array[]): Promise<bigint> {
    const copy = [...messages];
    for (const message of copy) checkedData(message);
    return this.#inTurn(async () => {
      for (let sent = 0; sent < copy.length; ) {
        sent += this.offerBatch(copy, sent);
        if (sent === copy.length) break;
        // Says what is in the way, and waits for it.
        await this.#offerUntilTaken(copy[sent]!);
        sent++;
      }
      return this.position;
    });
  }

  /** Resolves once at least so many peers subscribe. */
  async connected(subscribers = 1): Promise<void> {
    if (!Number.isInteger(subscribers) || subscribers < 1)
      throw invalid('subscribers', subscribers, 'a whole number from 1');
    await this.#until((state) => state.subscribers >= subscribers);
  }

  /** Resolves once every subscriber has consumed all that was accepted before this call. */
  async consumed(): Promise<void> {
    const { accepted } = this.#state;
    await this.#until((state) => state.consumedByAll >= accepted);
  }

  /** Accepts nothing more; resolves once all that was accepted is consumed, or the time is over. Again: the same promise. */
  close(options: CloseOptions = {}): Promise<void> {
    const withinMs = milliseconds('withinMs', options.withinMs ?? 5000, 0);
    this.#closing ??= this.#native.closePublication(this.#number, withinMs).then(
      () => {
        this.#last = { ...this.#state, subscribers: 0, closed: true };
        this.#native.forgetPublication(this.#number);
        this.#signal.notify();
      },
      (error: unknown) => {
        throw busError(error);
      },
    );
    this.#signal.notify();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  get #state(): NativePublicationState {
    return this.#last ?? this.#native.publicationState(this.#number);
  }

  #offer(data: Uint8Array): Offered {
    return this.#last === undefined ? this.#native.offer(this.#number, data) : Offer.CLOSED;
  }

  #inTurn<Value>(work: () => Promise<Value>): Promise<Value> {
    this.#waiting++;
    const turn = this.#line.then(work).finally(() => this.#waiting--);
    this.#line = turn.catch(() => undefined);
    return turn;
  }

  async #offerUntilTaken(data: Uint8Array): Promise<bigint> {
    for (;;) {
      const answer = this.#offer(data);
      if (answer > 0n) return answer;
      this.#failUnlessPassing(answer, data);
      // The wish first, then another look: what changes in between calls nobody.
      this.#native.awaitPublication(this.#number);
      const again = this.#offer(data);
      if (again > 0n) return again;
      this.#failUnlessPassing(again, data);
      await this.#signal.wait();
    }
  }

  #failUnlessPassing(answer: Offered, data: Uint8Array): void {
    if (answer === Offer.BACK_PRESSURED || answer === Offer.NOT_CONNECTED) return;
    if (answer === Offer.TOO_LARGE)
      throw new InvalidRequestError(
        'MESSAGE_TOO_LARGE',
        `a message of ${data.length} bytes, and payloadMax is ${this.payloadMax}`,
      );
    if (answer === Offer.MAX_POSITION_EXCEEDED)
      throw new BusClosedError('STREAM_FULL', `the stream ${this.stream} has no position left`);
    throw this.#closed();
  }

  #closed(): BusClosedError {
    return new BusClosedError('PUBLICATION_CLOSED', `the publication of ${this.stream} is closed`);
  }

  async #until(reached: (state: NativePublicationState) => boolean): Promise<void> {
    for (;;) {
      if (this.#last === undefined) this.#native.awaitPublication(this.#number);
      const state = this.#state;
      if (reached(state)) return;
      if (state.closed) throw this.#closed();
      await this.#signal.wait();
    }
  }
}

function invalid(field: string, value: unknown, expected: string): InvalidRequestError {
  return new InvalidRequestError('INVALID_REQUEST', `${field}: expected ${expected}, got ${shown(value)}`, {
    field,
  });
}

function checkedData(data: Uint8Array): Uint8Array {
  if (!(data instanceof Uint8Array)) throw invalid('data', data, 'a Uint8Array');
  return data;
}
