// Compiles units, a source or several as one text, into objects: in parallel, only when it or a file it read has changed.
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { mustRun, root, run, StepFailed, say } from './console.mjs';

export function stamp(path) {
  const file = statSync(join(root, path), { throwIfNoEntry: false });
  return file === undefined ? undefined : `${file.size}:${file.mtimeMs}`;
}

export function readJson(path) {
  if (!existsSync(join(root, path))) return undefined;
  try {
    return JSON.parse(readFileSync(join(root, path), 'utf8'));
  } catch {
    // Cut short by a stopped build: the same as not there, the file is made again.
    return undefined;
  }
}

/** A file that is the same already keeps its stamp. */
export function writeIfOther(path, text) {
  if (existsSync(path) && readFileSync(path, 'utf8') === text) return;
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

/** The prerequisites that `-MMD` wrote, as make would read them. */
export function parseDependencies(text) {
  const list = text.slice(text.indexOf(':') + 1).replaceAll('\\\n', ' ');
  return [...list.matchAll(/(?:\\.|[^\s\\])+/g)].map(([path]) => path.replace(/\\(.)/g, '$1'));
}

function isCurrent(object, stamps) {
  const record = readJson(`${object}.json`);
  if (record === undefined || !existsSync(join(root, object))) return false;
  return Object.entries(record.inputs).every(([path, known]) => {
    if (!stamps.has(path)) stamps.set(path, stamp(path));
    return stamps.get(path) === known;
  });
}

/** The header that all of `tools`' sources are compiled behind; GCC and clang find what was made of it by its name. */
async function precompile(compiler, tools) {
  const { from, to } = tools.precompiled;
  const made = `${to}.gch`;
  if (existsSync(join(root, made)) && readJson(`${made}.json`) === stamp(from)) return;
  say(`  ${from}`);
  mkdirSync(dirname(join(root, to)), { recursive: true });
  copyFileSync(join(root, from), join(root, to));
  await mustRun(compiler.path, [...tools.commonArgs, '-x', 'c++-header', to, '-o', made], { output: 'keep' });
  writeFileSync(join(root, `${made}.json`), JSON.stringify(stamp(from)));
}

async function compile(compiler, tools, { source, path, object }) {
  const startedAt = Date.now();
  const dependencies = `${object}.d`;
  const before = tools.precompiled === undefined ? [] : ['-include', tools.precompiled.to];
  const args = [...before, '-MMD', '-MF', dependencies, '-c', path, '-o', object];
  mkdirSync(dirname(join(root, object)), { recursive: true });
  const result = await run(compiler.path, [...tools.compileArgs(source), ...args], { output: 'keep' });
  if (result.code === 0) {
    const inputs = {};
    for (const path of parseDependencies(readFileSync(join(root, dependencies), 'utf8'))) {
      const file = statSync(join(root, path), { throwIfNoEntry: false });
      // Saved while the compiler was reading: no stamp is right, so the next build does it again.
      const steady = file !== undefined && file.mtimeMs < startedAt;
      inputs[path] = steady ? stamp(path) : 'changed while compiling';
    }
    writeFileSync(join(root, `${object}.json`), JSON.stringify({ inputs }));
  }
  return result;
}

async function compileAll(compiler, tools, stale) {
  const jobs = Math.max(1, Number(process.env.VERBEX_JOBS ?? availableParallelism()));
  const queue = [...stale];
  const failed = [];
  let done = 0;
  const worker = async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const result = await compile(compiler, tools, next);
      done += 1;
      const place = `[${String(done).padStart(String(stale.length).length)}/${stale.length}]`;
      say(`  ${place} ${next.source} ${(result.elapsedMs / 1000).toFixed(1)} s`);
      if (result.text !== '') say(result.text.trimEnd());
      if (result.code !== 0) failed.push(next.source);
    }
  };
  await Promise.all(Array.from({ length: Math.min(jobs, stale.length) }, worker));
  if (failed.length > 0) throw new StepFailed(`these sources do not compile: ${failed.join(', ')}`);
}

/**
 * Compiles those of the units ({ source: as named in messages, path, object, and the text of a path that is made here }) that have to
 * be.
 * @returns how many that were
 */
export async function compileStale({ label, compiler, tools, units }) {
  for (const { path, text } of units) {
    if (text !== undefined) writeIfOther(join(root, path), text);
  }
  const stamps = new Map();
  const stale = units.filter(({ object }) => !isCurrent(object, stamps));
  if (stale.length === 0) return 0;
  say(`${label}: ${stale.length} of ${units.length} files to compile with ${compiler.path}`);
  if (tools.precompiled !== undefined) await precompile(compiler, tools);
  await compileAll(compiler, tools, stale);
  return stale.length;
}

/**
 * Brings `output` up to date with its units.
 * The link goes to a new file that is renamed into place, so that a process that has the old one open keeps it.
 * @returns how many files were compiled, undefined if nothing was to do
 */
export async function bringUpToDate({ label, compiler, tools, units, output, tryOut }) {
  const compiled = await compileStale({ label, compiler, tools, units });
  const objects = units.map(({ object }) => object);
  const linkRecord = `${output}.json`;
  const linkInputs = () =>
    JSON.stringify([tools.linkArgs([], ''), objects.map((object) => [object, stamp(object)])]);
  if (compiled === 0) {
    const known = readJson(linkRecord);
    if (known?.inputs === linkInputs() && known.output === stamp(output)) return undefined;
  }
  say(`${label}: linking ${output}`);
  mkdirSync(dirname(join(root, output)), { recursive: true });
  const fresh = `${output}.new`;
  await mustRun(compiler.path, tools.linkArgs(objects, fresh), { output: 'keep' });
  if (!tools.sanitized) await tryOut?.(fresh);
  renameSync(join(root, fresh), join(root, output));
  writeFileSync(join(root, linkRecord), JSON.stringify({ inputs: linkInputs(), output: stamp(output) }));
  return compiled;
}
