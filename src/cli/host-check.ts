/** `verbex host-check`: whether this machine keeps a thread's rounding mode; what it is, as a divergence report names it. */
import type { Command } from './command.ts';
import { facts, grouped } from './output.ts';
import { Progress } from './progress.ts';

const lookMs = 500;

interface Soak {
  readonly threads: number;
  readonly checks: number;
  readonly signals: number;
  readonly contextSwitches: number;
  readonly wrong: number;
  readonly first?: Readonly<
    Record<'thread' | 'core' | 'check', number> &
      Record<'mode' | 'after' | 'what' | 'expected' | 'found', string>
  >;
  readonly host: Readonly<
    Record<'processor' | 'microcode' | 'kernel' | 'host' | 'floatingEnvironment', string>
  >;
}

export const hostCheckCommand: Command = {
  name: 'host-check',
  summary: 'soak this machine: does every thread keep its rounding mode, whatever interrupts it',
  options: [
    { name: 'fenv', value: 'SECONDS', range: [1, 604_800], fallback: '10', help: 'how long' },
    { name: 'threads', value: 'N', range: [0, 1024], fallback: '0', help: '0: twice as many as cores' },
  ],
  notes: [
    'Threads compute in all four rounding modes, in between are interrupted by yields, sleeps, system calls and signals whose handlers change the mode, and compare mode and results with bits that are known beforehand. Exit code 1 where anything was wrong, with the first place.',
    'The core uses no floating point. A server that loses such a bit loses others too: run it on a new machine, after a change of kernel or microcode, and where a member was voted out.',
  ],
  examples: [['verbex host-check --fenv 300', 'five minutes, as before a machine goes into service']],
  async run(given, output) {
    const { roundingSoak } = await import('../native/binding.ts');
    const seconds = given.integer('fenv') ?? 0;
    const progress = new Progress(output, 'ms');
    const started = performance.now();
    const looking = setInterval(() => {
      const elapsedMs = performance.now() - started;
      progress.show(Math.min(1, elapsedMs / (seconds * 1000)), Math.round(elapsedMs));
    }, lookMs);
    let soak: Soak;
    try {
      soak = JSON.parse(await roundingSoak(seconds * 1000, given.integer('threads') ?? 0)) as Soak;
    } finally {
      clearInterval(looking);
      progress.end();
    }
    output.answer({ seconds, ...soak }, shown(seconds, soak));
    return soak.wrong === 0 ? 0 : 1;
  },
};

function shown(
  seconds: number,
  { threads, checks, signals, contextSwitches, wrong, first, host }: Soak,
): string {
  return facts([
    ['processor', host.processor],
    ['microcode', host.microcode],
    ['kernel', host.kernel],
    ['floating-point environment', host.floatingEnvironment],
    ['threads', threads],
    ['seconds', seconds],
    ['checks', grouped(checks)],
    ['context switches', grouped(contextSwitches)],
    ['signals', grouped(signals)],
    ['wrong', grouped(wrong)],
    ...(first === undefined
      ? []
      : ([
          [
            'first',
            `${first.what} rounded ${first.mode}, after ${first.after}: ${first.found} instead of ${first.expected} (thread ${first.thread}, core ${first.core}, check ${first.check})`,
          ],
        ] as [string, string][])),
  ]);
}
