// npm run setup: installs and builds what is missing.
import { main } from './steps/console.mjs';
import { setup } from './steps/setup.mjs';
import { saySkipped } from './steps/system.mjs';

await main(async () => {
  const skipped = await setup({ withTests: true });
  saySkipped(skipped);
  return skipped.length > 0 && process.env.VERBEX_REQUIRE_ALL === '1' ? 1 : 0;
});
