import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Answer, Venue } from './venue.ts';

let venue: Venue;
beforeAll(async () => {
  venue = await Venue.open();
});
afterAll(() => venue.close());

function expectRefusal(answer: Answer, status: number, code: string): void {
  expect({ status: answer.status, code: answer.body.error?.code }).toEqual({ status, code });
  expect(answer.body.error.message).toEqual(expect.any(String));
}

/** Sends bytes as they are and reads until the other side hangs up. */
function raw(text: string | Buffer, timeoutMs = 10_000): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(venue.edges.port, '127.0.0.1', () => socket.write(text));
    let answer = '';
    socket.setTimeout(timeoutMs, () => socket.destroy(new Error('the other side waits')));
    socket.on('data', (part) => {
      answer += part.toString();
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(answer));
  });
}

describe('order entry', () => {
  test('an order is placed, seen, reduced, replaced and cancelled', async () => {
    const { alice } = venue;
    const placed = await venue.place(alice, { id: 'a1', price: '100.5', quantity: '2' });
    expect(placed.status).toBe(201);
    expect(placed.body).toMatchObject({ id: 'a1', status: 'open', open: '2', filled: '0' });
    expect(placed.body.position).toBe(Number(venue.position));
    expect(placed.body.events).toMatchObject([{ event: 'accepted', booked: true, price: '100.5' }]);

    const seen = await venue.send('GET', '/v1/orders/a1', { key: alice });
    expect(seen).toMatchObject({
      status: 200,
      body: { id: 'a1', open: '2', side: 'buy', tif: 'gtc', orderId: placed.body.orderId },
    });

    const reduced = await venue.send('POST', '/v1/orders/a1/reduce', {
      key: alice,
      body: { instrument: 'BTC-USD', by: '0.5' },
    });
    expect(reduced).toMatchObject({ status: 200, body: { id: 'a1', status: 'open', open: '1.5' } });

    const change = { instrument: 'BTC-USD', price: '101', quantity: '3', newId: 'a2' };
    const replaced = await venue.send('PUT', '/v1/orders/a1', { key: alice, body: change });
    expect(replaced).toMatchObject({ status: 200, body: { id: 'a2', status: 'open', open: '3' } });
    const patched = await venue.send('PATCH', '/v1/orders/a2', {
      key: alice,
      body: { instrument: 'BTC-USD', price: '101', quantity: '1' },
    });
    expect(patched).toMatchObject({
      status: 200,
      body: { id: 'a2', open: '1', events: [{ event: 'replaced', keptPriority: true }] },
    });

    const list = await venue.send('GET', '/v1/orders', { key: alice });
    expect(list.body.orders.map(({ id }: { id: string }) => id)).toEqual(['a2']);
    const cancelled = await venue.send('DELETE', '/v1/orders/a2', { key: alice });
    expect(cancelled).toMatchObject({ status: 200, body: { status: 'cancelled', open: '0' } });
    expectRefusal(await venue.send('DELETE', '/v1/orders/a2', { key: alice }), 409, 'ORDER_CLOSED');
    expectRefusal(await venue.send('GET', '/v1/orders/a2', { key: alice }), 404, 'UNKNOWN_ORDER');
    expectRefusal(await venue.send('DELETE', '/v1/orders/never', { key: alice }), 404, 'UNKNOWN_ORDER');
  });

  test('the same order again gives the first answer, another one under its id does not', async () => {
    const order = { id: 'twice', price: '90', quantity: '1' };
    const first = await venue.place(venue.alice, order);
    const again = await venue.place(venue.alice, order);
    expect(again).toMatchObject({ status: 200, body: { status: 'unchanged', orderId: first.body.orderId } });
    expect(again.body).not.toHaveProperty('open');
    expectRefusal(
      await venue.place(venue.alice, { ...order, quantity: '2' }),
      409,
      'DUPLICATE_CLIENT_ORDER_ID',
    );
    await venue.send('DELETE', '/v1/orders/twice', { key: venue.alice });
  });

  test('a trade names nobody else', async () => {
    await venue.place(venue.alice, { id: 'mine', side: 'sell', price: '200', quantity: '2' });
    const taken = await venue.place(venue.bob, {
      id: 'yours',
      side: 'buy',
      price: '200',
      quantity: '3',
      tif: 'ioc',
    });
    expect(taken.body).toMatchObject({ status: 'cancelled', filled: '2', open: '0' });
    expect(taken.body.events.map(({ event }: { event: string }) => event)).toEqual([
      'accepted',
      'trade',
      'cancelled',
    ]);
    expect(taken.text).not.toMatch(/alice|mine/);
    const trades = await venue.send('GET', '/v1/trades/BTC-USD?limit=1');
    expect(trades.body.trades).toMatchObject([
      { price: '200', quantity: '2', side: 'buy', position: taken.body.position },
    ]);
    expect(trades.text).not.toMatch(/alice|bob|mine|yours/);
  });

  test('many orders are cancelled by instrument and side', async () => {
    for (const [id, side, price] of [
      ['m1', 'buy', '80'],
      ['m2', 'buy', '81'],
      ['m3', 'sell', '300'],
    ] as const) {
      await venue.place(venue.bob, { id, side, price });
    }
    const buys = await venue.send('DELETE', '/v1/orders?instrument=BTC-USD&side=buy', { key: venue.bob });
    expect(buys).toMatchObject({ status: 200, body: { count: 2 } });
    const rest = await venue.send('DELETE', '/v1/orders', { key: venue.bob });
    expect(rest.body.count).toBe(1);
    expectRefusal(
      await venue.send('DELETE', '/v1/orders?sides=buy', { key: venue.bob }),
      400,
      'UNKNOWN_FIELD',
    );
    expectRefusal(
      await venue.send('DELETE', '/v1/orders?side=buy&side=sell', { key: venue.bob }),
      400,
      'INVALID_FIELD',
    );
  });

  test('what the core rejects has its code', async () => {
    const { alice } = venue;
    expectRefusal(await venue.place(alice, { id: 'r1', price: '100001' }), 422, 'PRICE_OUT_OF_BAND');
    expectRefusal(
      await venue.place(alice, { id: 'r2', price: '100', quantity: '99999999' }),
      422,
      'INSUFFICIENT_FUNDS',
    );
    expectRefusal(await venue.place(alice, { id: 'r3', price: '100', tif: 'gtd' }), 422, 'INVALID_EXPIRY');
    await venue.exchange.execute({ op: 'set-trading-state', instrument: 'BTC-USD', state: 'halted' });
    expectRefusal(await venue.place(alice, { id: 'r4', price: '100' }), 422, 'INSTRUMENT_NOT_OPEN');
    await venue.exchange.execute({ op: 'set-trading-state', instrument: 'BTC-USD', state: 'open' });
  });

  test('every order field goes through', async () => {
    const { alice } = venue;
    const iceberg = {
      id: 'f1',
      side: 'sell',
      price: '500',
      quantity: '10',
      displayQuantity: '2',
      postOnly: 'reject',
      selfTrade: 'decrement',
      selfTradeScope: 'firm',
    };
    expect((await venue.place(alice, iceberg)).body).toMatchObject({
      status: 'open',
      events: [{ visible: '2' }],
    });
    expect(
      (await venue.place(alice, { id: 'f2', type: 'stop-limit', price: '600', stopPrice: '550' })).body
        .status,
    ).toBe('waiting');
    expect((await venue.send('GET', '/v1/orders/f2', { key: alice })).body).toMatchObject({
      type: 'stop-limit',
      stopPrice: '550',
    });
    expect(
      (await venue.place(alice, { id: 'f3', price: '10', minQuantity: '0.5', tif: 'ioc' })).body.status,
    ).toBe('cancelled');
    expect(
      (await venue.place(alice, { id: 'f4', price: '10', tif: 'gtd', expiry: 4_102_444_800_000 })).body
        .status,
    ).toBe('open');
    const seen = await venue.send('GET', '/v1/orders/f4', { key: alice });
    expect(seen.body.expiry).toBe('4102444800000000000');
    expect((await venue.send('DELETE', '/v1/orders', { key: alice })).body.count).toBe(3);
  });
});

describe('market data', () => {
  test('the book in three levels of detail', async () => {
    const { alice } = venue;
    for (const [id, price, quantity] of [
      ['b1', '50', '1'],
      ['b2', '50', '2'],
      ['b3', '49.5', '4'],
    ] as const) {
      await venue.place(alice, { id, price, quantity });
    }
    const bids = async (query: string) => (await venue.send('GET', `/v1/book/BTC-USD${query}`)).body.bids;
    expect(await bids('?level=1')).toEqual([['50', '3', 2]]);
    expect(await bids('')).toEqual([
      ['50', '3', 2],
      ['49.5', '4', 1],
    ]);
    expect(await bids('?level=2&levels=1')).toEqual([['50', '3', 2]]);
    const orders = await venue.send('GET', '/v1/book/BTC-USD?level=3');
    expect(orders.body.bids[0]).toMatchObject({ price: '50', orders: [{ visible: '1' }, { visible: '2' }] });
    expect(orders.text).not.toContain('alice');
    expect(orders.body.position).toBe(Number(venue.position));
    for (const query of [
      '?level=4',
      '?level=x',
      '?levels=0',
      '?levels=1001',
      '?level=1&level=2',
      '?depth=3',
    ]) {
      expect((await venue.send('GET', `/v1/book/BTC-USD${query}`)).status, query).toBe(400);
    }
    expectRefusal(await venue.send('GET', '/v1/book/NONE'), 404, 'UNKNOWN_INSTRUMENT');
    await venue.send('DELETE', '/v1/orders', { key: alice });
  });

  test('instruments, health, accounts', async () => {
    const list = await venue.send('GET', '/v1/instruments');
    expect(list.body.instruments).toMatchObject([
      { instrument: 'BTC-USD', tickSize: '0.5', lotSize: '0.001', state: 'open' },
    ]);
    expect(list.body.assets).toEqual([
      { asset: 'BTC', decimals: 8 },
      { asset: 'USD', decimals: 8 },
    ]);
    expect((await venue.send('GET', '/v1/instruments/BTC-USD')).body.base).toBe('BTC');
    expect((await venue.send('HEAD', '/v1/instruments')).text).toBe('');
    const health = await venue.send('GET', '/v1/health');
    expect(health).toMatchObject({ status: 200, body: { status: 'ok', position: Number(venue.position) } });
    const me = await venue.send('GET', '/v1/accounts/me', { key: venue.reader });
    expect(me.body.account).toBe('alice');
    expect(me.body.balances.find(({ asset }: { asset: string }) => asset === 'USD')).toMatchObject({
      held: '0',
    });
  });

  test('metrics count what happened', async () => {
    expectRefusal(await venue.place(venue.alice, { id: 'x1', price: '100001' }), 422, 'PRICE_OUT_OF_BAND');
    const { text, headers } = await venue.send('GET', '/v1/metrics');
    expect(headers.get('content-type')).toContain('text/plain');
    expect(text).toMatch(/^verbex_rejects_total\{code="PRICE_OUT_OF_BAND"\} [1-9]/m);
    expect(text).toMatch(/^verbex_http_requests_total\{route="\/v1\/orders",status="201"\} \d+/m);
    expect(text).toMatch(new RegExp(`^verbex_position ${venue.position}$`, 'm'));
    for (const name of ['commands', 'events', 'trades', 'journal_bytes', 'snapshots'])
      expect(text).toMatch(new RegExp(`^verbex_${name}_total \\d`, 'm'));
    expect(text).toMatch(/^verbex_ws_clients 0$/m);
    expect(text).toMatch(/^verbex_http_faults_total 0$/m);
    expect(text).toContain('verbex_http_request_duration_seconds_bucket');
  });
});

describe('keys', () => {
  test('a request must be signed, fresh, new, and allowed', async () => {
    const { alice, reader } = venue;
    const order = { instrument: 'BTC-USD', id: 'k1', side: 'buy', price: '10', quantity: '1' };
    const before = venue.position;
    expectRefusal(await venue.send('POST', '/v1/orders', { body: order }), 401, 'UNSIGNED');
    expectRefusal(
      await venue.send('POST', '/v1/orders', { body: order, key: { ...alice, secret: 'b'.repeat(64) } }),
      401,
      'INVALID_SIGNATURE',
    );
    expectRefusal(
      await venue.send('POST', '/v1/orders', { body: order, key: { ...alice, key: 'nobody' } }),
      401,
      'INVALID_SIGNATURE',
    );
    expectRefusal(
      await venue.send('POST', '/v1/orders', { body: order, key: alice, timestamp: Date.now() - 31_000 }),
      401,
      'STALE_TIMESTAMP',
    );
    expectRefusal(
      await venue.send('POST', '/v1/orders', { body: order, key: reader }),
      403,
      'ROLE_NOT_ALLOWED',
    );
    expectRefusal(
      await venue.send('POST', '/v1/orders', { body: { ...order, account: 'bob' }, key: alice }),
      403,
      'ACCOUNT_NOT_ALLOWED',
    );
    expectRefusal(
      await venue.send('GET', '/v1/orders', { headers: { authorization: 'Bearer demo-visitor' } }),
      401,
      'INVALID_TOKEN',
    );
    const timestamp = Date.now() - 5000;
    expect((await venue.send('GET', '/v1/orders', { key: alice, timestamp })).status).toBe(200);
    expectRefusal(
      await venue.send('GET', '/v1/orders', { key: alice, timestamp }),
      401,
      'REPLAYED_SIGNATURE',
    );
    expect(venue.position).toBe(before);
  });

  test('a revoked key is none', async () => {
    const key = venue.edges.keys.create('alice', 'trade');
    expect((await venue.send('GET', '/v1/orders', { key })).status).toBe(200);
    expect((await venue.admin('DELETE', `/v1/keys/${key.key}`)).status).toBe(200);
    expectRefusal(await venue.send('GET', '/v1/orders', { key }), 401, 'INVALID_SIGNATURE');
  });
});

describe('bad requests', () => {
  test('have a code and never reach the core', async () => {
    const { alice } = venue;
    const before = venue.position;
    const good = { instrument: 'BTC-USD', id: 'bad', side: 'buy', price: '10', quantity: '1' };
    const post = (options: Parameters<Venue['send']>[2]) =>
      venue.send('POST', '/v1/orders', { key: alice, ...options });
    expectRefusal(await post({ raw: '{' }), 400, 'MALFORMED_JSON');
    expectRefusal(await post({ raw: '[]' }), 400, 'MALFORMED_JSON');
    expectRefusal(await post({ raw: 'null' }), 400, 'MALFORMED_JSON');
    expectRefusal(await post({ raw: '['.repeat(50_000) }), 400, 'MALFORMED_JSON');
    expectRefusal(await post({ raw: new Uint8Array([0x7b, 0xff, 0x7d]) }), 400, 'INVALID_UTF8');
    expectRefusal(await post({ raw: '' }), 400, 'MISSING_FIELD');
    expectRefusal(await post({ body: { ...good, price: 10 } }), 400, 'NUMBER_NOT_ALLOWED');
    expectRefusal(await post({ body: { ...good, quantity: 1e-3 } }), 400, 'NUMBER_NOT_ALLOWED');
    expectRefusal(await post({ body: { ...good, price: '10.25' } }), 400, 'EXCESS_PRECISION');
    expectRefusal(await post({ body: { ...good, price: '1e3' } }), 400, 'INVALID_FIELD');
    expectRefusal(await post({ body: { ...good, quantity: undefined } }), 400, 'MISSING_FIELD');
    expectRefusal(await post({ body: { ...good, colour: 'red' } }), 400, 'UNKNOWN_FIELD');
    expectRefusal(
      await post({ raw: `{"__proto__":{},${JSON.stringify(good).slice(1)}` }),
      400,
      'UNKNOWN_FIELD',
    );
    expectRefusal(await post({ body: { ...good, side: 'BUY' } }), 400, 'INVALID_FIELD');
    expectRefusal(await post({ body: { ...good, id: 'seventeen-letters' } }), 400, 'INVALID_FIELD');
    expectRefusal(await post({ body: { ...good, instrument: 'ETH-USD' } }), 404, 'UNKNOWN_INSTRUMENT_NAME');
    expectRefusal(await post({ body: { ...good, price: '9'.repeat(40) } }), 400, 'DECIMAL_OUT_OF_RANGE');
    expectRefusal(await venue.send('DELETE', '/v1/orders', { key: alice, body: {} }), 400, 'UNEXPECTED_BODY');
    expectRefusal(await venue.send('GET', '/v1/nothing'), 404, 'UNKNOWN_ROUTE');
    expectRefusal(await venue.send('GET', '/v1/book/'), 404, 'UNKNOWN_ROUTE');
    expectRefusal(await venue.send('POST', '/v1/book/BTC-USD'), 405, 'METHOD_NOT_ALLOWED');
    expectRefusal(await venue.send('GET', '/v1/book/%ZZ'), 400, 'INVALID_PATH');
    expectRefusal(await venue.send('GET', `/v1/book/${'x'.repeat(3000)}`), 414, 'TARGET_TOO_LONG');
    expectRefusal(await venue.send('DELETE', '/v1/orders/%00', { key: alice }), 400, 'INVALID_FIELD');
    expectRefusal(
      await post({ body: good, headers: { 'content-encoding': 'gzip' } }),
      415,
      'ENCODING_NOT_SUPPORTED',
    );
    expectRefusal(
      await post({ raw: JSON.stringify({ ...good, id: 'x'.repeat(70_000) }) }),
      413,
      'BODY_TOO_LARGE',
    );
    expect(venue.position).toBe(before);
  });

  test('oversized bodies are refused before they are sent, or as soon as they are too large', async () => {
    const head =
      'POST /v1/orders HTTP/1.1\r\nhost: x\r\nverbex-key: k\r\nverbex-signature: s\r\nverbex-timestamp: 1\r\n';
    const declared = await raw(`${head}content-length: 10000000000\r\n\r\n`);
    expect(declared).toMatch(/^HTTP\/1.1 413 [\s\S]*BODY_TOO_LARGE/);
    const waiting = await raw(`${head}content-length: 100000\r\nexpect: 100-continue\r\n\r\n`);
    expect(waiting).toMatch(/^HTTP\/1.1 413/);
    expect(waiting).not.toContain('100 Continue');
    const chunk = `10000\r\n${'x'.repeat(0x10000)}\r\n`;
    const chunked = await raw(`${head}transfer-encoding: chunked\r\n\r\n${chunk}1\r\nx\r\n`);
    expect(chunked).toMatch(/^HTTP\/1.1 413/);
  });

  test('what is not HTTP gets an answer too', async () => {
    expect(await raw('hello\r\n\r\n')).toMatch(/^HTTP\/1.1 400 [\s\S]*MALFORMED_REQUEST/);
    expect(await raw(`GET / HTTP/1.1\r\nhost: x\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`)).toMatch(
      /^HTTP\/1.1 431/,
    );
    expect(
      await raw(
        'POST /v1/orders HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n',
      ),
    ).toMatch(/^HTTP\/1.1 400/);
    expect(
      await raw('GET /v1/health HTTP/1.1\r\nhost: x\r\nexpect: miracles\r\nconnection: close\r\n\r\n'),
    ).toMatch(/^HTTP\/1.1 417/);
    expect(
      await raw('GET /other HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n'),
    ).toMatch(/^HTTP\/1.1 404/);
  });
});

describe('demo tokens', () => {
  const demoTokens = new Map([['demo-visitor', 'alice']]);
  const get = (other: Venue, token: string) =>
    other.send('GET', '/v1/orders', { headers: { authorization: `Bearer ${token}` } });

  test('stand for an account on loopback', async () => {
    const demo = await Venue.open({ demoTokens });
    try {
      expect((await get(demo, 'demo-visitor')).body).toMatchObject({ account: 'alice' });
      expectRefusal(await get(demo, 'demo-alice'), 401, 'INVALID_TOKEN');
      const asked = (host: string) =>
        new Promise<string>((resolve) => {
          const socket = connect(demo.edges.port, '127.0.0.1');
          socket.write(
            `GET /v1/orders HTTP/1.1\r\nhost: ${host}\r\nauthorization: Bearer demo-visitor\r\nconnection: close\r\n\r\n`,
          );
          let answer = '';
          socket.on('data', (part) => {
            answer += part;
          });
          socket.on('close', () => resolve(answer));
        });
      expect(await asked('localhost:8080')).toMatch(/^HTTP\/1.1 200/);
      expect(await asked('[::1]')).toMatch(/^HTTP\/1.1 200/);
      // A page in a browser that had its own name pointed at 127.0.0.1.
      expect(await asked('pages.example:8080')).toMatch(/^HTTP\/1.1 401/);
      expect(await asked('127.0.0.1.pages.example')).toMatch(/^HTTP\/1.1 401/);
    } finally {
      await demo.close();
    }
  });

  test('count nowhere else', async () => {
    const everywhere = await Venue.open({ demoTokens, host: '0.0.0.0' });
    expectRefusal(await get(everywhere, 'demo-visitor'), 401, 'INVALID_TOKEN');
    await everywhere.close();
    expectRefusal(await get(venue, 'demo-visitor'), 401, 'INVALID_TOKEN');
  });
});

test('slow senders are cut off, connections are limited', async () => {
  const slow = await Venue.open({
    httpLimits: { headersTimeoutMs: 300, requestTimeoutMs: 600, connectionsMax: 3, closeTimeoutMs: 500 },
  });
  try {
    const { port } = slow.edges;
    const trickle = (text: string): Promise<string> =>
      new Promise((resolve) => {
        const socket = connect(port, '127.0.0.1', () => socket.write(text));
        let answer = '';
        const timer = setInterval(() => socket.write(text.includes('\r\n\r\n') ? '{' : 'x: y\r\n'), 50);
        socket.on('data', (part) => {
          answer += part;
        });
        socket.on('error', () => undefined);
        socket.on('close', () => {
          clearInterval(timer);
          resolve(answer);
        });
      });
    const [headers, body] = await Promise.all([
      trickle('GET /v1/health HTTP/1.1\r\n'),
      trickle(
        'POST /v1/orders HTTP/1.1\r\nhost: x\r\nverbex-key: k\r\nverbex-signature: s\r\ncontent-length: 1000\r\n\r\n',
      ),
    ]);
    expect(headers).toMatch(/408/);
    expect(body).toMatch(/408|^$/);
    const idle = await Promise.all(
      [1, 2, 3].map(
        () =>
          new Promise<ReturnType<typeof connect>>((resolve) => {
            const socket = connect(port, '127.0.0.1', () => resolve(socket));
          }),
      ),
    );
    const refused = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1');
      socket.on('error', () => undefined);
      socket.on('close', () => resolve(true));
      setTimeout(() => resolve(false), 1000);
    });
    expect(refused).toBe(true);
    for (const socket of idle) socket.destroy();
  } finally {
    await slow.close();
  }
});
