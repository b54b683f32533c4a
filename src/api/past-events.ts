// PastEvents: events that are no longer in memory, derived again from the journal.
//
// The core is a pure function of its log, so a second core that is fed the journal from the first command on gives the very same events. That
// takes as long as a replay: meant for a consumer that was away, not for every day.
import { EventsGoneError, fromNative } from '../errors/errors.ts';
import { Cells } from '../wire/cells.ts';
import { EventReader } from '../wire/event-reader.ts';
import type { EventDecoder } from './event-decoder.ts';
import type { EventHistory } from './event-history.ts';
import { type EventSignal, EventStream } from './event-stream.ts';
import type { Event } from './types.ts';

/** Commands taken from the journal at a time: a few milliseconds of this thread. */
const chunkCommands = 2_048;

/** What is needed of a journal and of a core. */
export interface JournalSource {
  /** Commands from a position on, as 128-byte cells; none where the journal ends. */
  read(
    from: bigint,
    maxCommands: number,
  ): Promise<{ readonly next: bigint; readonly commands: Uint8Array; readonly count: number }>;
  /** A fresh core: applies commands, answers the cells of their events. */
  core(): { apply(commands: Uint8Array, count: number): Uint8Array };
}

export class PastEvents {
  readonly #journal: JournalSource | undefined;

  /** Without a journal nothing is to be had. */
  constructor(journal?: JournalSource) {
    this.#journal = journal;
  }

  /** Events from the position on: from the journal as far as the history does not reach back, then live. */
  async *thenLive(
    from: bigint,
    history: EventHistory,
    decoder: EventDecoder,
    signal: EventSignal,
  ): AsyncGenerator<Event, undefined, undefined> {
    if (this.#journal === undefined) throw gone(from, 'and nothing is journaled');
    const core = this.#journal.core();
    for (let position = 1n; ; ) {
      const wanted = position > from ? position : from;
      const index = history.indexOf(wanted);
      if (index !== undefined) {
        yield* new EventStream(history, decoder, signal, index, wanted);
        return undefined;
      }
      const chunk = await this.#read(this.#journal, position, from);
      const reader = new EventReader(Cells.over(core.apply(chunk.commands, chunk.count)));
      for (let cell = 0; cell < reader.cells.count; cell++) {
        if (reader.position(cell) >= from) yield decoder.decode(reader, cell);
      }
      position = chunk.next;
    }
  }

  async #read(
    journal: JournalSource,
    position: bigint,
    from: bigint,
  ): Promise<Awaited<ReturnType<JournalSource['read']>>> {
    let chunk: Awaited<ReturnType<JournalSource['read']>>;
    try {
      chunk = await journal.read(position, chunkCommands);
    } catch (error) {
      throw gone(from, 'and the journal cannot be read', fromNative(error));
    }
    if (chunk.count === 0 || chunk.next !== position + BigInt(chunk.count)) {
      throw gone(from, `and the journal has no command ${position}`);
    }
    return chunk;
  }
}

function gone(from: bigint, why: string, cause?: Error): EventsGoneError {
  const message = `events from position ${from} on are no longer in memory, ${why}`;
  return new EventsGoneError(
    'EVENTS_GONE',
    message,
    cause === undefined ? { details: { from } } : { details: { from }, cause },
  );
}
