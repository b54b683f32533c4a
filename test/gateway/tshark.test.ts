// A session with the node's own gateways, read by a decoder that nobody here wrote: tshark's SoupBinTCP and MoldUDP64. Its OUCH is 4.x and
// its ITCH older still; there the fields are compared through the specifications' tables, which share no code with our codecs.
import { describe, expect, test } from 'vitest';
import { Exchange } from '../../src/api/exchange.ts';
import { ItchBook } from '../../src/clients/itch-book.ts';
import { type ItchMessage, writeItch } from '../../src/clients/itch-codec.ts';
import { writeOuch } from '../../src/clients/ouch-codec.ts';
import { Capture, hasTshark, tcpRelay, tshark, udpRelay } from '../clients/capture.ts';
import { freePort } from '../clients/fake-feed.ts';
import { until } from '../clients/fake-gateway.ts';
import { decode, itchMessages, ouchAnswers, ouchRequests } from '../clients/spec-tables.ts';
import { addMarket, gateways, small, Trader } from './venue.ts';

const soupFields = [
  ...[
    'tcp.srcport',
    'tcp.dstport',
    'soupbintcp.packet_length',
    'soupbintcp.packet_type',
    'soupbintcp.message',
  ],
];

interface Direction {
  bytes: number;
  types: string;
  messages: Buffer[];
}

/** What tshark sees of one port, each way: bytes in frames, types, and the messages' bytes. */
function sessions(capture: Capture, port: number): { client: Direction; server: Direction } {
  const both = {
    client: { bytes: 0, types: '', messages: [] as Buffer[] },
    server: { bytes: 0, types: '', messages: [] as Buffer[] },
  };
  const list = (text = ''): string[] => text.split(',').filter((part) => part !== '');
  for (const [from, , lengths, types, messages] of tshark(
    capture,
    [`tcp.port==${port},soupbintcp`],
    soupFields,
    `tcp.port==${port}`,
  )) {
    const side = Number(from) === port ? both.server : both.client;
    for (const length of list(lengths)) side.bytes += 2 + Number(length);
    side.types += list(types)
      .map((type) => type.replace(/'/g, '').slice(0, 1))
      .join('');
    for (const message of list(messages)) side.messages.push(Buffer.from(message.replace(/:/g, ''), 'hex'));
  }
  return both;
}

describe.runIf(hasTshark())('tshark (skipped where it is not installed: npm run setup)', () => {
  test('reads every byte of a session, and the fields are those that were sent', async () => {
    const capture = new Capture();
    const heard = await freePort();
    let datagrams = 0;
    // Every tenth is captured, but lost: so that there are requests too.
    const air = await udpRelay(capture, `127.0.0.1:${heard}`, () => ++datagrams % 10 !== 0);
    const feed = { ...gateways().feed, datagrams: [`127.0.0.1:${air.port}`], datagramBytes: 300 };
    await using exchange = await Exchange.open({ ...small, gateways: gateways({ feed }) });
    await addMarket(exchange);
    const addresses = exchange.gatewayAddresses!;
    const orders = await tcpRelay(capture, addresses.orders!);
    const stream = await tcpRelay(capture, addresses.stream!);
    const snapshot = await tcpRelay(capture, addresses.snapshot!);
    const requests = await udpRelay(capture, addresses.retransmission!);
    const login = { user: 'CAROL', password: 'secret' };
    const books = await Promise.all([
      ItchBook.open({ ...login, stream: `127.0.0.1:${stream.port}`, snapshot: `127.0.0.1:${snapshot.port}` }),
      ItchBook.open({
        ...login,
        datagrams: {
          address: `127.0.0.1:${heard}`,
          retransmission: `127.0.0.1:${requests.port}`,
          answerMs: 20,
          attemptsMax: 12,
        },
      }),
    ]);
    const itch: ItchMessage[] = [];
    books[0].on('message', (message) => itch.push(message));
    const trader = await Trader.connect(`127.0.0.1:${orders.port}`, 'alice', 1);
    for (let index = 0; index < 300; index++) {
      trader.act();
      if (index % 20 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await until(() => trader.client.pending === 0);
    const { client } = trader;
    const far = { side: 'buy', symbol: 'BTC-USD', price: 500, quantity: 9, clOrdId: 'far away' } as const;
    const { userRefNum } = await client.enter({ ...far, options: { postOnly: 'P', maxFloor: 3 } });
    await client.modify(userRefNum, 8);
    await client.cancel(userRefNum, 7);
    const replaced = await client.replace(userRefNum, { price: 501, quantity: 6 });
    await client.cancel(replaced.userRefNum);
    await client.cancel(replaced.userRefNum).catch(() => undefined);
    await client.enter({ ...far, symbol: 'NONE' }).catch(() => undefined);
    await client.disableEntry();
    await client.enableEntry();
    await client.massCancel();
    await trader.client.accountQuery();
    await books[0].reached(exchange.gatewayStats()!.feed.messages);
    await until(() => books.every((book) => book.orderCount === 0 && book.inStep));
    await trader.client.close();
    for (const book of books) await book.close();
    for (const relay of [orders, stream, snapshot, requests, air]) relay.close();

    const ports = [orders, stream, snapshot].map(({ port }) => port);
    const decodeAs = [
      ...ports.map((port) => `tcp.port==${port},soupbintcp`),
      `udp.port==${heard},moldudp64`,
      `udp.port==${addresses.retransmission!.split(':')[1]},moldudp64`,
    ];
    const wrong = [
      ...[
        '_ws.malformed',
        'moldudp64.count.invalid',
        'moldudp64.msglen.invalid',
        'moldudp64.end_of_session_extra',
      ],
      ...[
        'soupbintcp.req_seq_num.invalid',
        'soupbintcp.next_seq_num.invalid',
        '_ws.expert.severity >= 0x00400000',
      ],
    ];
    expect(tshark(capture, decodeAs, ['frame.number', '_ws.col.Info'], wrong.join(' || '))).toEqual([]);

    for (const relay of [orders, stream, snapshot]) {
      const seen = sessions(capture, relay.port);
      expect(seen.client.bytes).toBe(relay.counts.toServer);
      expect(seen.server.bytes).toBe(relay.counts.toClient);
      // Orders: the login that asks for its place in the session, the one that takes it over, and the first one's end.
      const twice = relay === orders;
      expect(seen.client.types).toMatch(twice ? /^LUL[UR]*O[UR]*O?$/ : /^L[UR]*O?$/);
      expect(seen.server.types).toMatch(twice ? /^ASA[SH]*Z?$/ : /^A[SH]*Z?$/);
    }

    const plain = (message: object, prefix = ''): Record<string, unknown> =>
      Object.fromEntries(
        Object.entries(message).flatMap(([name, value]) => {
          if (name === 'options') return Object.entries(plain(value, 'options.'));
          if (name === 'marks' || name === 'attribution') return [];
          if (value === 'buy' || value === 'sell') return [[name, value === 'buy' ? 'B' : 'S']];
          if (typeof value === 'boolean') return [[name, value ? 'Y' : 'N']];
          return [[prefix + name, typeof value === 'number' ? BigInt(value) : value]];
        }),
      );
    const session = sessions(capture, orders.port);
    // The answer about its place comes to the login that asks and to the one that reads the session.
    const [place] = session.server.messages.splice(0, 1);
    expect(decode(ouchAnswers, place!).type).toBe('account-answer');
    expect(session.server.messages).toContainEqual(place);
    // The gateway's bytes by the tables, against what our client has read; and what it wrote, against what it was asked to.
    expect(session.server.messages.map((one) => decode(ouchAnswers, one))).toEqual(
      trader.heard.map((one) => plain(one)),
    );
    expect(session.server.messages).toEqual(trader.heard.map((one) => writeOuch(one)));
    const kinds = new Set(session.client.messages.map((one) => decode(ouchRequests, one).type));
    expect(kinds).toEqual(new Set(Object.keys(ouchRequests)));
    const answered = new Set(trader.heard.map(({ type }) => type));
    for (const type of [
      'accepted',
      'replaced',
      'canceled',
      'modified',
      'executed',
      'rejected',
      'cancel-rejected',
      'mass-canceled',
    ])
      expect(answered).toContain(type);
    const entered = new Map(
      session.client.messages
        .map((one) => decode(ouchRequests, one))
        .filter(({ type }) => type === 'enter')
        .map((one) => [one.userRefNum, one]),
    );
    for (const answer of trader.heard) {
      if (answer.type !== 'accepted') continue;
      const { side, symbol, price, quantity, clOrdId } = plain(answer);
      expect(entered.get(BigInt(answer.userRefNum))).toMatchObject({
        side,
        symbol,
        price,
        quantity,
        clOrdId,
      });
    }
    const streamed = sessions(capture, stream.port).server.messages;
    expect(streamed).toEqual(itch.map((one) => writeItch(one)));
    expect(streamed.map((one) => decode(itchMessages, one))).toEqual(itch.map((one) => plain(one)));
    const taken = sessions(capture, snapshot.port).server.messages.map((one) => decode(itchMessages, one));
    expect(taken.at(-1)?.type).toBe('end-of-snapshot');

    // Datagrams: what is in them by number is what the stream has by number.
    const first = Number(taken.at(-1)?.sequence);
    const fields = ['moldudp64.session', 'moldudp64.msgseq', 'moldudp64.msgdata', 'moldudp64.count'];
    let [compared, asked] = [0, 0];
    for (const [name, numbers = '', data = ''] of tshark(capture, decodeAs, fields, 'moldudp64')) {
      expect(name!.trim()).toBe(addresses.feedSession);
      const messages = data.split(',').filter((part) => part !== '');
      if (messages.length === 0) asked++;
      for (const [index, number] of numbers
        .split(',')
        .filter((part) => part !== '')
        .entries()) {
        const message = itch[Number(number) - first];
        if (message === undefined) continue;
        expect(messages[index]!.replace(/:/g, '')).toBe(writeItch(message).toString('hex'));
        compared++;
      }
    }
    expect(compared).toBeGreaterThanOrEqual(itch.length);
    expect(asked).toBeGreaterThan(0);
  });
});
