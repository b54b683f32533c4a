/** `verbex role` and `verbex roles …`: a sequencer, risk and matching as processes of their own (docs/roles.md). */
import { setTimeout as sleep } from 'node:timers/promises';
import type { LocalRoles, RoleView } from '../cluster/local-roles.ts';
import type { Command, Option } from './command.ts';
import { UsageError } from './command.ts';
import { type Output, table } from './output.ts';

const shardsMax = 16;
const wholeMsMax = 60_000;
const lookMs = 200;

const dirPositional = { name: 'DIR', help: 'the folder that `roles up` has made' };
const dirOption: Option = { name: 'dir', value: 'DIR', fallback: './roles', help: 'where it lies' };

const roleCommand: Command = {
  name: 'role',
  summary: 'run one process of a deployment in roles, in the foreground',
  positionals: [{ name: 'ROLE', help: '`sequencer`, `risk` or `matching`' }],
  options: [
    { name: 'config', value: 'FILE', fallback: './roles.json', help: 'the deployment (docs/roles.md)' },
    {
      name: 'shard',
      value: 'N',
      range: [0, shardsMax - 1],
      fallback: '0',
      help: 'which of the sequencers, risk or matching processes this one is',
    },
  ],
  notes: [
    'Lines on standard output say what it does. SIGTERM and Ctrl-C end it cleanly, a second one at once. Processes start in any order: risk and matching dial the sequencer until it answers.',
  ],
  examples: [
    ['verbex role sequencer --config /etc/verbex/roles.json', 'the sequencer, here'],
    ['verbex role sequencer --shard 1 --config /etc/verbex/roles.json', 'the second of a pair'],
    ['verbex role risk --shard 1 --config /etc/verbex/roles.json', 'the second risk process'],
  ],
  async run(given, output) {
    const { nameOf, placeOf, readRoles } = await import('../cluster/roles-description.ts');
    const { RoleProcess, sentenceOf } = await import('../cluster/role-process.ts');
    const { exitForced } = await import('../errors/exit-codes.ts');
    const description = readRoles(given.need('config'));
    const place = placeOf(description, given.positionals[0] ?? '', given.integer('shard') ?? 0);
    const { NativeRole } = await import('../native/binding.ts');
    // Standard output is a file or a pipe that lives as long as we do.
    const log = (sentence: string): void => {
      process.stdout.write(`${new Date().toISOString()} ${sentence}\n`);
    };
    let stopping = false;
    const stopped = new Promise<void>((resolve) => {
      for (const signal of ['SIGTERM', 'SIGINT'] as const) {
        process.on(signal, () => {
          if (stopping) process.exit(exitForced);
          stopping = true;
          resolve();
        });
      }
    });
    const running = await RoleProcess.start(NativeRole, description, place, log);
    await stopped;
    const status = running.status();
    await running.close();
    output.answer(
      { ...status },
      `${new Date().toISOString()} ${nameOf(place)} closed; it was: ${sentenceOf(status)}`,
    );
    return 0;
  },
};

async function rolesTable(views: readonly RoleView[]): Promise<string> {
  const { sentenceOf } = await import('../cluster/role-process.ts');
  const rows = views.map(({ name, process, pid, status }) => {
    const position = status?.role === 'sequencer' ? status.released : status?.position;
    const snapshot = status?.snapshots?.newest;
    const says = status === undefined ? '-' : sentenceOf(status);
    return [name, process, pid ?? '-', position ?? '-', snapshot ?? '-', says];
  });
  return table(['role', 'process', 'pid', 'position', 'snapshot', 'says'], rows);
}

const upCommand: Command = {
  name: 'roles up',
  summary: 'bring up a sequencer, risk and matching processes on this machine',
  options: [
    dirOption,
    {
      name: 'sequencers',
      value: 'N',
      range: [1, 5],
      fallback: '1',
      help: 'sequencers; with two, one takes over',
    },
    {
      name: 'etcd',
      value: 'URL',
      help: 'with several sequencers: they agree there on who leads, not in a folder',
    },
    { name: 'risk', value: 'N', range: [1, shardsMax], fallback: '2', help: 'risk processes' },
    { name: 'matching', value: 'N', range: [1, shardsMax], fallback: '2', help: 'matching processes' },
    {
      name: 'transport',
      value: 'NAME',
      oneOf: ['auto', 'tcp', 'shm', 'verbs'],
      fallback: 'auto',
      help: 'between roles and to clients',
    },
    { name: 'rate', value: 'N', range: [1, 1_000_000], help: 'send orders: so many a second' },
    {
      name: 'seconds',
      value: 'N',
      range: [1, 86_400],
      fallback: '10',
      help: 'with --rate: for so long, then end',
    },
  ],
  notes: [
    'A folder that has a roles.json already goes on with that: the options that make a new one are not looked at.',
    'A process that dies is started again. Ctrl-C and SIGTERM end all of them.',
  ],
  examples: [
    ['verbex roles up --risk 2 --matching 2', 'five processes, until Ctrl-C'],
    ['verbex roles up --sequencers 2', 'a dispatcher pair: `roles kill ./roles sequencer`, and orders go on'],
    ['verbex roles up --rate 500 --seconds 10', 'the same under orders, then what became of them'],
  ],
  async run(given, output) {
    const { LocalRoles } = await import('../cluster/local-roles.ts');
    const dir = given.need('dir');
    const fresh = !LocalRoles.exists(dir);
    const etcd = given.text('etcd');
    const roles = fresh
      ? await LocalRoles.make(dir, {
          sequencers: given.integer('sequencers') ?? 1,
          risk: given.integer('risk') ?? 2,
          matching: given.integer('matching') ?? 2,
          transport: given.need('transport') as 'auto' | 'tcp' | 'shm' | 'verbs',
          ...(etcd !== undefined && { control: { kind: 'etcd', endpoints: [etcd] } }),
        })
      : LocalRoles.open(dir);
    output.say(`${fresh ? 'made' : 'goes on with'} ${roles.folder}/roles.json`);
    const stopping = new AbortController();
    const stop = (): void => stopping.abort();
    process.once('SIGINT', stop);
    process.once('SIGTERM', stop);
    let counts: Record<string, unknown> | undefined;
    try {
      const watching = watch(roles, stopping.signal, output);
      const rate = given.integer('rate');
      const loading =
        rate === undefined ? undefined : load(roles, rate, given.integer('seconds') ?? 10, stopping);
      // Whichever fails first ends the other.
      for (const work of [watching, loading]) work?.catch(stop);
      counts = await loading;
      await watching;
    } finally {
      process.off('SIGINT', stop);
      process.off('SIGTERM', stop);
      output.say('taking it down');
      await roles.stop();
    }
    const text = counts === undefined ? 'ended' : JSON.stringify(counts);
    output.answer({ folder: roles.folder, ...(counts !== undefined && { load: counts }) }, text);
    return 0;
  },
};

/** Starts whatever does not run, again and again, and says what changes. */
async function watch(roles: LocalRoles, stopping: AbortSignal, output: Output): Promise<void> {
  const { nameOf } = await import('../cluster/roles-description.ts');
  const { sentenceOf } = await import('../cluster/role-process.ts');
  const said = new Map<string, string>();
  while (!stopping.aborted) {
    for (const place of roles.start()) output.say(`${nameOf(place)} is started`);
    for (const { name, pid, status } of roles.look()) {
      if (status === undefined) continue;
      const sentence = `${name} (process ${pid}): ${sentenceOf(status)}`;
      if (said.get(name) !== sentence) output.say(sentence);
      said.set(name, sentence);
    }
    await sleep(lookMs, undefined, { signal: stopping }).catch(() => undefined);
  }
}

async function waitUntilWhole(roles: LocalRoles, stopping: AbortSignal): Promise<void> {
  const { ClusterError } = await import('../errors/errors.ts');
  for (const until = performance.now() + wholeMsMax; !roles.whole && !stopping.aborted; await sleep(20)) {
    if (performance.now() > until)
      throw new ClusterError(
        'MEMBER_NOT_STARTED',
        `not all roles take part after ${wholeMsMax} ms; logs: ${roles.folder}`,
      );
  }
}

/** Orders for so long, then the end; what its ledger counts. */
async function load(
  roles: LocalRoles,
  rate: number,
  seconds: number,
  stopping: AbortController,
): Promise<Record<string, unknown>> {
  await waitUntilWhole(roles, stopping.signal);
  const { NativeClusterLoad } = await import('../native/binding.ts');
  const { name, transport, limits } = roles.description;
  const { keyOf, tlsOf } = await import('../cluster/member-process.ts');
  const key = keyOf(roles.description);
  const orders = new NativeClusterLoad({
    ...{ members: roles.membersText, cluster: name, transport, ordersPerSecond: rate, ...limits },
    ...(key !== undefined && { key }),
    ...tlsOf(roles.description),
  });
  const running = orders.run();
  await Promise.race([running, sleep(seconds * 1000, undefined, { signal: stopping.signal })]).catch(
    () => undefined,
  );
  orders.stop();
  const counts = JSON.parse(await running) as Record<string, unknown>;
  stopping.abort();
  return counts;
}

const statusCommand: Command = {
  name: 'roles status',
  summary: 'show every process of a deployment in roles on this machine',
  positionals: [dirPositional],
  examples: [['verbex roles status ./roles', 'a line a process']],
  async run(given, output) {
    const { LocalRoles } = await import('../cluster/local-roles.ts');
    const roles = LocalRoles.open(given.positionals[0] ?? '');
    const { name, sequencers, risk, matching, transport } = roles.description;
    const views = roles.look();
    output.answer(
      { name, folder: roles.folder, sequencers: sequencers.length, risk, matching, transport, roles: views },
      await rolesTable(views),
    );
    return 0;
  },
};

const killCommand: Command = {
  name: 'roles kill',
  summary: 'kill a process of a deployment in roles with SIGKILL, as a crash would',
  positionals: [dirPositional, { name: 'ROLE', help: '`sequencer`, `sequencer:1`, `risk:1`, `matching:0`' }],
  examples: [['verbex roles kill ./roles risk:1', 'the second risk process; `roles up` starts it again']],
  async run(given, output) {
    const { LocalRoles } = await import('../cluster/local-roles.ts');
    const { nameOf, placeNamed } = await import('../cluster/roles-description.ts');
    const roles = LocalRoles.open(given.positionals[0] ?? '');
    const place = placeNamed(roles.description, given.positionals[1] ?? '');
    const { pid } = roles.processOf(place);
    if (!roles.signal(place, 'SIGKILL')) throw new UsageError(`${nameOf(place)} does not run`);
    while (roles.processOf(place).pid === pid) await sleep(1);
    output.answer({ role: nameOf(place), pid }, `${nameOf(place)} (process ${pid}) is killed`);
    return 0;
  },
};

export const roleCommands: readonly Command[] = [roleCommand, upCommand, statusCommand, killCommand];
