// npm run test:tsan [-- room …]: the native tests of the rooms whose code runs in threads, or of the rooms
// named, under ThreadSanitizer. It judges what the hardware at hand would let pass: an order between threads
// that the code does not ask for. In build/tsan; the first time takes as long as building everything does.
//
// It sees one process: what shares memory with another (role_host_test's children, a killed node) is judged on
// its own side only. `load` has no tests of its own; its threads run in those of node.
import { main, StepFailed } from './steps/console.mjs';
import { runNativeTests } from './steps/native-tests.mjs';
import { setupNativeTests } from './steps/setup.mjs';
import { saySkipped } from './steps/system.mjs';
import { closingLine } from './steps/vitest.mjs';

// replication and roles are functions of what they are handed, but their hosts' threads are node's to test, and
// what only one thread runs here costs a minute and would show the first thread that comes in.
const roomsWithThreads = ['node', 'pipeline', 'replication', 'roles', 'sim'];

/**
 * By default not run. Simulated clusters and books that are held against the core run in one thread, for minutes; what a campaign's
 * threads share is another test's. RoundingSoak times signals, which ThreadSanitizer hands on when it sees fit: it fails here.
 */
const leftOut = {
  node: 'Scales/ItchBook.*:ItchBookDay.*:RoundingSoak.*',
  sim: '*.KeepsItsWord*:*.ASecondSite*:*.SameSeed*:Rules/*',
};

const timeoutMs = 20 * 60_000;

await main(async (args) => {
  const skippedParts = await setupNativeTests();
  if (skippedParts.length > 0) {
    saySkipped(skippedParts);
    throw new StepFailed('the native tests cannot be built here');
  }
  const how = { folder: 'build/tsan', sanitize: 'thread', timeoutMs };
  const total =
    args.length > 0
      ? await runNativeTests(args, how)
      : await runNativeTests(roomsWithThreads, { ...how, without: (room) => leftOut[room] });
  process.stdout.write(`${closingLine(total)}\n`);
  return total.failed > 0 || total.passed === 0 ? 1 : 0;
});
