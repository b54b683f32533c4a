// ClearingClient: one session of the clearing protocol (docs/clearing-protocol.md), over SoupBinTCP.
//
// What a caller may rely on:
// 1. Every message of the session comes in order, each once, over all reconnects.
// 2. A request without an answer is sent again after a reconnect, before anything newer; the gateway knows it by its reference, so that it
//    is done once at most. Money is safe over restarts of the client, too, where its transaction ids are the caller's own.
// 3. References rise: the client asks the gateway for the last one after it has logged in.
import { GatewayError } from '../errors/errors.ts';
import {
  type ClearingAcknowledged,
  type ClearingAnswers,
  type ClearingMessage,
  type ClearingRejected,
  type ClearingRequests,
  readClearing,
  writeClearing,
} from './clearing-codec.ts';
import { SoupClient, type SoupEnd, type SoupOptions } from './soup-client.ts';

export interface ClearingClientOptions extends SoupOptions {
  /** Hears of every message from the first one on: answers, rows, and the pushes: executions, balances, limits, kill switches. */
  readonly onMessage?: (message: ClearingMessage, sequence: number) => void;
}

/** How a request ended. A rejected one is no error of the client: look at `type`. */
export type ClearingOutcome = ClearingAcknowledged | ClearingRejected;

export type ClearingRow = ClearingAnswers[
  | 'balance'
  | 'position'
  | 'rights'
  | 'instrument-right'
  | 'limit'
  | 'open-order'];

/** A whole answer: all of its pages. */
export interface ClearingAnswer {
  readonly type: 'answer';
  readonly account: string;
  /** The journal position at which it holds; of the last page, where there are several. */
  readonly position: bigint;
  readonly rows: readonly ClearingRow[];
  /** Of the account, all of them. */
  readonly openOrders: number;
}

export interface ClearingMoney {
  readonly account: string;
  readonly asset: string;
  /** 1 to 16 printable characters or a UUID: what makes sending it again harmless. */
  readonly transaction: string;
  /** In the asset's smallest unit. */
  readonly amount: bigint;
}

const queryKinds = { balances: 1, positions: 2, limits: 3, orders: 4, statement: 5 };
const limitKinds = { orderSize: 1, orderValue: 2, openOrders: 3, openValue: 4, position: 5 };
const sides = { both: 0, buy: 1, sell: 2 };
const rights = { default: 0, allow: 1, deny: 2 };

export type ClearingQuery = keyof typeof queryKinds;
export type ClearingLimitKind = keyof typeof limitKinds;

interface Pending {
  readonly bytes: Buffer;
  readonly resolve: (answer: never) => void;
  readonly reject: (error: unknown) => void;
}

/** One page, as it came. */
interface Page {
  readonly type: 'page';
  readonly begin: ClearingAnswers['answer-begin'];
  readonly rows: ClearingRow[];
  readonly end: ClearingAnswers['answer-end'];
}

type Unnumbered<Type extends keyof ClearingRequests> = Omit<ClearingRequests[Type], 'type' | 'reference'>;

export class ClearingClient implements AsyncDisposable {
  readonly #options: ClearingClientOptions;
  #soup: SoupClient | undefined;
  #next = 1;
  #tag = 0;
  /** By reference, in the order in which they were sent. */
  readonly #requests = new Map<number, Pending>();
  readonly #tags = new Map<number, Pending>();
  #page: { begin: ClearingAnswers['answer-begin']; rows: ClearingRow[] } | undefined;
  /** Settles when the session is over for this client; never rejects. */
  readonly ended: Promise<SoupEnd>;
  #settleEnd: (end: SoupEnd) => void = () => undefined;
  #end: SoupEnd | undefined;

  private constructor(options: ClearingClientOptions) {
    this.#options = options;
    this.ended = new Promise((resolve) => {
      this.#settleEnd = resolve;
    });
  }

  /** Resolves once logged in, and once everything that the session held was handed on. */
  static async connect(options: ClearingClientOptions): Promise<ClearingClient> {
    const client = new ClearingClient(options);
    const soup = await SoupClient.connect(options, {
      message: (payload, sequence) => client.#take(payload, sequence),
      loggedIn: ({ resumed }) => {
        if (resumed) client.#sendAgain();
      },
    });
    client.#soup = soup;
    void soup.ended.then((end) => client.#finish(end));
    try {
      client.#next = (await client.#lastReference()) + 1;
    } catch (error) {
      await soup.close();
      throw error;
    }
    return client;
  }

  get session(): string {
    return this.#soup?.session ?? '';
  }

  /** With `session`, what another client resumes from. */
  get nextSequence(): number {
    return this.#soup?.nextSequence ?? 1;
  }

  deposit(money: ClearingMoney): Promise<ClearingOutcome> {
    return this.#request('deposit', money);
  }

  withdraw(money: ClearingMoney): Promise<ClearingOutcome> {
    return this.#request('withdraw', money);
  }

  transfer(money: ClearingMoney & { readonly receiver: string }): Promise<ClearingOutcome> {
    return this.#request('transfer', money);
  }

  /** `subject`: an instrument for orderSize and position, an asset for orderValue and openValue. `limit` null: none any more. */
  setLimit(limit: {
    readonly account: string;
    readonly kind: ClearingLimitKind;
    readonly subject?: string;
    readonly limit: bigint | null;
  }): Promise<ClearingOutcome> {
    return this.#request('set-limit', {
      account: limit.account,
      kind: limitKinds[limit.kind],
      subject: limit.subject ?? '',
      limit: limit.limit ?? -1n,
    });
  }

  /** `orderTypes`: a bit a type, as docs/rules.md section 3 says. */
  setRights(set: {
    readonly account: string;
    readonly orderTypes: number;
    readonly instruments: 'allow' | 'deny';
  }): Promise<ClearingOutcome> {
    const { account, orderTypes } = set;
    return this.#request('set-rights', { account, orderTypes, instrumentDefault: rights[set.instruments] });
  }

  setInstrumentRight(set: {
    readonly account: string;
    readonly instrument: string;
    readonly right: 'allow' | 'deny' | 'default';
  }): Promise<ClearingOutcome> {
    return this.#request('set-instrument-right', { ...set, right: rights[set.right] });
  }

  /** On: cancels what is open below the account, and stops it; ahead of everything that waits. */
  killSwitch(account: string, state: 'on' | 'off'): Promise<ClearingOutcome> {
    return this.#request('kill-switch', { account, state: state === 'on' ? 1 : 2 });
  }

  massCancel(cancel: {
    readonly account: string;
    readonly instrument?: string;
    readonly side?: 'both' | 'buy' | 'sell';
  }): Promise<ClearingOutcome> {
    const { account, instrument = '', side = 'both' } = cancel;
    return this.#request('mass-cancel', { account, instrument, side: sides[side] });
  }

  /** All pages of an answer. Each page holds at one position, a later one perhaps at a later. */
  async query(account: string, what: ClearingQuery): Promise<ClearingAnswer | ClearingRejected> {
    const rows: ClearingRow[] = [];
    for (let after = 0n; ; ) {
      const kind = queryKinds[what];
      const page = await this.#request<'query', Page | ClearingRejected>('query', { account, kind, after });
      if (page.type === 'rejected') return page;
      rows.push(...page.rows);
      const { next, position, openOrders } = page.end;
      if (next === 0n) return { type: 'answer', account, position, rows, openOrders };
      after = next;
    }
  }

  /** Logs out. What has no answer yet is rejected with GATEWAY_CLOSED. */
  async close(): Promise<void> {
    await this.#soup?.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #request<Type extends Exclude<keyof ClearingRequests, 'reference-query'>, Answer = ClearingOutcome>(
    type: Type,
    fields: Unnumbered<Type>,
  ): Promise<Answer> {
    return new Promise<Answer>((resolve, reject) => {
      const reference = this.#next;
      const bytes = writeClearing({ ...fields, type, reference } as unknown as ClearingRequests[Type]);
      if (this.#end !== undefined) throw closed(this.#end);
      this.#next++;
      this.#requests.set(reference, { bytes, resolve, reject });
      this.#soup!.send(bytes);
    });
  }

  #lastReference(): Promise<number> {
    return new Promise<number>((resolve, reject) => {
      const tag = ++this.#tag;
      const bytes = writeClearing({ type: 'reference-query', tag });
      if (this.#end !== undefined) throw closed(this.#end);
      this.#tags.set(tag, { bytes, resolve, reject });
      this.#soup!.send(bytes);
    });
  }

  #sendAgain(): void {
    for (const { bytes } of this.#tags.values()) this.#soup?.send(bytes);
    for (const { bytes } of this.#requests.values()) this.#soup?.send(bytes);
  }

  #take(payload: Buffer, sequence: number): void {
    if (this.#end !== undefined) return;
    const message = readClearing(payload);
    if (message === undefined) {
      const text = `message ${sequence} of the session is none of the clearing protocol`;
      void this.#soup?.close();
      this.#finish({ reason: 'failed', error: new GatewayError('GATEWAY_PROTOCOL', text) });
      return;
    }
    this.#options.onMessage?.(message, sequence);
    switch (message.type) {
      case 'acknowledged':
      case 'rejected':
        this.#settle(this.#requests, message.reference, message);
        break;
      case 'reference-answer':
        this.#settle(this.#tags, message.tag, message.lastReference);
        break;
      case 'answer-begin':
        this.#page = { begin: message, rows: [] };
        break;
      case 'answer-end':
        if (this.#page !== undefined)
          this.#settle(this.#requests, message.reference, { type: 'page', ...this.#page, end: message });
        this.#page = undefined;
        break;
      case 'balance':
      case 'position':
      case 'rights':
      case 'instrument-right':
      case 'limit':
      case 'open-order':
        this.#page?.rows.push(message);
        break;
      default:
    }
  }

  #settle(pending: Map<number, Pending>, key: number, answer: unknown): void {
    const found = pending.get(key);
    if (found === undefined) return;
    pending.delete(key);
    found.resolve(answer as never);
  }

  #finish(end: SoupEnd): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    this.#settleEnd(end);
    const all = [...this.#tags.values(), ...this.#requests.values()];
    this.#tags.clear();
    this.#requests.clear();
    for (const { reject } of all) reject(closed(end));
  }
}

function closed(end: SoupEnd): GatewayError {
  return (
    end.error ??
    new GatewayError(
      'GATEWAY_CLOSED',
      end.reason === 'logout' ? 'the client is closed' : 'the session has ended',
    )
  );
}
