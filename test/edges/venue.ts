// A small venue for tests: an exchange in memory with its edges on free ports, two funded accounts, a market.
import { WebSocket } from 'ws';
import { Exchange } from '../../src/api/exchange.ts';
import type { ExchangeOptions, Request } from '../../src/api/types.ts';
import { type Edges, type EdgesOptions, openEdges } from '../../src/edges/edges.ts';
import type { ApiKey } from '../../src/edges/keys.ts';
import { sign } from '../../src/edges/signature.ts';
import { streamPath } from '../../src/edges/stream.ts';

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever JSON came.
  readonly body: any;
  readonly text: string;
}

export interface SendOptions {
  readonly key?: { readonly key: string; readonly secret: string } | undefined;
  readonly body?: unknown;
  /** Sent as it is, in place of `body`. */
  readonly raw?: string | Uint8Array;
  readonly headers?: Record<string, string>;
  readonly timestamp?: number;
  readonly admin?: boolean;
}

let lastTimestamp = 0;

/** Never the same twice: a signature counts once. */
export function freshTimestamp(): number {
  lastTimestamp = Math.max(lastTimestamp + 1, Date.now());
  return lastTimestamp;
}

export class Venue {
  readonly exchange: Exchange;
  readonly edges: Edges;
  alice!: ApiKey;
  bob!: ApiKey;
  reader!: ApiKey;

  private constructor(exchange: Exchange, edges: Edges) {
    this.exchange = exchange;
    this.edges = edges;
  }

  static async open(
    options: Partial<EdgesOptions> = {},
    exchangeOptions: ExchangeOptions = {},
  ): Promise<Venue> {
    const limits = { maxOrders: 100_000, maxAccounts: 1000, maxInstruments: 100, maxClientIds: 200_000 };
    const exchange = await Exchange.open({ ...limits, clock: 'manual', ...exchangeOptions });
    const edges = await openEdges({
      exchange,
      host: '127.0.0.1',
      port: 0,
      adminPort: 0,
      version: '0',
      ...options,
    });
    const venue = new Venue(exchange, edges);
    await venue.#prepare();
    return venue;
  }

  async #prepare(): Promise<void> {
    const assets = (await this.exchange.assets()).length;
    if (assets === 0) {
      const steps: Request[] = [
        { op: 'add-asset', asset: 'BTC', decimals: 8 },
        { op: 'add-asset', asset: 'USD', decimals: 8 },
        {
          op: 'add-instrument',
          instrument: 'BTC-USD',
          base: 'BTC',
          quote: 'USD',
          tickSize: '0.5',
          lotSize: '0.001',
          minPrice: '1',
          maxPrice: '100000',
        },
        { op: 'add-account', account: 'firm' },
      ];
      for (const step of steps) await this.exchange.execute(step);
      for (const account of ['alice', 'bob']) {
        await this.exchange.execute({ op: 'add-account', account, parent: 'firm' });
        await this.exchange.execute({
          op: 'deposit',
          account,
          asset: 'USD',
          id: 'first',
          amount: '100000000',
        });
        await this.exchange.execute({ op: 'deposit', account, asset: 'BTC', id: 'second', amount: '10000' });
      }
    }
    this.alice = this.edges.keys.create('alice', 'trade');
    this.bob = this.edges.keys.create('bob', 'trade');
    this.reader = this.edges.keys.create('alice', 'read');
  }

  get position(): bigint {
    return this.exchange.stats().position;
  }

  get base(): string {
    return `http://127.0.0.1:${this.edges.port}`;
  }

  async send(method: string, target: string, options: SendOptions = {}): Promise<Answer> {
    const { key, body, raw, headers = {}, admin = false } = options;
    const text = raw ?? (body === undefined ? '' : JSON.stringify(body));
    const timestamp = options.timestamp ?? freshTimestamp();
    const signed =
      key === undefined
        ? {}
        : {
            'verbex-key': key.key,
            'verbex-timestamp': String(timestamp),
            'verbex-signature': sign(key.secret, { timestamp, method, target, body: text }),
          };
    const port = admin ? this.edges.adminPort : this.edges.port;
    const response = await fetch(`http://127.0.0.1:${port}${target}`, {
      method,
      headers: { ...signed, ...headers },
      ...(text.length > 0 && { body: text }),
    });
    const answer = await response.text();
    const json = response.headers.get('content-type') === 'application/json' && answer !== '';
    return {
      status: response.status,
      headers: response.headers,
      text: answer,
      body: json ? JSON.parse(answer) : answer,
    };
  }

  admin(method: string, target: string, body?: unknown): Promise<Answer> {
    return this.send(method, target, {
      admin: true,
      body,
      key: { key: 'admin', secret: this.edges.adminKey },
    });
  }

  place(key: ApiKey, order: Record<string, unknown>): Promise<Answer> {
    return this.send('POST', '/v1/orders', {
      key,
      body: { instrument: 'BTC-USD', side: 'buy', quantity: '1', ...order },
    });
  }

  stream(): Promise<StreamReader> {
    return StreamReader.open(`ws://127.0.0.1:${this.edges.port}${streamPath}`);
  }

  async close(): Promise<void> {
    await this.edges.close();
    await this.exchange.close();
  }
}

// biome-ignore lint/suspicious/noExplicitAny: tests look into whatever JSON came.
type Message = any;

/** A WebSocket client that keeps what comes. */
export class StreamReader {
  readonly socket: WebSocket;
  readonly messages: Message[] = [];
  closed: { code: number; reason: string } | undefined;
  #wake: () => void = () => undefined;

  private constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on('message', (data) => {
      this.messages.push(JSON.parse(data.toString()));
      this.#wake();
    });
    socket.on('close', (code, reason) => {
      this.closed = { code, reason: reason.toString() };
      this.#wake();
    });
    socket.on('error', () => this.#wake());
  }

  static async open(url: string): Promise<StreamReader> {
    const reader = new StreamReader(new WebSocket(url));
    await reader.next((message) => message.op === 'welcome');
    return reader;
  }

  send(message: unknown): void {
    this.socket.send(typeof message === 'string' ? message : JSON.stringify(message));
  }

  auth(key: ApiKey): void {
    const timestamp = freshTimestamp();
    const signature = sign(key.secret, { timestamp, method: 'GET', target: streamPath });
    this.send({ op: 'auth', key: key.key, timestamp: String(timestamp), signature });
  }

  /** The first message that fits, from the beginning or from `from` on; waits for it. */
  async next(fits: (message: Message) => boolean, from = 0, timeoutMs = 5000): Promise<Message> {
    const deadline = Date.now() + timeoutMs;
    for (let at = from; ; at++) {
      while (at >= this.messages.length) {
        if (this.closed !== undefined)
          throw new Error(`closed with ${this.closed.code} ${this.closed.reason}`);
        if (Date.now() > deadline)
          throw new Error(`nothing fits: ${JSON.stringify(this.messages.slice(-5))}`);
        await this.#more();
      }
      if (fits(this.messages[at])) return this.messages[at];
    }
  }

  async untilClosed(timeoutMs = 5000): Promise<{ code: number; reason: string }> {
    const deadline = Date.now() + timeoutMs;
    while (this.closed === undefined) {
      if (Date.now() > deadline) throw new Error('it is open still');
      await this.#more();
    }
    return this.closed;
  }

  #more(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, 50);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  close(): void {
    this.socket.terminate();
  }
}
