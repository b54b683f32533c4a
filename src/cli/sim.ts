/** `verbex sim`: whole clusters in one thread, each from a seed, with every fault that one is asked to bear (docs/simulator.md). */
import { availableParallelism } from 'node:os';
import { fromNative } from '../errors/errors.ts';
import { type Command, type Given, UsageError } from './command.ts';
import { facts, grouped, type Output } from './output.ts';
import { Progress } from './progress.ts';

const seedMax = 2 ** 52;
const seedsMax = 1_000_000_000;
/** Of one call into the addon, a thread: some seconds. */
const seedsAtOnce = 25;
const shownFailures = 20;

interface Failure {
  readonly seed: number;
  readonly problem: string;
  readonly plan: string;
}

interface Report {
  readonly seeds: number;
  readonly failed: number;
  readonly traceHash: string;
  readonly failures: readonly Failure[];
  readonly counters: Readonly<Record<string, number>>;
}

export const simCommand: Command = {
  name: 'sim',
  summary: 'run whole clusters in simulated trouble, each from a seed',
  options: [
    { name: 'seeds', value: 'N', range: [1, seedsMax], fallback: '200', help: 'so many runs' },
    { name: 'seed', value: 'N', range: [0, seedMax], fallback: '1', help: 'the first one; then one by one' },
    {
      name: 'commands',
      value: 'N',
      range: [1, 100_000],
      fallback: '200',
      help: 'orders of a run; a seed with others is another run',
    },
    { name: 'mutant', value: 'NAME', help: 'break this rule of the protocol, and see it noticed' },
    { name: 'threads', value: 'N', range: [1, 256], help: 'default: one a processor' },
  ],
  notes: [
    'A run has 3 to 5 members, a control store, a network, disks and clients, in virtual time: the same code that a server runs. Crashes, power cuts, stalls, cuts, torn and full disks, lost answers and flipped bits come as the seed says; then all is healed, ' +
      'and everybody must be answered. docs/simulator.md says what is checked.',
    'A seed that fails is named with its problem, and fails again. Exit code 1 where one fails; with --mutant where none does.',
  ],
  examples: [
    ['verbex sim --seeds 1000', 'a thousand runs, progress on standard error'],
    ['verbex sim --seed 4711 --seeds 1', 'one run again'],
    ['verbex sim --mutant vote-skipped --seeds 50', 'results are released without a vote: it is noticed'],
  ],
  async run(given, output) {
    const { clusterMutants, simulateCluster } = await import('../native/binding.ts');
    const mutants = clusterMutants().split(',');
    const mutant = given.text('mutant');
    if (mutant !== undefined && !mutants.includes(mutant))
      throw new UsageError(`--mutant is "${mutant}", not one of ${mutants.join(', ')}`);
    const wanted = numberOf(given, 'seeds');
    const firstSeed = numberOf(given, 'seed');
    const commands = numberOf(given, 'commands');
    const threads = given.integer('threads') ?? availableParallelism();
    const chosen = { commands, ...(mutant !== undefined && { mutant }) };
    const progress = new Progress(output, 'runs');
    let stopped = false;
    const stop = (): void => {
      stopped = true;
    };
    process.once('SIGINT', stop);
    let total: Report = { seeds: 0, failed: 0, traceHash: '0', failures: [], counters: {} };
    try {
      while (total.seeds < wanted && !stopped) {
        const seeds = Math.min(wanted - total.seeds, seedsAtOnce * threads);
        const part = {
          ...chosen,
          firstSeed: firstSeed + total.seeds,
          seeds,
          threads: Math.min(threads, seeds),
        };
        const report = JSON.parse(await simulateCluster(part)) as Report;
        for (const failure of report.failures.slice(0, Math.max(0, shownFailures - total.failed))) {
          progress.end();
          output.say(sentenceOf(failure, commandOf(failure.seed, given)));
        }
        total = sum(total, report);
        progress.show(total.seeds / wanted, total.seeds);
        // That a broken rule is noticed has been shown.
        if (mutant !== undefined && total.failed > 0) break;
      }
    } catch (error) {
      throw fromNative(error);
    } finally {
      process.removeListener('SIGINT', stop);
      progress.end();
    }
    answer(total, given, output);
    return total.failed > 0 === (mutant !== undefined) ? 0 : 1;
  },
};

function numberOf(given: Given, name: string): number {
  return given.integer(name) ?? 0;
}

function sum(total: Report, part: Report): Report {
  const counters = { ...total.counters };
  for (const [name, count] of Object.entries(part.counters)) counters[name] = (counters[name] ?? 0) + count;
  return {
    seeds: total.seeds + part.seeds,
    failed: total.failed + part.failed,
    traceHash: String(BigInt.asUintN(64, BigInt(total.traceHash) + BigInt(part.traceHash))),
    failures: [...total.failures, ...part.failures].slice(0, shownFailures),
    counters,
  };
}

function commandOf(seed: number, given: Given): string {
  const mutant = given.text('mutant');
  const commands = given.text('commands');
  return [
    `verbex sim --seed ${seed} --seeds 1`,
    ...(commands === '200' ? [] : [`--commands ${commands}`]),
    ...(mutant === undefined ? [] : [`--mutant ${mutant}`]),
  ].join(' ');
}

function sentenceOf(failure: Failure, command: string): string {
  return `seed ${failure.seed}: ${failure.problem}\n  a run of ${failure.plan}\n  again: ${command}`;
}

function answer(report: Report, given: Given, output: Output): void {
  const traceHash = BigInt(report.traceHash).toString(16).padStart(16, '0');
  const mutant = given.text('mutant');
  output.answer(
    {
      seeds: report.seeds,
      failed: report.failed,
      firstSeed: numberOf(given, 'seed'),
      ...(mutant !== undefined && { mutant }),
      traceHash,
      ...report.counters,
      failures: report.failures.map((failure) => ({ ...failure, again: commandOf(failure.seed, given) })),
    },
    facts([
      ['runs', grouped(report.seeds)],
      ['failed', grouped(report.failed)],
      ...Object.entries(report.counters).map(([name, count]): [string, string] => [
        name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`),
        grouped(count),
      ]),
      ['trace', traceHash],
    ]),
  );
}
