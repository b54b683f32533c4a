// Queries: asked of the engine between two batches, answered as views.
import { fromNative, InvalidRequestError } from '../errors/errors.ts';
import { shown } from '../errors/shown.ts';
import { idBytesFromJson, idToBytes } from '../wire/ids.ts';
import type { EngineNode, QueryKind } from './engine-node.ts';
import { parseExact } from './exact-json.ts';
import type { Registry } from './registry.ts';
import type {
  AccountListing,
  AccountView,
  AssetView,
  BalancesView,
  BookView,
  InstrumentView,
  OrdersView,
  OrderView,
  StateHash,
} from './types.ts';
import {
  type AccountAnswer,
  type AccountListAnswer,
  type BookAnswer,
  type LevelAnswer,
  type MarketAnswer,
  type OrderAnswer,
  type QueueAnswer,
  Views,
} from './views.ts';

const levelsMax = 1_000_000;
const levelsDefault = 20;
/** Accounts asked for at a time: an answer of about 64 KiB. */
const accountsPage = 1_024;
/** Open orders of an account asked for at a time: as many as the engine gives in one answer. */
const ordersPage = 10_000;

export class Queries {
  readonly #node: EngineNode;
  readonly #registry: Registry;
  readonly #views: Views;

  constructor(node: EngineNode, registry: Registry) {
    this.#node = node;
    this.#registry = registry;
    this.#views = new Views(registry);
  }

  /** Fills the registry from the engine's own listing. */
  async fillRegistry(): Promise<void> {
    const registry = this.#registry;
    const market = await this.#ask<MarketAnswer>('market');
    for (const { id, name, decimals } of market.assets) registry.addAsset(id, name, decimals);
    for (const answer of market.instruments) {
      registry.addInstrument({
        id: answer.id,
        name: answer.name,
        base: answer.base,
        quote: answer.quote,
        lotBase: BigInt(answer.lotBase),
        lotQuote: BigInt(answer.lotQuote),
        terms: {
          priceMin: BigInt(answer.priceMin),
          priceMax: BigInt(answer.priceMax),
          quantityMin: BigInt(answer.quantityMin),
          quantityMax: BigInt(answer.quantityMax),
          makerFee: answer.makerFee,
          takerFee: answer.takerFee,
          collar: answer.collar,
        },
      });
    }
    for (const { id, name } of await this.#accountList()) registry.addAccount(id, name);
  }

  async book(name: string, levels: number = levelsDefault): Promise<BookView> {
    const instrument = this.#registry.instrument(name);
    const answer = await this.#ask<BookAnswer<LevelAnswer>>('levels', instrument.id, levelCount(levels));
    return this.#views.book(answer, instrument);
  }

  async orders(name: string, levels: number = levelsDefault): Promise<OrdersView> {
    const instrument = this.#registry.instrument(name);
    const answer = await this.#ask<BookAnswer<QueueAnswer>>('orders', instrument.id, levelCount(levels));
    return this.#views.orders(answer, instrument);
  }

  async order(account: string, id: string): Promise<OrderView | null> {
    const answer = await this.#ask<OrderAnswer | { closed: unknown } | null>(
      'order',
      this.#registry.account(account),
      0,
      idToBytes(id),
    );
    return answer === null || 'closed' in answer ? null : this.#views.order(answer, account);
  }

  async account(name: string): Promise<AccountView> {
    const account = this.#registry.account(name);
    const answer = await this.#ask<AccountAnswer>('account-orders', account, ordersPage);
    let page = answer.orders ?? [];
    // By order id: a replaced order keeps its own, and its place among the others.
    const rows = new Map(page.map((row) => [String(row.orderId), row]));
    while (page.length === ordersPage) {
      page = await this.#ordersBehind(account, [...rows.values()]);
      for (const row of page) rows.set(String(row.orderId), row);
    }
    const orders = [...rows.values()].map((row) => this.#views.order(row, name));
    return { ...this.#views.balances(answer), openOrders: orders.length, orders };
  }

  async balances(name: string): Promise<BalancesView> {
    return this.#views.balances(
      await this.#ask<AccountAnswer>('account-orders', this.#registry.account(name), 0),
    );
  }

  /** The next page. It begins behind the last row that is still open; where many are gone that is looked for in ever larger steps. */
  async #ordersBehind(account: number, rows: readonly OrderAnswer[]): Promise<readonly OrderAnswer[]> {
    for (let at = rows.length - 1, step = 1; at >= 0; at -= step, step *= 2) {
      const row = rows[at]!;
      const after = idBytesFromJson(row.order[1]);
      const { orders, after: behind } = await this.#ask<AccountAnswer>(
        'account-orders',
        account,
        ordersPage,
        after,
      );
      // Another order may have the id of a day that was forgotten.
      if (orders !== null && BigInt(behind) === BigInt(row.orderId)) return orders;
    }
    return (await this.#ask<AccountAnswer>('account-orders', account, ordersPage)).orders ?? [];
  }

  async accounts(): Promise<AccountListing[]> {
    const list = await this.#accountList();
    return list.map(({ name, parent }) => ({ account: name, parent: this.#registry.accountName(parent) }));
  }

  async instruments(): Promise<InstrumentView[]> {
    const market = await this.#ask<MarketAnswer>('market');
    return market.instruments.map((answer) => this.#views.instrument(answer));
  }

  async instrument(name: string): Promise<InstrumentView> {
    const { id } = this.#registry.instrument(name);
    const market = await this.#ask<MarketAnswer>('market');
    const answer = market.instruments.find((instrument) => instrument.id === id);
    if (answer === undefined) throw new Error(`the engine does not list instrument ${id}`);
    return this.#views.instrument(answer);
  }

  async assets(): Promise<AssetView[]> {
    const market = await this.#ask<MarketAnswer>('market');
    return market.assets.map((answer) => this.#views.asset(answer));
  }

  async stateHash(): Promise<StateHash> {
    const { position, stateHash } = await this.#ask<{ position: number | string; stateHash: string }>('hash');
    return { position: BigInt(position), stateHash };
  }

  async explain(): Promise<string> {
    return await this.#text('explain');
  }

  async #accountList(): Promise<AccountListAnswer[]> {
    const list: AccountListAnswer[] = [];
    for (let first = 0; ; first = list.at(-1)!.id + 1) {
      const page = await this.#ask<AccountListAnswer[]>('accounts', first, accountsPage);
      list.push(...page);
      if (page.length < accountsPage) return list;
    }
  }

  async #ask<T>(kind: QueryKind, a = 0, b = 0, id: Uint8Array | null = null): Promise<T> {
    return parseExact<T>(await this.#text(kind, a, b, id));
  }

  async #text(kind: QueryKind, a = 0, b = 0, id: Uint8Array | null = null): Promise<string> {
    try {
      return await this.#node.query(kind, a, b, id);
    } catch (error) {
      throw fromNative(error);
    }
  }
}

function levelCount(levels: number): number {
  if (!Number.isInteger(levels) || levels < 1 || levels > levelsMax) {
    throw new InvalidRequestError(
      'INVALID_OPTION',
      `levels: ${shown(levels)} is not an integer from 1 to ${levelsMax}`,
      { field: 'levels' },
    );
  }
  return levels;
}
