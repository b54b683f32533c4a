import { connect as connectPlain, createServer, type Socket } from 'node:net';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:tls';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SoupClient, type SoupOptions } from '../../src/clients/soup-client.ts';
import { FrameReader, frame, loginFrame, packets, readLoginAccepted } from '../../src/clients/soup-codec.ts';
import { certificate } from './certificate.ts';
import { FakeGateway, type FakeOptions, until } from './fake-gateway.ts';

const quick = { firstMs: 1, mostMs: 5 };

/** A client that keeps what came. */
async function session(gateway: { address: string }, options: Partial<SoupOptions> = {}) {
  const got: string[] = [];
  const numbers: number[] = [];
  const news: string[] = [];
  const client = await SoupClient.connect(
    { address: gateway.address, user: 'ann', password: 'secret', reconnect: quick, ...options },
    {
      message: (payload, sequence) => {
        got.push(payload.toString());
        numbers.push(sequence);
      },
      loggedIn: ({ session: name, sequence, resumed }) => news.push(`${name} ${sequence} ${resumed}`),
      disconnected: (error) => news.push(error.code),
    },
  );
  return { client, got, numbers, news };
}

const message = (text: string): Buffer => Buffer.from(text);
const refused = (gateway: { address: string }, options: Partial<SoupOptions> = {}) =>
  session(gateway, options).then(
    () => 'it was let in',
    (error) => error.code,
  );

describe('frames', () => {
  const sizes = fc.array(fc.uint8Array({ maxLength: 600 }), { minLength: 1, maxLength: 20 });

  test('come out as they went in, however the bytes are cut', () => {
    fc.assert(
      fc.property(sizes, fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1 }), (payloads, cuts) => {
        const bytes = Buffer.concat(payloads.map((payload) => frame(packets.sequenced, payload)));
        const reader = new FrameReader();
        const got: Buffer[] = [];
        for (let at = 0, cut = 0; at < bytes.length; cut++) {
          const next = at + cuts[cut % cuts.length]!;
          expect(
            reader.read(bytes.subarray(at, next), (_, payload) => got.push(Buffer.from(payload)) > 0),
          ).toBe(true);
          at = next;
        }
        expect(got).toEqual(payloads.map((payload) => Buffer.from(payload)));
      }),
    );
  });

  test('of length 0, or longer than is allowed, are refused at their first two bytes', () => {
    const sink = () => true;
    expect(new FrameReader().read(Buffer.from([0, 0]), sink)).toBe(false);
    expect(new FrameReader(100).read(Buffer.from([0, 102]), sink)).toBe(false);
    expect(new FrameReader(100).read(Buffer.from([0, 101]), sink)).toBe(true);
    const reader = new FrameReader(100);
    expect(reader.read(Buffer.from([0]), sink)).toBe(true);
    expect(reader.read(Buffer.from([102]), sink)).toBe(false);
  });

  test('a login has the columns of the specification', () => {
    const bytes = loginFrame({ user: 'ann', password: 'secret', session: 'DAY1', sequence: 17 });
    expect(bytes.toString('latin1')).toBe(
      `\0\x2fLann   secret    ${'DAY1'.padStart(10)}${'17'.padStart(20)}`,
    );
    expect(() => loginFrame({ user: 'too long', password: '', session: '', sequence: 1 })).toThrow('user');
    expect(() => loginFrame({ user: 'é', password: '', session: '', sequence: 1 })).toThrow('user');
    try {
      loginFrame({ user: '', password: 'much too long', session: '', sequence: 1 });
      expect.unreachable();
    } catch (error) {
      expect(String(error)).not.toContain('much too');
    }
  });

  test('an answer that is none is none', () => {
    const answer = (sequence: string) => readLoginAccepted(message(`      DAY1${sequence.padStart(20)}`));
    expect(answer('12')).toEqual({ session: 'DAY1', sequence: 12 });
    for (const wrong of ['', '-1', '1e3', '0x10', '99999999999999999999'])
      expect(answer(wrong)).toBeUndefined();
    expect(readLoginAccepted(message('short'))).toBeUndefined();
  });
});

describe('a session', () => {
  test.each([0, 1, 2, 3, 7])(
    'hands messages on with their numbers; writes cut at every %i bytes',
    async (splitAt) => {
      await using gateway = await FakeGateway.open({ splitAt });
      gateway.send(message('one'), message(''), message('three'));
      const { client, got, numbers, news } = await session(gateway);
      await using _ = client;
      gateway.send(message('four'));
      await until(() => got.length === 4);
      expect(got).toEqual(['one', '', 'three', 'four']);
      expect(numbers).toEqual([1, 2, 3, 4]);
      expect(news).toEqual(['DAY1 1 false']);
      expect([client.session, client.nextSequence]).toEqual(['DAY1', 5]);
    },
  );

  test('begins where it is asked to', async () => {
    await using gateway = await FakeGateway.open();
    gateway.send(message('one'), message('two'));
    const second = await session(gateway, { session: 'DAY1', sequence: 2 });
    await until(() => second.got.length === 1);
    expect(second.numbers).toEqual([2]);
    const fresh = await session(gateway, { sequence: 0 });
    expect(fresh.client.nextSequence).toBe(3);
    await Promise.all([second.client.close(), fresh.client.close()]);
  });

  test('sends what it is given, in order, in one write a tick', async () => {
    await using gateway = await FakeGateway.open();
    const { client } = await session(gateway);
    const texts = Array.from({ length: 500 }, (_, index) => `${index}${'x'.repeat(index)}`);
    for (const text of texts) expect(client.send(message(text))).toBe(true);
    expect(client.bufferedBytes).toBeGreaterThan(100_000);
    await client.drained();
    expect(client.bufferedBytes).toBe(0);
    await until(() => gateway.received.length === 500);
    expect(gateway.received.map(String)).toEqual(texts);
    await client.close();
    expect(gateway.logouts).toBe(1);
    expect(client.send(message('late'))).toBe(false);
    expect(await client.ended).toEqual({ reason: 'logout' });
  });

  test('what is given just before close() is sent', async () => {
    await using gateway = await FakeGateway.open();
    const { client } = await session(gateway);
    client.send(message('last'));
    await client.close();
    expect(gateway.received.map(String)).toEqual(['last']);
  });

  test('goes on after a lost connection with exactly what it missed', async () => {
    await using gateway = await FakeGateway.open({ splitAt: 5 });
    const { client, got, numbers, news } = await session(gateway);
    for (let round = 0; round < 5; round++) {
      gateway.send(message(`a${round}`), message(`b${round}`));
      if (round % 2 === 0) await until(() => got.length === gateway.sent.length);
      gateway.cut();
      gateway.send(message(`c${round}`));
      await until(() => got.length === gateway.sent.length);
    }
    expect(got).toEqual(gateway.sent.map(String));
    expect(numbers).toEqual(got.map((_, index) => index + 1));
    expect(news.filter((one) => one === 'GATEWAY_DISCONNECTED')).toHaveLength(5);
    expect(gateway.logins[1]).toMatchObject({ session: 'DAY1', sequence: expect.any(Number) });
    await client.close();
  });

  test('nothing is kept to be sent while there is no connection', async () => {
    await using gateway = await FakeGateway.open();
    const { client, news } = await session(gateway);
    gateway.cut();
    await until(() => news.includes('GATEWAY_DISCONNECTED'));
    if (!client.connected) expect(client.send(message('lost'))).toBe(false);
    await until(() => client.connected);
    client.send(message('kept'));
    await until(() => gateway.received.length > 0);
    expect(gateway.received.map(String)).toEqual(['kept']);
    await client.close();
  });

  test('heartbeats go out where nothing else does, and silence is a lost connection', async () => {
    await using gateway = await FakeGateway.open();
    const { client, news } = await session(gateway, { heartbeatMs: 5, silenceMs: 60 });
    await until(() => gateway.heartbeats >= 3);
    await until(() => news.includes('GATEWAY_TIMED_OUT'));
    await client.close();
  });

  test('the other side’s heartbeats and debug packets are no messages', async () => {
    await using gateway = await FakeGateway.open();
    const { client, got } = await session(gateway);
    gateway.packet('H');
    gateway.packet('+', 'hello');
    gateway.send(message('one'));
    await until(() => got.length === 1);
    expect(got).toEqual(['one']);
    await client.close();
  });

  test('ends with the session', async () => {
    await using gateway = await FakeGateway.open();
    const { client } = await session(gateway);
    gateway.packet('Z');
    expect(await client.ended).toEqual({ reason: 'end-of-session' });
    expect(client.connected).toBe(false);
    await client.close();
  });

  test('a paused one takes nothing until it goes on', async () => {
    await using gateway = await FakeGateway.open();
    const { client, got } = await session(gateway);
    client.pause();
    gateway.send(message('one'));
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(got).toEqual([]);
    client.resume();
    await until(() => got.length === 1);
    await client.close();
  });

  test('a handler that throws ends the client', async () => {
    await using gateway = await FakeGateway.open();
    const thrown = new Promise((resolve) => process.once('uncaughtException', resolve));
    const others = process
      .listeners('uncaughtException')
      .filter((one) => !String(one).includes('native code'));
    for (const other of others) process.off('uncaughtException', other);
    const client = await SoupClient.connect(
      { address: gateway.address, user: 'ann', password: 'secret' },
      {
        message: () => {
          throw new Error('a fault');
        },
      },
    );
    gateway.send(message('one'));
    expect(String(await thrown)).toContain('a fault');
    for (const other of others) process.on('uncaughtException', other);
    expect((await client.ended).error?.code).toBe('GATEWAY_CLOSED');
  });
});

describe('refusals', () => {
  test('each has its code', async () => {
    await using gateway = await FakeGateway.open();
    expect(await refused(gateway, { password: 'wrong' })).toBe('GATEWAY_LOGIN_REJECTED');
    expect(await refused(gateway, { session: 'DAY0' })).toBe('GATEWAY_SESSION_NOT_AVAILABLE');
    expect(await refused(gateway, { sequence: 5 })).toBe('GATEWAY_SESSION_NOT_AVAILABLE');
    gateway.answers = false;
    expect(await refused(gateway, { loginTimeoutMs: 20 })).toBe('GATEWAY_TIMED_OUT');
    expect(await refused({ address: 'nonsense' })).toBe('INVALID_OPTION');
    expect(await refused({ address: '127.0.0.1:99999' })).toBe('INVALID_OPTION');
    expect(await refused(gateway, { user: 'somebody' })).toBe('INVALID_OPTION');
    expect(await refused(gateway, { heartbeatMs: 0 })).toBe('INVALID_OPTION');
    const closed = await FakeGateway.open();
    const { address } = closed;
    await closed[Symbol.asyncDispose]();
    expect(await refused({ address })).toBe('GATEWAY_UNREACHABLE');
  });

  test('bytes of no protocol, and packets out of place, end the connection', async () => {
    for (const bytes of ['\0\0', '\0\x01L', '\0\x01A']) {
      await using gateway = await FakeGateway.open();
      const { client } = await session(gateway, { reconnect: false });
      gateway.raw(message(bytes));
      expect((await client.ended).error?.code).toBe('GATEWAY_PROTOCOL');
    }
    const nonsense = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.write('\0\x01S');
    });
    await new Promise<void>((resolve) => nonsense.listen(0, '127.0.0.1', resolve));
    const { port } = nonsense.address() as { port: number };
    expect(await refused({ address: `127.0.0.1:${port}` })).toBe('GATEWAY_PROTOCOL');
    nonsense.close();
  });

  test('a session that goes on elsewhere is not taken for the same', async () => {
    const options: { -readonly [Key in keyof FakeOptions]: FakeOptions[Key] } = {};
    await using gateway = await FakeGateway.open(options);
    const { client } = await session(gateway);
    options.session = 'DAY2';
    gateway.cut();
    expect((await client.ended).error?.code).toBe('GATEWAY_SESSION_NOT_AVAILABLE');
  });

  test('after so many attempts it is over', async () => {
    const gateway = await FakeGateway.open();
    const { client } = await session(gateway, { reconnect: { ...quick, attemptsMax: 3 } });
    await gateway[Symbol.asyncDispose]();
    expect((await client.ended).error?.code).toBe('GATEWAY_UNREACHABLE');
  });

  test('without reconnecting a lost connection is the end', async () => {
    await using gateway = await FakeGateway.open();
    const { client } = await session(gateway, { reconnect: false });
    gateway.cut();
    expect((await client.ended).error?.code).toBe('GATEWAY_DISCONNECTED');
  });
});

describe('TLS', () => {
  /** Ends TLS in front of a plain port, as a proxy on the gateway's machine does. */
  async function proxy(port: number): Promise<TlsServer> {
    const server = createTlsServer({ ...certificate }, (inside) => {
      const outside: Socket = connectPlain(port, '127.0.0.1');
      inside.pipe(outside).pipe(inside);
      inside.on('error', () => outside.destroy());
      outside.on('error', () => inside.destroy());
    });
    server.on('tlsClientError', () => undefined);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return server;
  }

  test('a session through a proxy that ends TLS', async () => {
    await using gateway = await FakeGateway.open();
    const server = await proxy(gateway.port);
    const { port } = server.address() as { port: number };
    const address = `127.0.0.1:${port}`;
    gateway.send(message('one'));
    const { client, got } = await session(
      { address },
      { tls: { ca: certificate.cert, servername: 'localhost' } },
    );
    client.send(message('hello'));
    await until(() => got.length === 1 && gateway.received.length === 1);
    gateway.cut();
    gateway.send(message('two'));
    await until(() => got.length === 2);
    await client.close();
    // Nobody vouches for the certificate; and plain bytes into a TLS port.
    expect(await refused({ address }, { tls: true })).toBe('GATEWAY_UNREACHABLE');
    expect(await refused({ address }, { loginTimeoutMs: 500 })).toMatch(
      /GATEWAY_(UNREACHABLE|PROTOCOL|TIMED_OUT)/,
    );
    server.close();
  });
});
