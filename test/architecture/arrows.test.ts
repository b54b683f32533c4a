import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readTree, root } from './files.ts';
import { checkNative, nativeArrows, roomsOfCMake } from './native-arrows.ts';
import { checkSource, sourceArrows } from './source-arrows.ts';

describe('native/', () => {
  test('every include follows the arrows of the design', () => {
    expect(checkNative(readTree('native', ['.h', '.cpp']))).toEqual([]);
  });

  test('CMake links each room against exactly the rooms that it may know', () => {
    const linked = roomsOfCMake(readFileSync(join(root, 'native', 'CMakeLists.txt'), 'utf8'));
    const { addon: _, ...withoutAddon } = nativeArrows;
    expect(linked).toEqual(withoutAddon);
  });

  test('an arrow that runs the other way is reported', () => {
    const files = [
      { path: 'native/core/engine.h', text: '#pragma once\n' },
      { path: 'native/book/book.cpp', text: '#include "core/engine.h"\n' },
      { path: 'native/journal/writer.cpp', text: '\n#include "core/engine.h"\n' },
    ];
    expect(checkNative(files)).toEqual([
      'native/book/book.cpp:1: book may not know core: core/engine.h',
      'native/journal/writer.cpp:2: journal may not know core: core/engine.h',
    ]);
  });

  test('Node outside of the addon is reported', () => {
    const text = '#include <node_api.h>\n';
    expect(checkNative([{ path: 'native/addon/exchange.cpp', text }])).toEqual([]);
    expect(checkNative([{ path: 'native/node/node.cpp', text }])).toEqual([
      'native/node/node.cpp:1: only addon knows Node: <node_api.h>',
    ]);
  });

  test('threads, clocks, random numbers and floating point in a pure room are reported', () => {
    const text =
      '#include <thread>\nint a = std::rand();\ndouble price;\n// double in a comment\nauto t = "float";\n';
    expect(checkNative([{ path: 'native/risk/hold.h', text }])).toEqual([
      'native/risk/hold.h:1: risk is a pure room and may not use <thread>',
      'native/risk/hold.h:2: a clock or random number in risk',
      'native/risk/hold.h:3: floating point in risk',
    ]);
    expect(checkNative([{ path: 'native/node/clock.h', text }])).toEqual([]);
  });

  test('unknown rooms, missing files and circles are reported', () => {
    const files = [
      { path: 'native/utility/x.h', text: '' },
      { path: 'native/base/a.h', text: '#include "base/b.h"\n' },
      { path: 'native/base/b.h', text: '#include "base/a.h"\n#include "b.h"\n' },
    ];
    expect(checkNative(files)).toEqual([
      'native/utility/x.h: utility is not a room of the design',
      'native/base/b.h:2: there is no native/b.h',
      'includes run in a circle: native/base/a.h → native/base/b.h → native/base/a.h',
    ]);
  });
});

describe('src/', () => {
  test('every import follows the arrows', () => {
    expect(checkSource(readTree('src', ['.ts']))).toEqual([]);
  });

  test('no arrow of the table leads back', () => {
    for (const [room, others] of Object.entries(sourceArrows)) {
      for (const other of others) expect(sourceArrows[other], `${room} → ${other}`).not.toContain(room);
    }
  });

  test('an arrow that runs the other way is reported', () => {
    const files = [
      { path: 'src/api/exchange.ts', text: "import { serve } from '../edges/http.ts';\n" },
      { path: 'src/edges/http.ts', text: "import type {\n  Exchange,\n} from '../api/exchange.ts';\n" },
    ];
    expect(checkSource(files)).toEqual([
      'src/api/exchange.ts: api may not know edges: ../edges/http.ts',
      'imports run in a circle: src/api/exchange.ts → src/edges/http.ts → src/api/exchange.ts',
    ]);
  });

  test('imports that leave src/, lead nowhere or are made at run time are seen', () => {
    const text =
      "import '../../scripts/start.mjs';\nexport * from './gone.ts';\nconst c = await import('../cli/main.ts');\n";
    expect(
      checkSource([
        { path: 'src/api/a.ts', text },
        { path: 'src/cli/main.ts', text: '' },
      ]),
    ).toEqual([
      'src/api/a.ts: leaves src/: ../../scripts/start.mjs',
      'src/api/a.ts: there is no src/api/gone.ts',
      'src/api/a.ts: api may not know cli: ../cli/main.ts',
    ]);
  });
});
