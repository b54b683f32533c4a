import { describe, expect, test } from 'vitest';
import { OuchClient, type OuchClientOptions } from '../../src/clients/ouch-client.ts';
import { type OuchMessage, readOuchRequest, writeOuch } from '../../src/clients/ouch-codec.ts';
import { FakeGateway, until } from './fake-gateway.ts';

const order = { side: 'buy', symbol: 'BTC-USD', quantity: 10, price: 100 } as const;

/** A gateway with the rules of UserRefNums, and orders that rest. */
class OrderEntry {
  next = 1;
  readonly orders = new Map<number, number>();
  /** Takes what comes, and loses it. */
  deaf = false;
  /** What it has done, each once. */
  readonly done: string[] = [];

  received(bytes: Buffer, gateway: FakeGateway): void {
    const request = readOuchRequest(bytes);
    if (request === undefined) throw new Error(`no request: ${bytes.toString('hex')}`);
    if (this.deaf) return;
    const say = (message: OuchMessage): void => gateway.send(writeOuch(message));
    const timeNs = 1;
    if (request.type === 'account-query') {
      say({ type: 'account-answer', timeNs, nextUserRefNum: this.next });
      return;
    }
    const { userRefNum } = request;
    if (request.type === 'cancel' || request.type === 'modify') {
      const open = this.orders.get(userRefNum);
      if (open === undefined || request.quantity >= open)
        say({ type: 'cancel-rejected', timeNs, userRefNum });
      else if (request.type === 'modify')
        say({ type: 'modified', timeNs, userRefNum, side: request.side, quantity: request.quantity });
      else say({ type: 'canceled', timeNs, userRefNum, quantity: open - request.quantity, reason: 'U' });
      if (open === undefined || request.quantity >= open) return;
      if (request.quantity === 0) this.orders.delete(userRefNum);
      else this.orders.set(userRefNum, request.quantity);
      return;
    }
    if (userRefNum < this.next) return;
    this.next = userRefNum + 1;
    this.done.push(`${request.type} ${userRefNum}`);
    if (request.type === 'enter' && request.symbol !== 'BTC-USD') {
      say({ type: 'rejected', timeNs, userRefNum, reason: 0x17, clOrdId: request.clOrdId });
    } else if (request.type === 'enter') {
      this.orders.set(userRefNum, request.quantity);
      const { type: _, options: __, ...fields } = request;
      say({ type: 'accepted', timeNs, ...fields, orderReference: 7n, state: 'L' });
    } else if (request.type === 'replace') {
      this.orders.delete(request.origUserRefNum);
      this.orders.set(userRefNum, request.quantity);
      const { type: _, ...fields } = request;
      const more = {
        side: 'B',
        symbol: 'BTC-USD',
        capacity: 'P',
        crossType: 'N',
        orderReference: 8n,
        state: 'L',
      };
      say({ type: 'replaced', timeNs, ...fields, ...more });
    } else if (request.type === 'mass-cancel') {
      for (const [open, quantity] of this.orders)
        say({ type: 'canceled', timeNs, userRefNum: open, quantity, reason: 'U' });
      this.orders.clear();
      say({ type: 'mass-canceled', timeNs, userRefNum, firm: '', symbol: request.symbol });
    } else {
      say({ type: request.type === 'disable' ? 'disabled' : 'enabled', timeNs, userRefNum, firm: '' });
    }
  }
}

async function opened(options: Partial<OuchClientOptions> = {}, splitAt = 0) {
  const entry = new OrderEntry();
  const gateway = await FakeGateway.open({ splitAt, received: (bytes, one) => entry.received(bytes, one) });
  const connect = (more: Partial<OuchClientOptions> = {}) =>
    OuchClient.connect({
      address: gateway.address,
      user: 'ann',
      password: 'secret',
      reconnect: { firstMs: 1, mostMs: 5 },
      ...options,
      ...more,
    });
  return { entry, gateway, connect, client: await connect() };
}

describe('requests', () => {
  test.each([0, 1, 17])(
    'are answered by what the gateway says; writes cut at every %i bytes',
    async (splitAt) => {
      const { gateway, client } = await opened({}, splitAt);
      await using _gateway = gateway;
      await using _client = client;
      const asked = client.enter({ ...order, clOrdId: 'mine', options: { postOnly: 'P', minQuantity: 1 } });
      expect(asked.userRefNum).toBe(1);
      expect(await asked).toMatchObject({ type: 'accepted', userRefNum: 1, quantity: 10, clOrdId: 'mine' });
      expect(readOuchRequest(gateway.received.at(-1)!)).toMatchObject({
        options: { postOnly: 'P', minQuantity: 1 },
      });
      expect(await client.modify(1, 8)).toMatchObject({ type: 'modified', quantity: 8 });
      expect(await client.cancel(1, 5)).toMatchObject({ type: 'canceled', quantity: 3 });
      expect(await client.replace(1, { quantity: 20, price: 101 })).toMatchObject({
        origUserRefNum: 1,
        userRefNum: 2,
      });
      expect(await client.cancel(2)).toMatchObject({ type: 'canceled', quantity: 20, reason: 'U' });
      await expect(client.cancel(2)).rejects.toMatchObject({ code: 'CANCEL_REJECTED' });
      await expect(client.enter({ ...order, symbol: 'NONE' })).rejects.toMatchObject({
        code: 'ORDER_REJECTED',
        details: { userRefNum: 3, reason: 0x17 },
      });
      expect(await client.enter({ side: 'sell', symbol: 'BTC-USD', quantity: 1 })).toMatchObject({
        timeInForce: '3',
        price: 0x7fffffff,
        side: 'S',
      });
      expect(await client.massCancel()).toMatchObject({ type: 'mass-canceled', userRefNum: 5 });
      expect((await client.disableEntry()).type).toBe('disabled');
      expect((await client.enableEntry()).type).toBe('enabled');
      expect((await client.accountQuery()).nextUserRefNum).toBe(8);
      expect([client.nextUserRefNum, client.pending]).toEqual([8, 0]);
    },
  );

  test('decimals where the terms are known, whole units otherwise', async () => {
    const instruments = { 'BTC-USD': { tickSize: '0.01', lotSize: '0.001' } };
    const { gateway, client } = await opened({ instruments });
    await using _gateway = gateway;
    await using _client = client;
    const accepted = await client.enter({ ...order, price: '236.47', quantity: '1.5' });
    expect([accepted.price, accepted.quantity]).toEqual([23647, 1500]);
    expect(client.units.priceText('BTC-USD', accepted.price)).toBe('236.47');
    expect(() => client.enter({ ...order, price: '236.471' })).toThrow('multiple');
    expect(() => client.enter({ ...order, symbol: 'ETH-USD', price: '1' })).toThrow('terms');
    expect(() => client.enter({ ...order, price: 1.5 })).toThrow('price');
    expect(() => client.enter({ ...order, quantity: 2 ** 32 })).toThrow('quantity');
    // What was refused here has taken no number.
    expect((await client.enter({ ...order, price: 7n })).userRefNum).toBe(2);
  });

  test('numbers go on where the session is', async () => {
    const { gateway, client, connect } = await opened();
    await using _gateway = gateway;
    await client.enter(order);
    await client.enter(order);
    await client.close();
    await using again = await connect();
    expect((await again.enter(order)).userRefNum).toBe(3);
  });
});

describe('a session with a history', () => {
  test('that comes in many pieces is read before connect() resolves, and no old number is used', async () => {
    const { gateway, client, connect } = await opened();
    await using _gateway = gateway;
    // More than a socket hands over at a time, with an older answer about the next number in the middle.
    const many = (one: OuchClient) =>
      Promise.all(Array.from({ length: 2000 }, (_, index) => one.enter({ ...order, price: 1 + index })));
    await many(client);
    await client.close();
    const second = await connect();
    await many(second);
    await second.close();
    const heard: number[] = [];
    await using again = await connect({ onMessage: (_, sequence) => heard.push(sequence) });
    expect(heard).toEqual(Array.from(gateway.sent, (_, index) => index + 1));
    expect(again.nextUserRefNum).toBe(4001);
    expect(await again.enter({ ...order, price: 77 })).toMatchObject({ userRefNum: 4001, price: 77 });
  });

  test.each([
    ['nothing that was before', 0, 'account-answer'],
    ['from a message on', 2, 'accepted'],
  ])('is read as it is asked for: %s', async (_, sequence, first) => {
    const { gateway, client, connect } = await opened();
    await using _gateway = gateway;
    await client.enter(order);
    await client.enter(order);
    await client.close();
    const heard: string[] = [];
    await using again = await connect({ sequence, onMessage: ({ type }) => heard.push(type) });
    expect(heard[0]).toBe(first);
    expect(heard).toHaveLength(gateway.sent.length - (sequence === 0 ? 3 : 1));
    expect((await again.enter(order)).userRefNum).toBe(3);
  });

  test('whose connection ends before all of it came is read on', async () => {
    const { gateway, client, connect } = await opened();
    await using _gateway = gateway;
    await Promise.all(Array.from({ length: 500 }, () => client.enter(order)));
    await client.close();
    const heard: number[] = [];
    await using again = await connect({
      onMessage: (_, sequence) => {
        if (sequence === 100) gateway.cut();
        heard.push(sequence);
      },
    });
    expect(heard).toEqual(Array.from(gateway.sent, (_, index) => index + 1));
    expect((await again.enter(order)).userRefNum).toBe(501);
  });

  test('a login that takes the session over is the only one that stays', async () => {
    const { gateway, client } = await opened();
    await using _gateway = gateway;
    await until(() => gateway.connections === 1);
    await client.close();
    await until(() => gateway.connections === 0);
  });
});

describe('a lost connection', () => {
  test('every request is done once, and answered', async () => {
    const { gateway, entry, client } = await opened();
    await using _gateway = gateway;
    await using _client = client;
    const answers: Promise<unknown>[] = [];
    for (let round = 0; round < 20; round++) {
      answers.push(client.enter(order), client.enter(order));
      if (round % 3 === 0) await client.drained();
      if (round % 4 === 1) entry.deaf = true;
      await new Promise((resolve) => setTimeout(resolve, round % 3));
      gateway.cut();
      answers.push(client.enter(order));
      entry.deaf = false;
      if (round % 2 === 0) await until(() => client.connected);
    }
    const all = (await Promise.all(answers)) as { userRefNum: number }[];
    expect(all.map(({ userRefNum }) => userRefNum)).toEqual(
      Array.from({ length: 60 }, (_, index) => index + 1),
    );
    expect(entry.done).toEqual(all.map(({ userRefNum }) => `enter ${userRefNum}`));
    expect(client.pending).toBe(0);
  });

  test('a cancel is sent again too', async () => {
    const { gateway, entry, client } = await opened();
    await using _gateway = gateway;
    await using _client = client;
    await client.enter(order);
    entry.deaf = true;
    const cancelled = client.cancel(1);
    const before = gateway.received.length;
    await until(() => gateway.received.length > before);
    entry.deaf = false;
    gateway.cut();
    expect((await cancelled).type).toBe('canceled');
  });

  test('whoever waits at the end hears of it', async () => {
    const { gateway, entry, client } = await opened({ reconnect: false });
    await using _gateway = gateway;
    entry.deaf = true;
    const waiting = client.enter(order);
    gateway.cut();
    await expect(waiting).rejects.toMatchObject({ code: 'GATEWAY_DISCONNECTED' });
    await expect(client.enter(order)).rejects.toMatchObject({ code: 'GATEWAY_DISCONNECTED' });
    expect((await client.ended).reason).toBe('failed');
  });
});

describe('messages', () => {
  test('can be iterated over, from the moment on', async () => {
    const { gateway, client } = await opened();
    await using _gateway = gateway;
    const messages = client.messages();
    const heard: number[] = [];
    client.on('message', (_, sequence) => heard.push(sequence));
    for (let index = 0; index < 5; index++) await client.enter(order);
    const types: string[] = [];
    for await (const message of messages) if (types.push(message.type) === 5) break;
    expect(types).toEqual(Array(5).fill('accepted'));
    expect(heard).toEqual([2, 3, 4, 5, 6]);
    const late = client.messages();
    await client.close();
    expect(await late.next()).toEqual({ done: true, value: undefined });
  });

  test('a slow reader makes reading pause, and loses nothing', async () => {
    const { gateway, client } = await opened({ queueMax: 10 });
    await using _gateway = gateway;
    await using _client = client;
    const messages = client.messages();
    for (let index = 0; index < 2000; index++) void client.enter(order);
    for (let index = 1; index <= 2000; index++) {
      const { value } = await messages.next();
      expect(value).toMatchObject({ type: 'accepted', userRefNum: index });
    }
  });

  test('those of before connect() come to onMessage', async () => {
    const { gateway, client } = await opened();
    await using _gateway = gateway;
    await client.enter(order);
    await client.close();
    const heard: string[] = [];
    const again = await OuchClient.connect({
      address: gateway.address,
      user: 'ann',
      password: 'secret',
      onMessage: (message, sequence) => heard.push(`${sequence} ${message.type}`),
    });
    expect(heard).toEqual(['1 account-answer', '2 accepted', '3 account-answer']);
    await again.close();
  });

  test('bytes that are no message are the end', async () => {
    const { gateway, client } = await opened();
    await using _gateway = gateway;
    const waiting = client.enter({ ...order });
    gateway.send(Buffer.from('nonsense'));
    await Promise.allSettled([waiting]);
    await until(() => !client.connected);
    await expect(client.enter(order)).rejects.toMatchObject({ code: 'GATEWAY_PROTOCOL' });
    await client.close();
  });
});
