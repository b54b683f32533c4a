// The pump between a member and its control store, and the admin port: with a member that is none.
import { request } from 'node:http';
import { describe, expect, test } from 'vitest';
import { AdminClient, AdminServer } from '../../src/cluster/admin.ts';
import { ClusterAdmin } from '../../src/cluster/cluster-admin.ts';
import { ControlPump } from '../../src/cluster/control-pump.ts';
import type { ControlRecord, ControlStore, ReadAnswer, SwapAnswer } from '../../src/cluster/control-store.ts';
import { parseDescription } from '../../src/cluster/description.ts';
import type { ControlRequest } from '../../src/native/cluster-types.ts';

class HeldStore implements ControlStore {
  readonly waiting: ((answer: ReadAnswer | SwapAnswer) => void)[] = [];
  readonly swaps: [bigint, string][] = [];
  change: (record: ControlRecord) => void = () => undefined;
  read(): Promise<ReadAnswer> {
    return new Promise((resolve) => this.waiting.push(resolve as (answer: ReadAnswer | SwapAnswer) => void));
  }
  compareAndSwap(expected: bigint, text: string): Promise<SwapAnswer> {
    if (text === 'throws') throw new Error('too long');
    this.swaps.push([expected, text]);
    return new Promise((resolve) => this.waiting.push(resolve as (answer: ReadAnswer | SwapAnswer) => void));
  }
  watch(onChange: (record: ControlRecord) => void): () => void {
    this.change = onChange;
    return () => {
      this.change = () => undefined;
    };
  }
  close(): Promise<void> {
    return Promise.resolve();
  }
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

class AskingMember {
  requests: ControlRequest[] = [];
  readonly answers: unknown[][] = [];
  takeControlRequests(): ControlRequest[] {
    return this.requests.splice(0);
  }
  answerControl(...answer: unknown[]): void {
    this.answers.push(answer);
  }
}

const read = (request: bigint): ControlRequest => ({ request, kind: 'read', expected: 0n, text: '' });
const swap = (request: bigint, expected: bigint, text: string): ControlRequest => ({
  request,
  kind: 'swap',
  expected,
  text,
});
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('the pump', () => {
  test('carries each request once and each answer to its request, in whatever order they come', async () => {
    const [member, store, news] = [new AskingMember(), new HeldStore(), [] as string[]];
    member.requests = [read(1n)];
    const pump = new ControlPump(member, store, (sentence) => news.push(sentence));
    pump.start();
    member.requests = [swap(2n, 7n, 'text'), swap(3n, 8n, 'throws')];
    pump.take();
    pump.take();
    await settled();
    expect(store.swaps).toEqual([[7n, 'text']]);
    expect(member.answers).toEqual([[3n, 'unknown', 0n, '']]);
    store.waiting[1]!({ kind: 'conflict', record: { revision: 9n, text: 'other' } });
    store.waiting[0]!({ kind: 'read', record: { revision: 9n, text: 'other' } });
    await settled();
    expect(member.answers.slice(1)).toEqual([
      [2n, 'conflict', 9n, 'other'],
      [1n, 'read', 9n, 'other'],
    ]);
    store.change({ revision: 10n, text: 'changed' });
    expect(member.answers.at(-1)).toEqual([0n, 'changed', 10n, 'changed']);
    expect(news).toEqual(['control store: away: too long', 'control store: back']);
  });

  test('a conflict of which nothing is known, and an end after which nobody is answered', async () => {
    const [member, store] = [new AskingMember(), new HeldStore()];
    const pump = new ControlPump(member, store, () => undefined);
    pump.start();
    member.requests = [swap(1n, 0n, 'a'), swap(2n, 0n, 'b')];
    pump.take();
    store.waiting[0]!({ kind: 'conflict' });
    await settled();
    expect(member.answers).toEqual([[1n, 'conflict', 0n, '']]);
    pump.stop();
    store.waiting[1]!({ kind: 'unknown', why: 'late' });
    store.change({ revision: 1n, text: 'x' });
    member.requests = [read(3n)];
    pump.take();
    await settled();
    expect(member.answers).toHaveLength(1);
  });
});

describe('force is said until the member leads', () => {
  // What each word comes to, from the first on. `leads soon`: it is refused, for an earlier one has just made it lead.
  type Outcome = 'forgotten' | 'leads' | 'refused' | 'leads soon';

  async function forcing(outcomes: Outcome[], leadsAlready = false) {
    let role = leadsAlready ? 'leader' : 'follower';
    let said = 0;
    const server = await AdminServer.listen({
      ...{ host: '127.0.0.1', port: 0, token: undefined },
      status: () => `{"id":1,"role":"${role}","epoch":"1"}`,
      operator: async (word) => {
        expect(word).toBe('force');
        const outcome = outcomes[Math.min(said++, outcomes.length - 1)];
        if (outcome === 'leads' || outcome === 'leads soon') role = 'leader';
        if (outcome === 'refused' || outcome === 'leads soon')
          throw Object.assign(new Error('force: it leads, or tries to'), { code: 'REFUSED' });
      },
    });
    const member = { id: 1, host: '127.0.0.1', port: 9, adminPort: server.port, data: 'one' };
    const control = { kind: 'file', path: 'control' };
    const admin = new ClusterAdmin(parseDescription({ name: 'one', control, members: [member] }, '/'));
    const answer = await admin.force(1, { takesMs: 50, withinMs: 500 }).catch((error: unknown) => error);
    await server.close();
    return { answer, said, admin };
  }

  test('a word that was taken and forgotten is said again', async () => {
    expect(await forcing(['forgotten', 'forgotten', 'leads'])).toMatchObject({ answer: 1, said: 3 });
  });

  test('a refusal passes: another attempt of the member was under way', async () => {
    expect(await forcing(['refused', 'refused', 'leads'])).toMatchObject({ answer: 1, said: 3 });
  });

  test('it began to lead just before the word was said again: that is no refusal', async () => {
    expect(await forcing(['forgotten', 'leads soon'])).toMatchObject({ answer: 1, said: 2 });
  });

  test('whoever led before is not forced, and that is said at once', async () => {
    const { answer, said } = await forcing(['refused'], true);
    expect(answer).toMatchObject({ code: 'OPERATOR_REFUSED', details: { reason: 'REFUSED' } });
    expect(said).toBe(1);
  });

  test('an end, where it never leads, never takes the word, or is not there', async () => {
    const forgets = await forcing(['forgotten']);
    expect(forgets.answer).toMatchObject({
      code: 'OPERATOR_REFUSED',
      message: expect.stringContaining('does not lead'),
    });
    expect(forgets.said).toBeGreaterThan(1);
    const refuses = await forcing(['refused']);
    expect(refuses.answer).toMatchObject({ code: 'OPERATOR_REFUSED', details: { reason: 'REFUSED' } });
    expect(refuses.said).toBeGreaterThan(1);
    await expect(refuses.admin.force(1)).rejects.toMatchObject({ code: 'MEMBER_UNREACHABLE' });
  });
});

describe('found is said until the member leads', () => {
  type Outcome = 'leads' | 'begins' | 'refused' | 'there is one' | 'others were first';

  async function founding(outcomes: Outcome[]) {
    let [role, sync, revision] = ['halted', '[]', 0];
    let said = 0;
    const server = await AdminServer.listen({
      ...{ host: '127.0.0.1', port: 0, token: undefined },
      status: () => {
        const shown = `{"id":1,"role":"${role}","site":"active","epoch":"1","revision":"${revision}","sync":${sync}}`;
        // What has begun is not done at once.
        if (revision > 0 && sync === '[1]') role = 'leader';
        return shown;
      },
      operator: async (word) => {
        expect(word).toBe('found');
        const outcome = outcomes[Math.min(said++, outcomes.length - 1)];
        if (outcome === 'leads') role = 'leader';
        if (outcome === 'begins') [sync, revision] = ['[1]', 1];
        if (outcome === 'others were first') [sync, revision] = ['[1,2]', 1];
        if (outcome === 'refused')
          throw Object.assign(new Error('found: its log is empty'), { code: 'REFUSED' });
        if (outcome === 'there is one')
          throw Object.assign(new Error('found: there is a record'), { code: 'CLUSTER_EXISTS' });
      },
    });
    const member = { id: 1, host: '127.0.0.1', port: 9, adminPort: server.port, data: 'one' };
    const control = { kind: 'file', path: 'control' };
    const admin = new ClusterAdmin(parseDescription({ name: 'one', control, members: [member] }, '/'));
    const answer = await admin.found(1, 300).catch((error: unknown) => error);
    await server.close();
    return { answer, said, admin };
  }

  test('it leads, at once or a little later: the word is said once', async () => {
    expect(await founding(['leads'])).toMatchObject({ answer: { role: 'leader' }, said: 1 });
    expect(await founding(['begins'])).toMatchObject({ answer: { role: 'leader' }, said: 1 });
  });

  test('a refusal that passes is waited for, one that does not is handed on', async () => {
    expect(await founding(['refused', 'leads'])).toMatchObject({ answer: { role: 'leader' }, said: 2 });
    const { answer, admin } = await founding(['refused']);
    expect(answer).toMatchObject({ code: 'OPERATOR_REFUSED', details: { reason: 'REFUSED' } });
    await expect(admin.found(1)).rejects.toMatchObject({ code: 'MEMBER_UNREACHABLE' });
  });

  test('where there is a cluster that is said at once, whoever was first', async () => {
    for (const outcome of ['there is one', 'others were first'] as const)
      expect(await founding([outcome])).toMatchObject({ answer: { code: 'CLUSTER_EXISTS' }, said: 1 });
  });
});

describe('the admin port', () => {
  const words: [string, number][] = [];
  const listen = (token?: string): Promise<AdminServer> =>
    AdminServer.listen({
      host: '127.0.0.1',
      port: 0,
      token,
      status: () => '{"id":1,"role":"leader","epoch":"18446744073709551615"}',
      operator: async (word, member) => {
        words.push([word, member]);
        if (word === 'force') throw Object.assign(new Error('it leads already'), { code: 'REFUSED' });
      },
    });
  const ask = (port: number, options: object, body?: string): Promise<number> =>
    new Promise((resolve, reject) => {
      const asked = request({ host: '127.0.0.1', port, ...options }, (answer) => {
        answer.resume();
        resolve(answer.statusCode!);
      });
      asked.on('error', reject);
      asked.end(body);
    });

  test('answers status, carries words, hands refusals on', async () => {
    const admin = await listen();
    const client = new AdminClient({ id: 1, adminHost: '127.0.0.1', adminPort: admin.port }, undefined);
    expect(await client.status()).toEqual({ id: 1, role: 'leader', epoch: '18446744073709551615' });
    await client.operator('evict', 3);
    expect(words).toEqual([['evict', 3]]);
    await expect(client.operator('force', 0)).rejects.toMatchObject({
      code: 'OPERATOR_REFUSED',
      message: expect.stringContaining('it leads already'),
      details: { id: 1, reason: 'REFUSED' },
    });
    await expect(client.operator('dance' as 'evict', 0)).rejects.toMatchObject({ code: 'OPERATOR_REFUSED' });
    await admin.close();
    await expect(client.status()).rejects.toMatchObject({ code: 'MEMBER_UNREACHABLE' });
  });

  test('a word that is refused is said again to whoever leads, unless it cannot be right', async () => {
    const refusals = ['REFUSED', 'REFUSED'];
    const server = await AdminServer.listen({
      ...{ host: '127.0.0.1', port: 0, token: undefined },
      status: () => '{"id":1,"role":"leader","epoch":"1"}',
      operator: async () => {
        const code = refusals.shift();
        if (code !== undefined) throw Object.assign(new Error('another change is under way'), { code });
      },
    });
    const member = { id: 1, host: '127.0.0.1', port: 9, adminPort: server.port, data: 'one' };
    const control = { kind: 'file', path: 'control' };
    const admin = new ClusterAdmin(parseDescription({ name: 'one', control, members: [member] }, '/'));
    expect(await admin.tellLeader('readmit', 1)).toBe(1);
    expect(refusals).toEqual([]);
    refusals.push('NOT_FOUND', 'REFUSED');
    await expect(admin.tellLeader('readmit', 1)).rejects.toMatchObject({ details: { reason: 'NOT_FOUND' } });
    expect(refusals).toEqual(['REFUSED']);
    await server.close();
  });

  test('without a token only who asks under a loopback address, and no page of a browser', async () => {
    const admin = await listen();
    const { port } = admin;
    expect(await ask(port, { path: '/status' })).toBe(200);
    expect(await ask(port, { path: '/status', headers: { host: `evil.example:${port}` } })).toBe(403);
    expect(await ask(port, { path: '/status', headers: { origin: 'http://127.0.0.1' } })).toBe(403);
    expect(await ask(port, { path: '/nothing' })).toBe(404);
    expect(await ask(port, { path: '/operator', method: 'POST' }, '[1')).toBe(400);
    expect(await ask(port, { path: '/operator', method: 'POST' }, '{"word":"evict"}')).toBe(400);
    expect(await ask(port, { path: '/operator', method: 'POST' }, '{"word":"evict","member":-1}')).toBe(400);
    expect(await ask(port, { path: '/operator', method: 'POST' }, `"${'x'.repeat(10_000)}"`)).toBe(413);
    await admin.close();
  });

  test('with a token only who shows it', async () => {
    const admin = await listen('secret');
    const at = { id: 1, adminHost: '127.0.0.1', adminPort: admin.port };
    expect(await new AdminClient(at, 'secret').status()).toMatchObject({ id: 1 });
    for (const token of [undefined, 'secre', 'secrets'])
      await expect(new AdminClient(at, token).status()).rejects.toMatchObject({
        details: { reason: 'INVALID_TOKEN' },
      });
    await admin.close();
  });
});
