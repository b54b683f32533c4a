/** `verbex load`: many OUCH clients against a running gateway, at a rate or as fast as it goes, with a ledger. */
import { readFileSync } from 'node:fs';
import { invalidOption } from '../errors/checks.ts';
import { fromNative, VerbexError } from '../errors/errors.ts';
import type { NativeLoadOptions } from '../native/types.ts';
import { type Command, type Given, UsageError } from './command.ts';
import { grouped, table } from './output.ts';
import { Progress } from './progress.ts';

const countMax = 2 ** 32 - 1;
const symbolLength = 8;
const lookEveryMs = 100;

interface LoadFigures {
  readonly connections: number;
  readonly seconds: number;
  readonly entered: number;
  readonly answered: number;
  readonly accepted: number;
  readonly rejected: number;
  readonly unanswered: number;
  readonly cancels: number;
  readonly executions: number;
  readonly lostConnections: number;
  readonly ordersPerSecond: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly p999Us: number;
  readonly maxUs: number;
  readonly latestSendUs: number;
}

export const loadCommand: Command = {
  name: 'load',
  summary: 'send orders over OUCH from many connections, and keep a ledger',
  options: [
    { name: 'server', value: 'HOST:PORT', fallback: '127.0.0.1:8090', help: 'the order port' },
    { name: 'users', value: 'FILE', help: 'JSON, as for run --gateway-users; default: the demo’s user' },
    {
      name: 'connections',
      value: 'N',
      range: [1, 30_000],
      help: 'the first N users of the file; default: all of them',
    },
    { name: 'symbols', value: 'A,B,…', fallback: 'BTC-USD', help: 'instruments, as OUCH names them' },
    {
      name: 'price',
      value: 'TICKS',
      range: [2, countMax - 1],
      fallback: '650000',
      help: 'around which prices are drawn',
    },
    {
      name: 'width',
      value: 'TICKS',
      range: [0, 1_000_000],
      fallback: '2',
      help: 'how far they lie from it at most',
    },
    {
      name: 'quantity',
      value: 'LOTS',
      range: [1, countMax],
      fallback: '10',
      help: 'largest quantity; from one lot on',
    },
    {
      name: 'rate',
      value: 'N',
      range: [1, 100_000_000],
      help: 'orders a second of all connections, at planned times; default: closed loop',
    },
    {
      name: 'window',
      value: 'N',
      range: [1, 1024],
      fallback: '32',
      help: 'closed loop: orders in flight on a connection',
    },
    { name: 'seconds', value: 'N', range: [1, 86_400], fallback: '10', help: 'how long it is counted' },
    {
      name: 'seed',
      value: 'N',
      range: [0, countMax],
      fallback: '1',
      help: 'of sides, prices and quantities',
    },
    {
      name: 'ledger',
      value: 'FILE',
      help: 'a line of JSON a session: sent, acknowledged, executed, last sequence',
    },
    { name: 'reconnect', help: 'lost connections come back, by session and sequence' },
    { name: 'sleep', help: 'do not fill a core: wait in epoll' },
  ],
  notes: [
    'Open loop (--rate): a round trip counts from the planned time to the Accepted, so a server that stops is charged for every order of that time. Half of the orders buy, half sell, at prices drawn around --price, so that most of them trade.',
    'It costs the accounts of its users money: use it where that is meant.',
  ],
  examples: [
    ['verbex load --rate 1000 --seconds 5', 'the demo of npm start, at a thousand orders a second'],
    ['verbex load --users users.json --window 64', 'as much as it takes, one connection a user'],
    [
      'verbex load --users users.json --rate 20000 --ledger ledger.jsonl --reconnect --json',
      'for a drill: kill the node meanwhile, and hold the ledger against its journal',
    ],
  ],
  async run(given, output) {
    const { NativeLoad } = await import('../native/binding.ts');
    const options = loadOptions(given);
    const progress = new Progress(output, 'orders');
    let load: InstanceType<typeof NativeLoad>;
    try {
      load = new NativeLoad(options);
    } catch (error) {
      throw fromNative(error);
    }
    const started = performance.now();
    const look = setInterval(() => {
      const { answered } = load.progress();
      const wanted = (options.durationMs ?? 0) + (options.warmUpMs ?? 0);
      progress.show(Math.min(1, (performance.now() - started) / wanted), answered);
    }, lookEveryMs);
    const stop = (): void => load.stop();
    process.once('SIGINT', stop);
    try {
      const figures = JSON.parse(await load.run()) as LoadFigures;
      progress.end();
      output.answer({ ...figures }, shown(figures));
      return 0;
    } catch (error) {
      throw error instanceof VerbexError ? error : fromNative(error);
    } finally {
      progress.end();
      clearInterval(look);
      process.off('SIGINT', stop);
    }
  },
};

function loadOptions(given: Given): NativeLoadOptions {
  const users = usersOf(given.text('users'));
  const connections = given.integer('connections') ?? users.length;
  if (connections > users.length)
    throw new UsageError(`--connections ${connections}: there are ${users.length} users`);
  const ledger = given.text('ledger');
  return {
    server: given.need('server'),
    users: users
      .slice(0, connections)
      .map(({ name, password }) => `${name}\t${password}`)
      .join('\n'),
    symbols: given
      .need('symbols')
      .split(',')
      .map((symbol) => {
        if (symbol === '' || symbol.length > symbolLength)
          throw new UsageError(`--symbols: "${symbol}" does not have 1 to ${symbolLength} characters`);
        return symbol.padEnd(symbolLength);
      })
      .join(''),
    ordersPerSecond: given.integer('rate') ?? 0,
    window: given.integer('window') ?? 0,
    warmUpMs: 500,
    durationMs: (given.integer('seconds') ?? 0) * 1000,
    seed: given.integer('seed') ?? 1,
    price: given.integer('price') ?? 0,
    width: given.integer('width') ?? 0,
    quantity: given.integer('quantity') ?? 0,
    reconnect: given.has('reconnect'),
    spin: !given.has('sleep'),
    ...(ledger !== undefined && { ledger }),
  };
}

interface LoadUser {
  readonly name: string;
  readonly password: string;
}

function usersOf(path: string | undefined): readonly LoadUser[] {
  if (path === undefined) return [{ name: 'DEMO', password: 'demo' }];
  let parsed: unknown;
  try {
    parsed = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw invalidOption('users', path, `a file of JSON (${(error as Error).message})`);
  }
  const users = Array.isArray(parsed) ? parsed : (parsed as { users?: unknown } | null)?.users;
  const isUser = (user: unknown): user is LoadUser =>
    typeof (user as LoadUser | null)?.name === 'string' && typeof (user as LoadUser).password === 'string';
  if (!Array.isArray(users) || users.length === 0 || !users.every(isUser))
    throw invalidOption('users', path, 'a file with a list of users, each with name and password');
  return users;
}

function shown(figures: LoadFigures): string {
  const row = (name: string, value: number, unit = ''): string[] => [name, `${grouped(value)}${unit}`];
  return table(
    ['', `${figures.connections} connections, ${figures.seconds.toFixed(1)} s`],
    [
      row('orders/s', figures.ordersPerSecond),
      row('sent', figures.entered),
      row('accepted', figures.accepted),
      row('rejected', figures.rejected),
      row('not answered', figures.unanswered),
      row('executions', figures.executions),
      row('round trip p50', figures.p50Us, ' µs'),
      row('p99', figures.p99Us, ' µs'),
      row('p99.9', figures.p999Us, ' µs'),
      row('max', figures.maxUs, ' µs'),
      row('connections lost', figures.lostConnections),
    ],
  );
}
