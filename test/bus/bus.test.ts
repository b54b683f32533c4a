// Two and more buses in this process, over the real engine: each has a thread and a network of its own, so they meet as processes do.
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { type CountersFile, readAllCounters } from '../../src/bus/counters-file.ts';
import { busRows } from '../../src/cli/top.ts';
import { BusRefusedError, PositionLostError, SlowConsumerError } from '../../src/errors/errors.ts';
import {
  Bus,
  type BusEvent,
  type BusMessage,
  type BusOptions,
  Offer,
  type Subscription,
} from '../../src/index.ts';

const opened: Bus[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((bus) => bus.close({ withinMs: 0 })));
});

async function listen(options: BusOptions = {}): Promise<Bus> {
  const bus = await Bus.listen('127.0.0.1:0', { name: 'listener', ...options });
  opened.push(bus);
  return bus;
}

async function connect(to: Bus, options: BusOptions = {}): Promise<Bus> {
  const bus = await Bus.connect(to.address, { name: 'connector', ...options });
  opened.push(bus);
  return bus;
}

function message(at: number): Buffer {
  return Buffer.from(`message ${at} ${'x'.repeat(at % 97)}`);
}

async function read(subscription: Subscription, count: number): Promise<BusMessage[]> {
  const got: BusMessage[] = [];
  for await (const batch of subscription.batches()) {
    got.push(...batch);
    if (got.length >= count) break;
  }
  return got;
}

async function until(reached: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await reached())) await pause(2);
}

describe.each(['shm', 'tcp'] as const)('over %s', (transport) => {
  test('messages arrive in order, each once, in both directions', async () => {
    const left = await listen({ transport });
    const right = await connect(left, { transport });
    const there = await right.publish('there');
    const back = await left.publish('back');
    const inbound = await left.subscribe('there');
    const outbound = await right.subscribe('back');
    await Promise.all([there.connected(), back.connected()]);
    const count = 20_000;
    const messages = Array.from({ length: count }, (_, at) => message(at + 1));
    const sending = Promise.all([there.sendBatch(messages), back.sendBatch(messages)]);
    for (const got of await Promise.all([read(inbound, count), read(outbound, count)])) {
      expect(got.length).toBe(count);
      for (const [at, { position, data }] of got.entries()) {
        if (position !== BigInt(at + 1) || !messages[at]!.equals(data)) expect({ position, data }).toBe(at);
      }
    }
    expect(await sending).toEqual([BigInt(count), BigInt(count)]);
    const [peer] = await right.peers();
    expect(peer).toMatchObject({ name: 'listener', transport, connected: true, inbound: false, epoch: 1 });
    expect((await left.peers())[0]).toMatchObject({ name: 'connector', inbound: true, transport });
    expect(await right.counters()).toMatchObject({ published: count, gaps: 0, duplicates: 0 });
  });

  test('messages of every size up to payloadMax, and none', async () => {
    const left = await listen({ transport });
    const right = await connect(left, { transport });
    const stream = await left.publish('s', { retain: true });
    const sizes = [0, 1, 15, 16, 17, 4095, 4096, 65_535, 65_536];
    for (const size of sizes) await stream.send(Buffer.alloc(size, size % 251));
    expect(stream.offer(new Uint8Array(65_537))).toBe(Offer.TOO_LARGE);
    await expect(stream.send(new Uint8Array(65_537))).rejects.toMatchObject({ code: 'MESSAGE_TOO_LARGE' });
    const got = await read(await right.subscribe('s', { from: 'oldest' }), sizes.length);
    expect(got.map(({ data }) => data.length)).toEqual(sizes);
    for (const { data } of got) expect(data.every((byte) => byte === data.length % 251)).toBe(true);
  });

  test('a subscription begins where it is asked to, and resumes exactly behind what was read', async () => {
    const left = await listen({ transport });
    const right = await connect(left, { transport });
    const stream = await left.publish('s', { retain: true, first: 101n });
    for (let at = 101; at <= 110; at++) expect(stream.offer(message(at))).toBe(BigInt(at));
    const first = await right.subscribe('s', { from: 103n });
    expect((await read(first, 1))[0]?.position).toBe(103n);
    await until(async () => first.take().length > 0 || first.resumeFrom === 111n);
    const { resumeFrom } = first;
    await first.close();
    const second = await right.subscribe('s', { from: resumeFrom });
    await second.live();
    stream.offer(message(111));
    expect((await read(second, 1))[0]?.position).toBe(resumeFrom);
    const oldest = await read(await right.subscribe('s', { from: 'oldest' }), 11);
    expect(oldest.map(({ position }) => position)).toEqual(
      Array.from({ length: 11 }, (_, at) => BigInt(101 + at)),
    );
  });

  test('who stops reading is cut off with its position; the others get everything', async () => {
    const left = await listen({ transport, payloadMax: 1024 });
    const stream = await left.publish('s', { historyBytes: 1 << 17, bufferBytes: 1 << 16 });
    const events: BusEvent[] = [];
    left.onEvent((event) => events.push(event));
    const small = { payloadMax: 1024, transport };
    const [quick, alsoQuick, slow] = await Promise.all([
      connect(left, { ...small, name: 'quick' }),
      connect(left, { ...small, name: 'also quick' }),
      connect(left, { ...small, name: 'slow' }),
    ]);
    const subscriptions = await Promise.all(
      [quick, alsoQuick, slow].map((bus) => bus.subscribe('s', { bufferBytes: 1 << 14 })),
    );
    await stream.connected(3);
    const count = 5000;
    const quickOnes = subscriptions.slice(0, 2);
    const reading = quickOnes.map((subscription) => read(subscription, count));
    const data = Buffer.alloc(200, 7);
    for (let at = 1; at <= count; at++) {
      await stream.send(data);
      // These two keep up: the fastest alone presses back, so without this one of them might lose the other.
      if (at % 100 === 0) await until(() => quickOnes.every(({ resumeFrom }) => resumeFrom > BigInt(at)));
    }
    for (const got of await Promise.all(reading)) {
      expect(got.map(({ position }) => position)).toEqual(
        Array.from({ length: count }, (_, at) => BigInt(at + 1)),
      );
    }
    const seen: bigint[] = [];
    const error = await (async () => {
      for await (const { position } of subscriptions[2]!) seen.push(position);
    })().catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(SlowConsumerError);
    // Nothing was skipped: what it has is a prefix, and the error says what comes next.
    expect(seen).toEqual(seen.map((_, at) => BigInt(at + 1)));
    expect((error as SlowConsumerError).resumeFrom).toBe(BigInt(seen.length + 1));
    await until(() => events.some(({ type }) => type === 'subscriber-cut-off'));
    expect(events.find(({ type }) => type === 'subscriber-cut-off')).toMatchObject({
      stream: 's',
      peer: { name: 'slow' },
    });
    const late = await slow.subscribe('s', { from: (error as SlowConsumerError).resumeFrom });
    const lost = await late.live().catch((caught: unknown) => caught);
    expect(lost).toBeInstanceOf(PositionLostError);
    expect((lost as PositionLostError).oldest).toBe(stream.oldest);
  });

  test('a consumer that does not read presses back to offer, and nothing is lost when it does', async () => {
    const left = await listen({ transport, payloadMax: 1024 });
    const right = await connect(left, { transport, payloadMax: 1024 });
    const stream = await left.publish('s', { historyBytes: 1 << 14, bufferBytes: 1 << 12 });
    const subscription = await right.subscribe('s', { bufferBytes: 1 << 14 });
    await stream.connected();
    const data = Buffer.alloc(100, 1);
    let accepted = 0;
    let pressed = 0;
    // Full when it stays so although the agent has had its turns.
    for (let last = -1; pressed < 50; ) {
      if (stream.offer(data) > 0n) accepted++;
      else if (last === accepted) {
        pressed++;
        await pause(1);
      } else {
        last = accepted;
        pressed = 0;
      }
    }
    expect(stream.offer(data)).toBe(Offer.BACK_PRESSURED);
    // Every box on the way is bounded: 16 KiB of history, 4 + 16 + 16 KiB of buffers.
    expect(accepted * 100).toBeLessThan(1 << 16);
    const sending = stream.send(data);
    const got = await read(subscription, accepted + 1);
    expect(await sending).toBe(BigInt(accepted + 1));
    expect(got.map(({ position }) => position)).toEqual(
      Array.from({ length: accepted + 1 }, (_, at) => BigInt(at + 1)),
    );
  });

  test('disposal sends what was accepted, then ends the stream', async () => {
    const left = await listen({ transport });
    const right = await connect(left, { transport });
    const stream = await left.publish('s');
    const subscription = await right.subscribe('s');
    await stream.connected();
    const count = stream.offerBatch(Array.from({ length: 3000 }, (_, at) => message(at)));
    expect(count).toBe(3000);
    const [, got] = await Promise.all([
      left[Symbol.asyncDispose](),
      (async () => {
        const all: BusMessage[] = [];
        for await (const one of subscription) all.push(one);
        return all;
      })(),
    ]);
    expect(got.length).toBe(count);
    expect(subscription.state).toBe('ended');
    expect(stream.offer(message(1))).toBe(Offer.CLOSED);
    await left.close();
  });

  test('a link that is lost is told and made anew, and the subscription goes on where it was', async () => {
    const left = await listen({ transport });
    const stream = await left.publish('s', { retain: true });
    stream.offer(message(1));
    const right = await connect(left, { transport, reconnectMs: 5 });
    const events: BusEvent[] = [];
    right.onEvent((event) => events.push(event));
    const subscription = await right.subscribe('s', { from: 'oldest' });
    expect((await read(subscription, 1))[0]?.position).toBe(1n);
    await left.disconnect('connector');
    await until(() => events.some(({ type }) => type === 'peer-lost'));
    stream.offer(message(2));
    expect(await read(subscription, 1)).toMatchObject([{ position: 2n }]);
    await until(() => events.at(-1)?.type === 'peer-connected');
    expect(await right.counters()).toMatchObject({ peersLost: 1, resumed: 1 });
  });

  test('a listener that ends well ends its streams', async () => {
    const left = await listen({ transport });
    const right = await connect(left, { transport });
    await left.publish('s');
    const subscription = await right.subscribe('s');
    await subscription.live();
    await left.close();
    expect(await subscription[Symbol.asyncIterator]().next()).toEqual({ done: true, value: undefined });
    await until(async () => (await right.peers()).every(({ connected }) => !connected));
  });

  test('a fenced epoch: the link is over, and no set-up of it comes up again', async () => {
    const left = await listen({ transport, epoch: 3 });
    const right = await connect(left, { transport, epoch: 3, reconnectMs: 5 });
    await until(async () => (await left.peers()).some(({ connected }) => connected));
    await left.setEpoch(4);
    await left.fence(3);
    expect((await left.peers()).every(({ connected }) => !connected)).toBe(true);
    await until(async () => (await right.peers())[0]?.error !== undefined);
  });
});

describe('who may connect', () => {
  const key = randomBytes(32);

  test('with the same key both are authenticated; a wrong one or none is refused and counted', async () => {
    const left = await listen({ key, transport: 'tcp' });
    await connect(left, { key, transport: 'tcp' });
    for (const other of [{ key: randomBytes(32) }, {}]) {
      const error = await Bus.connect(left.address, { transport: 'tcp', ...other, withinMs: 2000 }).catch(
        (caught: unknown) => caught,
      );
      expect(error).toBeInstanceOf(BusRefusedError);
      expect(error).toMatchObject({ code: 'AUTHENTICATION_FAILED' });
    }
    await until(async () => (await left.counters()).refused >= 2);
    expect((await left.peers()).filter(({ connected }) => connected)).toHaveLength(1);
  });

  test('a transport that the other end does not take is refused with the reason', async () => {
    const left = await listen({ transport: 'tcp' });
    const error = await Bus.connect(left.address, { transport: 'shm' }).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(BusRefusedError);
    expect(error).toMatchObject({ code: 'TRANSPORT_UNAVAILABLE' });
  });

  test('where nobody listens, connect gives up in time and leaves nothing behind', async () => {
    const left = await Bus.listen('127.0.0.1:0');
    const { address } = left;
    await left.close();
    const error = await Bus.connect(address, { withinMs: 100 }).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(BusRefusedError);
    expect((error as BusRefusedError).code).toMatch(/^(REFUSED|TIMED_OUT)$/);
  });

  test('auto takes shm on one host and says so', async () => {
    const left = await listen();
    const right = await connect(left);
    expect((await right.peers())[0]).toMatchObject({ transport: 'shm', connected: true });
  });

  test('a stream is published once, and one that nobody publishes is waited for', async () => {
    const left = await listen();
    const right = await connect(left);
    await left.publish('s');
    await expect(left.publish('s')).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
    await expect(left.listen('nonsense')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    const early = await right.subscribe('later', { from: 'oldest' });
    const late = await left.publish('later', { retain: true });
    late.offer(message(1));
    expect((await read(early, 1))[0]?.position).toBe(1n);
    await expect((await right.subscribe('none', { wait: false })).live()).rejects.toMatchObject({
      name: 'UnknownNameError',
      code: 'UNKNOWN_STREAM',
    });
  });
});

test('verbex top sees both ends of a link', async () => {
  const left = await listen({ name: 'seen left' });
  const right = await connect(left, { name: 'seen right' });
  const stream = await left.publish('s', { retain: true });
  for (let at = 1; at <= 10; at++) stream.offer(message(at));
  await read(await right.subscribe('s', { from: 'oldest' }), 10);
  const seen = (): Map<string, CountersFile> =>
    new Map(readAllCounters().flatMap((file) => (file.pid === process.pid ? [[file.name, file]] : [])));
  await until(() => seen().get('seen right')?.values.get('bus/delivered') === 10);
  await until(() => seen().get('seen left')?.values.get('bus/published') === 10);
  const [row] = busRows([], [seen().get('seen left')!]);
  expect(row).toMatchObject({ links: [{ peer: 'seen right', transport: 'shm', epoch: 1, rejected: 0 }] });
  const { path } = seen().get('seen left')!;
  await left.close();
  expect(existsSync(path)).toBe(false);
  const without = await Bus.open({ name: 'unseen', counters: false });
  opened.push(without);
  expect(seen().has('unseen')).toBe(false);
});

test('random traffic between three buses, streams opened and closed on the way', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ size: fc.nat(3000), pause: fc.nat(20) }), { minLength: 1, maxLength: 200 }),
      fc.constantFrom('shm' as const, 'tcp' as const),
      async (steps, transport) => {
        const hub = await listen({ transport });
        const leaves = await Promise.all([connect(hub, { transport }), connect(hub, { transport })]);
        const stream = await hub.publish('s', { retain: true });
        const readings = leaves.map(async (leaf) => {
          const got: number[] = [];
          for await (const { data } of await leaf.subscribe('s', { from: 'oldest' })) got.push(data.length);
          return got;
        });
        await stream.connected(2);
        for (const { size, pause: rest } of steps) {
          await stream.send(Buffer.alloc(size));
          if (rest === 0) await pause(1);
        }
        await stream.close();
        for (const got of await Promise.all(readings)) expect(got).toEqual(steps.map(({ size }) => size));
        await Promise.all([hub, ...leaves].map((bus) => bus.close()));
      },
    ),
    { numRuns: 8 },
  );
});
