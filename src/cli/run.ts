/** `verbex run`: one exchange node, with or without the demo market. */
import type { GatewayPorts } from '../console/gateways.ts';
import type { RunOptions } from '../console/run.ts';
import type { Command, Given } from './command.ts';
import { planGiven, planOptions } from './plan.ts';

const portMax = 65_535;
const countMax = 2 ** 32 - 1;

/** Fixed ones stand beside HTTP's; where that takes any, these do. */
function gatewayPorts(given: Given): GatewayPorts {
  const free = given.integer('port') === 0;
  const port = (name: string, fixed: number): number => given.integer(name) ?? (free ? 0 : fixed);
  const users = given.text('gateway-users');
  const datagrams = given.need('itch-datagrams');
  return {
    orders: port('ouch-port', 8090),
    clearing: port('clearing-port', 8091),
    stream: port('itch-port', 8092),
    snapshot: port('snapshot-port', 8093),
    retransmission: port('retransmission-port', 8094),
    datagrams: datagrams === 'none' ? '' : datagrams,
    ...(users !== undefined && { users }),
  };
}

export const runCommand: Command = {
  name: 'run',
  summary: 'run one exchange node with HTTP and WebSocket',
  options: [
    { name: 'data', value: 'DIR', fallback: './data', help: 'journal and snapshots' },
    { name: 'host', value: 'ADDRESS', fallback: '127.0.0.1', help: 'address of both listeners' },
    {
      name: 'port',
      value: 'PORT',
      range: [0, portMax],
      fallback: '8080',
      help: 'public HTTP and WebSocket; 0: any free one',
    },
    { name: 'admin-port', value: 'PORT', range: [0, portMax], fallback: '8081', help: 'admin listener' },
    {
      name: 'durability',
      value: 'MODE',
      oneOf: ['async', 'durable'],
      fallback: 'async',
      help: 'answer when journaled, or only when it is on disk',
    },
    ...planOptions,
    {
      name: 'ouch-port',
      value: 'PORT',
      range: [0, portMax],
      help: 'OUCH 5.0 order entry; default 8090, any free one where --port is 0',
    },
    { name: 'clearing-port', value: 'PORT', range: [0, portMax], help: 'clearing; default 8091, likewise' },
    { name: 'itch-port', value: 'PORT', range: [0, portMax], help: 'ITCH 5.0; default 8092, likewise' },
    {
      name: 'snapshot-port',
      value: 'PORT',
      range: [0, portMax],
      help: 'snapshots of the book; default 8093, likewise',
    },
    {
      name: 'retransmission-port',
      value: 'PORT',
      range: [0, portMax],
      help: 'MoldUDP64 requests; default 8094, likewise',
    },
    {
      name: 'itch-datagrams',
      value: 'ADDRESS:PORT,…',
      fallback: '239.192.0.1:8095',
      help: 'where MoldUDP64 datagrams go: groups and single hosts; none: nowhere',
    },
    {
      name: 'gateway-users',
      value: 'FILE',
      help: 'JSON: who may log in to these ports (docs/operations.md); default: the demo’s user, on loopback only',
    },
    { name: 'no-gateways', help: 'none of these ports' },
    {
      name: 'cluster',
      value: 'FILE',
      help: 'be an edge of the cluster that this cluster.json describes: it gives positions, these ports serve',
    },
    {
      name: 'edge',
      value: 'N',
      range: [1, 255],
      fallback: '1',
      help: 'number of this edge, different for each of a cluster',
    },
    { name: 'demo', help: 'define the demo market and let a crowd trade on it' },
    { name: 'no-demo', help: 'no demo market, no crowd, whatever else says so' },
    { name: 'seed', value: 'N', range: [0, countMax], fallback: '1', help: 'seed of the crowd' },
    { name: 'quiet', help: 'print nothing but errors' },
    {
      name: 'plain',
      help: 'lines instead of the live view; the default where standard output is no terminal',
    },
    {
      name: 'max-orders',
      value: 'N',
      range: [1, countMax],
      help: 'open orders; fixed when the folder is created',
    },
    { name: 'max-accounts', value: 'N', range: [1, countMax], help: 'accounts; likewise' },
    { name: 'max-instruments', value: 'N', range: [1, countMax], help: 'instruments; likewise' },
    { name: 'max-client-ids', value: 'N', range: [1, countMax], help: 'remembered order ids; likewise' },
  ],
  notes: [
    'Ctrl-C (or SIGTERM) stops cleanly: everything taken is applied, journaled and published. Started again, it goes on where it stopped.',
  ],
  examples: [
    ['verbex run --demo', 'a market with a crowd on http://127.0.0.1:8080'],
    ['verbex run --data /var/lib/verbex --durability durable --quiet', 'for keeps'],
    ['VERBEX_PORT=9000 verbex run', 'flags from the environment'],
  ],
  async run(given, output) {
    const { runNode } = await import('../console/run.ts');
    const limits = {
      maxOrders: given.integer('max-orders'),
      maxAccounts: given.integer('max-accounts'),
      maxInstruments: given.integer('max-instruments'),
      maxClientIds: given.integer('max-client-ids'),
    };
    const chosen = Object.entries(limits).filter(
      (entry): entry is [string, number] => entry[1] !== undefined,
    );
    return await runNode({
      data: given.need('data'),
      host: given.need('host'),
      port: given.integer('port') ?? 0,
      adminPort: given.integer('admin-port') ?? 0,
      demo: given.has('demo') && !given.has('no-demo'),
      seed: given.integer('seed') ?? 1,
      durability: given.need('durability') === 'durable' ? 'durable' : 'async',
      view: given.has('quiet')
        ? 'quiet'
        : given.has('plain') || output.json || process.stdout.isTTY !== true
          ? 'plain'
          : 'live',
      json: output.json,
      ...(chosen.length === 0 ? {} : { limits: Object.fromEntries(chosen) }),
      threads: planGiven(given),
      ...(!given.has('no-gateways') && { gateways: gatewayPorts(given) }),
      ...(await edgeOf(given)),
    });
  },
};

/** With --cluster: how to reach it, and its capacities, which an edge shares. */
async function edgeOf(given: Given): Promise<Partial<Pick<RunOptions, 'cluster' | 'limits'>>> {
  const file = given.text('cluster');
  if (file === undefined) return {};
  const { readDescription } = await import('../cluster/description.ts');
  const { keyOf } = await import('../cluster/member-process.ts');
  const described = readDescription(file);
  const key = keyOf(described);
  return {
    cluster: {
      name: described.name,
      members: described.members.map(({ id, host, port }) => ({ id, address: `${host}:${port}` })),
      edge: given.integer('edge') ?? 1,
      transport: described.transport,
      ...(key !== undefined && { key }),
    },
    limits: described.limits,
  };
}
