import { connect } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { BookClient } from './book-client.ts';
import { Load } from './load.ts';
import { type StreamReader, Venue } from './venue.ts';

let venue: Venue;
afterEach(() => venue.close());

const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

function isBook({ channel, type }: { channel?: string; type?: string }): boolean {
  return channel === 'book' && type !== undefined;
}

async function subscribed(channel: string, more: object = {}): Promise<StreamReader> {
  const reader = await venue.stream();
  reader.send({ op: 'subscribe', channel, instrument: 'BTC-USD', ...more });
  await reader.next((message) => message.op === 'subscribed');
  return reader;
}

describe('book', () => {
  test('snapshot and deltas rebuild the book that HTTP shows at the same position, under load', async () => {
    venue = await Venue.open();
    const load = new Load(venue, 7);
    await load.run(100);
    const reader = await subscribed('book');
    const shown = new Map<number, unknown>();
    const ask = async (): Promise<number> => {
      const { body } = await venue.send('GET', '/v1/book/BTC-USD?levels=1000');
      shown.set(body.position, { bids: body.bids, asks: body.asks });
      return body.position;
    };
    let running = true;
    const asking = (async () => {
      while (running) await ask();
    })();
    // Where nothing is on its way the book stands still, so that these are sure to be comparable.
    const still = new Set<number>();
    for (let round = 0; round < 20; round++) {
      await load.run(200);
      await load.settle();
      still.add(await ask());
    }
    running = false;
    await asking;
    await pause(50);

    const client = new BookClient();
    const books = reader.messages.filter(isBook);
    expect(books[0].type).toBe('snapshot');
    expect(books.length).toBeGreaterThan(20);
    let compared = 0;
    for (const [index, message] of books.entries()) {
      client.take(message);
      const until = books[index + 1]?.position ?? Number.POSITIVE_INFINITY;
      for (const [position, book] of shown) {
        const same =
          position === message.position ||
          (still.has(position) && position > message.position && position < until);
        if (!same) continue;
        expect(client.book, `position ${position}`).toEqual(book);
        compared++;
      }
    }
    expect(client.gaps).toBe(0);
    expect(compared).toBeGreaterThanOrEqual(20);
    reader.close();
  });

  test('a message that is lost shows', async () => {
    venue = await Venue.open();
    const reader = await subscribed('book');
    for (let price = 100; price < 110; price++) {
      await venue.place(venue.alice, { id: `p${price}`, price: String(price) });
    }
    await pause(50);
    const books = reader.messages.filter(isBook);
    expect(books).toHaveLength(11);
    for (const [index, message] of books.entries()) {
      if (index > 0) expect(message.previous).toBe(books[index - 1].position);
    }
    const client = new BookClient();
    for (const [index, message] of books.entries()) if (index !== 5) client.take(message);
    expect(client.gaps).toBe(5);
    expect(client.book.bids).toHaveLength(4);
    reader.close();
  });

  test('a client goes on where it was cut off, or begins anew when that is too long ago', async () => {
    venue = await Venue.open({ streamLimits: { historyMax: 20 } });
    const load = new Load(venue, 9);
    const first = await subscribed('book');
    await load.run(50);
    await load.settle();
    await pause(20);
    const client = new BookClient();
    for (const message of first.messages) if (isBook(message)) client.take(message);
    first.close();
    await load.run(20);
    await load.settle();
    const second = await subscribed('book', { from: client.position });
    await load.run(20);
    await load.settle();
    await pause(20);
    const later = second.messages.filter(isBook);
    expect(later[0].type).toBe('delta');
    for (const message of later) client.take(message);
    const { body } = await venue.send('GET', '/v1/book/BTC-USD?levels=1000');
    expect(client.gaps).toBe(0);
    expect(client.book).toEqual({ bids: body.bids, asks: body.asks });
    for (const from of [1, Number(venue.position) + 1000]) {
      await load.run(200);
      const again = await subscribed('book', { from });
      expect((await again.next(isBook)).type).toBe('snapshot');
      again.close();
    }
    second.close();
  });
});

test('trades and ticker follow', async () => {
  venue = await Venue.open();
  const [trades, ticker] = [await subscribed('trades'), await subscribed('ticker')];
  await venue.place(venue.alice, { id: 't1', side: 'sell', price: '150', quantity: '3' });
  const { body } = await venue.place(venue.bob, { id: 't2', side: 'buy', price: '150', quantity: '1' });
  const update = await trades.next(({ type }) => type === 'update');
  expect(update).toMatchObject({
    channel: 'trades',
    instrument: 'BTC-USD',
    position: body.position,
    trades: [{ price: '150', quantity: '1', side: 'buy' }],
  });
  expect(JSON.stringify(update)).not.toMatch(/alice|bob|t1|t2/);
  const seen = await ticker.next(({ channel, last }) => channel === 'ticker' && last === '150');
  expect(seen).toMatchObject({ ask: '150', askQuantity: '2', bid: null, trades: 1, volume: '1' });
  trades.send({ op: 'unsubscribe', channel: 'trades', instrument: 'BTC-USD' });
  await trades.next(({ op }) => op === 'unsubscribed');
  await venue.place(venue.bob, { id: 't3', side: 'buy', price: '150', quantity: '1' });
  trades.send({ op: 'ping', ref: 5 });
  expect(await trades.next(({ op }) => op === 'pong')).toMatchObject({ ref: 5 });
  expect(trades.messages.filter(({ type }) => type === 'update')).toHaveLength(1);
  trades.close();
  ticker.close();
});

test('own orders and balances, and nobody else’s', async () => {
  venue = await Venue.open();
  await venue.place(venue.alice, { id: 'before', price: '100', quantity: '1' });
  const reader = await venue.stream();
  reader.send({ op: 'subscribe', channel: 'orders' });
  expect((await reader.next(({ op }) => op === 'error')).code).toBe('UNSIGNED');
  reader.auth(venue.alice);
  await reader.next(({ op }) => op === 'authenticated');
  reader.send({ op: 'subscribe', channel: 'orders' });
  reader.send({ op: 'subscribe', channel: 'balances' });
  const snapshot = await reader.next(({ channel, type }) => channel === 'orders' && type === 'snapshot');
  expect(snapshot.orders).toMatchObject([{ id: 'before', open: '1' }]);
  await reader.next(({ channel, type }) => channel === 'balances' && type === 'snapshot');
  await venue.place(venue.bob, { id: 'theirs', side: 'sell', price: '100', quantity: '0.25' });
  const events = await reader.next(({ type }) => type === 'events');
  expect(events.events).toMatchObject([
    { event: 'trade', role: 'maker', side: 'buy', id: 'before', left: '0.75', quantity: '0.25' },
  ]);
  expect(events.previous).toBe(snapshot.position);
  const balances = await reader.next(({ channel, type }) => channel === 'balances' && type === 'update');
  expect(balances.balances.find(({ asset }: { asset: string }) => asset === 'BTC').total).toBe('10000.25');
  const text = JSON.stringify(reader.messages);
  expect(text).not.toMatch(/bob|theirs/);
  reader.close();
});

test('authentication counts once, and only when right', async () => {
  venue = await Venue.open();
  const reader = await venue.stream();
  reader.auth({ ...venue.alice, secret: 'x'.repeat(64) });
  expect((await reader.next(({ op }) => op === 'error')).code).toBe('INVALID_SIGNATURE');
  reader.auth(venue.alice);
  await reader.next(({ op }) => op === 'authenticated');
  reader.auth(venue.bob);
  await reader.next(({ code }) => code === 'AUTHENTICATED_ALREADY');
  reader.close();
});

test('in demo mode the token stands for a signature', async () => {
  venue = await Venue.open({ demoTokens: new Map([['demo-visitor', 'bob']]) });
  const reader = await venue.stream();
  reader.send({ op: 'auth', token: 'demo-nobody' });
  expect((await reader.next(({ op }) => op === 'error')).code).toBe('INVALID_TOKEN');
  reader.send({ op: 'auth', token: 'demo-visitor', ref: 1 });
  expect(await reader.next(({ op }) => op === 'authenticated')).toMatchObject({ account: 'bob', ref: 1 });
  reader.close();
});

describe('bounds', () => {
  test('a client that reads slowly is cut off with bounded memory; others do not notice', async () => {
    const bufferedBytesMax = 64 * 1024;
    const often = { messageBurstMax: 1e6, messagesPerSecond: 1e6 };
    venue = await Venue.open({ streamLimits: { bufferedBytesMax, closeTimeoutMs: 300, ...often } });
    // A deep book makes large snapshots: what the kernel takes is full soon.
    for (let price = 1; price <= 600; price++) {
      const order = { op: 'new', account: 'alice', instrument: 'BTC-USD', quantity: '0.001' } as const;
      venue.exchange.offer([{ ...order, id: `d${price}`, side: 'buy', price: String(price) }]);
    }
    const load = new Load(venue, 10);
    await load.settle();
    const good = await subscribed('book');
    const slow = await venue.stream();
    (slow.socket as unknown as { _socket: { pause(): void } })._socket.pause();
    let most = 0;
    for (let round = 0; round < 3000 && venue.edges.stream.slowReaders === 0; round++) {
      for (const op of ['subscribe', 'unsubscribe'])
        slow.send({ op, channel: 'book', instrument: 'BTC-USD' });
      await load.run(3, 1);
      most = Math.max(most, venue.edges.stream.bufferedBytes);
    }
    await load.settle();
    await pause(400);
    expect(venue.edges.stream.slowReaders).toBe(1);
    expect(venue.edges.stream.clients).toBe(1);
    expect(most).toBeGreaterThan(bufferedBytesMax);
    expect(most).toBeLessThan(bufferedBytesMax * 2);
    expect(venue.edges.stream.bufferedBytes).toBeLessThan(bufferedBytesMax);
    expect(good.closed).toBeUndefined();
    const client = new BookClient();
    for (const message of good.messages) if (isBook(message)) client.take(message);
    const { body } = await venue.send('GET', '/v1/book/BTC-USD?levels=1000');
    expect(client.book).toEqual({ bids: body.bids, asks: body.asks });
    good.close();
    slow.close();
  }, 60_000);

  test('mistakes are answered, too many end the connection', async () => {
    venue = await Venue.open();
    const reader = await venue.stream();
    for (const message of [
      '{',
      '[]',
      { op: 'nothing' },
      { op: 'subscribe' },
      { op: 'subscribe', channel: 'book' },
      { op: 'subscribe', channel: 'book', instrument: 'X' },
    ])
      reader.send(message);
    reader.send({ op: 'subscribe', channel: 'book', instrument: 'BTC-USD', colour: 'red', ref: 'here' });
    expect(await reader.next(({ ref }) => ref === 'here')).toMatchObject({
      op: 'error',
      code: 'UNKNOWN_FIELD',
    });
    const codes = reader.messages.filter(({ op }) => op === 'error').map(({ code }) => code);
    expect(codes).toEqual([
      'MALFORMED_JSON',
      'MALFORMED_JSON',
      'INVALID_FIELD',
      'MISSING_FIELD',
      'MISSING_FIELD',
      'UNKNOWN_INSTRUMENT',
      'UNKNOWN_FIELD',
    ]);
    for (let count = 0; count < 5; count++) reader.send('x');
    expect(await reader.untilClosed()).toMatchObject({ code: 1008, reason: '{"code":"TOO_MANY_MISTAKES"}' });
  });

  test('too many messages, subscriptions, clients; messages too large', async () => {
    venue = await Venue.open({
      streamLimits: {
        messageBurstMax: 20,
        messagesPerSecond: 1,
        clientsMax: 2,
        subscriptionsMax: 2,
        messageBytesMax: 1000,
      },
    });
    const reader = await venue.stream();
    for (const channel of ['book', 'trades', 'ticker'])
      reader.send({ op: 'subscribe', channel, instrument: 'BTC-USD' });
    expect((await reader.next(({ op }) => op === 'error')).code).toBe('TOO_MANY_SUBSCRIPTIONS');
    const large = await venue.stream();
    await expect(venue.stream()).rejects.toThrow();
    large.send(`{"op":"${'x'.repeat(2000)}"}`);
    expect((await large.untilClosed()).code).toBe(1009);
    for (let count = 0; count < 30; count++) reader.send({ op: 'ping' });
    expect(await reader.untilClosed()).toMatchObject({ code: 1008, reason: '{"code":"TOO_MANY_MESSAGES"}' });
  });

  test('a client that is gone without a word is noticed', async () => {
    venue = await Venue.open({ streamLimits: { pingEveryMs: 100 } });
    const dead = connect(venue.edges.port, '127.0.0.1');
    dead.on('error', () => undefined);
    dead.write(
      'GET /v1/stream HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
    );
    const alive = await venue.stream();
    for (let waited = 0; waited < 50 && venue.edges.stream.clients !== 2; waited++) await pause(10);
    expect(venue.edges.stream.clients).toBe(2);
    await pause(400);
    expect(venue.edges.stream.clients).toBe(1);
    expect(alive.closed).toBeUndefined();
    alive.close();
    dead.destroy();
  });

  test('a node that stops says so', async () => {
    venue = await Venue.open();
    const reader = await subscribed('book');
    await venue.edges.close();
    expect(await reader.untilClosed()).toMatchObject({
      code: 1001,
      reason: expect.stringContaining('"resumeFrom":'),
    });
  });
});
