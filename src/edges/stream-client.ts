// One WebSocket connection: what it has asked for, how much waits for it, whether it is still there.
//
// Invariant: at most bufferedBytesMax (and one message) wait for a client; one that reads slower is cut off with code 4008
// and told the position from which it can go on.
import type { WebSocket } from 'ws';
import { toJson } from './json.ts';
import type { StreamLimits } from './limits.ts';
import type { Principal } from './router.ts';

/** Close codes of the stream. 1001: the node stops; 1008: too many mistakes or messages; 1009: a message too large. */
export const closeSlowReader = 4008;

export class StreamClient {
  readonly remote: string;
  readonly host: string | undefined;
  readonly subscriptions: Set<string> = new Set();
  principal: Principal | undefined;
  /** Called when the account is no longer watched. */
  unwatch: (() => void) | undefined;
  /** Of the last event message of its own orders. */
  ownPosition = 0n;
  /** Own events that came before the snapshot they belong behind. */
  held: Buffer[] | undefined;
  /** Whether it was told to go for reading too slowly. */
  cutOff = false;
  /** The last position of which everything was handed to the connection. */
  delivered = 0n;
  #mistakes = 0;
  #alive = true;
  #tokens: number;
  #refilled: number;
  #closing = false;
  readonly #socket: WebSocket;
  readonly #limits: StreamLimits;

  constructor(socket: WebSocket, limits: StreamLimits, remote: string, host: string | undefined) {
    this.#socket = socket;
    this.#limits = limits;
    this.remote = remote;
    this.host = host;
    this.#tokens = limits.messageBurstMax;
    this.#refilled = performance.now();
    socket.on('pong', () => {
      this.#alive = true;
    });
  }

  get open(): boolean {
    return !this.#closing && this.#socket.readyState === this.#socket.OPEN;
  }

  get bufferedBytes(): number {
    return this.#socket.bufferedAmount;
  }

  /** The same bytes may go to many clients. Answers false when this one has been cut off. */
  send(message: Buffer): boolean {
    if (!this.open) return false;
    if (this.#socket.bufferedAmount > this.#limits.bufferedBytesMax) {
      this.close(closeSlowReader, { code: 'SLOW_READER', resumeFrom: this.delivered });
      return false;
    }
    this.#socket.send(message, { binary: false });
    return true;
  }

  tell(message: object): boolean {
    return this.send(Buffer.from(toJson(message)));
  }

  /** A message made no sense; too many of them end the connection. */
  mistake(code: string, message: string, reference: unknown): void {
    const about = typeof reference === 'string' || typeof reference === 'number' ? { ref: reference } : {};
    this.tell({ op: 'error', code, message, ...about });
    if (++this.#mistakes >= this.#limits.mistakesMax) this.close(1008, { code: 'TOO_MANY_MISTAKES' });
  }

  /** Whether a message may come now. */
  spend(): boolean {
    const now = performance.now();
    const earned = ((now - this.#refilled) / 1000) * this.#limits.messagesPerSecond;
    this.#tokens = Math.min(this.#limits.messageBurstMax, this.#tokens + earned);
    this.#refilled = now;
    this.#tokens -= 1;
    return this.#tokens >= 0;
  }

  /** Called once every ping interval: a client that has not answered the last ping is gone. */
  ping(): void {
    if (!this.#alive) {
      this.#socket.terminate();
      return;
    }
    this.#alive = false;
    if (this.open) this.#socket.ping();
  }

  /** The reason is JSON; whoever does not take the close frame in time is cut, and what waited for it dropped. */
  close(code: number, reason: object): void {
    if (this.#closing) return;
    this.#closing = true;
    this.cutOff = code === closeSlowReader;
    this.#socket.close(code, toJson(reason));
    setTimeout(() => this.#socket.terminate(), this.#limits.closeTimeoutMs).unref();
  }
}
