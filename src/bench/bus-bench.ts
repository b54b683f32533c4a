// The bus over each transport. Where this kernel has no RDMA device, the program for verbs runs in the soft-RoCE machine
// (docker/soft-roce), on the same files, and its cases say so: what is emulated proves that it works, not how fast it is.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { VerbexError } from '../errors/errors.ts';
import { builtProgram, runNative, type Say } from './native-program.ts';
import type { BenchCase, BenchResult } from './result.ts';

export const busTransports = ['shm', 'tcp', 'verbs'] as const;
export type BusTransport = (typeof busTransports)[number];

const root = fileURLToPath(new URL('../..', import.meta.url));
const machine = join(root, 'docker', 'soft-roce');
const devices = '/sys/class/infiniband';
const machineSeconds = 900;
// A round trip takes milliseconds there: both pollers and the adapter's own threads take turns on few processors.
const machineProcessors = 4;
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
    const inMachine = transport === 'verbs' && !hasDevice();
    const result = inMachine ? await runInMachine(program, given, say) : await runNative(program, given, say);
    cases.push(
      ...result.cases.map((one) => (transport === 'verbs' ? { ...one, softRoceMachine: inMachine } : one)),
    );
    Object.assign(shared, result);
  }
  return { ...shared, cases };
}

function hasDevice(): boolean {
  return existsSync(devices) && readdirSync(devices).length > 0;
}

async function runInMachine(program: string, args: readonly string[], say: Say): Promise<BenchResult> {
  const setup = spawnSync(join(machine, 'setup'), { encoding: 'utf8' });
  if (setup.error !== undefined || setup.status !== 0) {
    const why = setup.error?.message ?? setup.stderr.trim();
    throw new VerbexError(
      'BENCH_FAILED',
      `there is no RDMA device here, and the soft-RoCE machine cannot be set up: ${why}`,
    );
  }
  const defaults = Object.entries(machineDefaults).flatMap(([option, value]) =>
    args.includes(option) ? [] : [option, value],
  );
  return await runNative(
    join(machine, 'run'),
    ['-t', String(machineSeconds), '-c', String(machineProcessors), '--', program, ...defaults, ...args],
    say,
  );
}
