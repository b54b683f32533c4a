// A small market and orders in it as command cells, the same for the same count.
import { layout, type NativeNode } from '../../src/native/binding.ts';

export const cellBytes: number = layout.command.size;

const at = layout.command.offsets;

interface Fields {
  [name: string]: number | bigint | string;
}

const wide = new Set(['price', 'quantity', 'expiry', 'token', 'stopPrice', 'displayQuantity', 'minQuantity']);
const wideBounds = new Set(['priceMin', 'priceMax', 'quantityMin', 'quantityMax']);
const bytes = new Set(['type', 'side', 'orderType', 'timeInForce', 'selfTrade']);

function write(view: DataView, offset: number, fields: Fields): void {
  for (const [name, value] of Object.entries(fields)) {
    const place = offset + at[name]!;
    if (typeof value === 'string') {
      for (let i = 0; i < value.length; i++) view.setUint8(place + i, value.charCodeAt(i));
    } else if (wide.has(name) || wideBounds.has(name)) view.setBigInt64(place, BigInt(value), true);
    else if (bytes.has(name)) view.setUint8(place, Number(value));
    else if (name === 'flags') view.setUint16(place, Number(value), true);
    else view.setInt32(place, Number(value), true);
  }
}

/** `count` commands: two assets, an instrument, two accounts, four deposits, then orders that trade. */
export function commands(count: number): Uint8Array<ArrayBuffer> {
  const cells = new Uint8Array(count * cellBytes);
  const view = new DataView(cells.buffer);
  const type = layout.commandTypes as Record<string, number>;
  let seed = 12345;
  const random = (most: number): number => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return (seed >>> 8) % most;
  };
  const setup: Fields[] = [
    { type: type.AddAsset!, id: 'BTC', orderType: 8 },
    { type: type.AddAsset!, id: 'USD', orderType: 2 },
    {
      ...{ type: type.AddInstrument!, flags: 1, id: 'BTC-USD', base: 1, quote: 2, price: 1, quantity: 1 },
      ...{ priceMin: 1, priceMax: 1_000_000, quantityMin: 1, quantityMax: 1_000_000, collar: 50_000 },
    },
    { type: type.AddAccount!, id: 'ann' },
    { type: type.AddAccount!, id: 'bob' },
  ];
  for (let i = 0; i < 4; i++) {
    setup.push({
      type: type.Deposit!,
      account: 1 + (i >> 1),
      instrument: 1 + (i % 2),
      id: `d${i}`,
      price: 1n << 60n,
    });
  }
  for (let i = 0; i < count; i++) {
    const fields = setup[i] ?? {
      ...{ type: type.NewOrder!, account: 1 + random(2), instrument: 1, id: `o${i}`, side: 1 + random(2) },
      ...{ orderType: 1, timeInForce: 1, price: 9_950 + random(100), quantity: 1 + random(50) },
    };
    write(view, i * cellBytes, { ...fields, token: i + 1 });
  }
  return cells;
}

/** Feeds a node and takes its events, as a user of the addon does; `wake` is its onEvents. */
export class Client {
  readonly #chunks: Uint8Array[] = [];
  #index = 0;
  #wake: (() => void) | undefined;

  readonly wake = (): void => {
    this.#wake?.();
  };

  /** Takes what is ready. */
  drain(node: NativeNode): number {
    const ready = node.available();
    for (let i = 0; i < ready; i++) {
      const cell = (this.#index + i) % node.eventCells;
      this.#chunks.push(new Uint8Array(node.cells, cell * cellBytes, cellBytes).slice());
    }
    this.#index += ready;
    node.release(ready);
    return ready;
  }

  async feed(node: NativeNode, cells: Uint8Array): Promise<void> {
    const stage = new Uint8Array(node.stage);
    let next = 0;
    while (next < cells.length / cellBytes) {
      const count = Math.min(node.stageCells, cells.length / cellBytes - next);
      stage.set(cells.subarray(next * cellBytes, (next + count) * cellBytes));
      const taken = node.offer(count);
      next += taken;
      if (this.drain(node) === 0 && taken === 0) await this.#more();
    }
  }

  /** Takes events until the answer is there. */
  async until<T>(node: NativeNode, answer: Promise<T>): Promise<T> {
    const state = { settled: false };
    const finish = (): void => {
      state.settled = true;
      this.#wake?.();
    };
    answer.then(finish, finish);
    while (!state.settled) if (this.drain(node) === 0) await this.#more();
    while (this.drain(node) > 0);
    return answer;
  }

  /** Takes events until `count` of them are there. */
  async take(node: NativeNode, count: number): Promise<Uint8Array> {
    while (this.#chunks.length < count) if (this.drain(node) === 0) await this.#more();
    return this.events;
  }

  get events(): Uint8Array {
    return new Uint8Array(Buffer.concat(this.#chunks));
  }

  async #more(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#wake = undefined;
  }
}
