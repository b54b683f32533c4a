// A vitest reporter that prints nothing and writes how many tests passed, failed and were skipped.
// The path comes in VERBEX_COUNTS.
import { writeFileSync } from 'node:fs';

export default class CountsReporter {
  onTestRunEnd(modules, unhandledErrors) {
    const counts = { passed: 0, failed: unhandledErrors.length, skipped: 0 };
    for (const module of modules) {
      let failedHere = 0;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (state === 'passed') counts.passed += 1;
        else if (state === 'skipped') counts.skipped += 1;
        else failedHere += 1;
      }
      // A file that could not be loaded, or whose hooks failed, has no failed test: it counts as one.
      counts.failed += module.state() === 'failed' ? Math.max(1, failedHere) : failedHere;
    }
    writeFileSync(process.env.VERBEX_COUNTS, JSON.stringify(counts));
  }
}
