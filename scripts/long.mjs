// npm run test:long [-- --minutes M] [--seed S] [--sim-seeds N] [--kills N] [--handoffs N] [--frames N]: campaigns that npm test runs in small.
//
// Serial equivalence of the pipeline for M minutes (default 10) from a seed that is drawn, and said, unless given;
// then N runs of simulated clusters (default 20,000) from that seed; then N kills of members of a running cluster (default 1,000,
// and half as many pauses), whose ledger must be right; then N hand-offs (default a billion) through each of the rings; then N frames (default ten million) over each transport,
// verbs in the soft-RoCE machine; then every state of the larger worlds of the replication protocol. Prints what it did, with seeds.
import { randomInt } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { main, root, run, StepFailed, say } from './steps/console.mjs';
import { runNativeTests } from './steps/native-tests.mjs';
import { setup } from './steps/setup.mjs';
import { provideSoftRoce, runVerbsSoak } from './steps/soft-roce.mjs';
import { saySkipped } from './steps/system.mjs';
import { closingLine } from './steps/vitest.mjs';

// What one test of the four that share the time takes of it (equivalence_test.cpp takes four shares for the first).
const shares = 4;

function positive(values, name) {
  const number = Number(values[name]);
  if (!(Number.isFinite(number) && number > 0)) {
    throw new StepFailed(`--${name} takes a number above 0, not ${values[name]}`);
  }
  return number;
}

/** One test: the drill's own verdict, with its seed, is printed as it is. */
async function runDrill(kills, seed) {
  const args = ['drill', 'failover', '--kills', String(kills), '--pauses', '--seed', String(seed), '--json'];
  say(`drill: verbex ${args.join(' ')}`);
  const { code, text } = await run(process.execPath, [join(root, 'dist/cli/main.js'), ...args], {
    output: 'keep',
    label: 'drill',
  });
  say(text.trimEnd());
  return { passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, skipped: 0 };
}

await main(async (args) => {
  const { values } = parseArgs({
    args,
    options: {
      minutes: { type: 'string', default: '10' },
      seed: { type: 'string', default: String(randomInt(1, 2 ** 31)) },
      'sim-seeds': { type: 'string', default: '20000' },
      kills: { type: 'string', default: '1000' },
      handoffs: { type: 'string', default: '1000000000' },
      frames: { type: 'string', default: '10000000' },
    },
  });
  const minutes = positive(values, 'minutes');
  const seed = positive(values, 'seed');
  const simSeeds = positive(values, 'sim-seeds');
  const kills = positive(values, 'kills');
  const handoffs = positive(values, 'handoffs');
  const frames = positive(values, 'frames');
  const skippedParts = await setup({ withTests: true });
  if (skippedParts.length > 0) {
    saySkipped(skippedParts);
    throw new StepFailed('the native tests cannot be built here');
  }
  say(
    `equivalence: ${minutes} minutes from seed ${seed}; simulated clusters: ${simSeeds} from the same; kills: ${kills}; hand-offs: ${handoffs} a ring; frames: ${frames} a link`,
  );
  const how = { folder: 'build/native', timeoutMs: (minutes + 60) * 60_000 };
  const total = await runNativeTests(['node'], {
    ...how,
    filter: '*quivalence*',
    environment: {
      VERBEX_EQUIVALENCE_SECONDS: String((minutes * 60) / shares),
      VERBEX_SEED: String(seed),
    },
  });
  const clusters = await runNativeTests(['sim'], {
    ...how,
    filter: 'SimulatedCluster.KeepsItsWord*',
    environment: {
      VERBEX_SIM_SEEDS: String(simSeeds),
      VERBEX_SIM_THREADS: String(availableParallelism()),
      VERBEX_SEED: String(seed),
    },
  });
  const drill = await runDrill(kills, seed);
  const rings = await runNativeTests(['pipeline'], {
    ...how,
    filter: '*HandOff*',
    environment: { VERBEX_HANDOFFS: String(handoffs) },
  });
  const links = await runNativeTests(['transport'], {
    ...how,
    filter: '*Soak*:-Verbs*',
    environment: { VERBEX_SOAK_FRAMES: String(frames) },
  });
  const worlds = await runNativeTests(['model'], { ...how, environment: { VERBEX_MODEL: 'large' } });
  const noMachine = await provideSoftRoce();
  if (noMachine !== undefined) saySkipped([noMachine]);
  const verbs = noMachine === undefined ? await runVerbsSoak(frames) : undefined;
  for (const counts of [clusters, drill, rings, links, worlds, verbs].filter((one) => one !== undefined)) {
    for (const key of Object.keys(total)) total[key] += counts[key];
  }
  process.stdout.write(`${closingLine(total)}\n`);
  return total.failed > 0 || total.passed === 0 ? 1 : 0;
});
