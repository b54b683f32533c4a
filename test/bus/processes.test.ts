// Buses in processes of their own: the example, a process that is killed, a worker that is terminated.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, test } from 'vitest';
import { Bus, type BusEvent } from '../../src/index.ts';
import { root } from '../architecture/files.ts';

const built = existsSync(join(root, 'dist', 'bus', 'bus.js'));
if (!built) console.warn('dist/ is not there (npm run build): the tests of processes are skipped');

const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

interface Running {
  readonly child: ChildProcess;
  readonly lines: string[];
  /** Resolves with the first line that fits. */
  line(pattern: RegExp): Promise<string>;
  readonly ended: Promise<number | null>;
}

function start(args: readonly string[]): Running {
  const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  const lines: string[] = [];
  const waiting: [RegExp, (line: string) => void][] = [];
  createInterface({ input: child.stdout! }).on('line', (line) => {
    lines.push(line);
    for (const [pattern, resolve] of waiting) if (pattern.test(line)) resolve(line);
  });
  return {
    child,
    lines,
    line: (pattern) =>
      new Promise((resolve) => {
        const known = lines.find((line) => pattern.test(line));
        if (known === undefined) waiting.push([pattern, resolve]);
        else resolve(known);
      }),
    ended: new Promise((resolve) => child.on('close', resolve)),
  };
}

/** Listens, publishes 'ticks' for ever, prints its address. */
const ticker = `
  import { Bus } from 'verbex';
  const bus = await Bus.listen('127.0.0.1:0', { name: 'ticker', transport: process.argv.at(-1) });
  const ticks = await bus.publish('ticks', { retain: true });
  console.log(bus.address);
  for (;;) {
    await ticks.send(new Uint8Array(100));
    await new Promise((resolve) => setTimeout(resolve, 1));
  }`;

function nextEvent(bus: Bus, type: BusEvent['type']): Promise<BusEvent> {
  return new Promise((resolve) => {
    const stop = bus.onEvent((event) => {
      if (event.type !== type) return;
      stop();
      resolve(event);
    });
  });
}

describe.runIf(built)('processes (skipped without dist/: npm run build)', () => {
  test.each(['shm', 'tcp', 'auto'])('the example exchanges its messages over %s', async (transport) => {
    const address = '127.0.0.1:0';
    const listener = start(['examples/bus.mjs', 'listen', transport, address]);
    const port = /:\d+$/.exec(await listener.line(/^listening on /))?.[0];
    const connector = start(['examples/bus.mjs', 'connect', transport, `127.0.0.1${port}`]);
    expect(await connector.ended).toBe(0);
    expect(await listener.ended).toBe(0);
    expect(connector.lines).toEqual([
      'hello to you too (1)',
      'good day to you too (2)',
      'good bye to you too (3)',
    ]);
    expect(listener.lines[1]).toBe(`connector is there over ${transport === 'auto' ? 'shm' : transport}`);
  });

  test.each(['shm', 'tcp'] as const)(
    'a killed process is told as a lost peer, over %s',
    async (transport) => {
      const { child, line } = start(['--input-type=module', '-e', ticker, transport]);
      await using bus = await Bus.connect(await line(/:/), { transport });
      const subscription = await bus.subscribe('ticks', { from: 'oldest', resume: false });
      const lost = nextEvent(bus, 'peer-lost');
      let next = 1n;
      const error = await (async () => {
        for await (const { position } of subscription) {
          expect(position).toBe(next++);
          if (position === 20n) child.kill('SIGKILL');
        }
      })().catch((caught: unknown) => caught);
      // Whatever arrived before was read; then the reader is told from where on it knows nothing.
      expect(error).toMatchObject({ name: 'PeerLostError', code: 'PEER_LOST' });
      expect(subscription.resumeFrom).toBe(next);
      expect(await lost).toMatchObject({
        peer: { name: 'ticker', connected: false, error: { name: 'PeerLostError' } },
      });
    },
  );

  test('a worker that is terminated with an open bus takes nothing else down, and its peer is lost', async () => {
    const code = `
      import('verbex').then(async ({ Bus }) => {
        const bus = await Bus.listen('127.0.0.1:0', { name: 'worker' });
        await bus.publish('s', { retain: true });
        require('node:worker_threads').parentPort.postMessage(bus.address);
      });`;
    const worker = new Worker(code, { eval: true });
    const address = await new Promise<string>((resolve) => worker.once('message', resolve));
    await using bus = await Bus.connect(address);
    const subscription = await bus.subscribe('s');
    await subscription.live();
    const lost = nextEvent(bus, 'peer-lost');
    await worker.terminate();
    expect(await lost).toMatchObject({ peer: { name: 'worker' } });
  });

  test('a process whose only open thing is a bus goes on until it is closed, and then ends by itself', async () => {
    const code = `
      import { Bus } from 'verbex';
      const bus = await Bus.listen('127.0.0.1:0');
      setTimeout(() => bus.close(), 50);
      await new Promise((resolve) => process.once('beforeExit', resolve));
      console.log('ended by itself');`;
    const { lines, ended } = start(['--input-type=module', '-e', code]);
    expect(await ended).toBe(0);
    expect(lines).toEqual(['ended by itself']);
  });
});
