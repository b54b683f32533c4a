// Random orders of two accounts around a price, so that books move.
import type { Request } from '../../src/api/types.ts';
import { Random } from '../../src/demo/random.ts';
import type { Venue } from './venue.ts';

export class Load {
  readonly #venue: Venue;
  readonly #random: Random;
  readonly #ids: { account: string; id: string }[] = [];
  #sequence = 0;

  constructor(venue: Venue, seed: number) {
    this.#venue = venue;
    this.#random = new Random(seed);
  }

  request(): Request {
    const random = this.#random;
    const old =
      this.#ids.length > 40 || random.chance(0.25)
        ? this.#ids.splice(random.below(this.#ids.length), 1)[0]
        : undefined;
    if (old !== undefined) {
      if (random.chance(0.3)) {
        const price = String(1000 + random.below(20));
        return { op: 'replace', instrument: 'BTC-USD', ...old, price, quantity: String(1 + random.below(5)) };
      }
      return { op: 'cancel', ...old };
    }
    const account = random.chance(0.5) ? 'alice' : 'bob';
    const id = `l${this.#sequence++}`;
    this.#ids.push({ account, id });
    const side = random.chance(0.5) ? 'buy' : 'sell';
    const price = String(1000 + (side === 'buy' ? -1 : 1) * (random.below(20) - 3));
    const quantity = String(1 + random.below(9));
    const kind = random.below(10);
    const order = { op: 'new', account, instrument: 'BTC-USD', id, side, quantity } as const;
    if (kind === 0) return { ...order, type: 'market' };
    if (kind === 1) return { ...order, price, tif: 'ioc' };
    if (kind === 2) return { ...order, price, quantity: '10', displayQuantity: '2' };
    if (kind === 3) return { ...order, type: 'stop', stopPrice: price };
    return { ...order, price };
  }

  /** Offers `count` requests, a few at a time, giving way in between. */
  async run(count: number, batch = 7): Promise<void> {
    for (let left = count; left > 0; left -= batch) {
      let requests = Array.from({ length: Math.min(batch, left) }, () => this.request());
      while (requests.length > 0) {
        requests = requests.slice(this.#venue.exchange.offer(requests).accepted);
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
  }

  /** Waits until everything that was offered has been published. */
  async settle(): Promise<void> {
    const events = await this.#venue.exchange.submit({ op: 'day-end' });
    await this.#venue.edges.feed.reached(events[0]!.position);
  }
}
