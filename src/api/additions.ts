// Additions: what assets and instruments in flight will be once their commands are answered.
//
// An asset-added event names the new id, not the decimals; those stand in the command. Commands are answered in the order in which they were
// taken, one event each, so two queues per kind suffice: the oldest one still unanswered of a name is the one that an answer belongs to.
import type { Cells } from '../wire/cells.ts';
import type { EventReader } from '../wire/event-reader.ts';
import { readId } from '../wire/ids.ts';
import { commandOffsets as at, cellBytes, commandTypes, eventTypes } from '../wire/layout.ts';
import { readTerms } from './instrument-terms.ts';
import type { Registry, Terms } from './registry.ts';

interface PendingInstrument {
  readonly base: number;
  readonly quote: number;
  readonly lotBase: bigint;
  readonly lotQuote: bigint;
  readonly terms: Terms;
}

/** Queues by key; a key without entries is gone. */
class Queues<Key, Entry> {
  readonly #queues = new Map<Key, Entry[]>();

  push(key: Key, entry: Entry): void {
    const queue = this.#queues.get(key);
    if (queue === undefined) this.#queues.set(key, [entry]);
    else queue.push(entry);
  }

  shift(key: Key): Entry | undefined {
    const queue = this.#queues.get(key);
    const entry = queue?.shift();
    if (queue?.length === 0) this.#queues.delete(key);
    return entry;
  }

  has(key: Key): boolean {
    return this.#queues.has(key);
  }
}

/** Watches commands go and events come, and keeps the registry up. */
export class Additions {
  readonly #registry: Registry;
  readonly #assets = new Queues<string, number>();
  readonly #instruments = new Queues<string, PendingInstrument>();
  readonly #changes = new Queues<number, Terms>();
  /** Something was added or changed that was not asked for here. */
  foreign = false;

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  /** Whether a change of the instrument has been taken and not answered. */
  isChanging(instrument: number): boolean {
    return this.#changes.has(instrument);
  }

  /** To be called for each command that the input ring has taken, in order. */
  taken(cells: Cells, cell: number): void {
    const byte = cell * cellBytes;
    const type = cells.u8[byte]!;
    if (type === commandTypes['add-asset']) {
      this.#assets.push(readId(cells.u8, byte + at.id), cells.u8[byte + at.orderType]!);
    } else if (type === commandTypes['add-instrument']) {
      this.#instruments.push(readId(cells.u8, byte + at.id), {
        base: cells.u32[(byte + at.base) >>> 2]!,
        quote: cells.u32[(byte + at.quote) >>> 2]!,
        lotBase: cells.i64[(byte + at.price) >>> 3]!,
        lotQuote: cells.i64[(byte + at.quantity) >>> 3]!,
        terms: readTerms(cells, byte),
      });
    } else if (type === commandTypes['change-instrument']) {
      this.#changes.push(cells.u32[(byte + at.instrument) >>> 2]!, readTerms(cells, byte));
    }
  }

  /** To be called for each event, in order. */
  answered(events: EventReader, cell: number): void {
    const type = events.type(cell);
    if (type === eventTypes.rejected) this.#rejected(events, cell);
    else if (type === eventTypes['asset-added']) {
      const name = events.id(cell);
      const decimals = this.#assets.shift(name);
      if (decimals === undefined) this.foreign = true;
      else this.#registry.addAsset(events.instrument(cell), name, decimals);
    } else if (type === eventTypes['instrument-added']) {
      const name = events.id(cell);
      const pending = this.#instruments.shift(name);
      if (pending === undefined) this.foreign = true;
      else this.#registry.addInstrument({ id: events.instrument(cell), name, ...pending });
    } else if (type === eventTypes['instrument-changed']) {
      const terms = this.#changes.shift(events.instrument(cell));
      const instrument = this.#registry.instrumentById(events.instrument(cell));
      if (terms === undefined) this.foreign = true;
      else if (instrument !== undefined) instrument.terms = terms;
    } else if (type === eventTypes['account-added'])
      this.#registry.addAccount(events.account(cell), events.id(cell));
  }

  #rejected(events: EventReader, cell: number): void {
    const kind = events.kind(cell);
    if (kind === commandTypes['add-asset']) this.#assets.shift(events.id(cell));
    else if (kind === commandTypes['add-instrument']) this.#instruments.shift(events.id(cell));
    else if (kind === commandTypes['change-instrument']) this.#changes.shift(events.instrument(cell));
  }
}
