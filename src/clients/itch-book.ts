// ItchBook: the books of a market data feed, kept in step over a stream, datagrams or both, whatever is lost on the way.
//
//   stream                 every message of the session by number, over SoupBinTCP
//   snapshot + stream      the open book first, then what follows it
//   datagrams              MoldUDP64 from message 1, what is missing from the retransmission server
//   snapshot + datagrams   the open book first; again where the retransmission server has not got what is missing
//
// Invariants:
// 1. The books are those of message `lastSequence`: no message is left out, none is applied twice.
// 2. While messages are missing nothing is applied, and `inStep` is false.
import { EventEmitter } from 'node:events';
import type { ConnectionOptions } from 'node:tls';
import { FeedError, GatewayError, InvalidRequestError, type VerbexError } from '../errors/errors.ts';
import { type InstrumentTerms, InstrumentUnits } from './instrument-units.ts';
import { type ItchMessage, type ItchSide, isOtherItch, readItch } from './itch-codec.ts';
import { type MoldOptions, MoldReceiver } from './mold-receiver.ts';
import {
  type FeedChange,
  type FeedLevel,
  type FeedOrder,
  type FeedTrade,
  OrderBooks,
  type OrderBooksListener,
} from './order-books.ts';
import { type ReconnectOptions, SoupClient, type SoupEnd, type SoupOptions } from './soup-client.ts';

export interface ItchBookOptions {
  /** "host:port" of the stream over SoupBinTCP. One of stream and datagrams. */
  readonly stream?: string;
  readonly datagrams?: MoldOptions;
  /** "host:port" of snapshots (GLIMPSE). */
  readonly snapshot?: string;
  /** For stream and snapshot. */
  readonly user?: string;
  readonly password?: string;
  readonly tls?: boolean | ConnectionOptions;
  readonly reconnect?: ReconnectOptions;
  /** By symbol: levels then carry exact decimals too. */
  readonly instruments?: InstrumentTerms;
  /** Snapshots, or sessions from their beginning, that may fail in a row before it is over. */
  readonly recoveriesMax?: number;
}

export interface BookLevel extends FeedLevel {
  /** Exact decimals, where the instrument's terms were given. */
  readonly priceText?: string;
  readonly quantityText?: string;
}

export interface FeedRecovery {
  readonly by: 'retransmission' | 'reconnect' | 'snapshot' | 'new-session';
  /** The last message that is in the books. */
  readonly sequence: number;
}

export interface FeedEnd {
  readonly reason: 'closed' | 'end-of-session' | 'failed';
  readonly error?: VerbexError;
}

export interface ItchBookEvents {
  change: [FeedChange];
  trade: [FeedTrade];
  'trading-state': [{ symbol: string; state: string; reason: string }];
  /** Messages are missing: `from` is the first; what is there is not applied before they are. */
  gap: [{ from: number; to: number }];
  /** In step again. By snapshot or new session: look at the books anew, no changes were reported. */
  recovered: [FeedRecovery];
  /** Every message, behind its effect on the books. */
  message: [ItchMessage, sequence: number];
  end: [FeedEnd];
}

interface Snapshot {
  readonly books: OrderBooks;
  readonly session: string;
  /** The first message that is not in it. */
  readonly next: number;
}

/** Why a feed may have to be read from the beginning of another session. */
const anotherSession: ReadonlySet<string> = new Set([
  'FEED_RESTARTED',
  'GATEWAY_SESSION_NOT_AVAILABLE',
  'GATEWAY_SEQUENCE_LOST',
]);

export class ItchBook extends EventEmitter<ItchBookEvents> implements AsyncDisposable {
  /** Settles when it is over; never rejects. */
  readonly ended: Promise<FeedEnd>;
  /** Messages of the standard that concern no book, and were passed over. */
  passedOver = 0;
  readonly units: InstrumentUnits;
  readonly #options: ItchBookOptions;
  #books = new OrderBooks(this.#listener());
  #session = '';
  #last = 0;
  #inStep = false;
  #failures = 0;
  #receiver: MoldReceiver | undefined;
  #stream: SoupClient | undefined;
  #snapshot: SoupClient | undefined;
  #opened = false;
  /** Or being opened. */
  #recovering = true;
  /** What went wrong while it was being opened. */
  #postponed: VerbexError | undefined;
  /** Of the connection whose messages count. */
  #generation = 0;
  #waiters: { sequence: number; resolve: () => void; reject: (error: VerbexError) => void }[] = [];
  #end: FeedEnd | undefined;
  #settle: (end: FeedEnd) => void = () => undefined;

  private constructor(options: ItchBookOptions) {
    super();
    this.#options = options;
    this.units = new InstrumentUnits(options.instruments);
    if ((options.stream === undefined) === (options.datagrams === undefined))
      throw new InvalidRequestError('INVALID_OPTION', 'an ItchBook reads either a stream or datagrams');
    this.ended = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  /** Resolves once logged in, and, where there are snapshots, once one is in the books. */
  static async open(options: ItchBookOptions): Promise<ItchBook> {
    const book = new ItchBook(options);
    try {
      if (options.datagrams !== undefined) await book.#openDatagrams(options.datagrams);
      else await book.#openStream();
    } catch (error) {
      await book.close();
      throw error;
    }
    book.#opened = true;
    book.#recovering = false;
    if (book.#postponed !== undefined) void book.#recover(book.#postponed);
    return book;
  }

  /** The feed's session: another one for every run of the feed. */
  get session(): string {
    return this.#session;
  }

  /** The last message that is in the books. */
  get lastSequence(): number {
    return this.#last;
  }

  /** False while messages are missing. */
  get inStep(): boolean {
    return this.#inStep && this.#end === undefined;
  }

  get symbols(): string[] {
    return this.#books.symbols;
  }

  /** Orders that rest, of all instruments. */
  get orderCount(): number {
    return this.#books.orderCount;
  }

  /** T trading, Q quotation only, P paused, H halted; '': the feed has not said. */
  tradingState(symbol: string): string {
    return this.#books.tradingState(symbol);
  }

  /** The best `count` levels of either side, best first. */
  levels(symbol: string, count?: number): { bids: BookLevel[]; asks: BookLevel[] } {
    const side = (which: ItchSide) =>
      this.#books.levels(symbol, which, count).map((level) => this.#shown(symbol, level));
    return { bids: side('buy'), asks: side('sell') };
  }

  /** Orders in the order in which they would trade: of one price, or of the whole side. */
  queue(symbol: string, side: ItchSide, price?: number): FeedOrder[] {
    return this.#books.queue(symbol, side, price);
  }

  /** What the network has done to the datagrams; undefined for a stream. */
  get datagramCounters(): Readonly<MoldReceiver['counters']> | undefined {
    return this.#receiver?.counters;
  }

  /** Resolves once this message is in the books. Rejects where the feed ends before. */
  async reached(sequence: number): Promise<void> {
    if (this.#end !== undefined) throw this.#end.error ?? closed();
    await new Promise<void>((resolve, reject) => {
      this.#waiters.push({ sequence, resolve, reject });
      this.#look();
    });
  }

  async close(): Promise<void> {
    this.#finish({ reason: 'closed' });
    await Promise.all([this.#receiver?.close(), this.#stream?.close(), this.#snapshot?.close()]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #listener(): OrderBooksListener {
    return {
      change: (change) => this.emit('change', change),
      trade: (trade) => this.emit('trade', trade),
      tradingState: (symbol, state, reason) => this.emit('trading-state', { symbol, state, reason }),
    };
  }

  #shown(symbol: string, level: FeedLevel): BookLevel {
    const priceText = this.units.priceText(symbol, level.price);
    if (priceText === undefined) return level;
    return { ...level, priceText, quantityText: this.units.quantityText(symbol, level.quantity)! };
  }

  #apply(payload: Buffer, sequence: number): void {
    const message = readItch(payload);
    if (message === undefined) {
      if (!isOtherItch(payload)) {
        this.#failed(new GatewayError('GATEWAY_PROTOCOL', `message ${sequence} is none of ITCH 5.0`));
        return;
      }
      this.passedOver++;
      this.#last = sequence;
      this.#look();
      return;
    }
    try {
      this.#books.apply(message);
    } catch (error) {
      if (!(error instanceof FeedError)) throw error;
      this.#failed(error);
      return;
    }
    this.#last = sequence;
    this.#failures = 0;
    this.emit('message', message, sequence);
    this.#look();
  }

  /** Who waits for what is there now. */
  #look(): void {
    if (this.#waiters.length === 0 || !this.#inStep) return;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) {
      if (waiter.sequence <= this.#last) waiter.resolve();
      else this.#waiters.push(waiter);
    }
  }

  #nowInStep(by: FeedRecovery['by']): void {
    this.#inStep = true;
    this.emit('recovered', { by, sequence: this.#last });
    this.#look();
  }

  async #openStream(): Promise<void> {
    const { snapshot } = this.#options;
    if (snapshot === undefined) await this.#follow('', 1);
    else {
      const taken = await this.#takeSnapshot(snapshot);
      this.#show(taken);
      await this.#follow(taken.session, taken.next);
    }
  }

  /** The stream from there on, over as many connections as it takes. */
  async #follow(session: string, sequence: number): Promise<void> {
    const generation = ++this.#generation;
    const stream = await SoupClient.connect(
      { ...this.#login(this.#options.stream!), session, sequence },
      {
        message: (payload, number) => {
          if (generation === this.#generation) this.#apply(payload, number);
        },
        loggedIn: ({ session: name, resumed }) => {
          if (generation !== this.#generation) return;
          this.#session = name;
          if (resumed) this.#nowInStep('reconnect');
          else this.#inStep = true;
        },
        disconnected: () => {
          if (generation !== this.#generation) return;
          this.#inStep = false;
          this.emit('gap', { from: this.#last + 1, to: this.#last + 1 });
        },
      },
    );
    if (generation !== this.#generation || this.#end !== undefined) {
      await stream.close();
      return;
    }
    this.#stream = stream;
    void stream.ended.then((end) => {
      if (generation === this.#generation) this.#streamEnded(end);
    });
  }

  #streamEnded(end: SoupEnd): void {
    this.#stream = undefined;
    if (end.reason === 'end-of-session') this.#finish({ reason: 'end-of-session' });
    else if (end.reason === 'failed') {
      if (anotherSession.has(end.error!.code)) void this.#recover(end.error!);
      else this.#finish({ reason: 'failed', error: end.error! });
    }
  }

  async #openDatagrams(options: MoldOptions): Promise<void> {
    const { snapshot } = this.#options;
    // What comes while the snapshot is on its way is kept.
    this.#receiver = await MoldReceiver.open(
      options,
      {
        message: (payload, sequence) => {
          if (this.#session === '') this.#session = this.#receiver!.session;
          this.#apply(payload, sequence);
        },
        gap: (from, to) => {
          this.#inStep = false;
          this.emit('gap', { from, to });
        },
        filled: () => this.#nowInStep('retransmission'),
        lost: (from, to) =>
          void this.#recover(
            new FeedError('FEED_GAP', `messages ${from} to ${to - 1} are lost`, { details: { from, to } }),
          ),
        restarted: (session) =>
          void this.#recover(new FeedError('FEED_RESTARTED', `the feed has begun session "${session}"`)),
        ended: () => this.#finish({ reason: 'end-of-session' }),
      },
      snapshot === undefined ? 1 : 0,
    );
    this.#inStep = snapshot === undefined;
    if (snapshot !== undefined) this.#goOn(this.#receiver, await this.#takeSnapshot(snapshot));
  }

  #goOn(receiver: MoldReceiver, taken: Snapshot): void {
    if (!receiver.restart(taken.session, taken.next, () => this.#show(taken)))
      throw new FeedError('FEED_RESTARTED', `session "${taken.session}" is over, as its snapshot comes`);
  }

  /** The open book, from the first message to the last. */
  async #takeSnapshot(address: string): Promise<Snapshot> {
    const books = new OrderBooks();
    let next = 0;
    let wrong: VerbexError | undefined;
    let client: SoupClient | undefined;
    client = await SoupClient.connect(
      { ...this.#login(address), reconnect: false },
      {
        message: (payload) => {
          const message = readItch(payload);
          if (next !== 0 || wrong !== undefined) return;
          if (message?.type === 'end-of-snapshot') next = message.sequence;
          else if (message !== undefined) {
            try {
              books.apply(message);
            } catch (error) {
              if (!(error instanceof FeedError)) throw error;
              wrong = error;
            }
          } else if (!isOtherItch(payload)) {
            wrong = new GatewayError('GATEWAY_PROTOCOL', 'a message of the snapshot is none of ITCH 5.0');
          }
          // With the first bytes the client is not in hand yet.
          if (next !== 0 || wrong !== undefined) void client?.close();
        },
      },
    );
    this.#snapshot = client;
    if (next !== 0 || wrong !== undefined) await client.close();
    const end = await client.ended;
    this.#snapshot = undefined;
    if (wrong !== undefined) throw wrong;
    if (next === 0) throw end.error ?? new FeedError('FEED_GAP', 'the snapshot broke off');
    return { books, session: client.session, next };
  }

  #show({ books, session, next }: Snapshot): void {
    books.listen(this.#listener());
    this.#books = books;
    this.#session = session;
    this.#last = next - 1;
    if (this.#opened) this.#nowInStep(this.#options.snapshot === undefined ? 'new-session' : 'snapshot');
    else this.#inStep = true;
  }

  /** Something that cannot follow, while reading. */
  #failed(error: VerbexError): void {
    this.#generation++;
    void this.#stream?.close();
    this.#stream = undefined;
    this.#receiver?.hold();
    void this.#recover(error);
  }

  /** From a snapshot, or from the beginning of the session that there is. */
  async #recover(why: VerbexError): Promise<void> {
    this.#inStep = false;
    if (!this.#opened) this.#postponed ??= why;
    if (this.#recovering || this.#end !== undefined) return;
    this.#recovering = true;
    let reason = why;
    const { snapshot, recoveriesMax = 5 } = this.#options;
    for (;;) {
      // A session from its beginning is worth a try only where there is another one.
      const hopeless = snapshot === undefined && !anotherSession.has(why.code);
      if (hopeless || ++this.#failures > recoveriesMax) {
        this.#finish({ reason: 'failed', error: reason });
        break;
      }
      try {
        await this.#begin(snapshot);
        break;
      } catch (error) {
        if (this.#end !== undefined) break;
        if (!(error instanceof GatewayError || error instanceof FeedError)) throw error;
        reason = error;
        await new Promise((resolve) => setTimeout(resolve, 20 * 2 ** this.#failures));
      }
    }
    this.#recovering = false;
  }

  async #begin(snapshot: string | undefined): Promise<void> {
    const receiver = this.#receiver;
    if (snapshot !== undefined) {
      const taken = await this.#takeSnapshot(snapshot);
      if (this.#end !== undefined) return;
      if (receiver !== undefined) this.#goOn(receiver, taken);
      else {
        this.#show(taken);
        await this.#follow(taken.session, taken.next);
      }
      return;
    }
    const books = new OrderBooks();
    if (receiver === undefined) {
      this.#show({ books, session: '', next: 1 });
      await this.#follow('', 1);
    } else this.#goOn(receiver, { books, session: receiver.session, next: 1 });
  }

  #login(address: string): SoupOptions {
    const { user = '', password = '', tls = false, reconnect = {} } = this.#options;
    return { address, user, password, tls, reconnect };
  }

  #finish(end: FeedEnd): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    this.#inStep = false;
    void this.#receiver?.close();
    void this.#stream?.close();
    void this.#snapshot?.close();
    for (const { reject } of this.#waiters.splice(0)) reject(end.error ?? closed());
    this.emit('end', end);
    this.#settle(end);
  }
}

function closed(): GatewayError {
  return new GatewayError('GATEWAY_CLOSED', 'the feed is closed');
}
