/** `verbex run`: one exchange node, with or without the demo market. */
import type { Command } from './command.ts';
import { planGiven, planOptions } from './plan.ts';

const portMax = 65_535;
const countMax = 2 ** 32 - 1;

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
    });
  },
};
