// native/sources.txt, the one list of the engine's source files.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root, StepFailed } from './console.mjs';

const listPath = 'native/sources.txt';

function lines() {
  return readFileSync(join(root, listPath), 'utf8').split('\n');
}

export function readSources() {
  const sources = lines()
    .map((line) => line.replace(/#.*/, '').trim())
    .filter((line) => line !== '');
  const missing = sources.filter((source) => !existsSync(join(root, 'native', source)));
  if (missing.length > 0) {
    throw new StepFailed(
      `${listPath} names files that are not there: ${missing.join(', ')} (npm run sources)`,
    );
  }
  return sources;
}

/** Every room/…/file.cpp under native/, in an order that does not depend on the host. */
export function findSources() {
  return readdirSync(join(root, 'native'), { recursive: true })
    .map((path) => path.replaceAll('\\', '/'))
    .filter((path) => path.endsWith('.cpp') && path.includes('/'))
    .sort();
}

/** Rewrites the list from what is there, keeping the comment at its head. */
export function writeSources() {
  const head = lines().filter((line) => line.startsWith('#'));
  const found = findSources();
  writeFileSync(join(root, listPath), [...head, ...found, ''].join('\n'));
  return found;
}
