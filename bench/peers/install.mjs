// How a peer gets onto this machine: from its published package, with the machine's own tools, into build/peers/<name>. What is there already and
// was made of the same sources is left alone, so that a second run needs no registry.
//
// Each installer answers { command: (harness arguments) => [program, arguments] } or throws Skipped with the reason.
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram, root, run, say } from '../../scripts/steps/console.mjs';

const installTimeoutMs = 15 * 60_000;
const here = join(root, 'bench', 'peers');

/** A peer that does not take part; the message is the reason. */
export class Skipped extends Error {
  name = 'Skipped';
}

export function folderOf(name) {
  return join(root, 'build', 'peers', name);
}

function need(...programs) {
  const missing = programs.filter((program) => findProgram(program) === undefined);
  if (missing.length > 0) throw new Skipped(`no ${missing.join(', no ')} on this machine`);
}

/** The line of a tool's output that says why it failed. */
export function reasonIn(text) {
  const lines = text
    .split('\n')
    // Colours, and the marks that tools put before their lines.
    .map((line) => line.replaceAll(new RegExp(`${String.fromCharCode(27)}\\[[0-9;]*m`, 'g'), '').trim())
    .filter((line) => line !== '');
  const found =
    lines.find((line) => /\b(error|ERR|ERROR|failed)\b/.test(line)) ?? lines.at(-1) ?? 'no answer';
  return found.length > 240 ? `${found.slice(0, 240)} …` : found;
}

async function tool(what, program, args, options = {}) {
  say(`peers: ${what}`);
  const result = await run(program, args, {
    output: 'keep',
    label: what,
    timeoutMs: installTimeoutMs,
    ...options,
  });
  if (result.timedOut) throw new Skipped(`${what}: took longer than ${installTimeoutMs / 60_000} minutes`);
  if (result.code !== 0) throw new Skipped(`${what}: ${reasonIn(result.text)}`);
}

/** Runs `make` unless it has succeeded with the same key before. */
async function once(name, key, make) {
  const folder = folderOf(name);
  const record = join(folder, 'installed.json');
  const wanted = JSON.stringify(key);
  if (existsSync(record) && readFileSync(record, 'utf8') === wanted) return;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  await make(folder);
  writeFileSync(record, wanted);
}

function digestOf(...folders) {
  const hash = createHash('sha256');
  for (const folder of folders) {
    for (const file of readdirSync(join(here, folder)).sort()) {
      hash.update(`${file}\0`).update(readFileSync(join(here, folder, file)));
    }
  }
  return hash.digest('hex');
}

/** A package of npm, driven by a harness in this folder. */
export function npmPackage({ name, version, harness }) {
  return async () => {
    need('npm');
    await once(name, { name, version }, async (folder) => {
      writeFileSync(join(folder, 'package.json'), '{ "private": true }\n');
      const quiet = ['--no-audit', '--no-fund', '--no-package-lock', '--ignore-scripts', '--loglevel=error'];
      const args = ['install', '--prefix', folder, ...quiet, `${name}@${version}`];
      await tool(`npm install ${name}@${version}`, 'npm', args);
    });
    const module = join(folderOf(name), 'node_modules', name);
    return {
      version,
      command: (args) => [process.execPath, [join(here, harness), ...args, '--package', module]],
    };
  };
}

/** A program of this repository. */
export function nodeProgram(path) {
  return async () => {
    if (!existsSync(join(root, 'dist', 'index.js'))) throw new Skipped('dist/ is not built: npm run setup');
    return { command: (args) => [process.execPath, [join(root, path), ...args]] };
  };
}

/** Packages of Maven by the folder's pom.xml, and the sources beside it and in java/, compiled. */
export function mavenProgram({ name, version, main, flags }) {
  return async () => {
    need('java', 'javac', 'mvn');
    const folder = folderOf(name);
    const lib = join(folder, 'lib');
    const classes = join(folder, 'classes');
    await once(name, { sources: digestOf(name, 'java') }, async () => {
      const pom = join(here, name, 'pom.xml');
      const args = ['-q', '-B', '-f', pom, 'dependency:copy-dependencies', `-DoutputDirectory=${lib}`];
      await tool(`mvn dependency:copy-dependencies for ${name} ${version}`, 'mvn', args);
      const sources = ['java', name].flatMap((from) =>
        readdirSync(join(here, from))
          .filter((file) => file.endsWith('.java'))
          .map((file) => join(here, from, file)),
      );
      await tool(`javac for ${name}`, 'javac', ['-cp', join(lib, '*'), '-d', classes, ...sources]);
    });
    const java = [...flags, `-Dpeer.version=${version}`, '-cp', `${classes}:${join(lib, '*')}`, main];
    return { version, command: (args) => ['java', [...java, ...args]] };
  };
}

/** A crate, by the folder's Cargo.toml and sources, which are copied and built outside of the repository's own files. */
export function cargoPackage({ name, version }) {
  return async () => {
    need('cargo');
    const folder = folderOf(name);
    await once(name, { sources: digestOf(name) }, async () => {
      cpSync(join(here, name), folder, { recursive: true });
      await tool(`cargo build for ${name} ${version}`, 'cargo', ['build', '--release', '--quiet'], {
        cwd: folder,
        env: { CARGO_TARGET_DIR: join(folder, 'target') },
      });
    });
    const program = join(folder, 'target', 'release', 'peer');
    return { version, command: (args) => [program, [...args, '--version', version]] };
  };
}
