// LocalCluster: all members of a cluster on this machine, each a process, in one folder:
//
//   cluster.json                 what it is; its ports were free when it was made
//   member-1/ .pid .log          a member's folder, its process, what it said
//   etcd/ .json .pid .log        the control store, or
//   control/                     the control store, where there is no etcd
//
// Whoever has the folder can look, kill, pause and start; processes that others started are never signalled.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { invalidOption } from '../errors/checks.ts';
import { ClusterError } from '../errors/errors.ts';
import { ClusterAdmin } from './cluster-admin.ts';
import {
  type ClusterDescription,
  type LimitsDescription,
  memberOf,
  parseDescription,
  readDescription,
  type TimingDescription,
} from './description.ts';
import { freePorts } from './free-ports.ts';
import { etcdIsThere, LocalEtcd } from './local-etcd.ts';
import { pidFileOf } from './member-process.ts';
import { leaderOf, type MemberStatus } from './member-status.ts';
import { markOf, type ProcessState, readMark, signalTo, stateOf, writeMark } from './process-mark.ts';

const stopMsMax = 20_000;
const lookMs = 20;
const settledMs = 500;

export interface NewCluster {
  readonly replicas: number;
  readonly warm: number;
  readonly ack: 'memory' | 'durable';
  readonly minSync?: number;
  readonly transport?: ClusterDescription['transport'];
  readonly name?: string;
  readonly timing?: TimingDescription;
  readonly limits?: LimitsDescription;
  /** The second of two sites. */
  readonly standby?: boolean;
  /** Default: etcd where it is installed. */
  readonly control?: 'etcd' | 'file';
  /** Where members and etcd run, if not all on loopback: in network namespaces of this machine. */
  readonly places?: ClusterPlaces;
}

export interface ClusterPlaces {
  host(who: number | 'etcd'): string;
  /** What a command line begins with to run there. */
  enter(who: number | 'etcd'): readonly string[];
}

export interface MemberView {
  readonly id: number;
  readonly warm: boolean;
  readonly address: string;
  readonly process: ProcessState;
  readonly pid: number | undefined;
  /** Undefined: it does not answer. */
  readonly status: MemberStatus | undefined;
}

/** The program that members run in; dist/cluster and src/cluster lie equally deep. */
export function memberProgram(): string {
  return process.env.VERBEX_CLI ?? fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
}

export class LocalCluster {
  readonly folder: string;
  readonly description: ClusterDescription;
  readonly etcd: LocalEtcd | undefined;
  readonly admin: ClusterAdmin;
  readonly #places: ClusterPlaces | undefined;

  private constructor(folder: string, places?: ClusterPlaces) {
    this.folder = folder;
    this.#places = places;
    this.description = readDescription(join(folder, 'cluster.json'));
    this.etcd = LocalEtcd.find(folder, places?.enter('etcd'));
    this.admin = new ClusterAdmin(this.description);
  }

  /** Throws NO_CLUSTER where the folder has none. */
  static open(folder: string): LocalCluster {
    const path = resolve(folder);
    if (!existsSync(join(path, 'cluster.json')))
      throw new ClusterError('NO_CLUSTER', `${path} has no cluster.json; \`verbex cluster up\` makes one`);
    return new LocalCluster(path);
  }

  static exists(folder: string): boolean {
    return existsSync(join(resolve(folder), 'cluster.json'));
  }

  /** Writes what the cluster is; starts nothing. */
  static async make(folder: string, given: NewCluster): Promise<LocalCluster> {
    const path = resolve(folder);
    mkdirSync(path, { recursive: true });
    const count = given.replicas + given.warm;
    const ports = await freePorts(count * 2);
    const control = given.control ?? (etcdIsThere() ? 'etcd' : 'file');
    const { places } = given;
    if (control === 'etcd') await LocalEtcd.make(path, places?.host('etcd'));
    const etcd = control === 'etcd' ? LocalEtcd.find(path) : undefined;
    const description = {
      name: given.name ?? 'verbex',
      control:
        etcd === undefined ? { kind: 'file', path: 'control' } : { kind: 'etcd', endpoints: [etcd.endpoint] },
      ack: given.ack,
      replicas: given.replicas,
      minSync: given.minSync ?? 1,
      transport: given.transport ?? 'auto',
      ...(given.standby === true && { standby: true }),
      ...(given.timing !== undefined && { timing: given.timing }),
      ...(given.limits !== undefined && { limits: given.limits }),
      ...(places !== undefined && { adminTokenFile: 'admin.token' }),
      members: Array.from({ length: count }, (_, index) => ({
        id: index + 1,
        host: places?.host(index + 1) ?? '127.0.0.1',
        ...(places !== undefined && { adminHost: places.host(index + 1) }),
        port: ports[index * 2],
        adminPort: ports[index * 2 + 1],
        data: `member-${index + 1}`,
        warm: index >= given.replicas,
      })),
    };
    parseDescription(description, path);
    if (places !== undefined)
      writeFileSync(join(path, 'admin.token'), `${randomBytes(24).toString('hex')}\n`, { mode: 0o600 });
    writeFileSync(join(path, 'cluster.json'), `${JSON.stringify(description, undefined, 2)}\n`);
    return new LocalCluster(path, places);
  }

  get ids(): readonly number[] {
    return this.description.members.map(({ id }) => id);
  }

  /** The control store and every member that does not run. */
  async start(): Promise<void> {
    await this.etcd?.start();
    for (const id of this.ids) if (this.processOf(id).state === 'gone') this.startMember(id);
  }

  startMember(id: number): void {
    const { data } = memberOf(this.description, id);
    if (this.processOf(id).state !== 'gone')
      throw new ClusterError('MEMBER_RUNNING', `member ${id} runs already`);
    const program = memberProgram();
    if (!existsSync(program))
      throw new ClusterError('MEMBER_NOT_STARTED', `${program} is not there: run npm run build`);
    const log = openSync(`${data}.log`, 'a');
    try {
      const [launch, ...args] = [
        ...(this.#places?.enter(id) ?? []),
        process.execPath,
        program,
        'cluster',
        'member',
        '--config',
        join(this.folder, 'cluster.json'),
        '--id',
        `${id}`,
      ];
      const child = spawn(launch!, args, { detached: true, stdio: ['ignore', log, log] });
      child.unref();
      // It writes the same itself; here already, so that nobody starts a second one meanwhile.
      const mark = child.pid === undefined ? undefined : markOf(child.pid);
      if (mark !== undefined) writeMark(pidFileOf(memberOf(this.description, id)), mark);
    } finally {
      closeSync(log);
    }
  }

  processOf(id: number): { readonly state: ProcessState; readonly pid: number | undefined } {
    const mark = readMark(pidFileOf(memberOf(this.description, id)));
    if (mark === undefined) return { state: 'gone', pid: undefined };
    const state = stateOf(mark);
    return { state, pid: state === 'gone' ? undefined : mark.pid };
  }

  /** Answers whether there was somebody to signal. */
  signal(id: number, signal: NodeJS.Signals): boolean {
    const mark = readMark(pidFileOf(memberOf(this.description, id)));
    return mark !== undefined && signalTo(mark, signal);
  }

  async look(timeoutMs = 300): Promise<MemberView[]> {
    return await Promise.all(
      this.description.members.map(async ({ id, warm, host, port }) => {
        const { state, pid } = this.processOf(id);
        const status = state === 'running' ? await this.statusOf(id, timeoutMs) : undefined;
        return { id, warm, address: `${host}:${port}`, process: state, pid, status };
      }),
    );
  }

  /** Undefined: it does not answer. */
  statusOf(id: number, timeoutMs = 300): Promise<MemberStatus | undefined> {
    return this.admin.statusOf(id, timeoutMs);
  }

  /** Undefined: nobody that answers says that it leads. */
  leader(timeoutMs = 300): Promise<number | undefined> {
    return this.admin.leader(timeoutMs);
  }

  /** Answers the leader once there is one whose sync set is as large as asked. Throws NO_LEADER. */
  async waitForLeader(timeoutMs: number, hot = 1): Promise<number> {
    let views: MemberView[] = [];
    for (const until = performance.now() + timeoutMs; performance.now() < until; await sleep(lookMs)) {
      views = await this.look();
      const leader = leaderOf(views.flatMap(({ status }) => (status === undefined ? [] : [status])));
      if (leader !== undefined && leader.sync.length >= hot) return leader.id;
    }
    const said = views.map(({ id, process, status }) => {
      const why = status === undefined ? '' : ` (${status.role}${status.halted && `: ${status.halted}`})`;
      return `member ${id} ${process}${why}`;
    });
    const wanted = hot === 1 ? 'nobody leads' : `no leader with ${hot} hot members`;
    throw new ClusterError(
      'NO_LEADER',
      `${wanted} after ${timeoutMs} ms: ${said.join(', ')}; logs: ${this.folder}`,
    );
  }

  /**
   * Answers the leader once every member that runs follows it under one record that stays as it is for a moment. A new cluster's first record
   * names hot members that may come up as other incarnations than it says; until the leader has put them in, they are none that could take over.
   */
  async settle(timeoutMs: number): Promise<number> {
    let steady = { revision: '', since: 0 };
    for (const until = performance.now() + timeoutMs; performance.now() < until; await sleep(lookMs)) {
      const statuses = (await this.look())
        .filter(({ process }) => process === 'running')
        .map(({ status }) => status);
      const known = statuses.filter((status) => status !== undefined);
      const leader = leaderOf(known);
      const { revision = '', sync = [] } = leader ?? {};
      // A standby's first entry comes over a bridge.
      const first = leader?.site === 'standby' ? 0n : 1n;
      const together = known.every((one) => one.revision === revision && BigInt(one.position) >= first);
      const whole = sync.length >= Math.min(this.description.replicas, known.length);
      if (leader === undefined || known.length < statuses.length || !together || !whole) {
        steady = { revision: '', since: 0 };
        continue;
      }
      if (steady.revision !== revision) steady = { revision, since: performance.now() };
      if (performance.now() - steady.since >= settledMs) return leader.id;
    }
    return await this.waitForLeader(settledMs, this.description.replicas);
  }

  /** Ends the members in order, those that lead last, then the control store; what does not end is killed. */
  async stop(): Promise<void> {
    const leader = await this.leader().catch(() => undefined);
    const rest = this.ids.filter((id) => id !== leader);
    await this.#end(rest);
    if (leader !== undefined) await this.#end([leader]);
    await this.etcd?.stop();
  }

  /** At once, all of them: for drills that end, and processes that exit. */
  killAll(): void {
    for (const id of this.ids) this.signal(id, 'SIGKILL');
    this.etcd?.kill();
  }

  async #end(ids: readonly number[]): Promise<void> {
    for (const id of ids) {
      this.signal(id, 'SIGTERM');
      this.signal(id, 'SIGCONT');
    }
    const lives = (): number[] => ids.filter((id) => this.processOf(id).state !== 'gone');
    for (const until = performance.now() + stopMsMax; lives().length > 0; await sleep(lookMs)) {
      if (performance.now() > until) for (const id of lives()) this.signal(id, 'SIGKILL');
    }
  }

  /** The end of a member's log, for messages. */
  logEnd(id: number, lines = 3): string {
    try {
      return readFileSync(`${memberOf(this.description, id).data}.log`, 'utf8')
        .trimEnd()
        .split('\n')
        .slice(-lines)
        .join('\n');
    } catch {
      return '';
    }
  }
}

/** A member by number, or `leader`. */
export async function memberNamed(cluster: LocalCluster, name: string): Promise<number> {
  if (name === 'leader') return await cluster.admin.someLeader();
  if (!/^\d+$/.test(name)) throw invalidOption('MEMBER', name, 'a member’s number, or leader');
  return memberOf(cluster.description, Number(name)).id;
}
