// npm run test:tsan [-- room …]: the native tests of the rooms that have threads, or of the rooms named,
// under ThreadSanitizer. It judges what the hardware at hand would let pass: an order between threads
// that the code does not ask for. In build/tsan; the first time takes as long as building everything does.
import { main, StepFailed } from './steps/console.mjs';
import { runNativeTests } from './steps/native-tests.mjs';
import { setupNativeTests } from './steps/setup.mjs';
import { saySkipped } from './steps/system.mjs';
import { closingLine } from './steps/vitest.mjs';

const roomsWithThreads = ['node', 'pipeline'];

await main(async (args) => {
  const skippedParts = await setupNativeTests();
  if (skippedParts.length > 0) {
    saySkipped(skippedParts);
    throw new StepFailed('the native tests cannot be built here');
  }
  const rooms = args.length > 0 ? args : roomsWithThreads;
  const total = await runNativeTests(rooms, { folder: 'build/tsan', sanitize: 'thread' });
  process.stdout.write(`${closingLine(total)}\n`);
  return total.failed > 0 || total.passed === 0 ? 1 : 0;
});
