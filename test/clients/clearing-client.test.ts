// ClearingClient against a gateway of a few lines: answers find their requests, pages are put together, and what had no
// answer is sent again after a reconnect.
import { expect, test } from 'vitest';
import { ClearingClient } from '../../src/clients/clearing-client.ts';
import {
  type ClearingMessage,
  type ClearingRequest,
  readClearingRequest,
  writeClearingAnswer,
} from '../../src/clients/clearing-codec.ts';
import { FakeGateway, until } from './fake-gateway.ts';

/** Answers as a clearing gateway would: by reference, once. */
class Clearing {
  readonly taken: ClearingRequest[] = [];
  last = 0;
  silent = false;
  rowsPerPage = 2;
  gateway!: FakeGateway;

  static async open(last = 0): Promise<Clearing> {
    const clearing = new Clearing();
    clearing.last = last;
    clearing.gateway = await FakeGateway.open({
      splitAt: 7,
      received: (bytes) => clearing.#take(bytes),
    });
    return clearing;
  }

  send(message: ClearingMessage): void {
    this.gateway.send(writeClearingAnswer(message));
  }

  answer(request: ClearingRequest): void {
    if (request.type === 'reference-query') {
      this.send({ type: 'reference-answer', time: 1n, tag: request.tag, lastReference: this.last });
      return;
    }
    const { reference } = request;
    const row = { time: 1n, reference };
    if (request.type === 'query') {
      const all = [1n, 2n, 3n, 4n, 5n].filter((key) => key > request.after);
      const page = all.slice(0, this.rowsPerPage);
      const { kind, account } = request;
      this.send({ type: 'answer-begin', ...row, kind, account, position: 9n, rows: page.length });
      for (const key of page) this.send({ type: 'balance', ...row, asset: `A${key}`, total: key, held: 0n });
      const next = all.length > page.length ? page.at(-1)! : 0n;
      this.send({ type: 'answer-end', ...row, position: 9n, openOrders: 4, next });
    } else if (request.account === 'other') {
      const text = 'NOT_BELOW_YOUR_ACCOUNT';
      this.send({ type: 'rejected', ...row, request: 'D', position: 0n, reason: 1001, text });
    } else {
      const { account } = request;
      const done = { request: 'D', position: 5n, duplicate: 0, account, subject: 'USD', value: 7n };
      this.send({ type: 'acknowledged', ...row, ...done });
    }
  }

  #take(bytes: Buffer): void {
    const request = readClearingRequest(bytes);
    if (request === undefined) throw new Error('no request of the protocol');
    if (request.type !== 'reference-query') {
      if (request.reference <= this.last) return;
      this.last = request.reference;
    }
    this.taken.push(request);
    if (!this.silent) this.answer(request);
  }
}

const login = (clearing: Clearing) => ({
  address: clearing.gateway.address,
  user: 'ann',
  password: 'secret',
  reconnect: { firstMs: 5 },
});
const money = (account: string, transaction: string) => ({ account, asset: 'USD', transaction, amount: 5n });

test('answers find their requests, whether they say yes or no', async () => {
  const clearing = await Clearing.open(41);
  await using _gateway = clearing.gateway;
  await using client = await ClearingClient.connect(login(clearing));
  const [yes, no] = await Promise.all([
    client.deposit(money('acme', 't-1')),
    client.withdraw(money('other', 't-2')),
  ]);
  expect(yes).toMatchObject({ type: 'acknowledged', reference: 42, value: 7n, position: 5n });
  expect(no).toMatchObject({ type: 'rejected', reference: 43, reason: 1001, text: 'NOT_BELOW_YOUR_ACCOUNT' });
});

test('requests say what was asked', async () => {
  const clearing = await Clearing.open();
  await using _gateway = clearing.gateway;
  await using client = await ClearingClient.connect(login(clearing));
  await client.transfer({ ...money('acme', 't-1'), receiver: 'bolt' });
  await client.setLimit({ account: 'acme', kind: 'position', subject: 'BTC-USD', limit: null });
  await client.setLimit({ account: 'acme', kind: 'openOrders', limit: 5n });
  await client.setRights({ account: 'acme', orderTypes: 2, instruments: 'deny' });
  await client.setInstrumentRight({ account: 'acme', instrument: 'BTC-USD', right: 'default' });
  await client.killSwitch('acme', 'on');
  await client.killSwitch('acme', 'off');
  await client.massCancel({ account: 'acme', side: 'sell' });
  const asked = clearing.taken.slice(1);
  expect(asked.map((request) => request.type)).toEqual(
    'transfer set-limit set-limit set-rights set-instrument-right kill-switch kill-switch mass-cancel'.split(
      ' ',
    ),
  );
  expect(asked[0]).toMatchObject({ receiver: 'bolt', reference: 1 });
  expect(asked[1]).toMatchObject({ kind: 5, subject: 'BTC-USD', limit: -1n });
  expect(asked[2]).toMatchObject({ kind: 3, subject: '', limit: 5n });
  expect(asked[3]).toMatchObject({ orderTypes: 2, instrumentDefault: 2 });
  expect(asked[4]).toMatchObject({ right: 0 });
  expect(asked.slice(5, 7)).toMatchObject([{ state: 1 }, { state: 2 }]);
  expect(asked[7]).toMatchObject({ instrument: '', side: 2 });
  await expect(client.deposit(money('an account', 't'))).rejects.toMatchObject({ code: 'INVALID_OPTION' });
  // What could not be written has used no reference.
  expect(await client.deposit(money('acme', 't-9'))).toMatchObject({ reference: 9 });
});

test('pages of an answer are put together, whatever is pushed between them', async () => {
  const clearing = await Clearing.open();
  await using _gateway = clearing.gateway;
  const heard: ClearingMessage[] = [];
  const options = { ...login(clearing), onMessage: (message: ClearingMessage) => void heard.push(message) };
  await using client = await ClearingClient.connect(options);
  const answer = await client.query('acme', 'statement');
  expect(answer).toMatchObject({ type: 'answer', account: 'acme', position: 9n, openOrders: 4 });
  expect(answer.type === 'answer' && answer.rows.map((row) => 'asset' in row && row.asset)).toEqual([
    ...['A1', 'A2', 'A3', 'A4', 'A5'],
  ]);
  expect(clearing.taken.slice(1)).toMatchObject([{ after: 0n }, { after: 2n }, { after: 4n }]);
  clearing.send({
    ...{
      type: 'kill-switch-set',
      time: 1n,
      position: 10n,
      index: 0,
      account: 'acme',
      state: 1,
      cancelled: 3n,
    },
  });
  await until(() => heard.at(-1)?.type === 'kill-switch-set');
});

test('what has no answer is sent again after a reconnect, and done once', async () => {
  const clearing = await Clearing.open();
  await using _gateway = clearing.gateway;
  const sequences: number[] = [];
  const options = {
    ...login(clearing),
    onMessage: (_: ClearingMessage, sequence: number) => void sequences.push(sequence),
  };
  await using client = await ClearingClient.connect(options);
  clearing.silent = true;
  const first = client.deposit(money('acme', 't-1'));
  await until(() => clearing.taken.length === 2);
  clearing.gateway.cut();
  // Taken before the connection was lost: the answer is in the stream. Asked while there is none: sent once there is.
  const second = client.deposit(money('acme', 't-2'));
  clearing.silent = false;
  clearing.answer(clearing.taken[1]!);
  expect(await first).toMatchObject({ reference: 1 });
  expect(await second).toMatchObject({ reference: 2 });
  expect(clearing.taken.map((request) => request.type)).toEqual(['reference-query', 'deposit', 'deposit']);
  expect(sequences).toEqual([1, 2, 3]);
});

test('the end of a session ends what waits', async () => {
  const clearing = await Clearing.open();
  await using _gateway = clearing.gateway;
  const client = await ClearingClient.connect(login(clearing));
  clearing.silent = true;
  const waiting = client.deposit(money('acme', 't-1'));
  await until(() => clearing.taken.length === 2);
  clearing.gateway.packet('Z');
  await expect(waiting).rejects.toMatchObject({ code: 'GATEWAY_CLOSED' });
  await expect(client.deposit(money('acme', 't-2'))).rejects.toMatchObject({ code: 'GATEWAY_CLOSED' });
  expect(await client.ended).toMatchObject({ reason: 'end-of-session' });
});

test('bytes that are no message of the protocol end the client', async () => {
  const clearing = await Clearing.open();
  await using _gateway = clearing.gateway;
  const client = await ClearingClient.connect(login(clearing));
  clearing.gateway.send(Buffer.from('A short one'));
  expect(await client.ended).toMatchObject({ reason: 'failed', error: { code: 'GATEWAY_PROTOCOL' } });
});
