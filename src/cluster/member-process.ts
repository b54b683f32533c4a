// MemberProcess: one member of a cluster as a process: the native member, its control store, its admin port, its pid file, its log.
import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { invalidOption } from '../errors/checks.ts';
import { ClusterError, fromNative, NativeError } from '../errors/errors.ts';
import type { NativeMember, NativeMemberConstructor, NativeMemberOptions } from '../native/cluster-types.ts';
import { AdminServer } from './admin.ts';
import { ControlPump } from './control-pump.ts';
import type { ControlStore } from './control-store.ts';
import { type ClusterDescription, type MemberDescription, memberOf, secretOf } from './description.ts';
import type { MemberStatus } from './member-status.ts';
import { openControlStore } from './open-control-store.ts';
import { bootId, markOf, readMark, removeMark, stateOf, writeMark } from './process-mark.ts';

const lookMs = 100;
const keyBytesMin = 16;
const snapshotEveryDefault = 1_000_000;
const historyBytesDefault = 8 * 2 ** 30;

/** Beside the member's folder, which is the engine's alone. */
export function pidFileOf({ data }: MemberDescription): string {
  return `${data}.pid`;
}

export function addressOf(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** As the addon takes it: a line a member. */
export function membersText({ members }: ClusterDescription): string {
  return members
    .map(({ id, host, port, warm }) => `${id}\t${addressOf(host, port)}\t${warm ? 'warm' : 'hot'}`)
    .join('\n');
}

export function keyOf({ keyFile }: { readonly keyFile?: string }): string | undefined {
  if (keyFile === undefined) return undefined;
  const key = secretOf(keyFile);
  if (Buffer.byteLength(key) < keyBytesMin)
    throw invalidOption('keyFile', keyFile, `a file of at least ${keyBytesMin} bytes`);
  return key;
}

/** As the addon takes it, of a member, a bridge or a client. */
export function tlsOf({ tls }: Pick<ClusterDescription, 'tls'>): {
  readonly certificateFile?: string;
  readonly keyFile?: string;
  readonly authorityFile?: string;
} {
  if (tls === undefined) return {};
  return { certificateFile: tls.certificate, keyFile: tls.key, authorityFile: tls.authority };
}

export function nativeOptions(description: ClusterDescription, id: number): NativeMemberOptions {
  const { host, port, data } = memberOf(description, id);
  const key = keyOf(description);
  // Within what a number holds exactly.
  const half = (): number => randomBytes(6).readUIntBE(0, 6);
  return {
    id,
    data,
    cluster: description.name,
    listen: addressOf(host, port),
    members: membersText(description),
    boot: bootId(),
    transport: description.transport,
    ...(key !== undefined && { key }),
    ...tlsOf(description),
    standby: description.standby,
    replicas: description.replicas,
    durable: description.ack === 'durable',
    minSync: description.minSync,
    ...description.timing,
    ...description.limits,
    snapshotEvery: description.snapshots.every ?? snapshotEveryDefault,
    snapshotBytes: description.snapshots.bytes ?? 0,
    historyBytes: description.snapshots.historyBytes ?? historyBytesDefault,
    ...(description.snapshots.segmentBytes !== undefined && {
      segmentBytes: description.snapshots.segmentBytes,
    }),
    journalIdLow: half(),
    journalIdHigh: half(),
  };
}

export class MemberProcess {
  /** Settles once the member has failed of itself. */
  readonly failed: Promise<NativeError>;
  readonly #log: (sentence: string) => void;
  readonly #pidFile: string;
  readonly #member: NativeMember;
  readonly #store: ControlStore;
  readonly #pump: ControlPump;
  #admin: AdminServer | undefined;
  #looking: NodeJS.Timeout | undefined;
  #last = '';
  #fail: (error: NativeError) => void = () => undefined;

  private constructor(
    Member: NativeMemberConstructor,
    options: NativeMemberOptions,
    store: ControlStore,
    pidFile: string,
    log: (sentence: string) => void,
  ) {
    this.#log = log;
    this.#store = store;
    this.#pidFile = pidFile;
    this.failed = new Promise((resolve) => {
      this.#fail = resolve;
    });
    this.#member = new Member(options, () => this.#pump.take());
    this.#pump = new ControlPump(this.#member, store, log);
  }

  /**
   * Recovers the member's folder and takes part. Throws MEMBER_RUNNING where a process of this member lives, and what the engine, the control
   * store and the ports say.
   */
  static async start(
    Member: NativeMemberConstructor,
    description: ClusterDescription,
    id: number,
    log: (sentence: string) => void,
  ): Promise<MemberProcess> {
    const member = memberOf(description, id);
    const pidFile = pidFileOf(member);
    const other = readMark(pidFile);
    if (other !== undefined && other.pid !== process.pid && stateOf(other) !== 'gone')
      throw new ClusterError('MEMBER_RUNNING', `member ${id} runs already, as process ${other.pid}`);
    mkdirSync(dirname(member.data), { recursive: true });
    const options = nativeOptions(description, id);
    const token = description.adminTokenFile === undefined ? undefined : secretOf(description.adminTokenFile);
    const store = await openControlStore(description);
    let running: MemberProcess | undefined;
    try {
      running = new MemberProcess(Member, options, store, pidFile, log);
      await running.#open(member, token);
      return running;
    } catch (error) {
      await running?.close().catch(() => undefined);
      await store.close();
      throw (error as NodeJS.ErrnoException).syscall === 'listen' ? error : fromNative(error);
    }
  }

  status(): MemberStatus {
    return JSON.parse(this.#member.status()) as MemberStatus;
  }

  /** Everything durable and noted, so that the next start vouches for it. */
  async close(): Promise<void> {
    clearInterval(this.#looking);
    await this.#admin?.close();
    try {
      await this.#member.close();
    } finally {
      this.#pump.stop();
      await this.#store.close();
      removeMark(this.#pidFile);
    }
  }

  async #open({ id, adminHost, adminPort }: MemberDescription, token: string | undefined): Promise<void> {
    writeMark(this.#pidFile, markOf(process.pid)!);
    const port = await this.#member.open();
    this.#pump.start();
    this.#admin = await AdminServer.listen({
      host: adminHost,
      port: adminPort,
      token,
      status: () => this.#member.status(),
      operator: async (word, member) => {
        this.#log(`operator: ${word}${member === 0 ? '' : ` ${member}`}`);
        await this.#member.operator(word, member);
      },
    });
    const { position, incarnation } = this.status();
    this.#log(
      `member ${id}, incarnation ${incarnation}, recovered to position ${position}, listens on port ${port}, admin ${addressOf(adminHost, adminPort)}`,
    );
    this.#looking = setInterval(() => this.#look(), lookMs);
  }

  /** Says what has changed since the last look. */
  #look(): void {
    const { role, epoch, leader, sync, halted, failure, position } = this.status();
    const now = `${role}, epoch ${epoch}, leader ${leader === 0 ? 'nobody' : leader}, hot ${sync.join(' ')}${halted === '' ? '' : `, halted: ${halted}`}`;
    if (now !== this.#last) this.#log(`${now}, at position ${position}`);
    this.#last = now;
    if (failure === '') return;
    clearInterval(this.#looking);
    const [, code = 'NATIVE_ERROR', message = failure] = /^([A-Z_]+): (.*)$/s.exec(failure) ?? [];
    this.#fail(new NativeError(code, message));
  }
}
