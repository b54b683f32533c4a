// A drill that stops in the middle: with a cluster and a load that are none.
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { type DrilledCluster, FailoverDrill } from '../../src/cluster/failover-drill.ts';
import type { MemberView } from '../../src/cluster/local-cluster.ts';
import type { MemberStatus } from '../../src/cluster/member-status.ts';
import type { NativeClusterLoad, NativeClusterLoadConstructor } from '../../src/native/cluster-types.ts';

class QuickLoad implements NativeClusterLoad {
  #acknowledged = 0;
  stopped = false;
  run = (): Promise<string> => Promise.resolve('{}');
  verify = (): Promise<string> => Promise.resolve('{}');
  progress = (): string => JSON.stringify({ acknowledged: ++this.#acknowledged });
  gap = (): number => 0;
  stop = (): void => {
    this.stopped = true;
  };
}

/** Two members, of which one leads; once one is killed the other takes no part any more. */
class FailingCluster {
  readonly ids = [1, 2];
  readonly description = { name: 'drilled', members: [], transport: 'tcp', replicas: 2, limits: {} };
  readonly started: number[] = [];
  isGone = false;
  #isKilled = false;

  look(): Promise<MemberView[]> {
    return Promise.resolve(this.ids.map((id) => ({ id, status: this.#statusOf(id) }) as MemberView));
  }
  signal(): boolean {
    this.#isKilled = true;
    return true;
  }
  processOf(): { state: 'gone' | 'running'; pid: undefined } {
    return { state: this.isGone ? 'gone' : 'running', pid: undefined };
  }
  startMember(id: number): void {
    this.started.push(id);
  }
  statusOf(id: number): Promise<MemberStatus | undefined> {
    return Promise.resolve(this.#statusOf(id));
  }
  waitForLeader(): Promise<number> {
    return Promise.resolve(1);
  }
  logEnd(): string {
    return '';
  }
  #statusOf(id: number): MemberStatus {
    const halted = this.#isKilled ? 'it has flipped' : '';
    const role = id === 1 ? 'leader' : 'follower';
    return {
      id,
      role,
      halted,
      leader: 1,
      sync: [1, 2],
      epoch: '1',
      promised: '1',
    } as unknown as MemberStatus;
  }
}

test('who drills ends the cluster: a member that was still to be brought back is not started after that', async () => {
  const cluster = new FailingCluster();
  const plan = { kills: 1, pauses: false, seed: 7, ordersPerSecond: 0 };
  const Load = QuickLoad as unknown as NativeClusterLoadConstructor;
  const drill = new FailoverDrill(Load, cluster as unknown as DrilledCluster, plan);
  await expect(drill.run()).rejects.toThrow('it has flipped');
  // As killAll() leaves them: what was waited for is gone now.
  cluster.isGone = true;
  await sleep(1000);
  expect(cluster.started).toEqual([]);
});
