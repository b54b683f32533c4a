// npm run test:rdma: the verbs tests of the native rooms alone, where there is an RDMA device: on this kernel if it
// has one, otherwise in the machine that docker/soft-roce emulates.
import { main, StepFailed } from './steps/console.mjs';
import { setupNativeTests } from './steps/setup.mjs';
import { provideSoftRoce, runVerbsTests } from './steps/soft-roce.mjs';
import { saySkipped } from './steps/system.mjs';
import { closingLine } from './steps/vitest.mjs';

await main(async () => {
  const skippedParts = await setupNativeTests({ withVerbs: true });
  if (skippedParts.length === 0) skippedParts.push(...[await provideSoftRoce()].filter(Boolean));
  if (skippedParts.length > 0) {
    saySkipped(skippedParts);
    throw new StepFailed('the verbs tests cannot be run here');
  }
  const total = await runVerbsTests();
  process.stdout.write(`${closingLine(total)}\n`);
  return total.failed > 0 || total.passed === 0 ? 1 : 0;
});
