// Clusters of real processes: brought up, killed, paused, deprived of their control store, forced, drilled.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { LocalBridge } from '../../src/cluster/local-bridge.ts';
import { LocalCluster, type NewCluster } from '../../src/cluster/local-cluster.ts';
import { membersText } from '../../src/cluster/member-process.ts';
import type { MemberStatus } from '../../src/cluster/member-status.ts';
import { root } from '../architecture/files.ts';
import { verbex } from '../cli/command-line.ts';
import { hasEtcd } from './etcd.ts';

const built = existsSync(process.env.VERBEX_CLI ?? join(root, 'dist', 'cli', 'main.js'));
if (!built) console.warn('dist/ is not there (npm run build): the tests of live clusters are skipped');

const folder = mkdtempSync(join(tmpdir(), 'verbex-live-'));
const clusters: LocalCluster[] = [];
const bridges: LocalBridge[] = [];
let folders = 0;
/** How long one who certainly runs may take to answer: other tests have the processors too. */
const patientMs = 10_000;
function newFolder(): string {
  folders += 1;
  return join(folder, String(folders));
}
const killAll = (): void => {
  for (const cluster of clusters.splice(0)) cluster.killAll();
  for (const bridge of bridges.splice(0)) bridge.kill();
};
process.once('exit', killAll);
afterEach(killAll);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function bringUp(given: Partial<NewCluster>): Promise<LocalCluster> {
  const cluster = await LocalCluster.make(newFolder(), {
    ...{ replicas: 3, warm: 0, ack: 'memory', transport: 'tcp', control: 'file' },
    ...given,
  });
  clusters.push(cluster);
  await cluster.start();
  await cluster.settle(30_000);
  return cluster;
}

interface LoadProgress {
  readonly acknowledged: number;
}

/** Orders into a cluster until it is stopped; then what its ledger says. */
class LedgerLoad {
  readonly #load: import('../../src/native/cluster-types.ts').NativeClusterLoad;
  readonly #running: Promise<string>;

  private constructor(load: import('../../src/native/cluster-types.ts').NativeClusterLoad) {
    this.#load = load;
    this.#running = load.run();
    this.#running.catch(() => undefined);
  }

  /** Of several clusters of one name: whichever takes them. */
  static async start(
    clusters: LocalCluster | LocalCluster[],
    given: { ordersPerSecond?: number; idsBehind?: number } = {},
  ): Promise<LedgerLoad> {
    const { NativeClusterLoad } = await import('../../src/native/binding.ts');
    const descriptions = [clusters].flat().map(({ description }) => description);
    const { name, transport } = descriptions[0]!;
    const members = descriptions.map(membersText).join('\n');
    const options = { members, cluster: name, transport, ordersPerSecond: 1000, ...given };
    const load = new LedgerLoad(new NativeClusterLoad({ ...options, window: 256 }));
    await load.goesOn();
    return load;
  }

  get acknowledged(): number {
    return (JSON.parse(this.#load.progress()) as LoadProgress).acknowledged;
  }

  async goesOn(timeoutMs = 20_000): Promise<void> {
    const before = this.acknowledged;
    await expect.poll(() => this.acknowledged, { timeout: timeoutMs, interval: 10 }).toBeGreaterThan(before);
  }

  async end(): Promise<void> {
    expect(await this.settle()).toMatchObject({ unanswered: 0, acceptedTwice: 0, tradesTwice: 0 });
    expect(JSON.parse(await this.#load.verify())).toMatchObject({ acknowledgedLost: 0, appliedTwice: 0 });
  }

  /** What it counted when the last answers were there. */
  async settle(): Promise<Record<string, number>> {
    this.#load.stop();
    return JSON.parse(await this.#running) as Record<string, number>;
  }

  get drained(): Promise<unknown> {
    return this.#running;
  }

  /** Whatever becomes of it. */
  stop(): void {
    this.#load.stop();
  }
}

type Shown = { id: number; process: string; pid?: number; status?: MemberStatus };

describe.runIf(built)('a live cluster (skipped without dist/: npm run build)', () => {
  test('a data folder anew from a running member, and from its folder, which agree', async () => {
    const cluster = await bringUp({ name: 'recovered', limits: { maxOrders: 100_000 } });
    const load = await LedgerLoad.start(cluster);
    await expect.poll(() => load.acknowledged, { timeout: 20_000, interval: 10 }).toBeGreaterThan(500);
    await load.end();
    const description = join(cluster.folder, 'cluster.json');
    const hashes = new Set<unknown>();
    for (const { id, host, port, data } of cluster.description.members) {
      const made = newFolder();
      const args = ['journal', 'recover', '--from', `${host}:${port}`, '--from', data, '--data', made];
      const { code, err, json } = await verbex([...args, '--cluster', description, '--at', '500', '--json']);
      expect(code, err).toBe(0);
      expect(json).toMatchObject({ position: 500, compared: 500 });
      hashes.add(json.stateHash);
      expect((await verbex(['hash', made, '--json'])).json).toMatchObject({ stateHash: json.stateHash });
      // Whoever does not know the cluster's name is not let in.
      if (id > 1) continue;
      const stranger = await verbex([
        'journal',
        'recover',
        '--from',
        `${host}:${port}`,
        '--data',
        newFolder(),
      ]);
      expect(stranger.err).toContain('TIMED_OUT: no member of cluster verbex answers');
    }
    expect(hashes.size).toBe(1);
  }, 90_000);

  test('a running member’s folder is copied with its snapshots, and its status says what they cost', async () => {
    const made = await LocalCluster.make(newFolder(), {
      ...{ replicas: 3, warm: 0, ack: 'memory', transport: 'tcp', control: 'file' },
      limits: { maxOrders: 100_000 },
    });
    const description = join(made.folder, 'cluster.json');
    const asked = JSON.parse(readFileSync(description, 'utf8')) as Record<string, unknown>;
    writeFileSync(description, JSON.stringify({ ...asked, snapshots: { every: 300 } }));
    const cluster = LocalCluster.open(made.folder);
    clusters.push(cluster);
    await cluster.start();
    await cluster.settle(30_000);
    const load = await LedgerLoad.start(cluster);
    const statuses = () =>
      Promise.all(cluster.description.members.map(({ id }) => cluster.statusOf(id, 3000)));
    await expect
      .poll(async () => (await statuses()).every((one) => BigInt(one?.snapshots ?? 0) >= 2n), {
        timeout: 30_000,
      })
      .toBe(true);
    for (const one of await statuses()) expect(BigInt(one!.snapshotMarkNs)).toBeGreaterThan(0n);
    const { data } = cluster.description.members[0]!;
    const copy = newFolder();
    const { code, err, json } = await verbex(['backup', copy, '--data', data, '--json']);
    expect(code, err).toBe(0);
    expect(json).toMatchObject({ refusedSnapshots: [] });
    expect(json.snapshotPosition).toBeGreaterThan(0);
    // With the capacities that the snapshots name: no description is needed.
    const anew = await verbex(['journal', 'recover', '--from', copy, '--data', newFolder(), '--json']);
    expect(anew.code, anew.err).toBe(0);
    expect(anew.json).toMatchObject({ position: json.position, stateHash: json.stateHash });
    await load.end();
  }, 90_000);

  test('up, kill leader, start, pause, promote, evict, readmit, down', { timeout: 120_000 }, async () => {
    const dir = newFolder();
    const run = async (...args: string[]): Promise<Record<string, unknown>> => {
      const { code, json, err } = await verbex(['cluster', ...args, '--dir', dir, '--json']);
      expect(code, err).toBe(0);
      return json;
    };
    // Who runs may be slow to answer, all processors being busy.
    const members = async (): Promise<Shown[]> => {
      let shown: Shown[] = [];
      const answered = async (): Promise<boolean> => {
        shown = (await run('status')).members as Shown[];
        return shown.every(({ process: state, status }) => state !== 'running' || status !== undefined);
      };
      await expect.poll(answered, { timeout: 20_000 }).toBe(true);
      return shown;
    };
    const up = await run('up', '--replicas', '3', '--warm', '1', '--detach');
    const cluster = LocalCluster.open(dir);
    clusters.push(cluster);
    expect(up).toMatchObject({ control: hasEtcd ? 'etcd' : 'file', replicas: 3, ack: 'memory' });
    const first = await cluster.waitForLeader(20_000, 3);
    const [epochs, positions] = [new Map<number, bigint>(), new Map<number, bigint>()];
    for (const { id, process: state, status } of await members()) {
      expect(state).toBe('running');
      epochs.set(id, BigInt(status!.epoch));
      positions.set(id, BigInt(status!.position));
    }

    expect(await run('kill', 'leader')).toMatchObject({ member: first });
    expect((await verbex(['cluster', 'kill', String(first), '--dir', dir])).code).toBe(2);
    const second = await cluster.waitForLeader(20_000, 3);
    expect(second).not.toBe(first);
    expect(BigInt((await cluster.statusOf(second, patientMs))!.epoch)).toBeGreaterThan(epochs.get(first)!);
    // The warm one takes the dead one's place.
    await expect
      .poll(async () => (await cluster.statusOf(second))?.sync, { timeout: 20_000 })
      .toEqual([1, 2, 3, 4].filter((id) => id !== first));
    expect((await members()).find(({ id }) => id === first)?.process).toBe('gone');

    expect(await run('start', String(first))).toMatchObject({ member: first });
    expect((await verbex(['cluster', 'start', String(first), '--dir', dir, '--json'])).json).toMatchObject({
      error: { code: 'MEMBER_RUNNING' },
    });

    expect(await run('pause', 'leader', '--for', '700')).toMatchObject({ member: second, pausedMs: 700 });
    await expect
      .poll(async () => (await cluster.statusOf(second))?.role, { timeout: 20_000 })
      .toBe('follower');
    const third = await cluster.waitForLeader(20_000, 3);
    expect(third).not.toBe(second);

    const { sync } = (await cluster.statusOf(third, patientMs))!;
    const next = sync.find((id) => id !== third)!;
    expect(await run('promote', String(next))).toMatchObject({ member: next, asked: third });
    await expect.poll(() => cluster.leader(), { timeout: 20_000 }).toBe(next);

    const out = (await cluster.statusOf(next, patientMs))!.sync.find((id) => id !== next)!;
    await run('evict', String(out));
    await expect.poll(async () => (await cluster.statusOf(out))?.role, { timeout: 20_000 }).toBe('halted');
    // Each member hears of the record by itself, the one put out perhaps before the one that leads.
    await expect
      .poll(async () => (await cluster.statusOf(next))?.evicted, { timeout: 20_000 })
      .toMatchObject([{ id: out }]);
    await run('readmit', String(out));
    await expect.poll(async () => (await cluster.statusOf(out))?.role, { timeout: 20_000 }).toBe('follower');

    const down = (await run('down')).members as Shown[];
    expect(down.map(({ process: state }) => state)).toEqual(['gone', 'gone', 'gone', 'gone']);
    expect(cluster.etcd?.state() ?? 'gone').toBe('gone');
    for (const id of cluster.ids) expect(cluster.logEnd(id, 1)).toContain('closed at position');

    // Everything is there again, and goes on: nobody has lost its incarnation.
    await run('up', '--detach');
    await cluster.waitForLeader(20_000, 3);
    for (const { id, status } of await members())
      expect(BigInt(status!.position)).toBeGreaterThanOrEqual(positions.get(id)!);
    await run('down');
  });

  test('four servers killed one after the other: service goes on with the last', {
    timeout: 120_000,
  }, async () => {
    const cluster = await bringUp({ replicas: 3, warm: 1 });
    const load = await LedgerLoad.start(cluster);
    let living = cluster.ids;
    while (living.length > 1) {
      const leader = await cluster.waitForLeader(20_000, 1);
      cluster.signal(leader, 'SIGKILL');
      await sleep(60);
      await load.goesOn();
      living = living.filter((id) => id !== leader);
      // Two of three at once would be one too many.
      const sync = async (): Promise<readonly number[] | undefined> =>
        (await cluster.statusOf((await cluster.leader()) ?? leader))?.sync;
      await expect.poll(sync, { timeout: 20_000 }).toEqual(living);
    }
    const last = (await cluster.leader(patientMs))!;
    expect(await cluster.statusOf(last, patientMs)).toMatchObject({ degraded: true, sync: [last] });
    await load.goesOn();
    await load.end();
  });

  test.runIf(hasEtcd)(
    'etcd away: the cluster serves on and changes nothing; etcd back: it takes over',
    {
      timeout: 120_000,
    },
    async () => {
      const cluster = await bringUp({ control: 'etcd' });
      const load = await LedgerLoad.start(cluster);
      cluster.etcd!.kill();
      await sleep(500);
      await load.goesOn();
      const leader = (await cluster.leader(patientMs))!;
      const { epoch } = (await cluster.statusOf(leader, patientMs))!;
      cluster.signal(leader, 'SIGKILL');
      await sleep(1500);
      for (const id of cluster.ids.filter((one) => one !== leader))
        expect(await cluster.statusOf(id, patientMs)).toMatchObject({ epoch, leader });
      const stuck = load.acknowledged;
      await sleep(500);
      expect(load.acknowledged).toBe(stuck);
      await cluster.etcd!.start();
      await load.goesOn(30_000);
      expect(await cluster.leader()).not.toBe(leader);
      await load.end();
    },
  );

  test('force: the last log there is leads, and the loss is counted', { timeout: 60_000 }, async () => {
    const cluster = await bringUp({});
    // Two of three at once, with all that they had, the leader among them: no quorum will ever answer.
    const leader = await cluster.waitForLeader(20_000, 3);
    const [left, ...lost] = [...cluster.ids].sort((a, b) => Number(a === leader) - Number(b === leader));
    for (const id of lost) cluster.signal(id, 'SIGKILL');
    for (const id of lost) {
      await expect.poll(() => cluster.processOf(id).state).toBe('gone');
      rmSync(join(cluster.folder, `member-${id}`), { recursive: true });
    }
    await sleep(1000);
    expect(await cluster.leader()).toBeUndefined();
    const forced = await verbex(['cluster', 'force', String(left), '--dir', cluster.folder, '--json']);
    expect(forced.code, forced.err).toBe(0);
    await expect.poll(() => cluster.leader(), { timeout: 20_000 }).toBe(left);
    expect(await cluster.statusOf(left!, patientMs)).toMatchObject({ dataLossEpochs: '1', sync: [left] });
    for (const id of lost) cluster.startMember(id);
    await cluster.waitForLeader(20_000, 3);
  });

  test('a member says why it cannot start, by message and exit code', { timeout: 60_000 }, async () => {
    const cluster = await bringUp({ replicas: 1 });
    const config = join(cluster.folder, 'cluster.json');
    const member = (...args: string[]): ReturnType<typeof verbex> =>
      verbex(['cluster', 'member', ...args, '--json']);
    expect(await member('--config', config, '--id', '1')).toMatchObject({ code: 75 });
    expect(await member('--config', config, '--id', '2')).toMatchObject({ code: 78 });
    expect(await member('--config', join(cluster.folder, 'none.json'), '--id', '1')).toMatchObject({
      code: 78,
    });
    expect(await member('--config', config)).toMatchObject({ code: 2 });
    expect(await verbex(['cluster', 'status', '--dir', folder, '--json'])).toMatchObject({
      code: 66,
      json: { error: { code: 'NO_CLUSTER' } },
    });
    expect(await verbex(['cluster', 'kill', 'everybody', '--dir', cluster.folder])).toMatchObject({
      code: 78,
    });
    expect(await verbex(['cluster', 'evict', '9', '--dir', cluster.folder])).toMatchObject({ code: 78 });
    // Its port is taken: another process has it, a member of another folder.
    const other = newFolder();
    const copy = await LocalCluster.make(other, { replicas: 1, warm: 0, ack: 'memory', control: 'file' });
    clusters.push(copy);
    const text = JSON.parse(readFileSync(join(other, 'cluster.json'), 'utf8')) as {
      members: { adminPort: number }[];
    };
    text.members[0]!.adminPort = cluster.description.members[0]!.adminPort;
    writeFileSync(join(other, 'cluster.json'), JSON.stringify(text));
    expect(await member('--config', join(other, 'cluster.json'), '--id', '1')).toMatchObject({ code: 71 });
  });

  test('two sites: switched under load, back again, and once with the first one lost', {
    timeout: 180_000,
  }, async () => {
    const dir = newFolder();
    const second = join(dir, 'site2');
    const run = async (...args: string[]): Promise<Record<string, unknown>> => {
      const { code, json, err } = await verbex([...args, '--json']);
      expect(code, err).toBe(0);
      return json;
    };
    const up = ['cluster', 'up', '--dir', dir, '--replicas', '2', '--control', 'file', '--detach', '--site2'];
    await run(...up);
    const [here, there] = [LocalCluster.open(dir), LocalCluster.open(second)];
    clusters.push(here, there);
    bridges.push(new LocalBridge(dir));
    const load = await LedgerLoad.start(here);
    expect((await there.statusOf(await there.waitForLeader(20_000), patientMs))?.site).toBe('standby');
    // Cut for a while: it goes on where it was.
    bridges[0]!.kill();
    await load.goesOn();
    await sleep(500);
    bridges[0]!.start(dir, second);

    const switched = await run('site', 'switch', '--from', dir, '--to', second);
    load.stop();
    const acknowledged = load.acknowledged;
    expect(acknowledged).toBeGreaterThan(0);
    const leader = (await there.statusOf(await there.waitForLeader(20_000), patientMs))!;
    expect(leader.site).toBe('active');
    expect(BigInt(leader.position)).toBeGreaterThanOrEqual(BigInt(switched.position as string));
    // What nobody had released is not in the log of the site; who followed may not have heard how far that was.
    const { position, resultHash } = switched;
    const ends = async (): Promise<unknown> =>
      (await here.admin.statuses()).map((one) => [one.site, one.position, one.resultHash]);
    const end = ['fenced', position, resultHash];
    await expect.poll(ends, { timeout: 10_000 }).toEqual([end, end]);

    // The other way round.
    await bridges[0]!.stop();
    expect(await run('site', 'standby', '--at', dir)).toEqual({ site: 'standby' });
    await here.waitForLeader(20_000);
    bridges[0]!.start(second, dir);
    const back = await run('site', 'switch', '--from', second, '--to', join(dir, 'cluster.json'));
    expect(BigInt(back.position as string)).toBeGreaterThanOrEqual(BigInt(switched.position as string));
    expect((await here.statusOf(await here.waitForLeader(20_000), patientMs))?.site).toBe('active');

    await bridges[0]!.stop();
    await run('site', 'standby', '--at', second);
    bridges[0]!.start(dir, second);
    await sleep(1000);
    const refused = await verbex(['site', 'switch', '--from', dir, '--to', second, '--wait', '1', '--json']);
    // It may have been quick enough; otherwise it says how far the other one is.
    if (refused.code !== 0) expect(refused.json).toMatchObject({ error: { code: 'SITE_BEHIND' } });
    here.killAll();
    const lost = await run('site', 'switch', '--from', dir, '--to', second, '--lost');
    expect(lost).toMatchObject({ lost: true });
    await run('cluster', 'down', '--dir', dir);
    for (const id of there.ids) expect(there.processOf(id).state).toBe('gone');
    expect(bridges[0]!.state()).toBe('gone');
    // It waits for a while for answers that nobody gives any more.
    await load.drained;
  });

  test('a second site founded with a copy of the first one, which has pruned, takes over under load', {
    timeout: 120_000,
  }, async () => {
    const make = async (change: (description: Record<string, unknown>) => object): Promise<LocalCluster> => {
      const { folder: made } = await LocalCluster.make(newFolder(), {
        ...{ replicas: 1, warm: 0, ack: 'memory', transport: 'tcp', control: 'file' },
        limits: { maxOrders: 100_000 },
      });
      const file = join(made, 'cluster.json');
      const asked = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
      const snapshots = { every: 500, historyBytes: 0, segmentBytes: 2 ** 18 };
      writeFileSync(file, JSON.stringify({ ...asked, snapshots, ...change(asked) }));
      const cluster = LocalCluster.open(made);
      clusters.push(cluster);
      return cluster;
    };
    const here = await make(() => ({}));
    // Of the same name, so that clients may look for both.
    const there = await make(({ members }) => ({
      standby: true,
      members: (members as object[]).map((member) => ({ ...member, id: 11, data: 'member-11' })),
    }));
    await here.start();
    await here.settle(30_000);
    const before = await LedgerLoad.start(here, { ordersPerSecond: 5000 });
    const first = async (): Promise<bigint> => BigInt((await here.statusOf(1, patientMs))!.first);
    await expect.poll(first, { timeout: 30_000, interval: 20 }).toBeGreaterThan(1n);
    const { sent } = await before.settle();
    // What it still has in memory goes with its process.
    here.signal(1, 'SIGKILL');
    await expect.poll(() => here.processOf(1).state).toBe('gone');
    here.startMember(1);
    await here.waitForLeader(20_000);
    const load = await LedgerLoad.start([here, there], { idsBehind: sent! });

    const { host, port } = here.description.members[0]!;
    const { data } = there.description.members[0]!;
    const source = ['--from', `${host}:${port}`, '--cluster', join(here.folder, 'cluster.json')];
    const copy = await verbex(['journal', 'recover', ...source, '--data', data, '--json']);
    expect(copy.code, copy.err).toBe(0);
    expect(copy.json.snapshotPosition).toBeGreaterThan(0);
    there.startMember(11);
    await expect
      .poll(async () => (await there.statusOf(11))?.halted, { timeout: 20_000, interval: 20 })
      .toContain('is in no record');
    const word = ['cluster', 'found', '11', '--at', there.folder, '--json'];
    const founded = await verbex(word);
    expect(founded.code, founded.err).toBe(0);
    expect(founded.json).toMatchObject({ member: 11, site: 'standby', position: String(copy.json.position) });
    expect(await verbex(word)).toMatchObject({ code: 1, json: { error: { code: 'CLUSTER_EXISTS' } } });

    const bridge = new LocalBridge(here.folder);
    bridges.push(bridge);
    bridge.start(here.folder, there.folder);
    await load.goesOn();
    const switched = await verbex(['site', 'switch', '--from', here.folder, '--to', there.folder, '--json']);
    expect(switched.code, switched.err).toBe(0);
    expect(Number(switched.json.position)).toBeGreaterThan(copy.json.position as number);
    await load.goesOn();
    // Every order was answered, none was done twice, and no answer is missing between two others.
    expect(await load.settle()).toMatchObject({
      ...{ unanswered: 0, acceptedTwice: 0, tradesTwice: 0, endedSubscriptions: 0 },
    });
    const leader = (await there.statusOf(11, patientMs))!;
    expect(leader).toMatchObject({ site: 'active', role: 'leader', dataLossEpochs: '0' });
    expect(BigInt(leader.position)).toBeGreaterThan(BigInt(switched.json.position as string));
    await bridge.stop();
  });

  test('a drill: fifty kills and pauses, nothing acknowledged is lost, nothing is done twice', {
    timeout: 300_000,
  }, async () => {
    const args = ['drill', 'failover', '--kills', '34', '--pauses', '--json'];
    const { code, json, err } = await verbex(args);
    expect(code, err).toBe(0);
    expect(json).toMatchObject({ kills: 34, unanswered: 0, acknowledgedLost: 0, duplicateFills: 0 });
    expect(Number(json.acknowledged)).toBeGreaterThan(1000);
    const { p50, max } = json.failoverMs as { p50: number; max: number };
    expect(p50).toBeGreaterThan(0);
    console.info(`seed ${json.seed}: ${json.pauses} pauses, failover p50 ${p50} ms, max ${max} ms`);
  });
});
