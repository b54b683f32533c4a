import { describe, expect, test } from 'vitest';
import { ItchBook, type ItchBookOptions } from '../../src/clients/itch-book.ts';
import { writeItch } from '../../src/clients/itch-codec.ts';
import { FakeMarket, FakeMoldFeed, freePort, symbols, type Weather } from './fake-feed.ts';
import { FakeGateway, until } from './fake-gateway.ts';

const login = { user: 'ann', password: 'secret', reconnect: { firstMs: 1, mostMs: 5 } };

function expectSame(book: ItchBook, market: FakeMarket): void {
  for (const symbol of symbols) {
    for (const side of ['buy', 'sell'] as const) {
      const queue = market.queue(symbol, side);
      expect(book.queue(symbol, side)).toEqual(queue);
      const levels = new Map<number, { price: number; quantity: number; orders: number }>();
      for (const { price, quantity } of queue) {
        const level = levels.get(price) ?? { price, quantity: 0, orders: 0 };
        levels.set(price, { price, quantity: level.quantity + quantity, orders: level.orders + 1 });
      }
      const { bids, asks } = book.levels(symbol);
      expect(side === 'buy' ? bids : asks).toEqual([...levels.values()]);
    }
  }
  expect(book.orderCount).toBe(market.orders.length);
  expect(book.inStep).toBe(true);
}

/** A snapshot server: each login gets the open book of that moment. */
async function snapshots(market: FakeMarket, session = 'RUN1'): Promise<FakeGateway> {
  const gateway = await FakeGateway.open({
    session,
    before: (one) => one.sent.splice(0, one.sent.length, ...market.snapshot()),
  });
  return gateway;
}

describe('over a stream', () => {
  test.each([0, 1, 13])(
    'the book is the market’s, message for message; writes cut at every %i bytes',
    async (splitAt) => {
      const market = new FakeMarket(1);
      await using gateway = await FakeGateway.open({ session: 'RUN1', splitAt });
      market.step(100);
      gateway.send(...market.messages);
      await using book = await ItchBook.open({ ...login, stream: gateway.address });
      let trades = 0;
      book.on('trade', () => trades++);
      for (let round = 0; round < 50; round++) {
        await book.reached(market.messages.length);
        expectSame(book, market);
        const before = market.messages.length;
        market.step(10);
        gateway.send(...market.messages.slice(before));
      }
      await book.reached(market.messages.length);
      expect(book.symbols).toEqual(symbols);
      expect(book.tradingState('BTC-USD')).toBe('T');
      expect(book.session).toBe('RUN1');
      expect(trades).toBeGreaterThan(20);
    },
  );

  test('a snapshot first, then what follows it, through lost connections', async () => {
    const market = new FakeMarket(2);
    await using gateway = await FakeGateway.open({ session: 'RUN1' });
    market.step(500);
    gateway.send(...market.messages);
    await using snapshot = await snapshots(market);
    await using book = await ItchBook.open({ ...login, stream: gateway.address, snapshot: snapshot.address });
    expect(gateway.logins[0]).toMatchObject({ session: 'RUN1', sequence: market.messages.length + 1 });
    expectSame(book, market);
    const news: string[] = [];
    book.on('gap', () => news.push('gap'));
    book.on('recovered', ({ by }) => news.push(by));
    for (let round = 0; round < 5; round++) {
      gateway.cut();
      const before = market.messages.length;
      market.step(20);
      gateway.send(...market.messages.slice(before));
      await book.reached(market.messages.length);
      expectSame(book, market);
    }
    expect(news.filter((one) => one === 'reconnect').length).toBeGreaterThan(0);
    expect(news.filter((one) => one === 'gap').length).toBe(news.length / 2);
  });

  test('changes that are reported add up to the levels', async () => {
    const market = new FakeMarket(3);
    await using gateway = await FakeGateway.open({ session: 'RUN1' });
    await using book = await ItchBook.open({ ...login, stream: gateway.address });
    const levels = new Map<string, unknown>();
    book.on('change', ({ symbol, side, ...level }) => {
      const key = `${symbol} ${side} ${level.price}`;
      if (level.quantity === 0) levels.delete(key);
      else levels.set(key, level);
    });
    market.step(2000);
    gateway.send(...market.messages);
    await book.reached(market.messages.length);
    const shown = symbols.flatMap((symbol) => {
      const { bids, asks } = book.levels(symbol);
      return [
        ...bids.map((level) => [`${symbol} buy ${level.price}`, level] as const),
        ...asks.map((level) => [`${symbol} sell ${level.price}`, level] as const),
      ];
    });
    expect(levels).toEqual(new Map(shown));
  });

  test('a new run is read from its beginning', async () => {
    const first = new FakeMarket(4);
    first.step(50);
    const options = { session: 'RUN1' };
    await using gateway = await FakeGateway.open(options);
    gateway.send(...first.messages);
    await using book = await ItchBook.open({ ...login, stream: gateway.address });
    await book.reached(first.messages.length);
    const second = new FakeMarket(5);
    second.step(30);
    options.session = 'RUN2';
    gateway.sent.length = 0;
    const recovered = new Promise<void>((resolve) =>
      book.on('recovered', ({ by }) => {
        if (by === 'new-session') resolve();
      }),
    );
    gateway.cut();
    gateway.send(...second.messages);
    await recovered;
    await book.reached(second.messages.length);
    expectSame(book, second);
    expect(book.session).toBe('RUN2');
  });

  test('a message that cannot follow is an end, or another snapshot', async () => {
    const market = new FakeMarket(6);
    market.step(50);
    const wrong = writeItch({ type: 'delete', locate: 1, tracking: 0, timeNs: 0, reference: 1e9 });
    {
      await using gateway = await FakeGateway.open({ session: 'RUN1' });
      gateway.send(...market.messages, wrong);
      await using book = await ItchBook.open({ ...login, stream: gateway.address });
      expect((await book.ended).error?.code).toBe('FEED_OUT_OF_STEP');
      await expect(book.reached(1e6)).rejects.toMatchObject({ code: 'FEED_OUT_OF_STEP' });
    }
    await using gateway = await FakeGateway.open({ session: 'RUN1' });
    await using snapshot = await snapshots(market);
    gateway.send(...market.messages);
    await using book = await ItchBook.open({ ...login, stream: gateway.address, snapshot: snapshot.address });
    market.messages.push(wrong);
    const recovered = new Promise((resolve) => book.once('recovered', resolve));
    gateway.send(wrong);
    expect(await recovered).toMatchObject({ by: 'snapshot', sequence: market.messages.length });
    expectSame(book, market);
  });

  test('ends with the session, and refuses what it cannot follow', async () => {
    await using gateway = await FakeGateway.open({ session: 'RUN1' });
    await using book = await ItchBook.open({ ...login, stream: gateway.address });
    gateway.packet('Z');
    expect(await book.ended).toEqual({ reason: 'end-of-session' });
    const open = (options: ItchBookOptions) =>
      ItchBook.open(options).then(
        () => 'opened',
        (error) => error.code,
      );
    expect(await open({ ...login })).toBe('INVALID_OPTION');
    expect(await open({ ...login, password: 'wrong', stream: gateway.address })).toBe(
      'GATEWAY_LOGIN_REJECTED',
    );
  });

  test('levels carry decimals where the terms are known', async () => {
    await using gateway = await FakeGateway.open({ session: 'RUN1' });
    const header = { locate: 1, tracking: 0, timeNs: 0, symbol: 'BTC-USD' };
    gateway.send(
      writeItch({ type: 'add', ...header, reference: 1, side: 'buy', shares: 1500, price: 2364705 }),
    );
    const instruments = { 'BTC-USD': { tickSize: '0.01', lotSize: '0.00001' } };
    await using book = await ItchBook.open({ ...login, stream: gateway.address, instruments });
    await book.reached(1);
    expect(book.levels('BTC-USD').bids).toEqual([
      { price: 2364705, quantity: 1500, orders: 1, priceText: '23647.05', quantityText: '0.015' },
    ]);
  });
});

describe('over datagrams', () => {
  async function started(market: FakeMarket, weather: Weather, options: Partial<ItchBookOptions> = {}) {
    const port = await freePort();
    const feed = await FakeMoldFeed.open(() => market.messages, { port, host: '127.0.0.1' }, weather);
    const datagrams = {
      address: `127.0.0.1:${port}`,
      retransmission: feed.retransmission,
      answerMs: 20,
      attemptsMax: 12,
    };
    const { datagrams: more, ...others } = options;
    const book = await ItchBook.open({ ...login, datagrams: { ...datagrams, ...more }, ...others });
    return { feed, book };
  }

  test.each([1, 2, 3])(
    'one in a hundred lost, doubled and late: the book ends equal (seed %i)',
    async (seed) => {
      const market = new FakeMarket(seed);
      const { feed, book } = await started(market, { loss: 0.01, doubled: 0.01, late: 0.01, seed });
      await using _feed = feed;
      await using _book = book;
      for (let round = 0; round < 10; round++) {
        market.step(1000);
        await feed.send();
        await feed.heartbeat();
        await book.reached(market.messages.length);
        expectSame(book, market);
      }
      expect(book.datagramCounters!.gaps).toBeGreaterThan(0);
      expect(book.datagramCounters!.duplicates).toBeGreaterThan(0);
      expect(book.datagramCounters!.waiting).toBe(0);
    },
  );

  test('half of everything lost, answers too', async () => {
    const market = new FakeMarket(7);
    const { feed, book } = await started(
      market,
      { loss: 0.5, late: 0.3, doubled: 0.3 },
      { datagrams: { attemptsMax: 50, answerMs: 5 } as never },
    );
    await using _feed = feed;
    await using _book = book;
    market.step(1000);
    await feed.send();
    await feed.heartbeat();
    await book.reached(market.messages.length);
    expectSame(book, market);
  });

  test('a window of ten messages is enough, only slower', async () => {
    const market = new FakeMarket(8);
    const { feed, book } = await started(market, { loss: 0.05 }, { datagrams: { windowMax: 10 } as never });
    await using _feed = feed;
    await using _book = book;
    market.step(3000);
    await feed.send();
    await feed.heartbeat();
    await book.reached(market.messages.length);
    expectSame(book, market);
    expect(book.datagramCounters!.dropped).toBeGreaterThan(0);
  });

  test('a late joiner takes a snapshot, and goes on', async () => {
    const market = new FakeMarket(9);
    market.step(500);
    await using snapshot = await snapshots(market);
    const { feed, book } = await started(market, { loss: 0.02 }, { snapshot: snapshot.address });
    await using _feed = feed;
    await using _book = book;
    feed.skip();
    expectSame(book, market);
    market.step(500);
    await feed.send();
    await feed.heartbeat();
    await book.reached(market.messages.length);
    expectSame(book, market);
    expect(snapshot.logins).toHaveLength(1);
  });

  test('what nobody can send again is bridged by a snapshot, or the end', async () => {
    const market = new FakeMarket(10);
    await using snapshot = await snapshots(market);
    const { feed, book } = await started(
      market,
      {},
      { snapshot: snapshot.address, datagrams: { attemptsMax: 2, answerMs: 2 } as never },
    );
    await using _feed = feed;
    await using _book = book;
    market.step(100);
    await feed.send();
    await book.reached(market.messages.length);
    market.step(100);
    feed.skip();
    feed.answers = false;
    const news: string[] = [];
    book.on('gap', () => news.push('gap'));
    book.on('recovered', ({ by }) => news.push(by));
    market.step(100);
    await feed.send();
    await until(() => news.includes('snapshot'));
    await book.reached(market.messages.length);
    expectSame(book, market);
    market.step(50);
    await feed.send();
    await book.reached(market.messages.length);
    expectSame(book, market);
    expect(news).toEqual(['gap', 'snapshot']);

    const alone = await started(market, {}, { datagrams: { attemptsMax: 1, answerMs: 1 } as never });
    alone.feed.answers = false;
    alone.feed.skip();
    await alone.feed.heartbeat();
    expect((await alone.book.ended).error?.code).toBe('FEED_GAP');
    await Promise.all([alone.feed[Symbol.asyncDispose](), alone.book.close()]);
  });

  test('another session on the air is another feed', async () => {
    const first = new FakeMarket(11);
    let market = first;
    const port = await freePort();
    await using feed = await FakeMoldFeed.open(() => market.messages, { port, host: '127.0.0.1' });
    await using book = await ItchBook.open({
      ...login,
      datagrams: { address: `127.0.0.1:${port}`, retransmission: feed.retransmission },
    });
    first.step(100);
    await feed.send();
    await book.reached(first.messages.length);
    market = new FakeMarket(12);
    market.step(50);
    feed.restart('RUN2');
    const recovered = new Promise((resolve) => book.once('recovered', resolve));
    await feed.send();
    expect(await recovered).toMatchObject({ by: 'new-session' });
    await book.reached(market.messages.length);
    expectSame(book, market);
    await feed.end();
    expect(await book.ended).toEqual({ reason: 'end-of-session' });
  });

  test('bytes of no protocol are counted and passed over', async () => {
    const market = new FakeMarket(13);
    const { feed, book } = await started(market, {});
    await using _feed = feed;
    await using _book = book;
    await feed.raw(Buffer.from('no datagram'));
    await feed.raw(
      Buffer.concat([Buffer.from('      RUN1\0\0\0\0\0\0\0\x01\0\x02', 'latin1'), Buffer.from([0, 9, 1])]),
    );
    market.step(10);
    await feed.send();
    await book.reached(market.messages.length);
    expectSame(book, market);
    expect(book.datagramCounters!.malformed).toBe(2);
  });

  test('a group is joined on the interface that is named', async () => {
    const market = new FakeMarket(14);
    const port = await freePort();
    await using feed = await FakeMoldFeed.open(() => market.messages, { port, host: '239.255.77.1' });
    feed.multicastOver('127.0.0.1');
    await using book = await ItchBook.open({
      ...login,
      datagrams: {
        address: `239.255.77.1:${port}`,
        interface: '127.0.0.1',
        retransmission: feed.retransmission,
      },
    });
    market.step(100);
    await feed.send();
    await book.reached(market.messages.length);
    expectSame(book, market);
  });
});
