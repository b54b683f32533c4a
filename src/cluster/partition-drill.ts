// PartitionDrill: cuts the wires between members of a running cluster, its control store and its client, in every shape a partition can have.
//
//   place 0: ledger client ──orders──▶ members in places 1 … n ──▶ etcd in place n + 1       nftables in each place: who is not heard
//
// While it is cut whoever still reaches a majority goes on; when it is mended everybody does. Never do two members lead one epoch; nothing
// that was acknowledged is lost, nothing is done twice; in the end all members have one log and one result.
import { setTimeout as sleep } from 'node:timers/promises';
import type { NativeClusterLoadConstructor } from '../native/cluster-types.ts';
import { type DrillLedger, DrillLoad, type Percentiles, percentilesOf, randomFrom } from './drill-load.ts';
import type { LocalCluster } from './local-cluster.ts';
import type { MemberStatus } from './member-status.ts';
import { Places } from './places.ts';

const healMsMax = 60_000;
const lookMs = 20;
/** A member that cannot be reached costs a look so long. */
const statusMs = 150;

/** Who is where: the leader, the members behind it, the client, the control store. */
interface Ranks {
  readonly leader: number;
  readonly others: readonly number[];
  readonly client: number;
  readonly store: number;
}

interface Shape {
  readonly name: string;
  /** The client still reaches a leader with a majority, or will. */
  readonly goesOn: boolean;
  cut(drill: Wires, ranks: Ranks): Promise<void>;
}

/** What a shape may do. */
interface Wires {
  apart(one: readonly number[], other: readonly number[]): void;
  deafen(to: readonly number[], from: readonly number[]): void;
  apply(): Promise<void>;
  mend(): Promise<void>;
  signal(member: number, signal: NodeJS.Signals): void;
}

const shapes: readonly Shape[] = [
  {
    name: 'full, client with the majority',
    goesOn: true,
    cut: async (wires, { leader, others, client, store }) => {
      wires.apart([leader], [...others, client, store]);
      await wires.apply();
    },
  },
  {
    name: 'full, client with the minority',
    goesOn: false,
    cut: async (wires, { leader, others, client, store }) => {
      wires.apart([leader, client], [...others, store]);
      await wires.apply();
    },
  },
  {
    name: 'isolated leader',
    goesOn: true,
    // Clients and the store reach it: it would serve if it could.
    cut: async (wires, { leader, others }) => {
      wires.apart([leader], others);
      await wires.apply();
    },
  },
  {
    name: 'asymmetric, the leader is not heard',
    goesOn: true,
    cut: async (wires, { leader, others }) => {
      wires.deafen(others, [leader]);
      await wires.apply();
    },
  },
  {
    name: 'asymmetric, the leader hears nobody',
    goesOn: true,
    cut: async (wires, { leader, others }) => {
      wires.deafen([leader], others);
      await wires.apply();
    },
  },
  {
    name: 'asymmetric, a member reaches the store alone',
    goesOn: true,
    // Nobody needs it, and it must not depose a leader that it could not follow.
    cut: async (wires, { leader, others, client }) => {
      wires.apart(others.slice(0, 1), [leader, ...others.slice(1), client]);
      await wires.apply();
    },
  },
  {
    name: 'asymmetric, a member does not hear the leader',
    goesOn: true,
    cut: async (wires, { leader, others }) => {
      wires.deafen(others.slice(0, 1), [leader]);
      await wires.apply();
    },
  },
  {
    name: 'bridge',
    goesOn: true,
    cut: async (wires, { leader, others }) => {
      wires.apart([leader], others.slice(-1));
      await wires.apply();
    },
  },
  {
    name: 'flapping',
    goesOn: true,
    cut: async (wires, { leader, others }) => {
      for (const ms of [60, 200, 100, 350, 40, 250]) {
        wires.apart([leader], others);
        await wires.apply();
        await sleep(ms);
        await wires.mend();
        await sleep(ms / 2);
      }
    },
  },
  {
    name: 'no control store',
    goesOn: true,
    cut: async (wires, { leader, others, store }) => {
      wires.apart([leader, ...others], [store]);
      await wires.apply();
    },
  },
  {
    name: 'paused, cut, and awake again',
    goesOn: true,
    // It wakes up believing that it leads, and nobody can tell it otherwise.
    cut: async (wires, { leader, others, store }) => {
      wires.signal(leader, 'SIGSTOP');
      wires.apart([leader], [...others, store]);
      await wires.apply();
      await sleep(700);
      wires.signal(leader, 'SIGCONT');
    },
  },
  {
    name: 'killed while cut',
    goesOn: true,
    cut: async (wires, { leader, others }) => {
      wires.apart([leader], others);
      await wires.apply();
      await sleep(200);
      wires.signal(leader, 'SIGKILL');
    },
  },
];

export interface PartitionPlan {
  readonly cuts: number;
  readonly seed: number;
  readonly ordersPerSecond: number;
}

export interface Cut {
  readonly shape: string;
  /** The longest time without an answer, ms. */
  readonly gapMs: number;
  /** Answers while it was cut. */
  readonly answered: number;
  readonly goesOn: boolean;
  /** Epochs that were reserved from before the cut until everybody was in step again. */
  readonly epochs: number;
}

export interface PartitionResult extends DrillLedger {
  readonly cuts: number;
  readonly seed: number;
  readonly shapes: Readonly<Record<string, number>>;
  /** Epochs that one cut of this shape cost at most. */
  readonly epochsPerCut: Readonly<Record<string, number>>;
  /** Epochs in which two members led. */
  readonly leadersTwice: number;
  /** Members whose log or result is another one in the end. */
  readonly membersApart: number;
  readonly epochs: number;
  /** Of cuts through which clients should be served. */
  readonly silentMs: Percentiles;
}

/** Members in places 1 … n, etcd behind them. */
export function placesOf(places: Places, members: number): import('./local-cluster.ts').ClusterPlaces {
  const number = (who: number | 'etcd'): number => (who === 'etcd' ? members + 1 : who);
  return {
    host: (who) => Places.host(number(who)),
    enter: (who) => places.enter(number(who)),
  };
}

export class PartitionDrill {
  readonly #cluster: LocalCluster;
  readonly #places: Places;
  readonly #plan: PartitionPlan;
  readonly #random: () => number;
  readonly #load: DrillLoad;
  /** Who has said that it leads, by epoch. */
  readonly #led = new Map<string, Set<number>>();
  readonly #onCut: (cut: Cut, acknowledged: number) => void;

  constructor(
    Load: NativeClusterLoadConstructor,
    cluster: LocalCluster,
    places: Places,
    plan: PartitionPlan,
    onCut: (cut: Cut, acknowledged: number) => void = () => undefined,
  ) {
    this.#cluster = cluster;
    this.#places = places;
    this.#plan = plan;
    this.#random = randomFrom(plan.seed);
    this.#load = new DrillLoad(Load, cluster.description, plan.ordersPerSecond);
    this.#onCut = onCut;
  }

  /** Throws DRILL_STOPPED where the cluster does not go on, or does not come back. */
  async run(signal?: AbortSignal): Promise<PartitionResult> {
    const cuts: Cut[] = [];
    try {
      await this.#load.start();
      let left: Shape[] = [];
      while (cuts.length < this.#plan.cuts && signal?.aborted !== true) {
        // Every shape once before any comes again.
        if (left.length === 0) left = this.#shuffled(shapes);
        const cut = await this.#cut(left.pop()!);
        cuts.push(cut);
        this.#onCut(cut, this.#load.acknowledged);
      }
      await this.#cluster.settle(healMsMax);
    } finally {
      this.#load.stop();
    }
    const ledger = await this.#load.ledger();
    const { position, stateHash, ...counts } = ledger;
    const count: Record<string, number> = {};
    const most: Record<string, number> = {};
    for (const { shape, epochs } of cuts) {
      count[shape] = (count[shape] ?? 0) + 1;
      most[shape] = Math.max(most[shape] ?? 0, epochs);
    }
    return {
      cuts: cuts.length,
      seed: this.#plan.seed,
      shapes: count,
      epochsPerCut: most,
      ...counts,
      leadersTwice: [...this.#led.values()].filter((by) => by.size > 1).length,
      membersApart: await this.#apart(),
      epochs: this.#led.size,
      silentMs: percentilesOf(cuts.filter(({ goesOn }) => goesOn).map(({ gapMs }) => gapMs)),
      position,
      stateHash,
    };
  }

  #shuffled(list: readonly Shape[]): Shape[] {
    return list
      .map((shape) => ({ shape, key: this.#random() }))
      .toSorted((one, other) => one.key - other.key)
      .map(({ shape }) => shape);
  }

  async #cut(shape: Shape): Promise<Cut> {
    // A cut that comes while members still take over from the last one is another fault than the shape says: without its control store a
    // takeover that is under way can only wait.
    const leader = await this.#cluster.settle(healMsMax);
    const members = this.#cluster.ids;
    const at = members.indexOf(leader);
    const others = members.map((_, index) => members[(at + 1 + index) % members.length]!).slice(0, -1);
    await this.#load.steady();
    await sleep(this.#random() * 100);
    const epoch = await this.#epoch();
    this.#load.gap();
    const before = this.#load.acknowledged;
    try {
      await shape.cut(this.#wires(), { leader, others, client: 0, store: members.length + 1 });
      const during = this.#load.acknowledged;
      const lasts = performance.now() + 300 + this.#random() * 900;
      while (performance.now() < lasts) {
        await this.#look();
        await sleep(lookMs);
      }
      // Cut as it is, whoever can serves: however long that takes here.
      if (shape.goesOn) await this.#goesOn(leader, during);
    } finally {
      await this.#wires().mend();
      this.#cluster.signal(leader, 'SIGCONT');
    }
    const answered = this.#load.acknowledged - before;
    await this.#goesOn(leader, this.#load.acknowledged);
    if (this.#cluster.processOf(leader).state === 'gone') this.#cluster.startMember(leader);
    const gapMs = this.#load.gap();
    await this.#cluster.settle(healMsMax);
    const epochs = (await this.#epoch()) - epoch;
    return { shape: shape.name, gapMs, answered, goesOn: shape.goesOn, epochs };
  }

  /**
   * Waits for an answer. A leader that was the last in the record when it was killed is started again, as whatever looks after it would do: it
   * may have left out those that it was cut from before they could depose it, and then nobody else can lead.
   */
  async #goesOn(leader: number, during: number): Promise<void> {
    const answers = this.#load.answersAfter(during).then(() => true);
    while (this.#cluster.processOf(leader).state === 'gone') {
      if (await Promise.race([answers, sleep(lookMs, false)])) return;
      const records = (await this.#look()).map(({ sync }) => sync);
      if (records.length > 0 && records.every((sync) => sync.length === 1 && sync[0] === leader))
        this.#cluster.startMember(leader);
    }
    await answers;
  }

  /** The highest that anybody knows of; all of them are reserved in one row. */
  async #epoch(): Promise<number> {
    const statuses = await this.#look();
    return Math.max(0, ...statuses.flatMap(({ epoch, promised }) => [Number(epoch), Number(promised)]));
  }

  #wires(): Wires {
    const each = (
      one: readonly number[],
      other: readonly number[],
      what: (a: number, b: number) => void,
    ): void => {
      for (const a of one) for (const b of other) what(a, b);
    };
    return {
      apart: (one, other) => each(one, other, (a, b) => this.#places.cut(a, b)),
      deafen: (to, from) => each(to, from, (a, b) => this.#places.deafen(a, b)),
      apply: () => this.#places.apply(),
      mend: async () => {
        this.#places.mend();
        await this.#places.apply();
      },
      signal: (member, signal) => void this.#cluster.signal(member, signal),
    };
  }

  async #look(): Promise<readonly MemberStatus[]> {
    const statuses = await this.#cluster.admin.statuses(statusMs);
    for (const { id, role, epoch } of statuses) {
      if (role !== 'leader') continue;
      const by = this.#led.get(epoch) ?? new Set();
      this.#led.set(epoch, by.add(id));
    }
    return statuses;
  }

  /** Once nothing comes any more. Positions go on with the clock, so they are compared where they are equal. */
  async #apart(): Promise<number> {
    let apart = this.#cluster.ids.length;
    for (const until = performance.now() + healMsMax; performance.now() < until; await sleep(lookMs)) {
      const statuses = await this.#look();
      const first = statuses[0];
      if (first === undefined || statuses.length < this.#cluster.ids.length) continue;
      if (statuses.some(({ position }) => position !== first.position)) continue;
      apart = statuses.filter(({ resultHash }) => resultHash !== first.resultHash).length;
      if (apart === 0) return 0;
      // A look at several members is not one moment: what is really apart stays so.
    }
    return apart;
  }
}
