// Who takes part: what each is made of, how it is started, and where its rules differ from the workload's.
import { join } from 'node:path';
import { cargoPackage, mavenProgram, nodeProgram, npmPackage } from './install.mjs';

export const workloads = ['W1k', 'ec1k', 'common'];

const reduceLosesPlace =
  'to change a quantity it has only modify, which loses the place in the queue that a reduce keeps';
const heap = ['-Xms2g', '-Xmx2g', '-XX:+UseParallelGC'];

/** Engines that match: a Verbex to compare with comes first in each group. `lacks`: workloads that it cannot run as they are meant. */
export const engines = [
  {
    name: 'verbex',
    group: 'matching',
    what: 'book alone',
    native: 'peer_bench',
    args: (flow, more) => ['--run', flow, ...more],
  },
  {
    name: 'exchange-core',
    group: 'matching',
    what: 'direct order book alone',
    install: mavenProgram({
      name: 'exchange-core',
      version: '0.5.3',
      main: 'ExchangeCoreBook',
      flags: heap,
    }),
    warmup: 3,
  },
  {
    name: 'orderbook-rs',
    group: 'matching',
    what: 'book with a trade listener',
    install: cargoPackage({ name: 'orderbook-rs', version: '0.15.3' }),
  },
  {
    name: 'nodejs-order-book',
    group: 'matching',
    what: 'book without journaling',
    install: npmPackage({ name: 'nodejs-order-book', version: '10.1.1', harness: 'node-order-book.mjs' }),
    lacks: { ec1k: reduceLosesPlace },
    warmup: 2,
  },
  {
    name: 'hft-limit-order-book',
    group: 'matching',
    what: 'book without journaling',
    install: npmPackage({ name: 'hft-limit-order-book', version: '7.0.2', harness: 'node-order-book.mjs' }),
    lacks: { ec1k: reduceLosesPlace },
    warmup: 2,
  },
  {
    name: 'verbex core',
    group: 'risk',
    what: 'ids, risk, book, settlement, fees; one thread',
    native: 'peer_bench',
    args: (flow, more) => ['--run', flow, '--risk', ...more],
  },
  {
    name: 'verbex TypeScript',
    group: 'risk',
    what: 'the same through Exchange in batches of 256, every event read; two threads',
    install: nodeProgram(join('bench', 'peers', 'verbex-api.mjs')),
    warmup: 2,
  },
];

const waits = ['busy-spin', 'yielding'];

/** Hand-offs 1→1 of 128 bytes between two threads. */
export const handOffs = [
  {
    name: 'verbex ring',
    what: 'spinning',
    native: 'ring_bench',
    args: (operations) => [
      '--case',
      'handoff-1-1',
      '--operations',
      String(operations),
      '--runs',
      '1',
      '--json',
    ],
  },
  ...waits.map((wait) => ({
    name: 'disruptor',
    what: `consumer ${wait}`,
    install: mavenProgram({
      name: 'disruptor',
      version: '4.0.0',
      main: 'DisruptorHandOff',
      flags: ['-Xms1g', '-Xmx1g', '-XX:+UseParallelGC'],
    }),
    args: (operations) => ['--operations', String(operations), '--wait', wait],
  })),
  {
    name: 'aeron-ipc',
    what: 'spinning, driver SHARED',
    install: mavenProgram({
      name: 'aeron',
      version: '1.44.1',
      main: 'AeronHandOff',
      flags: [
        '-Xms1g',
        '-Xmx1g',
        '-XX:+UseParallelGC',
        '-Dagrona.disable.bounds.checks=true',
        '--add-opens=java.base/sun.nio.ch=ALL-UNNAMED',
        '--add-opens=java.base/jdk.internal.misc=ALL-UNNAMED',
      ],
    }),
    args: (operations) => ['--operations', String(operations)],
  },
];
