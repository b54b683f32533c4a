// What the API needs of the native node: src/native has it for real, tests stand a model in its place.

import type { GatewayAddresses, GatewayStats } from '../native/types.ts';
import type { StageStats } from './types.ts';

export type QueryKind =
  | 'levels'
  | 'orders'
  | 'account'
  | 'account-orders'
  | 'order'
  | 'market'
  | 'accounts'
  | 'hash'
  | 'explain';

/** The native node, as seen from one JavaScript thread. */
export interface EngineNode {
  /** Command cells to be offered are written here first. */
  readonly stage: ArrayBuffer;
  readonly stageCells: number;
  /** Copies the first `count` cells of the stage into the input ring; answers how many found room. */
  offer(count: number): number;
  /** The output ring; cell = read index mod eventCells. */
  readonly cells: ArrayBuffer;
  readonly eventCells: number;
  /** Cells that are ready from the read index on. Once it has answered 0, the next event calls back. */
  available(): number;
  /** Gives cells back and moves the read index. */
  release(count: number): void;
  query(kind: QueryKind, a: number, b: number, id: Uint8Array | null): Promise<string>;
  snapshot(): Promise<bigint>;
  stats(): EngineStats;
  gatewayAddresses(): GatewayAddresses | undefined;
  gatewayStats(): GatewayStats | undefined;
  close(): Promise<{ position: bigint; stateHash: string }>;
}

export interface EngineStats {
  readonly position: bigint;
  readonly durablePosition: bigint;
  readonly publishedPosition: bigint;
  readonly commands: number | bigint;
  readonly events: number | bigint;
  readonly batches: number | bigint;
  readonly snapshots: number | bigint;
  readonly snapshotPosition: bigint;
  readonly journalBytes: number | bigint;
  readonly recoveredFrom: bigint;
  readonly replayed: bigint | number;
  readonly recoveryMs: number;
  readonly tornBytes: number | bigint;
  readonly stateHash: string;
  readonly plan: string;
  readonly spinNs: number;
  readonly pinning: string;
  readonly ringHighWater: number;
  readonly hazards: number;
  readonly stalls: number;
  readonly drains: number;
  readonly stages: readonly StageStats[];
  /** Commands that the clock put in. */
  readonly ticks: number | bigint;
  /** Times that the engine waited for room in the output ring. */
  readonly backPressureWaits: number | bigint;
  /** The longest that a snapshot kept the engine. */
  readonly snapshotStallNsMax: number | bigint;
  /** Why the last snapshot is missing, or "". */
  readonly snapshotStatus: string;
  /** Damaged snapshots that recovery passed over. */
  readonly refusedSnapshots: readonly string[];
  /** "CODE: message" once the node has failed, otherwise "". */
  readonly failure: string;
}
