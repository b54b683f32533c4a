// The doctor's look at hardware, on trees of files that stand for machines.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { Finding } from '../../src/cli/doctor/finding.ts';
import { type Memory, memory, memoryRows } from '../../src/cli/doctor/memory.ts';
import { processor, processorFindings, processorRows } from '../../src/cli/doctor/processor.ts';
import { type Rdma, rdma, roceMtu } from '../../src/cli/doctor/rdma.ts';
import { rdmaFindings, rdmaRows } from '../../src/cli/doctor/rdma-findings.ts';
import { processorSet, SystemTree } from '../../src/cli/doctor/system-tree.ts';

const base = mkdtempSync(join(tmpdir(), 'verbex-doctor-'));
afterAll(() => rmSync(base, { recursive: true, force: true }));

type Files = Readonly<Record<string, string>>;
let trees = 0;

function tree(...parts: readonly Files[]): SystemTree {
  const root = join(base, String(trees++));
  for (const [path, text] of Object.entries(Object.assign({}, ...parts) as Files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), `${text}\n`);
  }
  return new SystemTree(root);
}

/** Everything below one folder. */
function under(folder: string, files: Files): Files {
  return Object.fromEntries(Object.entries(files).map(([path, text]) => [`${folder}/${path}`, text]));
}

const providers: Files = { 'etc/libibverbs.d/mlx5.driver': 'driver mlx5', 'etc/libibverbs.d/rxe.driver': '' };
const twoNodes: Files = {
  'sys/devices/system/node/node0/cpulist': '0-7',
  'sys/devices/system/node/node1/cpulist': '8-15',
  'proc/self/status': 'Name:\tnode\nCpus_allowed_list:\t0-15',
};

function verbsFile(device: string): Files {
  return { 'sys/class/infiniband_verbs/uverbs0/ibdev': device, 'dev/infiniband/uverbs0': '' };
}

const empty = '0000:0000:0000:0000:0000:0000:0000:0000';

const infiniband: Files = {
  ...providers,
  ...twoNodes,
  ...verbsFile('mlx5_0'),
  ...under('sys/class/infiniband/mlx5_0', {
    'device/numa_node': '1',
    'device/current_link_speed': '16.0 GT/s PCIe',
    'device/current_link_width': '16',
    'device/max_link_speed': '16.0 GT/s PCIe',
    'device/max_link_width': '16',
    'ports/1/state': '4: ACTIVE',
    'ports/1/phys_state': '5: LinkUp',
    'ports/1/link_layer': 'InfiniBand',
    'ports/1/rate': '100 Gb/sec (4X EDR)',
    'ports/1/lid': '0x1a',
    'ports/1/gids/0': 'fe80:0000:0000:0000:b859:9f03:00d4:1e3a',
    'ports/1/gids/1': empty,
    'ports/1/gid_attrs/types/0': 'IB/RoCE v1',
  }),
};

const roce: Files = {
  ...providers,
  ...verbsFile('mlx5_0'),
  'sys/class/net/eth1/mtu': '1500',
  ...under('sys/class/infiniband/mlx5_0', {
    'device/numa_node': '-1',
    'ports/1/state': '4: ACTIVE',
    'ports/1/phys_state': '5: LinkUp',
    'ports/1/link_layer': 'Ethernet',
    'ports/1/rate': '25 Gb/sec (1X EDR)',
    'ports/1/lid': '0x0',
  }),
  ...under(
    'sys/class/infiniband/mlx5_0/ports/1',
    Object.assign(
      {},
      ...[
        ['fe80:0000:0000:0000:b859:9fff:fed4:1e3a', 'IB/RoCE v1'],
        ['fe80:0000:0000:0000:b859:9fff:fed4:1e3a', 'RoCE v2'],
        ['0000:0000:0000:0000:0000:ffff:0a63:0001', 'IB/RoCE v1'],
        ['0000:0000:0000:0000:0000:ffff:0a63:0001', 'RoCE v2'],
        [empty, ''],
      ].map(([gid, type], at) => ({
        [`gids/${at}`]: gid,
        [`gid_attrs/types/${at}`]: type,
        [`gid_attrs/ndevs/${at}`]: 'eth1',
      })),
    ) as Files,
  ),
};

const plentyLocked: Memory = {
  totalBytes: 2 ** 35,
  availableBytes: 2 ** 34,
  hugePages: 'madvise',
  hugetlb: { total: 0, free: 0, pageBytes: 2 ** 21 },
  memlockBytes: 'unlimited',
};

const loads = { libraryProblem: () => undefined, deviceInfo: () => undefined };

function said(facts: Rdma, ram: Memory = plentyLocked): string[] {
  return rdmaFindings(facts, ram).map(({ kind, what }) => `${kind}: ${what}`);
}

function changeOf(findings: readonly Finding[], what: RegExp): string | undefined {
  return findings.find((finding) => what.test(finding.what))?.change;
}

describe('doctor: InfiniBand', () => {
  test('a device in order: its facts, and only the far cores to speak of', () => {
    const facts = rdma(tree(infiniband), {
      ...loads,
      deviceInfo: () =>
        'hca_id:\tmlx5_0\n\t\tport:\t1\n\t\t\tmax_mtu:\t4096 (5)\n\t\t\tactive_mtu:\t2048 (4)\n',
    });
    expect(facts).toMatchObject({
      library: { loadable: true, providers: ['mlx5', 'rxe'] },
      numaNodes: 2,
      devices: [
        {
          name: 'mlx5_0',
          software: false,
          numaNode: 1,
          nearCores: '8-15',
          pci: { now: '16.0 GT/s x16', most: '16.0 GT/s x16' },
          file: '/dev/infiniband/uverbs0',
          access: 'granted',
          ports: [
            {
              number: 1,
              state: 'ACTIVE',
              physicalState: 'LinkUp',
              linkLayer: 'InfiniBand',
              rate: '100 Gb/sec (4X EDR)',
              activeMtu: 2048,
              lid: 26,
              gidIndex: 0,
              gids: [{ index: 0, type: 'InfiniBand' }],
            },
          ],
        },
      ],
    });
    expect(said(facts)).toEqual([
      'advice: mlx5_0 is on NUMA node 1, and this process may run far from it (cores 0-15)',
    ]);
    expect(changeOf(rdmaFindings(facts, plentyLocked), /NUMA/)).toContain('--cpunodebind=1');
    const text = rdmaRows(facts).map((row) => row.join(': '));
    expect(text).toContain('  port 1: ACTIVE (LinkUp), InfiniBand, 100 Gb/sec (4X EDR), MTU 2048, LID 26');
  });

  test('run near it, nothing is left to say', () => {
    const near = { 'proc/self/status': 'Cpus_allowed_list:\t8-11' };
    expect(said(rdma(tree(infiniband, near), loads))).toEqual([]);
  });

  test.each([
    ['2: INIT', '5: LinkUp', /waits for a subnet manager/, /opensm/],
    ['3: ARMED', '5: LinkUp', /armed, not active/, /log/],
    ['1: DOWN', '2: Polling', /is DOWN \(Polling\)/, /cable/],
  ])('a port in state %s', (state, physical, what, change) => {
    const port = 'sys/class/infiniband/mlx5_0/ports/1';
    const files = { [`${port}/state`]: state, [`${port}/phys_state`]: physical };
    expect(changeOf(rdmaFindings(rdma(tree(infiniband, files), loads), plentyLocked), what)).toMatch(change);
  });

  test('a narrow slot, a library that is missing, and little memory to lock', () => {
    const narrow = { 'sys/class/infiniband/mlx5_0/device/current_link_width': '4' };
    const facts = rdma(tree(infiniband, narrow), {
      ...loads,
      libraryProblem: () => 'libibverbs.so.1: cannot open shared object file',
    });
    const findings = rdmaFindings(facts, { ...plentyLocked, memlockBytes: 8 << 20 });
    expect(changeOf(findings, /PCIe 16.0 GT\/s x4, and could be by 16.0 GT\/s x16/)).toContain('lspci');
    expect(changeOf(findings, /cannot open shared object/)).toContain('apt-get install libibverbs1');
    expect(changeOf(findings, /only 8388608 bytes of lockable memory/)).toContain('LimitMEMLOCK');
    expect(rdmaRows(facts)[0]).toEqual(['libibverbs', 'does not load']);
  });

  test('no driver in the library, no device file, no device of the adapter', () => {
    const { 'dev/infiniband/uverbs0': _, ...fileless } = infiniband;
    const bare = Object.fromEntries(Object.entries(fileless).filter(([path]) => !path.startsWith('etc/')));
    const findings = rdmaFindings(rdma(tree(bare), loads), plentyLocked);
    expect(changeOf(findings, /no driver for any device/)).toContain('ibverbs-providers');
    expect(changeOf(findings, /uverbs0 of mlx5_0 is not there/)).toContain('--device /dev/infiniband');

    const adapter = { 'sys/bus/pci/devices/0000:3b:00.0/class': '0x020700' };
    expect(said(rdma(tree(adapter), loads))).toEqual([
      'advice: the InfiniBand adapter in PCI slot 0000:3b:00.0 has no device',
    ]);
  });

  test('a device file that may not be opened', () => {
    // Said of the facts: to root, every file may be opened.
    const facts = rdma(tree(infiniband), loads);
    const denied = {
      ...facts,
      devices: facts.devices.map((device) => ({ ...device, access: 'denied' as const })),
    };
    expect(changeOf(rdmaFindings(denied, plentyLocked), /may not be opened/)).toContain('udev');
  });
});

describe('doctor: RoCE', () => {
  test('the GID, the MTU that fits into the frames, and what a larger one takes', () => {
    const facts = rdma(tree(roce), loads);
    expect(facts.devices[0]).toMatchObject({ numaNode: undefined, nearCores: '', pci: undefined });
    const port = facts.devices[0]?.ports[0];
    expect(port).toMatchObject({ netdev: 'eth1', netdevMtu: 1500, activeMtu: 1024, gidIndex: 3 });
    expect(port?.gids.map(({ type, family }) => `${type} ${family}`)).toEqual([
      'RoCE v1 link-local',
      'RoCE v2 link-local',
      'RoCE v1 IPv4',
      'RoCE v2 IPv4',
    ]);
    expect(rdmaRows(facts)).toContainEqual(['    GID 3', 'RoCE v2, 10.99.0.1 (taken unless told otherwise)']);
    expect(said(facts)).toEqual([
      'advice: mlx5_0 port 1 sends 1024 bytes a packet at most, since eth1 has MTU 1500',
    ]);
    expect(said(rdma(tree(roce, { 'sys/class/net/eth1/mtu': '9000' }), loads))).toEqual([]);
  });

  test('without an address, and without RoCE v2', () => {
    const port = 'sys/class/infiniband/mlx5_0/ports/1';
    const large = { 'sys/class/net/eth1/mtu': '9000' };
    const noAddress = { [`${port}/gids/2`]: empty, [`${port}/gids/3`]: empty };
    expect(said(rdma(tree(roce, large, noAddress), loads))).toEqual([
      'advice: mlx5_0 port 1 has link-local GIDs only: they do not cross a router',
    ]);
    const onlyFirst = { ...noAddress, [`${port}/gids/1`]: empty };
    expect(said(rdma(tree(roce, large, onlyFirst), loads))).toEqual([
      'advice: mlx5_0 port 1 has no RoCE v2 GID',
    ]);
  });

  test('in software: said so, and its frames are nobody’s business', () => {
    const software = { 'sys/class/infiniband/mlx5_0/parent': 'eth1', 'sys/module/rdma_rxe/refcnt': '1' };
    const facts = rdma(tree(roce, software), loads);
    expect(facts.softRoce).toBe('loaded');
    expect(said(facts)).toEqual([
      'option: mlx5_0 is RDMA in software: right for tests, its figures say nothing of an adapter',
    ]);
  });

  test('a port that is down names its interface', () => {
    const port = 'sys/class/infiniband/mlx5_0/ports/1';
    const down = { [`${port}/state`]: '1: DOWN', [`${port}/phys_state`]: '3: Disabled' };
    const findings = rdmaFindings(rdma(tree(roce, down), loads), plentyLocked);
    expect(changeOf(findings, /is DOWN \(Disabled\)/)).toContain('ip link set eth1 up');
  });

  test('MTUs of RDMA are the five there are', () => {
    expect([undefined, 100, 1500, 4191, 4192, 9000].map(roceMtu)).toEqual([
      undefined,
      undefined,
      1024,
      2048,
      4096,
      4096,
    ]);
  });
});

describe('doctor: no RDMA', () => {
  const kernel = { 'proc/sys/kernel/osrelease': '6.12.1' };
  const dependencies = 'lib/modules/6.12.1/modules.dep';

  test.each<[string, Files, Rdma['softRoce'], RegExp]>([
    ['a kernel without modules', kernel, 'absent', /docker\/soft-roce\/run/],
    ['a kernel whose modules we do not see', { ...kernel, 'proc/modules': '' }, 'unknown', /soft-roce\/run/],
    ['a module', { ...kernel, [dependencies]: 'kernel/rxe/rdma_rxe.ko.xz: x' }, 'available', /link up/],
    [
      'modules, not this one',
      { ...kernel, [dependencies]: 'kernel/net/dummy.ko:' },
      'absent',
      /soft-roce\/run/,
    ],
  ])('%s: nothing is wrong, and how to try it', (_, files, softRoce, change) => {
    const facts = rdma(tree(files), loads);
    expect(facts).toMatchObject({ softRoce, devices: [] });
    const findings = rdmaFindings(facts, { ...plentyLocked, memlockBytes: 65536 });
    expect(findings).toHaveLength(1);
    expect(findings[0]).toMatchObject({ kind: 'option', change: expect.stringMatching(change) });
    expect(rdmaRows(facts)).toContainEqual(['RDMA device', 'none']);
  });
});

describe('doctor: processor and memory', () => {
  const cpu = 'sys/devices/system/cpu';

  test('isolation, governors and idle states', () => {
    const facts = processor(
      tree({
        [`${cpu}/cpu0/cpufreq/scaling_governor`]: 'performance',
        [`${cpu}/cpu1/cpufreq/scaling_governor`]: 'powersave',
        [`${cpu}/cpu0/cpuidle/state0/latency`]: '2',
        [`${cpu}/cpu0/cpuidle/state1/latency`]: '133',
        [`${cpu}/cpu0/cpuidle/state2/latency`]: '900',
        [`${cpu}/cpu0/cpuidle/state2/disable`]: '1',
        [`${cpu}/isolated`]: '2-3',
        [`${cpu}/nohz_full`]: '(null)',
        'proc/cmdline': 'quiet isolcpus=2-3 rcu_nocbs=2-3',
        'proc/cpuinfo': 'flags\t\t: fpu sse4_2',
      }),
    );
    expect(facts).toMatchObject({
      governor: 'performance, powersave',
      idleLatencyMicros: 133,
      isolated: '2-3',
      tickless: '',
      callbacksElsewhere: '2-3',
      crc32: true,
    });
    const findings = processorFindings({ ...facts, cores: 8 });
    expect(changeOf(findings, /isolated from the scheduler/)).toContain('nohz_full=2-3');
    expect(changeOf(findings, /governor "performance, powersave"/)).toContain('cpupower');
    expect(changeOf(findings, /up to 133 µs/)).toContain('max_cstate');
    expect(processorRows(facts)).toContainEqual(['isolated cores', '2-3 (nohz_full none, rcu_nocbs 2-3)']);

    const done = { ...facts, cores: 8, tickless: '2-3', governor: 'performance', idleLatencyMicros: 2 };
    expect(processorFindings({ ...done, clockSource: 'tsc' })).toEqual([]);
    const none = processorFindings({ ...done, clockSource: 'hpet', isolated: '' });
    expect(none.map(({ kind }) => kind)).toEqual(['advice', 'option']);
  });

  test('pages that were set aside, and memory that may be locked', () => {
    const facts = memory(
      tree({
        'proc/meminfo':
          'MemAvailable:   2048 kB\nHugePages_Total:      64\nHugePages_Free:       60\nHugepagesize:       2048 kB',
        'sys/kernel/mm/transparent_hugepage/enabled': 'always [madvise] never',
        'proc/self/limits': 'Max locked memory         8388608              8388608              bytes',
      }),
    );
    expect(facts).toMatchObject({
      availableBytes: 2048 * 1024,
      hugePages: 'madvise',
      hugetlb: { total: 64, free: 60, pageBytes: 2 << 20 },
      memlockBytes: 8 << 20,
    });
    expect(memoryRows(facts)).toContainEqual([
      'huge pages',
      'transparent: madvise; hugetlb: 60 of 64 free, 2048 KiB each',
    ]);
  });

  test('sets of processors as the kernel writes them', () => {
    expect(processorSet('0-2,5')).toEqual([0, 1, 2, 5]);
    expect([processorSet(''), processorSet(undefined), processorSet('(null)')]).toEqual([[], [], []]);
  });
});
