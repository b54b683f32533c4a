// MoldReceiver: the messages of one MoldUDP64 session, in order, whatever the network loses, doubles or brings late.
//
// Invariants:
// 1. Messages are handed on in the order of their numbers, each once.
// 2. At most `windowMax` messages wait for an earlier one; what comes beyond is dropped, and asked for again later.
// 3. What is missing is asked of the retransmission server, one request at a time; `lost` is called when it does not answer, and nothing
//    is handed on any more until restart() says where to go on.
import { createSocket, type Socket } from 'node:dgram';
import { isIP, isIPv4 } from 'node:net';
import { integer, invalidOption } from '../errors/checks.ts';
import { GatewayError } from '../errors/errors.ts';
import {
  type MoldHeader,
  moldEndOfSession,
  moldHeader,
  readMoldHeader,
  readMoldMessages,
} from './mold-codec.ts';
import { hostAndPort } from './soup-client.ts';

export interface MoldOptions {
  /** "group:port" of a multicast feed, or "address:port" of this host for a unicast one. */
  readonly address: string;
  /** The address of the interface that takes the group; left out: the system's choice. */
  readonly interface?: string;
  /** "host:port" of the server that sends messages again; left out: what is lost stays lost. */
  readonly retransmission?: string;
  /** Messages that may wait for an earlier one. */
  readonly windowMax?: number;
  /** Messages a request; the server sends as many of them as fit into a datagram. */
  readonly requestMax?: number;
  /** How long something may be merely late before it is asked for. */
  readonly patienceMs?: number;
  /** How long a request may remain without an answer before it is made again; doubled each time. */
  readonly answerMs?: number;
  /** Requests without an answer, in a row, after which what is missing counts as lost. */
  readonly attemptsMax?: number;
  /** Bytes that the system may keep for us. */
  readonly receiveBufferBytes?: number;
}

export interface MoldHandler {
  /** The bytes stay as they are; they keep their datagram in memory. */
  message(payload: Buffer, sequence: number): void;
  /** Messages from `from` to `to` - 1 are missing, for the moment. */
  gap?(from: number, to: number): void;
  /** Nothing is missing any more. */
  filled?(sequence: number): void;
  /** What is missing cannot be had. */
  lost?(from: number, to: number): void;
  /** Another session is on the air: the old one is over. */
  restarted?(session: string): void;
  /** End of session, and every message was handed on. */
  ended?(): void;
}

export interface MoldCounters {
  datagrams: number;
  /** No datagrams of the protocol. */
  malformed: number;
  /** Messages that had come already. */
  duplicates: number;
  /** That did not fit into the window. */
  dropped: number;
  gaps: number;
  requests: number;
  /** Messages that waited for an earlier one, now. */
  waiting: number;
}

interface Checked {
  readonly host: string;
  readonly port: number;
  readonly interface: string | undefined;
  readonly server: { host: string; port: number } | undefined;
  readonly window: number;
  readonly request: number;
  readonly patience: number;
  readonly answer: number;
  readonly attempts: number;
  readonly receiveBuffer: number;
}

function checked(options: MoldOptions): Checked {
  const { host, port } = hostAndPort('address', options.address);
  if (isIP(host) === 0) throw invalidOption('address', options.address, 'an IP address and a port');
  return {
    host,
    port,
    interface: options.interface,
    server:
      options.retransmission === undefined
        ? undefined
        : hostAndPort('retransmission', options.retransmission),
    window: integer('windowMax', options.windowMax ?? 65_536, 1, 1 << 24),
    request: integer('requestMax', options.requestMax ?? 1000, 1, moldEndOfSession - 1),
    patience: integer('patienceMs', options.patienceMs ?? 2, 0, 60_000),
    answer: integer('answerMs', options.answerMs ?? 50, 1, 60_000),
    attempts: integer('attemptsMax', options.attemptsMax ?? 6, 1, 1_000_000),
    receiveBuffer: integer('receiveBufferBytes', options.receiveBufferBytes ?? 4 << 20, 1024, 1 << 30),
  };
}

function isGroup(host: string): boolean {
  if (!isIPv4(host)) return host.toLowerCase().startsWith('ff');
  const [first = 0] = host.split('.').map(Number);
  return first >= 224 && first < 240;
}

export class MoldReceiver implements AsyncDisposable {
  readonly counters: MoldCounters = {
    datagrams: 0,
    malformed: 0,
    duplicates: 0,
    dropped: 0,
    gaps: 0,
    requests: 0,
    waiting: 0,
  };
  readonly #options: Checked;
  readonly #handler: MoldHandler;
  readonly #feed: Socket;
  /** Asks, and hears the answers: the feed's socket may be bound to a group. */
  readonly #asking: Socket | undefined;
  readonly #waiting = new Map<number, Buffer>();
  #session = '';
  /** As it stands in the datagrams: servers compare the blanks too. */
  #padded = '';
  /** What still comes of it is late, and of no use. */
  #sessionBefore = '';
  /** 0: nothing is handed on before restart(). */
  #next: number;
  /** One behind the highest number that is known to exist. */
  #known = 0;
  #endAt = 0;
  #inGap = false;
  #timer: NodeJS.Timeout | undefined;
  /** Requests in a row that brought nothing. */
  #unanswered = 0;
  #closed = false;

  private constructor(options: Checked, handler: MoldHandler, next: number) {
    this.#options = options;
    this.#handler = handler;
    this.#next = next;
    const type = isIPv4(options.host) ? 'udp4' : 'udp6';
    this.#feed = createSocket({ type, reuseAddr: true });
    if (options.server !== undefined) this.#asking = createSocket({ type: 'udp4' });
    for (const socket of [this.#feed, this.#asking]) {
      socket?.on('message', (datagram) => this.#take(datagram));
      // A server that is not there yet answers by ICMP: the request counts as unanswered.
      socket?.on('error', () => undefined);
    }
  }

  /** `next`: the first message wanted; 0: keep what comes until restart() says. */
  static async open(options: MoldOptions, handler: MoldHandler, next = 1): Promise<MoldReceiver> {
    const all = checked(options);
    const receiver = new MoldReceiver(all, handler, next);
    const { host, port } = all;
    try {
      await new Promise<void>((resolve, reject) => {
        receiver.#feed.once('error', reject);
        receiver.#feed.bind({ address: host, port, exclusive: false }, () => {
          receiver.#feed.off('error', reject);
          resolve();
        });
      });
      if (isGroup(host)) receiver.#feed.addMembership(host, all.interface);
      receiver.#feed.setRecvBufferSize(all.receiveBuffer);
    } catch (cause) {
      await receiver.close();
      throw new GatewayError('GATEWAY_UNREACHABLE', `${options.address}: ${(cause as Error).message}`, {
        cause,
      });
    }
    return receiver;
  }

  /** The session on the air; '': none was heard of yet. */
  get session(): string {
    return this.#session;
  }

  /** The next message that will be handed on. */
  get nextSequence(): number {
    return this.#next;
  }

  /** Hands nothing on until restart(); what comes is kept, as far as it fits. */
  hold(): void {
    this.#next = 0;
    this.#inGap = false;
    this.#unanswered = 0;
    clearTimeout(this.#timer);
  }

  /**
   * Goes on at this message of this session: what is older is dropped, what has come already is handed on.
   * Answers false where that session is over already: another one came after it. `begin` is called before anything is handed on.
   */
  restart(session: string, next: number, begin?: () => void): boolean {
    if (session !== this.#session) {
      if (session === this.#sessionBefore && session !== '') return false;
      this.#forget(session);
    }
    this.hold();
    this.#next = next;
    this.#known = Math.max(this.#known, next);
    begin?.();
    for (const sequence of this.#waiting.keys()) if (sequence < next) this.#waiting.delete(sequence);
    this.#handOn();
    return true;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#waiting.clear();
    for (const socket of [this.#feed, this.#asking]) {
      if (socket !== undefined) await new Promise<void>((resolve) => socket.close(() => resolve()));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #take(datagram: Buffer): void {
    if (this.#closed) return;
    this.counters.datagrams++;
    const header = readMoldHeader(datagram);
    if (header === undefined) {
      this.counters.malformed++;
      return;
    }
    if (header.session !== this.#session) {
      if (header.session === this.#sessionBefore) return;
      const next = this.#session === '' ? this.#next : 0;
      const first = this.#session === '';
      this.#forget(header.session);
      this.#next = next;
      if (!first) this.#handler.restarted?.(header.session);
    }
    this.#padded = datagram.toString('latin1', 0, 10);
    if (header.count === moldEndOfSession || header.count === 0) {
      if (header.count !== 0) this.#endAt = header.sequence;
      this.#known = Math.max(this.#known, header.sequence);
      this.#handOn();
    } else this.#messages(datagram, header);
  }

  #messages(datagram: Buffer, { sequence, count }: MoldHeader): void {
    const messages = readMoldMessages(datagram, count);
    if (messages === undefined) {
      this.counters.malformed++;
      return;
    }
    this.#known = Math.max(this.#known, sequence + count);
    const before = this.#next;
    for (let index = 0; index < count; index++) {
      const number = sequence + index;
      if (number < this.#next || this.#waiting.has(number)) this.counters.duplicates++;
      else if (number === this.#next) {
        this.#next++;
        this.#handler.message(messages[index]!, number);
        if (this.#closed) return;
      } else this.#keep(number, messages[index]!);
    }
    this.#handOn(this.#next > before);
  }

  #keep(number: number, message: Buffer): void {
    const { window } = this.#options;
    if (this.#next !== 0 && number - this.#next >= window) {
      this.counters.dropped++;
      return;
    }
    // While nothing is handed on, what is newest is likeliest to be needed.
    if (this.#waiting.size >= window) {
      this.counters.dropped++;
      const [oldest] = this.#waiting.keys();
      this.#waiting.delete(oldest!);
    }
    this.#waiting.set(number, message);
  }

  /** Hands on what waits and is next, then looks whether something is missing. */
  #handOn(advanced = false): void {
    if (this.#next === 0) return;
    for (let message = this.#waiting.get(this.#next); message !== undefined; ) {
      this.#waiting.delete(this.#next);
      this.#handler.message(message, this.#next++);
      if (this.#closed) return;
      message = this.#waiting.get(this.#next);
    }
    this.counters.waiting = this.#waiting.size;
    // The handler may have had enough.
    if (this.#next === 0) return;
    if (this.#next >= this.#known) this.#whole();
    else if (!this.#inGap) this.#missing();
    else if (advanced) {
      const asked = this.#unanswered > 0;
      this.#unanswered = 0;
      // An answer came, and more is missing: at once.
      if (asked) this.#ask();
      else this.#wait(this.#options.patience);
    }
  }

  #whole(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#unanswered = 0;
    if (this.#inGap) {
      this.#inGap = false;
      this.#handler.filled?.(this.#next - 1);
    }
    if (this.#endAt !== 0 && this.#next >= this.#endAt) {
      this.#endAt = 0;
      this.#handler.ended?.();
    }
  }

  #missing(): void {
    this.#inGap = true;
    this.counters.gaps++;
    this.#handler.gap?.(this.#next, this.#behindGap());
    this.#wait(this.#options.patience);
  }

  /** The first message behind the gap that is there, or the end of what is known. */
  #behindGap(): number {
    const most = Math.min(this.#known, this.#next + this.#options.request);
    for (let sequence = this.#next; sequence < most; sequence++)
      if (this.#waiting.has(sequence)) return sequence;
    return most;
  }

  #wait(milliseconds: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#ask(), milliseconds);
  }

  #ask(): void {
    clearTimeout(this.#timer);
    const { server, attempts, answer } = this.#options;
    if (this.#closed || !this.#inGap) return;
    const to = this.#behindGap();
    if (server === undefined || this.#asking === undefined || this.#unanswered >= attempts) {
      const from = this.#next;
      this.hold();
      this.#handler.lost?.(from, to);
      return;
    }
    const request = moldHeader({ session: this.#padded, sequence: this.#next, count: to - this.#next });
    this.counters.requests++;
    this.#asking.send(request, server.port, server.host, () => undefined);
    this.#wait(answer * 2 ** Math.min(this.#unanswered, 10));
    this.#unanswered++;
  }

  #forget(session: string): void {
    this.#sessionBefore = this.#session;
    this.#session = session;
    this.#waiting.clear();
    this.#known = 0;
    this.#endAt = 0;
    this.hold();
  }
}
