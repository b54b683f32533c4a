/** `verbex replay`: a file of real orders through a node. */
import { Exchange } from '../api/exchange.ts';
import { detectFormat, replayFormats } from '../replay/format.ts';
import { type ReplayResult, replay } from '../replay/replay.ts';
import { type Command, UsageError } from './command.ts';
import { facts, grouped } from './output.ts';
import { planGiven, planOptions } from './plan.ts';
import { Progress } from './progress.ts';

const countMax = 2 ** 32 - 1;

export const replayCommand: Command = {
  name: 'replay',
  summary: 'feed a file of real orders through a node',
  positionals: [{ name: 'FILE', help: 'plain, .gz or .xz; - is standard input (jsonl only)' }],
  options: [
    {
      name: 'format',
      value: 'FORMAT',
      oneOf: replayFormats,
      help: 'what the lines are; looked at where left out',
    },
    {
      name: 'data',
      value: 'DIR',
      help: 'journal it there; one that holds a part goes on where it stopped. Left out: in memory',
    },
    { name: 'events-out', value: 'FILE', help: 'every event as a line of JSON' },
    { name: 'bbo-out', value: 'FILE', help: 'best bid and ask whenever a command changes them, as CSV' },
    {
      name: 'instrument',
      value: 'NAME',
      help: 'call the instrument so (bitstamp, lobster); otherwise by the file name',
    },
    { name: 'skip-bad', help: 'count lines that are wrong instead of stopping at the first' },
    {
      name: 'mend',
      help: 'bitstamp: put deletions that stand before their creation in order (docs/replay.md)',
    },
    {
      name: 'durability',
      value: 'MODE',
      oneOf: ['async', 'durable'],
      fallback: 'async',
      help: 'with --data: answer when journaled, or only when it is on disk',
    },
    ...planOptions,
    { name: 'max-orders', value: 'N', range: [1, countMax], help: 'open orders at a time' },
    { name: 'max-accounts', value: 'N', range: [1, countMax], help: 'accounts' },
    { name: 'max-instruments', value: 'N', range: [1, countMax], help: 'instruments' },
    { name: 'max-client-ids', value: 'N', range: [1, countMax], help: 'remembered order ids' },
  ],
  examples: [
    [
      'verbex replay day.log.xz --format bitstamp --json',
      'a day of Bitstamp, compared with what the feed reports',
    ],
    ['verbex replay AAPL_message.csv.gz --format lobster', 'a day of LOBSTER'],
    [
      'verbex replay orders.jsonl --data ./replayed --events-out events.jsonl --bbo-out best.csv',
      'your own orders, journaled, with all events',
    ],
  ],
  async run(given, output) {
    const path = given.positionals[0]!;
    const format =
      replayFormats.find((name) => name === given.text('format')) ??
      (path === '-' ? 'jsonl' : await detectFormat(path));
    if (format === undefined)
      throw new UsageError(`the first line of ${path} looks like no format; say which by --format`);
    const progress = new Progress(output, 'commands');
    const limits = {
      maxOrders: given.integer('max-orders'),
      maxAccounts: given.integer('max-accounts'),
      maxInstruments: given.integer('max-instruments'),
      maxClientIds: given.integer('max-client-ids'),
    };
    try {
      const result = await replay({
        path,
        format,
        data: given.text('data'),
        durability: given.text('durability') === 'durable' ? 'durable' : 'async',
        instrument: given.text('instrument'),
        eventsOut: given.text('events-out'),
        bboOut: given.text('bbo-out'),
        skipBad: given.has('skip-bad'),
        mend: given.has('mend'),
        threads: planGiven(given),
        limits: Object.fromEntries(Object.entries(limits).filter(([, limit]) => limit !== undefined)),
        onProgress: ({ part, commands }) => progress.show(part, commands),
        open: (options) => Exchange.open(options),
      });
      progress.end();
      output.answer({ ...result }, readable(result));
      return 0;
    } finally {
      progress.end();
    }
  },
};

function readable(result: ReplayResult): string {
  const rejected = Object.entries(result.rejectedByCode)
    .map(([code, count]) => `${code} ${grouped(count)}`)
    .join(', ');
  const rows: [string, string][] = [
    [
      'lines',
      `${grouped(result.lines)}${result.badLines === 0 ? '' : `, ${grouped(result.badLines)} of them skipped`}`,
    ],
    ['commands', grouped(result.commands)],
    ['accepted', grouped(result.accepted)],
    ['rejected', `${grouped(result.rejected)}${rejected === '' ? '' : ` (${rejected})`}`],
    ['trades', grouped(result.trades)],
  ];
  if (result.resumedFrom > 0) rows.push(['went on from position', grouped(result.resumedFrom)]);
  if (result.feedTrades !== undefined) {
    rows.push(
      [
        'trades of the feed',
        `${grouped(result.feedTrades)}, ${grouped(result.feedTradesMatched ?? 0)} of them made here`,
      ],
      [
        'cancels',
        `${grouped(result.cancelsExact ?? 0)} exact, ${grouped(result.cancelsInexact ?? 0)} not, ${grouped(result.cancelsGone ?? 0)} gone before`,
      ],
      [
        'best prices',
        `${grouped(result.bestPriceRight ?? 0)} of ${grouped(result.bestPriceChecked ?? 0)} right`,
      ],
      [
        'five levels',
        `${grouped(result.fiveLevelsRight ?? 0)} of ${grouped(result.bestPriceChecked ?? 0)} right`,
      ],
    );
  }
  rows.push(
    ['state hash', result.stateHash],
    ['took', `${Math.round(result.elapsedMs)} ms, ${grouped(result.commandsPerSecond)} commands a second`],
  );
  return facts(rows);
}
