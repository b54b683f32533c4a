// The drill of partitions, once through every shape: processes in network namespaces, wires cut by nftables.
import { execFile, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { root } from '../architecture/files.ts';
import { hasEtcd } from './etcd.ts';

const program = process.env.VERBEX_CLI ?? join(root, 'dist', 'cli', 'main.js');
const built = existsSync(program);
const env = { ...process.env, PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin` };
const works = (program: string, ...args: string[]): boolean =>
  spawnSync(program, args, { env, stdio: 'ignore' }).status === 0;
/** Whether this machine lets us have networks of our own. */
const possible =
  built &&
  hasEtcd &&
  works('unshare', '--net', '--pid', '--fork', '--mount-proc', 'true') &&
  works('ip', '-V') &&
  works('nft', '--version');
if (!possible)
  console.warn('dist/, root, etcd, unshare, ip or nft is not there: the drill of partitions is skipped');

describe.runIf(possible)('partitions (skipped without root, etcd, ip and nft)', () => {
  test('every shape once: served while it is cut, nothing lost or doubled, one leader an epoch, one log', {
    timeout: 400_000,
  }, async () => {
    // It starts itself anew in a namespace: a process of its own.
    const args = [program, 'drill', 'partitions', '--cuts', '12', '--json'];
    const ran = await promisify(execFile)(process.execPath, args).catch(
      (error: { stdout: string; stderr: string }) => error,
    );
    const json = JSON.parse(ran.stdout.trim() === '' ? '{}' : ran.stdout) as Record<string, unknown>;
    expect(ran, ran.stderr).not.toBeInstanceOf(Error);
    expect(json).toMatchObject({
      ...{ cuts: 12, unanswered: 0, acknowledgedLost: 0, duplicateFills: 0 },
      ...{ leadersTwice: 0, membersApart: 0 },
    });
    expect(Object.values(json.shapes as Record<string, number>)).toEqual(Array(12).fill(1));
    expect(Number(json.acknowledged)).toBeGreaterThan(1000);
    const { p50, max } = json.silentMs as { p50: number; max: number };
    console.info(`seed ${json.seed}: ${json.epochs} epochs, without an answer p50 ${p50} ms, max ${max} ms`);
    console.info(`epochs that a cut cost: ${JSON.stringify(json.epochsPerCut)}`);
  });
});
