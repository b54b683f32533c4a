/** What every drill does around its work: a cluster of its own is started, and ended however the drill ends. */
import { rmSync } from 'node:fs';
import type { LocalCluster } from '../cluster/local-cluster.ts';
import type { Output } from './output.ts';

const leaderMsMax = 30_000;

export interface DrilledCluster {
  readonly cluster: LocalCluster;
  readonly seed: number;
  /** Its folder stays, whatever became of it. */
  readonly keep: boolean;
  /** At the very end, members and control store are gone then. */
  readonly afterwards?: () => void;
}

/**
 * Answers the drill's exit code. `work` says whether all is as it should be; where it is not, the folder stays.
 * Ctrl-C and SIGTERM let `work` come to its end early.
 */
export async function onCluster(
  { cluster, seed, keep, afterwards = () => undefined }: DrilledCluster,
  output: Output,
  work: (stopping: AbortSignal) => Promise<boolean>,
): Promise<number> {
  output.say(`seed ${seed}, in ${cluster.folder}`);
  const stopping = new AbortController();
  const stop = (): void => stopping.abort();
  const killAll = (): void => {
    cluster.killAll();
    afterwards();
  };
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  process.once('exit', killAll);
  let clean = false;
  try {
    await cluster.start();
    await cluster.settle(leaderMsMax);
    clean = await work(stopping.signal);
    return clean ? 0 : 1;
  } finally {
    process.off('SIGINT', stop);
    process.off('SIGTERM', stop);
    process.off('exit', killAll);
    if (clean) await cluster.stop();
    killAll();
    if (clean && !keep) rmSync(cluster.folder, { recursive: true, force: true });
    else output.say(`the cluster’s folder: ${cluster.folder}`);
  }
}
