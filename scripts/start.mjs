// npm start [-- arguments]: setup, then `verbex run --demo` (`npm start -- --no-demo` leaves the crowd out).
//
// The node runs in this very process: the terminal is its own, and its exit code too.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root, StepFailed, say } from './steps/console.mjs';
import { setup } from './steps/setup.mjs';

const samePressMs = 500;

/**
 * One Ctrl-C arrives twice: the terminal signals every process it runs, and npm hands on the one it
 * got. Signals of one kind within half a second are one press, so that the second does not read as
 * "at once, please" to whoever counts them.
 */
function joinRepeatedSignals() {
  const lastAt = new Map();
  const emit = process.emit;
  process.emit = function emitOnce(name, ...rest) {
    if (name === 'SIGINT' || name === 'SIGTERM') {
      const now = performance.now();
      const since = now - (lastAt.get(name) ?? Number.NEGATIVE_INFINITY);
      if (since < samePressMs) return true;
      lastAt.set(name, now);
    }
    return emit.call(this, name, ...rest);
  };
}

try {
  await setup({ withTests: false });
  const program = join(root, 'dist', 'cli', 'main.js');
  if (!existsSync(program)) throw new StepFailed('dist/cli/main.js is not there: src/cli/main.ts is missing');
  const given = process.argv.slice(2);
  const demo = given.includes('--no-demo') ? [] : ['--demo'];
  joinRepeatedSignals();
  process.argv = [process.execPath, program, 'run', ...demo, ...given];
  await import(pathToFileURL(program).href);
} catch (error) {
  if (!(error instanceof StepFailed)) throw error;
  say(`\nverbex: ${error.message}`);
  process.exitCode = 1;
}
