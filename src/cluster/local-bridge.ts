// LocalBridge: the bridge between two clusters of this machine, as a process of the first one's folder.
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { memberProgram } from './local-cluster.ts';
import {
  markOf,
  type ProcessState,
  readMark,
  removeMark,
  signalTo,
  stateOf,
  writeMark,
} from './process-mark.ts';

const stopMsMax = 5000;

export class LocalBridge {
  readonly #pidFile: string;
  readonly #logFile: string;

  constructor(folder: string) {
    this.#pidFile = join(folder, 'bridge.pid');
    this.#logFile = join(folder, 'bridge.log');
  }

  state(): ProcessState {
    const mark = readMark(this.#pidFile);
    return mark === undefined ? 'gone' : stateOf(mark);
  }

  /** Unless it runs already. `from` and `to`: folders of clusters. */
  start(from: string, to: string): void {
    if (this.state() !== 'gone') return;
    const log = openSync(this.#logFile, 'a');
    try {
      const args = [memberProgram(), 'cluster', 'bridge', '--from', from, '--to', to];
      const child = spawn(process.execPath, args, { detached: true, stdio: ['ignore', log, log] });
      child.unref();
      const mark = child.pid === undefined ? undefined : markOf(child.pid);
      if (mark !== undefined) writeMark(this.#pidFile, mark);
    } finally {
      closeSync(log);
    }
  }

  async stop(): Promise<void> {
    const mark = readMark(this.#pidFile);
    if (mark === undefined) return;
    signalTo(mark, 'SIGTERM');
    for (const until = performance.now() + stopMsMax; stateOf(mark) !== 'gone'; await sleep(20)) {
      if (performance.now() > until) signalTo(mark, 'SIGKILL');
    }
    removeMark(this.#pidFile);
  }

  kill(): void {
    const mark = readMark(this.#pidFile);
    if (mark !== undefined) signalTo(mark, 'SIGKILL');
  }
}
