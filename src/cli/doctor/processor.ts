/** The processor: how steadily and how undisturbed a thread can run on it. */
import { availableParallelism, cpus } from 'node:os';
import { type Finding, Findings, type Row } from './finding.ts';
import { processorSet, type SystemTree } from './system-tree.ts';

// A poller wants to be woken sooner than a message takes to arrive.
const idleLatencyMicrosMax = 50;
// Fewer cannot spare one.
const coresToIsolateMin = 4;

export interface Processor {
  readonly model: string;
  readonly cores: number;
  readonly architecture: string;
  readonly crc32: boolean;
  /** Those in use, "unknown" where the clock is not ours to set. */
  readonly governor: string;
  readonly clockSource: string;
  /** Sets of processors as the kernel writes them, empty for none. */
  readonly isolated: string;
  readonly tickless: string;
  readonly callbacksElsewhere: string;
  /** How long waking from the deepest enabled idle state takes. */
  readonly idleLatencyMicros: number | undefined;
}

export function processor(tree: SystemTree): Processor {
  const info = tree.text('proc/cpuinfo') ?? '';
  const flags = /^(?:flags|Features)\s*:\s*(.*)$/m.exec(info)?.[1]?.split(' ') ?? [];
  const base = 'sys/devices/system/cpu';
  const governors = tree
    .list(base)
    .filter((name) => /^cpu\d+$/.test(name))
    .map((name) => tree.text(`${base}/${name}/cpufreq/scaling_governor`))
    .filter((governor) => governor !== undefined);
  const idle = tree
    .list(`${base}/cpu0/cpuidle`)
    .filter((name) => tree.text(`${base}/cpu0/cpuidle/${name}/disable`) !== '1')
    .map((name) => tree.number(`${base}/cpu0/cpuidle/${name}/latency`) ?? 0);
  const words = (tree.text('proc/cmdline') ?? '').split(/\s+/);
  const tickless = tree.text(`${base}/nohz_full`) ?? '';
  return {
    model: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    architecture: process.arch,
    crc32: flags.includes('sse4_2') || flags.includes('crc32'),
    governor: [...new Set(governors)].join(', ') || 'unknown',
    clockSource: tree.text('sys/devices/system/clocksource/clocksource0/current_clocksource') ?? 'unknown',
    isolated: tree.text(`${base}/isolated`) ?? '',
    tickless: tickless === '(null)' ? '' : tickless,
    callbacksElsewhere: words.find((word) => word.startsWith('rcu_nocbs='))?.slice('rcu_nocbs='.length) ?? '',
    idleLatencyMicros: idle.length === 0 ? undefined : Math.max(...idle),
  };
}

export function processorRows(cpu: Processor): Row[] {
  const isolation =
    cpu.isolated === ''
      ? 'none'
      : `${cpu.isolated} (nohz_full ${cpu.tickless || 'none'}, rcu_nocbs ${cpu.callbacksElsewhere || 'none'})`;
  return [
    ['processor', `${cpu.model}, ${cpu.cores} cores, ${cpu.architecture}`],
    ['CRC32 instruction', cpu.crc32 ? 'yes' : 'no'],
    ['governor', cpu.governor],
    [
      'deepest idle state',
      cpu.idleLatencyMicros === undefined ? 'unknown' : `${cpu.idleLatencyMicros} µs to wake`,
    ],
    ['isolated cores', isolation],
    ['clock source', cpu.clockSource],
  ];
}

export function processorFindings(cpu: Processor): readonly Finding[] {
  const found = new Findings();
  found.say(
    'advice',
    !cpu.crc32,
    'no CRC32 instruction: checksums are computed by table, several times slower',
    'any x64 with SSE 4.2 or arm64 with CRC has it',
  );
  found.say('advice', cpu.cores < 2, 'one core only: engine and JavaScript take turns', 'two cores or more');
  found.say(
    'advice',
    !['performance', 'unknown'].includes(cpu.governor),
    `the governor "${cpu.governor}" lets the clock sink`,
    'cpupower frequency-set -g performance',
  );
  found.say(
    'advice',
    !['tsc', 'arch_sys_counter', 'kvm-clock', 'unknown'].includes(cpu.clockSource),
    `clock source "${cpu.clockSource}" is slow to read`,
    'boot with clocksource=tsc where the processor has an invariant one',
  );
  const isolated = processorSet(cpu.isolated);
  const lacking = (set: string): boolean => {
    const members = processorSet(set);
    return isolated.some((core) => !members.includes(core));
  };
  found.say(
    'option',
    isolated.length === 0 && cpu.cores >= coresToIsolateMin,
    'no core is isolated: other programs and the timer interrupt threads that poll',
    'boot with isolcpus=2-3 nohz_full=2-3 rcu_nocbs=2-3 (say), then verbex run --cores 2,3',
  );
  found.say(
    'advice',
    isolated.length > 0 && (lacking(cpu.tickless) || lacking(cpu.callbacksElsewhere)),
    `cores ${cpu.isolated} are isolated from the scheduler, but not from its tick and its callbacks`,
    `boot with nohz_full=${cpu.isolated} rcu_nocbs=${cpu.isolated} too`,
  );
  found.say(
    'option',
    (cpu.idleLatencyMicros ?? 0) > idleLatencyMicrosMax,
    `an idle core takes up to ${cpu.idleLatencyMicros} µs to wake`,
    'cpupower idle-set -D 10, or boot with processor.max_cstate=1 (intel_idle.max_cstate=1)',
  );
  return found.list;
}
