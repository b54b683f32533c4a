// A sequencer, risk and matching as processes, brought up by the command line: orders, a killed risk process that comes back, orders again.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, test } from 'vitest';
import { type ControlRecord, noRecord } from '../../src/cluster/control-store.ts';
import { EtcdControlStore } from '../../src/cluster/etcd-control-store.ts';
import { LocalBridge } from '../../src/cluster/local-bridge.ts';
import { LocalCluster } from '../../src/cluster/local-cluster.ts';
import { LocalRoles, type RoleView } from '../../src/cluster/local-roles.ts';
import { tlsOf } from '../../src/cluster/member-process.ts';
import { roleOptions } from '../../src/cluster/role-process.ts';
import { nameOf, parseRoles, placeNamed } from '../../src/cluster/roles-description.ts';
import { VerbexError } from '../../src/errors/errors.ts';
import { root } from '../architecture/files.ts';
import { verbex } from '../cli/command-line.ts';
import { Etcd, hasEtcd, hasOpenssl, makeCertificates } from './etcd.ts';

const program = process.env.VERBEX_CLI ?? join(root, 'dist', 'cli', 'main.js');
const built = existsSync(program);
const generousMs = 60_000;

const folders: string[] = [];
const ups: ChildProcess[] = [];
const clusters: LocalCluster[] = [];
const bridges: LocalBridge[] = [];
function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'verbex-roles-'));
  folders.push(folder);
  return folder;
}
const killAll = (): void => {
  for (const up of ups) up.kill('SIGKILL');
  for (const bridge of bridges) bridge.kill();
  for (const cluster of clusters) cluster.killAll();
  for (const folder of folders) if (LocalRoles.exists(folder)) LocalRoles.open(folder).killAll();
};
process.once('exit', killAll);
afterAll(() => {
  killAll();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

const poll = async (what: () => boolean): Promise<void> => {
  await expect.poll(what, { timeout: generousMs, interval: 20 }).toBe(true);
};

/** A deployment that the command line has brought up, whole. */
async function bringUp(
  options: readonly string[],
  folder = newFolder(),
): Promise<{ up: ChildProcess; roles: LocalRoles; said: () => string }> {
  const up = spawn(
    process.execPath,
    [program, 'roles', 'up', '--dir', folder, '--transport', 'tcp', ...options],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  ups.push(up);
  let said = '';
  for (const stream of [up.stdout!, up.stderr!]) {
    stream.on('data', (bytes: Buffer) => {
      said += bytes.toString();
    });
  }
  await poll(() => LocalRoles.exists(folder));
  const roles = LocalRoles.open(folder);
  await poll(() => roles.whole);
  return { up, roles, said: () => said };
}

/** Orders that a ledger is kept of. */
async function startLoad(
  roles: LocalRoles,
  rate = 200,
): Promise<{ answered: () => number; end: () => Promise<void> }> {
  const { NativeClusterLoad } = await import('../../src/native/binding.ts');
  const load = new NativeClusterLoad({
    ...{ members: roles.membersText, cluster: 'verbex', transport: 'tcp', ...tlsOf(roles.description) },
    ...{ ordersPerSecond: rate, window: 64 },
  });
  const running = load.run();
  const answered = (): number => (JSON.parse(load.progress()) as { acknowledged: number }).acknowledged;
  await poll(() => answered() > 200);
  return {
    answered,
    end: async () => {
      load.stop();
      expect(JSON.parse(await running)).toMatchObject({ unanswered: 0, acceptedTwice: 0, tradesTwice: 0 });
      expect(JSON.parse(await load.verify())).toMatchObject({ acknowledgedLost: 0, appliedTwice: 0 });
    },
  };
}

async function recordIn(etcd: Etcd, cluster: string): Promise<ControlRecord> {
  await using store = new EtcdControlStore({ ...etcd.access, cluster, timeoutMs: 10_000 });
  const found = await store.read();
  if (found.kind !== 'read') throw new Error(found.why);
  return found.record;
}

const whole = (): Record<string, unknown> => ({
  ...{ name: 'verbex', data: '.', risk: 2, matching: 3 },
  sequencer: { host: '127.0.0.1', port: 9200 },
});

const pairOf = [
  { host: '127.0.0.1', port: 9200 },
  { host: '127.0.0.1', port: 9201 },
] as const;
function pair(changed: Record<string, unknown>): Record<string, unknown> {
  const { sequencer: _, ...others } = whole();
  return { ...others, sequencers: pairOf, control: { kind: 'file', path: 'control' }, ...changed };
}

describe('roles.json', () => {
  test('takes several sequencers, and a control store for them', () => {
    expect(parseRoles(pair({}), '/etc/verbex')).toMatchObject({
      sequencers: pairOf,
      control: { kind: 'file', path: '/etc/verbex/control' },
    });
    expect(placeNamed(parseRoles(pair({}), '/'), 'sequencer:1')).toEqual({ role: 'sequencer', shard: 1 });
  });

  test('fills in what is left out, and counts paths from its folder', () => {
    const tls = { certificate: 'a.pem', key: '/b.key', authority: 'c.pem' };
    expect(parseRoles({ ...whole(), tls }, '/etc/verbex').tls).toEqual({
      ...{ certificate: '/etc/verbex/a.pem', key: '/b.key', authority: '/etc/verbex/c.pem' },
    });
    expect(parseRoles({ ...whole(), keyFile: 'key' }, '/etc/verbex')).toEqual({
      ...{ name: 'verbex', data: '/etc/verbex', risk: 2, matching: 3 },
      sequencers: [{ host: '127.0.0.1', port: 9200 }],
      ...{ transport: 'auto', ack: 'memory', keyFile: '/etc/verbex/key', timing: {}, limits: {} },
      snapshots: {},
    });
  });

  test.each([
    [[], 'roles.json: expected an object'],
    [{ ...whole(), risk: 17 }, 'risk: expected an integer from 1 to 16'],
    [{ ...whole(), transport: 'udp' }, 'transport: expected auto or tcp or shm or verbs'],
    [{ ...whole(), sequencer: { host: '127.0.0.1', port: 0 } }, 'sequencer.port: expected an integer'],
    [{ ...whole(), tls: { certificate: 'a.pem', key: 'b.key' } }, 'tls.authority: expected'],
    [{ ...whole(), limits: { maxOrder: 1 } }, 'limits.maxOrder: there is no such field'],
    [{ ...whole(), snapshots: { every: -1 } }, 'snapshots.every: expected an integer from 0'],
    [pair({ sequencers: [] }), 'sequencers: expected 1 to 5 of them'],
    [pair({ control: undefined }), 'control: expected a control store, since there are several sequencers'],
    [pair({ sequencers: [pairOf[0], pairOf[0]] }), 'sequencers[1].port: expected another address'],
    [
      pair({ sequencers: [pairOf[0], { host: '10.0.0.2', port: 9200 }] }),
      'control.kind: expected etcd, since the sequencers have several hosts',
    ],
  ])('refuses %j', (value, message) => {
    expect(() => parseRoles(value, '/')).toThrow(VerbexError);
    expect(() => parseRoles(value, '/')).toThrow(message);
  });

  test('risk and matching processes have a folder of snapshots each, unless none are wanted', () => {
    const of = (snapshots: unknown, place: string): unknown => {
      const description = parseRoles({ ...whole(), snapshots, keyFile: undefined }, '/');
      return roleOptions(description, placeNamed(description, place));
    };
    expect(of({ every: 5000 }, 'risk:1')).toMatchObject({ snapshots: '/risk-1', snapshotEvery: 5000 });
    expect(of({}, 'matching:0')).toMatchObject({ snapshots: '/matching-0' });
    expect(of({}, 'matching:0')).not.toHaveProperty('snapshotEvery');
    expect(of({ every: 0 }, 'risk:0')).not.toHaveProperty('snapshots');
    expect(of({}, 'sequencer')).not.toHaveProperty('snapshots');
  });

  test('names processes that there are, and no others', () => {
    const description = parseRoles(whole(), '/');
    expect(placeNamed(description, 'matching:2')).toEqual({ role: 'matching', shard: 2 });
    expect(placeNamed(description, 'sequencer')).toEqual({ role: 'sequencer', shard: 0 });
    expect(() => placeNamed(description, 'risk:2')).toThrow('shard: expected an integer from 0 to 1');
    expect(() => placeNamed(description, 'clerk')).toThrow('role: expected sequencer');
  });
});

describe.runIf(built)('roles as processes (skipped without dist/: npm run build)', () => {
  test('up, orders, kill -9 of a risk process, its return, orders', { timeout: 300_000 }, async () => {
    const folder = newFolder();
    await LocalRoles.make(folder, { sequencers: 1, risk: 2, matching: 2, transport: 'tcp' });
    const file = join(folder, 'roles.json');
    const plain = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
    writeFileSync(file, JSON.stringify({ ...plain, snapshots: { every: 1 } })); // at every mark
    const { up, roles, said } = await bringUp([], folder);
    const load = await startLoad(roles, 2000);
    const snapshotOf = (): string => {
      const status = roles.look()[2]?.status;
      return (status?.role === 'risk' && status.snapshots?.newest) || '0';
    };
    await poll(() => snapshotOf() !== '0');
    const { pid: before } = roles.processOf({ role: 'risk', shard: 1 });
    const killed = await verbex(['roles', 'kill', folder, 'risk:1', '--json']);
    expect(killed.code, killed.err).toBe(0);
    expect(killed.json).toEqual({ role: 'risk:1', pid: before });
    await poll(() => {
      const seats = roles.leading?.status.seats ?? [];
      const seat = seats.find(({ role, shard }) => role === 'risk' && shard === 1);
      // It has begun with its snapshot: the log up to there was not sent again.
      return seat?.live === true && seat.losses !== '0' && seat.base !== '0';
    });
    const back = await verbex(['roles', 'status', folder, '--json']);
    const views = back.json.roles as RoleView[];
    expect(views.map(({ name }) => name)).toEqual([
      ...['sequencer', 'risk:0', 'risk:1', 'matching:0', 'matching:1'],
    ]);
    expect(views.every(({ process }) => process === 'running')).toBe(true);
    expect(views[2]?.pid).not.toBe(before);

    // A second site, a cluster: a bridge reads the sequencer's log as it reads a cluster's.
    const second = join(folder, 'site2');
    clusters.push(
      await LocalCluster.make(second, {
        replicas: 1,
        warm: 0,
        ack: 'memory',
        control: 'file',
        standby: true,
      }),
    );
    expect((await verbex(['cluster', 'up', '--dir', second, '--detach', '--json'])).code).toBe(0);
    const bridge = new LocalBridge(folder);
    bridges.push(bridge);
    bridge.start(folder, second);

    const then = load.answered();
    await poll(() => load.answered() > then + 200);
    await load.end();
    const there = async (): Promise<unknown> => (await clusters[0]!.statusOf(1))?.released;
    const isAlike = async (): Promise<boolean> => (await there()) === roles.leading?.status.released;
    await expect.poll(isAlike, { timeout: generousMs }).toBe(true);
    const released = BigInt((await there()) as string);

    const ended = once(up, 'exit');
    up.kill('SIGTERM');
    expect(await ended, said()).toEqual([0, null]);
    expect(roles.look().map(({ process }) => process)).toEqual(Array(5).fill('gone'));

    await bridge.stop();
    const switched = await verbex(['site', 'switch', '--to', second, '--lost', '--json']);
    expect(switched.code, switched.err).toBe(0);
    expect(switched.json).toMatchObject({ lost: true });
    expect(BigInt(switched.json.position as string)).toBeGreaterThanOrEqual(released); // ticks came after it
    expect((await verbex(['site', 'switch', '--to', second, '--json'])).err).toContain('--from is missing');
  });

  test('a dispatcher pair: the sequencer that leads is killed, the other one takes over, nothing is lost', {
    timeout: 300_000,
  }, async () => {
    const { up, roles, said } = await bringUp(['--sequencers', '2', '--risk', '1', '--matching', '1']);
    const load = await startLoad(roles);
    // One that was slow is out for as long as it takes to come back.
    await poll(() => roles.whole);
    const first = roles.leading!;
    // The other one replays what is released while it follows.
    await poll(() => {
      const status = roles.look()[1 - first.place.shard]?.status;
      return status?.role === 'sequencer' && Number(status.snapshots.shadow) > 0;
    });
    const killed = await verbex(['roles', 'kill', roles.folder, nameOf(first.place), '--json']);
    expect(killed.code, killed.err).toBe(0);
    let base = 0;
    await poll(() => {
      const { leading } = roles;
      base = Number(leading?.status.base);
      return leading !== undefined && leading.place.shard !== first.place.shard;
    });
    expect(base).toBeGreaterThan(0);
    const then = load.answered();
    await poll(() => load.answered() > then + 200);
    // `roles up` starts it again, and it follows.
    await poll(() => roles.whole && roles.leading?.status.leader === 2 - first.place.shard);
    const [one, other] = roles.look();
    expect(
      [one!.status, other!.status].filter((each) => each?.role === 'sequencer' && each.follows),
    ).toHaveLength(1);
    await load.end();
    const ended = once(up, 'exit');
    up.kill('SIGTERM');
    expect(await ended, said()).toEqual([0, null]);
  });

  test.runIf(hasOpenssl)(
    'with TLS: whoever has no certificate is let in nowhere',
    {
      timeout: 300_000,
    },
    async () => {
      const folder = newFolder();
      makeCertificates(folder);
      await LocalRoles.make(folder, { sequencers: 2, risk: 1, matching: 1, transport: 'tcp' });
      const file = join(folder, 'roles.json');
      const plain = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
      const tls = { certificate: 'server.pem', key: 'server.key', authority: 'ca.pem' };
      writeFileSync(file, JSON.stringify({ ...plain, tls }));
      const { up, roles, said } = await bringUp([], folder);
      const load = await startLoad(roles);
      await load.end();

      const { NativeClusterLoad, NativeRole } = await import('../../src/native/binding.ts');
      const stranger = { name: 'verbex', sequencers: roles.membersText, transport: 'tcp' } as const;
      const outside = new NativeClusterLoad({
        ...{ members: roles.membersText, cluster: 'verbex', transport: 'tcp', ordersPerSecond: 200 },
      });
      const outsideEnds = outside.run();
      // It would take the place of the one that is there.
      const intruder = new NativeRole({ ...stranger, role: 'risk', risk: 1, matching: 1, shard: 0 });
      await intruder.open();
      await poll(() => (JSON.parse(intruder.status()) as { trouble: string }).trouble !== '');
      expect(JSON.parse(intruder.status())).toMatchObject({ connected: false, joined: false });
      expect(JSON.parse(outside.progress())).toMatchObject({ connects: 0 });
      await intruder.close();
      outside.stop();
      await outsideEnds;
      expect(roles.leading?.status.seats.map(({ losses }) => losses)).toEqual(['0', '0']);

      const ended = once(up, 'exit');
      up.kill('SIGTERM');
      expect(await ended, said()).toEqual([0, null]);
    },
  );

  test.runIf(hasEtcd)(
    'a dispatcher pair that agrees in an etcd: a killed leader, etcd away, both at once, nothing is lost',
    { timeout: 300_000 },
    async () => {
      const etcd = await Etcd.start();
      try {
        const { up, roles, said } = await bringUp([
          ...['--sequencers', '2', '--risk', '1', '--matching', '1', '--etcd', etcd.endpoint],
        ]);
        expect(roles.description.control).toMatchObject({ kind: 'etcd', endpoints: [etcd.endpoint] });
        // A cluster of the same name would have another key there.
        expect(await recordIn(etcd, 'verbex.roles')).toMatchObject({
          text: expect.stringContaining('leader'),
        });
        expect(await recordIn(etcd, 'verbex')).toEqual(noRecord);
        const load = await startLoad(roles);
        const goesOn = async (): Promise<void> => {
          const then = load.answered();
          await poll(() => load.answered() > then + 200);
        };
        const whoLeads = (): number | undefined => roles.leading?.place.shard;
        const killLeader = async (): Promise<number> => {
          const { place } = roles.leading!;
          const killed = await verbex(['roles', 'kill', roles.folder, nameOf(place), '--json']);
          expect(killed.code, killed.err).toBe(0);
          return place.shard;
        };

        const first = await killLeader();
        await poll(() => whoLeads() === 1 - first);
        await goesOn();
        await poll(() => roles.whole);

        // Who leads needs no leave for that from anybody as long as all hear each other.
        const { epoch } = roles.leading!.status;
        await etcd.kill();
        await sleep(500);
        await goesOn();
        expect(roles.leading).toMatchObject({
          place: { shard: 1 - first },
          status: { epoch, serving: true },
        });

        // Nobody takes over on its own word.
        await killLeader();
        for (let look = 0; look < 20; look += 1) {
          await sleep(50);
          expect(roles.leading).toBeUndefined();
        }
        await etcd.start();
        await goesOn();
        await poll(() => roles.whole);
        expect(BigInt(roles.leading!.status.epoch)).toBeGreaterThan(BigInt(epoch));

        await load.end();
        const ended = once(up, 'exit');
        up.kill('SIGTERM');
        expect(await ended, said()).toEqual([0, null]);
      } finally {
        await etcd.remove();
      }
    },
  );
});
