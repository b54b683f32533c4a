// Answers: who waits for the events of which command.
//
// A submitted command carries a token that its events echo. Tokens count from 1 within one exchange object; 0 is for commands that nobody waits for.
import type { VerbexError } from '../errors/errors.ts';
import type { Event } from './types.ts';

interface Waiting {
  readonly events: Event[];
  readonly resolve: (events: Event[]) => void;
  readonly reject: (error: VerbexError) => void;
}

export class Answers {
  readonly #waiting = new Map<number, Waiting>();
  #tokens = 0;

  get count(): number {
    return this.#waiting.size;
  }

  /** The token that the next expect() will stand for. */
  get nextToken(): number {
    return this.#tokens + 1;
  }

  /** A promise of all events of the command with nextToken. */
  expect(): Promise<Event[]> {
    const token = ++this.#tokens;
    return new Promise((resolve, reject) => this.#waiting.set(token, { events: [], resolve, reject }));
  }

  has(token: number): boolean {
    return this.#waiting.has(token);
  }

  add(token: number, event: Event): void {
    const waiting = this.#waiting.get(token);
    if (waiting === undefined) return;
    waiting.events.push(event);
    if (!event.last) return;
    this.#waiting.delete(token);
    waiting.resolve(waiting.events);
  }

  /** Nobody will be answered any more. */
  fail(error: VerbexError): void {
    const all = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of all) reject(error);
  }
}
