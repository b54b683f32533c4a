// WebSocket /v1/stream: book, trades, ticker for everybody; one's own orders and balances after `auth`.
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type RawData, type WebSocket, WebSocketServer } from 'ws';
import type { Gate } from './access.ts';
import { ChannelLog } from './channel-log.ts';
import type { ExchangePort } from './exchange-port.ts';
import { Fields } from './fields.ts';
import { refuseSocket } from './http-listener.ts';
import { parseObject, toJson } from './json.ts';
import { type StreamLimits, streamLimits } from './limits.ts';
import type { FeedFrame, MarketFeed, PublicTrade } from './market-feed.ts';
import type { OwnEvent } from './private-view.ts';
import { RequestError, refusalOf } from './request-error.ts';
import { closeSlowReader, StreamClient } from './stream-client.ts';

export const streamPath = '/v1/stream';

const channels = ['book', 'trades', 'ticker', 'orders', 'balances'] as const;
type Channel = (typeof channels)[number];

export interface StreamOptions {
  readonly exchange: ExchangePort;
  readonly feed: MarketFeed;
  readonly gate: Gate;
  readonly limits?: Partial<StreamLimits>;
}

interface Logs {
  readonly book: ChannelLog;
  readonly trades: ChannelLog;
  tradesPosition: bigint;
}

function json(message: object): Buffer {
  return Buffer.from(toJson(message));
}

function byInstrument(trades: readonly PublicTrade[]): Map<string, PublicTrade[]> {
  const grouped = new Map<string, PublicTrade[]>();
  for (const trade of trades) {
    const there = grouped.get(trade.instrument);
    if (there === undefined) grouped.set(trade.instrument, [trade]);
    else there.push(trade);
  }
  return grouped;
}

export class Stream {
  readonly #exchange: ExchangePort;
  readonly #feed: MarketFeed;
  readonly #gate: Gate;
  readonly #limits: StreamLimits;
  readonly #server: WebSocketServer;
  readonly #clients = new Set<StreamClient>();
  /** Subscribers by channel and instrument or account. */
  readonly #subscribers = new Map<string, Set<StreamClient>>();
  readonly #logs = new Map<string, Logs>();
  readonly #dirtyTickers = new Set<string>();
  /** Accounts whose balances moved, and those being asked for. */
  readonly #dirtyBalances = new Set<string>();
  readonly #asking = new Set<string>();
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #unsubscribe: () => void;
  /** Clients cut off for reading too slowly, since the start. */
  slowReaders = 0;

  constructor(options: StreamOptions) {
    this.#exchange = options.exchange;
    this.#feed = options.feed;
    this.#gate = options.gate;
    this.#limits = { ...streamLimits, ...options.limits };
    this.#server = new WebSocketServer({
      noServer: true,
      maxPayload: this.#limits.messageBytesMax,
      perMessageDeflate: false,
      clientTracking: false,
    });
    this.#unsubscribe = this.#feed.onFrame((frame) => this.#frame(frame));
    this.#timers.push(
      setInterval(() => this.#tickers(), this.#limits.tickerEveryMs),
      setInterval(() => {
        for (const client of this.#clients) client.ping();
      }, this.#limits.pingEveryMs),
    );
  }

  get clients(): number {
    return this.#clients.size;
  }

  /** What waits in all connections together. */
  get bufferedBytes(): number {
    let sum = 0;
    for (const client of this.#clients) sum += client.bufferedBytes;
    return sum;
  }

  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const [path] = (request.url ?? '').split('?', 1);
    if (path !== streamPath) {
      refuseSocket(socket, new RequestError(404, 'UNKNOWN_ROUTE', `the stream is at ${streamPath}`));
    } else if (this.#clients.size >= this.#limits.clientsMax) {
      refuseSocket(
        socket,
        new RequestError(503, 'TOO_MANY_CLIENTS', 'the stream has no room for another client'),
      );
    } else
      this.#server.handleUpgrade(request, socket, head, (webSocket) => this.#connected(webSocket, request));
  }

  /** Tells everybody, then cuts those who do not go. */
  async close(): Promise<void> {
    this.#unsubscribe();
    for (const timer of this.#timers) clearInterval(timer);
    const left = [...this.#clients];
    for (const client of left) client.close(1001, { code: 'STOPPING', resumeFrom: client.delivered });
    const deadline = performance.now() + Math.min(1000, this.#limits.closeTimeoutMs);
    while (this.#clients.size > 0 && performance.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 10));
    this.#server.close();
  }

  #connected(socket: WebSocket, request: IncomingMessage): void {
    const client = new StreamClient(
      socket,
      this.#limits,
      request.socket.remoteAddress ?? '',
      request.headers.host,
    );
    this.#clients.add(client);
    client.delivered = this.#feed.position;
    socket.on('error', () => undefined); // 'close' follows, with the code that ws chose (1002, 1007, 1009).
    socket.on('close', () => this.#gone(client));
    socket.on('message', (data, binary) => void this.#message(client, data, binary));
    client.tell({ op: 'welcome', position: this.#feed.position, instruments: this.#feed.instruments });
  }

  #gone(client: StreamClient): void {
    this.#clients.delete(client);
    for (const name of client.subscriptions) this.#leave(client, name);
    client.unwatch?.();
    if (client.cutOff) this.slowReaders++;
  }

  #leave(client: StreamClient, name: string): void {
    client.subscriptions.delete(name);
    const subscribers = this.#subscribers.get(name);
    subscribers?.delete(client);
    if (subscribers?.size === 0) this.#subscribers.delete(name);
  }

  async #message(client: StreamClient, data: RawData, binary: boolean): Promise<void> {
    if (!client.open) return;
    if (!client.spend()) {
      client.close(1008, { code: 'TOO_MANY_MESSAGES' });
      return;
    }
    let reference: unknown;
    try {
      if (binary) throw new RequestError(400, 'MALFORMED_JSON', 'messages are JSON texts');
      const body = parseObject(data.toString());
      reference = body.ref;
      const { ref: _, ...rest } = body;
      await this.#perform(client, new Fields(rest), reference);
    } catch (error) {
      const refusal = refusalOf(error) ?? new RequestError(500, 'INTERNAL', 'this is our fault');
      client.mistake(refusal.code, refusal.message, reference);
    }
  }

  async #perform(client: StreamClient, fields: Fields, reference: unknown): Promise<void> {
    const op = fields.choice('op', ['subscribe', 'unsubscribe', 'auth', 'ping']);
    const about = typeof reference === 'string' || typeof reference === 'number' ? { ref: reference } : {};
    if (op === 'ping') {
      fields.done();
      client.tell({ op: 'pong', position: this.#feed.position, ...about });
    } else if (op === 'auth') {
      this.#authenticate(client, fields);
      client.tell({ op: 'authenticated', account: client.principal?.account, ...about });
    } else await this.#subscription(client, op, fields, about);
  }

  #authenticate(client: StreamClient, fields: Fields): void {
    const shown = {
      key: fields.optionalText('key', 64),
      timestamp: fields.optionalText('timestamp', 16),
      signature: fields.optionalText('signature', 64),
      token: fields.optionalText('token', 64),
    };
    fields.done();
    const around = {
      method: 'GET',
      target: streamPath,
      body: Buffer.alloc(0),
      remote: client.remote,
      host: client.host,
    };
    const principal = this.#gate.admit('read', shown, around);
    if (client.principal !== undefined)
      throw new RequestError(409, 'AUTHENTICATED_ALREADY', 'one account a connection');
    client.principal = principal;
    client.unwatch = this.#feed.watch(principal.account);
  }

  async #subscription(
    client: StreamClient,
    op: 'subscribe' | 'unsubscribe',
    fields: Fields,
    about: object,
  ): Promise<void> {
    const channel = fields.choice('channel', channels);
    const open = channel === 'book' || channel === 'trades' || channel === 'ticker';
    const subject = open ? fields.name('instrument') : client.principal?.account;
    const from = fields.optionalInteger('from', 0, Number.MAX_SAFE_INTEGER);
    fields.done();
    if (subject === undefined) throw new RequestError(401, 'UNSIGNED', `${channel} needs auth first`);
    if (open && !this.#feed.has(subject))
      throw new RequestError(404, 'UNKNOWN_INSTRUMENT', 'there is no such instrument');
    const name = `${channel} ${subject}`;
    const subscribed = client.subscriptions.has(name);
    if (op === 'unsubscribe') {
      if (!subscribed) throw new RequestError(409, 'NOT_SUBSCRIBED', `there is no subscription to ${name}`);
      this.#leave(client, name);
      client.tell({ op: 'unsubscribed', channel, ...(open ? { instrument: subject } : {}), ...about });
      return;
    }
    if (subscribed)
      throw new RequestError(409, 'SUBSCRIBED_ALREADY', `there is a subscription to ${name} already`);
    if (client.subscriptions.size >= this.#limits.subscriptionsMax) {
      throw new RequestError(
        429,
        'TOO_MANY_SUBSCRIPTIONS',
        `at most ${this.#limits.subscriptionsMax} a connection`,
      );
    }
    client.subscriptions.add(name);
    client.tell({ op: 'subscribed', channel, ...(open ? { instrument: subject } : {}), ...about });
    await this.#begin(client, channel, subject, from === undefined ? undefined : BigInt(from));
  }

  /** Sends the beginning and joins the subscribers in the same turn of the event loop: no frame can come between. */
  async #begin(
    client: StreamClient,
    channel: Channel,
    subject: string,
    from: bigint | undefined,
  ): Promise<void> {
    const join = (): void => {
      const name = `${channel} ${subject}`;
      const subscribers = this.#subscribers.get(name);
      if (subscribers === undefined) this.#subscribers.set(name, new Set([client]));
      else subscribers.add(client);
    };
    if (channel === 'ticker') {
      client.tell({ channel, type: 'update', ...this.#feed.ticker(subject) });
      join();
    } else if (channel === 'book' || channel === 'trades') {
      const missed = from === undefined ? undefined : this.#missed(channel, subject, from);
      if (missed === undefined) client.send(this.#snapshot(channel, subject));
      else for (const message of missed) client.send(message);
      join();
    } else {
      if (channel === 'orders') client.held = [];
      client.ownPosition = this.#feed.position;
      join();
      await this.#ownSnapshot(client, channel, subject);
    }
  }

  /** What came after `from`; undefined when that is no longer known. */
  #missed(channel: 'book' | 'trades', instrument: string, from: bigint): Buffer[] | undefined {
    if (from > this.#feed.position) return undefined;
    const logs = this.#logsOf(instrument);
    const current = channel === 'book' ? this.#feed.bookPosition(instrument) : logs.tradesPosition;
    return from >= current ? [] : logs[channel].since(from);
  }

  #snapshot(channel: 'book' | 'trades', instrument: string): Buffer {
    if (channel === 'book') return json({ channel, type: 'snapshot', ...this.#feed.book(instrument) });
    const trades = this.#feed.trades(instrument, 50);
    return json({
      channel,
      type: 'snapshot',
      instrument,
      position: this.#logsOf(instrument).tradesPosition,
      trades,
    });
  }

  async #ownSnapshot(client: StreamClient, channel: 'orders' | 'balances', account: string): Promise<void> {
    const position = this.#feed.position;
    if (channel === 'balances') {
      const { balances } = await this.#exchange.balances(account);
      client.tell({ channel, type: 'snapshot', account, position, balances });
      return;
    }
    const view = await this.#exchange.account(account);
    const held = client.held ?? [];
    client.held = undefined;
    client.tell({ channel, type: 'snapshot', account, position, orders: view.orders });
    for (const message of held) client.send(message);
  }

  #logsOf(instrument: string): Logs {
    const there = this.#logs.get(instrument);
    if (there !== undefined) return there;
    const { historyMax } = this.#limits;
    const logs = {
      book: new ChannelLog(historyMax),
      trades: new ChannelLog(historyMax),
      tradesPosition: this.#feed.position,
    };
    this.#logs.set(instrument, logs);
    return logs;
  }

  #send(name: string, message: Buffer): void {
    for (const client of this.#subscribers.get(name) ?? []) client.send(message);
  }

  #frame(frame: FeedFrame): void {
    for (const delta of frame.books) {
      const message = json({ channel: 'book', type: 'delta', ...delta });
      this.#logsOf(delta.instrument).book.push(delta.previous, delta.position, message);
      this.#send(`book ${delta.instrument}`, message);
      this.#dirtyTickers.add(delta.instrument);
    }
    for (const [instrument, trades] of byInstrument(frame.trades)) {
      const logs = this.#logsOf(instrument);
      const { position } = frame;
      const message = json({
        channel: 'trades',
        type: 'update',
        instrument,
        previous: logs.tradesPosition,
        position,
        trades,
      });
      logs.trades.push(logs.tradesPosition, position, message);
      logs.tradesPosition = position;
      this.#send(`trades ${instrument}`, message);
      this.#dirtyTickers.add(instrument);
    }
    for (const [account, events] of frame.own) this.#own(account, frame.position, events);
    for (const client of this.#clients) if (client.open) client.delivered = frame.position;
  }

  #own(account: string, position: bigint, events: readonly OwnEvent[]): void {
    for (const client of this.#subscribers.get(`orders ${account}`) ?? []) {
      const message = json({
        channel: 'orders',
        type: 'events',
        account,
        previous: client.ownPosition,
        position,
        events,
      });
      client.ownPosition = position;
      if (client.held === undefined) client.send(message);
      else if (client.held.push(message) > this.#limits.historyMax)
        client.close(closeSlowReader, { code: 'SLOW_READER' });
    }
    if (!this.#subscribers.has(`balances ${account}`)) return;
    this.#dirtyBalances.add(account);
    if (!this.#asking.has(account)) void this.#balances(account);
  }

  /** One question an account at a time: whatever moves meanwhile is in the next answer. */
  async #balances(account: string): Promise<void> {
    this.#asking.add(account);
    try {
      while (this.#dirtyBalances.delete(account) && this.#subscribers.has(`balances ${account}`)) {
        const { position } = this.#feed;
        const { balances } = await this.#exchange.balances(account);
        this.#send(
          `balances ${account}`,
          json({ channel: 'balances', type: 'update', account, position, balances }),
        );
      }
    } catch (error) {
      const refusal = refusalOf(error) ?? new RequestError(500, 'INTERNAL', 'this is our fault');
      this.#send(
        `balances ${account}`,
        json({ op: 'error', channel: 'balances', code: refusal.code, message: refusal.message }),
      );
    } finally {
      this.#asking.delete(account);
    }
  }

  #tickers(): void {
    for (const instrument of this.#dirtyTickers) {
      const name = `ticker ${instrument}`;
      if (this.#subscribers.has(name))
        this.#send(name, json({ channel: 'ticker', type: 'update', ...this.#feed.ticker(instrument) }));
    }
    this.#dirtyTickers.clear();
  }
}
