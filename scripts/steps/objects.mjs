// The objects of the native rooms: compiled once, they make the addon, the benches and the native tests.
import { join } from 'node:path';
import { compileStale } from './compile.mjs';
import { root, StepFailed } from './console.mjs';
import { readSources } from './sources.mjs';
import { findCompiler, installCompiler, toolchain } from './toolchain.mjs';

export function mustFindCompiler() {
  const compiler = findCompiler();
  if (compiler === undefined) throw new StepFailed(`no C++20 compiler found; run: ${installCompiler}`);
  return compiler;
}

export const isOfAddon = (source) => source.startsWith('addon/');

/** What compile.mjs is to know of each source under native/. */
export function unitsOf(sources, tools) {
  return sources.map((source) => ({
    source,
    path: `native/${source}`,
    object: tools.objectOf(source),
  }));
}

/**
 * Brings the rooms' objects, the addon's own not among them, up to date.
 * @returns the folder that they lie in, as native/<room>/<file>.cpp lie in native
 */
export async function provideRoomObjects() {
  const compiler = mustFindCompiler();
  const tools = toolchain('release', compiler);
  const sources = readSources().filter((source) => !isOfAddon(source));
  await compileStale({ label: 'rooms', compiler, tools, units: unitsOf(sources, tools) });
  return join(root, tools.folder);
}
