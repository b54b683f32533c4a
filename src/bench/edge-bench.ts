// The network edges: signed orders over HTTP, and what the owner's WebSocket stream shows of them, against a node on loopback.
//
//   this process: clients                           a process of its own: verbex run, journal async
//   sign ──▶ [ connections ] ── HTTP/1.1 ──▶ check · Exchange.submit ──▶ engine ──▶ answer ──▶ status 201 seen
//   [ stream, channel orders ] ◀── WebSocket ─────────────────────────────┘
//
// closed: each connection sends its next order when the last one is answered.
// load: orders are due at a fixed rate and take the first free connection; latency counts from when an order was due.
// stream: the same, until the owner's WebSocket stream has shown the order. Orders cannot be entered over the WebSocket.
//
// Workload: new limit orders that rest, on 1,000 prices a side, 8 accounts, each with a key of its own. Client and node share the machine, the client's
// signing included. No TLS.
import { WebSocket } from 'ws';
import { VerbexError } from '../errors/errors.ts';
import { HttpConnection, signed } from './http-connection.ts';
import { Latencies } from './latencies.ts';
import { type ClientKey, NodeProcess } from './node-process.ts';
import type { BenchCase, BenchResult } from './result.ts';

export interface EdgeBenchOptions {
  readonly rates: readonly number[];
  readonly connections: number;
  readonly seconds: number;
  readonly durability: 'async' | 'durable';
  readonly dir?: string;
  readonly say: (text: string) => void;
}

export const edgeBenchDefaults: Omit<EdgeBenchOptions, 'say'> = {
  rates: [250, 500, 1000, 2000],
  connections: 32,
  seconds: 3,
  durability: 'async',
};

const accounts = 8;
const orders = '/v1/orders';

class Clients {
  readonly connections: HttpConnection[] = [];
  readonly keys: readonly ClientKey[];
  #orders = 0;

  private constructor(keys: readonly ClientKey[]) {
    this.keys = keys;
  }

  static async open(node: NodeProcess, connections: number): Promise<Clients> {
    const clients = new Clients(await node.market(accounts));
    for (let index = 0; index < connections; index++) {
      const key = clients.keys[index % accounts]!;
      clients.connections.push(await HttpConnection.open(node.port, key));
    }
    return clients;
  }

  /** Places the next order over a connection; answers its id. */
  async place(connection: HttpConnection, id: string = this.nextId()): Promise<string> {
    const number = this.#orders;
    const buy = number % 2 === 0;
    const cents = (buy ? 5_900_000 : 6_100_000) + (number % 1000) * (buy ? -1 : 1);
    const price = `${Math.floor(cents / 100)}.${String(cents % 100).padStart(2, '0')}`;
    const body = JSON.stringify({
      instrument: 'BTC-USD',
      id,
      side: buy ? 'buy' : 'sell',
      price,
      quantity: '0.001',
    });
    const { status, body: answer } = await connection.send('POST', orders, body);
    if (status !== 201) throw new VerbexError('BENCH_FAILED', `an order was answered ${status}: ${answer}`);
    return id;
  }

  nextId(): string {
    return `o${this.#orders++}`;
  }

  close(): void {
    for (const connection of this.connections) connection.close();
  }
}

/** Each connection sends its next order when the last one is answered. */
async function closedLoop(clients: Clients, connections: number, seconds: number): Promise<BenchCase> {
  const latencies = new Latencies();
  const began = performance.now();
  const until = began + seconds * 1000;
  const one = async (connection: HttpConnection): Promise<void> => {
    for (let now = performance.now(); now < until; ) {
      await clients.place(connection);
      const after = performance.now();
      latencies.add((after - now) * 1e6);
      now = after;
    }
  };
  await Promise.all(clients.connections.slice(0, connections).map(one));
  const perSecond = (latencies.total * 1000) / (performance.now() - began);
  return {
    name:
      connections === 1
        ? 'HTTP takes one order at a time over one connection'
        : `HTTP takes orders over ${connections} connections, one at a time over each`,
    case: 'closed',
    connections,
    opsPerSecond: Math.round(perSecond),
    ...latencies.figures(),
  };
}

/** Orders are due at a fixed rate; `begin` starts the next one over a free connection. */
async function openLoop(
  clients: Clients,
  rate: number,
  seconds: number,
  begin: (connection: HttpConnection, due: number) => Promise<void>,
): Promise<number> {
  const free = [...clients.connections];
  const count = Math.max(1, Math.floor(rate * seconds));
  const under = new Set<Promise<void>>();
  let failure: unknown;
  const began = performance.now();
  for (let sent = 0; sent < count && failure === undefined; ) {
    const due = began + (sent * 1000) / rate;
    const connection = performance.now() >= due ? free.pop() : undefined;
    if (connection === undefined) {
      await new Promise((resolve) => setImmediate(resolve));
      continue;
    }
    sent++;
    const order: Promise<void> = begin(connection, due)
      .then(() => {
        free.push(connection);
      })
      .catch((error: unknown) => {
        failure = error;
      })
      .finally(() => under.delete(order));
    under.add(order);
  }
  await Promise.all(under);
  if (failure !== undefined) throw failure;
  return (count * 1000) / (performance.now() - began);
}

async function httpLoad(clients: Clients, rate: number, seconds: number): Promise<BenchCase> {
  const latencies = new Latencies();
  const perSecond = await openLoop(clients, rate, seconds, async (connection, due) => {
    await clients.place(connection);
    latencies.add((performance.now() - due) * 1e6);
  });
  return {
    name: `HTTP is offered ${rate} orders a second`,
    case: 'load',
    connections: clients.connections.length,
    opsPerSecond: Math.round(perSecond),
    offeredPerSecond: rate,
    ...latencies.figures(),
  };
}

async function streamLoad(
  node: NodeProcess,
  clients: Clients,
  rate: number,
  seconds: number,
): Promise<BenchCase> {
  const latencies = new Latencies();
  const due = new Map<string, number>();
  let allSeen = (): void => undefined;
  const seen = (id: string): void => {
    const planned = due.get(id);
    if (planned === undefined) return;
    due.delete(id);
    latencies.add((performance.now() - planned) * 1e6);
    if (due.size === 0) allSeen();
  };
  const sockets = await Promise.all(clients.keys.map((key) => ordersStream(node.streamUrl, key, seen)));
  try {
    const perSecond = await openLoop(clients, rate, seconds, async (connection, planned) => {
      const id = clients.nextId();
      due.set(id, planned);
      await clients.place(connection, id);
    });
    if (due.size > 0) {
      await new Promise<void>((resolve, reject) => {
        allSeen = resolve;
        setTimeout(
          () => reject(new VerbexError('BENCH_FAILED', `${due.size} orders never came over the stream`)),
          10_000,
        ).unref();
      });
    }
    return {
      name: `WebSocket shows the owner ${rate} orders a second`,
      case: 'stream',
      connections: clients.connections.length,
      opsPerSecond: Math.round(perSecond),
      offeredPerSecond: rate,
      ...latencies.figures(),
    };
  } finally {
    for (const socket of sockets) socket.terminate();
  }
}

interface StreamMessage {
  readonly op?: string;
  readonly channel?: string;
  readonly type?: string;
  readonly events?: readonly { readonly event: string; readonly id?: string }[];
}

/** Resolves once the account's open orders have come: what follows are events. */
function ordersStream(url: string, key: ClientKey, seen: (id: string) => void): Promise<WebSocket> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url);
    socket.on('error', reject);
    socket.on('message', (data) => {
      const message = JSON.parse(data.toString()) as StreamMessage;
      if (message.op === 'welcome') {
        const [name, timestamp, signature] = signed(key, 'GET', '/v1/stream', '');
        socket.send(JSON.stringify({ op: 'auth', key: name, timestamp, signature }));
      } else if (message.op === 'authenticated') {
        socket.send(JSON.stringify({ op: 'subscribe', channel: 'orders' }));
      } else if (message.op === 'error') {
        reject(new VerbexError('BENCH_FAILED', `the stream answers ${data.toString()}`));
      } else if (message.channel !== 'orders') {
        return;
      } else if (message.type === 'snapshot') {
        resolve(socket);
      } else {
        for (const { event, id } of message.events ?? []) {
          if (event === 'accepted' && id !== undefined) seen(id);
        }
      }
    });
  });
}

export async function edgeBench(options: EdgeBenchOptions): Promise<BenchResult> {
  const { rates, connections, seconds, durability, dir, say } = options;
  say(`edges: a node of its own, journal ${durability} …`);
  const node = await NodeProcess.start(durability, dir);
  let clients: Clients | undefined;
  try {
    clients = await Clients.open(node, connections);
    const cases: BenchCase[] = [];
    await closedLoop(clients, connections, Math.min(1, seconds)); // so that both sides' code is compiled
    for (const count of connections > 1 ? [1, connections] : [1]) {
      say(`edges: HTTP, closed loop over ${count} …`);
      cases.push(await closedLoop(clients, count, seconds));
    }
    for (const rate of rates) {
      say(`edges: HTTP, ${rate} orders a second …`);
      cases.push(await httpLoad(clients, rate, seconds));
    }
    for (const rate of rates) {
      say(`edges: HTTP in, WebSocket out, ${rate} orders a second …`);
      cases.push(await streamLoad(node, clients, rate, seconds));
    }
    return { cases, durability, connections, seconds, accounts, node: process.version };
  } finally {
    clients?.close();
    await node.stop();
  }
}
