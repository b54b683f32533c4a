/**
 * A file of real orders through a node.
 *
 *   file ──lines──▶ source ──steps──▶ feeder ──batches──▶ Exchange ──events──▶ scorecard ──▶ events file, best prices, result
 *                                       └───── expectations by position ──────────▲
 *
 * With a data folder that holds a part already, that part goes through a second exchange in memory: it yields the counts and
 * outputs of the whole, and its state hash proves that the folder holds exactly this part. Then the folder's own exchange takes
 * over at the very next command.
 */
import type { Durability, Event, ExchangeOptions } from '../api/types.ts';
import { Feeder, type FeedTarget } from './feeder.ts';
import { openSource, type ReplayFormat } from './format.ts';
import { identityOf, mustBeSame, type ReplayIdentity, readIdentity, writeIdentity } from './identity.ts';
import { TextFile } from './outputs.ts';
import { ReplayError } from './replay-error.ts';
import { type FlowScore, Scorecard } from './scorecard.ts';

/** What a replay needs of an Exchange. */
export interface ReplayExchange extends FeedTarget {
  onEvents(listener: (batch: readonly Event[]) => void): unknown;
  stateHash(): Promise<{ readonly position: bigint; readonly stateHash: string }>;
  close(): Promise<unknown>;
}

export interface ReplayLimits {
  readonly maxOrders?: number;
  readonly maxAccounts?: number;
  readonly maxInstruments?: number;
  readonly maxClientIds?: number;
}

export interface ReplayProgress {
  readonly commands: number;
  /** 0 to 1. */
  readonly part: number;
}

export interface ReplayOptions {
  readonly path: string;
  readonly format: ReplayFormat;
  /** Left out: in memory. */
  readonly data?: string | undefined;
  readonly durability?: Durability | undefined;
  readonly instrument?: string | undefined;
  readonly eventsOut?: string | undefined;
  readonly bboOut?: string | undefined;
  readonly skipBad?: boolean | undefined;
  readonly mend?: boolean | undefined;
  readonly limits?: ReplayLimits | undefined;
  /** The node's threads: nothing that comes out depends on them. */
  readonly threads?: Pick<ExchangeOptions, 'plan' | 'spin' | 'cores'> | undefined;
  readonly onProgress?: ((progress: ReplayProgress) => void) | undefined;
  readonly open: (options: ExchangeOptions) => Promise<ReplayExchange>;
}

/** The counts of FlowScore only for formats whose feed reports trades and books. */
export interface ReplayResult extends Partial<FlowScore> {
  readonly format: ReplayFormat;
  readonly lines: number;
  readonly commands: number;
  readonly accepted: number;
  readonly rejected: number;
  readonly rejectedByCode: Readonly<Record<string, number>>;
  readonly trades: number;
  readonly events: number;
  /** Lines that were skipped (skipBad). */
  readonly badLines: number;
  /** The position that the data folder had reached before; 0: from the beginning. */
  readonly resumedFrom: number;
  readonly position: number;
  readonly stateHash: string;
  readonly elapsedMs: number;
  readonly commandsPerSecond: number;
}

export async function replay(options: ReplayOptions): Promise<ReplayResult> {
  const { path, format, data, instrument } = options;
  const skipBad = options.skipBad === true;
  const mend = options.mend === true;
  const source = openSource({ path, format, instrument, skipBad, mend });
  const outputs = {
    events: options.eventsOut === undefined ? undefined : new TextFile(options.eventsOut),
    best: options.bboOut === undefined ? undefined : new TextFile(options.bboOut),
  };
  const score = new Scorecard(source, outputs);
  const opened: ReplayExchange[] = [];
  const open = async (folder: string | undefined): Promise<ReplayExchange> => {
    const exchange = await options.open({
      ...options.limits,
      ...options.threads,
      clock: 'manual',
      ...(folder === undefined ? {} : { data: folder }),
      ...(folder === undefined || options.durability === undefined ? {} : { durability: options.durability }),
    });
    opened.push(exchange);
    return exchange;
  };
  try {
    const identity =
      data === undefined
        ? undefined
        : await identify(data, path, format, { instrument, skipBad, mend, ...options.limits });
    const exchange = await open(data);
    const resumedFrom = Number(exchange.stats().position);
    if (resumedFrom > 0 && identity?.there === undefined) {
      throw new ReplayError(
        'REPLAY_FOREIGN_DATA',
        `${data} holds ${resumedFrom} commands that no replay wrote: give another folder`,
      );
    }
    if (data !== undefined && identity !== undefined && identity.there === undefined)
      await writeIdentity(data, identity.now);
    const started = performance.now();
    const first = resumedFrom > 0 ? await open(undefined) : exchange;
    first.onEvents((events) => score.see(events));
    const next = async (): Promise<ReplayExchange> => {
      await mustAgree(first, exchange, String(data));
      exchange.onEvents((events) => score.see(events));
      return exchange;
    };
    const feeder = new Feeder(first, score, {
      skipBad,
      ...(resumedFrom > 0 ? { handover: { position: resumedFrom, next } } : {}),
      onProgress: (commands) => options.onProgress?.({ commands, part: source.progress }),
    });
    for await (const steps of source.steps()) await feeder.feed(steps);
    await feeder.finish();
    if (feeder.sent < resumedFrom) {
      throw new ReplayError(
        'REPLAY_FOREIGN_DATA',
        `${data} holds ${resumedFrom} commands, and the file makes ${feeder.sent} only`,
      );
    }
    const elapsedMs = performance.now() - started;
    score.finish();
    const { position, stateHash } = await exchange.stateHash();
    return {
      format,
      lines: source.lines,
      commands: feeder.sent,
      accepted: feeder.sent - score.rejected,
      rejected: score.rejected,
      rejectedByCode: Object.fromEntries([...score.rejectedByCode].sort(([a], [b]) => (a < b ? -1 : 1))),
      trades: score.trades,
      events: score.events,
      badLines: source.badLines + feeder.refused,
      resumedFrom,
      position: Number(position),
      stateHash,
      elapsedMs: Math.round(elapsedMs * 1000) / 1000,
      commandsPerSecond: Math.round(feeder.sent / (elapsedMs / 1000)),
      ...(source.feed === undefined ? {} : score.flow),
    };
  } finally {
    outputs.events?.close();
    outputs.best?.close();
    for (const exchange of opened) await exchange.close();
  }
}

/** What the folder says that it holds, which must be this replay, and what this replay is. */
async function identify(
  data: string,
  path: string,
  format: string,
  options: Record<string, unknown>,
): Promise<{ now: ReplayIdentity; there: ReplayIdentity | undefined }> {
  if (path === '-')
    throw new ReplayError(
      'REPLAY_FILE_UNREADABLE',
      'a replay with a data folder needs a file, not standard input',
    );
  const now = await identityOf(path, format, options);
  const there = await readIdentity(data);
  if (there !== undefined) mustBeSame(data, there, now);
  return { now, there };
}

async function mustAgree(memory: ReplayExchange, folder: ReplayExchange, data: string): Promise<void> {
  const [a, b] = await Promise.all([memory.stateHash(), folder.stateHash()]);
  if (a.stateHash === b.stateHash && a.position === b.position) return;
  throw new ReplayError(
    'REPLAY_FOREIGN_DATA',
    `at position ${a.position} the file gives state ${a.stateHash}, and ${data} holds ${b.stateHash} at ${b.position}: it is not a part of this replay`,
  );
}
