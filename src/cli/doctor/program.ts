/** The program itself: Node, the addon, the thread plan it would choose. */
import { execFileSync } from 'node:child_process';
import { type Finding, Findings } from './finding.ts';

const nodeMin = [20, 19] as const;

export interface AddonFacts {
  readonly loaded: boolean;
  readonly version?: string;
  readonly compiler?: string;
  readonly problem?: string;
}

export async function addonFacts(): Promise<AddonFacts> {
  try {
    const { version, compiler } = await import('../../native/binding.ts');
    return { loaded: true, version, compiler };
  } catch (error) {
    return { loaded: false, problem: (error as Error).message };
  }
}

/** What `--plan auto` means here. */
export interface AutomaticPlan {
  readonly name: string;
  readonly threads: number;
  readonly spinNs: number;
  readonly cores: number;
}

export async function automaticPlan(): Promise<AutomaticPlan> {
  const { threadPlan } = await import('../../native/binding.ts');
  return JSON.parse(threadPlan('auto')) as AutomaticPlan;
}

export function planText(plan: AutomaticPlan | undefined): string {
  if (plan === undefined) return 'unknown';
  const { name, threads, spinNs, cores } = plan;
  return `auto is ${name} on ${cores} usable cores: ${threads} thread${threads === 1 ? '' : 's'}, each looks for work for ${spinNs / 1000} µs before it sleeps`;
}

/** The first line of `--version`, or undefined where there is no such program. */
export function programVersion(program: string): string | undefined {
  try {
    return execFileSync(program, ['--version'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).split('\n')[0];
  } catch {
    return undefined; // Not installed: that is the finding.
  }
}

export function nodeFindings(): readonly Finding[] {
  const found = new Findings();
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  found.say(
    'bad',
    major < nodeMin[0] || (major === nodeMin[0] && minor < nodeMin[1]),
    `Node ${process.version} is too old`,
    'install Node 20.19 or newer',
  );
  found.say(
    'bad',
    process.platform !== 'linux',
    `${process.platform} is not Linux`,
    'run it on Linux, x64 or arm64',
  );
  return found.list;
}

export function addonFindings(addon: AddonFacts, compiler: string | undefined): Finding[] {
  if (addon.loaded) return [];
  const change =
    compiler === undefined
      ? 'install a C++20 compiler (apt-get install g++ make), then npm run setup'
      : 'npm run setup';
  return [{ kind: 'bad', what: `the addon cannot be loaded: ${addon.problem}`, change }];
}
