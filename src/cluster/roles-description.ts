// RolesDescription: what roles.json says (docs/roles.md), checked in the words of the file before anything is done with it.
import { readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { integer, invalidOption, oneOf } from '../errors/checks.ts';
import { InvalidRequestError } from '../errors/errors.ts';
import {
  type ControlDescription,
  Fields,
  given,
  type LimitsDescription,
  parseControl,
  parseTls,
  type TlsDescription,
} from './description.ts';

export const shardsMax = 16;
export const sequencersMax = 5;
const portMax = 65_535;
const msMax = 600_000;
const countMax = 2 ** 32 - 1;
const everyMax = 2 ** 40;

export type RoleKind = 'sequencer' | 'risk' | 'matching';

export interface RolesTiming {
  /** A role that says nothing for so long is lost. */
  readonly silenceMs?: number;
  /** At the sequencer's start risk processes are waited for so long. */
  readonly attachMs?: number;
  /** A sequencer that the others do not hear for so long is suspected. */
  readonly suspectMs?: number;
}

export interface RolesSnapshots {
  /** Every process takes one every so many commands; 0: none, and the whole log is replayed. */
  readonly every?: number;
}

export interface SequencerDescription {
  readonly host: string;
  readonly port: number;
}

export interface RolesDescription {
  readonly name: string;
  /** The processes of this host write here: the sequencer's journal, pid files, what they say of themselves. */
  readonly data: string;
  /** Where they listen, and everybody dials them; one leads. */
  readonly sequencers: readonly SequencerDescription[];
  /** Of several sequencers: where they agree on who leads. */
  readonly control?: ControlDescription;
  readonly risk: number;
  readonly matching: number;
  readonly transport: 'auto' | 'tcp' | 'shm' | 'verbs';
  readonly ack: 'memory' | 'durable';
  readonly keyFile?: string;
  readonly tls?: TlsDescription;
  readonly timing: RolesTiming;
  readonly limits: LimitsDescription;
  readonly snapshots: RolesSnapshots;
}

/** One process of a deployment. */
export interface RolePlace {
  readonly role: RoleKind;
  /** Its number among those of its role. */
  readonly shard: number;
}

/** `sequencers`, or the one that is `sequencer`. */
function parseSequencers(fields: Fields): readonly SequencerDescription[] {
  const parse = (value: unknown, name: string): SequencerDescription => {
    const one = new Fields(name, value);
    const sequencer = { host: one.text('host', 255), port: one.number('port', 1, portMax) };
    one.end();
    return sequencer;
  };
  if (!fields.has('sequencers')) return [parse(fields.take('sequencer'), 'sequencer')];
  const list = fields.list('sequencers');
  if (list.length === 0 || list.length > sequencersMax)
    throw invalidOption('sequencers', list.length, `1 to ${sequencersMax} of them`);
  const found = list.map((value, index) => parse(value, `sequencers[${index}]`));
  const seen = new Set<string>();
  for (const [index, { host, port }] of found.entries()) {
    if (seen.has(`${host}:${port}`))
      throw invalidOption(`sequencers[${index}].port`, port, 'another address than the others’');
    seen.add(`${host}:${port}`);
  }
  return found;
}

function checkControl(
  sequencers: readonly SequencerDescription[],
  control: ControlDescription | undefined,
): void {
  if (sequencers.length === 1) return;
  if (control === undefined)
    throw invalidOption('control', undefined, 'a control store, since there are several sequencers');
  if (control.kind === 'file' && new Set(sequencers.map(({ host }) => host)).size > 1)
    throw invalidOption('control.kind', 'file', 'etcd, since the sequencers have several hosts');
}

/** Checks what JSON.parse() made of a roles.json; paths in it count from `folder`. Throws INVALID_OPTION. */
export function parseRoles(value: unknown, folder: string): RolesDescription {
  const fields = new Fields('', value, 'roles.json');
  const name = fields.text('name', 32);
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name))
    throw invalidOption('name', name, 'letters, digits, points, dashes, beginning with a letter or digit');
  const at = (path: string): string => resolve(folder, path);
  const sequencers = parseSequencers(fields);
  const control = fields.has('control') ? parseControl(fields.take('control'), at) : undefined;
  checkControl(sequencers, control);
  const tls = fields.has('tls') ? parseTls(fields.take('tls'), at) : undefined;
  const timing = new Fields('timing', fields.take('timing') ?? {});
  const limits = new Fields('limits', fields.take('limits') ?? {});
  const snapshots = new Fields('snapshots', fields.take('snapshots') ?? {});
  const keyFile = fields.optionalText('keyFile');
  const ms = (field: string): number | undefined => timing.optionalNumber(field, 1, msMax);
  const count = (field: string): number | undefined => limits.optionalNumber(field, 1, countMax);
  const description: RolesDescription = {
    name,
    data: resolve(folder, fields.text('data')),
    sequencers,
    ...(control !== undefined && { control }),
    risk: fields.number('risk', 1, shardsMax),
    matching: fields.number('matching', 1, shardsMax),
    transport: fields.choice('transport', ['auto', 'tcp', 'shm', 'verbs'], 'auto'),
    ack: fields.choice('ack', ['memory', 'durable'], 'memory'),
    ...(keyFile !== undefined && { keyFile: resolve(folder, keyFile) }),
    ...(tls !== undefined && { tls }),
    timing: given<RolesTiming>({
      silenceMs: ms('silenceMs'),
      attachMs: ms('attachMs'),
      suspectMs: ms('suspectMs'),
    }),
    limits: given<LimitsDescription>({
      maxOrders: count('maxOrders'),
      maxAccounts: count('maxAccounts'),
      maxInstruments: count('maxInstruments'),
      maxClientIds: count('maxClientIds'),
    }),
    snapshots: given<RolesSnapshots>({ every: snapshots.optionalNumber('every', 0, everyMax) }),
  };
  for (const part of [timing, limits, snapshots, fields]) part.end();
  return description;
}

export function readRoles(path: string): RolesDescription {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new InvalidRequestError('INVALID_OPTION', `${path}: ${(cause as Error).message}`, { cause });
  }
  return parseRoles(value, dirname(resolve(path)));
}

function countOf(description: RolesDescription, role: RoleKind): number {
  return role === 'sequencer' ? description.sequencers.length : description[role];
}

/** Throws INVALID_OPTION where the deployment has no such process. */
export function placeOf(description: RolesDescription, role: string, shard: number): RolePlace {
  const kind = oneOf('role', role as RoleKind, ['sequencer', 'risk', 'matching']);
  return { role: kind, shard: integer('shard', shard, 0, countOf(description, kind) - 1) };
}

/** `sequencer`, which is the first one, `sequencer:1`, `risk:1`. */
export function placeNamed(description: RolesDescription, name: string): RolePlace {
  const [, role = '', shard = '0'] = /^([a-z]+)(?::(\d+))?$/.exec(name) ?? [];
  return placeOf(description, role, Number(shard));
}

export function nameOf({ role, shard }: RolePlace): string {
  return role === 'sequencer' && shard === 0 ? role : `${role}:${shard}`;
}

export function placesOf({ sequencers, risk, matching }: RolesDescription): RolePlace[] {
  const of = (role: RoleKind, count: number): RolePlace[] =>
    Array.from({ length: count }, (_, shard) => ({ role, shard }));
  return [...of('sequencer', sequencers.length), ...of('risk', risk), ...of('matching', matching)];
}

/** Of a process's files: `risk-1`, to which .pid, .status and .log are added; a sequencer's is its folder too. */
export function filesOf({ data }: RolesDescription, { role, shard }: RolePlace): string {
  return join(data, role === 'sequencer' && shard === 0 ? role : `${role}-${shard}`);
}
