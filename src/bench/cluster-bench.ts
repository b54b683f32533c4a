// A cluster over verbs, in the soft-RoCE machine where there is no device. Over other transports it is a native bench
// as any.
import { builtProgram, type Say } from './native-program.ts';
import type { BenchResult } from './result.ts';
import { runOverVerbs } from './soft-roce.ts';

// Little, for an emulated adapter, whose links take longer to make than members wait for each other elsewhere.
const machineDefaults = {
  '--orders': '1000',
  '--rate': '0',
  '--window': '64',
  '--runs': '1',
  '--acknowledge': 'memory',
  '--suspect': '2000',
};

export async function clusterBenchOverVerbs(args: readonly string[], say: Say): Promise<BenchResult> {
  return await runOverVerbs(await builtProgram('cluster', say), args, machineDefaults, say);
}
