// A market made of random orders, as ITCH messages, with its book kept in the plainest way there is; and a MoldUDP64 feed that loses,
// doubles and swaps datagrams as it is told.
import { createSocket, type Socket } from 'node:dgram';
import { type ItchMessage, type ItchSide, writeItch } from '../../src/clients/itch-codec.ts';

/** Uniform in [0, 1), the same for the same seed: Mulberry32 by Tommy Ettinger, public domain. */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

interface PlainOrder {
  reference: number;
  symbol: number;
  side: ItchSide;
  price: number;
  quantity: number;
}

export const symbols: readonly string[] = ['BTC-USD', 'ETH-USD', '#17'];

export class FakeMarket {
  /** Message n stands at n - 1. */
  readonly messages: Buffer[] = [];
  orders: PlainOrder[] = [];
  trades = 0;
  #reference = 0;
  readonly #random: () => number;

  constructor(seed: number) {
    this.#random = randomOf(seed);
    for (let symbol = 0; symbol < symbols.length; symbol++)
      this.#directory(symbol, (message) => this.#write(message));
  }

  step(count = 1): void {
    for (let index = 0; index < count; index++) this.#step();
  }

  /** What a snapshot of it consists of. */
  snapshot(): Buffer[] {
    const messages: ItchMessage[] = [];
    for (let symbol = 0; symbol < symbols.length; symbol++)
      this.#directory(symbol, (message) => messages.push(message));
    for (const order of this.orders) messages.push(this.#added(order));
    messages.push({ type: 'end-of-snapshot', sequence: this.messages.length + 1 });
    return messages.map(writeItch);
  }

  /** Whole queues, best price first. */
  queue(symbol: string, side: ItchSide): { reference: number; price: number; quantity: number }[] {
    const sign = side === 'buy' ? -1 : 1;
    return this.orders
      .filter((order) => symbols[order.symbol] === symbol && order.side === side)
      .map(({ reference, price, quantity }, index) => ({ reference, price, quantity, index }))
      .sort((a, b) => sign * (a.price - b.price) || a.index - b.index)
      .map(({ reference, price, quantity }) => ({ reference, price, quantity }));
  }

  #header(symbol: number) {
    return { locate: symbol + 1, tracking: 0, timeNs: this.messages.length * 1000 };
  }

  #directory(symbol: number, write: (message: ItchMessage) => void): void {
    const name = { ...this.#header(symbol), symbol: symbols[symbol]! };
    write({ type: 'directory', ...name, roundLot: 1, marks: 'QNNCZ PN  NN\0\0\0\0N' });
    write({ type: 'trading-action', ...name, state: 'T', reason: '' });
  }

  #added({ reference, symbol, side, price, quantity }: PlainOrder): ItchMessage {
    const header = { ...this.#header(symbol), symbol: symbols[symbol]! };
    return { type: 'add', ...header, reference, side, price, shares: quantity };
  }

  #write(message: ItchMessage): void {
    this.messages.push(writeItch(message));
  }

  #below(most: number): number {
    return Math.floor(this.#random() * most);
  }

  #step(): void {
    const order = this.orders[this.#below(this.orders.length)];
    const what = this.#random();
    if (order === undefined || what < 0.45) {
      const side = this.#random() < 0.5 ? 'buy' : 'sell';
      const price = side === 'buy' ? 1000 - this.#below(20) : 1001 + this.#below(20);
      const symbol = this.#below(symbols.length);
      const added = {
        reference: ++this.#reference,
        symbol,
        side,
        price,
        quantity: 1 + this.#below(100),
      } as const;
      this.orders.push({ ...added });
      this.#write(this.#added(added));
      return;
    }
    const { reference, side } = order;
    const header = { ...this.#header(order.symbol), reference };
    const shares = 1 + this.#below(order.quantity);
    if (what < 0.6) {
      this.trades++;
      const match = BigInt(this.trades);
      if (what < 0.57) this.#write({ type: 'executed', ...header, shares, match });
      else
        this.#write({
          type: 'executed-with-price',
          ...header,
          shares,
          match,
          printable: true,
          price: order.price,
        });
      this.#reduce(order, shares);
    } else if (what < 0.7) {
      this.#write({ type: 'cancel', ...header, shares });
      this.#reduce(order, shares);
    } else if (what < 0.85) {
      this.#write({ type: 'delete', ...header });
      this.#reduce(order, order.quantity);
    } else {
      const newReference = ++this.#reference;
      const price = order.price + (side === 'buy' ? -this.#below(3) : this.#below(3));
      this.#write({ type: 'replace', ...header, newReference, shares, price });
      this.orders.push({ ...order, reference: newReference, price, quantity: shares });
      this.#reduce(order, order.quantity);
    }
  }

  #reduce(order: PlainOrder, shares: number): void {
    order.quantity -= shares;
    if (order.quantity === 0) this.orders = this.orders.filter((one) => one !== order);
  }
}

export interface Weather {
  /** Shares of datagrams, 0 to 1. */
  readonly loss?: number;
  readonly doubled?: number;
  readonly late?: number;
  readonly seed?: number;
}

const head = (session: string, sequence: number, count: number): Buffer => {
  const bytes = Buffer.alloc(20);
  bytes.write(session.padStart(10), 0, 'latin1');
  bytes.writeBigUInt64BE(BigInt(sequence), 10);
  bytes.writeUInt16BE(count, 18);
  return bytes;
};

export class FakeMoldFeed implements AsyncDisposable {
  session = 'RUN1';
  /** The server answers requests for messages from here on; older ones are gone. */
  oldest = 1;
  answers = true;
  requests = 0;
  readonly #messages: () => readonly Buffer[];
  readonly #weather: Weather;
  readonly #random: () => number;
  readonly #server: Socket = createSocket('udp4');
  readonly #to: { port: number; host: string };
  #sent = 0;
  #late: Buffer[] = [];

  private constructor(
    messages: () => readonly Buffer[],
    to: { port: number; host: string },
    weather: Weather,
  ) {
    this.#messages = messages;
    this.#to = to;
    this.#weather = weather;
    this.#random = randomOf(weather.seed ?? 1);
    this.#server.on('message', (request, from) => {
      if (request.length !== 20 || !this.answers) return;
      this.requests++;
      const sequence = Number(request.readBigUInt64BE(10));
      if (request.toString('latin1', 0, 10).trim() !== this.session || sequence < this.oldest) return;
      const { datagram } = this.#datagram(sequence, request.readUInt16BE(18));
      if (this.#random() >= (this.#weather.loss ?? 0)) this.#server.send(datagram, from.port, from.address);
    });
  }

  static async open(
    messages: () => readonly Buffer[],
    to: { port: number; host: string },
    weather: Weather = {},
  ): Promise<FakeMoldFeed> {
    const feed = new FakeMoldFeed(messages, to, weather);
    await new Promise<void>((resolve) => feed.#server.bind(0, '127.0.0.1', resolve));
    return feed;
  }

  get retransmission(): string {
    return `127.0.0.1:${this.#server.address().port}`;
  }

  /** Everything that is not sent yet, as the weather is. */
  async send(): Promise<void> {
    const { loss = 0, doubled = 0, late = 0 } = this.#weather;
    while (this.#sent < this.#messages().length) {
      const { datagram, count } = this.#datagram(this.#sent + 1, 1 + Math.floor(this.#random() * 20));
      this.#sent += count;
      if (this.#random() < loss) continue;
      if (this.#random() < late) this.#late.push(datagram);
      else await this.raw(datagram);
      if (this.#random() < doubled) await this.raw(datagram);
      if (this.#random() < 0.5) await this.#sendLate();
    }
    await this.#sendLate();
  }

  async heartbeat(): Promise<void> {
    await this.raw(head(this.session, this.#messages().length + 1, 0));
  }

  async end(): Promise<void> {
    await this.raw(head(this.session, this.#messages().length + 1, 0xffff));
  }

  /** Another run: another session, from message 1. */
  restart(session: string): void {
    this.session = session;
    this.#sent = 0;
  }

  /** These are never sent by themselves. */
  skip(): void {
    this.#sent = this.#messages().length;
  }

  multicastOver(address: string): void {
    this.#server.setMulticastInterface(address);
    this.#server.setMulticastLoopback(true);
  }

  async raw(datagram: Buffer): Promise<void> {
    await new Promise((resolve) => this.#server.send(datagram, this.#to.port, this.#to.host, resolve));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  async #sendLate(): Promise<void> {
    for (const datagram of this.#late.splice(0)) await this.raw(datagram);
  }

  #datagram(sequence: number, most: number): { datagram: Buffer; count: number } {
    const parts: Buffer[] = [];
    let bytes = 20;
    for (const message of this.#messages().slice(sequence - 1, sequence - 1 + most)) {
      if (bytes + 2 + message.length > 1400) break;
      const length = Buffer.alloc(2);
      length.writeUInt16BE(message.length);
      parts.push(length, message);
      bytes += 2 + message.length;
    }
    const count = parts.length / 2;
    return { datagram: Buffer.concat([head(this.session, sequence, count), ...parts]), count };
  }
}

/** A UDP port that is free now. */
export async function freePort(): Promise<number> {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(() => resolve()));
  return port;
}
