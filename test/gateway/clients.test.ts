// The TypeScript clients against the node's own gateways.
import { createSocket } from 'node:dgram';
import { describe, expect, test } from 'vitest';
import { Exchange } from '../../src/api/exchange.ts';
import { ItchBook } from '../../src/clients/itch-book.ts';
import { OuchClient } from '../../src/clients/ouch-client.ts';
import { freePort, randomOf } from '../clients/fake-feed.ts';
import { until } from '../clients/fake-gateway.ts';
import { accounts, addMarket, executionsOf, gateways, instruments, small, Trader } from './venue.ts';

const feedUser = { user: 'CAROL', password: 'secret', reconnect: { firstMs: 2, mostMs: 20 } };

/** Both sides of a book, as decimals, once the reader has heard everything. */
async function expectSame(exchange: Exchange, book: ItchBook): Promise<void> {
  const { bids, asks } = await exchange.book('BTC-USD', { levels: 1000 });
  const shown = (side: 'bids' | 'asks') =>
    book
      .levels('BTC-USD')
      [side].map(({ priceText, quantityText, orders }) => [priceText, quantityText, orders]);
  const both = JSON.stringify({ bids, asks });
  await until(
    () => JSON.stringify({ bids: shown('bids'), asks: shown('asks') }) === both,
    `${both}\n${JSON.stringify(shown('bids'))}`,
  );
  expect({ bids: shown('bids'), asks: shown('asks') }).toEqual({ bids, asks });
  expect(book.inStep).toBe(true);
}

/** Loses, doubles and swaps what goes to a port. */
async function badWeather(to: number, seed: number) {
  const socket = createSocket('udp4');
  const random = randomOf(seed);
  let late: Buffer | undefined;
  const counts = { lost: 0, all: 0 };
  const send = (datagram: Buffer): void => socket.send(datagram, to, '127.0.0.1');
  socket.on('message', (datagram) => {
    counts.all++;
    const what = random();
    if (what < 0.01) {
      counts.lost++;
      return;
    }
    if (what < 0.03 && late === undefined) {
      late = datagram;
      return;
    }
    send(datagram);
    if (what > 0.98) send(datagram);
    if (late !== undefined) send(late);
    late = undefined;
  });
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  return { port: socket.address().port, counts, close: () => socket.close() };
}

describe('a session', () => {
  test('an order, its execution, and the book', async () => {
    await using exchange = await Exchange.open({ ...small, gateways: gateways() });
    await addMarket(exchange);
    const { orders, stream } = exchange.gatewayAddresses!;
    await using client = await OuchClient.connect({
      address: orders!,
      user: 'ALICE',
      password: 'secret',
      instruments,
    });
    await using book = await ItchBook.open({ ...feedUser, stream: stream!, instruments });
    const heard: string[] = [];
    client.on('message', (message) => heard.push(message.type));
    const trade = new Promise((resolve) => book.once('trade', resolve));
    const accepted = await client.enter({
      side: 'buy',
      symbol: 'BTC-USD',
      price: '100.25',
      quantity: '2',
      clOrdId: 'first',
    });
    expect(accepted).toMatchObject({
      userRefNum: 1,
      price: 10_025,
      quantity: 20_000,
      clOrdId: 'first',
      state: 'L',
    });
    await until(() => book.orderCount === 1);
    expect(book.levels('BTC-USD', 1).bids).toMatchObject([
      { priceText: '100.25', quantityText: '2', orders: 1 },
    ]);
    await exchange.execute({
      op: 'new',
      account: 'bob',
      instrument: 'BTC-USD',
      id: 's1',
      side: 'sell',
      price: '100',
      quantity: '0.5',
    });
    expect(await trade).toMatchObject({ symbol: 'BTC-USD', price: 10_025, quantity: 5_000, side: 'buy' });
    expect(await client.modify(1, '1')).toMatchObject({ type: 'modified', quantity: 5_000 });
    expect(await client.replace(1, { price: '99', quantity: '3' })).toMatchObject({
      userRefNum: 2,
      price: 9_900,
      quantity: 25_000,
    });
    await expectSame(exchange, book);
    expect(await client.massCancel()).toMatchObject({ type: 'mass-canceled' });
    await until(() => book.orderCount === 0);
    expect(heard).toEqual(['accepted', 'executed', 'modified', 'replaced', 'canceled', 'mass-canceled']);
    await expect(client.enter({ side: 'buy', symbol: 'NONE', price: 1, quantity: 1 })).rejects.toMatchObject({
      details: { reason: 0x17 },
    });
    await expect(
      client.enter({ side: 'buy', symbol: 'BTC-USD', price: 1, quantity: 1, options: { priceType: 'P' } }),
    ).rejects.toMatchObject({ details: { reason: 0x11 } });
    expect((await client.enter({ side: 'buy', symbol: 'BTC-USD', price: 1, quantity: 1 })).userRefNum).toBe(
      6,
    );
  });

  test('who may not is not let in', async () => {
    await using exchange = await Exchange.open({ ...small, gateways: gateways() });
    await addMarket(exchange);
    const { orders, stream, snapshot } = exchange.gatewayAddresses!;
    const wrong = { user: 'ALICE', password: 'wrong' };
    await expect(OuchClient.connect({ address: orders!, ...wrong })).rejects.toMatchObject({
      code: 'GATEWAY_LOGIN_REJECTED',
    });
    await expect(ItchBook.open({ stream: stream!, ...wrong })).rejects.toMatchObject({
      code: 'GATEWAY_LOGIN_REJECTED',
    });
    await expect(ItchBook.open({ stream: stream!, snapshot: snapshot!, ...wrong })).rejects.toMatchObject({
      code: 'GATEWAY_LOGIN_REJECTED',
    });
  });
});

describe('trading at random', () => {
  test('executions are the exchange’s, books are its own: over stream, snapshot and datagrams with loss', async () => {
    const port = await freePort();
    const weather = await badWeather(port, 1);
    const feed = { ...gateways().feed, datagrams: [`127.0.0.1:${weather.port}`], datagramBytes: 300 };
    await using exchange = await Exchange.open({ ...small, gateways: gateways({ feed }) });
    await addMarket(exchange);
    const { orders, stream, snapshot, retransmission } = exchange.gatewayAddresses!;
    const datagrams = {
      address: `127.0.0.1:${port}`,
      retransmission: retransmission!,
      answerMs: 20,
      attemptsMax: 12,
    };
    const begin = await Promise.all([
      ItchBook.open({ ...feedUser, stream: stream!, instruments }),
      ItchBook.open({ ...feedUser, datagrams, instruments }),
    ]);
    const traders = await Promise.all(
      accounts.map((account, index) => Trader.connect(orders!, account, index + 1)),
    );
    for (let round = 0; round < 60; round++) {
      for (let index = 0; index < 60; index++) traders[index % traders.length]!.act();
      await new Promise((resolve) => setImmediate(resolve));
    }
    const late = await ItchBook.open({ ...feedUser, stream: stream!, snapshot: snapshot!, instruments });
    await until(() => traders.every(({ client }) => client.pending === 0));
    for (const trader of traders) await trader.client.accountQuery();
    const expected = await executionsOf(exchange);
    for (const trader of traders) expect(trader.executions()).toEqual(expected.get(trader.account));
    expect(expected.get('alice')!.length).toBeGreaterThan(100);
    for (const book of [...begin, late]) {
      await expectSame(exchange, book);
      await book.close();
    }
    expect(weather.counts.lost).toBeGreaterThan(0);
    for (const { client } of traders) await client.close();
    weather.close();
  });
});
