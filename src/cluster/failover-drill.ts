// FailoverDrill: kills and pauses members of a running cluster at random from a seed, under a client that keeps a ledger.
//
//   ledger client ──orders──▶ leader ──events──▶ ledger          the oracle: what was acknowledged must be in the log, once
//                               ▲
//                  SIGKILL · SIGSTOP, then start · SIGCONT       the next once as many hot ones as wanted answer again
//
// After a fault of whoever leads, the longest time between two acknowledgements is what a client has felt of it.
import { setTimeout as sleep } from 'node:timers/promises';
import { ClusterError } from '../errors/errors.ts';
import type { NativeClusterLoadConstructor } from '../native/cluster-types.ts';
import { type DrillLedger, DrillLoad, type Percentiles, percentilesOf, randomFrom } from './drill-load.ts';
import type { LocalCluster } from './local-cluster.ts';
import { leaderOf } from './member-status.ts';

const healMsMax = 30_000;
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

export interface DrillFault {
  readonly kind: 'kill' | 'pause';
  readonly member: number;
  readonly led: boolean;
  /** The longest time between two acknowledgements around it. */
  readonly gapMs: number;
  /** Until as many hot members as wanted answered again. */
  readonly healedMs: number;
}

export interface DrillResult extends DrillLedger {
  readonly kills: number;
  readonly pauses: number;
  readonly seed: number;
  /** Of faults of the leader. */
  readonly failoverMs: Percentiles;
  /** Of faults of others. */
  readonly followerFaultMs: Percentiles;
  readonly faults: readonly DrillFault[];
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
  readonly #load: DrillLoad;
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
    this.#load = new DrillLoad(Load, cluster.description, plan.ordersPerSecond);
  }

  /** Throws NO_LEADER and DRILL_STOPPED where the cluster does not come back. */
  async run(signal?: AbortSignal): Promise<DrillResult> {
    const faults: DrillFault[] = [];
    try {
      await this.#load.start();
      let kills = 0;
      while (kills < this.#plan.kills && signal?.aborted !== true) {
        const kind = this.#plan.pauses && this.#random() < 1 / 3 ? 'pause' : 'kill';
        if (kind === 'kill') kills += 1;
        const fault = await this.#fault(kind);
        faults.push(fault);
        this.#onFault(fault, this.#load.acknowledged);
      }
      await Promise.all(this.#away.values());
      await this.#heal(true);
    } finally {
      this.#ended = true;
      this.#load.stop();
    }
    return this.#result(faults, await this.#load.ledger());
  }

  async #fault(kind: DrillFault['kind']): Promise<DrillFault> {
    const leader = await this.#heal();
    const others = this.#cluster.ids.filter((id) => id !== leader && !this.#away.has(id));
    const led = this.#random() < 0.75 || others.length === 0;
    const member = led ? leader : others[Math.floor(this.#random() * others.length)]!;
    const restMs = kind === 'pause' ? 300 + this.#random() * 1200 : inFlightMs + this.#random() * 500;
    await this.#load.steady();
    await sleep(this.#random() * 100);
    this.#load.gap();
    const started = performance.now();
    this.#cluster.signal(member, kind === 'pause' ? 'SIGSTOP' : 'SIGKILL');
    const back = this.#bringBack(kind, member, restMs);
    // Awaited where what it brings back is needed.
    back.catch(() => undefined);
    this.#away.set(member, back);
    await sleep(inFlightMs);
    const { acknowledged } = this.#load;
    await this.#load.answersAfter(acknowledged);
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

  #result(faults: readonly DrillFault[], ledger: DrillLedger): DrillResult {
    const gaps = (led: boolean): number[] =>
      faults.filter((one) => one.led === led).map(({ gapMs }) => gapMs);
    const count = (kind: DrillFault['kind']): number => faults.filter((one) => one.kind === kind).length;
    const { position, stateHash, ...counts } = ledger;
    return {
      kills: count('kill'),
      pauses: count('pause'),
      seed: this.#plan.seed,
      ...counts,
      failoverMs: percentilesOf(gaps(true)),
      followerFaultMs: percentilesOf(gaps(false)),
      faults,
      position,
      stateHash,
    };
  }
}
