// Any garbage argument gives a JavaScript error, never a crash.
import { describe, expect, test } from 'vitest';
import {
  explainAt,
  journalRead,
  journalVerify,
  NativeBus,
  NativeCore,
  NativeNode,
  recover,
} from '../../src/native/binding.ts';
import { commands } from './flow.ts';

const limits = { maxOrders: 64, maxAccounts: 16, maxInstruments: 4, maxClientIds: 256 };

const detached = new Uint8Array(256);
structuredClone(detached.buffer, { transfer: [detached.buffer] });

const throwing = new Proxy(
  {},
  {
    get: () => {
      throw new Error('from a getter');
    },
  },
);

const garbage: readonly unknown[] = [
  ...[undefined, null, true, false, 0, -0, 1, -1, 0.5, 1e9, 2 ** 32, 2 ** 53, 1e308, Number.NaN],
  ...[Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0n, 1n, -1n, 2n ** 64n, 2n ** 200n, '', 'x', '\0'],
  ...[
    '\ud800',
    'a'.repeat(5000),
    'levels',
    'order',
    'both',
    Symbol('s'),
    {},
    [],
    [1, 2, 3],
    () => {},
    class {},
  ],
  ...[new Date(), /x/, new Map(), Promise.resolve(1), new ArrayBuffer(256), new SharedArrayBuffer(256)],
  ...[new Uint8Array(0), new Uint8Array(16), new Uint8Array(128), new Uint8Array(129), detached],
  ...[new Uint8Array(new SharedArrayBuffer(256)), new Uint16Array(64), new Float64Array(16)],
  ...[new DataView(new ArrayBuffer(256)), Buffer.from('hello'), throwing, Object.create(null), globalThis],
  ...[{ data: '', maxOrders: -1 }, { data: 5 }, { data: '', ringCells: 100 }, { data: '', durable: 1 }],
  ...[{ data: 'a\0b' }, { data: '', eventCells: Number.NaN }, { maxOrders: '5' }, { maxOrders: 2 ** 40 }],
  ...[{ length: 128, 0: 1 }, Object.setPrototypeOf({}, Uint8Array.prototype)],
];

let seed = 99;
function pick(): unknown {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return garbage[seed % garbage.length];
}

type Function = (...values: never[]) => unknown;

/** Calls with garbage; what throws or rejects must be an Error. Answers how many did. */
async function torment(call: (values: unknown[]) => unknown, arity: number, rounds: number): Promise<number> {
  const rejected: Promise<unknown>[] = [];
  let failed = 0;
  const judge = (error: unknown): void => {
    failed++;
    expect(error).toBeInstanceOf(Error);
  };
  const once = (values: unknown[]): void => {
    try {
      const answer = call(values);
      if (answer instanceof Promise) rejected.push(answer.catch(judge));
    } catch (error) {
      judge(error);
    }
  };
  once([]);
  for (const value of garbage) {
    for (let place = 0; place < arity; place++) {
      const values = Array.from({ length: arity }, pick);
      values[place] = value;
      once(values);
    }
  }
  for (let round = 0; round < rounds; round++) once(Array.from({ length: (round % 7) + 1 }, pick));
  await Promise.all(rejected);
  return failed;
}

/** Options that would open a folder, or take much memory, are no garbage. */
function harmless(value: unknown): unknown {
  if (value === throwing || typeof value !== 'object' || value === null) return value;
  const { data } = value as { data?: unknown };
  return typeof data === 'string' || data === undefined ? { ...limits, ...value, data: '' } : value;
}

describe('garbage arguments', () => {
  test('to the core', async () => {
    const Core = NativeCore as unknown as new (...values: unknown[]) => unknown;
    const smallLimits = (value: unknown): unknown =>
      typeof value === 'object' && value !== null && value !== throwing ? { ...limits, ...value } : value;
    expect(await torment((values) => new Core(...values.map(smallLimits)), 2, 200)).toBeGreaterThan(50);
    const core = new NativeCore(limits);
    core.apply(commands(20), 20);
    for (const name of ['apply', 'query', 'explain', 'hash', 'save', 'position'] as const) {
      const method = core[name] as unknown as Function;
      await torment((values) => method.apply(core, values as never[]), 4, 300);
    }
    const load = NativeCore.load as unknown as Function;
    expect(await torment((values) => load(...(values.map(smallLimits) as never[])), 2, 200)).toBeGreaterThan(
      100,
    );
    expect(core.apply(commands(30).subarray(20 * 128), 10).length).toBeGreaterThan(0);
  });

  test('to a node', async () => {
    const opened: Promise<NativeNode>[] = [];
    const openAny = NativeNode.open as unknown as (...values: unknown[]) => Promise<NativeNode>;
    await torment(
      (values) => {
        const node = openAny(...values.map(harmless));
        opened.push(node);
        return node;
      },
      2,
      100,
    );
    for (const one of await Promise.allSettled(opened)) {
      if (one.status === 'fulfilled') await one.value.close();
    }
    const node = await NativeNode.open({ ...limits, data: '' }, () => {});
    for (const name of ['offer', 'available', 'release', 'query', 'snapshot', 'stats'] as const) {
      const method = node[name] as unknown as Function;
      await torment(
        (values) => {
          node.release(node.available());
          return method.apply(node, values as never[]);
        },
        4,
        300,
      );
    }
    node.release(node.available());
    const { close } = node as unknown as { close: Function };
    expect(() => close()).toThrow(TypeError);
    await torment((values) => close.apply(node, values as never[]), 1, 5);
    await node.close();
  });

  test('to a bus', async () => {
    const opened: Promise<NativeBus>[] = [];
    const openAny = NativeBus.open as unknown as (...values: unknown[]) => Promise<NativeBus>;
    const failed = await torment(
      (values) => {
        const bus = openAny(...values);
        opened.push(bus);
        return bus;
      },
      3,
      100,
    );
    expect(failed).toBeGreaterThan(100);
    for (const one of await Promise.allSettled(opened)) {
      if (one.status === 'fulfilled') await one.value.close(0);
    }
    const bus = await NativeBus.open({ name: 'n', transport: 'auto' }, () => {}, null);
    const publication = await bus.publish({ stream: 's', retain: true }, 1n);
    await bus.connect(await bus.listen('127.0.0.1:0'), 5000);
    const { subscription } = await bus.subscribe(1, { stream: 's', from: 'oldest' }, 0n);
    const names = [
      ...['listen', 'connect', 'disconnect', 'peers', 'events', 'counters', 'publish', 'offer', 'offerBatch'],
      ...[
        'awaitPublication',
        'publicationState',
        'closePublication',
        'forgetPublication',
        'subscribe',
        'next',
      ],
      ...['awaitSubscription', 'subscriptionState', 'closeSubscription'],
    ] as const;
    for (const name of names) {
      const method = (bus as unknown as Record<string, Function>)[name]!;
      const spare = [publication, subscription];
      // Half of the calls on streams that are there, so that the arguments behind are looked at.
      const mostly = (values: unknown[]): unknown[] =>
        (values.length > 1 && name === 'offer') || name === 'offerBatch' || name === 'next'
          ? [spare[name === 'next' ? 1 : 0], ...values.slice(1)]
          : values;
      await torment((values) => method.apply(bus, mostly(values) as never[]), 3, 100);
    }
    expect(bus.offerBatch(publication, [new Uint8Array(4)], 0)).toBe(1);
    await torment((values) => (bus.close as unknown as Function).apply(bus, values as never[]), 1, 3);
    await bus.close(0);
    // Closed twice, asked afterwards: answers, no crash.
    await bus.close(0);
    expect(bus.offer(publication, new Uint8Array(1))).toBe(-4n);
    await expect(bus.peers()).rejects.toMatchObject({ code: 'CLOSED' });
    const Bus = NativeBus as unknown as new () => unknown;
    expect(() => new Bus()).toThrow('NativeBus.open()');
  });

  test('to the offline functions', async () => {
    for (const function_ of [journalVerify, journalRead, recover, explainAt] as unknown as Function[]) {
      expect(await torment((values) => function_(...(values as never[])), 4, 200)).toBeGreaterThan(200);
    }
  });

  test('as `this`', async () => {
    const core = new NativeCore(limits);
    const node = await NativeNode.open({ ...limits, data: '' }, () => {});
    const bus = await NativeBus.open({ name: 'n', transport: 'auto' }, () => {}, null);
    const strangers = [...garbage, core, node, bus, Object.create(core), new Proxy(core, {}), NativeCore];
    for (const [owner, names] of [
      [core, ['apply', 'hash', 'explain', 'save', 'position', 'query']],
      [node, ['offer', 'available', 'release', 'query', 'snapshot', 'stats', 'close']],
      [bus, ['offer', 'offerBatch', 'next', 'publicationState', 'listen', 'peers', 'close']],
    ] as const) {
      for (const name of names) {
        const method = (owner as unknown as Record<string, Function>)[name]!;
        for (const stranger of strangers) {
          if (stranger === owner) continue;
          expect(() => method.call(stranger as never)).toThrow(TypeError);
        }
      }
    }
    await node.close();
    await bus.close(0);
  });

  test('a node comes from open() only, a core from new only', () => {
    const Node = NativeNode as unknown as new () => unknown;
    expect(() => new Node()).toThrow('NativeNode.open()');
    expect(() => (NativeNode as unknown as () => unknown)()).toThrow(TypeError);
    expect(() => (NativeCore as unknown as (l: object) => unknown)(limits)).toThrow('needs new');
    class Mine extends (NativeCore as unknown as new (l: object) => NativeCore) {}
    expect(new Mine(limits).position()).toBe(0n);
  });

  test('an error that onEvents throws is an uncaught one, and the node goes on', async () => {
    const seen: unknown[] = [];
    const listeners = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    process.on('uncaughtException', (error) => seen.push(error));
    try {
      const node = await NativeNode.open({ ...limits, data: '' }, () => {
        throw new Error('from onEvents');
      });
      node.offer(1);
      while (seen.length === 0) await new Promise((done) => setTimeout(done, 1));
      expect(seen).toEqual([expect.objectContaining({ message: 'from onEvents' })]);
      node.release(node.available());
      expect((await node.close()).position).toBe(1n);
    } finally {
      process.removeAllListeners('uncaughtException');
      for (const listener of listeners) process.on('uncaughtException', listener);
    }
  });
});
