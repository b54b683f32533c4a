// Runs every bench, one after the other, and keeps what each answered with the load around it.
import { apiBench, apiBenchDefaults } from '../api-bench.ts';
import { edgeBench, edgeBenchDefaults } from '../edge-bench.ts';
import { nativeBench, type Say } from '../native-program.ts';
import type { BenchResult } from '../result.ts';
import { load, type Machine, machine } from './machine.ts';

export interface Section {
  readonly result?: BenchResult;
  /** Why there is no result. */
  readonly failure?: string;
  readonly loadBefore: string;
  readonly loadAfter: string;
  readonly seconds: number;
  /** What was run. */
  readonly command: string;
}

export interface ReportFacts {
  readonly version: string;
  readonly commandLine: string;
  /** ISO 8601. */
  readonly date: string;
  readonly quick: boolean;
  readonly machine: Machine;
  readonly sections: Readonly<Record<string, Section>>;
}

/** What `--quick` asks of the native benches: enough to draw every plot, not enough to compare. */
const quickArguments: Readonly<Record<string, readonly string[]>> = {
  core: ['--operations', '300000', '--runs', '1'],
  ring: ['--operations', '1000000', '--runs', '1'],
  node: ['--operations', '400000', '--runs', '1', '--rates', '50000,200000,800000,3200000,12800000'],
  journal: ['--operations', '200000'],
  snapshot: ['--orders', '50000', '--runs', '1'],
  recovery: ['--operations', '200000', '--runs', '1'],
  scale: ['--operations', '50000', '--runs', '1', '--largest', '100000'],
  presets: ['--operations', '200000', '--memory', '1024'],
};

export async function collect(
  given: { readonly version: string; readonly commandLine: string; readonly quick: boolean },
  say: Say,
): Promise<ReportFacts> {
  const { quick } = given;
  const sections: Record<string, Section> = {};
  const run = async (
    name: string,
    options: readonly string[],
    measure: () => Promise<BenchResult>,
  ): Promise<void> => {
    const loadBefore = load();
    const began = performance.now();
    const outcome = await measure().then(
      (result) => ({ result }),
      (error: unknown) => ({ failure: error instanceof Error ? error.message : String(error) }),
    );
    if ('failure' in outcome) say(`${name}: ${outcome.failure}`);
    const seconds = Math.round((performance.now() - began) / 1000);
    const command = ['verbex bench', name, ...options].join(' ');
    sections[name] = { ...outcome, loadBefore, loadAfter: load(), seconds, command };
  };
  const native = (name: string, always: readonly string[] = []): Promise<void> => {
    const options = [...always, ...(quick ? (quickArguments[name] ?? []) : [])];
    return run(name, options, () => nativeBench(name, options, say));
  };
  await native('node', ['--plan', 'all']);
  await native('core');
  await native('ring');
  const api = quick ? { operations: 200_000, runs: 1 } : {};
  await run('api', quick ? ['--operations', '200000', '--runs', '1'] : [], () =>
    apiBench({ ...apiBenchDefaults, ...api, say }),
  );
  const edges = quick ? { seconds: 1 } : {};
  await run('edges', quick ? ['--seconds', '1'] : [], () =>
    edgeBench({ ...edgeBenchDefaults, ...edges, say }),
  );
  for (const name of ['journal', 'snapshot', 'recovery', 'scale', 'presets']) await native(name);
  return { ...given, date: new Date().toISOString(), machine: machine(), sections };
}
