// What scripts/fuzz.mjs starts: `work SHARE` runs a share of the fuzzing and talks over the process's
// channel; `replay BUILD FILE` runs one stream and ends with 0 where there is no difference, 10 where
// there is one; `reach SEED COMMANDS` prints what the generator reaches.

import { readFileSync } from 'node:fs';
import { Random } from '../oracle/random.ts';
import { caseFromJson } from './cases.ts';
import { compare, compareRuns } from './compare.ts';
import { measureReach } from './reach.ts';
import {
  describeDifference,
  Fuzzer,
  inputFromRunning,
  type Message,
  requireCore,
  type Share,
} from './worker.ts';

async function work(share: Share): Promise<void> {
  const fuzzer = new Fuzzer(share, requireCore(share.build));
  process.on('message', (bytes: Uint8Array) => fuzzer.learn(inputFromRunning(Buffer.from(bytes))));
  await fuzzer.run((message: Message) => {
    if (message.kind !== 'done') process.send!(message);
    // The last message: once it has gone out there is nothing to stay for. Closing the channel instead may
    // wait without end for what others are still sending.
    else process.send!(message, undefined, undefined, () => process.exit(0));
  });
}

function replay(build: 'release' | 'fuzz', file: string): number {
  const bytes = readFileSync(file);
  const input = file.endsWith('.json') ? caseFromJson(bytes.toString()).input : inputFromRunning(bytes);
  const NativeCore = requireCore(build);
  const difference =
    compare(new NativeCore(input.limits), input) ?? compareRuns(NativeCore, input, new Random(1));
  if (difference === undefined) return 0;
  process.stdout.write(`${describeDifference(input, difference)}\n`);
  return 10;
}

const [mode, first, second] = process.argv.slice(2);
if (mode === 'work') await work(JSON.parse(first!) as Share);
else if (mode === 'replay') process.exitCode = replay(first as 'release' | 'fuzz', second!);
else process.stdout.write(`${JSON.stringify(measureReach(Number(first), Number(second), 300))}\n`);
