// NodeProcess: `verbex run` in a process and a folder of its own, with a market and keys, as an operator would set it up.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { VerbexError } from '../errors/errors.ts';

// The same two steps up from src/bench and from dist/bench.
const program = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const startMs = 20_000;

export interface ClientKey {
  readonly key: string;
  readonly secret: string;
}

export class NodeProcess {
  readonly port: number;
  readonly streamUrl: string;
  readonly #child: ChildProcess;
  readonly #folder: string;
  readonly #adminUrl: string;
  readonly #adminKey: string;

  private constructor(child: ChildProcess, folder: string, addresses: Addresses) {
    this.#child = child;
    this.#folder = folder;
    this.port = Number(new URL(addresses.http).port);
    this.streamUrl = addresses.stream;
    this.#adminUrl = addresses.admin;
    this.#adminKey = readFileSync(join(folder, 'admin.key'), 'utf8').trim();
  }

  /** Whether there is a built program to start. */
  static get possible(): boolean {
    return existsSync(program);
  }

  static async start(durability: 'async' | 'durable', under: string = tmpdir()): Promise<NodeProcess> {
    if (!NodeProcess.possible)
      throw new VerbexError('BENCH_MISSING', `${program} is not there: npm run build`);
    const folder = mkdtempSync(join(under, 'verbex-bench-'));
    const args = ['run', '--no-demo', '--plain', '--data', folder, '--port', '0', '--admin-port', '0'];
    const child = spawn(process.execPath, [program, ...args, '--durability', durability], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      const addresses = await addressesOf(child);
      return new NodeProcess(child, folder, addresses);
    } catch (error) {
      child.kill('SIGKILL');
      rmSync(folder, { recursive: true, force: true });
      throw error;
    }
  }

  /** A request of the operator; its answer's JSON. */
  async admin(route: string, body: Readonly<Record<string, unknown>>): Promise<unknown> {
    const response = await fetch(`${this.#adminUrl}/${route}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${this.#adminKey}` },
      body: JSON.stringify(body),
    });
    const text = await response.text();
    if (!response.ok) throw new VerbexError('BENCH_FAILED', `${route}: ${response.status} ${text}`);
    return JSON.parse(text);
  }

  /** One instrument, BTC-USD, and so many funded accounts with a key each. */
  async market(accounts: number): Promise<ClientKey[]> {
    await this.admin('assets', { asset: 'BTC', decimals: 8 });
    await this.admin('assets', { asset: 'USD', decimals: 8 });
    await this.admin('instruments', {
      instrument: 'BTC-USD',
      base: 'BTC',
      quote: 'USD',
      tickSize: '0.01',
      lotSize: '0.00001',
    });
    const keys: ClientKey[] = [];
    for (let index = 0; index < accounts; index++) {
      const account = `client${index}`;
      await this.admin('accounts', { account });
      await this.admin('deposits', { account, asset: 'BTC', id: 'base', amount: '1000000' });
      await this.admin('deposits', { account, asset: 'USD', id: 'quote', amount: '1000000000000' });
      keys.push((await this.admin('keys', { account, role: 'trade' })) as ClientKey);
    }
    return keys;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const ended = new Promise((resolve) => this.#child.once('exit', resolve));
      this.#child.kill('SIGTERM');
      await ended;
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

interface Addresses {
  readonly http: string;
  readonly stream: string;
  readonly admin: string;
}

/** Reads them from what the node prints; goes on reading, so that it never waits for us. */
function addressesOf(child: ChildProcess): Promise<Addresses> {
  return new Promise((resolve, reject) => {
    const failed = (why: string): void =>
      reject(new VerbexError('BENCH_FAILED', `the node did not start: ${why}`));
    const timer = setTimeout(() => failed('it says nothing'), startMs);
    const found: Record<string, string> = {};
    child.once('exit', (code) => failed(`it ended with ${code}`));
    child.once('error', (error) => failed(error.message));
    createInterface({ input: child.stdout! }).on('line', (line) => {
      const match = /^\s+(http|stream|admin)\s+((?:http|ws):\S+)/.exec(line);
      if (match === null) return;
      found[match[1]!] = match[2]!;
      const { http, stream, admin } = found;
      if (http === undefined || stream === undefined || admin === undefined) return;
      clearTimeout(timer);
      resolve({ http, stream, admin });
    });
  });
}
