// npm run bench:report [-- --quick]: builds what is missing, runs every bench, writes build/bench/report/index.html.
import { join } from 'node:path';
import { buildAddon } from './steps/addon.mjs';
import { main, root, run } from './steps/console.mjs';
import { withSetupLock } from './steps/lock.mjs';
import { buildTypeScript } from './steps/typescript.mjs';

await main(async (args) => {
  await withSetupLock(async () => {
    await buildAddon('release');
    await buildTypeScript();
  });
  const program = join(root, 'dist', 'cli', 'main.js');
  const { code } = await run(process.execPath, [program, 'bench', 'report', ...args], { output: 'inherit' });
  return code;
});
