// The addon's classes of a cluster, flat as they are (native/addon/native_member.cpp, native_cluster_load.cpp, native_role.cpp).

export interface NativeMemberOptions {
  readonly id: number;
  readonly data: string;
  readonly cluster: string;
  /** "host:port" to listen on. */
  readonly listen: string;
  /** A line a member, with tabs: id, "host:port", "hot" or "warm". This one too. */
  readonly members: string;
  /** Names the machine's start (/proc/sys/kernel/random/boot_id); "": unknown. */
  readonly boot?: string;
  readonly transport?: 'auto' | 'tcp' | 'shm' | 'verbs';
  readonly key?: string;
  /** PEM files: TLS on every tcp link and set-up. */
  readonly certificateFile?: string;
  readonly keyFile?: string;
  readonly authorityFile?: string;
  /** How many hot members are wanted. */
  readonly replicas?: number;
  /** Acknowledge what is durable, not what is written. */
  readonly durable?: boolean;
  readonly minSync?: number;
  /** The cluster begins as the standby of another site: entries come from a bridge. */
  readonly standby?: boolean;
  readonly heartbeatMs?: number;
  readonly suspectMs?: number;
  readonly staggerMs?: number;
  readonly silentMs?: number;
  /** Of the log's time between two scrubs; the same on every member. */
  readonly scrubMs?: number;
  readonly segmentBytes?: number;
  /** Commands between two snapshots; 0 or absent: none are due by commands. Due by nothing, the log is never pruned. */
  readonly snapshotEvery?: number;
  /** Bytes of the log between two snapshots, whichever comes first; 0 or absent: none are due by bytes. */
  readonly snapshotBytes?: number;
  /** Bytes of the log that stay, whatever snapshots there are. */
  readonly historyBytes?: number;
  /** Two halves that name a new journal, drawn at random by the caller. */
  readonly journalIdLow?: number;
  readonly journalIdHigh?: number;
  /** The record lies in this folder, and no requests come to JavaScript. */
  readonly controlDirectory?: string;
  readonly maxOrders?: number;
  readonly maxAccounts?: number;
  readonly maxInstruments?: number;
  readonly maxClientIds?: number;
}

export interface ControlRequest {
  readonly request: bigint;
  readonly kind: 'read' | 'swap';
  readonly expected: bigint;
  readonly text: string;
}

export type ControlAnswerKind = 'read' | 'swapped' | 'conflict' | 'unknown' | 'changed';

export type OperatorWord =
  | 'evict'
  | 'readmit'
  | 'force'
  | 'found'
  | 'promote'
  | 'fenceSite'
  | 'activateSite'
  | 'standbySite'
  | 'damageState'
  | 'damageResult'
  | 'damageRounding';

export interface NativeMember {
  /** Recovers and starts; answers the port that was taken. Once. */
  open(): Promise<number>;
  /** JSON; 64-bit numbers are strings of digits. */
  status(): string;
  takeControlRequests(): ControlRequest[];
  answerControl(request: bigint, kind: ControlAnswerKind, revision: bigint, text: string): void;
  /** Rejects with the member's reason. */
  operator(word: OperatorWord, member: number): Promise<string>;
  /** Everything durable and noted: the next start vouches for it. */
  close(): Promise<string>;
}

export interface NativeMemberConstructor {
  /** `onControl`: requests wait to be taken. */
  new (options: NativeMemberOptions, onControl: () => void): NativeMember;
  readonly prototype: NativeMember;
}

export interface NativeClusterLoadOptions {
  /** A line a member, with a tab: id, "host:port". */
  readonly members: string;
  readonly cluster: string;
  readonly transport?: 'auto' | 'tcp' | 'shm' | 'verbs';
  readonly key?: string;
  /** PEM files: TLS on every tcp link and set-up. */
  readonly certificateFile?: string;
  readonly keyFile?: string;
  readonly authorityFile?: string;
  /** 0 or absent: as many as the window lets through. */
  readonly ordersPerSecond?: number;
  /** Orders without an answer, at most. */
  readonly window?: number;
  /** Orders in a submission, at most. */
  readonly batch?: number;
  readonly accounts?: number;
  readonly instruments?: number;
  /** Then it ends by itself; 0 or absent: at stop(). */
  readonly orders?: number;
  /** Another load was here before: client ids begin behind so many, and only what comes from now on is looked at. No verify(). */
  readonly idsBehind?: number;
  readonly warmUpMs?: number;
  readonly maxOrders?: number;
  readonly maxAccounts?: number;
  readonly maxInstruments?: number;
  readonly maxClientIds?: number;
}

export interface NativeClusterLoad {
  /** JSON: the counts of progress(), unanswered, measured, measuredNs, p50Us … Once. */
  run(): Promise<string>;
  /** After run(): JSON: batches, acknowledgedLost, appliedTwice, position, stateHash. */
  verify(): Promise<string>;
  /** JSON: sent, acknowledged, accepted, trades, acceptedTwice, tradesTwice, resent, connects, endedSubscriptions, position. */
  progress(): string;
  /** The longest time between two answers since the last call, ms; the current wait is one of them. */
  gap(): number;
  /** No further orders; run() ends when all are answered, or after 20 s. */
  stop(): void;
}

export interface NativeClusterLoadConstructor {
  new (options: NativeClusterLoadOptions): NativeClusterLoad;
  readonly prototype: NativeClusterLoad;
}

export interface NativeBridgeSide {
  /** A line a member, with a tab: id, "host:port". */
  readonly members: string;
  readonly cluster: string;
  readonly transport?: 'auto' | 'tcp' | 'shm' | 'verbs';
  readonly key?: string;
  /** PEM files: TLS. */
  readonly certificateFile?: string;
  readonly keyFile?: string;
  readonly authorityFile?: string;
  /** Of the source: its results have its state folded in, as the target's have; default true. */
  readonly scrubs?: boolean;
}

export interface NativeBridge {
  /** JSON: relayed, source, entries, probes, sourceConnected, targetConnected, trouble; positions are strings of digits. */
  progress(): string;
  stop(): void;
}

export interface NativeBridgeConstructor {
  /** Starts at once. */
  new (options: { readonly source: NativeBridgeSide; readonly target: NativeBridgeSide }): NativeBridge;
  readonly prototype: NativeBridge;
}

export interface NativeRoleOptions {
  readonly role: 'sequencer' | 'risk' | 'matching';
  /** Of the deployment; others are not let in. */
  readonly name: string;
  /** A line a sequencer, with a tab: id, "host:port". It listens there, the others dial it. */
  readonly sequencers: string;
  /** How many risk and matching processes there are, 1 to 16 each. */
  readonly risk: number;
  readonly matching: number;
  /** Its number among those of its role, from 0. */
  readonly shard?: number;
  readonly transport?: 'auto' | 'tcp' | 'shm' | 'verbs';
  readonly key?: string;
  /** PEM files: TLS on every tcp link and set-up. */
  readonly certificateFile?: string;
  readonly keyFile?: string;
  readonly authorityFile?: string;
  /** Of a risk or matching process: its folder of snapshots; without it there are none. */
  readonly snapshots?: string;
  /** It takes one every so many commands; a sequencer: 0: none. */
  readonly snapshotEvery?: number;
  /** From here on a sequencer's alone: its folder. */
  readonly data?: string;
  /** Names this start of the machine. */
  readonly boot?: string;
  /** Of several: the folder that is their control store; without it requests wait to be taken. */
  readonly controlDirectory?: string;
  /** Of several: who is not heard for so long is suspected. */
  readonly suspectMs?: number;
  readonly segmentBytes?: number;
  /** Events wait until their entry is on disk. */
  readonly durable?: boolean;
  /** A role that says nothing for so long is lost. */
  readonly silenceMs?: number;
  /** At the start risk processes are waited for so long. */
  readonly attachMs?: number;
  /** Two halves that name a new journal, drawn at random by the caller. */
  readonly journalIdLow?: number;
  readonly journalIdHigh?: number;
  readonly maxOrders?: number;
  readonly maxAccounts?: number;
  readonly maxInstruments?: number;
  readonly maxClientIds?: number;
}

export interface NativeRole {
  /** The sequencer recovers its journal and answers its port; the others dial it, and answer 0. Once. */
  open(): Promise<number>;
  /** JSON; 64-bit numbers are strings of digits. */
  status(): string;
  takeControlRequests(): ControlRequest[];
  answerControl(request: bigint, kind: ControlAnswerKind, revision: bigint, text: string): void;
  /** A sequencer: everything stored. */
  close(): Promise<string>;
}

export interface NativeRoleConstructor {
  new (options: NativeRoleOptions): NativeRole;
  readonly prototype: NativeRole;
}
