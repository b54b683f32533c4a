// Places: network namespaces for processes, all on one switch, whose wires can be cut.
//
//      place 1 ──┐                              10.213.8.<number>; place 0 is where this process is. nftables in each
//      place 2 ──┤── switch ── place 0          place says whom it does not hear, so a wire may be cut one way only.
//      place 3 ──┘
//
// The switch lies in this process's namespace, which therefore must be one made for it: inPlace() starts a program anew in one.
// Namespaces have no name: each is held by a process of ours and gone with it. That program has processes of its own too, which all end
// when it does, however that comes about.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { ClusterError } from '../errors/errors.ts';

const marker = 'VERBEX_PLACE';
const startMsMax = 10_000;
/** A user's PATH seldom leads to /usr/sbin. */
const env = { ...process.env, PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin` };
const execute = promisify(execFile);

async function sh(script: string, enter: readonly string[] = []): Promise<void> {
  const [program, ...args] = [...enter, 'sh', '-ec', script];
  try {
    await execute(program!, args, { env });
  } catch (cause) {
    const { stderr = '', message } = cause as { stderr?: string; message: string };
    const said = stderr.trim() === '' ? message : stderr.trim();
    throw new ClusterError(
      'DRILL_STOPPED',
      `no network of its own can be made here (root, ip and nft are needed): ${said}`,
      {
        cause,
      },
    );
  }
}

function namespaceOf(pid: number | 'self'): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`);
  } catch {
    return undefined;
  }
}

/**
 * Runs this program again with the same arguments, in a network namespace made for it; answers its exit code, undefined where this is that
 * program already. Throws DRILL_STOPPED where there may be none.
 */
export async function inPlace(): Promise<number | undefined> {
  if (process.env[marker] === namespaceOf('self')) return undefined;
  const script = `${marker}=$(readlink /proc/self/ns/net) exec "$@"`;
  const own = ['--net', '--pid', '--fork', '--mount-proc', '--kill-child'];
  const args = [...own, '--', 'sh', '-c', script, 'place', process.execPath, ...process.argv.slice(1)];
  const child = spawn('unshare', args, { stdio: 'inherit' });
  // It has the same terminal, and ends in its own way.
  const wait = (): void => undefined;
  process.on('SIGINT', wait);
  const pass = (signal: NodeJS.Signals): void => void child.kill(signal);
  process.on('SIGTERM', pass);
  try {
    return await new Promise<number>((resolve, reject) => {
      child.once('error', (cause) => {
        reject(new ClusterError('DRILL_STOPPED', 'unshare (util-linux) is not there', { cause }));
      });
      child.once('exit', (code) => resolve(code ?? 1));
    });
  } finally {
    process.off('SIGINT', wait);
    process.off('SIGTERM', pass);
  }
}

export class Places {
  readonly #holders: ChildProcess[] = [];
  #deaf = new Set<string>();

  static host(place: number): string {
    return `10.213.8.${place === 0 ? 254 : place}`;
  }

  /** Places 1 … count. Throws DRILL_STOPPED. */
  static async make(count: number): Promise<Places> {
    const places = new Places();
    try {
      await sh(
        `ip link set lo up; ip link add switch type bridge; ip addr add ${Places.host(0)}/24 dev switch; ip link set switch up`,
      );
      await places.#listen(0);
      for (let place = 1; place <= count; place += 1) await places.#add(place);
      return places;
    } catch (error) {
      places.close();
      throw error;
    }
  }

  /** What a command line begins with to run there. */
  enter(place: number): readonly string[] {
    return place === 0 ? [] : ['nsenter', `--target=${this.#holders[place - 1]!.pid}`, '--net', '--'];
  }

  /** What `from` sends does not reach `to`; takes effect with apply(). */
  deafen(to: number, from: number): void {
    this.#deaf.add(`${to} ${from}`);
  }

  cut(one: number, other: number): void {
    this.deafen(one, other);
    this.deafen(other, one);
  }

  mend(): void {
    this.#deaf = new Set();
  }

  /** In all places at once, as far as a machine can. */
  async apply(): Promise<void> {
    const of = new Map<number, string[]>();
    for (let place = 0; place <= this.#holders.length; place += 1) of.set(place, []);
    for (const pair of this.#deaf) {
      const [to, from] = pair.split(' ').map(Number);
      of.get(to!)!.push(Places.host(from!));
    }
    await Promise.all(
      [...of].map(async ([place, hosts]) => {
        const add = hosts.length === 0 ? '' : `; add element inet cut deaf { ${hosts.join(', ')} }`;
        await sh(`nft 'flush set inet cut deaf${add}'`, this.enter(place));
      }),
    );
  }

  /** The namespaces go with the last process in them. */
  close(): void {
    for (const holder of this.#holders) holder.kill('SIGKILL');
  }

  async #add(place: number): Promise<void> {
    const holder = spawn('unshare', ['--net', '--', 'sleep', 'infinity'], { stdio: 'ignore' });
    this.#holders.push(holder);
    holder.on('error', () => undefined);
    const own = namespaceOf('self');
    for (const until = performance.now() + startMsMax; ; await sleep(2)) {
      const there = holder.pid === undefined ? undefined : namespaceOf(holder.pid);
      if (there !== undefined && there !== own) break;
      if (performance.now() > until || holder.exitCode !== null || holder.pid === undefined)
        throw new ClusterError('DRILL_STOPPED', 'no network namespace can be made here (root is needed)');
    }
    await sh(
      `ip link add port${place} type veth peer name wire netns ${holder.pid}; ip link set port${place} master switch up`,
    );
    await sh(
      `ip link set lo up; ip addr add ${Places.host(place)}/24 dev wire; ip link set wire up`,
      this.enter(place),
    );
    await this.#listen(place);
  }

  async #listen(place: number): Promise<void> {
    const rules = [
      'add table inet cut',
      'add set inet cut deaf { type ipv4_addr; }',
      'add chain inet cut in { type filter hook input priority 0; }',
      'add rule inet cut in ip saddr @deaf drop',
    ];
    await sh(`nft '${rules.join('; ')}'`, this.enter(place));
  }
}
