// The bus over each transport, verbs in the soft-RoCE machine where there is no device.
import { builtProgram, runNative, type Say } from './native-program.ts';
import type { BenchCase, BenchResult } from './result.ts';
import { runOverVerbs } from './soft-roce.ts';

export const busTransports = ['shm', 'tcp', 'verbs'] as const;
export type BusTransport = (typeof busTransports)[number];

const machineDefaults = { '--rounds': '500', '--messages': '20000', '--runs': '3' };

/** Cases of all the transports, one after the other; rounds and messages as the program has them unless `args` say otherwise. */
export async function busBench(
  transports: readonly BusTransport[],
  args: readonly string[],
  say: Say,
): Promise<BenchResult> {
  const program = await builtProgram('bus', say);
  const cases: BenchCase[] = [];
  const shared: Record<string, unknown> = {};
  for (const transport of transports) {
    const given = ['--transport', transport, ...args];
    const result =
      transport === 'verbs'
        ? await runOverVerbs(program, given, machineDefaults, say)
        : await runNative(program, given, say);
    cases.push(...result.cases);
    Object.assign(shared, result);
  }
  return { ...shared, cases };
}
