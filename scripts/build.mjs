// npm run build: the addon and dist/, with what is installed.
import { buildAddon } from './steps/addon.mjs';
import { main, say } from './steps/console.mjs';
import { withSetupLock } from './steps/lock.mjs';
import { buildTypeScript } from './steps/typescript.mjs';

await main(() =>
  withSetupLock(async () => {
    const addon = await buildAddon('release');
    const dist = await buildTypeScript();
    say(
      `build: addon ${addon.did === 'nothing' ? 'up to date' : addon.did}, dist/ ${dist === 'nothing' ? 'up to date' : dist}`,
    );
  }),
);
