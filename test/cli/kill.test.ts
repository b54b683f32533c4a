// The program as a process of its own: stopped by signals, and killed in the middle.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, describe, expect, test } from 'vitest';
import { root } from '../architecture/files.ts';

/** VERBEX_CLI tries another build. */
const program = process.env.VERBEX_CLI ?? join(root, 'dist', 'cli', 'main.js');
if (!existsSync(program))
  console.warn('dist/ is not there (npm run build): the tests of signals are skipped');
const folder = mkdtempSync(join(tmpdir(), 'verbex-kill-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Ended {
  readonly signal: NodeJS.Signals | null;
  readonly code: number | null;
  readonly out: string;
}

function start(args: readonly string[], killAfterMs?: number): Promise<Ended> {
  const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  let out = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text;
  });
  if (killAfterMs !== undefined) void pause(killAfterMs).then(() => child.kill('SIGKILL'));
  return new Promise((resolve) => child.on('close', (code, signal) => resolve({ code, signal, out })));
}

function answer({ out }: Ended): Record<string, unknown> {
  return JSON.parse(out.trimEnd().split('\n').at(-1) ?? '') as Record<string, unknown>;
}

describe.runIf(existsSync(program))('signals (skipped without dist/: npm run build)', () => {
  test('run: SIGTERM stops cleanly, the last line is JSON, and the hash is that of the folder', {
    timeout: 60_000,
  }, async () => {
    const data = join(folder, 'node');
    const run = async (): Promise<Record<string, unknown>> => {
      const args = ['run', '--data', data, '--port', '0', '--admin-port', '0', '--no-demo', '--json'];
      const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
      let out = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        out += text;
      });
      // Its first words say that it serves.
      child.stderr.once('data', () => void pause(1000).then(() => child.kill('SIGTERM')));
      const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
      expect(code).toBe(0);
      return answer({ out, code, signal: null });
    };
    const first = await run();
    const { position, stateHash } = first;
    expect(answer(await start(['hash', data, '--json']))).toEqual({ position, stateHash });
    expect(await run()).toMatchObject({ resumedPosition: position, resumedStateHash: stateHash });
  });

  test('a journaled replay killed at several moments ends in the same state and with the same counts', {
    timeout: 120_000,
  }, async () => {
    const path = join(folder, 'flow.jsonl');
    let text = '';
    for (let at = 1; at <= 120_000; at += 1) {
      const price = (100 + ((at * 7919) % 23)).toFixed(2);
      text += `${JSON.stringify({ op: 'new', id: `o${at}`, account: `a${at % 9}`, instrument: 'X-USD', side: at % 2 === 0 ? 'buy' : 'sell', price, quantity: String(1 + (at % 3)) })}\n`;
      if (at % 2 === 0) text += `${JSON.stringify({ op: 'reduce', id: `o${at - 1}`, by: '0.5' })}\n`;
      if (at % 3 === 0) text += `${JSON.stringify({ op: 'cancel', id: `o${at - 2}` })}\n`;
    }
    writeFileSync(path, text);
    const whole = await start(['replay', path, '--json']);
    const expected = answer(whole);
    const elapsed = Number(expected.elapsedMs);
    const data = join(folder, 'data');
    const args = ['replay', path, '--data', data, '--json'];
    // However long a start takes on this machine: later and later, until it has been stopped in the middle twice.
    let middles = 0;
    for (let attempt = 1; attempt <= 15 && middles < 2; attempt += 1) {
      const ended = await start(args, 150 + (elapsed * attempt) / 5);
      if (ended.signal !== 'SIGKILL') break;
      const found = await start(['hash', data, '--json']);
      if (found.code === 0 && Number(answer(found).position) > 0) middles += 1;
    }
    expect(middles).toBeGreaterThan(0);
    const last = await start(args);
    expect(last.code).toBe(0);
    const { elapsedMs, commandsPerSecond, resumedFrom, ...rest } = answer(last);
    expect(expected).toMatchObject(rest);
    expect(Number(resumedFrom)).toBeGreaterThan(0);
    const hashed = await start(['hash', data, '--json']);
    expect(answer(hashed)).toEqual({ position: rest.position, stateHash: rest.stateHash });
  });
});
