// Offering, submitting, listening and closing, over a model of the native node that can be held up at any point.
import { describe, expect, test, vi } from 'vitest';
import { RejectError, SlowConsumerError, VerbexError } from '../../src/api/errors.ts';
import { Exchange } from '../../src/api/exchange.ts';
import type { Event, ExchangeOptions, Request } from '../../src/api/types.ts';
import { addMarket, order } from './market.ts';
import { ModelNode, type ModelOptions } from './model-node.ts';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
async function turns(count: number): Promise<void> {
  for (let index = 0; index < count; index++) await turn();
}

async function open(model: ModelOptions = {}, options: ExchangeOptions = {}) {
  const node = new ModelNode(model);
  const exchange = await Exchange.openOver(node.open, options);
  return { node, exchange };
}

/** With its market in place. */
async function openMarket(model: ModelOptions = {}, options: ExchangeOptions = {}, manual = false) {
  const opened = await open({ ...model, auto: true }, options);
  await addMarket(opened.exchange);
  opened.node.auto = !manual;
  return opened;
}

async function take(stream: AsyncIterator<Event>, count: number): Promise<Event[]> {
  const events: Event[] = [];
  while (events.length < count) {
    const { done, value } = await stream.next();
    if (done) break;
    events.push(value);
  }
  return events;
}

function thrown(call: () => unknown): VerbexError {
  try {
    call();
  } catch (error) {
    expect(error).toBeInstanceOf(VerbexError);
    return error as VerbexError;
  }
  throw new Error('nothing was thrown');
}

describe('offer', () => {
  test('takes a batch in one crossing per stageful', async () => {
    const { node, exchange } = await openMarket({ stageCells: 64 });
    const before = node.crossings;
    expect(exchange.offer(Array.from({ length: 200 }, () => order()))).toEqual({ accepted: 200 });
    expect(node.crossings - before).toBe(4);
  });

  test('shows back-pressure, and a prefix of the batch is taken', async () => {
    const { node, exchange } = await openMarket({ ringCells: 100 });
    const batch = Array.from({ length: 150 }, () => order());
    expect(exchange.offer(batch)).toEqual({ accepted: 100 });
    expect(exchange.offer(batch.slice(100))).toEqual({ accepted: 0 });
    await exchange.room();
    await turns(3);
    expect(exchange.offer(batch.slice(100))).toEqual({ accepted: 50 });
    await turns(3);
    expect(node.journal.slice(-150).map(({ u8 }) => u8.subarray(16, 32))).toEqual(
      batch.map(
        ({ id }) => new Uint8Array(Buffer.alloc(16, Buffer.concat([Buffer.from(id), Buffer.alloc(16)]))),
      ),
    );
  });

  test.each([
    ['an unknown account', { account: 'nobody' }, 'UNKNOWN_ACCOUNT_NAME', 'account'],
    ['an unknown instrument', { instrument: 'ETH-USD' }, 'UNKNOWN_INSTRUMENT_NAME', 'instrument'],
    ['a number as price', { price: 100 as unknown as string }, 'NUMBER_NOT_ALLOWED', 'price'],
    ['a number as quantity', { quantity: 1 as unknown as string }, 'NUMBER_NOT_ALLOWED', 'quantity'],
    ['excess precision', { price: '100.001' }, 'EXCESS_PRECISION', 'price'],
    ['garbage', { quantity: 'many' }, 'INVALID_DECIMAL', 'quantity'],
    ['a price beyond 64 bits', { price: 1n << 64n }, 'DECIMAL_OUT_OF_RANGE', 'price'],
    ['a bad id', { id: 'a b' }, 'INVALID_ID', 'id'],
    ['an unknown side', { side: 'hold' as 'buy' }, 'INVALID_REQUEST', 'side'],
    ['a missing quantity', { quantity: undefined as unknown as string }, 'INVALID_REQUEST', 'quantity'],
    ['an unknown order type', { type: 'peg' as 'limit' }, 'INVALID_REQUEST', 'type'],
    ['an unknown operation', { op: 'buy' as 'new' }, 'INVALID_REQUEST', 'op'],
    ['a fractional expiry', { expiry: 1.5 }, 'INVALID_REQUEST', 'expiry'],
  ])('%s is an error with its place, and nothing of the batch is taken', async (_, fields, code, field) => {
    const { node, exchange } = await openMarket();
    const before = node.crossings;
    for (const length of [3, 100]) {
      const batch: Request[] = Array.from({ length }, () => order());
      batch[2] = order(fields);
      expect(thrown(() => exchange.offer(batch))).toMatchObject({ code, field, index: 2 });
    }
    expect(node.crossings).toBe(before);
  });

  test('a name can be used once its addition has been answered, not before', async () => {
    const { exchange } = await openMarket();
    const batch: Request[] = [{ op: 'add-account', account: 'carol' }, order({ account: 'carol' })];
    expect(thrown(() => exchange.offer(batch))).toMatchObject({ code: 'UNKNOWN_ACCOUNT_NAME', index: 1 });
    expect(thrown(() => exchange.offer(batch)).message).toContain('once its add-account has been answered');
    await exchange.execute(batch[0]!);
    expect(exchange.offer(batch.slice(1))).toEqual({ accepted: 1 });
  });

  test('an empty batch crosses nothing', async () => {
    const { node, exchange } = await open();
    expect(exchange.offer([])).toEqual({ accepted: 0 });
    expect(node.crossings).toBe(0);
  });
});

describe('submit and execute', () => {
  test('resolve with all events of the command', async () => {
    const { exchange } = await openMarket({ eventsPerOrder: 3 });
    const events = await exchange.submit(order({ id: 'mine' }));
    expect(events.map(({ last }) => last)).toEqual([false, false, true]);
    expect(events[0]).toEqual({
      event: 'accepted',
      position: 6n,
      last: false,
      account: 'alice',
      instrument: 'BTC-USD',
      orderId: 6n,
      id: 'mine',
      side: 'buy',
      type: 'limit',
      price: '100',
      quantity: '1',
      visible: '1',
      booked: true,
    });
  });

  test('a reject is an event of submit and an error of execute', async () => {
    const { node, exchange } = await openMarket();
    node.taken.add('dup');
    const [event] = await exchange.submit(order({ id: 'dup' }));
    expect(event).toMatchObject({
      event: 'rejected',
      code: 'NAME_EXISTS',
      op: 'new',
      account: 'alice',
      id: 'dup',
    });
    const error = await exchange.execute(order({ id: 'dup' })).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(RejectError);
    expect(error).toMatchObject({ code: 'NAME_EXISTS', event: { event: 'rejected', id: 'dup' } });
  });

  test('invalid input rejects, and uses no token', async () => {
    const { exchange } = await openMarket();
    await expect(exchange.submit(order({ price: '0.001' }))).rejects.toMatchObject({
      code: 'EXCESS_PRECISION',
    });
    await expect(exchange.submit(order())).resolves.toHaveLength(1);
  });

  test('requests of one turn cross together, in order, before a later offer', async () => {
    const { node, exchange } = await openMarket({ auto: true });
    const before = node.crossings;
    const answers = Array.from({ length: 10 }, (_, index) => exchange.submit(order({ id: `s${index}` })));
    exchange.offer([order({ id: 'offered' })]);
    await Promise.all(answers);
    expect(node.crossings - before).toBe(2);
    await turns(2);
    const last = node.journal.at(-1)!;
    expect(Buffer.from(last.u8.subarray(16, 23)).toString()).toBe('offered');
  });

  test('wait while the ring is full', async () => {
    const { exchange } = await openMarket({ ringCells: 4, stageCells: 8 });
    const answers = await Promise.all(Array.from({ length: 1_000 }, () => exchange.submit(order())));
    const positions = answers.map(([event]) => event!.position);
    expect(positions).toEqual(positions.map((_, index) => positions[0]! + BigInt(index)));
    expect(exchange.stats().waiting).toBe(0);
  });

  test('answers come while the ring of events turns over many times', async () => {
    const { exchange } = await openMarket({ eventCells: 64, ringCells: 64, eventsPerOrder: 5 });
    const answers = await Promise.all(Array.from({ length: 500 }, () => exchange.submit(order())));
    for (const events of answers) expect(events).toHaveLength(5);
  });

  test('too many at once are refused', async () => {
    const { node, exchange } = await openMarket({ auto: true });
    node.ringCells = 0;
    const answers = Array.from({ length: 65_536 }, () => exchange.submit(order()));
    await expect(exchange.submit(order())).rejects.toMatchObject({ code: 'BACK_PRESSURE' });
    node.ringCells = 1_000;
    await expect(Promise.all(answers)).resolves.toHaveLength(65_536);
  });
});

describe('names', () => {
  test('additions of the same name are told apart', async () => {
    const { node, exchange } = await openMarket();
    const add = (tickSize: string): Request => ({
      op: 'add-instrument',
      instrument: 'X',
      base: 'BTC',
      quote: 'USD',
      tickSize,
      lotSize: '0.001',
    });
    node.taken.add('X');
    const first = exchange.submit(add('0.5'));
    await expect(first).resolves.toMatchObject([{ event: 'rejected', id: 'X' }]);
    node.taken.delete('X');
    await exchange.execute(add('0.25'));
    expect(exchange.ticks('X', '10')).toBe(40n);
    expect(exchange.lots('X', '1')).toBe(1000n);
    expect(exchange.price('X', 41n)).toBe('10.25');
    expect(exchange.quantity('X', 5)).toBe('0.005');
    expect(exchange.instrumentName(exchange.instrumentRef('X'))).toBe('X');
    expect(exchange.accountName(exchange.accountRef('bob'))).toBe('bob');
    expect(exchange.accountName(99)).toBe('#99');
  });

  test('a partial change needs to know what it changes', async () => {
    const { node, exchange } = await openMarket();
    const change = exchange.submit({ op: 'change-instrument', instrument: 'BTC-USD', makerFee: 5 });
    await Promise.resolve();
    await expect(
      exchange.submit({ op: 'change-instrument', instrument: 'BTC-USD', takerFee: 7 }),
    ).rejects.toMatchObject({ code: 'CHANGE_IN_FLIGHT' });
    await change;
    await exchange.execute({ op: 'change-instrument', instrument: 'BTC-USD', takerFee: 7 });
    const { i32 } = node.journal.at(-1)!;
    expect([i32[96 / 4], i32[100 / 4], i32[104 / 4]]).toEqual([5, 7, 50_000]);
  });
});

describe('events', () => {
  test('come to every consumer, in order, each at its own pace', async () => {
    const { exchange } = await openMarket({ eventsPerOrder: 2 });
    const fast = exchange.events();
    const slow = exchange.events();
    exchange.offer(Array.from({ length: 50 }, () => order()));
    const events = await take(fast, 100);
    expect(await take(slow, 100)).toEqual(events);
    expect(events.map(({ position }) => position)).toEqual(
      Array.from({ length: 100 }, (_, i) => 6n + BigInt(i >> 1)),
    );
  });

  test('from a position that is still in memory', async () => {
    const { exchange } = await openMarket({ eventsPerOrder: 2 });
    exchange.offer(Array.from({ length: 20 }, () => order()));
    await turns(4);
    const events = await take(exchange.events({ from: 15n }), 3);
    expect(events.map(({ position, last }) => [position, last])).toEqual([
      [15n, false],
      [15n, true],
      [16n, false],
    ]);
    expect((await take(exchange.events({ from: 1n }), 1))[0]).toMatchObject({
      event: 'asset-added',
      asset: 'BTC',
    });
  });

  test('from a position to come', async () => {
    const { exchange } = await openMarket();
    const stream = exchange.events({ from: 8n });
    exchange.offer([order(), order(), order({ id: 'eighth' })]);
    expect(await take(stream, 1)).toMatchObject([{ position: 8n, id: 'eighth' }]);
  });

  test('a slow consumer is cut off with the position to resume from, the others go on', async () => {
    const { exchange } = await openMarket({}, { eventHistory: 1_024 });
    const slow = exchange.events();
    const fast = exchange.events();
    let seen = 0;
    for (let round = 0; round < 3; round++) {
      exchange.offer(Array.from({ length: 600 }, () => order()));
      if (round === 0) expect(await take(slow, 10)).toHaveLength(10);
      seen += (await take(fast, 600)).length;
    }
    expect(seen).toBe(1_800);
    const error = await slow.next().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(SlowConsumerError);
    expect(error).toMatchObject({ code: 'SLOW_CONSUMER', resumeFrom: 16n });
    expect(await slow.next()).toEqual({ done: true, value: undefined });
  });

  test('one that never read resumes where it began', async () => {
    const { exchange } = await openMarket({}, { eventHistory: 1_024 });
    const idle = exchange.events();
    for (let round = 0; round < 2; round++) {
      exchange.offer(Array.from({ length: 1_000 }, () => order()));
      await turns(5);
    }
    await expect(idle.next()).rejects.toMatchObject({ code: 'SLOW_CONSUMER', resumeFrom: 6n });
  });

  test('whoever comes in the middle of a command gets it whole', async () => {
    const { node, exchange } = await openMarket({ eventCells: 64, eventsPerOrder: 60 }, {}, true);
    const parts: number[] = [];
    exchange.offer([order(), order()]);
    node.split = 25;
    node.work();
    await turns(2);
    exchange.onEvents((events) => parts.push(events.length));
    const stream = exchange.events();
    node.split = Number.POSITIVE_INFINITY;
    for (let round = 0; round < 10; round++) {
      node.work();
      await turns(2);
    }
    expect(parts.reduce((sum, count) => sum + count, 0)).toBe(120);
    expect(await take(stream, 120)).toHaveLength(120);
  });

  test('what is gone from memory comes from the journal, then live, without a gap', async () => {
    const { exchange } = await openMarket({ eventsPerOrder: 2 }, { eventHistory: 1_024, data: 'somewhere' });
    for (let round = 0; round < 3; round++) {
      exchange.offer(Array.from({ length: 500 }, () => order()));
      await turns(5);
    }
    const stream = exchange.events({ from: 7n });
    exchange.offer([order({ id: 'live' })]);
    const events = await take(stream, 2 * 1_500);
    expect(events[0]!.position).toBe(7n);
    expect(events.map(({ position }) => position)).toEqual(events.map((_, index) => 7n + BigInt(index >> 1)));
    expect(events.at(-1)).toMatchObject({ id: 'live' });
  });

  test('what is gone for good is an error', async () => {
    const { exchange } = await openMarket({}, { eventHistory: 1_024 });
    for (let round = 0; round < 2; round++) {
      exchange.offer(Array.from({ length: 1_000 }, () => order()));
      await turns(5);
    }
    await expect(exchange.events({ from: 2n }).next()).rejects.toMatchObject({ code: 'EVENTS_GONE' });
    expect(thrown(() => exchange.events({ from: 0n }))).toMatchObject({ code: 'INVALID_OPTION' });
  });

  test('reads may be in flight side by side', async () => {
    const { exchange } = await openMarket();
    const stream = exchange.events();
    const reads = [stream.next(), stream.next(), stream.next()];
    exchange.offer([order({ id: 'a' }), order({ id: 'b' }), order({ id: 'c' })]);
    expect((await Promise.all(reads)).map(({ value }) => value.id)).toEqual(['a', 'b', 'c']);
  });

  test('a consumer that leaves is let go', async () => {
    const { exchange } = await openMarket();
    const stream = exchange.events();
    const waiting = stream.next();
    await stream.return?.();
    expect(await waiting).toEqual({ done: true, value: undefined });
  });

  test('callbacks get whole commands', async () => {
    const { exchange } = await openMarket({ eventsPerOrder: 3, eventCells: 64 });
    const batches: (readonly Event[])[] = [];
    const stop = exchange.onEvents((events) => batches.push(events));
    exchange.offer(Array.from({ length: 100 }, () => order()));
    await turns(40);
    expect(batches.flat()).toHaveLength(300);
    for (const batch of batches) expect(batch.at(-1)!.last).toBe(true);
    stop();
    await exchange.execute(order());
    expect(batches.flat()).toHaveLength(300);
  });

  test('a callback that throws keeps events from nobody, and its error surfaces', async () => {
    const { exchange } = await openMarket();
    const surfaced = vi.fn();
    const others = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    process.once('uncaughtException', surfaced);
    try {
      let seen = 0;
      exchange.onEvents(() => {
        throw new Error('mine');
      });
      exchange.onEvents((events) => {
        seen += events.length;
      });
      await exchange.execute(order());
      await turns(2);
      expect(seen).toBe(1);
      expect(surfaced).toHaveBeenCalledOnce();
    } finally {
      for (const listener of others) process.on('uncaughtException', listener);
    }
  });

  test('cells come as runs in place', async () => {
    const { exchange } = await openMarket({}, { eventHistory: 1_024 });
    const positions: bigint[] = [];
    exchange.onCells((cells, first, count) => {
      for (let cell = first; cell < first + count; cell++) positions.push(cells.position(cell));
    });
    for (let round = 0; round < 3; round++) {
      exchange.offer(Array.from({ length: 900 }, () => order()));
      await turns(4);
    }
    expect(positions).toEqual(Array.from({ length: 2_700 }, (_, index) => 6n + BigInt(index)));
  });

  test('a callback that had no turn for long gets everything, and nothing stops', async () => {
    const { node, exchange } = await openMarket(
      { eventCells: 256, ringCells: 64 },
      { eventHistory: 1_024 },
      true,
    );
    let seen = 0;
    exchange.onEvents((events) => {
      seen += events.length;
    });
    let accepted = 0;
    for (let round = 0; round < 200; round++) {
      accepted += exchange.offer(Array.from({ length: 64 }, () => order())).accepted;
      node.work();
    }
    // History and rings are full by now: the callback has had no turn.
    expect(accepted).toBeLessThan(2_000);
    expect(seen).toBe(0);
    for (let round = 0; round < 20; round++) {
      node.work();
      await turn();
    }
    expect(seen).toBe(accepted);
  });

  test('nobody who does not fetch events stops the engine', async () => {
    const { node, exchange } = await openMarket({ eventCells: 64, ringCells: 64 });
    // Never yields to the event loop: offer itself has to make room.
    node.queue.length = 0;
    let accepted = 0;
    for (let round = 0; round < 1_000 && accepted < 640; round++) {
      accepted += exchange.offer(Array.from({ length: 64 }, () => order())).accepted;
      node.work();
    }
    expect(accepted).toBeGreaterThanOrEqual(640);
  });
});

describe('order batches', () => {
  test('cross as they are', async () => {
    const { node, exchange } = await openMarket();
    const batch = exchange.batch(4);
    const alice = exchange.accountRef('alice');
    const btc = exchange.instrumentRef('BTC-USD');
    batch.limit(alice, btc, 'b1', 'buy', 10_000, 5);
    batch.market(alice, btc, 1234567890123456, 'sell', 2 ** 53 - 1);
    batch.replace(alice, 'b1', 9_999, 4);
    batch.cancel(alice, 0);
    expect(thrown(() => batch.reduce(alice, 'b1', 1))).toMatchObject({ code: 'BATCH_FULL' });
    node.ringCells = 3;
    expect(exchange.offerBatch(batch)).toEqual({ accepted: 3 });
    expect(batch.size).toBe(1);
    batch.reduce(alice, 'b1', 1);
    node.ringCells = 100;
    expect(exchange.offerBatch(batch)).toEqual({ accepted: 2 });
    expect(exchange.offerBatch(batch)).toEqual({ accepted: 0 });
    const { readCommand } = await import('../../src/wire/command-reader.ts');
    await turns(3);
    expect(node.journal.slice(-5).map((cells) => readCommand(cells, 0))).toEqual([
      {
        type: 'new',
        account: 1,
        instrument: 1,
        id: 'b1',
        side: 'buy',
        orderType: 'limit',
        tif: 'gtc',
        price: 10_000,
        quantity: 5,
      },
      {
        type: 'new',
        account: 1,
        instrument: 1,
        id: '1234567890123456',
        side: 'sell',
        orderType: 'market',
        tif: 'ioc',
        quantity: 2 ** 53 - 1,
      },
      { type: 'replace', account: 1, id: 'b1', price: 9_999, quantity: 4 },
      { type: 'cancel', account: 1, id: '0' },
      { type: 'reduce', account: 1, id: 'b1', quantity: 1 },
    ]);
  });

  test('take whole numbers only', async () => {
    const { exchange } = await openMarket();
    const batch = exchange.batch();
    const alice = exchange.accountRef('alice');
    const btc = exchange.instrumentRef('BTC-USD');
    expect(thrown(() => batch.limit(alice, btc, 'x', 'buy', 1.5, 1))).toMatchObject({
      code: 'INVALID_REQUEST',
      field: 'ticks',
    });
    expect(thrown(() => batch.limit(alice, btc, 'x', 'buy', 1, 2 ** 53))).toMatchObject({ field: 'lots' });
    expect(thrown(() => batch.cancel(alice, -1))).toMatchObject({ code: 'INVALID_ID' });
    expect(batch.size).toBe(0);
    expect(thrown(() => exchange.batch(0))).toMatchObject({ code: 'INVALID_OPTION' });
  });
});

describe('close', () => {
  test('drains: everything submitted is answered, streams end after the last event', async () => {
    const { exchange } = await openMarket({ ringCells: 8 });
    const stream = exchange.events();
    const answers = Array.from({ length: 50 }, () => exchange.submit(order()));
    const closed = exchange.close();
    expect((await Promise.all(answers)).length).toBe(50);
    expect((await closed).position).toBe(55n);
    const events = await take(stream, 1_000);
    expect(events).toHaveLength(50);
    expect(await stream.next()).toEqual({ done: true, value: undefined });
  });

  test('is idempotent, and await using means it', async () => {
    const { node, exchange } = await openMarket();
    const [first, second] = await Promise.all([exchange.close(), exchange.close()]);
    expect(second).toBe(first);
    await exchange[Symbol.asyncDispose]();
    expect(node.closes).toBe(1);
    {
      await using inner = (await open()).exchange;
      await inner.execute({ op: 'day-end' });
    }
  });

  test('refuses what comes later', async () => {
    const { exchange } = await openMarket();
    const closed = exchange.close();
    expect(thrown(() => exchange.offer([order()]))).toMatchObject({ code: 'EXCHANGE_CLOSED' });
    await expect(exchange.submit(order())).rejects.toMatchObject({ code: 'EXCHANGE_CLOSED' });
    await closed;
    expect(thrown(() => exchange.offerBatch(exchange.batch(1)))).toMatchObject({ code: 'EXCHANGE_CLOSED' });
  });
});

describe('a node that fails', () => {
  test('tells everybody who waits', async () => {
    const { node, exchange } = await openMarket({ auto: true });
    const stream = exchange.events();
    await turns(2);
    node.ringCells = 0;
    const answer = exchange.submit(order());
    const next = stream.next();
    await turns(1);
    node.fail();
    await expect(answer).rejects.toMatchObject({ code: 'JOURNAL_FAILED' });
    await expect(next).rejects.toMatchObject({ code: 'JOURNAL_FAILED' });
    expect(thrown(() => exchange.offer([order()]))).toMatchObject({ code: 'JOURNAL_FAILED' });
  });

  test('errors of queries carry the engine’s code', async () => {
    const { exchange } = await openMarket();
    await expect(exchange.explain()).rejects.toMatchObject({ name: 'NativeError', code: 'BUSY' });
  });
});
