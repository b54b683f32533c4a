// EventPump: from the native output ring to the history, the names, those who wait for an answer, and the callbacks.
//
// transfer() never runs code of the user and may be called from anywhere on the JavaScript thread; pump() calls the callbacks and is only
// ever called by the event loop.
import { Cells } from '../wire/cells.ts';
import { EventReader } from '../wire/event-reader.ts';
import { cellBytes, eventOffsets, eventTypes } from '../wire/layout.ts';
import type { Additions } from './additions.ts';
import type { Answers } from './answers.ts';
import type { EngineNode } from './engine-node.ts';
import type { EventDecoder } from './event-decoder.ts';
import { EventHistory } from './event-history.ts';
import { EventSignal } from './event-stream.ts';
import type { Event } from './types.ts';

/** Cells that are handled before other work of the event loop gets its turn. */
const turnCells = 32_768;
/** Events that a callback gets at a time, or what completes a command. */
const callbackEvents = 1_024;
const words32 = cellBytes / 4;
const two32 = 4294967296;

/** Called with the events of whole commands, as many as were there. */
export type EventsCallback = (events: readonly Event[]) => void;
/** Called with a run of cells [first, first + count) that may be read until the callback returns. */
export type CellsCallback = (cells: EventReader, first: number, count: number) => void;

interface Listener<Callback> {
  readonly callback: Callback;
  /** Index of the first event that it gets. */
  readonly from: number;
}

export interface EventPumpParts {
  readonly node: EngineNode;
  readonly decoder: EventDecoder;
  readonly additions: Additions;
  readonly answers: Answers;
  readonly historyCells: number;
  /** Asks the engine for all names: an edge sees additions that others have asked for. */
  readonly names?: () => Promise<void>;
}

export class EventPump {
  readonly history: EventHistory;
  readonly signal: EventSignal = new EventSignal();
  readonly #node: EngineNode;
  readonly #ring: Cells;
  readonly #decoder: EventDecoder;
  readonly #additions: Additions;
  readonly #answers: Answers;
  readonly #listeners = new Set<Listener<EventsCallback>>();
  readonly #cellListeners = new Set<Listener<CellsCallback>>();
  /** The native ring's read index. */
  #read = 0;
  /** What the callbacks have had, as an index of the history. */
  #dispatched = 0;
  #scheduled = false;
  readonly #names: (() => Promise<void>) | undefined;
  #asking = false;

  constructor({ node, decoder, additions, answers, historyCells, names }: EventPumpParts) {
    this.#names = names;
    this.#node = node;
    this.#decoder = decoder;
    this.#additions = additions;
    this.#answers = answers;
    this.#ring = new Cells(node.cells, 0, node.eventCells);
    const published = node.stats().publishedPosition;
    const before = node.available() > 0 ? new EventReader(this.#ring).position(0) - 1n : published;
    this.history = new EventHistory(historyCells, before);
  }

  onEvents(callback: EventsCallback): () => void {
    return listen(this.#listeners, { callback, from: this.#start() });
  }

  onCells(callback: CellsCallback): () => void {
    return listen(this.#cellListeners, { callback, from: this.#start() });
  }

  /** Empties the native ring, turn by turn, and calls everybody who waits or listens. */
  pump(): void {
    if (this.#asking) return;
    for (let moved = 0; ; ) {
      // First, since transfer() holds back for callbacks that have much before them already.
      this.#dispatch();
      const count = this.transfer();
      if (this.#additions.foreign && this.#names !== undefined) {
        this.#askNames(this.#names);
        return;
      }
      if (count === 0) break;
      moved += count;
      if (moved >= turnCells) {
        this.schedule();
        break;
      }
    }
    this.signal.notify();
  }

  /** What names something that is not known here is handed on once it is. */
  #askNames(names: () => Promise<void>): void {
    this.#asking = true;
    this.#additions.foreign = false;
    const goOn = (): void => {
      this.#asking = false;
      this.schedule();
    };
    names().then(goOn, goOn);
  }

  /** Everything that is there, for good: the engine publishes no more. */
  drain(): void {
    while (this.transfer() > 0 || (this.#listening && this.#dispatched < this.history.complete))
      this.#dispatch();
    this.signal.notify();
  }

  /** Has pump() called once the event loop is free. */
  schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.pump();
    });
  }

  /** Moves what is ready into the history, as far as callbacks allow it; answers how many events. */
  transfer(): number {
    const { history } = this;
    const half = history.capacity / 2;
    // Callbacks are never overtaken: they run on this thread, so it is we who would be too fast.
    if (this.#listening && history.head - this.#dispatched > half) return 0;
    const ready = Math.min(this.#node.available(), half);
    for (let done = 0; done < ready; ) {
      const from = this.#read % this.#ring.count;
      const run = Math.min(ready - done, this.#ring.count - from);
      const first = history.head;
      history.append(this.#ring, from, run);
      this.#look(first, run);
      this.#node.release(run);
      this.#read += run;
      done += run;
    }
    return ready;
  }

  get #listening(): boolean {
    return this.#listeners.size + this.#cellListeners.size > 0;
  }

  /** Where a new callback begins: at the command that is coming in just now. */
  #start(): number {
    const start = this.history.start;
    if (!this.#listening) this.#dispatched = start;
    return start;
  }

  /** Events of configuration change names; events of submitted commands are answers. */
  #look(first: number, count: number): void {
    const { history } = this;
    const { reader } = history;
    const { u8, u32 } = reader.cells;
    const answers = this.#answers;
    const mask = history.capacity - 1;
    for (let index = first; index < first + count; index++) {
      const cell = index & mask;
      const type = u8[cell * cellBytes]!;
      if (
        (type >= eventTypes['asset-added'] && type <= eventTypes['account-added']) ||
        type === eventTypes.rejected
      ) {
        this.#additions.answered(reader, cell);
      }
      if (answers.count === 0) continue;
      const word = cell * words32 + eventOffsets.token / 4;
      const token = u32[word]! + u32[word + 1]! * two32;
      if (token !== 0 && answers.has(token)) answers.add(token, this.#decoder.decode(reader, cell));
    }
  }

  #dispatch(): void {
    const { history } = this;
    if (!this.#listening) return;
    // Whole commands, unless one alone is larger than can be kept back.
    const until = history.head - this.#dispatched > history.capacity / 2 ? history.head : history.complete;
    const from = this.#dispatched;
    if (until <= from) return;
    for (const listener of this.#cellListeners) {
      for (let index = Math.max(from, listener.from); index < until; ) {
        const cell = history.cellOf(index);
        const run = Math.min(until - index, history.capacity - cell);
        guarded(() => listener.callback(history.reader, cell, run));
        index += run;
      }
    }
    for (let index = from; index < until && this.#listeners.size > 0; ) {
      const first = index;
      const events: Event[] = [];
      // Batches of a size that a young generation holds, each of whole commands.
      for (let last = false; index < until && !(last && events.length >= callbackEvents); index++) {
        const event = this.#decoder.decode(history.reader, history.cellOf(index));
        last = event.last;
        events.push(event);
      }
      for (const listener of this.#listeners) {
        const skip = listener.from - first;
        if (skip <= 0) guarded(() => listener.callback(events));
        else if (skip < events.length) guarded(() => listener.callback(events.slice(skip)));
      }
    }
    this.#dispatched = until;
  }
}

function listen<Callback>(listeners: Set<Listener<Callback>>, listener: Listener<Callback>): () => void {
  listeners.add(listener);
  return () => {
    listeners.delete(listener);
  };
}

/** An error in one callback must neither keep events from the others nor be lost: it surfaces as an uncaught exception. */
function guarded(call: () => void): void {
  try {
    call();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
