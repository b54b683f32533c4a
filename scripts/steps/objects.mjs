// The objects of the native rooms: compiled once, they make the addon, the benches and the native tests.
import { join } from 'node:path';
import { compileStale, writeIfOther } from './compile.mjs';
import { root, StepFailed } from './console.mjs';
import { readSources } from './sources.mjs';
import { findCompiler, installCompiler, toolchain } from './toolchain.mjs';

export function mustFindCompiler() {
  const compiler = findCompiler();
  if (compiler === undefined) throw new StepFailed(`no C++20 compiler found; run: ${installCompiler}`);
  return compiler;
}

// native/CMakeLists.txt knows this name.
const objectsList = 'objects.txt';

export const isOfAddon = (source) => source.startsWith('addon/');

const roomOf = (source) => source.slice(0, source.indexOf('/'));

function alone(source, tools) {
  return { source, path: `native/${source}`, object: tools.objectOf(source) };
}

/** Sources of one room as one text, so that the headers and templates that all of them use are read and made once. */
function together(sources, number, tools) {
  const room = roomOf(sources[0]);
  const names = sources.map((source) => source.slice(room.length + 1).replace(/\.cpp$/, ''));
  const object = tools.objectOf(`${room}/together-${number}.cpp`);
  return {
    source: `${room}/{${names.join(',')}}.cpp`,
    path: object.replace(/\.o$/, '.cpp'),
    object,
    text: sources.map((source) => `#include "${source}"\n`).join(''),
  };
}

/** What compile.mjs is to know of the sources under native/: `tools.together` of a room make one object. */
export function unitsOf(sources, tools) {
  const rooms = new Set(sources.map(roomOf));
  return [...rooms].flatMap((room) => {
    const its = sources.filter((source) => roomOf(source) === room);
    // The addon's own are few, and each is made of npm's headers.
    const most = room === 'addon' ? 1 : tools.together;
    const units = [];
    for (let at = 0; at < its.length; at += most) {
      const batch = its.slice(at, at + most);
      units.push(batch.length === 1 ? alone(batch[0], tools) : together(batch, units.length + 1, tools));
    }
    return units;
  });
}

/**
 * Brings the rooms' objects, the addon's own not among them, up to date.
 * @returns the folder that they lie in, each in its room's; objects.txt there, which CMake reads, names them
 */
export async function provideRoomObjects() {
  const compiler = mustFindCompiler();
  const tools = toolchain('release', compiler);
  const sources = readSources().filter((source) => !isOfAddon(source));
  const units = unitsOf(sources, tools);
  await compileStale({ label: 'rooms', compiler, tools, units });
  const objects = units.map(({ object }) => object.slice(tools.folder.length + 1));
  writeIfOther(join(root, tools.folder, objectsList), `${objects.join('\n')}\n`);
  return join(root, tools.folder);
}
