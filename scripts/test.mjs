// npm test [-- vitest arguments]: setup, the native tests, the verbs tests on soft-RoCE, then vitest; the last line sums all.
// npm run test:native [-- room …]: the native tests alone, of all rooms or of the ones named; verbs tests only with all.
//
// With arguments (a pattern, -t name) only vitest runs, on what they select. VERBEX_REQUIRE_ALL=1
// runs everything whatever the arguments, and makes a part that would have to be skipped a failure.
import { main, StepFailed, say } from './steps/console.mjs';
import { runNativeTests, usual } from './steps/native-tests.mjs';
import { setup, setupNativeTests } from './steps/setup.mjs';
import { provideSoftRoce, runVerbsTests, verbsTestsOf } from './steps/soft-roce.mjs';
import { nativeTests, saySkipped } from './steps/system.mjs';
import { closingLine, runVitest } from './steps/vitest.mjs';

await main(async (args) => {
  const nativeOnly = args[0] === '--native-only';
  const selected = nativeOnly ? args.slice(1) : args;
  const requireAll = process.env.VERBEX_REQUIRE_ALL === '1';
  const withNative = nativeOnly || selected.length === 0 || requireAll;
  const wantVerbs = withNative && (selected.length === 0 || !nativeOnly);
  const skippedParts = await (nativeOnly
    ? setupNativeTests({ withVerbs: wantVerbs })
    : setup({ withTests: withNative }));
  const verbsHere = wantVerbs && skippedParts.length === 0;
  if (verbsHere) skippedParts.push(...[await provideSoftRoce()].filter(Boolean));
  if (requireAll && skippedParts.length > 0) {
    saySkipped(skippedParts);
    throw new StepFailed('VERBEX_REQUIRE_ALL=1, and a part would have to be skipped');
  }
  const withVerbs = verbsHere && skippedParts.length === 0;
  const total = { passed: 0, failed: 0, skipped: 0 };
  const add = (counts) => {
    for (const key of Object.keys(total)) total[key] += counts[key];
  };
  if (!withNative) say('native tests: left out, since vitest arguments were given (npm run test:native)');
  else if (!skippedParts.some(({ part }) => part === nativeTests)) {
    // What runs in the machine is not tried, and skipped, without one before.
    const how = withVerbs ? { ...usual, without: verbsTestsOf } : usual;
    add(await runNativeTests(nativeOnly ? selected : [], how));
  }
  if (withVerbs) add(await runVerbsTests());
  if (!nativeOnly) add(await runVitest(selected));
  saySkipped(skippedParts);
  process.stdout.write(`${closingLine(total)}\n`);
  return total.failed > 0 || total.passed === 0 ? 1 : 0;
});
