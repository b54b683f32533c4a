// OuchClient: one session of order entry, OUCH 5.0 over SoupBinTCP.
//
// What a caller may rely on:
// 1. Every message of the session comes in order, each once, over all reconnects.
// 2. A request without an answer is sent again after a reconnect, before anything newer; the gateway knows it by its UserRefNum, so that
//    it is done once at most.
// 3. UserRefNums rise: the client takes the next one from the gateway (account query) before it reads what the session holds already. That
//    answer is a message of the session as every other, and a session may hold older ones, with numbers that are used: so the question is
//    put on a login that asks for nothing that was before, and the login that reads the session follows.
import { EventEmitter } from 'node:events';
import { GatewayError, OrderRejectedError } from '../errors/errors.ts';
import { type InstrumentTerms, InstrumentUnits } from './instrument-units.ts';
import {
  type OuchAccepted,
  type OuchAccountAnswer,
  type OuchAiqCanceled,
  type OuchCanceled,
  type OuchEnter,
  type OuchMassCanceled,
  type OuchMessage,
  type OuchModified,
  type OuchOptions,
  type OuchReplaced,
  type OuchRequest,
  type OuchSwitched,
  ouchReasons,
  readOuchMessage,
  writeOuch,
} from './ouch-codec.ts';
import { SoupClient, type SoupEnd, type SoupOptions } from './soup-client.ts';

export interface OuchClientOptions extends SoupOptions {
  /** By symbol: then prices and quantities may be given as decimals. */
  readonly instruments?: InstrumentTerms;
  /** Hears of every message from the first one on, also those that come before connect() resolves. */
  readonly onMessage?: (message: OuchMessage, sequence: number) => void;
  /** Messages that may wait for who iterates; then reading pauses. */
  readonly queueMax?: number;
}

/** Whole ticks or lots as number or bigint; or decimal text, where the instrument's terms are known. */
export type OuchAmount = number | bigint | string;

export interface EnterRequest {
  readonly side: 'buy' | 'sell';
  readonly symbol: string;
  readonly quantity: OuchAmount;
  /** Left out: a market order, which has to be immediate. */
  readonly price?: OuchAmount;
  /** Default: day, for a market order immediate. */
  readonly timeInForce?: 'day' | 'immediate' | 'until';
  readonly display?: 'visible' | 'hidden' | 'attributable';
  readonly capacity?: 'agency' | 'principal' | 'riskless' | 'other';
  /** The caller's own text, echoed. */
  readonly clOrdId?: string;
  readonly options?: OuchOptions;
}

export interface ReplaceRequest {
  readonly quantity: OuchAmount;
  readonly price: OuchAmount;
  readonly clOrdId?: string;
  readonly options?: OuchOptions;
}

/** What a request has given: its number at once, its answer later. Awaited, it is the answer. */
export interface Requested<A> extends Promise<A> {
  readonly userRefNum: number;
}

export interface OuchClientEvents {
  message: [OuchMessage, sequence: number];
  connected: [{ session: string; resumed: boolean }];
  disconnected: [GatewayError];
  end: [SoupEnd];
}

type Removal = OuchCanceled | OuchAiqCanceled | OuchModified;

interface Pending {
  readonly bytes: Buffer;
  readonly resolve: (answer: never) => void;
  readonly reject: (error: unknown) => void;
}

interface KnownOrder {
  readonly symbol: string;
  readonly side: string;
  readonly timeInForce: string;
  readonly display: string;
}

/** The price of a market order. */
export const ouchMarketPrice: number = 0x7fffffff;
const timesInForce = { day: '0', immediate: '3', until: '6' };
const displays = { visible: 'Y', hidden: 'N', attributable: 'A' };
const capacities = { agency: 'A', principal: 'P', riskless: 'R', other: 'O' };

export class OuchClient
  extends EventEmitter<OuchClientEvents>
  implements AsyncDisposable, AsyncIterable<OuchMessage>
{
  readonly units: InstrumentUnits;
  readonly #options: OuchClientOptions;
  #soup: SoupClient | undefined;
  #next = 1;
  /** By UserRefNum, in the order in which they were sent. */
  readonly #requests = new Map<number, Pending>();
  /** Cancels and reductions have no number of their own: those of one order, in order. */
  readonly #removals = new Map<number, Pending[]>();
  #queries: Pending[] = [];
  readonly #orders = new Map<number, KnownOrder>();
  readonly #open = new Map<number, number>();
  #readers: Reader[] = [];
  #end: SoupEnd | undefined;
  #connected = false;
  /** Until the session's messages up to `at` were handed on. */
  #joining: { at: number; resolve: () => void; reject: (error: unknown) => void } | undefined;

  private constructor(options: OuchClientOptions) {
    super();
    this.#options = options;
    this.units = new InstrumentUnits(options.instruments);
  }

  /** Resolves once logged in, and once everything that the session held was handed on. */
  static async connect(options: OuchClientOptions): Promise<OuchClient> {
    const client = new OuchClient(options);
    const place = await askForPlace(options);
    client.#next = place.nextUserRefNum;
    const handedOn = new Promise<void>((resolve, reject) => {
      client.#joining = { at: place.answer, resolve, reject };
    });
    // Where the login fails, that is what the caller hears.
    handedOn.catch(() => undefined);
    const from = options.sequence === 0 ? place.first : options.sequence;
    const login = { ...options, session: place.session, ...(from !== undefined && { sequence: from }) };
    const soup = SoupClient.connect(login, {
      message: (payload, sequence) => client.#take(payload, sequence),
      loggedIn: ({ session, resumed }) => {
        client.#connected = true;
        if (resumed) client.#sendAgain();
        client.emit('connected', { session, resumed });
      },
      disconnected: (error) => {
        client.#connected = false;
        client.emit('disconnected', error);
      },
    });
    client.#soup = await soup.finally(() => void place.soup.close());
    void client.#soup.ended.then((end) => client.#finish(end));
    await handedOn;
    return client;
  }

  get session(): string {
    return this.#soup?.session ?? '';
  }

  /** With `session`, what another client resumes from. */
  get nextSequence(): number {
    return this.#soup?.nextSequence ?? 1;
  }

  /** The number that the next order gets. */
  get nextUserRefNum(): number {
    return this.#next;
  }

  get connected(): boolean {
    return this.#connected && this.#soup?.connected === true;
  }

  /** Requests without an answer. */
  get pending(): number {
    let removals = 0;
    for (const waiting of this.#removals.values()) removals += waiting.length;
    return this.#requests.size + removals + this.#queries.length;
  }

  /** Settles when the session is over for this client; never rejects. */
  get ended(): Promise<SoupEnd> {
    return this.#soup!.ended;
  }

  /** A new order. Resolves with its acceptance; rejects with OrderRejectedError. */
  enter(request: EnterRequest): Requested<OuchAccepted> {
    const market = request.price === undefined;
    const userRefNum = this.#next;
    const { symbol, clOrdId = '', options } = request;
    const message: OuchEnter = {
      type: 'enter',
      userRefNum,
      side: request.side === 'buy' ? 'B' : 'S',
      quantity: Number(this.units.lots(symbol, request.quantity)),
      symbol,
      price: market ? ouchMarketPrice : Number(this.units.ticks(symbol, request.price!)),
      timeInForce: timesInForce[request.timeInForce ?? (market ? 'immediate' : 'day')],
      display: displays[request.display ?? 'visible'],
      capacity: capacities[request.capacity ?? 'principal'],
      sweep: 'N',
      crossType: 'N',
      clOrdId,
      ...(options !== undefined && { options }),
    };
    const { side, timeInForce, display } = message;
    const asked = this.#ask<OuchAccepted>(message, userRefNum);
    this.#orders.set(userRefNum, { symbol, side, timeInForce, display });
    return asked;
  }

  /** Another price, another quantity in all (the executed part included), under a new number. */
  replace(order: number, request: ReplaceRequest): Requested<OuchReplaced> {
    const known = this.#orders.get(order);
    const { timeInForce = '0', display = 'Y', symbol } = known ?? {};
    const userRefNum = this.#next;
    const asked = this.#ask<OuchReplaced>(
      {
        type: 'replace',
        origUserRefNum: order,
        userRefNum,
        quantity: Number(this.units.lots(symbol, request.quantity)),
        price: Number(this.units.ticks(symbol, request.price)),
        timeInForce,
        display,
        sweep: 'N',
        clOrdId: request.clOrdId ?? '',
        ...(request.options !== undefined && { options: request.options }),
      },
      userRefNum,
    );
    if (known !== undefined) this.#orders.set(userRefNum, known);
    return asked;
  }

  /** Takes off what is above `quantity` in all, the executed part included; left out: everything that is open. */
  cancel(order: number, quantity: OuchAmount = 0): Promise<Removal> {
    const lots = Number(this.units.lots(this.#orders.get(order)?.symbol, quantity));
    return this.#remove(order, { type: 'cancel', userRefNum: order, quantity: lots });
  }

  /** As cancel() with a quantity; answered by what is open then. */
  modify(order: number, quantity: OuchAmount): Promise<Removal> {
    const { symbol, side = 'B' } = this.#orders.get(order) ?? {};
    const lots = Number(this.units.lots(symbol, quantity));
    return this.#remove(order, { type: 'modify', userRefNum: order, side, quantity: lots });
  }

  /** Every open order, or those of one instrument. The cancelled orders' own messages come besides. */
  massCancel(symbol = ''): Requested<OuchMassCanceled> {
    const userRefNum = this.#next;
    return this.#ask({ type: 'mass-cancel', userRefNum, firm: '', symbol }, userRefNum);
  }

  /** No new orders and replacements of this session, until enableEntry(). */
  disableEntry(): Requested<OuchSwitched> {
    const userRefNum = this.#next;
    return this.#ask({ type: 'disable', userRefNum, firm: '' }, userRefNum);
  }

  enableEntry(): Requested<OuchSwitched> {
    const userRefNum = this.#next;
    return this.#ask({ type: 'enable', userRefNum, firm: '' }, userRefNum);
  }

  /** Which UserRefNum the gateway takes next. */
  accountQuery(): Promise<OuchAccountAnswer> {
    const bytes = writeOuch({ type: 'account-query' });
    return new Promise((resolve, reject) => {
      if (this.#refuse(reject)) return;
      this.#queries.push({ bytes, resolve, reject });
      this.#soup?.send(bytes);
    });
  }

  /** Messages from now on, in order. Reading pauses while `queueMax` of them wait. */
  messages(): AsyncIterableIterator<OuchMessage> & AsyncDisposable {
    const reader = new Reader(
      () => this.#afterReading(),
      () => {
        this.#readers = this.#readers.filter((one) => one !== reader);
        this.#afterReading();
      },
    );
    if (this.#end === undefined) this.#readers.push(reader);
    else reader.end(this.#end);
    return reader;
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<OuchMessage> {
    return this.messages();
  }

  /** Resolves once the system has taken what was sent. */
  async drained(): Promise<void> {
    await this.#soup?.drained();
  }

  async close(): Promise<void> {
    await this.#soup?.close();
    // Whoever waits for an answer hears of it before close() resolves.
    if (this.#soup !== undefined) this.#finish(await this.#soup.ended);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #refuse(reject: (error: unknown) => void): boolean {
    if (this.#end === undefined) return false;
    reject(this.#end.error ?? over());
    return true;
  }

  #ask<A>(message: OuchRequest, userRefNum: number): Requested<A> {
    // Before the number is used: what does not fit takes none.
    const bytes = writeOuch(message);
    const promise = new Promise<A>((resolve, reject) => {
      if (this.#refuse(reject)) return;
      this.#next = userRefNum + 1;
      this.#requests.set(userRefNum, { bytes, resolve, reject });
      this.#soup?.send(bytes);
    });
    // Who looks at the messages alone need not look at this.
    promise.catch(() => undefined);
    return Object.assign(promise, { userRefNum });
  }

  #remove(order: number, message: OuchRequest): Promise<Removal> {
    const bytes = writeOuch(message);
    const promise = new Promise<Removal>((resolve, reject) => {
      if (this.#refuse(reject)) return;
      const waiting = this.#removals.get(order) ?? [];
      waiting.push({ bytes, resolve, reject });
      this.#removals.set(order, waiting);
      this.#soup?.send(bytes);
    });
    promise.catch(() => undefined);
    return promise;
  }

  /** Whatever has no answer yet: what was answered meanwhile is on its way, and the gateway does nothing twice. */
  #sendAgain(): void {
    for (const { bytes } of this.#requests.values()) this.#soup?.send(bytes);
    for (const waiting of this.#removals.values()) for (const { bytes } of waiting) this.#soup?.send(bytes);
    for (const { bytes } of this.#queries) this.#soup?.send(bytes);
  }

  #take(payload: Buffer, sequence: number): void {
    const message = readOuchMessage(payload);
    if (message === undefined) {
      const text = `message ${sequence} of the session is none of OUCH 5.0`;
      void this.#soup?.close();
      this.#finish({ reason: 'failed', error: new GatewayError('GATEWAY_PROTOCOL', text) });
      return;
    }
    this.#settle(message);
    this.#options.onMessage?.(message, sequence);
    this.emit('message', message, sequence);
    for (const reader of this.#readers) reader.put(message);
    if (this.#full()) this.#soup?.pause();
    if (this.#joining !== undefined && sequence >= this.#joining.at) {
      this.#joining.resolve();
      this.#joining = undefined;
    }
  }

  #settle(message: OuchMessage): void {
    switch (message.type) {
      case 'accepted':
      case 'replaced':
        this.#used(message.userRefNum);
        this.#known(message);
        if (message.type === 'replaced') this.#gone(message.origUserRefNum);
        if (message.state === 'D') this.#gone(message.userRefNum);
        this.#answered(message.userRefNum, message);
        break;
      case 'mass-canceled':
      case 'disabled':
      case 'enabled':
        this.#used(message.userRefNum);
        this.#answered(message.userRefNum, message);
        break;
      case 'rejected':
        this.#used(message.userRefNum);
        this.#orders.delete(message.userRefNum);
        this.#request(message.userRefNum)?.reject(
          new OrderRejectedError(
            'ORDER_REJECTED',
            `order ${message.userRefNum} was rejected: ${ouchReasons.get(message.reason) ?? message.reason}`,
            { details: { userRefNum: message.userRefNum, reason: message.reason } },
          ),
        );
        break;
      case 'canceled':
      case 'aiq-canceled':
        this.#removal(message.userRefNum)?.resolve(message as never);
        this.#less(message.userRefNum, message.quantity);
        break;
      case 'modified':
        this.#removal(message.userRefNum)?.resolve(message as never);
        if (message.quantity === 0) this.#gone(message.userRefNum);
        else this.#open.set(message.userRefNum, message.quantity);
        break;
      case 'cancel-rejected':
        this.#removal(message.userRefNum)?.reject(refusedCancel(message.userRefNum));
        break;
      case 'executed':
        this.#less(message.userRefNum, message.quantity);
        break;
      case 'account-answer':
        this.#queries.shift()?.resolve(message as never);
        break;
      default:
        break;
    }
  }

  #used(userRefNum: number): void {
    this.#next = Math.max(this.#next, userRefNum + 1);
  }

  #known({ userRefNum, symbol, side, timeInForce, display, quantity }: OuchAccepted | OuchReplaced): void {
    this.#orders.set(userRefNum, { symbol, side, timeInForce, display });
    this.#open.set(userRefNum, quantity);
  }

  #request(userRefNum: number): Pending | undefined {
    const pending = this.#requests.get(userRefNum);
    this.#requests.delete(userRefNum);
    return pending;
  }

  #answered(userRefNum: number, message: OuchMessage): void {
    this.#request(userRefNum)?.resolve(message as never);
  }

  #removal(userRefNum: number): Pending | undefined {
    const waiting = this.#removals.get(userRefNum);
    const first = waiting?.shift();
    if (waiting?.length === 0) this.#removals.delete(userRefNum);
    return first;
  }

  #less(userRefNum: number, quantity: number): void {
    const open = (this.#open.get(userRefNum) ?? 0) - quantity;
    if (open > 0) this.#open.set(userRefNum, open);
    else this.#gone(userRefNum);
  }

  /** Nothing is open any more. A cancel that came too late is answered by the gateway, if at all; the caller need not wait for it. */
  #gone(userRefNum: number): void {
    this.#open.delete(userRefNum);
    this.#orders.delete(userRefNum);
    for (const { reject } of this.#removals.get(userRefNum) ?? []) reject(refusedCancel(userRefNum));
    this.#removals.delete(userRefNum);
  }

  #full(): boolean {
    const most = this.#options.queueMax ?? 65_536;
    return this.#readers.some((reader) => reader.waiting >= most);
  }

  #afterReading(): void {
    if (!this.#full()) this.#soup?.resume();
  }

  #finish(end: SoupEnd): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    this.#connected = false;
    const error = end.error ?? over();
    for (const { reject } of this.#requests.values()) reject(error);
    for (const waiting of this.#removals.values()) for (const { reject } of waiting) reject(error);
    for (const { reject } of this.#queries) reject(error);
    this.#joining?.reject(error);
    this.#requests.clear();
    this.#removals.clear();
    this.#queries = [];
    for (const reader of this.#readers.splice(0)) reader.end(end);
    this.emit('end', end);
  }
}

/** Where a session stands now: the next UserRefNum, and the numbers of the first message from here on and of the answer itself. */
interface Place {
  /** Of the login that asked. */
  readonly soup: SoupClient;
  readonly session: string;
  readonly nextUserRefNum: number;
  readonly first: number;
  readonly answer: number;
}

/** Logs in for nothing but an account query. The connection stays until the next login takes the session over: a session without one may
 * have its orders cancelled. */
async function askForPlace(options: OuchClientOptions): Promise<Place> {
  let first = 0;
  let found: (place: Place) => void = () => undefined;
  const place = new Promise<Place>((resolve) => {
    found = resolve;
  });
  const soup: SoupClient = await SoupClient.connect(
    { ...options, sequence: 0, reconnect: false },
    {
      loggedIn: ({ sequence }) => {
        first = sequence;
      },
      message: (payload, sequence) => {
        const message = readOuchMessage(payload);
        if (message?.type !== 'account-answer') return;
        const { nextUserRefNum } = message;
        found({ soup, session: soup.session, nextUserRefNum, first, answer: sequence });
      },
    },
  );
  soup.send(writeOuch({ type: 'account-query' }));
  return await Promise.race([
    place,
    soup.ended.then(({ error }) => {
      throw error ?? over();
    }),
  ]);
}

function over(): GatewayError {
  return new GatewayError('GATEWAY_CLOSED', 'the session is over');
}

function refusedCancel(userRefNum: number): OrderRejectedError {
  return new OrderRejectedError('CANCEL_REJECTED', `there is nothing to take off order ${userRefNum}`, {
    details: { userRefNum },
  });
}

/** Messages that wait for whoever iterates over them. */
class Reader implements AsyncIterableIterator<OuchMessage>, AsyncDisposable {
  #queue: OuchMessage[] = [];
  #at = 0;
  #wanted: {
    resolve: (result: IteratorResult<OuchMessage, undefined>) => void;
    reject: (error: unknown) => void;
  }[] = [];
  #end: SoupEnd | undefined;
  readonly #taken: () => void;
  readonly #left: () => void;

  constructor(taken: () => void, left: () => void) {
    this.#taken = taken;
    this.#left = left;
  }

  get waiting(): number {
    return this.#queue.length - this.#at;
  }

  put(message: OuchMessage): void {
    const wanted = this.#wanted.shift();
    if (wanted === undefined) this.#queue.push(message);
    else wanted.resolve({ done: false, value: message });
  }

  end(end: SoupEnd): void {
    this.#end ??= end;
    for (const wanted of this.#wanted.splice(0)) this.#atEnd(wanted.resolve, wanted.reject);
  }

  next(): Promise<IteratorResult<OuchMessage, undefined>> {
    const value = this.#queue[this.#at];
    if (value !== undefined) {
      this.#at++;
      if (this.#at === this.#queue.length) {
        this.#queue = [];
        this.#at = 0;
        this.#taken();
      }
      return Promise.resolve({ done: false, value });
    }
    return new Promise((resolve, reject) => {
      if (this.#end === undefined) this.#wanted.push({ resolve, reject });
      else this.#atEnd(resolve, reject);
    });
  }

  return(): Promise<IteratorResult<OuchMessage, undefined>> {
    this.#queue = [];
    this.#at = 0;
    this.#left();
    this.end({ reason: 'logout' });
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  #atEnd(
    resolve: (result: IteratorResult<OuchMessage, undefined>) => void,
    reject: (error: unknown) => void,
  ): void {
    if (this.#end?.error === undefined) resolve({ done: true, value: undefined });
    else reject(this.#end.error);
  }
}
