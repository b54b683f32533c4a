// Publications and subscriptions over a model of the native bus, which can be brought into any state.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  BusClosedError,
  BusRefusedError,
  PeerLostError,
  PositionLostError,
  SlowConsumerError,
  UnknownNameError,
} from '../../src/errors/errors.ts';
import { Bus, type BusEvent, type BusMessage, Offer } from '../../src/index.ts';
import { ModelBus, peer } from './model-bus.ts';

async function open(model = new ModelBus()): Promise<{ model: ModelBus; bus: Bus }> {
  const bus = await Bus.openOver((_, onNews) => {
    model.onNews = onNews;
    return Promise.resolve(model);
  });
  return { model, bus };
}

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('a subscription', () => {
  test('gives every message in order, whatever the sizes and however the ring wraps', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 1000 }), { minLength: 1, maxLength: 60 }),
        fc.boolean(),
        async (sent, inBatches) => {
          const { model, bus } = await open();
          const subscription = await bus.subscribe('s', { from: 1n });
          const got: BusMessage[] = [];
          const reading = (async () => {
            if (inBatches) for await (const batch of subscription.batches()) got.push(...batch);
            else for await (const message of subscription) got.push(message);
          })();
          for (const [index, data] of sent.entries()) {
            while (!model.deliver(BigInt(index + 1), data)) {
              model.onNews();
              await turn();
            }
            if (index % 3 === 0) model.onNews();
          }
          model.set('ended');
          await reading;
          expect(got.map(({ position }) => position)).toEqual(sent.map((_, index) => BigInt(index + 1)));
          for (const [index, { data }] of got.entries()) expect(Buffer.compare(data, sent[index]!)).toBe(0);
          expect(subscription.resumeFrom).toBe(BigInt(sent.length + 1));
        },
      ),
      { numRuns: 40 },
    );
  });

  test('copies: what the ring is overwritten with does not change a message', async () => {
    const { model, bus } = await open();
    const subscription = await bus.subscribe('s');
    model.deliver(1n, bytes(1, 2, 3));
    const [message] = subscription.take();
    new Uint8Array(model.memory).fill(255);
    expect(message).toEqual({ position: 1n, data: bytes(1, 2, 3) });
  });

  test('take never waits, keeps to its limit, and shares its place with the iterators', async () => {
    const { model, bus } = await open();
    const subscription = await bus.subscribe('s');
    expect(subscription.take()).toEqual([]);
    for (let at = 1; at <= 6; at++) model.deliver(BigInt(at), bytes(at));
    expect(subscription.take(2).map(({ position }) => position)).toEqual([1n, 2n]);
    for await (const { position } of subscription) {
      expect(position).toBe(3n);
      break;
    }
    // Leaving the loop has left the place.
    expect(subscription.take(1).map(({ position }) => position)).toEqual([4n]);
    const { value } = await subscription.batches().next();
    expect((value as BusMessage[]).map(({ position }) => position)).toEqual([5n, 6n]);
  });

  test.each([
    ['cut-off', { resumeFrom: 3n }, SlowConsumerError, { code: 'SLOW_CONSUMER', resumeFrom: 3n }],
    [
      'refused',
      { code: 'POSITION_LOST', message: 'begins at 10', oldest: 10n },
      PositionLostError,
      { code: 'POSITION_LOST', oldest: 10n },
    ],
    ['refused', { code: 'NOT_FOUND', message: 'no s' }, UnknownNameError, { code: 'UNKNOWN_STREAM' }],
    ['closed', { code: 'PEER_LOST', message: 'gone' }, PeerLostError, { code: 'PEER_LOST' }],
  ] as const)(
    '%s, case %#: everything before is read, then it throws',
    async (state, facts, Class, shape) => {
      const { model, bus } = await open();
      const subscription = await bus.subscribe('s');
      model.deliver(1n, bytes(1));
      model.deliver(2n, bytes(2));
      model.set(state, facts);
      const got: bigint[] = [];
      const error = await (async () => {
        for await (const { position } of subscription) got.push(position);
      })().catch((caught: unknown) => caught);
      expect(got).toEqual([1n, 2n]);
      expect(error).toBeInstanceOf(Class);
      expect(error).toMatchObject(shape);
      await expect(subscription.live()).rejects.toBeInstanceOf(Class);
    },
  );

  test('a state that comes while it waits, close() and the end of the bus wake it', async () => {
    const { model, bus } = await open();
    const subscription = await bus.subscribe('s');
    const waiting = subscription.batches().next();
    await turn();
    model.set('ended');
    expect(await waiting).toEqual({ done: true, value: undefined });

    model.set('live');
    const again = subscription.batches().next();
    await turn();
    await subscription.close();
    await subscription.close();
    expect(await again).toEqual({ done: true, value: undefined });
    expect(subscription.state).toBe('closed');
    expect(subscription.take()).toEqual([]);
    expect(model.calls.filter(([name]) => name === 'closeSubscription')).toHaveLength(1);

    const other = await open();
    const third = (await other.bus.subscribe('s')).batches().next();
    await turn();
    await other.bus.close();
    expect(await third).toEqual({ done: true, value: undefined });
  });
});

describe('a publication', () => {
  test('offer answers positions and codes', async () => {
    const { model, bus } = await open();
    const publication = await bus.publish('s', { first: 5n });
    expect(publication.offer(bytes(1))).toBe(5n);
    model.room = 0;
    expect(publication.offer(bytes(1))).toBe(Offer.BACK_PRESSURED);
    expect(publication.offer(new Uint8Array(2000))).toBe(Offer.TOO_LARGE);
    model.publication = { ...model.publication, subscribers: 0 };
    expect(publication.offer(bytes(1))).toBe(Offer.NOT_CONNECTED);
    await publication.close();
    await publication.close();
    expect(publication.offer(bytes(1))).toBe(Offer.CLOSED);
    expect(publication.offerBatch([bytes(1)])).toBe(0);
    expect(publication.position).toBe(5n);
    expect(model.calls.filter(([name]) => name === 'forgetPublication')).toHaveLength(1);
  });

  test('sends wait for room and keep the order in which they were called', async () => {
    const { model, bus } = await open();
    const publication = await bus.publish('s');
    model.room = 0;
    const sends = [
      publication.send(bytes(1)),
      publication.sendBatch([bytes(2), bytes(3), bytes(4)]),
      publication.send(bytes(5)),
    ];
    for (let round = 0; round < 12 && model.offered.length < 5; round++) {
      await turn();
      model.room = 1;
      model.onNews();
    }
    expect(await Promise.all(sends)).toEqual([1n, 4n, 5n]);
    expect(model.offered.map(({ data }) => data[0])).toEqual([1, 2, 3, 4, 5]);
  });

  test('a send that waits is rejected when the publication is closed; one that is too long at once', async () => {
    const { model, bus } = await open();
    const publication = await bus.publish('s');
    await expect(publication.send(new Uint8Array(2000))).rejects.toMatchObject({ code: 'MESSAGE_TOO_LARGE' });
    model.room = 0;
    const waiting = publication.send(bytes(1)).catch((error: unknown) => error);
    await turn();
    await publication.close();
    expect(await waiting).toBeInstanceOf(BusClosedError);
    expect(await waiting).toMatchObject({ code: 'PUBLICATION_CLOSED' });
  });

  test('connected and consumed wait for what they say', async () => {
    const { model, bus } = await open();
    model.publication = { ...model.publication, subscribers: 0 };
    const publication = await bus.publish('s');
    let reached = '';
    const both = publication.connected(2).then(async () => {
      reached = 'connected';
      publication.offer(bytes(1));
      await publication.consumed();
      reached = 'consumed';
    });
    for (const subscribers of [1, 2]) {
      await turn();
      expect(reached).toBe('');
      model.publication = { ...model.publication, subscribers };
      model.onNews();
    }
    await turn();
    expect(reached).toBe('connected');
    model.publication = { ...model.publication, consumedByAll: 1n };
    model.onNews();
    await both;
    expect(reached).toBe('consumed');
  });
});

describe('a bus', () => {
  test('native codes become errors of the family', async () => {
    const { model, bus } = await open();
    for (const code of ['AUTHENTICATION_FAILED', 'TRANSPORT_UNAVAILABLE', 'REFUSED', 'TIMED_OUT']) {
      model.failures.set('connect', { code, message: 'no' });
      const error = await bus.connect('127.0.0.1:1').catch((caught: unknown) => caught);
      expect(error).toBeInstanceOf(BusRefusedError);
      expect(error).toMatchObject({ code, message: 'no' });
    }
    model.failures.set('publish', { code: 'ALREADY_EXISTS', message: 'twice' });
    await expect(bus.publish('s')).rejects.toMatchObject({ name: 'NativeError', code: 'ALREADY_EXISTS' });
  });

  test('a peer is found by id, by name, or as the only one', async () => {
    const { model, bus } = await open();
    model.peerList.push(
      peer({ id: 2, name: 'second' }),
      peer({ id: 3, name: 'twin' }),
      peer({ id: 4, name: 'twin' }),
    );
    expect((await bus.subscribe('s', { peer: 'second' })).peer).toBe(2);
    expect((await bus.subscribe('s', { peer: 4 })).peer).toBe(4);
    for (const options of [{}, { peer: 'twin' }, { peer: 'nobody' }, { peer: 9 }])
      await expect(bus.subscribe('s', options)).rejects.toMatchObject({ code: 'UNKNOWN_PEER' });
    model.peerList.length = 1;
    expect((await bus.subscribe('s')).peer).toBe(1);
  });

  test('events come as a union, one listener’s error does not keep them from another', async () => {
    const { model, bus } = await open();
    const seen: BusEvent[] = [];
    const uncaught: unknown[] = [];
    const listeners = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    process.on('uncaughtException', (error) => uncaught.push(error));
    const silence = bus.onEvent(() => {
      throw new Error('from a listener');
    });
    const stop = bus.onEvent((event) => seen.push(event));
    const lost = peer({ connected: false, code: 'PEER_LOST', message: 'silent' });
    model.pending = [
      { kind: 'peer', peer: peer(), stream: '', position: 0n },
      { kind: 'subscriber', peer: peer(), stream: 's', position: 4n },
      { kind: 'cut-off', peer: peer(), stream: 's', position: 6n },
      { kind: 'peer', peer: lost, stream: '', position: 0n },
    ];
    model.onNews();
    await turn();
    process.removeAllListeners('uncaughtException');
    for (const listener of listeners) process.on('uncaughtException', listener);
    expect(uncaught).toHaveLength(4);
    expect(seen).toMatchObject([
      { type: 'peer-connected', peer: { name: 'other' } },
      { type: 'subscriber-joined', stream: 's', from: 4n },
      { type: 'subscriber-cut-off', stream: 's', resumeFrom: 6n },
      { type: 'peer-lost', peer: { error: expect.any(PeerLostError) } },
    ]);
    stop();
    silence();
    model.pending = [{ kind: 'peer', peer: peer(), stream: '', position: 0n }];
    bus.close();
    await bus.close();
    expect(seen).toHaveLength(4);
  });

  test('closing is idempotent; afterwards everything that asks the agent says so', async () => {
    const { model, bus } = await open();
    await bus.close();
    await bus.close({ withinMs: 1 });
    expect(model.calls.filter(([name]) => name === 'close')).toEqual([['close', 5000]]);
    for (const work of [
      () => bus.listen('127.0.0.1:0'),
      () => bus.connect('127.0.0.1:1'),
      () => bus.publish('s'),
      () => bus.subscribe('s'),
      () => bus.peers(),
      () => bus.fence(1),
    ])
      await expect(work()).rejects.toMatchObject({ name: 'BusClosedError', code: 'BUS_CLOSED' });
  });
});

describe('arguments', () => {
  const garbage = fc.oneof(
    fc.anything({ withBigInt: true, withDate: true, withTypedArray: true }),
    fc.constantFrom(
      null,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      -1,
      0,
      2 ** 53,
      2n ** 70n,
      '',
      '\0',
      'a'.repeat(5000),
    ),
  );
  const names = [
    ...['name', 'transport', 'key', 'mac', 'tls', 'verbs', 'ringBytes', 'payloadMax', 'epoch', 'heartbeatMs'],
    ...['livenessMs', 'reconnectMs', 'setUpMs', 'spin', 'counters'],
  ];

  test('garbage options are refused with INVALID_OPTION, or passed on sound', async () => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...names), garbage, async (name, value) => {
        const native: Record<string, unknown>[] = [];
        const error = await Bus.openOver(
          (options) => {
            native.push({ ...options });
            return Promise.resolve(new ModelBus());
          },
          { [name]: value } as never,
        ).then(
          () => undefined,
          (caught: unknown) => caught,
        );
        if (error !== undefined) {
          expect(error).toMatchObject({ code: 'INVALID_OPTION', field: expect.stringContaining(name) });
          return;
        }
        for (const field of Object.values(native[0]!))
          expect(['string', 'number', 'boolean']).toContain(typeof field);
      }),
      { numRuns: 500 },
    );
  });

  test('garbage for streams, positions and messages never reaches the engine', async () => {
    const { model, bus } = await open();
    const publication = await bus.publish('s');
    await fc.assert(
      fc.asyncProperty(garbage, async (value) => {
        const any = value as never;
        if (!(value instanceof Uint8Array)) {
          expect(() => publication.offer(any)).toThrow('Uint8Array');
          expect(() => publication.send(any)).toThrow('Uint8Array');
          expect(() => publication.offerBatch([any])).toThrow('Uint8Array');
        }
        const known = model.calls.length;
        if (typeof value !== 'string' || value === '' || value.length > 64 || value.includes('\0'))
          await expect(bus.publish(any)).rejects.toMatchObject({ code: 'INVALID_OPTION' });
        if (
          value !== undefined &&
          value !== null &&
          value !== 'next' &&
          value !== 'oldest' &&
          typeof value !== 'bigint'
        )
          await expect(bus.subscribe('s', { from: any })).rejects.toMatchObject({ field: 'from' });
        if (!Number.isInteger(value)) await expect(bus.fence(any)).rejects.toMatchObject({ field: 'epoch' });
        expect(model.calls.length).toBe(known);
      }),
      { numRuns: 300 },
    );
  });

  test('sizes that do not fit each other are refused with what would', async () => {
    const opened = (options: object): Promise<Bus> =>
      Bus.openOver(() => Promise.resolve(new ModelBus()), options);
    await expect(opened({ ringBytes: 5000 })).rejects.toThrow('a power of two');
    await expect(opened({ ringBytes: 4096, payloadMax: 1025 })).rejects.toThrow('an integer from 1 to 1024');
    await expect(opened({ heartbeatMs: 100, livenessMs: 299 })).rejects.toThrow('an integer from 300');
    await expect(opened({ key: new Uint8Array(15) })).rejects.toThrow('16 to 1024 bytes');
    await expect(opened({ key: '/nowhere/at-all' })).rejects.toThrow('key: its file cannot be read');
    await expect(opened({ tls: { certificate: 'a' } })).rejects.toThrow('tls.key');
    const bus = await opened({});
    await expect(bus.publish('s', { historyBytes: 4096, payloadMax: 500 })).rejects.toThrow('from 1 to 480');
    await expect(bus.subscribe('s', { bufferBytes: 4096 })).rejects.toThrow('eight times');
  });
});
