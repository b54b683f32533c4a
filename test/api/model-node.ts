// ModelNode: a stand-in for the native node, with rings of any size and an engine that works when it is told to.
//
// It knows just enough of the rules to answer what the tests send: names get ids, orders are accepted and rest, everything else is
// answered by one event of the right type.
import type { EngineNode, EngineStats, QueryKind } from '../../src/api/engine-node.ts';
import { historyCellsOf, type OpenNode } from '../../src/api/open-node.ts';
import { type JournalSource, PastEvents } from '../../src/api/past-events.ts';
import { Cells } from '../../src/wire/cells.ts';
import { readId } from '../../src/wire/ids.ts';
import {
  commandOffsets as c,
  cellBytes,
  commandTypes,
  eventOffsets as e,
  eventFlags,
  eventTypes,
} from '../../src/wire/layout.ts';

export interface ModelOptions {
  readonly stageCells?: number;
  readonly ringCells?: number;
  readonly eventCells?: number;
  /** Works by itself, a turn of the event loop after each offer. Default true. */
  readonly auto?: boolean;
  /** Events of each order; default 1. */
  readonly eventsPerOrder?: number;
}

const answers: Readonly<Record<string, number>> = {
  [commandTypes['add-asset']]: eventTypes['asset-added'],
  [commandTypes['add-instrument']]: eventTypes['instrument-added'],
  [commandTypes['change-instrument']]: eventTypes['instrument-changed'],
  [commandTypes['add-account']]: eventTypes['account-added'],
  [commandTypes['day-end']]: eventTypes['day-ended'],
  [commandTypes.new]: eventTypes.accepted,
};

export class ModelNode implements EngineNode {
  readonly stage: ArrayBuffer;
  readonly stageCells: number;
  readonly cells: ArrayBuffer;
  readonly eventCells: number;
  auto: boolean;
  readonly eventsPerOrder: number;
  /** The commands that were taken and not worked off yet, as copies of their cells. */
  readonly queue: Cells[] = [];
  /** How often offer() was called. */
  crossings = 0;
  ringCells: number;
  position = 0n;
  failure = '';
  closes = 0;
  /** At most so many events of a command come out at a time. */
  split: number = Number.POSITIVE_INFINITY;
  onEvents: () => void = () => undefined;
  /** Names that the next commands are refused for, with reject code 46. */
  readonly taken: Set<string> = new Set();
  readonly journal: Cells[] = [];
  readonly #stage: Cells;
  readonly #ring: Cells;
  #read = 0;
  #written = 0;
  #drained = false;
  /** Events that the first command of the queue has had already. */
  #answered = 0;
  #ids = { asset: 0, instrument: 0, account: 0 };

  constructor(options: ModelOptions = {}) {
    this.stageCells = options.stageCells ?? 64;
    this.ringCells = options.ringCells ?? 1_024;
    this.eventCells = options.eventCells ?? 1_024;
    this.auto = options.auto ?? true;
    this.eventsPerOrder = options.eventsPerOrder ?? 1;
    this.stage = new ArrayBuffer(this.stageCells * cellBytes);
    this.cells = new ArrayBuffer(this.eventCells * cellBytes);
    this.#stage = new Cells(this.stage);
    this.#ring = new Cells(this.cells);
  }

  /** For Exchange.openOver. */
  readonly open: OpenNode = async (options, onEvents) => {
    this.onEvents = onEvents;
    const journal: JournalSource = {
      read: async (from, maxCommands) => {
        const first = Number(from) - 1;
        const found = this.journal.slice(first, first + Math.min(3, maxCommands));
        const commands = Buffer.concat(found.map(({ u8 }) => u8));
        return { next: from + BigInt(found.length), commands, count: found.length };
      },
      core: () => {
        const again = new ModelNode({ auto: false, eventsPerOrder: this.eventsPerOrder });
        return { apply: (commands, count) => again.apply(Cells.over(commands), count) };
      },
    };
    const past = new PastEvents(options.data === undefined ? undefined : journal);
    return { node: this, historyCells: historyCellsOf(options), past };
  };

  offer(count: number): number {
    if (this.failure !== '')
      throw Object.assign(new Error('the journal cannot be written'), { code: 'JOURNAL_FAILED' });
    this.crossings++;
    const accepted = Math.min(count, Math.max(0, this.ringCells - this.queue.length));
    for (let cell = 0; cell < accepted; cell++) {
      const copy = Cells.allocate(1);
      copy.copyFrom(this.#stage, cell, 0, 1);
      this.queue.push(copy);
    }
    if (this.auto && accepted > 0) setImmediate(() => this.work());
    return accepted;
  }

  available(): number {
    const ready = this.#written - this.#read;
    if (ready === 0) this.#drained = true;
    return ready;
  }

  release(count: number): void {
    if (count > this.#written - this.#read) throw new Error('released more than was there');
    this.#read += count;
    if (this.auto && this.queue.length > 0) setImmediate(() => this.work());
  }

  /** Works off commands as long as their events have room; answers how many. */
  work(most: number = Number.POSITIVE_INFINITY): number {
    let done = 0;
    for (; done < most && this.queue.length > 0; done++) {
      const command = this.queue[0]!;
      const events = command.u8[0] === commandTypes.new ? this.eventsPerOrder : 1;
      if (this.eventCells - (this.#written - this.#read) < events - this.#answered) break;
      if (this.#answered === 0) this.position++;
      const until = Math.min(events, this.#answered + this.split);
      while (this.#answered < until) this.#answer(command, ++this.#answered === events);
      if (this.#answered < events) {
        this.#wake();
        return done;
      }
      this.#answered = 0;
      this.queue.shift();
      this.journal.push(command);
    }
    if (done > 0) this.#wake();
    return done;
  }

  /** Fails like a node whose disk is gone. */
  fail(): void {
    this.failure = 'JOURNAL_FAILED: the journal cannot be written';
    this.#wake();
  }

  /** Applies commands and answers their events, like NativeCore. */
  apply(commands: Cells, count: number): Uint8Array {
    const from = this.#written;
    for (let cell = 0; cell < count; cell++) {
      const copy = Cells.allocate(1);
      copy.copyFrom(commands, cell, 0, 1);
      this.queue.push(copy);
    }
    this.work();
    this.#read = this.#written;
    const bytes = new Uint8Array((this.#written - from) * cellBytes);
    for (let index = from; index < this.#written; index++) {
      const start = (index % this.eventCells) * cellBytes;
      bytes.set(this.#ring.u8.subarray(start, start + cellBytes), (index - from) * cellBytes);
    }
    return bytes;
  }

  async query(kind: QueryKind): Promise<string> {
    if (kind === 'market') return '{"position":0,"time":0,"assets":[],"instruments":[]}';
    if (kind === 'accounts') return '[{"id":0,"parent":0,"name":"VENUE"}]';
    throw Object.assign(new Error('the model answers no such query'), { code: 'BUSY' });
  }

  async snapshot(): Promise<bigint> {
    return this.position;
  }

  gatewayAddresses(): undefined {
    return undefined;
  }

  gatewayStats(): undefined {
    return undefined;
  }

  stats(): EngineStats {
    return {
      position: this.position,
      durablePosition: this.position,
      publishedPosition: this.position,
      commands: this.journal.length,
      events: this.#written,
      batches: 0,
      snapshots: 0,
      snapshotPosition: 0n,
      journalBytes: 0,
      recoveredFrom: 0n,
      replayed: 0,
      recoveryMs: 0,
      tornBytes: 0,
      stateHash: '',
      ticks: 0,
      plan: 'serial',
      spinNs: 0,
      pinning: '',
      ringHighWater: 0,
      hazards: 0,
      stalls: 0,
      drains: 0,
      stages: [],
      backPressureWaits: 0,
      snapshotStallNsMax: 0,
      snapshotStatus: '',
      refusedSnapshots: [],
      failure: this.failure,
    };
  }

  async close(): Promise<{ position: bigint; stateHash: string }> {
    this.closes++;
    while (this.queue.length > 0) {
      this.work();
      await new Promise((resolve) => setImmediate(resolve));
    }
    return { position: this.position, stateHash: '0'.repeat(32) };
  }

  #wake(): void {
    if (!this.#drained) return;
    this.#drained = false;
    setImmediate(this.onEvents);
  }

  #answer(command: Cells, last: boolean): void {
    const cell = this.#written++ % this.eventCells;
    const ring = this.#ring;
    const byte = cell * cellBytes;
    ring.clear(cell);
    const type = command.u8[0]!;
    const name = readId(command.u8, c.id);
    ring.u8[byte + e.flags] = last ? eventFlags.last : 0;
    ring.writeUint64(byte + e.position, this.position, 'position');
    ring.u64[(byte + e.token) / 8] = command.u64[c.token / 8]!;
    ring.u8.set(command.u8.subarray(c.id, c.id + 16), byte + e.id);
    ring.u32[(byte + e.account) / 4] = command.u32[c.account / 4]!;
    ring.u32[(byte + e.instrument) / 4] = command.u32[c.instrument / 4]!;
    if (this.taken.has(name) || answers[type] === undefined) {
      ring.u8[byte + e.type] = eventTypes.rejected;
      ring.u8[byte + e.kind] = type;
      ring.u16[(byte + e.code) / 2] = 46;
      return;
    }
    ring.u8[byte + e.type] = answers[type];
    if (type === commandTypes['add-asset']) ring.u32[(byte + e.instrument) / 4] = ++this.#ids.asset;
    if (type === commandTypes['add-instrument']) ring.u32[(byte + e.instrument) / 4] = ++this.#ids.instrument;
    if (type === commandTypes['add-account']) {
      ring.u32[(byte + e.account2) / 4] = command.u32[c.account / 4]!;
      ring.u32[(byte + e.account) / 4] = ++this.#ids.account;
    }
    if (type !== commandTypes.new) return;
    ring.u8[byte + e.side] = command.u8[c.side]!;
    ring.u8[byte + e.kind] = command.u8[c.orderType]!;
    ring.u8[byte + e.flags]! |= eventFlags.booked;
    ring.writeUint64(byte + e.orderId, this.position, 'orderId');
    for (const [to, from] of [
      [e.price, c.price],
      [e.quantity, c.quantity],
      [e.leaves, c.quantity],
      [e.leaves2, c.quantity],
    ] as const) {
      ring.i64[(byte + to) / 8] = command.i64[from / 8]!;
    }
  }
}
