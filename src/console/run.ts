// verbex run: one node with its edges, its demo market and its view, from start to a clean stop.
//
// Invariant: what recovery found is printed before anything may change it; so the hash printed at a stop is the hash
// printed at the next start.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { WriteStream } from 'node:tty';
import { Exchange } from '../api/exchange.ts';
import type { ExchangeOptions, InstrumentView } from '../api/types.ts';
import { Crowd } from '../demo/crowd.ts';
import { visitorAccount, visitorToken } from '../demo/market.ts';
import { isLoopback } from '../edges/access.ts';
import { type Edges, openEdges } from '../edges/edges.ts';
import { streamPath } from '../edges/stream.ts';
import { NativeError } from '../errors/errors.ts';
import { exitClean, exitCodeOf, exitForced } from '../errors/exit-codes.ts';
import { failureText } from './failure-text.ts';
import { FigureTaker } from './figures.ts';
import { elapsed, thousands } from './format.ts';
import { type GatewayPorts, gatewayLines, gatewaysOf } from './gateways.ts';
import { LiveView, PlainView, type View } from './live-view.ts';
import { colours, noColours, type Paint } from './panel.ts';
import { pasteLines, restingPrice } from './paste-lines.ts';

export interface RunOptions {
  /** Folder of the journal, snapshots and keys. */
  readonly data: string;
  /** Public HTTP and WebSocket. */
  readonly host: string;
  readonly port: number;
  readonly adminPort: number;
  /** Demo market and crowd. */
  readonly demo: boolean;
  readonly seed: number;
  readonly durability: 'async' | 'durable';
  /** Live terminal view, plain log lines, or nothing. */
  readonly view: 'live' | 'plain' | 'quiet';
  /** One object on the last line of standard output; everything else goes to standard error. */
  readonly json: boolean;
  readonly limits?: Partial<{
    maxOrders: number;
    maxAccounts: number;
    maxInstruments: number;
    maxClientIds: number;
  }>;
  /** The threads of the node; default: auto. */
  readonly threads?: Pick<ExchangeOptions, 'plan' | 'spin' | 'cores'>;
  /** Ports of the native protocols; left out: none. */
  readonly gateways?: GatewayPorts;
  /** The node is an edge of this cluster; left out: it is alone. */
  readonly cluster?: NonNullable<ExchangeOptions['cluster']>;
  /** What the demo crowd aims at. */
  readonly commandsPerSecond?: number;
}

/** How long a node that has failed may take to say so. */
const failedCloseMs = 2000;

/** The core's default, which counts where the limits leave it out. */
const maxClientIdsDefault = 1 << 23;

const version: string = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
).version;

/** Says what a person should know, to standard error where standard output is for the JSON. */
class Speaker {
  readonly out: NodeJS.WriteStream;
  readonly paint: Paint;
  readonly #quiet: boolean;
  /** All that was said, for a view that has to clear the screen. */
  said = '';

  constructor(options: RunOptions) {
    this.out = options.json ? process.stderr : process.stdout;
    this.paint = this.out.isTTY && this.out.hasColors() ? colours : noColours;
    this.#quiet = options.view === 'quiet';
    // Whoever was listening is gone: that is no reason for a node to fall.
    this.out.on('error', () => undefined);
  }

  say(line: string): void {
    if (this.#quiet) return;
    this.out.write(`${line}\n`);
    this.said += `${line}\n`;
  }
}

const stopSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Resolves at the first of these signals; the second one ends the process at once. */
class StopSignal {
  readonly came: Promise<string>;
  #count = 0;
  #came: (signal: string) => void = () => undefined;
  readonly #handle = (signal: NodeJS.Signals): void => {
    if (++this.#count > 1) {
      process.stderr.write('\u001b[?25h\nverbex: stopped the hard way; the next start recovers\n');
      process.exit(exitForced);
    }
    this.#came(signal);
  };

  constructor() {
    this.came = new Promise((resolve) => {
      this.#came = resolve;
    });
    for (const signal of stopSignals) process.on(signal, this.#handle);
  }

  off(): void {
    for (const signal of stopSignals) process.off(signal, this.#handle);
  }
}

/** Runs until a signal comes; resolves with the exit code after a clean stop, or after saying why not. */
export async function runNode(options: RunOptions): Promise<number> {
  const speaker = new Speaker(options);
  const stop = new StopSignal();
  try {
    return await running(options, speaker, stop);
  } catch (error) {
    process.stderr.write(`${failureText(error)}\n`);
    const exitCode = exitCodeOf(error);
    if (options.json) {
      const { code, message } = error as { code?: unknown; message?: unknown };
      process.stdout.write(
        `${JSON.stringify({ error: { code: code ?? 'INTERNAL_ERROR', message: String(message) }, exitCode })}\n`,
      );
    }
    return exitCode;
  } finally {
    stop.off();
  }
}

async function running(options: RunOptions, speaker: Speaker, stop: StopSignal): Promise<number> {
  const { data, durability, limits, threads } = options;
  const gateways =
    options.gateways === undefined ? undefined : gatewaysOf(options.gateways, options.host, options.demo);
  const openOptions: ExchangeOptions = {
    data,
    durability,
    ...limits,
    ...threads,
    ...(gateways !== undefined && { gateways }),
    ...(options.cluster !== undefined && { cluster: options.cluster }),
  };
  const exchange = await Exchange.open(openOptions);
  const resumed = exchange.stats();
  sayRecovery(speaker, options, resumed);
  let edges: Edges | undefined;
  let crowd: Crowd | undefined;
  let view: View | undefined;
  let failed: (error: unknown) => void = () => undefined;
  const failure = new Promise<never>((_, reject) => {
    failed = reject;
  });
  failure.catch(() => undefined); // Looked at below; until then nobody waits for it.
  try {
    edges = await openEdges({
      exchange,
      folder: data,
      host: options.host,
      port: options.port,
      adminPort: options.adminPort,
      version,
      ...(options.demo && { demoTokens: new Map([[visitorToken, visitorAccount]]) }),
      onFault: (error) => process.stderr.write(`verbex: a request failed by our fault: ${String(error)}\n`),
    });
    if (options.demo) {
      crowd = new Crowd({
        exchange,
        seed: options.seed,
        maxClientIds: limits?.maxClientIds ?? maxClientIdsDefault,
        onFault: failed,
        ...(options.commandsPerSecond !== undefined && { commandsPerSecond: options.commandsPerSecond }),
      });
      await crowd.start();
    }
    const instruments = await exchange.instruments();
    const ports = gatewayLines(exchange, options.demo && options.gateways?.users === undefined);
    sayAddresses(speaker, options, edges, ports, recoveredPosition(resumed), instruments);
    view = openView(options, speaker, exchange, edges, crowd, instruments);
    const watch = watchEngine(exchange, failed);
    try {
      await Promise.race([stop.came, failure]);
    } finally {
      clearInterval(watch);
    }
  } catch (error) {
    crowd?.stop();
    view?.stop();
    await edges?.close();
    // The error that is thrown counts; a node that failed cannot be closed cleanly, and is not waited for.
    const closed = exchange.close().catch(() => undefined);
    await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, failedCloseMs).unref())]);
    throw error;
  }
  crowd?.stop();
  view?.stop();
  speaker.say('stopping …');
  await edges.close();
  const { position, stateHash } = await exchange.close();
  speaker.say(`stopped at position ${position}, state hash ${stateHash}`);
  if (options.json) {
    const summary = {
      position: Number(position),
      stateHash,
      resumedPosition: Number(recoveredPosition(resumed)),
      resumedStateHash: resumed.stateHash,
    };
    process.stdout.write(`${JSON.stringify({ ...summary, exitCode: exitClean })}\n`);
  }
  return exitClean;
}

/** Notices soon that the engine has failed, also when nobody asks it for anything. */
function watchEngine(exchange: Exchange, failed: (error: unknown) => void): NodeJS.Timeout {
  return setInterval(() => {
    const { failure } = exchange.stats();
    if (failure === '') return;
    const [code = '', ...rest] = failure.split(': ');
    failed(new NativeError(code, rest.join(': ')));
  }, 250);
}

type Stats = ReturnType<Exchange['stats']>;

/** Where recovery ended, whose hash `stats().stateHash` is; `stats().position` runs on as soon as the clock ticks. */
function recoveredPosition(stats: Stats): bigint {
  return stats.recoveredFrom + BigInt(stats.replayed);
}

function sayRecovery(speaker: Speaker, options: RunOptions, stats: Stats): void {
  const { paint } = speaker;
  speaker.say(`${paint.bold('verbex')} ${version}  data ${options.data}  durability ${options.durability}`);
  const position = recoveredPosition(stats);
  if (position === 0n) {
    speaker.say(`new exchange at position 0, state hash ${stats.stateHash}`);
    return;
  }
  const from = stats.recoveredFrom > 0n ? `snapshot ${thousands(stats.recoveredFrom)}` : 'the beginning';
  const torn = stats.tornBytes > 0 ? `, ${thousands(stats.tornBytes)} torn bytes cut off` : '';
  speaker.say(
    `recovered from ${from}, ${thousands(stats.replayed)} commands replayed in ${elapsed(stats.recoveryMs)}${torn}`,
  );
  speaker.say(`resumed at position ${position}, state hash ${stats.stateHash}`);
}

function sayAddresses(
  speaker: Speaker,
  options: RunOptions,
  edges: Edges,
  ports: readonly string[],
  position: bigint,
  instruments: readonly InstrumentView[],
): void {
  const { paint } = speaker;
  const { host, port, adminPort } = edges;
  const shown = host.includes(':') ? `[${host}]` : host;
  speaker.say('');
  speaker.say(`  http    http://${shown}:${port}/v1`);
  speaker.say(`  stream  ws://${shown}:${port}${streamPath}`);
  speaker.say(`  admin   http://${shown}:${adminPort}/v1  (key in ${join(options.data, 'admin.key')})`);
  for (const line of ports) speaker.say(line);
  speaker.say('');
  if (!options.demo || !isLoopback(host)) {
    speaker.say(
      options.demo
        ? `  ${host} is not loopback: the demo token does not count, requests must be signed`
        : '  no demo: docs/http-api.md shows how to build a market and make keys',
    );
    return;
  }
  const market = instruments.find(({ instrument }) => instrument === 'BTC-USD')?.lastPrice;
  const id = `try-${position.toString(36)}`;
  speaker.say(paint.dim('  paste into another terminal:'));
  for (const { what, line } of pasteLines({ host, port, id, price: restingPrice(market) })) {
    speaker.say(paint.dim(`  # ${what}`));
    speaker.say(line);
  }
  speaker.say('');
}

function openView(
  options: RunOptions,
  speaker: Speaker,
  exchange: Exchange,
  edges: Edges,
  crowd: Crowd | undefined,
  instruments: readonly InstrumentView[],
): View | undefined {
  if (options.view === 'quiet') return undefined;
  const known = new Map(instruments.map((one) => [one.instrument, one]));
  const taker = new FigureTaker({
    stats: () => exchange.stats(),
    feed: edges.feed,
    clients: () => ({ http: edges.connections, webSocket: edges.stream.clients }),
    crowd,
    steps: (name) =>
      known.get(name) ?? { tickSize: exchange.price(name, 1), lotSize: exchange.quantity(name, 1) },
  });
  const title = options.demo ? `demo market, seed ${options.seed}` : 'node';
  const { out } = speaker;
  if (options.view === 'live' && out.isTTY)
    return new LiveView(out as WriteStream, taker, title, speaker.said);
  return new PlainView((line) => out.write(`${line}\n`), taker);
}
