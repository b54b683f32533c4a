/** `verbex cluster …`: a cluster on this machine: bring it up, look at it, break it, take it down. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LocalCluster, MemberView, NewCluster } from '../cluster/local-cluster.ts';
import type { OperatorWord } from '../native/cluster-types.ts';
import { clusterMemberCommand } from './cluster-member.ts';
import { type Command, type Option, type Positional, UsageError } from './command.ts';
import { type Output, table } from './output.ts';

const membersMax = 31;
const leaderMsMax = 20_000;
const site2Folder = 'site2';
const redrawMs = 500;
const lookMs = 20;

const dirOption: Option = {
  name: 'dir',
  value: 'DIR',
  fallback: './cluster',
  help: 'the folder that `cluster up` has made',
};
const memberPositional: Positional = { name: 'MEMBER', help: 'its number, or `leader`' };
const numberPositional: Positional = { name: 'MEMBER', help: 'its number' };

async function open(dir: string): Promise<LocalCluster> {
  const { LocalCluster } = await import('../cluster/local-cluster.ts');
  return LocalCluster.open(dir);
}

async function named(cluster: LocalCluster, name: string | undefined): Promise<number> {
  const { memberNamed } = await import('../cluster/local-cluster.ts');
  return await memberNamed(cluster, name ?? '');
}

/** hot: must acknowledge; warm: follows; out: evicted, by its result or by a word. */
function shareOf({ id, warm }: MemberView, views: readonly MemberView[]): string {
  const known = views
    .flatMap(({ status }) => (status === undefined ? [] : [status]))
    .reduce<MemberView['status']>(
      (most, one) => (most === undefined || BigInt(one.revision) > BigInt(most.revision) ? one : most),
      undefined,
    );
  if (known?.evicted.some((one) => one.id === id) === true) return 'out';
  if (known?.sync.includes(id) === true) return 'hot';
  return warm ? 'warm' : 'joining';
}

export function clusterTable(views: readonly MemberView[]): string {
  const rows = views.map((view) => {
    const { id, address, process, pid, status } = view;
    const role = status === undefined ? '-' : status.halted === '' ? status.role : `halted: ${status.halted}`;
    return [
      id,
      address,
      process,
      pid ?? '-',
      role,
      shareOf(view, views),
      status?.epoch ?? '-',
      status?.position ?? '-',
      status?.released ?? '-',
      status?.durable ?? '-',
      status?.resultHash.slice(0, 8) ?? '-',
      status?.clients ?? '-',
    ];
  });
  const heads = ['member', 'address', 'process', 'pid', 'role', 'share', 'epoch', 'position', 'released'];
  return table([...heads, 'durable', 'result', 'clients'], rows);
}

function answerOf(cluster: LocalCluster, views: readonly MemberView[]): Record<string, unknown> {
  const { name, ack, replicas, minSync, control } = cluster.description;
  return { name, folder: cluster.folder, control: control.kind, ack, replicas, minSync, members: views };
}

const upCommand: Command = {
  name: 'cluster up',
  summary: 'bring up a cluster on this machine, a process a member',
  options: [
    dirOption,
    {
      name: 'replicas',
      value: 'N',
      range: [1, membersMax],
      fallback: '3',
      help: 'hot members: each acknowledges every command, and their majority votes on every result',
    },
    {
      name: 'warm',
      value: 'N',
      range: [0, membersMax],
      fallback: '0',
      help: 'members that follow, and take the place of a hot one that is lost',
    },
    {
      name: 'ack',
      value: 'MODE',
      oneOf: ['memory', 'durable'],
      fallback: 'memory',
      help: 'acknowledge what is written, or only what is on disk',
    },
    {
      name: 'min-sync',
      value: 'N',
      range: [1, membersMax],
      fallback: '1',
      help: 'with fewer hot members no commands are taken',
    },
    {
      name: 'transport',
      value: 'NAME',
      oneOf: ['auto', 'tcp', 'shm', 'verbs'],
      fallback: 'auto',
      help: 'between members and to clients',
    },
    {
      name: 'control',
      value: 'KIND',
      oneOf: ['etcd', 'file'],
      help: 'where the configuration lies; default: etcd where it is installed',
    },
    { name: 'site2', help: 'a second cluster in DIR/site2, its standby, and a bridge to it' },
    { name: 'detach', help: 'answer once somebody leads, and leave it running' },
  ],
  notes: [
    'A folder that has a cluster.json already goes on with that: the options that make a new one are not looked at.',
    'On a terminal the members are shown until Ctrl-C takes the cluster down; with --detach, `verbex cluster down` does.',
  ],
  examples: [
    ['verbex cluster up --replicas 3 --warm 1', 'three hot members and a warm one, shown live'],
    ['verbex cluster up --replicas 3 --warm 1 --detach', 'the same, left running'],
    [
      'verbex cluster up --site2 --detach',
      'two sites; `verbex site switch --from cluster --to cluster/site2` changes them',
    ],
  ],
  async run(given, output) {
    const { LocalCluster } = await import('../cluster/local-cluster.ts');
    const dir = given.need('dir');
    const fresh = !LocalCluster.exists(dir);
    const control = given.text('control') as NewCluster['control'];
    const made: NewCluster = {
      replicas: given.integer('replicas') ?? 3,
      warm: given.integer('warm') ?? 0,
      ack: given.need('ack') as 'memory' | 'durable',
      minSync: given.integer('min-sync') ?? 1,
      transport: given.need('transport') as 'auto' | 'tcp' | 'shm' | 'verbs',
      ...(control !== undefined && { control }),
    };
    const cluster = fresh ? await LocalCluster.make(dir, made) : LocalCluster.open(dir);
    const site2 = join(cluster.folder, site2Folder);
    if (given.has('site2') && !LocalCluster.exists(site2))
      await LocalCluster.make(site2, { ...made, name: 'verbex-site2', standby: true });
    output.say(`${fresh ? 'made' : 'goes on with'} ${cluster.folder}/cluster.json`);
    if (fresh && cluster.etcd === undefined && control === undefined)
      output.say(
        '!! etcd is not installed (apt-get install etcd-server): the configuration lies in a folder, which is no arbiter between machines',
      );
    await cluster.start();
    const leader = await cluster.settle(leaderMsMax);
    const second = await secondSite(cluster);
    if (second !== undefined) {
      await second.start();
      await second.settle(leaderMsMax);
      await startBridge(cluster, second);
    }
    const views = await cluster.look();
    if (given.has('detach')) {
      output.answer({ ...answerOf(cluster, views), leader }, clusterTable(views));
      return 0;
    }
    await showUntilSignal(cluster, output);
    output.say('taking it down');
    await stopAll(cluster);
    const ended = await cluster.look();
    output.answer(answerOf(cluster, ended), clusterTable(ended));
    return 0;
  },
};

/** The second site of a cluster on this machine, if it has one. */
async function secondSite(cluster: LocalCluster): Promise<LocalCluster | undefined> {
  const { LocalCluster } = await import('../cluster/local-cluster.ts');
  const folder = join(cluster.folder, site2Folder);
  return LocalCluster.exists(folder) ? LocalCluster.open(folder) : undefined;
}

/** From whoever is active to the other one. */
async function startBridge(first: LocalCluster, second: LocalCluster): Promise<void> {
  const { LocalBridge } = await import('../cluster/local-bridge.ts');
  const [active] = (await second.admin.statuses()).filter(({ site }) => site === 'active');
  const [from, to] = active === undefined ? [first, second] : [second, first];
  new LocalBridge(first.folder).start(from.folder, to.folder);
}

async function stopAll(cluster: LocalCluster): Promise<void> {
  const { LocalBridge } = await import('../cluster/local-bridge.ts');
  await new LocalBridge(cluster.folder).stop();
  await (await secondSite(cluster))?.stop();
  await cluster.stop();
}

async function showUntilSignal(cluster: LocalCluster, output: Output): Promise<void> {
  const stopping = new AbortController();
  const stop = (): void => stopping.abort();
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  let drawn = 0;
  let before = '';
  while (!stopping.signal.aborted) {
    const views = await cluster.look();
    if (output.terminal) {
      const text = clusterTable(views);
      if (drawn > 0) process.stderr.write(`\x1b[${drawn}A\x1b[J`);
      output.say(text);
      drawn = text.split('\n').length;
    } else {
      // A line where something has changed, not where positions went on.
      const text = views
        .map((view) => `${view.id} ${view.process} ${view.status?.role ?? '-'} ${shareOf(view, views)}`)
        .join(', ');
      if (text !== before) output.say(text);
      before = text;
    }
    await sleep(redrawMs, undefined, { signal: stopping.signal }).catch(() => undefined);
  }
  process.off('SIGINT', stop);
  process.off('SIGTERM', stop);
}

const statusCommand: Command = {
  name: 'cluster status',
  summary: 'show every member of a cluster: its process, role, share and positions',
  options: [dirOption],
  examples: [
    ['verbex cluster status', 'a line a member'],
    ['verbex cluster status --json', 'everything that the members say of themselves'],
  ],
  async run(given, output) {
    const cluster = await open(given.need('dir'));
    const views = await cluster.look();
    output.answer(answerOf(cluster, views), clusterTable(views));
    return 0;
  },
};

const killCommand: Command = {
  name: 'cluster kill',
  summary: 'kill a member’s process with SIGKILL, as a crash would',
  positionals: [memberPositional],
  options: [dirOption],
  examples: [['verbex cluster kill leader', 'whoever leads; another one takes over']],
  async run(given, output) {
    const cluster = await open(given.need('dir'));
    const id = await named(cluster, given.positionals[0]);
    const { pid } = cluster.processOf(id);
    if (!cluster.signal(id, 'SIGKILL')) throw new UsageError(`member ${id} does not run`);
    while (cluster.processOf(id).state !== 'gone') await sleep(1);
    output.answer({ member: id, pid }, `member ${id} (process ${pid}) is killed`);
    return 0;
  },
};

const pauseCommand: Command = {
  name: 'cluster pause',
  summary: 'stop a member’s process where it stands, as a machine that hangs would',
  positionals: [memberPositional],
  options: [
    dirOption,
    {
      name: 'for',
      value: 'MS',
      range: [1, 600_000],
      help: 'go on after so long; default: at `cluster resume`',
    },
  ],
  examples: [['verbex cluster pause leader --for 1000', 'for a second: when it wakes, another one leads']],
  async run(given, output) {
    const cluster = await open(given.need('dir'));
    const id = await named(cluster, given.positionals[0]);
    const { pid } = cluster.processOf(id);
    if (!cluster.signal(id, 'SIGSTOP')) throw new UsageError(`member ${id} does not run`);
    const ms = given.integer('for');
    if (ms !== undefined) {
      await sleep(ms);
      cluster.signal(id, 'SIGCONT');
    }
    const done = ms === undefined ? 'is paused' : `was paused for ${ms} ms`;
    output.answer(
      { member: id, pid, ...(ms !== undefined && { pausedMs: ms }) },
      `member ${id} (process ${pid}) ${done}`,
    );
    return 0;
  },
};

const resumeCommand: Command = {
  name: 'cluster resume',
  summary: 'let a paused member go on',
  positionals: [numberPositional],
  options: [dirOption],
  examples: [['verbex cluster resume 2', 'the second member']],
  async run(given, output) {
    const cluster = await open(given.need('dir'));
    const id = await named(cluster, given.positionals[0]);
    const { pid } = cluster.processOf(id);
    if (!cluster.signal(id, 'SIGCONT')) throw new UsageError(`member ${id} does not run`);
    output.answer({ member: id, pid }, `member ${id} (process ${pid}) goes on`);
    return 0;
  },
};

const startCommand: Command = {
  name: 'cluster start',
  summary: 'start a member whose process is gone',
  positionals: [numberPositional],
  options: [dirOption],
  examples: [['verbex cluster start 1', 'the first member: it recovers its journal, closes the gap, joins']],
  async run(given, output) {
    const cluster = await open(given.need('dir'));
    const id = await named(cluster, given.positionals[0]);
    cluster.startMember(id);
    for (const until = performance.now() + leaderMsMax; performance.now() < until; await sleep(lookMs)) {
      if ((await cluster.statusOf(id)) !== undefined) {
        const { pid } = cluster.processOf(id);
        output.answer({ member: id, pid }, `member ${id} runs as process ${pid}`);
        return 0;
      }
      if (cluster.processOf(id).state === 'gone') break;
    }
    const { ClusterError } = await import('../errors/errors.ts');
    throw new ClusterError('MEMBER_NOT_STARTED', `member ${id} does not start:\n${cluster.logEnd(id)}`);
  },
};

function wordCommand(
  word: OperatorWord & string,
  summary: string,
  said: string,
  note: string,
  example: string,
): Command {
  return {
    name: `cluster ${word}`,
    summary,
    positionals: [numberPositional],
    options: [dirOption],
    notes: [note],
    examples: [[`verbex cluster ${word} 2`, example]],
    async run(given, output) {
      const cluster = await open(given.need('dir'));
      const id = await named(cluster, given.positionals[0]);
      // Only the member itself can say that its log is the one; everything else is the leader's to change.
      const { admin } = cluster;
      const asked = word === 'force' ? await admin.force(id) : await admin.tellLeader(word, id);
      output.answer({ member: id, asked }, `member ${id} ${said}`);
      return 0;
    },
  };
}

const promoteCommand = wordCommand(
  'promote',
  'hand leadership to another hot member',
  'is to lead',
  'The leader stops taking commands, waits until the other has everything, and lets it take over.',
  'the second member leads from now on',
);
const evictCommand = wordCommand(
  'evict',
  'put a member out of the cluster until `cluster readmit`',
  'is put out',
  'What a member does that has computed another result than the others, by hand.',
  'the second member is no longer counted',
);
const readmitCommand = wordCommand(
  'readmit',
  'let an evicted member in again, as a warm one',
  'may come in again',
  'A member that has computed something else comes back on this word only. It rebuilds its state first.',
  'the second member follows again, and becomes hot where one is wanted',
);
const forceCommand = wordCommand(
  'force',
  'lead from this member’s log alone, whatever the others have: may lose acknowledged commands',
  'leads from its own log: an epoch of data loss',
  'Where everything else is lost. The configuration counts it as an epoch of data loss. Never while a member of the last sync set could be had back.',
  'the second member’s log is the truth',
);

const downCommand: Command = {
  name: 'cluster down',
  summary: 'end all members cleanly, then the control store',
  options: [dirOption],
  examples: [['verbex cluster down', 'what `cluster up --detach` has started']],
  async run(given, output) {
    const cluster = await open(given.need('dir'));
    await stopAll(cluster);
    const views = await cluster.look();
    output.answer(answerOf(cluster, views), clusterTable(views));
    return 0;
  },
};

export const clusterCommands: readonly Command[] = [
  upCommand,
  statusCommand,
  killCommand,
  pauseCommand,
  resumeCommand,
  startCommand,
  promoteCommand,
  evictCommand,
  readmitCommand,
  forceCommand,
  downCommand,
  clusterMemberCommand,
];
