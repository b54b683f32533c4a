import { existsSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readAllCounters, readCounters } from '../../src/bus/counters-file.ts';
import { busRows, topText } from '../../src/cli/top.ts';
import { ownStart, writeCounters } from '../bus/counters-file.ts';
import { verbex } from './command-line.ts';

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'verbex-top-'));
  file = join(folder, `verbex-${process.pid}.counters`);
});
afterEach(() => rmSync(folder, { recursive: true }));

const link = (counter: string): string => `link/2/shm/${counter}/left/over`;

test('rates are the difference of two looks over the bus’s own clock', () => {
  writeCounters(file, { 'bus/published': 10, [link('framesSent')]: 100, [link('bytesSent')]: 6400 });
  const before = readAllCounters(folder);
  writeCounters(
    file,
    {
      [link('bytesSent')]: 12_800,
      'bus/published': 30,
      [link('framesSent')]: 200,
      [link('roundTripNs')]: 2500,
      [link('badMac')]: 1,
      [link('oversized')]: 2,
      [link('epoch')]: 3,
      'network/established': 1,
    },
    { updatedNs: 3_000_000_000n },
  );
  const [row] = busRows(before, readAllCounters(folder));
  expect(row).toMatchObject({
    pid: process.pid,
    name: 'node',
    publishedPerSecond: 10,
    network: { established: 1 },
    links: [
      {
        peer: 'left/over',
        id: 2,
        transport: 'shm',
        epoch: 3,
        messagesOutPerSecond: 50,
        bytesOutPerSecond: 3200,
        rejected: 3,
        roundTripNs: 2500,
      },
    ],
  });
  expect(topText([row!])).toMatch(/left\/over +shm +3 +50 +3,200 .* 3 +0 +2\.5$/m);
  // A link made anew has counted less than before: no negative rates.
  writeCounters(file, { [link('framesSent')]: 1 }, { updatedNs: 4_000_000_000n });
  expect(busRows(readAllCounters(folder), readAllCounters(folder))[0]?.links[0]?.messagesOutPerSecond).toBe(
    0,
  );
});

test('the command prints one table, or one object', async () => {
  writeCounters(file, { 'bus/delivered': 4, [link('framesReceived')]: 4 });
  const args = ['top', '--folder', folder, '--interval', '100'];
  expect((await verbex([...args, '--once'])).out).toContain('left/over');
  const { json, code } = await verbex([...args, '--json', '--pid', String(process.pid)]);
  expect(code).toBe(0);
  expect(json).toMatchObject({ buses: [{ pid: process.pid, bus: { delivered: 4 }, links: [{ id: 2 }] }] });
});

test('without a bus it says so; a process without one is an error', async () => {
  expect(await verbex(['top', '--once', '--folder', folder])).toMatchObject({
    code: 0,
    out: `no bus runs here: ${folder} holds no counters\n`,
  });
  const { json } = await verbex(['top', '--json', '--folder', join(folder, 'none')]);
  expect(json).toEqual({ buses: [] });
  expect(await verbex(['top', '--pid', '1', '--folder', folder])).toMatchObject({ code: 66 });
});

test('files of others, of other versions, cut off or half written are left alone; those of the dead go', () => {
  writeFileSync(
    file,
    'something else that is long enough to be taken for a header if one did not look '.repeat(4),
  );
  expect(readCounters(file)).toBeUndefined();
  writeCounters(file, {}, { version: 2 });
  expect(readCounters(file)).toBeUndefined();
  writeCounters(file, {}, { generation: 3n });
  expect(readCounters(file)).toBeUndefined();
  writeCounters(file, { 'bus/published': 1 });
  truncateSync(file, 200);
  expect(readCounters(file)).toBeUndefined();
  expect(existsSync(file)).toBe(true);

  writeCounters(file, {}, { start: ownStart() + 1n });
  expect(readCounters(file)).toBeUndefined();
  expect(existsSync(file)).toBe(false);
  expect(readCounters(file)).toBeUndefined();
});
