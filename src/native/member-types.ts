/** A member of a cluster, as the addon shows it (native/node/member_host.h). Numbers of 64 bits are bigint, digests hex. */

export type NativeRole =
  | 'follower'
  | 'reserving'
  | 'fencing'
  | 'adopting'
  | 'activating'
  | 'leader'
  | 'halted';

export interface NativeConfiguration {
  readonly epoch: bigint;
  /** 0: nobody. */
  readonly leader: number;
  readonly sync: readonly { readonly id: number; readonly incarnation: bigint }[];
  readonly reservedEpoch: bigint;
  readonly candidate: number;
  readonly evicted: readonly {
    readonly id: number;
    /** 0: by an operator's word. */
    readonly position: bigint;
    readonly expected: string;
    readonly found: string;
  }[];
  readonly dataLossEpochs: bigint;
  readonly fenced: boolean;
}

export interface NativePeerStatus {
  readonly id: number;
  readonly heard: boolean;
  readonly acknowledged: bigint;
  readonly matched: bigint;
}

export interface NativeMemberStatus {
  readonly id: number;
  readonly incarnation: bigint;
  readonly role: NativeRole;
  /** Why it takes no part, or "". */
  readonly halted: string;
  readonly configuration: NativeConfiguration;
  readonly revision: bigint;
  readonly promised: bigint;
  readonly lastEpoch: bigint;
  readonly position: bigint;
  readonly acknowledged: bigint;
  readonly durable: bigint;
  readonly commit: bigint;
  readonly released: bigint;
  readonly resultHash: string;
  readonly degraded: boolean;
  readonly commands: bigint;
  readonly takeovers: bigint;
  readonly truncations: bigint;
  readonly scrubs: bigint;
  readonly clients: number;
  readonly peers: readonly NativePeerStatus[];
  /** "CODE: message" once it has failed, otherwise "". */
  readonly failure?: string;
}

export interface NativeMemberAddress {
  readonly id: number;
  readonly host: string;
  readonly port: number;
  readonly warm: boolean;
}

export interface NativeMemberOptions {
  readonly id: number;
  readonly data: string;
  readonly cluster: string;
  readonly host: string;
  readonly port: number;
  readonly key?: Uint8Array;
  readonly transport: 'auto' | 'tcp' | 'shm' | 'verbs';
  readonly members: readonly NativeMemberAddress[];
  /** Hot ones that are wanted. */
  readonly replicas: number;
  readonly ack: 'memory' | 'durable';
  readonly minSync: number;
  readonly maxOrders?: number;
  readonly maxAccounts?: number;
  readonly maxInstruments?: number;
  readonly maxClientIds?: number;
  readonly heartbeatMs?: number;
  readonly suspectMs?: number;
  readonly staggerMs?: number;
  readonly silentMs?: number;
}

export interface NativeControlRequest {
  readonly request: bigint;
  readonly kind: 'read' | 'swap';
  readonly expected: bigint;
  readonly text: string;
}

export interface NativeControlAnswer {
  /** 0: not asked for. */
  readonly request: bigint;
  readonly kind: 'read' | 'swapped' | 'conflict' | 'unknown' | 'changed';
  readonly revision: bigint;
  readonly text: string;
}

export type OperatorWord = 'evict' | 'readmit' | 'force' | 'promote' | 'fenceSite' | 'activateSite';

export interface NativeMember {
  /** The one that it listens on. */
  readonly port: number;
  status(): NativeMemberStatus;
  takeControlRequests(): NativeControlRequest[];
  answerControl(answer: NativeControlAnswer): void;
  /** The callback is called when requests wait. */
  onControl(callback: () => void): void;
  /** Rejects with a code and a sentence where the member refuses. `member` is 0 where the word names none. */
  operator(word: OperatorWord, member: number): Promise<void>;
  /** Everything durable; then nothing but forgetting it may follow. */
  close(): Promise<void>;
}

export interface NativeMemberConstructor {
  /** Recovers the folder and starts the member's thread. */
  new (options: NativeMemberOptions): NativeMember;
  readonly prototype: NativeMember;
}
