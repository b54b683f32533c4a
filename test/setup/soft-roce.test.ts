import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { root } from '../architecture/files.ts';
import { Clone } from './clone.ts';

const folder = join(root, 'docker', 'soft-roce');
const empty = mkdtempSync(join(tmpdir(), 'verbex-soft-roce-'));
afterAll(() => rmSync(empty, { recursive: true, force: true }));

/** Runs one of the scripts with a cache that has nothing in it, and apt forbidden. */
function script(name: string, ...args: string[]): { code: number | null; out: string; err: string } {
  const env = { ...process.env, VERBEX_CACHE: empty, VERBEX_NO_APT: '1', VERBEX_RDMA_OUT: '' };
  const { status, stdout, stderr } = spawnSync(join(folder, name), args, { env, encoding: 'utf8' });
  return { code: status, out: stdout, err: stderr };
}

describe('docker/soft-roce', () => {
  const scripts = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.endsWith('.md'))
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();

  test.each(scripts)('%s is a sound script', (name) => {
    const path = join(folder, name);
    const text = readFileSync(path, 'utf8');
    const sourced = name.endsWith('.sh');
    if (!sourced) accessSync(path, constants.X_OK);
    const first = text.split('\n')[0] ?? '';
    expect(first).toMatch(
      sourced ? /^# shellcheck shell=bash$/ : /^#!\/(usr\/bin\/env bash|bin\/bash|bin\/busybox sh)$/,
    );
    const shell = first.includes('busybox') ? 'sh' : 'bash';
    expect(spawnSync(shell, ['-n', path], { encoding: 'utf8' })).toMatchObject({ status: 0, stderr: '' });
    // Checked further where there is the program for it.
    const dialect = shell === 'sh' ? ['-s', 'dash'] : [];
    const linted = spawnSync('shellcheck', ['-x', ...dialect, path], { cwd: root, encoding: 'utf8' });
    if (linted.error === undefined) expect(linted.stdout).toBe('');
  });

  test.each([
    ['run', [], 'no command'],
    ['run', ['-t', 'soon', '--', 'true'], '-t is "soon", not a whole number above 0'],
    ['run', ['-t', '0', '--', 'true'], '-t is "0"'],
    ['run', ['-q', '--', 'true'], 'an option that is not known'],
    ['setup', ['now'], 'takes no arguments but -f and -E, not now'],
    ['link', [], 'say which: link up, link show, link down'],
    ['link', ['up', 'eth0'], 'eth0 is no IPv4 address'],
    ['check-links', [], 'NODE from 1 to 9'],
    ['check-links', ['3', '198.18.77.1', '198.18.77.2'], 'node 3 of 2 addresses'],
  ])('%s %j is refused with what is wrong', (name, args, sentence) => {
    const { code, out, err } = script(name, ...args);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toContain(sentence);
  });

  test('what cannot be set up here has an exit code of its own, and a reason', () => {
    const { code, err } = script('setup', '-E');
    expect(code).toBe(75);
    expect(err).toMatch(/^soft-roce: cannot be set up here: \S.*$/m);
  });

  test('a machine that has not been set up does not run, and says what to do', () => {
    const { code, err } = script('run', '-E', '--', 'true');
    expect(code).toBe(75);
    expect(err).toContain('docker/soft-roce/setup');
  });
});

/** A clone whose soft-RoCE scripts are the given ones, and a program that prints what a step answers. */
function cloneWith(setup: string, expression: string): Clone {
  const clone = new Clone({
    'docker/soft-roce/setup': setup,
    'scripts/answer.mjs': `import * as step from './steps/soft-roce.mjs';
process.stdout.write(JSON.stringify(await ${expression}) ?? 'undefined');\n`,
  });
  spawnSync('chmod', ['+x', join(clone.root, 'docker/soft-roce/setup')]);
  return clone;
}

describe('the verbs tests', () => {
  test('a machine that cannot be had is a part that is skipped, with its reason', async () => {
    const setup = '#!/bin/sh\necho "soft-roce: cannot be set up here: no apt-get here" >&2\nexit 75\n';
    using clone = cloneWith(setup, 'step.provideSoftRoce()');
    const { stdout, stderr } = await clone.run('answer.mjs');
    expect(JSON.parse(stdout)).toEqual({
      part: 'verbs tests (soft-RoCE)',
      missing: ['no apt-get here'],
      command: 'sudo docker/soft-roce/setup',
    });
    expect(stderr).toContain('soft-roce: cannot be set up here: no apt-get here');
  });

  test('so is one whose setup breaks', async () => {
    using clone = cloneWith('#!/bin/sh\nexit 3\n', 'step.provideSoftRoce()');
    const { stdout } = await clone.run('answer.mjs');
    expect(JSON.parse(stdout).missing).toEqual([
      'the soft-RoCE machine (docker/soft-roce/setup ended with 3)',
    ]);
  });

  test('one that is there skips nothing', async () => {
    using clone = cloneWith('#!/bin/sh\n', 'step.provideSoftRoce()');
    expect((await clone.run('answer.mjs')).stdout).toBe('undefined');
  });

  test('what the rooms printed and counted is told apart', async () => {
    const { outputOf, countRoom } = (await import(
      new URL('../../scripts/steps/soft-roce.mjs', import.meta.url).href
    )) as {
      outputOf(room: string, text: string): { text: string; ended: number | undefined };
      countRoom(json: unknown, ended: number | undefined): object;
    };
    const text =
      '== transport\none\n== transport ended with 0\n== bus\ntwo\n== bus ended with 134\n== links\nthr';
    expect(outputOf('transport', text)).toEqual({ text: 'one\n', ended: 0 });
    expect(outputOf('bus', text)).toEqual({ text: 'two\n', ended: 134 });
    expect(outputOf('links', text)).toEqual({ text: 'thr', ended: undefined });
    expect(outputOf('feed', text)).toEqual({ text: '', ended: undefined });

    const good = { testsuites: [{ testsuite: [{ status: 'RUN', result: 'COMPLETED' }] }] };
    expect(countRoom(good, 0)).toEqual({ passed: 1, failed: 0, skipped: 0 });
    expect(countRoom(good, 134)).toEqual({ passed: 1, failed: 1, skipped: 0 });
    expect(countRoom(good, undefined)).toEqual({ passed: 1, failed: 1, skipped: 0 });
    expect(countRoom(undefined, 0)).toEqual({ passed: 0, failed: 1, skipped: 0 });
    expect(countRoom({ testsuites: [] }, 0)).toEqual({ passed: 0, failed: 1, skipped: 0 });
  });
});

interface Service {
  readonly image: string;
  readonly build: { readonly context: string; readonly dockerfile: string; readonly target: string };
  readonly network_mode: string;
  readonly command: readonly string[];
  readonly cap_add: readonly string[];
  readonly devices?: readonly string[];
  readonly ulimits?: { readonly memlock: number };
  readonly depends_on?: { readonly device: { readonly condition: string } };
}

describe('docker/', () => {
  const dockerfile = readFileSync(join(root, 'docker', 'Dockerfile'), 'utf8');
  const compose = parse(readFileSync(join(root, 'docker', 'compose.soft-roce.yaml'), 'utf8'), {
    merge: true,
  }) as { readonly services: Readonly<Record<string, Service>> };
  const stages = [...dockerfile.matchAll(/^FROM (\S+) AS (\S+)$/gm)].map(([, from, name]) => ({
    from,
    name,
  }));

  test('the image is built from Docker Hub’s own images and from what is here', () => {
    expect(dockerfile.match(/^FROM /gm)).toHaveLength(stages.length);
    const known: string[] = [];
    for (const { from = '', name = '' } of stages) {
      if (!known.includes(from)) expect(from).toMatch(/^node:20-bookworm(-slim)?$/);
      known.push(name);
    }
    expect(stages.at(-1)?.name).toBe('verbex');
    for (const [, path = ''] of dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)) {
      for (const one of path.split(' ')) expect(existsSync(join(root, one)), one).toBe(true);
    }
    for (const [, stage] of dockerfile.matchAll(/^COPY --from=(\S+)/gm)) expect(known).toContain(stage);
  });

  test('three nodes wait for the device, which a script of the emulated machine makes', () => {
    const { device, ...nodes } = compose.services;
    expect(Object.keys(nodes)).toEqual(['node-1', 'node-2', 'node-3']);
    expect(device?.cap_add).toEqual(expect.arrayContaining(['NET_ADMIN']));
    const [link, verb, ...addresses] = device?.command ?? [];
    expect([link, verb]).toEqual(['docker/soft-roce/link', 'up']);
    expect(addresses).toHaveLength(3);
    expect(readFileSync(join(folder, 'machine', 'system'), 'utf8')).toContain('"$here/link" up');
    for (const [at, node] of Object.values(nodes).entries()) {
      expect(node).toMatchObject({
        devices: ['/dev/infiniband:/dev/infiniband'],
        cap_add: ['IPC_LOCK'],
        ulimits: { memlock: -1 },
        depends_on: { device: { condition: 'service_completed_successfully' } },
      });
      expect(node.command.slice(1)).toEqual([
        String(at + 1),
        ...addresses.map((address) => address.split('/')[0]),
      ]);
    }
  });

  test('every service is built here, on the host’s network, and its program is in the image', () => {
    for (const { build, network_mode, command } of Object.values(compose.services)) {
      expect(network_mode).toBe('host');
      expect(existsSync(join(root, 'docker', build.context, build.dockerfile))).toBe(true);
      expect(stages.map(({ name }) => name)).toContain(build.target);
      const [program = ''] = command;
      accessSync(join(root, program), constants.X_OK);
      expect(dockerfile).toContain(`COPY ${dirname(program)} ${dirname(program)}`);
    }
  });
});
