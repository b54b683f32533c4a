// What a figure was measured on, as far as Linux tells it.
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';

export interface Machine {
  readonly processor: string;
  readonly cores: number;
  readonly caches: string;
  readonly governor: string;
  readonly memory: string;
  readonly system: string;
  readonly kernel: string;
  readonly node: string;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    // Not every system has it.
    return undefined;
  }
}

export function machine(): Machine {
  const cpu = '/sys/devices/system/cpu/cpu0';
  const caches = [0, 1, 2, 3].flatMap((index) => {
    const [level, type, size] = ['level', 'type', 'size'].map((name) =>
      read(`${cpu}/cache/index${index}/${name}`),
    );
    return size === undefined ? [] : [`L${level} ${type?.toLowerCase()} ${size}`];
  });
  const system = /^PRETTY_NAME="?([^"\n]*)/m.exec(read('/etc/os-release') ?? '')?.[1];
  const virtual = / hypervisor/.test(read('/proc/cpuinfo') ?? '') ? ', virtual' : '';
  return {
    processor: `${cpus()[0]?.model.trim() || process.arch}${virtual}`,
    cores: availableParallelism(),
    caches: caches.join(', ') || 'not told',
    governor: read(`${cpu}/cpufreq/scaling_governor`) ?? 'not told',
    memory: `${(totalmem() / 2 ** 30).toFixed(1)} GiB`,
    system: system ?? process.platform,
    kernel: release(),
    node: process.version,
  };
}

/** Runnable threads over one, five and fifteen minutes. */
export function load(): string {
  return loadavg()
    .map((average) => average.toFixed(2))
    .join(' ');
}
