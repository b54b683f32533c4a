/**
 * Hands steps to an exchange in batches, and knows which position each command gets: the k-th command that the exchange takes
 * has position k. That holds because nothing else sends commands: the clock is manual.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { OfferResult, Request } from '../api/types.ts';
import { VerbexError } from '../errors/errors.ts';
import { ReplayError } from './replay-error.ts';
import type { Scorecard } from './scorecard.ts';
import type { Step } from './step.ts';

const batchMax = 1024;
/** So often at least the events get their turn. */
const commandsATurn = 8192;
/** So often a wait for answers looks whether the node still lives. */
const waitMs = 500;

/** What the feeder needs of an Exchange. */
export interface FeedTarget {
  offer(batch: readonly Request[]): OfferResult;
  /** `failure` is not empty once the node has failed. */
  stats(): { readonly position: bigint; readonly failure?: string };
}

/** Requests whose answer the exchange has to have seen before a later one may build on them. */
const definitions: ReadonlySet<Request['op']> = new Set([
  'add-asset',
  'add-instrument',
  'change-instrument',
  'add-account',
]);

export interface FeederOptions {
  readonly skipBad: boolean;
  /** Called when exactly `position` commands have been answered; its target takes over. */
  readonly handover?: { readonly position: number; readonly next: () => Promise<FeedTarget> };
  /** Called now and then, with the number of commands sent so far. */
  readonly onProgress?: (commands: number) => void;
}

/** What should be seen after so many requests of the batch. */
interface Check {
  readonly after: number;
  readonly step: Step;
}

export class Feeder {
  readonly #score: Scorecard;
  readonly #options: FeederOptions;
  #target: FeedTarget;
  /** Commands that the exchange has taken: the position of the last one. */
  #sent = 0;
  #requests: Request[] = [];
  #lines: number[] = [];
  #checks: Check[] = [];
  #sinceTurn = 0;
  #handedOver = false;
  /** Requests that the API refused, with skipBad. */
  refused = 0;

  constructor(target: FeedTarget, score: Scorecard, options: FeederOptions) {
    this.#score = score;
    this.#options = options;
    this.#target = target;
  }

  get sent(): number {
    return this.#sent;
  }

  async feed(steps: readonly Step[]): Promise<void> {
    for (const step of steps) {
      const { request } = step;
      if (request !== undefined) {
        this.#requests.push(request);
        this.#lines.push(step.line);
      }
      if (step.cancel !== undefined || step.book !== undefined)
        this.#checks.push({ after: this.#requests.length, step });
      if (request === undefined) continue;
      const defines = definitions.has(request.op);
      if (!defines && this.#requests.length < batchMax) continue;
      await this.#flush();
      if (!defines) continue;
      await this.#answered();
      if (request.op === 'add-instrument')
        this.#score.mirror.define(request.instrument, request.tickSize, request.lotSize);
    }
    this.#options.onProgress?.(this.#sent);
  }

  /** Sends what is left and waits for all answers. */
  async finish(): Promise<void> {
    await this.#flush();
    await this.#answered();
    this.#options.onProgress?.(this.#sent);
  }

  async #flush(): Promise<void> {
    const requests = this.#requests;
    const lines = this.#lines;
    let checks = this.#checks;
    this.#requests = [];
    this.#lines = [];
    this.#checks = [];
    const base = this.#sent;
    // Positions that the batch has lost to requests that the API refused.
    let lost = 0;
    this.#expect(base, checks);
    for (let at = 0; at < requests.length; ) {
      const end = at + Math.min(requests.length - at, this.#roomBeforeHandover());
      try {
        const { accepted } = this.#target.offer(
          at === 0 && end === requests.length ? requests : requests.slice(at, end),
        );
        at += accepted;
        this.#sent += accepted;
        await this.#turn(accepted, at < end);
      } catch (error) {
        // Nothing of a batch is taken that holds a request which the API refuses; `index` says which one.
        if (!(error instanceof VerbexError) || error.index === undefined) throw error;
        const bad = at + error.index;
        at += await this.#all(requests.slice(at, bad));
        this.#refuse(error, lines[bad] ?? 0);
        at += 1;
        lost += 1;
        this.#score.forget(this.#sent);
        checks = checks.filter(
          ({ after, step }) => after > at || (after === at && step.request === undefined),
        );
        this.#expect(base - lost, checks);
      }
      await this.#handOver();
    }
  }

  /** Offers until everything is taken; answers how many that were. */
  async #all(requests: readonly Request[]): Promise<number> {
    for (let at = 0; at < requests.length; ) {
      const { accepted } = this.#target.offer(requests.slice(at));
      at += accepted;
      this.#sent += accepted;
      await this.#turn(accepted, at < requests.length);
    }
    return requests.length;
  }

  /** Expectations stand before their commands are offered: nobody can say how soon the events come. */
  #expect(base: number, checks: readonly Check[]): void {
    for (const { after, step } of checks) this.#score.expect(base + after, step.cancel, step.book);
  }

  #refuse(error: VerbexError, line: number): void {
    this.refused += 1;
    if (this.#options.skipBad) return;
    throw new ReplayError(error.code, line === 0 ? error.message : `line ${line}: ${error.message}`, {
      line,
      cause: error,
    });
  }

  #roomBeforeHandover(): number {
    const { handover } = this.#options;
    return handover === undefined || this.#handedOver ? batchMax : handover.position - this.#sent;
  }

  async #handOver(): Promise<void> {
    const { handover } = this.#options;
    if (handover === undefined || this.#handedOver || this.#sent < handover.position) return;
    await this.#answered();
    this.#target = await handover.next();
    this.#handedOver = true;
  }

  /** Waits for the answers to everything sent; a node that fails gives none, and says so. */
  async #answered(): Promise<void> {
    while (!(await this.#score.seenUpTo(this.#sent, waitMs))) {
      const { failure } = this.#target.stats();
      if (failure === undefined || failure === '') continue;
      const colon = failure.indexOf(': ');
      throw new VerbexError(
        colon < 0 ? 'NATIVE_ERROR' : failure.slice(0, colon),
        failure.slice(colon < 0 ? 0 : colon + 2),
      );
    }
  }

  /** Lets the events come in: when the input ring is full, and every few thousand commands. */
  async #turn(taken: number, full: boolean): Promise<void> {
    this.#sinceTurn += taken;
    if (!full && this.#sinceTurn < commandsATurn) return;
    this.#sinceTurn = 0;
    await nextTurn();
    this.#score.check();
  }
}
