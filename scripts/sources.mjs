// npm run sources: rewrites native/sources.txt from the .cpp files that are there.
import { main, say } from './steps/console.mjs';
import { writeSources } from './steps/sources.mjs';

await main(() => {
  say(`native/sources.txt: ${writeSources().length} files`);
});
