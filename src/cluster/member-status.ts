// MemberStatus: what a member says of itself (native/addon/native_member.cpp). Numbers of 64 bits are texts of digits, in JSON and here.

export type Role = 'follower' | 'reserving' | 'fencing' | 'adopting' | 'activating' | 'leader' | 'halted';

export interface MemberStatus {
  readonly id: number;
  readonly role: Role;
  /** Why it takes no part, or "". */
  readonly halted: string;
  /** "CODE: message" once it has failed, or "". */
  readonly failure: string;
  readonly incarnation: string;
  /** Of the configuration that it knows; and the parts of that. */
  readonly revision: string;
  readonly epoch: string;
  /** 0: nobody. */
  readonly leader: number;
  readonly sync: readonly number[];
  readonly evicted: readonly {
    readonly id: number;
    readonly position: string;
    readonly expected: string;
    readonly found: string;
  }[];
  /** What this cluster is for the venue; standby: it takes its entries from a bridge. */
  readonly site: 'active' | 'standby' | 'fenced';
  readonly dataLossEpochs: string;
  readonly reservedEpoch: string;
  readonly promised: string;
  readonly lastEpoch: string;
  readonly position: string;
  readonly acknowledged: string;
  readonly durable: string;
  readonly commit: string;
  readonly released: string;
  readonly resultHash: string;
  /** Leads alone: acknowledges what is durable only. */
  readonly degraded: boolean;
  readonly commands: string;
  /** Commands that were sent before, among those executed since the state was last made anew (start, cut, snapshot). */
  readonly repeats: string;
  readonly takeovers: string;
  readonly truncations: string;
  readonly scrubs: string;
  /** The longest time from one scrub to the release of the next: damage to the state was unseen for so long at most. */
  readonly scrubLongestNs: string;
  /** The first position that its log still has; the newest snapshot's, 0: there is none. */
  readonly first: string;
  readonly snapshot: string;
  /** Taken since the start; taken of other members; why the last one came to nothing, or "". */
  readonly snapshots: string;
  readonly installs: string;
  /** The longest that the member’s thread was held: to note that one is due, to read parts for another member, to install another’s. */
  readonly snapshotMarkNs: string;
  readonly snapshotGiveNs: string;
  readonly snapshotInstallNs: string;
  readonly snapshotTrouble: string;
  /** Damaged ones that were passed over at the start. */
  readonly refusedSnapshots: readonly string[];
  readonly clients: number;
  readonly peers: readonly {
    readonly id: number;
    readonly heard: boolean;
    readonly acknowledged: string;
    readonly matched: string;
  }[];
}

/** Who leads: of those who say that they do, the one of the highest epoch. A leader that was paused may still say so. */
export function leaderOf(statuses: readonly MemberStatus[]): MemberStatus | undefined {
  return statuses
    .filter(({ role }) => role === 'leader')
    .reduce<MemberStatus | undefined>(
      (most, one) => (most === undefined || BigInt(one.epoch) > BigInt(most.epoch) ? one : most),
      undefined,
    );
}
