// A node with a small market behind its gateways, and clients that trade on it at random.
import type { Exchange } from '../../src/api/exchange.ts';
import type { GatewayOptions } from '../../src/api/gateways.ts';
import type { ExchangeOptions } from '../../src/api/types.ts';
import type { InstrumentTerms } from '../../src/clients/instrument-units.ts';
import { OuchClient, type OuchClientOptions } from '../../src/clients/ouch-client.ts';
import type { OuchMessage } from '../../src/clients/ouch-codec.ts';
import { randomOf } from '../clients/fake-feed.ts';

export const tick = '0.01';
export const lot = '0.0001';
export const instruments: InstrumentTerms = { 'BTC-USD': { tickSize: tick, lotSize: lot } };
export const accounts: readonly string[] = ['alice', 'bob', 'carol'];

export const small: ExchangeOptions = {
  maxOrders: 50_000,
  maxAccounts: 100,
  maxInstruments: 16,
  maxClientIds: 500_000,
  segmentBytes: 1 << 22,
};

export function gateways(more: Partial<GatewayOptions> = {}): GatewayOptions {
  return {
    orders: '127.0.0.1:0',
    feed: { stream: '127.0.0.1:0', snapshot: '127.0.0.1:0', retransmission: '127.0.0.1:0' },
    users: accounts.map((account, index) => ({
      name: account.toUpperCase(),
      password: 'secret',
      session: index + 1,
      account,
    })),
    ...more,
  };
}

export async function addMarket(exchange: Exchange): Promise<void> {
  await exchange.execute({ op: 'add-asset', asset: 'BTC', decimals: 8 });
  await exchange.execute({ op: 'add-asset', asset: 'USD', decimals: 8 });
  await exchange.execute({
    op: 'add-instrument',
    instrument: 'BTC-USD',
    base: 'BTC',
    quote: 'USD',
    tickSize: tick,
    lotSize: lot,
    makerFee: 0,
    takerFee: 0,
  });
  for (const account of accounts) {
    await exchange.execute({ op: 'add-account', account });
    await exchange.execute({ op: 'deposit', account, asset: 'USD', id: 'd1', amount: '1000000000' });
    await exchange.execute({ op: 'deposit', account, asset: 'BTC', id: 'd2', amount: '1000000' });
  }
}

/** One client, everything that it ever heard, and what it does next. */
export class Trader {
  readonly account: string;
  readonly heard: OuchMessage[] = [];
  client!: OuchClient;
  readonly #random: () => number;
  readonly #open = new Set<number>();

  private constructor(account: string, seed: number) {
    this.account = account;
    this.#random = randomOf(seed);
  }

  static async connect(
    address: string,
    account: string,
    seed: number,
    options: Partial<OuchClientOptions> = {},
  ): Promise<Trader> {
    const trader = new Trader(account, seed);
    trader.client = await OuchClient.connect({
      address,
      user: account.toUpperCase(),
      password: 'secret',
      instruments,
      reconnect: { firstMs: 5, mostMs: 100 },
      onMessage: (message) => trader.#hear(message),
      ...options,
    });
    return trader;
  }

  /** Something, without waiting for its answer. */
  act(): void {
    const what = this.#random();
    const [oldest] = this.#open;
    const price = 10_000 + Math.floor(this.#random() * 21) - 10;
    const quantity = 1 + Math.floor(this.#random() * 50);
    const ignored = (): void => undefined;
    if (oldest === undefined || what < 0.7) {
      const side = this.#random() < 0.5 ? 'buy' : 'sell';
      const options = what < 0.1 ? { options: { maxFloor: Math.ceil(quantity / 3) } } : {};
      this.client.enter({ side, symbol: 'BTC-USD', quantity, price, ...options }).catch(ignored);
    } else if (what < 0.85) {
      this.#open.delete(oldest);
      this.client.cancel(oldest).catch(ignored);
    } else {
      this.#open.delete(oldest);
      this.client.replace(oldest, { quantity: quantity + 50, price }).catch(ignored);
    }
  }

  /** "price quantity match side" of every execution, in order. */
  executions(): string[] {
    return this.heard.flatMap((one) =>
      one.type === 'executed' ? [`${one.match} ${one.price} ${one.quantity} ${one.liquidity}`] : [],
    );
  }

  #hear(message: OuchMessage): void {
    this.heard.push(message);
    if (message.type === 'accepted' || message.type === 'replaced') this.#open.add(message.userRefNum);
    if (message.type === 'canceled') this.#open.delete(message.userRefNum);
  }
}

/** What the exchange's own events say each account has executed, in the same words. */
export async function executionsOf(exchange: Exchange): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>(accounts.map((account) => [account, []]));
  // Everything before a command that does nothing.
  const [mark] = await exchange.submit({ op: 'cancel', account: 'alice', id: 'nothing' });
  const units = (text: string, step: number): number => Math.round(Number(text) / step);
  for await (const event of exchange.events({ from: 1n })) {
    if (event.position >= mark!.position) break;
    if (event.event === 'trade') {
      const match = (1n << 32n) | BigInt(event.tradeId);
      const line = `${match} ${units(event.price, Number(tick))} ${units(event.quantity, Number(lot))}`;
      found.get(event.takerAccount)?.push(`${line} R`);
      found.get(event.makerAccount)?.push(`${line} A`);
    }
  }
  return found;
}
