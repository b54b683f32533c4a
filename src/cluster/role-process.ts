// RoleProcess: one process of a deployment in roles: the native role, its pid file, its status file, its log.
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { ClusterError, fromNative } from '../errors/errors.ts';
import type { NativeRole, NativeRoleConstructor, NativeRoleOptions } from '../native/cluster-types.ts';
import { ControlPump } from './control-pump.ts';
import type { ControlStore } from './control-store.ts';
import { addressOf, keyOf, tlsOf } from './member-process.ts';
import { openControlStore } from './open-control-store.ts';
import { bootId, markOf, readMark, removeMark, stateOf, writeMark } from './process-mark.ts';
import { filesOf, nameOf, type RolePlace, type RolesDescription } from './roles-description.ts';

const lookMs = 100;
/** Between two looks for what a sequencer wants of the control store. */
const controlMs = 5;

/** What a process says of its snapshots, and of the shadow that they are taken from. */
export interface SnapshotsStatus {
  readonly newest: string;
  readonly shadow: string;
  readonly taken: string;
  readonly refused: string;
  readonly trouble: string;
}

export interface SeatStatus {
  readonly role: 'risk' | 'matching';
  readonly shard: number;
  readonly attached: boolean;
  readonly live: boolean;
  readonly rebuilt: string;
  readonly losses: string;
  /** Where its link began: the log was sent from there on. */
  readonly base: string;
  /** Executed for its next snapshot. */
  readonly shadow: string;
  /** What it has offered and was not confirmed. */
  readonly refused: string;
}

/** What the sequencer says of itself; 64-bit numbers are texts of digits. */
export interface SequencerStatus {
  readonly role: 'sequencer';
  /** Of several sequencers: this one leads, or follows the one that does. */
  readonly leads: boolean;
  readonly follows: boolean;
  /** By its number from 1 on, as the record says; 0: nobody yet. */
  readonly leader: number;
  /** Who has every entry before its events leave. */
  readonly sync: readonly number[];
  readonly epoch: string;
  readonly serving: boolean;
  readonly waitsFor: string;
  readonly sequenced: string;
  readonly settled: string;
  readonly released: string;
  readonly resultHash: string;
  /** Up to here its log had been replayed when it began to lead. */
  readonly base: string;
  readonly snapshots: SnapshotsStatus;
  readonly seats: readonly SeatStatus[];
}

export interface ShardStatus {
  readonly role: 'risk' | 'matching';
  readonly shard: number;
  readonly connected: boolean;
  readonly joined: boolean;
  readonly position: string;
  readonly rebuilds: string;
  /** Of the snapshot, or of the shadow, with which its link began; 0: the log from its first position on. */
  readonly base: string;
  readonly trouble: string;
  /** Not where it keeps none. */
  readonly snapshots?: SnapshotsStatus;
}

export type RoleStatus = SequencerStatus | ShardStatus;

/** As clients of a cluster take them too: a line a sequencer. */
export function sequencersText({ sequencers }: RolesDescription): string {
  return sequencers.map(({ host, port }, index) => `${index + 1}\t${addressOf(host, port)}`).join('\n');
}

export function roleOptions(description: RolesDescription, place: RolePlace): NativeRoleOptions {
  const key = keyOf(description);
  // Within what a number holds exactly.
  const half = (): number => randomBytes(6).readUIntBE(0, 6);
  return {
    ...place,
    name: description.name,
    sequencers: sequencersText(description),
    risk: description.risk,
    matching: description.matching,
    transport: description.transport,
    ...(key !== undefined && { key }),
    ...tlsOf(description),
    ...description.limits,
    ...(place.role !== 'sequencer' &&
      description.snapshots.every !== 0 && {
        snapshots: filesOf(description, place),
        ...(description.snapshots.every !== undefined && { snapshotEvery: description.snapshots.every }),
      }),
    ...(place.role === 'sequencer' && {
      ...(description.snapshots.every !== undefined && { snapshotEvery: description.snapshots.every }),
      data: filesOf(description, place),
      durable: description.ack === 'durable',
      boot: bootId(),
      ...(description.control?.kind === 'file' && { controlDirectory: description.control.path }),
      ...description.timing,
      journalIdLow: half(),
      journalIdHigh: half(),
    }),
  };
}

/** What it said of itself last. Undefined: nothing yet. */
export function lastStatus(description: RolesDescription, place: RolePlace): RoleStatus | undefined {
  try {
    return JSON.parse(readFileSync(`${filesOf(description, place)}.status`, 'utf8')) as RoleStatus;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** One line, without what changes with every command. */
export function sentenceOf(status: RoleStatus): string {
  if (status.role === 'sequencer') {
    const snapshots = status.snapshots.trouble === '' ? '' : `; snapshots: ${status.snapshots.trouble}`;
    if (status.follows)
      return `follows ${nameOf({ role: 'sequencer', shard: status.leader - 1 })}${snapshots}`;
    const away = status.seats.filter(({ live }) => !live).map(nameOf);
    const waits = status.waitsFor === '' ? 'takes commands' : `waits for ${status.waitsFor}`;
    return `${waits}${away.length === 0 ? '' : `; away: ${away.join(', ')}`}${snapshots}`;
  }
  if (status.joined) {
    const trouble = status.snapshots?.trouble ?? '';
    return trouble === '' ? 'takes part' : `takes part; snapshots: ${trouble}`;
  }
  if (status.connected) return 'is rebuilt';
  return `no sequencer${status.trouble === '' ? '' : `: ${status.trouble}`}`;
}

export class RoleProcess {
  readonly #files: string;
  readonly #place: RolePlace;
  readonly #log: (sentence: string) => void;
  readonly #role: NativeRole;
  readonly #store: ControlStore | undefined;
  readonly #pump: ControlPump | undefined;
  #pumping: NodeJS.Timeout | undefined;
  #looking: NodeJS.Timeout | undefined;
  #written = '';
  #said = '';

  private constructor(
    role: NativeRole,
    place: RolePlace,
    files: string,
    log: (sentence: string) => void,
    store: ControlStore | undefined,
  ) {
    this.#store = store;
    this.#pump = store === undefined ? undefined : new ControlPump(role, store, log);
    this.#role = role;
    this.#place = place;
    this.#files = files;
    this.#log = log;
  }

  /** Throws MEMBER_RUNNING where this process lives already, and what the engine, the disk and the port say. */
  static async start(
    Role: NativeRoleConstructor,
    description: RolesDescription,
    place: RolePlace,
    log: (sentence: string) => void,
  ): Promise<RoleProcess> {
    const files = filesOf(description, place);
    const other = readMark(`${files}.pid`);
    if (other !== undefined && other.pid !== process.pid && stateOf(other) !== 'gone')
      throw new ClusterError('MEMBER_RUNNING', `${nameOf(place)} runs already, as process ${other.pid}`);
    mkdirSync(description.data, { recursive: true });
    // A folder is the engine's to read; one sequencer alone has nobody to agree with. A cluster of the same name has another record.
    const asks = place.role === 'sequencer' && description.sequencers.length > 1;
    const elsewhere = asks && description.control?.kind === 'etcd';
    const store = elsewhere
      ? await openControlStore({ name: `${description.name}.roles`, control: description.control })
      : undefined;
    try {
      const role = new Role(roleOptions(description, place));
      writeMark(`${files}.pid`, markOf(process.pid)!);
      await role.open();
      const running = new RoleProcess(role, place, files, log, store);
      running.#pump?.start();
      if (running.#pump !== undefined) running.#pumping = setInterval(() => running.#pump?.take(), controlMs);
      running.#look();
      running.#looking = setInterval(() => running.#look(), lookMs);
      return running;
    } catch (error) {
      removeMark(`${files}.pid`);
      await store?.close();
      throw fromNative(error);
    }
  }

  status(): RoleStatus {
    return JSON.parse(this.#role.status()) as RoleStatus;
  }

  /** The sequencer: everything stored. */
  async close(): Promise<void> {
    clearInterval(this.#looking);
    clearInterval(this.#pumping);
    this.#pump?.stop();
    try {
      await this.#role.close();
    } finally {
      await this.#store?.close();
      rmSync(`${this.#files}.status`, { force: true });
      removeMark(`${this.#files}.pid`);
    }
  }

  /** Says what has changed since the last look, and leaves it where `roles status` looks. */
  #look(): void {
    const text = this.#role.status();
    if (text !== this.#written) {
      writeFileSync(`${this.#files}.status.new`, text);
      renameSync(`${this.#files}.status.new`, `${this.#files}.status`);
      this.#written = text;
    }
    const said = sentenceOf(JSON.parse(text) as RoleStatus);
    if (said !== this.#said) this.#log(`${nameOf(this.#place)}: ${said}`);
    this.#said = said;
  }
}
