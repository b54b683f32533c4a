// Programs that need an RDMA device. Where this kernel has none they run in the soft-RoCE machine (docker/soft-roce), on
// the same files, and their cases say so: what is emulated proves that it works, not how fast it is.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { VerbexError } from '../errors/errors.ts';
import { runNative, type Say } from './native-program.ts';
import type { BenchResult } from './result.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const machine = join(root, 'docker', 'soft-roce');
const devices = '/sys/class/infiniband';
const machineSeconds = 900;
// A round trip takes milliseconds there: both pollers and the adapter's own threads take turns on few processors.
const machineProcessors = 4;
// Three members' tables take half a gigabyte each.
const machineMebibytes = 4096;

/** What the program says with these options; in the machine with the `machineDefaults` that the options leave open. */
export async function runOverVerbs(
  program: string,
  args: readonly string[],
  machineDefaults: Readonly<Record<string, string>>,
  say: Say,
): Promise<BenchResult> {
  const inMachine = !hasDevice();
  const result = inMachine
    ? await runInMachine(program, args, machineDefaults, say)
    : await runNative(program, args, say);
  return { ...result, cases: result.cases.map((one) => ({ ...one, softRoceMachine: inMachine })) };
}

function hasDevice(): boolean {
  return existsSync(devices) && readdirSync(devices).length > 0;
}

async function runInMachine(
  program: string,
  args: readonly string[],
  machineDefaults: Readonly<Record<string, string>>,
  say: Say,
): Promise<BenchResult> {
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
    [
      ...['-t', String(machineSeconds), '-c', String(machineProcessors), '-m', String(machineMebibytes)],
      ...['--', program, ...defaults, ...args],
    ],
    say,
  );
}
