// DrillLoad: a drill's client, which sends orders to a cluster, sends again what was not answered, and keeps a ledger of every answer.
// In the end the whole log is read and replayed: what was acknowledged must be in it, once.
import { setTimeout as sleep } from 'node:timers/promises';
import { ClusterError, fromNative } from '../errors/errors.ts';
import type { NativeClusterLoad, NativeClusterLoadConstructor } from '../native/cluster-types.ts';
import type { ClusterDescription } from './description.ts';
import { keyOf, membersText } from './member-process.ts';

const answerMsMax = 30_000;
const lookMs = 5;
/** Answers come at their pace: a fault's gap is the fault's. */
const steadyMs = 100;
const steadyGapMsMax = 60;

interface Progress {
  readonly sent: number;
  readonly acknowledged: number;
  readonly acceptedTwice: number;
  readonly tradesTwice: number;
  readonly resent: number;
}

export interface DrillLedger {
  readonly sent: number;
  readonly acknowledged: number;
  readonly unanswered: number;
  readonly acknowledgedLost: number;
  readonly duplicateFills: number;
  readonly resent: number;
  readonly position: number;
  readonly stateHash: string;
}

export interface Percentiles {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** The smallest value that so many are not above; of nothing: 0. */
export function percentilesOf(values: readonly number[]): Percentiles {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (part: number): number => Math.round(sorted[Math.ceil(part * sorted.length) - 1] ?? 0);
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
}

/** mulberry32: the same faults for the same seed, as far as the machine lets them be. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export class DrillLoad {
  readonly #load: NativeClusterLoad;
  #running: Promise<string> | undefined;

  constructor(Load: NativeClusterLoadConstructor, description: ClusterDescription, ordersPerSecond: number) {
    const key = keyOf(description);
    this.#load = new Load({
      members: membersText(description),
      cluster: description.name,
      transport: description.transport,
      ...(key !== undefined && { key }),
      ordersPerSecond,
      ...description.limits,
    });
  }

  /** Answers once the first order is answered. */
  async start(): Promise<void> {
    this.#running = this.#load.run();
    // Awaited at the end; until then a failure is no unhandled one.
    this.#running.catch(() => undefined);
    await this.answersAfter(0);
  }

  get acknowledged(): number {
    return (JSON.parse(this.#load.progress()) as Progress).acknowledged;
  }

  /** The longest time between two answers since the last call, ms. */
  gap(): number {
    return this.#load.gap();
  }

  /** Throws DRILL_STOPPED where no more than so many are answered. */
  async answersAfter(acknowledged: number): Promise<void> {
    const until = performance.now() + answerMsMax;
    while (this.acknowledged <= acknowledged) {
      if (performance.now() > until)
        throw new ClusterError('DRILL_STOPPED', `nothing was acknowledged for ${answerMsMax} ms`);
      await sleep(lookMs);
    }
  }

  async steady(): Promise<void> {
    for (const until = performance.now() + answerMsMax; performance.now() < until; ) {
      this.#load.gap();
      await sleep(steadyMs);
      if (this.#load.gap() < steadyGapMsMax) return;
    }
    throw new ClusterError('DRILL_STOPPED', `answers do not come steadily within ${answerMsMax} ms`);
  }

  stop(): void {
    this.#load.stop();
  }

  /** After stop(): what is still open is waited for, then the log is held against the ledger. */
  async ledger(): Promise<DrillLedger> {
    try {
      const load = JSON.parse(await this.#running!) as Progress & { readonly unanswered: number };
      const verdict = JSON.parse(await this.#load.verify()) as {
        readonly acknowledgedLost: number;
        readonly appliedTwice: number;
        readonly position: number;
        readonly stateHash: string;
      };
      return {
        sent: load.sent,
        acknowledged: load.acknowledged,
        unanswered: load.unanswered,
        acknowledgedLost: verdict.acknowledgedLost,
        duplicateFills: load.acceptedTwice + load.tradesTwice + verdict.appliedTwice,
        resent: load.resent,
        position: verdict.position,
        stateHash: verdict.stateHash,
      };
    } catch (error) {
      throw fromNative(error);
    }
  }
}
