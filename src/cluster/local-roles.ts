// LocalRoles: a deployment in roles on this machine, each role a process, in one folder:
//
//   roles.json                         what it is; the sequencers' ports were free when it was made
//   sequencer/ .pid .status .log       its folder, its process, what it says of itself, what it said
//   sequencer-1/ …  control/           a second one, and where they agree on who leads
//   risk-0.pid …, matching-0.pid …     the same of the others
//
// Whoever has the folder can look, kill and start; processes that others started are never signalled.
import { spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ClusterError } from '../errors/errors.ts';
import type { ControlDescription, LimitsDescription } from './description.ts';
import { freePorts } from './free-ports.ts';
import { memberProgram } from './local-cluster.ts';
import { markOf, type ProcessState, readMark, signalTo, stateOf, writeMark } from './process-mark.ts';
import { lastStatus, type RoleStatus, type SequencerStatus, sequencersText } from './role-process.ts';
import {
  filesOf,
  nameOf,
  parseRoles,
  placesOf,
  type RolePlace,
  type RolesDescription,
  readRoles,
} from './roles-description.ts';

const stopMsMax = 20_000;
const lookMs = 20;

export interface NewRoles {
  /** Default: 1. */
  readonly sequencers?: number;
  readonly risk: number;
  readonly matching: number;
  readonly transport: RolesDescription['transport'];
  /** Of several sequencers. Default: a folder beside them. */
  readonly control?: ControlDescription;
  readonly limits?: LimitsDescription;
}

export interface RoleView {
  /** `risk:1`. */
  readonly name: string;
  readonly process: ProcessState;
  readonly pid: number | undefined;
  /** Undefined: it does not run, or has said nothing yet. */
  readonly status: RoleStatus | undefined;
}

export class LocalRoles {
  readonly folder: string;
  readonly description: RolesDescription;

  private constructor(folder: string) {
    this.folder = folder;
    this.description = readRoles(join(folder, 'roles.json'));
  }

  static exists(folder: string): boolean {
    return existsSync(join(resolve(folder), 'roles.json'));
  }

  /** Throws NO_CLUSTER where the folder has none. */
  static open(folder: string): LocalRoles {
    const path = resolve(folder);
    if (!LocalRoles.exists(path))
      throw new ClusterError('NO_CLUSTER', `${path} has no roles.json; \`verbex roles up\` makes one`);
    return new LocalRoles(path);
  }

  /** Writes what the deployment is; starts nothing. */
  static async make(folder: string, made: NewRoles): Promise<LocalRoles> {
    const path = resolve(folder);
    mkdirSync(path, { recursive: true });
    const { sequencers = 1, risk, matching, transport, limits } = made;
    const control = made.control ?? { kind: 'file', path: 'control' };
    const ports = await freePorts(sequencers);
    const description = {
      ...{ name: 'verbex', data: '.' },
      sequencers: ports.map((port) => ({ host: '127.0.0.1', port })),
      ...(sequencers > 1 && { control }),
      ...{ risk, matching, transport },
      ...(limits !== undefined && { limits }),
    };
    parseRoles(description, path);
    writeFileSync(join(path, 'roles.json'), `${JSON.stringify(description, undefined, 2)}\n`);
    return new LocalRoles(path);
  }

  /** As clients of a cluster take them: the sequencers are its members. */
  get membersText(): string {
    return sequencersText(this.description);
  }

  /** Every process that does not run; answers which. */
  start(): RolePlace[] {
    const gone = placesOf(this.description).filter((place) => this.processOf(place).state === 'gone');
    for (const place of gone) this.#startOne(place);
    return gone;
  }

  #startOne(place: RolePlace): void {
    const program = memberProgram();
    if (!existsSync(program))
      throw new ClusterError('MEMBER_NOT_STARTED', `${program} is not there: run npm run build`);
    const files = filesOf(this.description, place);
    rmSync(`${files}.status`, { force: true }); // of one that was killed
    const log = openSync(`${files}.log`, 'a');
    try {
      const config = join(this.folder, 'roles.json');
      const args = [program, 'role', place.role, '--config', config, '--shard', `${place.shard}`];
      const child = spawn(process.execPath, args, { detached: true, stdio: ['ignore', log, log] });
      child.unref();
      // It writes the same itself; here already, so that nobody starts a second one meanwhile.
      const mark = child.pid === undefined ? undefined : markOf(child.pid);
      if (mark !== undefined) writeMark(`${files}.pid`, mark);
    } finally {
      closeSync(log);
    }
  }

  processOf(place: RolePlace): { readonly state: ProcessState; readonly pid: number | undefined } {
    const mark = readMark(`${filesOf(this.description, place)}.pid`);
    const state = mark === undefined ? 'gone' : stateOf(mark);
    return { state, pid: state === 'gone' ? undefined : mark?.pid };
  }

  /** Answers whether there was somebody to signal. */
  signal(place: RolePlace, signal: NodeJS.Signals): boolean {
    const mark = readMark(`${filesOf(this.description, place)}.pid`);
    return mark !== undefined && signalTo(mark, signal);
  }

  look(): RoleView[] {
    return placesOf(this.description).map((place) => {
      const { state, pid } = this.processOf(place);
      const status = state === 'gone' ? undefined : lastStatus(this.description, place);
      return { name: nameOf(place), process: state, pid, status };
    });
  }

  /** What the sequencer that leads says of itself. Undefined: none of them does. */
  get leading(): { readonly place: RolePlace; readonly status: SequencerStatus } | undefined {
    for (const place of placesOf(this.description)) {
      if (place.role !== 'sequencer' || this.processOf(place).state === 'gone') continue;
      const status = lastStatus(this.description, place);
      if (status?.role === 'sequencer' && status.leads) return { place, status };
    }
    return undefined;
  }

  /** Whether a sequencer leads and takes commands, has the others with it, and everybody takes part. */
  get whole(): boolean {
    const { status } = this.leading ?? {};
    if (status === undefined || !status.serving) return false;
    return (
      status.sync.length === this.description.sequencers.length && status.seats.every(({ live }) => live)
    );
  }

  /** Risk and matching, then the sequencers, the one that leads last; what does not end is killed. */
  async stop(): Promise<void> {
    const all = placesOf(this.description);
    const leads = this.leading?.place.shard;
    const sequencers = all.filter(({ role }) => role === 'sequencer');
    const rest = all.filter(({ role }) => role !== 'sequencer');
    const last = sequencers.filter(({ shard }) => shard === leads);
    for (const places of [rest, sequencers.filter(({ shard }) => shard !== leads), last]) {
      for (const place of places) this.signal(place, 'SIGTERM');
      const lives = (): RolePlace[] => places.filter((place) => this.processOf(place).state !== 'gone');
      for (const until = performance.now() + stopMsMax; lives().length > 0; await sleep(lookMs)) {
        if (performance.now() > until) for (const place of lives()) this.signal(place, 'SIGKILL');
      }
    }
  }

  /** At once, all of them. */
  killAll(): void {
    for (const place of placesOf(this.description)) this.signal(place, 'SIGKILL');
  }
}
