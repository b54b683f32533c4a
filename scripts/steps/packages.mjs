// node_modules as package-lock.json has it.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram, mustRun, root, StepFailed, say, seconds } from './console.mjs';

/**
 * npm notes what it installed in node_modules/.package-lock.json; nothing is missing when every
 * package of the lock is there in the same version. Packages for other systems are optional.
 */
function isInstalled() {
  const hidden = join(root, 'node_modules', '.package-lock.json');
  if (!existsSync(hidden)) return false;
  const installed = JSON.parse(readFileSync(hidden, 'utf8')).packages;
  const wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
  return Object.entries(wanted).every(
    ([path, { version, optional }]) =>
      path === '' || installed[path]?.version === version || (optional && installed[path] === undefined),
  );
}

export async function installPackages() {
  if (isInstalled()) return false;
  const started = performance.now();
  say('packages: npm ci');
  const args = ['ci', '--no-audit', '--no-fund', '--loglevel=error'];
  // Started by npm, the very same npm; started by hand, the one on PATH.
  const script = process.env.npm_execpath;
  const npm = findProgram('npm');
  if (script?.endsWith('npm-cli.js')) {
    await mustRun(process.execPath, [script, ...args], { label: 'npm ci' });
  } else if (npm !== undefined) {
    await mustRun(npm, args, { label: 'npm ci' });
  } else {
    throw new StepFailed('npm is not on PATH; it comes with Node (https://nodejs.org)');
  }
  say(`packages: installed in ${seconds(started)}`);
  return true;
}
