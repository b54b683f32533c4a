import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Clone } from './clone.ts';

interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

async function script<T>(name: string): Promise<T> {
  return (await import(new URL(`../../scripts/steps/${name}`, import.meta.url).href)) as T;
}

describe('counting', () => {
  test('GoogleTest: passed, failed, skipped and disabled tests', async () => {
    const { countResults } = await script<{ countResults(json: unknown): Counts }>('native-tests.mjs');
    const ran = { status: 'RUN', result: 'COMPLETED' };
    const testsuites = [
      { testsuite: [ran, { ...ran, failures: [{ failure: 'x' }] }] },
      {
        testsuite: [
          { status: 'RUN', result: 'SKIPPED' },
          { status: 'NOTRUN', result: 'SUPPRESSED' },
        ],
      },
    ];
    expect(countResults({ testsuites })).toEqual({ passed: 1, failed: 1, skipped: 2 });
  });

  test('GoogleTest: what is shown of a binary that crashed', async () => {
    const { withoutPassed } = await script<{ withoutPassed(text: string): string }>('native-tests.mjs');
    const text =
      '[----------] 2 tests\n[ RUN      ] A.good\nnoise\n[       OK ] A.good (0 ms)\n[ RUN      ] A.bad\nboom\n';
    expect(withoutPassed(text)).toBe('[ RUN      ] A.bad\nboom');
  });

  test('the closing line', async () => {
    const { closingLine } = await script<{ closingLine(counts: Counts): string }>('vitest.mjs');
    expect(closingLine({ passed: 3, failed: 0, skipped: 0 })).toBe('3 passed, 0 failed');
    expect(closingLine({ passed: 3, failed: 1, skipped: 2 })).toBe('3 passed, 1 failed, 2 skipped');
  });

  test('vitest: a failed test, a file that cannot be loaded, and a skipped test', async () => {
    using clone = new Clone({
      'test/a.test.ts':
        "import { expect, test } from 'vitest';\ntest('good', () => {});\ntest.skip('later', () => {});\ntest('bad', () => expect(1).toBe(2));\n",
      'test/b.test.ts': "import './gone.ts';\n",
    });
    const result = await clone.run('test.mjs', ['test/']);
    expect(result.stdout.trimEnd().split('\n').at(-1)).toBe('1 passed, 2 failed, 1 skipped');
    expect(result.code).toBe(1);
  });

  test('no test at all is a failure', async () => {
    using clone = new Clone({});
    mkdirSync(join(clone.root, 'test'));
    writeFileSync(join(clone.root, 'test', 'none.txt'), '');
    const result = await clone.run('test.mjs', ['test/']);
    expect(result.stdout.trimEnd().split('\n').at(-1)).toBe('0 passed, 1 failed');
    expect(result.code).toBe(1);
  });
});

test('dependencies are read as make reads them', async () => {
  const { parseDependencies } = await script<{ parseDependencies(text: string): string[] }>('compile.mjs');
  expect(parseDependencies('a.o: native/a.cpp \\\n native/b\\ c.h\n')).toEqual([
    'native/a.cpp',
    'native/b c.h',
  ]);
});

test('.ci/run runs npm test, and nothing may be skipped', () => {
  const text = readFileSync(new URL('../../.ci/run', import.meta.url), 'utf8');
  expect(text).toMatch(/^VERBEX_REQUIRE_ALL=1 npm test$/m);
});
