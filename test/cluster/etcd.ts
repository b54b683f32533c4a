// A real etcd, killed and restarted, open or with TLS and a log-in, and an address that does what the wire does when it fails.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { EtcdGateway, type EtcdOptions } from '../../src/cluster/etcd-gateway.ts';
import { freePorts } from '../../src/cluster/free-ports.ts';

export const hasEtcd: boolean = spawnSync('etcd', ['--version']).status === 0;
if (!hasEtcd) {
  console.warn('etcd is not there (apt-get install etcd-server): the tests with etcd are skipped');
}

export const hasOpenssl: boolean = spawnSync('openssl', ['version']).status === 0;
if (!hasOpenssl) {
  console.warn('openssl is not there (apt-get install openssl): the tests with TLS to etcd are skipped');
}

/** An authority of its own, ca.pem, and what it has signed for a server on 127.0.0.1 and for a client. */
export function makeCertificates(folder: string): void {
  const openssl = (...args: string[]): void => {
    const { status, stderr } = spawnSync('openssl', args, { cwd: folder, encoding: 'utf8' });
    if (status !== 0) throw new Error(`openssl ${args.join(' ')}: ${stderr}`);
  };
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  openssl(
    'req',
    '-x509',
    ...key,
    '-days',
    '2',
    '-subj',
    '/CN=authority',
    '-keyout',
    'ca.key',
    '-out',
    'ca.pem',
  );
  for (const [name, usage] of [
    ['server', 'serverAuth,clientAuth'],
    ['client', 'clientAuth'],
  ]) {
    const extensions = `subjectAltName=IP:127.0.0.1\nextendedKeyUsage=${usage}\n`;
    writeFileSync(join(folder, `${name}.ext`), extensions);
    // Without a name: etcd would take it for a user's.
    openssl('req', ...key, '-subj', '/O=verbex', '-keyout', `${name}.key`, '-out', `${name}.csr`);
    const signing = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2'];
    openssl(
      'x509',
      '-req',
      '-in',
      `${name}.csr`,
      ...signing,
      '-extfile',
      `${name}.ext`,
      '-out',
      `${name}.pem`,
    );
  }
}

export class Etcd {
  readonly endpoint: string;
  readonly #folder = mkdtempSync(join(tmpdir(), 'verbex-etcd-'));
  readonly #args: readonly string[];
  readonly #secure: boolean;
  #process: ChildProcess | undefined;

  private constructor(client: number, peer: number, secure: boolean) {
    this.#secure = secure;
    this.endpoint = `${secure ? 'https' : 'http'}://127.0.0.1:${client}`;
    const mine = `http://127.0.0.1:${peer}`;
    if (secure) makeCertificates(this.#folder);
    const file = (name: string): string => join(this.#folder, name);
    this.#args = [
      ...['--name', 'one', '--data-dir', file('data'), '--log-level', 'error'],
      ...['--listen-client-urls', this.endpoint, '--advertise-client-urls', this.endpoint],
      ...['--listen-peer-urls', mine, '--initial-advertise-peer-urls', mine],
      ...['--initial-cluster', `one=${mine}`],
      ...(secure
        ? [
            ...['--cert-file', file('server.pem'), '--key-file', file('server.key')],
            ...['--client-cert-auth', '--trusted-ca-file', file('ca.pem')],
          ]
        : []),
    ];
  }

  static async start(): Promise<Etcd> {
    const [client, peer] = await freePorts(2);
    const etcd = new Etcd(client!, peer!, false);
    await etcd.start();
    return etcd;
  }

  /** TLS, a client's certificate wanted, and nothing without a log-in: user `verbex` may do all below /verbex/. */
  static async startSecure(): Promise<Etcd> {
    const [client, peer] = await freePorts(2);
    const etcd = new Etcd(client!, peer!, true);
    await etcd.start();
    const { user: _, password: __, ...anonymous } = etcd.access;
    const gateway = new EtcdGateway({ ...anonymous, timeoutMs: 10_000 });
    const below = { key: btoa('/verbex/'), range_end: btoa('/verbex0') };
    for (const [path, body] of [
      ['user/add', { name: 'root', password: 'root' }],
      ['role/add', { name: 'root' }],
      ['user/grant', { user: 'root', role: 'root' }],
      ['user/add', { name: 'verbex', password: 'secret' }],
      ['role/add', { name: 'verbex' }],
      ['role/grant', { name: 'verbex', perm: { permType: 'READWRITE', ...below } }],
      ['user/grant', { user: 'verbex', role: 'verbex' }],
      ['enable', {}],
    ] as const) {
      const answer = await gateway.call(`/v3/auth/${path}`, body, { repeatable: false });
      if (answer.kind === 'failed') throw new Error(`${path}: ${answer.why}`);
    }
    gateway.close();
    return etcd;
  }

  /** What a control store needs to get in. */
  get access(): EtcdOptions {
    const endpoints = [this.endpoint];
    if (!this.#secure) return { endpoints };
    const text = (name: string): string => readFileSync(join(this.#folder, name), 'utf8');
    return {
      endpoints,
      user: 'verbex',
      password: 'secret',
      authority: text('ca.pem'),
      certificate: text('client.pem'),
      certificateKey: text('client.key'),
    };
  }

  async start(): Promise<void> {
    const child = spawn('etcd', this.#args, { stdio: ['ignore', 'ignore', 'ignore'] });
    this.#process = child;
    const { user: _, password: __, ...anonymous } = this.access;
    const gateway = new EtcdGateway({ ...anonymous, timeoutMs: 1000 });
    for (let attempt = 0; attempt < 400; attempt += 1) {
      const answer = await gateway.call('/v3/maintenance/status', {}, { repeatable: true });
      if (answer.kind === 'answer') {
        gateway.close();
        return;
      }
      await sleep(25);
    }
    gateway.close();
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
