// Runs the vitest suite and hands back its counts.
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { root, run } from './console.mjs';

/** @returns the counts; a run that ended badly without a failed test counts as one failure */
export async function runVitest(args, { node = process.execPath, name = 'vitest' } = {}) {
  const countsPath = join(root, 'build', 'test', `${name}-${process.pid}.json`);
  mkdirSync(dirname(countsPath), { recursive: true });
  rmSync(countsPath, { force: true });
  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
  const reporters = [
    '--reporter=default',
    `--reporter=${join(root, 'scripts', 'steps', 'vitest-counts.mjs')}`,
  ];
  const { code } = await run(node, [vitest, 'run', ...reporters, ...args], {
    output: 'inherit',
    // A test that starts `node` by name means the one that runs it.
    env: { VERBEX_COUNTS: countsPath, PATH: `${dirname(node)}${delimiter}${process.env.PATH ?? ''}` },
  });
  const counts = existsSync(countsPath)
    ? JSON.parse(readFileSync(countsPath, 'utf8'))
    : { passed: 0, failed: 0, skipped: 0 };
  rmSync(countsPath, { force: true });
  if (code !== 0 && counts.failed === 0) counts.failed = 1;
  return counts;
}

export function closingLine({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}
