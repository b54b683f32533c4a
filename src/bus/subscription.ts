// Subscription: the receiving end of a stream.
import { PeerLostError, PositionLostError, SlowConsumerError, type VerbexError } from '../errors/errors.ts';
import type { NativeBus, NativeSubscriptionState } from '../native/types.ts';
import { busFailure } from './failures.ts';
import { Inbound } from './inbound.ts';
import type { Signal } from './signal.ts';
import type { BusMessage, SubscriptionState } from './types.ts';

export interface SubscriptionParts {
  readonly native: NativeBus;
  readonly number: number;
  readonly memory: ArrayBuffer;
  readonly stream: string;
  readonly peer: number;
  readonly from: bigint;
  readonly signal: Signal;
}

/**
 * Messages in order, each once. All ways to read share one place in the stream: what one has taken no other gets. One reader at a time.
 *
 * Reading ends when the publication was closed and everything was read, or the subscription or its bus is closed here. It throws
 * SlowConsumerError after the last message that is to be had where the publisher has cut us off, PositionLostError where the stream begins
 * behind the asked position.
 */
export class Subscription implements AsyncIterable<BusMessage>, AsyncDisposable {
  readonly stream: string;
  /** The id of the peer whose stream it is. */
  readonly peer: number;
  readonly #native: NativeBus;
  readonly #number: number;
  readonly #signal: Signal;
  readonly #inbound: Inbound;
  /** Taken out of the ring, not read yet. */
  #batch: readonly BusMessage[] = [];
  #at = 0;
  /** Bytes of the ring to give back at the next look. */
  #release = 0;
  #next: bigint;
  #last: NativeSubscriptionState | undefined;
  #closing: Promise<void> | undefined;

  /** @internal Subscriptions come from `bus.subscribe()`. */
  constructor({ native, number, memory, stream, peer, from, signal }: SubscriptionParts) {
    this.#native = native;
    this.#number = number;
    this.#inbound = new Inbound(memory);
    this.stream = stream;
    this.peer = peer;
    this.#next = from;
    this.#signal = signal;
  }

  /** As the agent sees it; messages may still be there to be read when it is over. */
  get state(): SubscriptionState {
    return this.#closing === undefined ? this.#state.state : 'closed';
  }

  /** The position behind the last message that was read: what another subscription resumes from. 0n: none was read, and none was asked for. */
  get resumeFrom(): bigint {
    return this.#next;
  }

  /** At most `limit` messages that are there now. Never waits; an empty array says nothing about the end. */
  take(limit: number = Number.POSITIVE_INFINITY): BusMessage[] {
    if (this.#closing !== undefined) return [];
    if (this.#at === this.#batch.length) this.#refill(limit);
    const batch = this.#batch.slice(this.#at, this.#at + limit);
    this.#pass(batch.length);
    return batch;
  }

  /** Resolves once messages can come; rejects with the error that reading would throw. */
  async live(): Promise<void> {
    for (;;) {
      if (this.#closing !== undefined) return;
      this.#native.awaitSubscription(this.#number);
      const now = this.#state;
      if (now.state === 'live' || isEnd(now)) return;
      if (now.state !== 'connecting') throw this.#failure(now);
      await this.#signal.wait();
    }
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<BusMessage> {
    return this.#iterate(async () => {
      if (this.#at === this.#batch.length && !(await this.#refillOrEnd())) return undefined;
      const message = this.#batch[this.#at]!;
      this.#pass(1);
      return message;
    });
  }

  /** All that is there each time, at least one message: less work a message. */
  batches(): AsyncIterableIterator<readonly BusMessage[]> {
    return this.#iterate(async () => {
      if (this.#at === this.#batch.length && !(await this.#refillOrEnd())) return undefined;
      return this.take();
    });
  }

  /** Leaves the stream. What was not read is dropped. Again: the same promise. */
  close(): Promise<void> {
    if (this.#closing === undefined) {
      this.#last = { ...this.#state, state: 'closed' };
      this.#closing = this.#native.closeSubscription(this.#number);
      this.#signal.notify();
    }
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  get #state(): NativeSubscriptionState {
    return this.#last ?? this.#native.subscriptionState(this.#number);
  }

  #pass(count: number): void {
    if (count === 0) return;
    this.#at += count;
    this.#next = this.#batch[this.#at - 1]!.position + 1n;
  }

  /** Gives the last batch's bytes back and takes what is there. */
  #refill(limit: number): void {
    for (;;) {
      const ready = this.#native.next(this.#number, this.#release);
      this.#release = 0;
      if (ready === 0) return;
      const { messages, bytes } = this.#inbound.take(ready, limit);
      this.#release = bytes;
      this.#batch = messages;
      this.#at = 0;
      // Nothing but the way to the ring's end: what follows is there already.
      if (messages.length > 0) return;
    }
  }

  /** False: nothing more will come. */
  async #refillOrEnd(): Promise<boolean> {
    for (;;) {
      if (this.#closing !== undefined) return false;
      this.#refill(Number.POSITIVE_INFINITY);
      if (this.#at < this.#batch.length) return true;
      // The wish first, then another look: what comes in between calls nobody.
      if (this.#native.awaitSubscription(this.#number) > 0) continue;
      const now = this.#state;
      if (now.state !== 'connecting' && now.state !== 'live') {
        // The last messages were there before the state was.
        if (this.#native.next(this.#number, 0) > 0) continue;
        if (isEnd(now)) return false;
        throw this.#failure(now);
      }
      await this.#signal.wait();
    }
  }

  #failure({ state, resumeFrom, oldest, code, message }: NativeSubscriptionState): VerbexError {
    if (state === 'cut-off')
      return new SlowConsumerError(
        resumeFrom,
        message !== '' ? message : `${this.stream}: too slow; resume from position ${resumeFrom}`,
      );
    if (code === 'POSITION_LOST') return new PositionLostError(oldest, message);
    if (code === 'PEER_LOST')
      return new PeerLostError(code, message, { details: { resumeFrom: this.#next } });
    return busFailure(code, message);
  }

  #iterate<Value>(take: () => Promise<Value | undefined>): AsyncIterableIterator<Value> {
    let done = false;
    let line: Promise<unknown> = Promise.resolve();
    return {
      [Symbol.asyncIterator]() {
        return this;
      },
      next: () => {
        const turn = line.then(async (): Promise<IteratorResult<Value, undefined>> => {
          const value = done ? undefined : await take();
          if (value !== undefined) return { done: false, value };
          done = true;
          return { done: true, value: undefined };
        });
        line = turn.catch(() => undefined);
        return turn;
      },
      // Leaving a loop leaves the place in the stream: close() leaves the stream.
      return: () => {
        done = true;
        return Promise.resolve({ done: true, value: undefined });
      },
    };
  }
}

/** Closed with a failure: the link was lost, and it was not to go on by itself. */
function isEnd({ state, code }: NativeSubscriptionState): boolean {
  return state === 'ended' || (state === 'closed' && code === '');
}
