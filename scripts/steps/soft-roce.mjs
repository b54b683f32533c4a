// The verbs tests of the native rooms, run where there is an RDMA device: docker/soft-roce.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { root, run, say } from './console.mjs';
import { buildNativeTests, countResults, testFolders, usual, withoutPassed } from './native-tests.mjs';
import { verbsTests } from './system.mjs';

const setupProgram = 'docker/soft-roce/setup';
const runProgram = 'docker/soft-roce/run';
/** What `setup` ends with where the machine cannot be had. */
const unavailable = 75;
const setupTimeoutMs = 10 * 60_000;
const rooms = ['transport', 'node'];
// Everything, and one room of it: a room that hangs leaves the others a little. It is meant to take less than two minutes.
const usualRun = { rooms, seconds: 150, roomSeconds: 100, environment: {} };

// Tests that need a device, by GoogleTest's patterns.
const verbsFilter = '*verbs*:*Verbs*';
const soakFilter = 'Verbs/*Soak*';
const soakSeconds = 3600;

/** Those of a room that run here, and so nowhere else. */
export function verbsTestsOf(room) {
  return rooms.includes(room) ? verbsFilter : undefined;
}

/**
 * Makes sure of the machine.
 * @returns undefined, or the part that has to be skipped: { part, missing, command }
 */
export async function provideSoftRoce() {
  const result = await run(join(root, setupProgram), [], {
    output: 'keep',
    label: 'soft-RoCE machine',
    timeoutMs: setupTimeoutMs,
  });
  if (result.text !== '') say(result.text.trimEnd());
  if (result.code === 0) return undefined;
  const reasons = result.text
    .split('\n')
    .flatMap((line) => /cannot be set up here: (.*)/.exec(line)?.[1] ?? []);
  const missing =
    result.code === unavailable && reasons.length > 0
      ? reasons
      : [
          `the soft-RoCE machine (${setupProgram} ${result.timedOut ? 'took too long' : `ended with ${result.signal ?? result.code}`})`,
        ];
  return { part: verbsTests, missing, command: `sudo ${setupProgram}` };
}

/** Two nodes as docker/compose.soft-roce.yaml has three, by the same scripts: a third costs as much again and shows no more. */
const links = 'links';
const linksSeconds = 60;
const nodes = ['198.18.77.1/24', '198.18.77.2/24'];

/** The rooms' binaries one after the other, then the links, each with its results in the folder that comes back. */
function script(folder, { filter, roomSeconds }) {
  const test = `timeout -k 5 ${roomSeconds} ${folder}/tests/"$room"_test --gtest_filter='${filter}'`;
  return [
    'for room in "$@"; do',
    '  echo "== $room"',
    `  ${test} --gtest_output=json:"$VERBEX_RDMA_OUT/$room.json" 2>&1`,
    '  echo "== $room ended with $?"',
    'done',
    `echo "== ${links}"`,
    `timeout -k 5 ${linksSeconds} docker/soft-roce/check-set ${nodes.join(' ')} 2>&1`,
    `echo "== ${links} ended with $?"`,
  ].join('\n');
}

/** What one room printed, out of what all of them did: { text, ended }. */
export function outputOf(room, text) {
  const [, after = ''] = text.split(`== ${room}\n`);
  const end = new RegExp(`^== ${room} ended with (\\d+)$`, 'm').exec(after);
  return end === null
    ? { text: after, ended: undefined }
    : { text: after.slice(0, end.index), ended: Number(end[1]) };
}

/** Counts of one room; without its results, without a test, or with a bad end and nothing failed, it has failed once. */
export function countRoom(json, ended) {
  const counts = json === undefined ? { passed: 0, failed: 0, skipped: 0 } : countResults(json);
  const none = counts.passed + counts.failed + counts.skipped === 0;
  if (counts.failed === 0 && (none || ended !== 0)) counts.failed = 1;
  return counts;
}

/** The soak alone, with so many frames a link. */
export function runVerbsSoak(frames) {
  return runVerbsTests({
    rooms: ['transport'],
    seconds: soakSeconds,
    roomSeconds: soakSeconds,
    filter: soakFilter,
    environment: { VERBEX_SOAK_FRAMES: String(frames) },
  });
}

/** Builds the rooms' tests and runs them in the machine, in one boot. */
export async function runVerbsTests(given = {}) {
  const how = { ...usualRun, filter: verbsFilter, ...given };
  const total = { passed: 0, failed: 0, skipped: 0 };
  const known = testFolders().filter((room) => how.rooms.includes(room));
  const broken = known.length === 0 ? [] : await buildNativeTests(known);
  const built = known.filter((room) => !broken.includes(room));
  const results = join(root, usual.folder, 'results');
  mkdirSync(results, { recursive: true });
  const out = mkdtempSync(join(results, 'verbs-'));
  const ran = await run(
    join(root, runProgram),
    ['-t', String(how.seconds), '--', 'bash', '-c', script(usual.folder, how), 'verbs', ...built],
    {
      output: 'keep',
      label: 'verbs tests',
      // `run` ends the machine by itself; this is for a `run` that does not end.
      timeoutMs: (how.seconds + 20) * 1000,
      env: { ...how.environment, VERBEX_RDMA_OUT: out, VERBEX_REQUIRE_VERBS: '1' },
    },
  );
  const bad = [];
  const link = outputOf(links, ran.text);
  if (link.ended === 0) total.passed += 1;
  else {
    total.failed += 1;
    bad.push(
      `${link.text.trimEnd()}\n   the link between two nodes: ended with ${link.ended ?? 'the machine'}`,
    );
  }
  for (const room of built) {
    const path = join(out, `${room}.json`);
    const { text, ended } = outputOf(room, ran.text);
    const counts = countRoom(existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : undefined, ended);
    for (const key of Object.keys(total)) total[key] += counts[key];
    if (counts.failed > 0)
      bad.push(`${withoutPassed(text)}\n   ${room}_test ended with ${ended ?? 'the machine'}`);
  }
  for (const room of broken) bad.push(`   native ${room} does not build`);
  total.failed += broken.length;
  if (ran.code !== 0) {
    bad.push(
      `   ${runProgram} ended with ${ran.code ?? ran.signal}\n${ran.text.trimEnd().split('\n').slice(-40).join('\n')}`,
    );
    if (total.failed === 0) total.failed = 1;
  }
  rmSync(out, { recursive: true, force: true });
  const mark = total.failed === 0 ? '✓' : '✗';
  const skipped = total.skipped === 0 ? '' : `, ${total.skipped} skipped`;
  const took = (ran.elapsedMs / 1000).toFixed(1);
  say(
    ` ${mark} native verbs (soft-RoCE): ${total.passed} passed, ${total.failed} failed${skipped} (${took} s)`,
  );
  for (const text of bad) say(text);
  return total;
}
