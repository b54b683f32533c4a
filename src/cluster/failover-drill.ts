// FailoverDrill: kills and pauses members of a running cluster at random from a seed, under a client that keeps a ledger.
//
//   ledger client ──orders──▶ leader ──events──▶ ledger          the oracle: what was acknowledged must be in the log, once
//                               ▲
//                  SIGKILL · SIGSTOP, then start · SIGCONT       the next once as many hot ones as wanted answer again
//
// After a fault of whoever leads, the longest time between two acknowledgements is what a client has felt of it.
import { setTimeout as sleep } from 'node:timers/promises';
import { ClusterError, fromNative } from '../errors/errors.ts';
import type { NativeClusterLoad, NativeClusterLoadConstructor } from '../native/cluster-types.ts';
import type { LocalCluster } from './local-cluster.ts';
import { keyOf, membersText } from './member-process.ts';
import { leaderOf } from './member-status.ts';

const healMsMax = 30_000;
const answerMsMax = 30_000;
const lookMs = 5;
/** Answers come at their pace: a fault's gap is the fault's. */
const steadyMs = 100;
const steadyGapMsMax = 60;
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
  /** Until as many hot members as wanted answered again. */
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
  | 'ids'
  | 'description'
  | 'signal'
  | 'startMember'
  | 'processOf'
  | 'statusOf'
  | 'waitForLeader'
  | 'look'
  | 'logEnd'
>;

export class FailoverDrill {
  readonly #cluster: DrilledCluster;
  readonly #plan: DrillPlan;
  readonly #random: () => number;
  readonly #load: NativeClusterLoad;
  /** Members that are being brought back. */
  readonly #away = new Map<number, Promise<void>>();
  /** Whoever drills ends the cluster now: nobody is started any more. */
  #ended = false;
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
      await Promise.all(this.#away.values());
      await this.#heal(true);
    } finally {
      this.#ended = true;
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
    const others = this.#cluster.ids.filter((id) => id !== leader && !this.#away.has(id));
    const led = this.#random() < 0.75 || others.length === 0;
    const member = led ? leader : others[Math.floor(this.#random() * others.length)]!;
    const restMs = kind === 'pause' ? 300 + this.#random() * 1200 : inFlightMs + this.#random() * 500;
    await this.#steady();
    await sleep(this.#random() * 100);
    this.#load.gap();
    const started = performance.now();
    this.#cluster.signal(member, kind === 'pause' ? 'SIGSTOP' : 'SIGKILL');
    const back = this.#bringBack(kind, member, restMs);
    // Awaited where what it brings back is needed.
    back.catch(() => undefined);
    this.#away.set(member, back);
    await sleep(inFlightMs);
    const { acknowledged } = this.#progress();
    await this.#answersAfter(acknowledged);
    const gapMs = this.#load.gap();
    await this.#heal();
    return { kind, member, led, gapMs, healedMs: performance.now() - started };
  }

  /** It may be the next one's turn once it answers. */
  async #bringBack(kind: DrillFault['kind'], member: number, afterMs: number): Promise<void> {
    await sleep(afterMs);
    if (kind === 'pause') this.#cluster.signal(member, 'SIGCONT');
    else {
      while (this.#cluster.processOf(member).state !== 'gone') await sleep(lookMs);
      if (this.#ended) return;
      this.#cluster.startMember(member);
    }
    for (const until = performance.now() + healMsMax; performance.now() < until; await sleep(lookMs * 4)) {
      if ((await this.#cluster.statusOf(member)) === undefined) continue;
      this.#away.delete(member);
      return;
    }
    throw new ClusterError(
      'DRILL_STOPPED',
      `member ${member} did not come back within ${healMsMax} ms:\n${this.#cluster.logEnd(member)}`,
    );
  }

  /** As many hot members as wanted, or all there are, answer; answers who leads. */
  async #heal(all = false): Promise<number> {
    const { replicas } = this.#cluster.description;
    for (const until = performance.now() + healMsMax; performance.now() < until; await sleep(lookMs)) {
      const statuses = (await this.#cluster.look()).flatMap(({ status }) =>
        status === undefined ? [] : [status],
      );
      const halted = statuses.find((status) => status.halted !== '');
      if (halted !== undefined)
        throw new ClusterError(
          'DRILL_STOPPED',
          `member ${halted.id} takes no part any more: ${halted.halted}`,
        );
      const leader = leaderOf(statuses);
      if (leader === undefined || leader.sync.length < replicas) continue;
      const silent = (all ? this.#cluster.ids : leader.sync).some(
        (id) => this.#away.has(id) || statuses.every((status) => status.id !== id),
      );
      if (!silent) return leader.id;
    }
    // Who is missing was said by whoever waits for it.
    await Promise.all(this.#away.values());
    return await this.#cluster.waitForLeader(1, replicas);
  }

  async #steady(): Promise<void> {
    for (const until = performance.now() + answerMsMax; performance.now() < until; ) {
      this.#load.gap();
      await sleep(steadyMs);
      if (this.#load.gap() < steadyGapMsMax) return;
    }
    throw new ClusterError('DRILL_STOPPED', `answers do not come steadily within ${answerMsMax} ms`);
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
