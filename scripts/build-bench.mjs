// npm run build:bench [-- name …]: the native benchmarks, build/bench/<name>_bench from each bench/native/<name>_bench.cpp,
// or the named ones alone.
// CXX, CXXFLAGS and LDFLAGS are honoured, as by build:native.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { bringUpToDate } from './steps/compile.mjs';
import { main, root, say } from './steps/console.mjs';
import { withSetupLock } from './steps/lock.mjs';
import { isOfAddon, mustFindCompiler, unitsOf } from './steps/objects.mjs';
import { readSources } from './steps/sources.mjs';
import { toolchain } from './steps/toolchain.mjs';

await main(async (wanted) => {
  const compiler = mustFindCompiler();
  const tools = toolchain('bench', compiler);
  const engine = unitsOf(
    readSources().filter((source) => !isOfAddon(source)),
    tools,
  );
  await withSetupLock(async () => {
    for (const file of readdirSync(join(root, 'bench', 'native')).sort()) {
      if (!file.endsWith('_bench.cpp')) continue;
      const name = file.replace(/\.cpp$/, '');
      if (wanted.length > 0 && !wanted.some((one) => `${one}_bench` === name)) continue;
      const path = `bench/native/${file}`;
      const units = [...engine, { source: path, path, object: tools.objectOf(path) }];
      const output = `build/bench/${name}`;
      const compiled = await bringUpToDate({ label: `bench ${name}`, compiler, tools, units, output });
      say(`bench ${name}: ${output} ${compiled === undefined ? 'is up to date' : 'built'}`);
    }
  });
});
