// LocalEtcd: one etcd in a folder, for a cluster on one machine. In production there are three, which somebody else runs.
import { spawn, spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ClusterError } from '../errors/errors.ts';
import { EtcdGateway } from './etcd-gateway.ts';
import { freePorts } from './free-ports.ts';
import {
  markOf,
  type ProcessMark,
  type ProcessState,
  readMark,
  signalTo,
  stateOf,
  writeMark,
} from './process-mark.ts';

const startMsMax = 15_000;
const stopMsMax = 10_000;

export function etcdIsThere(): boolean {
  return spawnSync('etcd', ['--version'], { stdio: 'ignore' }).status === 0;
}

interface EtcdPorts {
  /** Default: 127.0.0.1. */
  readonly host?: string;
  readonly client: number;
  readonly peer: number;
}

export class LocalEtcd {
  readonly endpoint: string;
  readonly #folder: string;
  readonly #peer: string;

  readonly #launch: readonly string[];

  private constructor(
    folder: string,
    { host = '127.0.0.1', client, peer }: EtcdPorts,
    launch: readonly string[],
  ) {
    this.#folder = folder;
    this.#launch = launch;
    this.endpoint = `http://${host}:${client}`;
    this.#peer = `http://${host}:${peer}`;
  }

  /** The etcd of a cluster's folder, if it has one. */
  static find(folder: string, launch: readonly string[] = []): LocalEtcd | undefined {
    const ports = join(folder, 'etcd.json');
    if (!existsSync(ports)) return undefined;
    return new LocalEtcd(folder, JSON.parse(readFileSync(ports, 'utf8')) as EtcdPorts, launch);
  }

  /** Writes where it will listen. */
  static async make(folder: string, host?: string): Promise<void> {
    const [client, peer] = await freePorts(2);
    const ports = { ...(host !== undefined && { host }), client, peer };
    writeFileSync(join(folder, 'etcd.json'), `${JSON.stringify(ports)}\n`);
  }

  state(): ProcessState {
    const mark = this.#mark();
    return mark === undefined ? 'gone' : stateOf(mark);
  }

  /** Starts it unless it runs; answers once it serves. Throws CONTROL_STORE_UNUSABLE. */
  async start(): Promise<void> {
    if (this.state() === 'gone') this.#spawn();
    const gateway = new EtcdGateway({ endpoints: [this.endpoint], timeoutMs: 500 });
    try {
      for (const until = performance.now() + startMsMax; performance.now() < until; await sleep(30)) {
        const answer = await gateway.call('/v3/kv/range', { key: 'AA==' }, { repeatable: true });
        if (answer.kind === 'answer') return;
        if (this.state() === 'gone') break;
      }
    } finally {
      gateway.close();
    }
    throw new ClusterError(
      'CONTROL_STORE_UNUSABLE',
      `etcd does not start: ${join(this.#folder, 'etcd.log')} says why`,
    );
  }

  async stop(): Promise<void> {
    const mark = this.#mark();
    if (mark === undefined) return;
    signalTo(mark, 'SIGTERM');
    for (const until = performance.now() + stopMsMax; stateOf(mark) !== 'gone'; await sleep(20)) {
      if (performance.now() > until) signalTo(mark, 'SIGKILL');
    }
  }

  kill(): void {
    const mark = this.#mark();
    if (mark !== undefined) signalTo(mark, 'SIGKILL');
  }

  #mark(): ProcessMark | undefined {
    return readMark(join(this.#folder, 'etcd.pid'));
  }

  #spawn(): void {
    const log = openSync(join(this.#folder, 'etcd.log'), 'a');
    try {
      const [program, ...before] = [...this.#launch, 'etcd'];
      const child = spawn(
        program!,
        [
          ...before,
          ...['--name', 'verbex', '--data-dir', join(this.#folder, 'etcd'), '--log-level', 'error'],
          ...['--listen-client-urls', this.endpoint, '--advertise-client-urls', this.endpoint],
          ...['--listen-peer-urls', this.#peer, '--initial-advertise-peer-urls', this.#peer],
          ...['--initial-cluster', `verbex=${this.#peer}`],
        ],
        {
          detached: true,
          stdio: ['ignore', log, log],
          // Its 3.4 wants to be asked twice on ARM.
          env: { ...process.env, ...(process.arch === 'arm64' && { ETCD_UNSUPPORTED_ARCH: 'arm64' }) },
        },
      );
      // What is wrong shows in its state.
      child.on('error', () => undefined);
      child.unref();
      const mark = child.pid === undefined ? undefined : markOf(child.pid);
      if (mark !== undefined) writeMark(join(this.#folder, 'etcd.pid'), mark);
    } finally {
      closeSync(log);
    }
  }
}
