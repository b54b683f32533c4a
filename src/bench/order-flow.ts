// OrderFlow: orders on one instrument that keep its book about as large as it is: new 50%, cancel 45%, immediate 5%. The same mix as Flow of
// bench/native, made before any clock runs.

export const flowAccounts = 100;
export const flowMiddle = 100_000;
const levels = 1000;

export const newKind = 0;
export const cancelKind = 1;
export const immediateKind = 2;

/** Columns, one row an order. Accounts count from 0. */
export interface OrderRows {
  readonly count: number;
  readonly kind: Uint8Array;
  readonly buy: Uint8Array;
  readonly account: Uint16Array;
  /** The order's own number, or the one to cancel. */
  readonly order: Int32Array;
  readonly ticks: Int32Array;
  readonly lots: Int32Array;
}

/** xorshift32 (Marsaglia 2003). */
class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = (Math.imul(seed, 0x9e3779b1) ^ 0x85ebca6b) | 1;
  }

  below(n: number): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    return Math.floor(((x >>> 0) / 4294967296) * n);
  }
}

/** The first `resting` rows are new orders that rest; `count` rows of the mix follow. */
export function orderRows(resting: number, count: number, seed: number): OrderRows {
  const dice = new Dice(seed);
  const total = resting + count;
  const rows = {
    count: total,
    kind: new Uint8Array(total),
    buy: new Uint8Array(total),
    account: new Uint16Array(total),
    order: new Int32Array(total),
    ticks: new Int32Array(total),
    lots: new Int32Array(total),
  };
  const live: number[] = [];
  for (let row = 0; row < total; row++) {
    const roll = row < resting ? 0 : dice.below(100);
    if (roll >= 50 && roll < 95 && live.length > 0) {
      const at = dice.below(live.length);
      const victim = live[at]!;
      live[at] = live[live.length - 1]!;
      live.pop();
      rows.kind[row] = cancelKind;
      rows.account[row] = rows.account[victim]!;
      rows.order[row] = victim;
      continue;
    }
    const buy = dice.below(2);
    const immediate = roll >= 95;
    const away = immediate ? -levels : 1 + dice.below(levels);
    rows.kind[row] = immediate ? immediateKind : newKind;
    rows.buy[row] = buy;
    rows.account[row] = dice.below(flowAccounts);
    rows.order[row] = row;
    rows.ticks[row] = flowMiddle + (buy === 1 ? -away : away);
    rows.lots[row] = 1 + dice.below(immediate ? 50 : 100);
    if (!immediate) live.push(row);
  }
  return rows;
}
