// Builds the Node-API addon from native/sources.txt.
import { join } from 'node:path';
import { bringUpToDate } from './compile.mjs';
import { mustRun, root, say, seconds } from './console.mjs';
import { isOfAddon, mustFindCompiler, unitsOf } from './objects.mjs';
import { readSources } from './sources.mjs';
import { toolchain } from './toolchain.mjs';

/** Loads the fresh addon once in a process of its own: a symbol left undefined shows here, not later. */
async function tryLoad(output) {
  const code = 'process.dlopen({ exports: {} }, process.argv[1])';
  await mustRun(process.execPath, ['-e', code, join(root, output)], { output: 'keep' });
}

/** @returns what was done: { did: 'nothing' | 'built' | 'no sources', file, compiled } */
export async function buildAddon(variantName) {
  const started = performance.now();
  const sources = readSources();
  // Without its entry point there is nothing that Node could load.
  if (!sources.some(isOfAddon)) {
    return { did: 'no sources', file: undefined, compiled: 0 };
  }
  const compiler = mustFindCompiler();
  const tools = toolchain(variantName, compiler);
  const output = tools.variant.file;
  const units = unitsOf(sources, tools);
  const label = `addon (${variantName})`;
  const compiled = await bringUpToDate({ label, compiler, tools, units, output, tryOut: tryLoad });
  if (compiled === undefined) return { did: 'nothing', file: output, compiled: 0 };
  say(`${label}: ${output} in ${seconds(started)}`);
  return { did: 'built', file: output, compiled };
}
