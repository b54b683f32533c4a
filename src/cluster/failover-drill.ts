// FailoverDrill: kills and pauses members of a running cluster at random from a seed, under a client that keeps a ledger.
//
//   ledger client ──orders──▶ leader ──events──▶ ledger          the oracle: what was acknowledged must be in the log, once
//                               ▲
//                  SIGKILL · SIGSTOP, then start · SIGCONT       one fault at a time, the next once the sync set is whole again
//
// After a fault of whoever leads, the longest time between two acknowledgements is what a client has felt of it.
import { setTimeout as sleep } from 'node:timers/promises';
import { ClusterError, fromNative } from '../errors/errors.ts';
import type { NativeClusterLoad, NativeClusterLoadConstructor } from '../native/cluster-types.ts';
import type { LocalCluster } from './local-cluster.ts';
import { keyOf, membersText } from './member-process.ts';

const healMsMax = 30_000;
const answerMsMax = 30_000;
const lookMs = 5;
/** What was on its way when the fault came has arrived by then. */
const inFlightMs = 60;

export interface DrillPlan {
  readonly kills: number;
  /** Beside the kills, about one for two of them. */
  readonly pauses: boolean;
  readonly seed: number;
  readonly ordersPerSecond: number;
}

export interface Percentiles {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export interface DrillFault {
  readonly kind: 'kill' | 'pause';
  readonly member: number;
  readonly led: boolean;
  /** The longest time between two acknowledgements around it. */
  readonly gapMs: number;
  /** Until the sync set was whole again. */
  readonly healedMs: number;
}

export interface DrillResult {
  readonly kills: number;
  readonly pauses: number;
  readonly seed: number;
  readonly sent: number;
  readonly acknowledged: number;
  readonly unanswered: number;
  readonly acknowledgedLost: number;
  readonly duplicateFills: number;
  readonly resent: number;
  /** Of faults of the leader. */
  readonly failoverMs: Percentiles;
  /** Of faults of others. */
  readonly followerFaultMs: Percentiles;
  readonly faults: readonly DrillFault[];
  readonly position: number;
  readonly stateHash: string;
}

interface Progress {
  readonly sent: number;
  readonly acknowledged: number;
  readonly acceptedTwice: number;
  readonly tradesTwice: number;
  readonly resent: number;
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

/** The smallest value that so many are not above; of nothing: 0. */
export function percentilesOf(values: readonly number[]): Percentiles {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (part: number): number => Math.round(sorted[Math.ceil(part * sorted.length) - 1] ?? 0);
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
}

/** What the drill needs of a cluster; a test has another one. */
export type DrilledCluster = Pick<
  LocalCluster,
  'ids' | 'description' | 'signal' | 'startMember' | 'processOf' | 'leader' | 'waitForLeader' | 'look'
>;

export class FailoverDrill {
  readonly #cluster: DrilledCluster;
  readonly #plan: DrillPlan;
  readonly #random: () => number;
  readonly #load: NativeClusterLoad;
  readonly #onFault: (fault: DrillFault, acknowledged: number) => void;

  constructor(
    Load: NativeClusterLoadConstructor,
    cluster: DrilledCluster,
    plan: DrillPlan,
    onFault: (fault: DrillFault, acknowledged: number) => void = () => undefined,
  ) {
    this.#cluster = cluster;
    this.#plan = plan;
    this.#random = randomFrom(plan.seed);
    this.#onFault = onFault;
    const { description } = cluster;
    const key = keyOf(description);
    this.#load = new Load({
      members: membersText(description),
      cluster: description.name,
      transport: description.transport,
      ...(key !== undefined && { key }),
      ordersPerSecond: plan.ordersPerSecond,
      ...description.limits,
    });
  }

  /** Throws NO_LEADER and DRILL_STOPPED where the cluster does not come back. */
  async run(signal?: AbortSignal): Promise<DrillResult> {
    const running = this.#load.run();
    // Awaited at the end; until then a failure is no unhandled one.
    running.catch(() => undefined);
    const faults: DrillFault[] = [];
    try {
      await this.#answersAfter(0);
      let kills = 0;
      while (kills < this.#plan.kills && signal?.aborted !== true) {
        const kind = this.#plan.pauses && this.#random() < 1 / 3 ? 'pause' : 'kill';
        if (kind === 'kill') kills += 1;
        const fault = await this.#fault(kind);
        faults.push(fault);
        this.#onFault(fault, this.#progress().acknowledged);
      }
      await this.#heal();
    } finally {
      this.#load.stop();
    }
    try {
      return this.#result(faults, await running, await this.#load.verify());
    } catch (error) {
      throw fromNative(error);
    }
  }

  #progress(): Progress {
    return JSON.parse(this.#load.progress()) as Progress;
  }

  async #fault(kind: DrillFault['kind']): Promise<DrillFault> {
    const leader = await this.#heal();
    const others = this.#cluster.ids.filter((id) => id !== leader);
    const led = this.#random() < 0.75 || others.length === 0;
    const member = led ? leader : others[Math.floor(this.#random() * others.length)]!;
    const restMs = kind === 'pause' ? 300 + this.#random() * 1200 : this.#random() * 600;
    await sleep(this.#random() * 150);
    this.#load.gap();
    const started = performance.now();
    this.#cluster.signal(member, kind === 'pause' ? 'SIGSTOP' : 'SIGKILL');
    await sleep(inFlightMs);
    const { acknowledged } = this.#progress();
    const back = sleep(Math.max(0, restMs - inFlightMs)).then(() => this.#bringBack(kind, member));
    // Awaited below, after what may fail before.
    back.catch(() => undefined);
    await this.#answersAfter(acknowledged);
    const gapMs = this.#load.gap();
    await back;
    await this.#heal();
    return { kind, member, led, gapMs, healedMs: performance.now() - started };
  }

  async #bringBack(kind: DrillFault['kind'], member: number): Promise<void> {
    if (kind === 'pause') {
      this.#cluster.signal(member, 'SIGCONT');
      return;
    }
    while (this.#cluster.processOf(member).state !== 'gone') await sleep(lookMs);
    this.#cluster.startMember(member);
  }

  /** Everybody takes part again; answers who leads. */
  async #heal(): Promise<number> {
    const { replicas } = this.#cluster.description;
    const until = performance.now() + healMsMax;
    for (;;) {
      const leader = await this.#cluster.waitForLeader(Math.max(1, until - performance.now()), replicas);
      const views = await this.#cluster.look();
      const halted = views.find(({ status }) => status !== undefined && status.halted !== '');
      if (halted !== undefined)
        throw new ClusterError(
          'DRILL_STOPPED',
          `member ${halted.id} takes no part any more: ${halted.status?.halted}`,
        );
      // Those that are about to join count: killed now they would only be restarted once more.
      if (views.every(({ status }) => status !== undefined)) return leader;
      if (performance.now() > until) {
        const silent = views.filter(({ status }) => status === undefined).map(({ id }) => id);
        throw new ClusterError('DRILL_STOPPED', `member ${silent.join(', ')} did not come back`);
      }
      await sleep(lookMs);
    }
  }

  async #answersAfter(acknowledged: number): Promise<void> {
    const until = performance.now() + answerMsMax;
    while (this.#progress().acknowledged <= acknowledged) {
      if (performance.now() > until)
        throw new ClusterError('DRILL_STOPPED', `nothing was acknowledged for ${answerMsMax} ms`);
      await sleep(lookMs);
    }
  }

  #result(faults: readonly DrillFault[], loadText: string, verdictText: string): DrillResult {
    const load = JSON.parse(loadText) as Progress & { readonly unanswered: number };
    const verdict = JSON.parse(verdictText) as {
      readonly acknowledgedLost: number;
      readonly appliedTwice: number;
      readonly position: number;
      readonly stateHash: string;
    };
    const gaps = (led: boolean): number[] =>
      faults.filter((one) => one.led === led).map(({ gapMs }) => gapMs);
    const count = (kind: DrillFault['kind']): number => faults.filter((one) => one.kind === kind).length;
    return {
      kills: count('kill'),
      pauses: count('pause'),
      seed: this.#plan.seed,
      sent: load.sent,
      acknowledged: load.acknowledged,
      unanswered: load.unanswered,
      acknowledgedLost: verdict.acknowledgedLost,
      duplicateFills: load.acceptedTwice + load.tradesTwice + verdict.appliedTwice,
      resent: load.resent,
      failoverMs: percentilesOf(gaps(true)),
      followerFaultMs: percentilesOf(gaps(false)),
      faults,
      position: verdict.position,
      stateHash: verdict.stateHash,
    };
  }
}
