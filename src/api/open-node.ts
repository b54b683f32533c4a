// From the options of the public API to a native node.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { integer, invalidOption, oneOf, powerOfTwo } from '../errors/checks.ts';
import { fromNative } from '../errors/errors.ts';
import { cellBytes } from '../wire/layout.ts';
import type { EngineNode } from './engine-node.ts';
import { nativeGatewayOptions } from './gateways.ts';
import { type JournalSource, PastEvents } from './past-events.ts';
import type { ClusterConnection, ExchangeOptions } from './types.ts';

export interface OpenedNode {
  readonly node: EngineNode;
  readonly historyCells: number;
  readonly past: PastEvents;
}
interface EngineLimits {
  readonly maxOrders: number;
  readonly maxAccounts: number;
  readonly maxInstruments: number;
  readonly maxClientIds: number;
}
export type OpenNode = (options: ExchangeOptions, onEvents: () => void) => Promise<OpenedNode>;

const mebibyte = 1 << 20;
const segmentBytesDefault = 64 * mebibyte;
const syncEveryDefault = 200;
const syncEveryMax = 60_000;
const snapshotEveryDefault = 1_000_000;
const ringCellsDefault = 1 << 14;
const eventCellsDefault = 1 << 16;
const historyCellsDefault = 1 << 16;
const ringCellsMax = 1 << 22;
const countMax = 2 ** 32 - 1;
const spinMax = 10_000_000;
const coreMax = 1023;

/** The history's size alone: what tests that bring their own node need. Throws INVALID_OPTION. */
export function historyCellsOf(options: ExchangeOptions): number {
  return powerOfTwo('eventHistory', options.eventHistory ?? historyCellsDefault, 1 << 10, ringCellsMax);
}

/** Opens the native node. Throws INVALID_OPTION and NativeError. */
export async function openNode(options: ExchangeOptions, onEvents: () => void): Promise<OpenedNode> {
  const data = options.data ?? '';
  if (typeof data !== 'string') throw invalidOption('data', data, 'the path of a folder');
  const durability = oneOf('durability', options.durability ?? 'async', ['async', 'durable']);
  const clock = oneOf('clock', options.clock ?? 'system', ['system', 'manual']);
  // 0: as the folder was created, otherwise the engine's defaults.
  const limits: EngineLimits = {
    maxOrders: integer('maxOrders', options.maxOrders ?? 0, 0, countMax),
    maxAccounts: integer('maxAccounts', options.maxAccounts ?? 0, 0, countMax),
    maxInstruments: integer('maxInstruments', options.maxInstruments ?? 0, 0, countMax),
    maxClientIds: integer('maxClientIds', options.maxClientIds ?? 0, 0, countMax),
  };
  const nodeOptions = {
    ...limits,
    data,
    durable: durability === 'durable',
    syncEvery: integer('syncEvery', options.syncEvery ?? syncEveryDefault, 1, syncEveryMax),
    segmentBytes: integer(
      'segmentBytes',
      options.segmentBytes ?? segmentBytesDefault,
      1,
      Number.MAX_SAFE_INTEGER,
    ),
    snapshotEvery: integer(
      'snapshotEvery',
      options.snapshotEvery ?? snapshotEveryDefault,
      0,
      Number.MAX_SAFE_INTEGER,
    ),
    ringCells: powerOfTwo('ringCells', options.ringCells ?? ringCellsDefault, 64, ringCellsMax),
    eventCells: powerOfTwo('eventCells', options.eventCells ?? eventCellsDefault, 64, ringCellsMax),
    systemClock: clock === 'system',
    ...(await planOf(options)),
    ...(options.gateways !== undefined && { gateways: nativeGatewayOptions(options.gateways) }),
    ...(options.cluster !== undefined && { cluster: nativeClusterOf(options.cluster) }),
  };
  const historyCells = historyCellsOf(options);
  try {
    // Loaded here, so that the package can be imported, and say what is wrong, where the addon is missing.
    const { NativeCore, NativeNode, journalRead } = await import('../native/binding.ts');
    const node = await NativeNode.open(nodeOptions, onEvents);
    const journal: JournalSource | undefined =
      data === ''
        ? undefined
        : {
            read: async (from, maxCommands) => {
              // Only as far as everything is written: the engine goes on behind that.
              const upTo = node.stats().publishedPosition;
              const { next, commands } = await journalRead(data, from, maxCommands, upTo);
              return { next, commands, count: commands.byteLength / cellBytes };
            },
            core: () => new NativeCore(storedLimits(data)),
          };
    return { node, historyCells, past: new PastEvents(journal) };
  } catch (error) {
    throw fromNative(error);
  }
}

function nativeClusterOf(cluster: ClusterConnection) {
  const members = cluster.members
    .map(({ id, address }) => `${integer('cluster.members.id', id, 1, 31)}\t${address}`)
    .join('\n');
  if (members === '') throw invalidOption('cluster.members', cluster.members, 'at least one member');
  return {
    name: cluster.name,
    members,
    edge: integer('cluster.edge', cluster.edge ?? 1, 1, 255),
    transport: oneOf('cluster.transport', cluster.transport ?? 'auto', ['auto', 'tcp', 'shm', 'verbs']),
    ...(cluster.key !== undefined && { key: cluster.key }),
  };
}

/** What the native node is told of threads. Throws INVALID_OPTION. */
async function planOf(
  options: ExchangeOptions,
): Promise<{ readonly plan: string; readonly spin: number; readonly cores: string }> {
  const { plan = 'auto', spin, cores = [] } = options;
  const { threadPlan } = await import('../native/binding.ts');
  const found = typeof plan === 'string' ? threadPlan(plan) : '';
  if (found === '')
    throw invalidOption('plan', plan, 'serial, pipelined, sharded, sharded:RxM (1 to 16 each) or auto');
  const { threads } = JSON.parse(found) as { threads: number };
  if (spin !== undefined && spin !== Infinity) integer('spin', spin, 1, spinMax);
  for (const core of cores) integer('cores', core, 0, coreMax);
  if (cores.length !== 0 && cores.length !== threads)
    throw invalidOption('cores', cores, `one for each of the plan's ${threads} threads`);
  return {
    plan,
    spin: spin === undefined ? 0 : spin === Infinity ? Number.MAX_SAFE_INTEGER : spin * 1000,
    cores: cores.join(','),
  };
}

/** The capacities that the folder was created with: they decide what is rejected, so a replay must have the same (native/node/data_directory.h). */
function storedLimits(data: string): EngineLimits {
  const facts = readFileSync(join(data, 'facts'));
  return {
    maxOrders: facts.readUInt32LE(12),
    maxAccounts: facts.readUInt32LE(16),
    maxInstruments: facts.readUInt32LE(20),
    maxClientIds: facts.readUInt32LE(24),
  };
}
