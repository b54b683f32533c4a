import { createRequire } from 'node:module';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Clone } from './clone.ts';

const files = {
  'native/sources.txt': '# two\naddon/entry.cpp\ncore/answer.cpp # the answer\n',
  'native/core/answer.h': '#pragma once\nint answer();\n',
  'native/core/answer.cpp': '#include "core/answer.h"\nint answer() { return 42; }\n',
  'native/addon/entry.cpp': `#include <node_api.h>
#include "core/answer.h"
#ifdef VERBEX_COVERAGE
extern "C" void __sanitizer_cov_trace_pc() {}
#endif
NAPI_MODULE_INIT() {
    napi_value value = nullptr;
    napi_create_int32(env, answer(), &value);
    return value;
}
`,
};

describe('building the addon', () => {
  test('compiles what changed and nothing else', async () => {
    using clone = new Clone(files);
    const first = await clone.run('build-addon.mjs');
    expect(first.stderr).toContain('2 of 2 files to compile');
    expect(first.code).toBe(0);
    const load: unknown = createRequire(import.meta.url)(join(clone.root, 'build/Release/verbex.node'));
    expect(load).toBe(42);

    expect((await clone.run('build-addon.mjs')).stderr).toContain('is up to date');

    clone.write('native/core/answer.cpp', '#include "core/answer.h"\nint answer() { return 43; }\n');
    expect((await clone.run('build-addon.mjs')).stderr).toContain('1 of 2 files to compile');

    clone.write('native/core/answer.h', '#pragma once\n\nint answer();\n');
    expect((await clone.run('build-addon.mjs')).stderr).toContain('2 of 2 files to compile');
    expect((await clone.run('build-addon.mjs')).stderr).toContain('is up to date');
  });

  test('other flags have their own object files', async () => {
    using clone = new Clone(files);
    await clone.run('build-addon.mjs');
    const other = await clone.run('build-addon.mjs', [], { CXXFLAGS: '-O0' });
    expect(other.stderr).toContain('2 of 2 files to compile');
    expect((await clone.run('build-addon.mjs')).stderr).toContain('linking build/Release/verbex.node');
    expect((await clone.run('build-addon.mjs', ['--debug'])).stderr).toContain('build/Debug/verbex.node');
    expect((await clone.run('build-addon.mjs', ['--fuzz'])).stderr).toContain('build/Fuzz/verbex_fuzz.node');
  });

  test('a source that does not compile is named, and the others are compiled all the same', async () => {
    using clone = new Clone({ ...files, 'native/core/answer.cpp': 'int answer() { return }\n' });
    const result = await clone.run('build-addon.mjs');
    expect(result.code).toBe(1);
    expect(result.stderr).toContain('these sources do not compile: core/answer.cpp');
    clone.write('native/core/answer.cpp', files['native/core/answer.cpp']);
    expect((await clone.run('build-addon.mjs')).stderr).toContain('1 of 2 files to compile');
  });

  test('a symbol that nothing defines fails the build, not the user', async () => {
    using clone = new Clone({ ...files, 'native/core/answer.cpp': '\n' });
    const result = await clone.run('build-addon.mjs');
    expect(result.code).toBe(1);
    expect(result.stderr).toMatch(/undefined symbol: .*answer/);
  });

  test('two builds at once take turns', async () => {
    using clone = new Clone(files);
    const results = await Promise.all([clone.run('build-addon.mjs'), clone.run('build-addon.mjs')]);
    expect(results.map(({ code }) => code)).toEqual([0, 0]);
    const text = results.map(({ stderr }) => stderr).join('');
    expect(text.match(/files to compile/g)).toHaveLength(1);
    expect(text).toContain('is up to date');
  });

  test('four sources of a room are compiled as one text', async () => {
    const parts = ['a', 'b', 'c', 'd', 'e'];
    using clone = new Clone({
      ...files,
      ...Object.fromEntries(
        parts.map((part) => [`native/core/${part}.cpp`, `int ${part}() { return 1; }\n`]),
      ),
      'native/sources.txt': `addon/entry.cpp\n${parts.map((part) => `core/${part}.cpp\n`).join('')}core/answer.cpp\n`,
    });
    const first = await clone.run('build-addon.mjs');
    expect(first.stderr).toContain('3 of 3 files to compile');
    expect(first.stderr).toContain('core/{a,b,c,d}.cpp');
    expect((await clone.run('build-addon.mjs')).stderr).toContain('is up to date');

    clone.write('native/core/c.cpp', 'int c() { return }\n');
    const broken = await clone.run('build-addon.mjs');
    expect(broken.stderr).toContain('1 of 3 files to compile');
    expect(broken.stderr).toContain('core/c.cpp:1:18: error');
    expect(broken.stderr).toContain('these sources do not compile: core/{a,b,c,d}.cpp');

    // One less: what is compiled together moves up.
    clone.write('native/sources.txt', `${files['native/sources.txt']}core/a.cpp\ncore/b.cpp\ncore/d.cpp\n`);
    const fewer = await clone.run('build-addon.mjs');
    expect(fewer.stderr).toContain('1 of 2 files to compile');
    expect(fewer.stderr).toContain('core/{answer,a,b,d}.cpp');
    // Every other build still shows a source that leans on its neighbours.
    expect((await clone.run('build-addon.mjs', ['--debug'])).stderr).toContain('5 of 5 files to compile');
  });

  test('a source that is listed but not there is named', async () => {
    using clone = new Clone({ 'native/sources.txt': 'core/gone.cpp\n' });
    const result = await clone.run('build-addon.mjs');
    expect(result.code).toBe(1);
    expect(result.stderr).toContain('core/gone.cpp');
  });
});
