// Everything between a fresh clone and something that runs. Quick when nothing is missing.
import { buildAddon } from './addon.mjs';
import { say, seconds } from './console.mjs';
import { withSetupLock } from './lock.mjs';
import { installPackages } from './packages.mjs';
import { checkNode, provideTools } from './system.mjs';
import { buildTypeScript } from './typescript.mjs';

/**
 * @param withTests whether what only the native tests need is wanted
 * @returns the parts that have to be skipped for want of system packages
 */
export function setup({ withTests }) {
  return withSetupLock(async () => {
    const started = performance.now();
    checkNode();
    const skipped = await provideTools({ withTests, withVerbs: withTests });
    const installed = await installPackages();
    const addon = await buildAddon('release');
    const dist = await buildTypeScript();
    const did = [
      installed ? 'packages installed' : undefined,
      addon.did === 'built' ? `addon built (${addon.compiled} files)` : undefined,
      addon.did === 'no sources' ? 'no sources in native/addon' : undefined,
      dist === 'built' ? 'dist/ built' : undefined,
      dist === 'no sources' ? 'no sources in src' : undefined,
    ].filter((text) => text !== undefined);
    say(`setup: ${did.length === 0 ? 'everything is up to date' : did.join(', ')} (${seconds(started)})`);
    return skipped;
  });
}

/** The native tests need neither npm's packages nor the addon: only what the machine has to bring. */
export function setupNativeTests({ withVerbs = false } = {}) {
  return withSetupLock(() => {
    checkNode();
    return provideTools({ withTests: true, withVerbs });
  });
}
