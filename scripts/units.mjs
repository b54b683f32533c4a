// npm run test:units: the systemd units of deploy/ under systemd itself, as process 1 of namespaces of its own over a copy of this
// machine's files (scripts/units/boot.sh): members start, the leader is killed, all are upgraded one after the other, one gets
// a configuration that is none, all stop and go on (scripts/units/drill.mjs). As root, where systemd and util-linux are installed and dist/
// is built; the last line is JSON. Nothing of this machine's own is touched or left behind.
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findProgram, main, root, run, StepFailed } from './steps/console.mjs';

const timeoutMs = 5 * 60_000;

await main(async () => {
  if (process.getuid?.() !== 0)
    throw new StepFailed('test:units makes namespaces and mounts: run it as root');
  for (const program of ['/lib/systemd/systemd', 'unshare', 'useradd', 'ip']) {
    if (findProgram(program) === undefined) throw new StepFailed(`test:units needs ${program}`);
  }
  const work = mkdtempSync(join(tmpdir(), 'verbex-units-'));
  try {
    const boot = ['bash', join(root, 'scripts', 'units', 'boot.sh'), work, root, process.execPath];
    const namespaces = ['--fork', '--pid', '--mount', '--uts', '--ipc', '--net', '--cgroup', '--kill-child'];
    const { code, timedOut } = await run('unshare', [...namespaces, ...boot], {
      output: 'inherit',
      timeoutMs,
    });
    if (timedOut) throw new StepFailed('the units took too long');
    return code === 0 ? 0 : 1;
  } finally {
    // What was mounted there went with its namespace.
    rmdirSync(work);
  }
});
