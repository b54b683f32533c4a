// dist/ from src/: tsc, plus the files beside the TypeScript (pages, styles) copied as they are.
// Written next to dist/ and swapped in when it is whole, so that a failed build leaves the last good one.
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { mustRun, root, say, seconds } from './console.mjs';

const stampPath = join(root, 'build', 'typescript.json');
const programs = ['cli/main.js'];

function listSources() {
  if (!existsSync(join(root, 'src'))) return [];
  return readdirSync(join(root, 'src'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(join(root, 'src').length + 1))
    .sort();
}

function digest(sources) {
  const hash = createHash('sha256');
  const inputs = ['tsconfig.json', 'tsconfig.build.json', 'package-lock.json'];
  for (const path of [...inputs, ...sources.map((source) => `src/${source}`)]) {
    hash
      .update(`${path}\0`)
      .update(readFileSync(join(root, path)))
      .update('\0');
  }
  return hash.digest('hex');
}

/**
 * `npx verbex` in the clone makes a link of its own in npm's cache, but never mends it when it was
 * first tried before dist/ was there. This link is found in either case.
 */
function linkProgram() {
  const link = join(root, 'node_modules', '.bin', 'verbex');
  if (lstatSync(link, { throwIfNoEntry: false }) === undefined) symlinkSync('../../dist/cli/main.js', link);
}

/** @returns 'nothing', 'built' or 'no sources' */
export async function buildTypeScript() {
  linkProgram();
  const sources = listSources();
  if (!sources.some((source) => source.endsWith('.ts'))) return 'no sources';
  const key = digest(sources);
  const known = existsSync(stampPath) ? readFileSync(stampPath, 'utf8') : '';
  if (known === key && existsSync(join(root, 'dist'))) return 'nothing';
  const started = performance.now();
  say('typescript: src/ to dist/');
  const next = join(root, '.dist-next');
  const old = join(root, '.dist-old');
  rmSync(next, { recursive: true, force: true });
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  await mustRun(process.execPath, [tsc, '-p', 'tsconfig.build.json', '--outDir', '.dist-next'], {
    label: 'tsc',
  });
  for (const source of sources.filter((path) => !path.endsWith('.ts'))) {
    mkdirSync(dirname(join(next, source)), { recursive: true });
    copyFileSync(join(root, 'src', source), join(next, source));
  }
  for (const program of programs) {
    if (existsSync(join(next, program))) chmodSync(join(next, program), 0o755);
  }
  rmSync(old, { recursive: true, force: true });
  if (existsSync(join(root, 'dist'))) renameSync(join(root, 'dist'), old);
  renameSync(next, join(root, 'dist'));
  rmSync(old, { recursive: true, force: true });
  mkdirSync(dirname(stampPath), { recursive: true });
  writeFileSync(stampPath, key);
  say(`typescript: dist/ in ${seconds(started)}`);
  return 'built';
}
