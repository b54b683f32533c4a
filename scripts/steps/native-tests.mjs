// The GoogleTest binaries: configured and built by CMake, one per folder of test/native. Usually in
// build/native; under a sanitizer in a folder of its own.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram, mustRun, root, run, StepFailed, say, seconds } from './console.mjs';
import { withSetupLock } from './lock.mjs';
import { provideRoomObjects } from './objects.mjs';
import { findCompiler, hasVerbsHeaders } from './toolchain.mjs';

// Of one that hangs. The longest take a minute and a half on two processors with nothing else to do.
const binaryTimeoutMs = 10 * 60_000;
// Most of their time is spent waiting for threads and timers of their own.
const atOnce = 3;
const longest = ['node', 'sim', 'transport', 'roles', 'journal', 'pipeline', 'model', 'replication'];
// As long as all others together, if it ran in one process.
const shardsOf = { node: 5 };

/**
 * A build is where its files lie and what is watched: `sanitize` as VERBEX_SANITIZE takes it. How it is run: `filter` as
 * GoogleTest's, `without` says of a folder which tests are left out, `environment` on top of ours, and how long one binary may take.
 */
export const usual = { folder: 'build/native', sanitize: undefined, timeoutMs: binaryTimeoutMs };

export function testFolders() {
  const base = join(root, 'test', 'native');
  if (!existsSync(base)) return [];
  return readdirSync(base, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .filter((name) => readdirSync(join(base, name)).some((file) => file.endsWith('_test.cpp')))
    .sort();
}

/**
 * CMake remembers the first compiler for ever, so another one means another start; so do headers of libibverbs that came or
 * went, since no object file's dependencies name a file that was not there.
 */
async function configure({ folder, sanitize }, objects) {
  const compiler = findCompiler();
  const generator = findProgram('ninja') === undefined ? 'Unix Makefiles' : 'Ninja';
  const args = [
    ['-S', 'native', '-B', folder, '-G', generator],
    [
      `-DCMAKE_CXX_COMPILER=${[compiler.path, ...compiler.args].join(';')}`,
      '-DCMAKE_BUILD_TYPE=RelWithDebInfo',
    ],
    [`-DCMAKE_CXX_FLAGS=${process.env.CXXFLAGS ?? ''}`],
    process.env.VERBEX_WERROR === '1' ? ['-DVERBEX_WERROR=ON'] : [],
    sanitize === undefined ? [] : [`-DVERBEX_SANITIZE=${sanitize}`],
    objects === undefined ? [] : [`-DVERBEX_OBJECTS=${objects}`],
  ].flat();
  const record = join(root, folder, 'configured.json');
  const wanted = JSON.stringify({ args, verbs: hasVerbsHeaders() });
  if (existsSync(record) && readFileSync(record, 'utf8') === wanted) {
    // Ninja looks for new folders by itself; make would not know their targets.
    if (generator !== 'Ninja') await mustRun('cmake', args, { output: 'keep' });
    return;
  }
  rmSync(join(root, folder), { recursive: true, force: true });
  await mustRun('cmake', args, { output: 'keep', label: 'cmake' });
  writeFileSync(record, wanted);
}

/** Builds the folders' binaries, past the first failure; returns those that could not be built. */
async function build({ folder }, folders) {
  const base = ['--build', folder, '-j', process.env.VERBEX_JOBS ?? '2', '--target'];
  const keepGoing = findProgram('ninja') === undefined ? ['-k'] : ['-k', '0'];
  const all = [...base, ...folders.map((name) => `${name}_test`), '--', ...keepGoing];
  if ((await run('cmake', all, { label: 'building native tests' })).code === 0) return [];
  const broken = [];
  for (const name of folders) {
    const { code } = await run('cmake', [...base, `${name}_test`], { output: 'keep' });
    if (code !== 0) broken.push(name);
  }
  return broken;
}

/** What begins last would run alone for as long as it takes. */
function longestFirst(folders) {
  const rank = (name) => (longest.includes(name) ? longest.indexOf(name) : longest.length);
  return folders.toSorted((one, other) => rank(one) - rank(other));
}

/** Counts of one binary from GoogleTest's JSON. A binary that died before writing it has failed once. */
export function countResults(json) {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const suite of json.testsuites) {
    for (const test of suite.testsuite) {
      if (test.failures !== undefined) counts.failed += 1;
      else if (test.result === 'SKIPPED' || test.status === 'NOTRUN') counts.skipped += 1;
      else counts.passed += 1;
    }
  }
  return counts;
}

/** GoogleTest's output without the tests that passed: a test that crashed is the last RUN line. */
export function withoutPassed(text) {
  const lines = [];
  for (const line of text.trimEnd().split('\n')) {
    if (line.startsWith('[       OK ]')) {
      const begun = lines.findLastIndex((earlier) => earlier.startsWith('[ RUN      ]'));
      if (begun >= 0) lines.length = begun;
    } else if (!line.startsWith('[-------') && line !== '') {
      lines.push(line);
    }
  }
  return lines.join('\n');
}

/** The parts in which the folders' tests run, each a process of its own: a share of one folder's. */
export function partsOf(folders) {
  return longestFirst(folders).flatMap((name) => {
    const of = shardsOf[name] ?? 1;
    return Array.from({ length: of }, (_, index) => ({
      name,
      title: of === 1 ? name : `${name} (${index + 1} of ${of})`,
      environment: of === 1 ? {} : { GTEST_TOTAL_SHARDS: String(of), GTEST_SHARD_INDEX: String(index) },
    }));
  });
}

async function runPart({ folder, filter, without, environment, timeoutMs = binaryTimeoutMs }, part) {
  const { name, title } = part;
  const resultPath = join(root, folder, 'results', `${title.replaceAll(/\W+/g, '-')}-${process.pid}.json`);
  rmSync(resultPath, { force: true });
  const leftOut = without?.(name);
  const selected = `${filter ?? '*'}${leftOut === undefined ? '' : `-${leftOut}`}`;
  const args = [`--gtest_output=json:${resultPath}`, `--gtest_filter=${selected}`];
  const result = await run(join(root, folder, 'tests', `${name}_test`), args, {
    output: 'keep',
    label: `${title} tests`,
    timeoutMs,
    env: { ...environment, ...part.environment },
  });
  const written = existsSync(resultPath);
  const counts = written
    ? countResults(JSON.parse(readFileSync(resultPath, 'utf8')))
    : { passed: 0, failed: 1, skipped: 0 };
  // A sanitizer's report at exit, say: no test failed, yet the binary did.
  if (written && result.code !== 0 && counts.failed === 0) counts.failed = 1;
  rmSync(resultPath, { force: true });
  const took = (result.elapsedMs / 1000).toFixed(1);
  const mark = counts.failed === 0 ? '✓' : '✗';
  say(` ${mark} native ${title}: ${counts.passed} passed, ${counts.failed} failed (${took} s)`);
  // A campaign says what it has done.
  if (filter !== undefined) for (const [line] of result.text.matchAll(/^seeds .*$/gm)) say(`   ${line}`);
  if (counts.failed > 0) {
    const end = result.timedOut ? 'took too long' : `ended with ${result.signal ?? result.code}`;
    say(`${withoutPassed(result.text)}\n   ${name}_test ${end}`);
  }
  return counts;
}

/** Configures and builds the folders' binaries, one setup at a time; returns those that could not be built. */
export function buildNativeTests(folders, how = usual) {
  return withSetupLock(async () => {
    say(`native tests: building ${folders.join(', ')}`);
    // Under a sanitizer everything is compiled anew; else the tests are linked to what the addon is made of.
    const objects = how.sanitize === undefined ? await provideRoomObjects() : undefined;
    await configure(how, objects);
    return build(how, folders);
  });
}

/**
 * @param only the folders of test/native wanted; none named means all
 * @param how the build that is run, the usual one unless said otherwise
 */
export async function runNativeTests(only = [], how = usual) {
  const total = { passed: 0, failed: 0, skipped: 0 };
  const known = testFolders();
  const strange = only.filter((name) => !known.includes(name));
  if (strange.length > 0) {
    throw new StepFailed(`no tests in test/native/${strange.join(', ')}; there are: ${known.join(', ')}`);
  }
  const folders = only.length > 0 ? only : known;
  if (folders.length === 0) {
    say('native tests: none');
    return total;
  }
  const started = performance.now();
  const broken = await buildNativeTests(folders, how);
  mkdirSync(join(root, how.folder, 'results'), { recursive: true });
  say(`native tests: built in ${seconds(started)}`);
  for (const name of broken) {
    total.failed += 1;
    say(` ✗ native ${name}: does not build`);
  }
  const queue = partsOf(folders.filter((name) => !broken.includes(name)));
  const worker = async () => {
    for (let part = queue.shift(); part !== undefined; part = queue.shift()) {
      const counts = await runPart(how, part);
      for (const key of Object.keys(total)) total[key] += counts[key];
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  say(`native tests: ${total.passed} passed, ${total.failed} failed in ${seconds(started)}`);
  return total;
}
