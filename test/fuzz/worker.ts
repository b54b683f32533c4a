// One process of the fuzzer. scripts/fuzz.mjs starts it, gives it its share, and outlives it if the core
// brings it down: the stream that is being run is in a file before it runs.

import { openSync, writeSync } from 'node:fs';
import { Random } from '../oracle/random.ts';
import { generate, VAST_LENGTH_MIN } from '../oracle/streams.ts';
import { CELL, decodeCommand, encodeCommands } from '../oracle/wire.ts';
import { caseToJson } from './cases.ts';
import { commandCount, compare, compareRuns, type Difference, type Input } from './compare.ts';
import { type HashedCore, loadCore, type NativeCoreClass } from './core.ts';
import { Coverage } from './coverage.ts';
import { describeCommand } from './describe.ts';
import { COMMANDS_MAX, mutate } from './mutate.ts';
import { shrink } from './shrink.ts';

export interface Share {
  seed: number;
  commands: number;
  untilMs: number; // as Date.now() counts
  build: 'release' | 'fuzz';
  runningFile: string;
}

export type Message =
  | { kind: 'progress'; commands: number; streams: number; corpus: number; edges: number; behaviours: number }
  | { kind: 'input'; bytes: Uint8Array }
  | { kind: 'difference'; json: string; text: string; seed: number }
  | {
      kind: 'done';
      commands: number;
      streams: number;
      corpus: number;
      edges: Uint8Array;
      behaviours: Uint8Array;
    };

const SEEDS_FIRST = 40;
const CORPUS_MAX = 6000;

export class Fuzzer {
  readonly #share: Share;
  readonly #random: Random;
  readonly #NativeCore: NativeCoreClass;
  readonly #coverage = new Coverage();
  readonly #corpus: Input[] = [];
  #strange: Input[] = []; // found by other processes, not run here yet
  #commands = 0;
  #streams = 0;

  constructor(share: Share, NativeCore: NativeCoreClass) {
    this.#share = share;
    this.#random = new Random(share.seed);
    this.#NativeCore = NativeCore;
  }

  learn(input: Input): void {
    this.#strange.push(input);
  }

  async run(send: (message: Message) => void): Promise<void> {
    // Opened once: opening is what would take the time.
    const running = openSync(this.#share.runningFile, 'w');
    let reportAt = Date.now() + 1000;
    while (this.#commands < this.#share.commands && Date.now() < this.#share.untilMs) {
      const input = this.#strange.shift() ?? this.#nextInput();
      const bytes = runningBytes(input);
      writeSync(running, bytes, 0, bytes.length, 0);
      const difference = this.#try(input);
      if (difference !== undefined) {
        await this.#report(input, difference, send);
        break;
      }
      this.#commands += commandCount(input);
      this.#streams++;
      if (this.#coverage.isNew() && commandCount(input) <= COMMANDS_MAX) {
        if (this.#corpus.length < CORPUS_MAX) this.#corpus.push(input);
        else this.#corpus[this.#random.under(CORPUS_MAX)] = input;
        send({ kind: 'input', bytes: runningBytes(input) });
      }
      if (Date.now() >= reportAt) {
        reportAt = Date.now() + 1000;
        send({ kind: 'progress', ...this.#counts(), ...this.#reached() });
        // Lets the messages of others in.
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
    const { edges, behaviours } = this.#coverage;
    send({ kind: 'done', ...this.#counts(), edges, behaviours });
  }

  #counts(): { commands: number; streams: number; corpus: number } {
    return { commands: this.#commands, streams: this.#streams, corpus: this.#corpus.length };
  }

  #reached(): { edges: number; behaviours: number } {
    return { edges: this.#coverage.edgeCount(), behaviours: this.#coverage.behaviourCount() };
  }

  #nextInput(): Input {
    const random = this.#random;
    if (this.#streams < SEEDS_FIRST || this.#corpus.length === 0 || random.oneIn(5)) {
      const length = random.oneIn(200) ? VAST_LENGTH_MIN : random.between(80, 400);
      const { limits, commands } = generate(random.bits(), length);
      return { limits, cells: encodeCommands(commands) };
    }
    // The younger half comes up more often.
    const newest = Math.max(random.under(this.#corpus.length), random.under(this.#corpus.length));
    return mutate(random, this.#corpus[newest]!, random.pick(this.#corpus));
  }

  #try(input: Input): Difference | undefined {
    this.#coverage.begin();
    this.#NativeCore.resetCoverage?.();
    const core: HashedCore = new this.#NativeCore(input.limits);
    const difference = compare(core, input, (events) => this.#coverage.watch(events));
    if (difference !== undefined) return difference;
    const map = this.#NativeCore.coverage?.();
    if (map !== undefined) this.#coverage.addHits(map);
    return this.#random.oneIn(4) ? compareRuns(this.#NativeCore, input, this.#random) : undefined;
  }

  async #report(input: Input, first: Difference, send: (message: Message) => void): Promise<void> {
    const again = (candidate: Input): Difference | undefined =>
      first.what === 'batches' || first.what === 'snapshot'
        ? firstOf(20, (i) => compareRuns(this.#NativeCore, candidate, new Random(i)))
        : compare(new this.#NativeCore(candidate.limits), candidate);
    const smallest = await shrink(
      input,
      (candidate) => {
        const difference = again(candidate);
        if (difference === undefined) return 0;
        return first.what === 'batches' || first.what === 'snapshot'
          ? commandCount(candidate)
          : difference.at + 1;
      },
      4000,
    );
    const difference = again(smallest) ?? first;
    const about = `${difference.what} differ after command ${difference.at + 1}`;
    send({
      kind: 'difference',
      json: caseToJson({ about, input: smallest }),
      text: describeDifference(smallest, difference),
      seed: this.#share.seed,
    });
  }
}

function firstOf(times: number, attempt: (i: number) => Difference | undefined): Difference | undefined {
  for (let i = 0; i < times; i++) {
    const difference = attempt(i);
    if (difference !== undefined) return difference;
  }
  return undefined;
}

export function describeDifference(input: Input, difference: Difference): string {
  return `${describeCommands(input)}\nafter command ${difference.at + 1}: ${difference.text}`;
}

export function describeCommands(input: Input): string {
  const lines: string[] = [];
  for (let i = 0; i < commandCount(input); i++) {
    lines.push(`  ${String(i + 1).padStart(3)} ${describeCommand(decodeCommand(input.cells, i * CELL))}`);
  }
  return lines.join('\n');
}

// The form of the file that holds the running stream: four limits, the number of commands, then the cells;
// behind them may lie the rest of a longer stream that ran before.
export function runningBytes(input: Input): Buffer {
  const head = Buffer.alloc(20);
  const { maxOrders, maxAccounts, maxInstruments, maxClientIds } = input.limits;
  [maxOrders, maxAccounts, maxInstruments, maxClientIds].forEach((limit, i) => {
    head.writeUInt32LE(limit, i * 4);
  });
  head.writeUInt32LE(commandCount(input), 16);
  return Buffer.concat([head, input.cells]);
}

export function inputFromRunning(bytes: Buffer): Input {
  const limit = (i: number): number => bytes.readUInt32LE(i * 4);
  return {
    limits: { maxOrders: limit(0), maxAccounts: limit(1), maxInstruments: limit(2), maxClientIds: limit(3) },
    cells: Buffer.from(bytes.subarray(20, 20 + limit(4) * CELL)),
  };
}

export function requireCore(build: 'release' | 'fuzz'): NativeCoreClass {
  const NativeCore = loadCore(build);
  if (NativeCore === undefined) throw new Error(`the ${build} addon is not built`);
  return NativeCore;
}
