// npm run build:native [-- --debug | --fuzz]: builds the addon alone.
//
// CXX, CXXFLAGS and LDFLAGS are honoured (CXX=clang++ CXXFLAGS=-O0 npm run build:native); each
// combination keeps its own object files, so changing back and forth does not compile again.
import { parseArgs } from 'node:util';
import { buildAddon } from './steps/addon.mjs';
import { main, StepFailed, say } from './steps/console.mjs';
import { withSetupLock } from './steps/lock.mjs';

await main(async (args) => {
  const { values } = parseArgs({
    args,
    options: { debug: { type: 'boolean' }, fuzz: { type: 'boolean' } },
  });
  if (values.debug && values.fuzz) throw new StepFailed('--debug and --fuzz exclude each other');
  const variant = values.fuzz ? 'fuzz' : values.debug ? 'debug' : 'release';
  const result = await withSetupLock(() => buildAddon(variant));
  if (result.did === 'nothing') say(`addon (${variant}): ${result.file} is up to date`);
  if (result.did === 'no sources') throw new StepFailed('native/sources.txt lists nothing in addon/');
});
