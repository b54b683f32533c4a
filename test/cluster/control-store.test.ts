// What every control store must do, held against each of them.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ControlRecord, ControlStore } from '../../src/cluster/control-store.ts';
import { EtcdControlStore } from '../../src/cluster/etcd-control-store.ts';
import type { EtcdOptions } from '../../src/cluster/etcd-gateway.ts';
import { FileControlStore, type Step } from '../../src/cluster/file-control-store.ts';
import { freePorts } from '../../src/cluster/free-ports.ts';
import { root } from '../architecture/files.ts';
import { Etcd, type Fate, hasEtcd, hasOpenssl, Relay } from './etcd.ts';
import { type Outcome, TokenLedger, withToken } from './ledger.ts';

const folder = mkdtempSync(join(tmpdir(), 'verbex-control-'));
let folders = 0;
function newFolder(): string {
  folders += 1;
  return join(folder, String(folders));
}
let etcd: Etcd | undefined;
let secure: Etcd | undefined;
let clusters = 0;
beforeAll(async () => {
  if (hasEtcd) etcd = await Etcd.start();
  if (hasEtcd && hasOpenssl) secure = await Etcd.startSecure();
}, 30_000);
afterAll(async () => {
  await etcd?.remove();
  await secure?.remove();
  rmSync(folder, { recursive: true, force: true });
});

/** Opens the same record as often as asked. */
type Opener = (timeoutMs?: number) => Promise<ControlStore>;

const kinds: [string, boolean, () => Opener][] = [
  [
    'file',
    true,
    () => {
      const path = newFolder();
      return (timeoutMs = 5000) => FileControlStore.open(path, { timeoutMs, pollMs: 20 });
    },
  ],
  [
    'etcd',
    hasEtcd,
    () => {
      clusters += 1;
      const cluster = `c${clusters}`;
      return async (timeoutMs = 5000) =>
        new EtcdControlStore({ endpoints: [etcd!.endpoint], cluster, timeoutMs });
    },
  ],
  [
    'etcd with TLS and a log-in',
    hasEtcd && hasOpenssl,
    () => {
      clusters += 1;
      const cluster = `c${clusters}`;
      return async (timeoutMs = 5000) => new EtcdControlStore({ ...secure!.access, cluster, timeoutMs });
    },
  ],
];

const built = existsSync(join(root, 'dist', 'cluster', 'file-control-store.js'));
if (!built) console.warn('dist/ is not there (npm run build): the tests with killed writers are skipped');

/** A process that reads and swaps until it is killed; says before and after each swap what it does. */
const writer = `
  const [modulePath, name, ...where] = process.argv.slice(1);
  const module = await import(modulePath);
  const store = where.length === 1
    ? await module.FileControlStore.open(where[0], { timeoutMs: 5000 })
    : new module.EtcdControlStore({ endpoints: [where[0]], cluster: where[1], timeoutMs: 5000 });
  for (let index = 0; ; index += 1) {
    const found = await store.read();
    if (found.kind !== 'read') continue;
    const token = name + '.' + index;
    const { text, revision } = found.record;
    process.stdout.write(token + ' unknown\\n');
    const answer = await store.compareAndSwap(revision, text === '' ? token : text + ' ' + token);
    process.stdout.write(token + ' ' + answer.kind + '\\n');
  }`;

/** Lets such processes live for a moment each, several at a time. */
async function killedWriters(ledger: TokenLedger, where: readonly string[], lives: number): Promise<void> {
  const file = where.length === 1 ? 'file-control-store.js' : 'etcd-control-store.js';
  const url = pathToFileURL(join(root, 'dist', 'cluster', file)).href;
  const line = async (at: number): Promise<void> => {
    for (let life = 0; life < lives; life += 1) {
      const args = ['--input-type=module', '-e', writer, url, `k${at}-${life}`, ...where];
      const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
      let seen = 0;
      createInterface({ input: child.stdout }).on('line', (text) => {
        const [token, outcome] = text.split(' ');
        ledger.note(token!, outcome as Outcome);
        seen += 1;
      });
      while (seen < 6) await sleep(5);
      await sleep(((at * 7 + life * 13) % 40) + Math.random() * 10);
      child.kill('SIGKILL');
      await once(child, 'close');
    }
  };
  await Promise.all([0, 1, 2].map(line));
}

describe.each(kinds)('%s', (_, there, opener) => {
  describe.runIf(there)('as a control store', () => {
    test('there is nothing at first, and one of two first records wins', async () => {
      const open = opener();
      await using one = await open();
      await using two = await open();
      expect(await one.read()).toEqual({ kind: 'read', record: { revision: 0n, text: '' } });
      const answers = await Promise.all([one.compareAndSwap(0n, 'one\n'), two.compareAndSwap(0n, 'two\n')]);
      expect(answers.map(({ kind }) => kind).sort()).toEqual(['conflict', 'swapped']);
      const found = await two.read();
      expect(found).toEqual({
        kind: 'read',
        record: expect.objectContaining({ revision: expect.any(BigInt) }),
      });
      const won = answers.find(({ kind }) => kind === 'swapped');
      expect(found).toMatchObject({ record: (won as { record: ControlRecord }).record });
    });

    test('a swap of another revision than the present one is a conflict that says what there is', async () => {
      await using store = await opener()();
      const first = (await store.compareAndSwap(0n, 'a')) as { record: ControlRecord };
      const second = (await store.compareAndSwap(first.record.revision, 'b ü\n')) as {
        record: ControlRecord;
      };
      for (const revision of [0n, first.record.revision, second.record.revision + 1n, 10n ** 17n]) {
        expect(await store.compareAndSwap(revision, 'c')).toEqual({
          kind: 'conflict',
          record: second.record,
        });
      }
      expect(await store.read()).toEqual({ kind: 'read', record: second.record });
    });

    test('whatever many writers do at once, no swap is lost, doubled or invented', {
      timeout: 60_000,
    }, async () => {
      const open = opener();
      const ledger = new TokenLedger();
      const stores = await Promise.all(Array.from({ length: 8 }, () => open()));
      await Promise.all(stores.map((store, at) => ledger.write(store, `w${at}`, 25)));
      const found = await stores[0]!.read();
      ledger.audit((found as { record: ControlRecord }).record.text);
      expect(ledger.count('swapped')).toBeGreaterThan(20);
      expect(ledger.count('conflict')).toBeGreaterThan(0);
      await Promise.all(stores.map((store) => store.close()));
    });

    test('who watches sees what there is, then changes in order up to the last', async () => {
      const open = opener();
      await using store = await open();
      await using other = await open();
      let { record } = (await store.compareAndSwap(0n, 'v0')) as { record: ControlRecord };
      const seen: ControlRecord[] = [];
      const end = other.watch((one) => seen.push(one));
      for (let index = 1; index <= 20; index += 1) {
        ({ record } = (await store.compareAndSwap(record.revision, `v${index}`)) as {
          record: ControlRecord;
        });
        await sleep(index % 5 === 0 ? 30 : 0);
      }
      await expect.poll(() => seen.at(-1)).toEqual(record);
      const revisions = seen.map(({ revision }) => revision);
      expect(revisions).toEqual([...new Set(revisions)].sort((a, b) => (a < b ? -1 : 1)));
      end();
      await store.compareAndSwap(record.revision, 'unseen');
      await sleep(100);
      expect(seen.at(-1)).toEqual(record);
    });

    test('closed, it knows nothing; what is too long for a record is refused', async () => {
      const store = await opener()();
      expect(() => store.compareAndSwap(0n, 'x'.repeat(100_000))).toSatisfy(
        (attempt: () => Promise<unknown>) => {
          try {
            void attempt().catch(() => undefined);
            return true;
          } catch (error) {
            return (error as { code?: string }).code === 'INVALID_OPTION';
          }
        },
      );
      await store.close();
      expect((await store.read()).kind).toBe('unknown');
      expect((await store.compareAndSwap(0n, 'x')).kind).toBe('unknown');
    });
  });
});

describe('file', () => {
  /** Stores whose swaps dawdle, or stop for ever, at random places: what SIGKILL and SIGSTOP do, thousands of times cheaper. */
  test.each([1, 2, 3, 4, 5])(
    'writers stopped between any two calls (round %i)',
    { timeout: 60_000 },
    async () => {
      const path = newFolder();
      const ledger = new TokenLedger();
      let frozen: (() => void)[] = [];
      const write = async (at: number): Promise<void> => {
        for (let life = 0; life < 10; life += 1) {
          const store = await FileControlStore.open(path, { timeoutMs: 40 });
          store.atStep = async () => {
            if (Math.random() < 0.3) await sleep(Math.random() * 4);
            // Until all others are done with much: its turn may come long after its time.
            if (Math.random() < 0.08) await new Promise<void>((resolve) => frozen.push(resolve));
          };
          await ledger.write(store, `w${at}-${life}`, 12);
          if (Math.random() < 0.5) {
            const thawed = frozen;
            frozen = [];
            for (const go of thawed) go();
          }
          await store.close();
        }
      };
      await Promise.all(Array.from({ length: 6 }, (_, at) => write(at)));
      for (const go of frozen) go();
      await sleep(100);
      const store = await FileControlStore.open(path);
      const found = await store.read();
      ledger.audit((found as { record: ControlRecord }).record.text);
      expect(ledger.count('swapped')).toBeGreaterThan(60);
      expect(ledger.count('unknown')).toBeGreaterThan(0);
    },
  );

  test('a writer that slept since it read does not think that it won, however much has happened', async () => {
    const path = newFolder();
    const sleeper = await FileControlStore.open(path, { timeoutMs: 10_000 });
    let wake = (): void => undefined;
    const asleep = new Promise<void>((resolve) => {
      sleeper.atStep = async (step: Step) => {
        if (step !== 'drafted') return;
        resolve();
        await new Promise<void>((woken) => {
          wake = woken;
        });
      };
    });
    const late = sleeper.compareAndSwap(0n, 'late');
    await asleep;
    const store = await FileControlStore.open(path);
    for (let revision = 0n; revision < 40n; revision += 1n)
      await store.compareAndSwap(revision, `v${revision}`);
    wake();
    expect(await late).toEqual({ kind: 'conflict', record: { revision: 40n, text: 'v39' } });
    expect(await store.compareAndSwap(40n, 'next')).toMatchObject({ kind: 'swapped' });
  });

  test('what a writer left that died is swept away after an hour, and records never', async () => {
    const path = newFolder();
    const store = await FileControlStore.open(path);
    store.atStep = (step) => new Promise((resolve) => step !== 'drafted' && resolve());
    void store.compareAndSwap(0n, 'never linked');
    await expect.poll(() => readdirSync(path).length).toBe(1);
    const [draft] = readdirSync(path);
    const other = await FileControlStore.open(path);
    for (const revision of [0n, 1n]) await other.compareAndSwap(revision, 'x');
    expect(readdirSync(path).sort()).toEqual(['configuration.1', 'configuration.2', draft]);
    for (const name of readdirSync(path)) utimesSync(join(path, name), 0, 0);
    await FileControlStore.open(path);
    expect(readdirSync(path).sort()).toEqual(['configuration.1', 'configuration.2']);
  });

  test('where it cannot write it says so before anything is begun', async () => {
    const file = newFolder();
    writeFileSync(file, 'no folder');
    await expect(FileControlStore.open(join(file, 'control'))).rejects.toMatchObject({
      code: 'CONTROL_STORE_UNUSABLE',
    });
  });

  test.runIf(built)(
    'writers killed with -9 (skipped without dist/: npm run build)',
    { timeout: 60_000 },
    async () => {
      const path = newFolder();
      const store = await FileControlStore.open(path);
      const ledger = new TokenLedger();
      await killedWriters(ledger, [path], 6);
      ledger.audit(((await store.read()) as { record: ControlRecord }).record.text);
      expect(ledger.count('swapped')).toBeGreaterThan(18);
      const { revision } = ((await store.read()) as { record: ControlRecord }).record;
      expect(await store.compareAndSwap(revision, 'goes on')).toMatchObject({ kind: 'swapped' });
    },
  );
});

describe.runIf(hasEtcd)('etcd (skipped without etcd-server)', () => {
  test('an answer that is lost leaves it open, whether it took effect or not', async () => {
    const fates: Fate[] = ['loses the answer', 'cuts the answer', 'hangs', 'fails'];
    let fate: Fate = 'passes';
    const relay = await Relay.start(etcd!.endpoint, (path) => (path.endsWith('txn') ? fate : 'passes'));
    const options = { cluster: 'lost', timeoutMs: 300 };
    const direct = new EtcdControlStore({ ...options, endpoints: [etcd!.endpoint] });
    const store = new EtcdControlStore({ ...options, endpoints: [relay.endpoint, etcd!.endpoint] });
    let { record } = (await direct.compareAndSwap(0n, 'start')) as { record: ControlRecord };
    for (fate of fates) {
      // The relay is asked first again and again.
      const through = new EtcdControlStore({ ...options, endpoints: [relay.endpoint, etcd!.endpoint] });
      expect(await through.compareAndSwap(record.revision, fate)).toMatchObject({ kind: 'unknown' });
      const found = ((await direct.read()) as { record: ControlRecord }).record;
      expect(found.text === fate).toBe(fate === 'loses the answer' || fate === 'cuts the answer');
      record = found;
      await through.close();
    }
    fate = 'passes';
    expect(await store.compareAndSwap(record.revision, 'end')).toMatchObject({ kind: 'swapped' });
    await store.close();
    await direct.close();
    relay.close();
  });

  test('endpoints that refuse, hang or fail are passed over; a swap only where nothing was sent', async () => {
    let fate: Fate = 'hangs';
    const relay = await Relay.start(etcd!.endpoint, () => fate);
    const refusing = `http://127.0.0.1:${(await freePorts(1))[0]}`;
    const store = new EtcdControlStore({
      endpoints: [refusing, etcd!.endpoint],
      cluster: 'over',
      timeoutMs: 2000,
    });
    expect(await store.compareAndSwap(0n, 'a')).toMatchObject({ kind: 'swapped' });
    const hanging = new EtcdControlStore({
      endpoints: [relay.endpoint, etcd!.endpoint],
      cluster: 'over',
      timeoutMs: 400,
    });
    expect(await hanging.read()).toMatchObject({ kind: 'read', record: { text: 'a' } });
    fate = 'fails';
    const failing = new EtcdControlStore({ endpoints: [relay.endpoint, etcd!.endpoint], cluster: 'over' });
    expect(await failing.read()).toMatchObject({ kind: 'read', record: { text: 'a' } });
    const away = new EtcdControlStore({ endpoints: [refusing], cluster: 'over', timeoutMs: 300 });
    expect(await away.read()).toMatchObject({
      kind: 'unknown',
      why: expect.stringContaining('ECONNREFUSED'),
    });
    expect(await away.compareAndSwap(1n, 'b')).toMatchObject({ kind: 'unknown' });
    for (const one of [store, hanging, failing, away]) await one.close();
    relay.close();
  });

  test.runIf(built)(
    'killed with -9 and restarted, under writers that are killed too',
    { timeout: 60_000 },
    async () => {
      const own = await Etcd.start();
      try {
        const cluster = 'killed';
        const ledger = new TokenLedger();
        const watcher = new EtcdControlStore({ endpoints: [own.endpoint], cluster, timeoutMs: 500 });
        const seen: ControlRecord[] = [];
        watcher.watch((record) => seen.push(record));
        const living = Array.from({ length: 3 }, async (_, at) => {
          const store = new EtcdControlStore({ endpoints: [own.endpoint], cluster, timeoutMs: 500 });
          for (let round = 0; round < 24; round += 1) {
            await ledger.write(store, `w${at}-${round}`, 5);
            await sleep(20);
          }
          await store.close();
        });
        const dying = killedWriters(ledger, [own.endpoint, cluster], 2);
        for (let round = 0; round < 3; round += 1) {
          await sleep(350);
          await own.kill();
          await sleep(150);
          await own.start();
        }
        await Promise.all([...living, dying]);
        const found = ((await watcher.read()) as { record: ControlRecord }).record;
        ledger.audit(found.text);
        expect(ledger.count('swapped')).toBeGreaterThan(30);
        expect(ledger.count('unknown')).toBeGreaterThan(0);
        await expect.poll(() => seen.at(-1)?.revision).toBe(found.revision);
        await watcher.close();
      } finally {
        await own.remove();
      }
    },
  );
});

describe.runIf(hasEtcd && hasOpenssl)('etcd with TLS and a log-in', () => {
  test('a wrong password, no certificate, or an authority that did not sign: nothing is known, and why is said', async () => {
    const { access } = secure!;
    const { certificate: _, certificateKey: __, ...bare } = access;
    const refused: [string, EtcdOptions, RegExp][] = [
      ['a wrong password', { ...access, password: 'wrong' }, /log-in.*(invalid|authentication)/i],
      [
        'no log-in',
        { ...access, user: undefined, password: undefined } as unknown as EtcdOptions,
        /user name is empty|permission denied|invalid auth/i,
      ],
      ['no certificate', bare, /certificate|ECONNRESET|socket hang up/i],
      [
        'another authority',
        { ...access, authority: access.certificate! },
        /certificate|issuer|self.signed|unable to/i,
      ],
    ];
    for (const [what, options, why] of refused) {
      const store = new EtcdControlStore({ ...options, cluster: 'refused', timeoutMs: 2000 });
      expect(await store.read(), what).toMatchObject({ kind: 'unknown', why: expect.stringMatching(why) });
      expect(await store.compareAndSwap(0n, 'x'), what).toMatchObject({ kind: 'unknown' });
      await store.close();
    }
    const store = new EtcdControlStore({ ...access, cluster: 'refused', timeoutMs: 2000 });
    expect(await store.read()).toMatchObject({ kind: 'read', record: { revision: 0n } });
    await store.close();
  });

  test('after a restart, which forgets who had logged in, it goes on and whoever watches sees what follows', async () => {
    const own = await Etcd.startSecure();
    try {
      const options = { ...own.access, cluster: 'restarted', timeoutMs: 3000 };
      await using store = new EtcdControlStore(options);
      await using watcher = new EtcdControlStore(options);
      const seen: string[] = [];
      watcher.watch(({ text }) => seen.push(text));
      const first = await store.compareAndSwap(0n, 'before');
      expect(first).toMatchObject({ kind: 'swapped' });
      await expect.poll(() => seen.at(-1), { timeout: 10_000 }).toBe('before');
      await own.kill();
      await own.start();
      const { record } = first as { record: ControlRecord };
      await expect
        .poll(() => store.compareAndSwap(record.revision, 'after'), { timeout: 10_000 })
        .toMatchObject({ kind: 'swapped' });
      await expect.poll(() => seen.at(-1), { timeout: 15_000 }).toBe('after');
    } finally {
      await own.remove();
    }
  }, 60_000);
});

test('a token is never taken for another', () => {
  const ledger = new TokenLedger();
  ledger.note('a.1', 'swapped');
  ledger.audit('a.1');
  expect(() => ledger.audit('')).toThrow();
  expect(() => ledger.audit(withToken('a.1', 'a.1'))).toThrow();
  expect(() => ledger.audit(withToken('a.1', 'b.1'))).toThrow();
});
