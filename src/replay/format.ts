/** The formats that can be replayed, and how to tell one from another. */
import { BitstampSource } from './bitstamp.ts';
import { JsonlSource } from './jsonl.ts';
import { LineReader } from './lines.ts';
import { LobsterSource } from './lobster.ts';
import { ReplayError } from './replay-error.ts';
import type { StepSource } from './step.ts';

export const replayFormats = ['bitstamp', 'lobster', 'jsonl'] as const;
export type ReplayFormat = (typeof replayFormats)[number];

export interface SourceOptions {
  readonly path: string;
  readonly format: ReplayFormat;
  readonly instrument?: string | undefined;
  readonly skipBad: boolean;
  readonly mend: boolean;
}

export function openSource(options: SourceOptions): StepSource {
  const { path, skipBad, mend } = options;
  const named = options.instrument === undefined ? {} : { instrument: options.instrument };
  if (options.format !== 'jsonl' && path === '-') {
    throw new ReplayError(
      'REPLAY_FILE_UNREADABLE',
      `${options.format} is read twice: standard input will not do, give a file`,
    );
  }
  switch (options.format) {
    case 'bitstamp':
      return new BitstampSource({ path, skipBad, mend, ...named });
    case 'lobster':
      return new LobsterSource({ path, skipBad, ...named });
    case 'jsonl':
      return new JsonlSource({ path, skipBad });
  }
}

/** By the first line that is not empty; undefined where it looks like nothing known. */
export async function detectFormat(path: string): Promise<ReplayFormat | undefined> {
  for await (const batch of new LineReader(path).batches()) {
    const line = batch.find((text) => text.trim() !== '');
    if (line === undefined) continue;
    if (/^\d+ (order_\w+|trade) \{/.test(line)) return 'bitstamp';
    if (/^\d+(\.\d+)?,[1-7],\d+,/.test(line)) return 'lobster';
    return /^\s*\{/.test(line) ? 'jsonl' : undefined;
  }
  return undefined;
}
