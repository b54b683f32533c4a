/** `verbex doctor`: what this machine has, what is wrong with it for an exchange node, and what to change. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fromNative } from '../errors/errors.ts';
import type { Command } from './command.ts';
import {
  commandOf,
  type Disk,
  disk,
  holderOf,
  infiniband,
  memory,
  processor,
  programVersion,
} from './doctor-probes.ts';
import { folderOption, folderPositional } from './offline.ts';
import { facts, grouped, placeText } from './output.ts';

const freeBytesMin = 1 << 30;
const fsyncMicrosMax = 2000;
const memoryBytesMin = 1 << 30;
const nodeMin = [20, 19] as const;

interface Finding {
  /** bad: a node does not run; advice: it runs, less well than it could. */
  readonly kind: 'bad' | 'advice';
  readonly what: string;
  readonly change: string;
}

interface AddonFacts {
  readonly loaded: boolean;
  readonly version?: string;
  readonly compiler?: string;
  readonly problem?: string;
}

interface FolderFacts {
  readonly state: 'none' | 'sound' | 'in use' | 'damaged' | 'unreadable';
  readonly detail?: string;
  readonly journal?: unknown;
}

export const doctorCommand: Command = {
  name: 'doctor',
  summary: 'look at this machine and at a data folder, and say what to change',
  positionals: [folderPositional],
  options: [folderOption],
  notes: ['Exit code 0: a node runs here, perhaps with advice; 1: it does not; 65: the journal is damaged.'],
  examples: [
    ['verbex doctor', 'this machine and ./data'],
    ['verbex doctor /var/lib/verbex --json | tail -1', 'another folder, for a program'],
  ],
  async run(given, output) {
    const folder = given.positionals[0] ?? given.need('data');
    const machine = {
      processor: processor(),
      memory: memory(),
      disk: disk(folder),
      infiniband: infiniband(),
    };
    const addon = await addonFacts();
    const state = addon.loaded
      ? await folderFacts(folder)
      : ({ state: 'unreadable', detail: 'the addon is not there' } as const);
    const compiler = programVersion(process.env.CXX ?? 'c++');
    const plan = addon.loaded ? await automaticPlan() : undefined;
    const findings = [
      ...findingsOf(machine),
      ...addonFindings(addon, compiler),
      ...folderFindings(folder, state),
    ];
    const bad = findings.filter(({ kind }) => kind === 'bad');
    output.answer(
      {
        ok: bad.length === 0,
        node: process.version,
        addon,
        compiler: compiler ?? null,
        plan: plan ?? null,
        ...machine,
        data: state,
        findings,
      },
      [
        facts([
          ['Node', process.version],
          [
            'addon',
            addon.loaded ? `${addon.version}, built by ${addon.compiler}` : `not loaded: ${addon.problem}`,
          ],
          ['compiler here', compiler ?? 'none'],
          ['thread plan', planText(plan)],
          ...machineRows(machine),
          [
            'data folder',
            `${folder}: ${state.state}${state.detail === undefined ? '' : `, ${state.detail}`}`,
          ],
        ]),
        '',
        findings.length === 0
          ? 'Nothing to change.'
          : findings
              .map(({ kind, what, change }) => `${kind === 'bad' ? '✗' : '·'} ${what}\n    ${change}`)
              .join('\n'),
      ].join('\n'),
    );
    if (state.state === 'damaged') return 65;
    return bad.length === 0 ? 0 : 1;
  },
};

/** What `--plan auto` means here. */
interface AutomaticPlan {
  readonly name: string;
  readonly threads: number;
  readonly spinNs: number;
  readonly cores: number;
}

async function automaticPlan(): Promise<AutomaticPlan> {
  const { threadPlan } = await import('../native/binding.ts');
  return JSON.parse(threadPlan('auto')) as AutomaticPlan;
}

function planText(plan: AutomaticPlan | undefined): string {
  if (plan === undefined) return 'unknown';
  const { name, threads, spinNs, cores } = plan;
  return `auto is ${name} on ${cores} usable cores: ${threads} thread${threads === 1 ? '' : 's'}, each looks for work for ${spinNs / 1000} µs before it sleeps`;
}

interface Machine {
  readonly processor: ReturnType<typeof processor>;
  readonly memory: ReturnType<typeof memory>;
  readonly disk: Disk;
  readonly infiniband: ReturnType<typeof infiniband>;
}

function machineRows({
  processor: cpu,
  memory: ram,
  disk: store,
  infiniband: ib,
}: Machine): [string, string][] {
  const gibibytes = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
  return [
    ['processor', `${cpu.model}, ${cpu.cores} cores, ${cpu.architecture}`],
    ['CRC32 instruction', cpu.crc32 ? 'yes' : 'no'],
    ['governor', cpu.governor],
    ['clock source', cpu.clockSource],
    ['memory', `${gibibytes(ram.totalBytes)}, ${gibibytes(ram.availableBytes)} available`],
    ['huge pages', ram.hugePages],
    [
      'lockable memory',
      typeof ram.memlockBytes === 'number' ? `${grouped(ram.memlockBytes)} bytes` : ram.memlockBytes,
    ],
    ['file system', `${store.fileSystem}, ${gibibytes(store.freeBytes)} free`],
    [
      'direct I/O',
      store.direct === undefined ? 'unknown' : store.direct ? 'works' : 'not on this file system',
    ],
    [
      'fsync',
      store.fsyncMedianMicros === undefined
        ? `unknown: ${store.problem}`
        : `${grouped(store.fsyncMedianMicros)} µs (median of 20)`,
    ],
    [
      'InfiniBand',
      `${ib.library ? 'libibverbs' : 'no libibverbs'}, ${ib.devices.length === 0 ? 'no device' : ib.devices.join(' ')}`,
    ],
  ];
}

async function addonFacts(): Promise<AddonFacts> {
  try {
    const { version, compiler } = await import('../native/binding.ts');
    return { loaded: true, version, compiler };
  } catch (error) {
    return { loaded: false, problem: (error as Error).message };
  }
}

async function folderFacts(folder: string): Promise<FolderFacts> {
  if (!existsSync(join(folder, 'journal'))) return { state: 'none', detail: 'a node would create it' };
  const holder = holderOf(folder);
  if (holder !== undefined) return { state: 'in use', detail: `by process ${holder} (${commandOf(holder)})` };
  try {
    const { journalVerify } = await import('../native/binding.ts');
    return { state: 'sound', journal: JSON.parse(await journalVerify(folder)) };
  } catch (error) {
    const known = fromNative(error);
    const place = 'place' in known ? (known.place as Record<string, unknown> | undefined) : undefined;
    const detail = `${known.code}: ${known.message}${place === undefined ? '' : ` at ${placeText(place)}`}`;
    return { state: known.code === 'JOURNAL_DAMAGED' ? 'damaged' : 'unreadable', detail };
  }
}

function findingsOf({ processor: cpu, memory: ram, disk: store, infiniband: ib }: Machine): Finding[] {
  const found: Finding[] = [];
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const say = (kind: Finding['kind'], when: boolean, what: string, change: string): void => {
    if (when) found.push({ kind, what, change });
  };
  say(
    'bad',
    major < nodeMin[0] || (major === nodeMin[0] && minor < nodeMin[1]),
    `Node ${process.version} is too old`,
    'install Node 20.19 or newer',
  );
  say(
    'bad',
    process.platform !== 'linux',
    `${process.platform} is not Linux`,
    'run it on Linux, x64 or arm64',
  );
  say(
    'bad',
    store.problem !== undefined,
    `${store.folder} cannot be written: ${store.problem}`,
    'give a folder that this user may write',
  );
  say(
    'bad',
    store.freeBytes < freeBytesMin,
    'less than 1 GiB free where the journal lies',
    'free some, or put the data folder elsewhere',
  );
  say(
    'advice',
    !cpu.crc32,
    'no CRC32 instruction: checksums are computed by table, several times slower',
    'any x64 with SSE 4.2 or arm64 with CRC has it',
  );
  say('advice', cpu.cores < 2, 'one core only: engine and JavaScript take turns', 'two cores or more');
  say(
    'advice',
    !['performance', 'unknown'].includes(cpu.governor),
    `the governor "${cpu.governor}" lets the clock sink`,
    'cpupower frequency-set -g performance',
  );
  say(
    'advice',
    !['tsc', 'arch_sys_counter', 'kvm-clock', 'unknown'].includes(cpu.clockSource),
    `clock source "${cpu.clockSource}" is slow to read`,
    'boot with clocksource=tsc where the processor has an invariant one',
  );
  say(
    'advice',
    ram.hugePages === 'never',
    'transparent huge pages are off',
    'echo madvise > /sys/kernel/mm/transparent_hugepage/enabled',
  );
  say(
    'advice',
    ram.availableBytes > 0 && ram.availableBytes < memoryBytesMin,
    'less than 1 GiB of memory available',
    'stop something, or lower --max-orders and --max-client-ids',
  );
  say(
    'advice',
    store.direct === false,
    `${store.fileSystem} has no direct I/O: the journal goes through the page cache`,
    'ext4 or xfs on a local disk has it',
  );
  say(
    'advice',
    ['tmpfs', 'ramfs'].includes(store.fileSystem),
    `${store.fileSystem} forgets everything when the machine stops`,
    'put the data folder on a disk',
  );
  say(
    'advice',
    (store.fsyncMedianMicros ?? 0) > fsyncMicrosMax,
    `fsync takes ${grouped(store.fsyncMedianMicros ?? 0)} µs: that is what durability "durable" waits for`,
    'a disk with power loss protection answers in tens of µs',
  );
  const small = typeof ram.memlockBytes === 'number' && ram.memlockBytes < 64 * 2 ** 20;
  say(
    'advice',
    ib.devices.length > 0 && small,
    'an InfiniBand device, and too little lockable memory for it',
    'ulimit -l unlimited, or LimitMEMLOCK=infinity in the unit',
  );
  say(
    'advice',
    ib.devices.length > 0 && !ib.library,
    'an InfiniBand device without libibverbs',
    'apt-get install libibverbs1 ibverbs-providers',
  );
  return found;
}

function addonFindings(addon: AddonFacts, compiler: string | undefined): Finding[] {
  if (addon.loaded) return [];
  const change =
    compiler === undefined
      ? 'install a C++20 compiler (apt-get install g++ make), then npm run setup'
      : 'npm run setup';
  return [{ kind: 'bad', what: `the addon cannot be loaded: ${addon.problem}`, change }];
}

function folderFindings(folder: string, { state, detail }: FolderFacts): Finding[] {
  if (state === 'damaged') {
    return [
      {
        kind: 'bad',
        what: `the journal of ${folder} is damaged: ${detail}`,
        change: 'restore the folder from a copy; nothing is guessed or repaired in silence',
      },
    ];
  }
  if (state !== 'unreadable' || detail === undefined) return [];
  return [
    {
      kind: 'bad',
      what: `${folder} cannot be verified: ${detail}`,
      change: 'see what the code says in docs/errors.md',
    },
  ];
}
