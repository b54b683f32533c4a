import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Clone } from './clone.ts';

/** A PATH on which only the given programs exist. */
function pathWith(clone: Clone, programs: Readonly<Record<string, string>>): string {
  const folder = join(clone.root, 'programs');
  mkdirSync(folder, { recursive: true });
  for (const [name, target] of Object.entries(programs)) symlinkSync(target, join(folder, name));
  return folder;
}

const noApt = { VERBEX_NO_APT: '1', CXX: '' };

describe('setup on a machine that lacks something', () => {
  test('without a compiler it says what to run, and fails', async () => {
    using clone = new Clone({});
    const result = await clone.run('setup.mjs', [], { ...noApt, PATH: pathWith(clone, {}) });
    expect(result.code).toBe(1);
    expect(result.stderr).toMatch(/sudo apt-get install -y --no-install-recommends g\+\+/);
  });

  test('without CMake it skips the native tests, loudly, and goes on', async () => {
    using clone = new Clone({});
    const env = { ...noApt, PATH: pathWith(clone, { 'g++': '/bin/true' }) };
    const result = await clone.run('setup.mjs', [], env);
    expect(result.code).toBe(0);
    expect(result.stderr).toMatch(/!! SKIPPED: native tests\. Missing: .*cmake/);
    expect(result.stderr).toMatch(/!! {3}sudo apt-get install .*cmake/);
    expect(result.stderr).toMatch(/!! SKIPPED: tests with tshark.*Missing: tshark\./);
    expect(result.stderr).toMatch(/!! {3}sudo apt-get install .*tshark/);
    expect(result.stderr).toMatch(/!! SKIPPED: tests of clusters with etcd.*Missing: etcd, openssl\./);
    expect(result.stderr).toMatch(/!! {3}sudo apt-get install .*etcd-server/);
    expect(result.stderr).toMatch(/!! SKIPPED: tests with porcupine.*Missing: go\./);
    expect(result.stderr).toMatch(/!! {3}sudo apt-get install .*golang-go/);
  });

  test('what may not be skipped fails', async () => {
    using clone = new Clone({});
    const env = { ...noApt, VERBEX_REQUIRE_ALL: '1', PATH: pathWith(clone, { 'g++': '/bin/true' }) };
    expect((await clone.run('setup.mjs', [], env)).code).toBe(1);
    const tests = await clone.run('test.mjs', [], env);
    expect(tests.code).toBe(1);
    expect(tests.stderr).toContain('VERBEX_REQUIRE_ALL=1');
  });

  test('apt is asked when that needs no question', async () => {
    using clone = new Clone({
      'apt.sh': `#!/bin/sh\necho "$DEBIAN_FRONTEND $*" >> apt.log\ncase "$*" in *install*) ln -s /bin/true programs/g++;; esac\n`,
    });
    const { chmodSync, readFileSync } = await import('node:fs');
    chmodSync(join(clone.root, 'apt.sh'), 0o755);
    const programs = { 'apt-get': join(clone.root, 'apt.sh'), ln: '/bin/ln', sh: '/bin/sh' };
    const env = { CXX: '', VERBEX_NO_APT: '', PATH: pathWith(clone, programs) };
    const result = await clone.run('start.mjs', [], env);
    if (process.getuid?.() !== 0) {
      expect(result.stderr).toContain('sudo apt-get install');
      return;
    }
    const log = readFileSync(join(clone.root, 'apt.log'), 'utf8').trim().split('\n');
    expect(log).toHaveLength(2);
    expect(log[0]).toMatch(/^noninteractive .*update$/);
    expect(log[1]).toMatch(/^noninteractive .*install -y --no-install-recommends g\+\+$/);
    // Past the compiler: what stops it now is that there is nothing to start.
    expect(result.stderr).toContain('src/cli/main.ts is missing');
  });
});
