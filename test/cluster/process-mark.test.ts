import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { freePorts } from '../../src/cluster/free-ports.ts';
import { markOf, readMark, signalTo, stateOf, writeMark } from '../../src/cluster/process-mark.ts';

test('a process is known by its number and its start, and nobody else is signalled', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'verbex-mark-'));
  const path = join(folder, 'pid');
  const child = spawn('sleep', ['60'], { stdio: 'ignore' });
  const mark = markOf(child.pid!)!;
  writeMark(path, mark);
  expect(readMark(path)).toEqual(mark);
  expect(stateOf(mark)).toBe('running');
  expect(signalTo(mark, 'SIGSTOP')).toBe(true);
  await expect.poll(() => stateOf(mark)).toBe('paused');
  expect(signalTo(mark, 'SIGCONT')).toBe(true);
  await expect.poll(() => stateOf(mark)).toBe('running');
  // The same number, another start of the process or of the machine.
  for (const other of [
    { ...mark, startedAt: '1' },
    { ...mark, boot: 'another' },
  ]) {
    expect(stateOf(other)).toBe('gone');
    expect(signalTo(other, 'SIGKILL')).toBe(false);
  }
  expect(stateOf(mark)).toBe('running');
  expect(signalTo(mark, 'SIGKILL')).toBe(true);
  await once(child, 'close');
  expect(stateOf(mark)).toBe('gone');
  expect(signalTo(mark, 'SIGKILL')).toBe(false);
  expect(markOf(child.pid!)).toBeUndefined();
  for (const text of ['', '{}', '12', 'null', '{"pid":"1","startedAt":"1","boot":"x"}']) {
    writeFileSync(path, text);
    expect(readMark(path)).toBeUndefined();
  }
  expect(readMark(join(folder, 'nothing'))).toBeUndefined();
  rmSync(folder, { recursive: true });
});

test('a process that is dead and not yet waited for is gone', async () => {
  // It ends once its parent has become another program, which waits for nobody: the shell might have.
  const ends = '(until [ "$(cat /proc/$$/comm)" = sleep ]; do sleep 0.01; done)';
  const child = spawn('sh', ['-c', `${ends} & echo $!; exec sleep 60`], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const [line] = (await once(child.stdout.setEncoding('utf8'), 'data')) as [string];
  const dead = Number(line.trim());
  const mark = markOf(dead);
  expect(mark).toBeDefined();
  await expect.poll(() => stateOf(mark!), { timeout: 10_000 }).toBe('gone');
  expect(markOf(dead)).toEqual(mark);
  child.kill('SIGKILL');
  await once(child, 'close');
});

test('free ports are free, different, and none that a connection could get by chance', async () => {
  const ports = await freePorts(20);
  expect(new Set(ports).size).toBe(20);
  for (const port of ports) expect(port < 32_768 || port > 60_999).toBe(true);
});
