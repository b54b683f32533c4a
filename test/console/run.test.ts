// verbex run as an operator meets it: spawned, signalled, started again. Runs what `npm run build` made.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { SoupClient } from '../../src/clients/soup-client.ts';
import type { RunOptions } from '../../src/console/run.ts';

const program = new URL('../../dist/console/run.js', import.meta.url);
let folder: string;
const children = new Set<ChildProcess>();

beforeEach(() => {
  expect(existsSync(program), 'dist/ is missing: npm run build').toBe(true);
  folder = mkdtempSync(join(tmpdir(), 'verbex-run-'));
});
afterEach(() => {
  for (const child of children) child.kill('SIGKILL');
  children.clear();
  rmSync(folder, { recursive: true, force: true });
});

class Node {
  out = '';
  error = '';
  readonly child: ChildProcess;
  readonly exit: Promise<number | null>;

  constructor(options: Partial<RunOptions> = {}) {
    const limits = { maxOrders: 100_000, maxAccounts: 1000, maxInstruments: 100, maxClientIds: 400_000 };
    const all = {
      data: join(folder, 'data'),
      host: '127.0.0.1',
      port: 0,
      adminPort: 0,
      demo: true,
      seed: 1,
      durability: 'async',
      view: 'plain',
      json: false,
      limits,
      ...options,
    };
    const script = `import { runNode } from ${JSON.stringify(program.href)};\nprocess.exitCode = await runNode(${JSON.stringify(all)});`;
    this.child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    children.add(this.child);
    this.child.stdout?.on('data', (part) => {
      this.out += part;
    });
    this.child.stderr?.on('data', (part) => {
      this.error += part;
    });
    this.exit = new Promise((resolve) => this.child.on('close', (code) => resolve(code)));
  }

  async says(pattern: RegExp, timeoutMs = 20_000): Promise<RegExpExecArray> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const found = pattern.exec(this.out + this.error);
      if (found !== null) return found;
      if (this.child.exitCode !== null || Date.now() > deadline)
        throw new Error(`never said ${pattern}: ${this.out}${this.error}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async stop(signal: NodeJS.Signals = 'SIGINT'): Promise<number | null> {
    this.child.kill(signal);
    return await this.exit;
  }

  get curlLines(): string[] {
    return this.out.split('\n').filter((line) => line.startsWith('curl '));
  }
}

const stopped = /stopped at position (\d+), state hash ([0-9a-f]{32})/;
const resumed = /resumed at position (\d+), state hash ([0-9a-f]{32})/;

const anyPorts: NonNullable<RunOptions['gateways']> = {
  orders: 0,
  clearing: 0,
  stream: 0,
  snapshot: 0,
  retransmission: 0,
  datagrams: '127.0.0.1:9',
};

describe('gateways', () => {
  test('ports and the demo’s user are printed, and everybody can try them', async () => {
    const node = new Node({ gateways: anyPorts });
    await node.says(/user DEMO, password demo, account visitor/);
    await node.says(/mold +127\.0\.0\.1:9 .*requests to 127\.0\.0\.1:\d+/);
    for (const name of ['ouch', 'clear', 'itch', 'book']) {
      const [, address] = await node.says(new RegExp(`^ +${name} +(127\\.0\\.0\\.1:\\d+) `, 'm'));
      const client = await SoupClient.connect(
        { address: address ?? '', user: 'DEMO', password: 'demo' },
        { message: () => undefined },
      );
      await client.close();
    }
    expect(await node.stop()).toBe(0);
  });

  test('a port that is taken ends the start with its own exit code', async () => {
    const blocker = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => blocker.once('listening', resolve));
    const { port } = blocker.address() as AddressInfo;
    const node = new Node({ gateways: { ...anyPorts, orders: port } });
    expect(await node.exit).toBe(71);
    expect(node.error).toContain('the order port');
    blocker.close();
  });
});

describe('start and stop', () => {
  test('a clean stop, and the same position and hash at the next start', async () => {
    const first = new Node();
    await first.says(/new exchange at position 0, state hash [0-9a-f]{32}/);
    await first.says(/^position \d+ .*trades\/s/m);
    expect(await first.stop()).toBe(0);
    const [, position, hash] = await first.says(stopped);
    expect(Number(position)).toBeGreaterThan(500);
    expect(first.error).toBe('');

    const second = new Node({ seed: 2 });
    const [, resumedPosition, resumedHash] = await second.says(resumed);
    expect([resumedPosition, resumedHash]).toEqual([position, hash]);
    await second.says(/^position \d+/m);
    expect(await second.stop('SIGTERM')).toBe(0);
    const [, laterPosition, laterHash] = await second.says(stopped);
    expect(Number(laterPosition)).toBeGreaterThan(Number(position));

    const third = new Node({ demo: false, json: true, view: 'quiet' });
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect(await third.stop()).toBe(0);
    expect(JSON.parse(third.out)).toMatchObject({
      resumedPosition: Number(laterPosition),
      resumedStateHash: laterHash,
      exitCode: 0,
    });
  }, 60_000);

  test('killed in the middle, it goes on', async () => {
    const first = new Node({ durability: 'durable' });
    await first.says(/^position [1-9]\d*/m);
    await first.stop('SIGKILL');
    const second = new Node({ durability: 'durable' });
    const [, position] = await second.says(resumed);
    expect(Number(position)).toBeGreaterThan(100);
    await second.says(/^position \d+/m);
    expect(await second.stop()).toBe(0);
  }, 60_000);

  test('the three lines to paste place an order, cancel it, and show the book', async () => {
    const node = new Node();
    await node.says(/^curl .*book/m);
    const [place, cancel, book] = node.curlLines;
    const run = async (line: string | undefined) =>
      JSON.parse((await promisify(execFile)('bash', ['-c', line ?? 'false'])).stdout);
    expect(await run(place)).toMatchObject({ status: 'open', open: '0.01', filled: '0' });
    expect(await run(cancel)).toMatchObject({ status: 'cancelled' });
    const shown = await run(book);
    expect(shown).toMatchObject({ instrument: 'BTC-USD', state: 'open' });
    expect(shown.bids.length + shown.asks.length).toBeGreaterThan(0);
    expect(await node.stop()).toBe(0);
  }, 60_000);

  test('--json says everything on one line at the end', async () => {
    const node = new Node({ json: true });
    await node.says(/^position \d+/m);
    expect(await node.stop()).toBe(0);
    expect(node.out.trim().split('\n')).toHaveLength(1);
    const [, position, stateHash] = await node.says(stopped);
    expect(JSON.parse(node.out)).toMatchObject({
      position: Number(position),
      stateHash,
      resumedPosition: 0,
      exitCode: 0,
    });
  }, 60_000);
});

describe('what can go wrong', () => {
  test('two nodes on one folder', async () => {
    const first = new Node({ demo: false });
    await first.says(/http /);
    const second = new Node({ demo: false });
    expect(await second.exit).toBe(75);
    expect(second.error).toContain('DATA_DIRECTORY_IN_USE');
    expect(second.error).toContain('another node runs on this folder');
    expect(await first.stop()).toBe(0);
  }, 60_000);

  test('a port that is taken', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const node = new Node({ port, json: true });
    expect(await node.exit).toBe(71);
    expect(node.error).toContain('EADDRINUSE');
    expect(JSON.parse(node.out)).toMatchObject({ error: { code: 'EADDRINUSE' }, exitCode: 71 });
    const other = new Node({ adminPort: port });
    expect(await other.exit).toBe(71);
    server.close();
  }, 60_000);

  test('damage in the journal, and in the keys', async () => {
    const first = new Node();
    await first.says(/^position [1-9]\d*/m);
    expect(await first.stop()).toBe(0);
    const data = join(folder, 'data');
    writeFileSync(join(data, 'keys.json'), '{');
    const keys = new Node();
    expect(await keys.exit).toBe(65);
    expect(keys.error).toContain('KEYS_DAMAGED');
    rmSync(join(data, 'keys.json'));

    const files = readdirSync(data, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name));
    const snapshots = files.filter((path) => /snap/i.test(path));
    for (const path of snapshots) rmSync(path);
    const journal = files.filter((path) => !snapshots.includes(path) && statSync(path).size > 10_000);
    expect(journal.length).toBeGreaterThan(0);
    truncateSync(journal[0]!, 5000);
    const damaged = new Node();
    const code = await damaged.exit;
    expect({ code, error: damaged.error }).toMatchObject({
      code: 65,
      error: expect.stringMatching(/JOURNAL_DAMAGED[\s\S]*at .*offset/),
    });
  }, 60_000);

  test('a second signal ends it the hard way', async () => {
    const node = new Node();
    await node.says(/^position [1-9]\d*/m);
    node.child.kill('SIGINT');
    node.child.kill('SIGTERM');
    const code = await node.exit;
    // Two signals may come so close that the stop is done before the second one is seen.
    expect([0, 130]).toContain(code);
    const again = new Node();
    await again.says(resumed);
    expect(await again.stop()).toBe(0);
  }, 60_000);
});
