// A real etcd, killed and restarted, and an address that does what the wire does when it fails.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePorts } from '../../src/cluster/free-ports.ts';

export const hasEtcd: boolean = spawnSync('etcd', ['--version']).status === 0;
if (!hasEtcd) {
  console.warn('etcd is not there (apt-get install etcd-server): the tests with etcd are skipped');
}

export class Etcd {
  readonly endpoint: string;
  readonly #folder = mkdtempSync(join(tmpdir(), 'verbex-etcd-'));
  readonly #args: readonly string[];
  #process: ChildProcess | undefined;

  private constructor(client: number, peer: number) {
    this.endpoint = `http://127.0.0.1:${client}`;
    const mine = `http://127.0.0.1:${peer}`;
    this.#args = [
      ...['--name', 'one', '--data-dir', this.#folder, '--log-level', 'error'],
      ...['--listen-client-urls', this.endpoint, '--advertise-client-urls', this.endpoint],
      ...[
        '--listen-peer-urls',
        mine,
        '--initial-advertise-peer-urls',
        mine,
        '--initial-cluster',
        `one=${mine}`,
      ],
    ];
  }

  static async start(): Promise<Etcd> {
    const [client, peer] = await freePorts(2);
    const etcd = new Etcd(client!, peer!);
    await etcd.start();
    return etcd;
  }

  async start(): Promise<void> {
    const child = spawn('etcd', this.#args, { stdio: ['ignore', 'ignore', 'ignore'] });
    this.#process = child;
    for (let attempt = 0; attempt < 400; attempt += 1) {
      const healthy = await fetch(`${this.endpoint}/health`)
        .then((answer) => answer.ok)
        .catch(() => false);
      if (healthy) return;
      await sleep(25);
    }
    throw new Error('etcd does not start');
  }

  async kill(): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (child === undefined) return;
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  }

  async remove(): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** What becomes of a call: passed on; its answer thrown away; not passed on and never answered; refused with an error of etcd's. */
export type Fate = 'passes' | 'loses the answer' | 'hangs' | 'cuts the answer' | 'fails';

/** An address before an etcd that decides the fate of each call. */
export class Relay {
  readonly endpoint: string;
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
    this.endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  static async start(target: string, fateOf: (path: string) => Fate): Promise<Relay> {
    const server = createServer((incoming: IncomingMessage, outgoing) => {
      const fate = fateOf(incoming.url ?? '');
      if (fate === 'hangs') return;
      if (fate === 'fails') {
        outgoing.writeHead(503).end('{"error":"etcdserver: request timed out","code":14}trailer');
        return;
      }
      const onward = request(
        new URL(incoming.url ?? '/', target),
        { method: 'POST', headers: incoming.headers },
        (answer) => {
          if (fate === 'loses the answer') {
            answer.resume();
            answer.on('end', () => incoming.socket.destroy());
            return;
          }
          outgoing.writeHead(answer.statusCode ?? 500, { 'content-type': 'application/json' });
          if (fate === 'passes') answer.pipe(outgoing);
          else {
            outgoing.write('{"header":');
            answer.resume();
            answer.on('end', () => incoming.socket.destroy());
          }
        },
      );
      onward.on('error', () => incoming.socket.destroy());
      incoming.pipe(onward);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new Relay(server);
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}
