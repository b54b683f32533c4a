// ClusterDescription: what cluster.json says (docs/cluster.md), checked in the words of the file before anything is done with it.
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { integer, invalidOption, oneOf } from '../errors/checks.ts';
import { InvalidRequestError } from '../errors/errors.ts';

export const membersMax = 31;
const portMax = 65_535;
const idleMsMax = 60_000;
const countMax = 2 ** 32 - 1;
const snapshotEveryMax = 2 ** 52;
const snapshotBytesMax = 2 ** 52;
const historyBytesMax = 2 ** 52;
const segmentBytesMin = 2 ** 18;
const segmentBytesMax = 2 ** 40;
const transports = ['auto', 'tcp', 'shm', 'verbs'] as const;
const acks = ['memory', 'durable'] as const;
const loopback = /^(?:localhost|::1|127(?:\.\d{1,3}){3})$/;

export interface MemberDescription {
  readonly id: number;
  /** Where the others and clients reach it. */
  readonly host: string;
  readonly port: number;
  readonly adminHost: string;
  readonly adminPort: number;
  /** A folder of this member alone. */
  readonly data: string;
  /** Hot only where too few others are. */
  readonly warm: boolean;
}

export type ControlDescription =
  | { readonly kind: 'file'; readonly path: string }
  | {
      readonly kind: 'etcd';
      readonly endpoints: readonly string[];
      readonly timeoutMs?: number;
      readonly user?: string;
      readonly passwordFile?: string;
      readonly authorityFile?: string;
      readonly certificateFile?: string;
      readonly certificateKeyFile?: string;
    };

export interface TimingDescription {
  readonly heartbeatMs?: number;
  readonly suspectMs?: number;
  readonly staggerMs?: number;
  readonly silentMs?: number;
  readonly scrubMs?: number;
}

/** Paths of PEM files. */
export interface TlsDescription {
  readonly certificate: string;
  readonly key: string;
  readonly authority: string;
}

export interface LimitsDescription {
  readonly maxOrders?: number;
  readonly maxAccounts?: number;
  readonly maxInstruments?: number;
  readonly maxClientIds?: number;
}

export interface SnapshotDescription {
  /** Commands between two snapshots of a member; 0: none are due by commands. */
  readonly every?: number;
  /** Bytes of the log between two snapshots, whichever comes first; 0: none are due by bytes. */
  readonly bytes?: number;
  /** Bytes of the log that stay, whatever snapshots there are. */
  readonly historyBytes?: number;
  /** Of a file of the log: whole ones are removed. */
  readonly segmentBytes?: number;
}

export interface ClusterDescription {
  readonly name: string;
  readonly control: ControlDescription;
  /** When a member acknowledges: when it has an entry in the page cache, or on disk. */
  readonly ack: 'memory' | 'durable';
  /** Hot ones that are wanted. */
  readonly replicas: number;
  /** With fewer hot ones no commands are taken. */
  readonly minSync: number;
  readonly transport: (typeof transports)[number];
  readonly keyFile?: string;
  readonly tls?: TlsDescription;
  /** Begins as the second of two sites: its entries come over a bridge. */
  readonly standby: boolean;
  readonly adminTokenFile?: string;
  readonly timing: TimingDescription;
  readonly limits: LimitsDescription;
  readonly snapshots: SnapshotDescription;
  readonly members: readonly MemberDescription[];
}

/** A JSON object whose fields are taken one by one; what is left at the end is refused. */
export class Fields {
  readonly #path: string;
  readonly #left: Map<string, unknown>;

  constructor(path: string, value: unknown, file = 'cluster.json') {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw invalidOption(path === '' ? file : path, value, 'an object');
    this.#path = path;
    this.#left = new Map(Object.entries(value));
  }

  name(field: string): string {
    return this.#path === '' ? field : `${this.#path}.${field}`;
  }

  take(field: string): unknown {
    const value = this.#left.get(field);
    this.#left.delete(field);
    return value;
  }

  optionalText(field: string, lengthMax = 4096): string | undefined {
    const value = this.take(field);
    if (value === undefined) return undefined;
    if (typeof value !== 'string' || value === '' || value.length > lengthMax)
      throw invalidOption(this.name(field), value, `a text of 1 to ${lengthMax} characters`);
    return value;
  }

  text(field: string, lengthMax = 4096): string {
    const value = this.optionalText(field, lengthMax);
    if (value === undefined) throw invalidOption(this.name(field), value, 'a text');
    return value;
  }

  number(field: string, min: number, max: number): number {
    return integer(this.name(field), this.take(field) as number, min, max);
  }

  optionalNumber(field: string, min: number, max: number): number | undefined {
    return this.has(field) ? this.number(field, min, max) : undefined;
  }

  choice<const Choice extends string>(field: string, choices: readonly Choice[], fallback: Choice): Choice {
    return this.has(field) ? oneOf(this.name(field), this.take(field) as Choice, choices) : fallback;
  }

  flag(field: string): boolean {
    const value = this.take(field) ?? false;
    if (typeof value !== 'boolean') throw invalidOption(this.name(field), value, 'true or false');
    return value;
  }

  list(field: string): readonly unknown[] {
    const value = this.take(field);
    if (!Array.isArray(value)) throw invalidOption(this.name(field), value, 'a list');
    return value;
  }

  has(field: string): boolean {
    return this.#left.get(field) !== undefined;
  }

  end(): void {
    const [unknown] = this.#left.keys();
    if (unknown === undefined) return;
    throw new InvalidRequestError('INVALID_OPTION', `${this.name(unknown)}: there is no such field`, {
      field: this.name(unknown),
    });
  }
}

/** Undefined members of an object are left out. */
export function given<T extends object>(object: { [Key in keyof T]: T[Key] | undefined }): T {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as T;
}

export function parseControl(value: unknown, at: (path: string) => string): ControlDescription {
  const fields = new Fields('control', value);
  const kind = oneOf('control.kind', fields.take('kind') as 'file' | 'etcd', ['file', 'etcd']);
  if (kind === 'file') {
    const path = at(fields.text('path'));
    fields.end();
    return { kind, path };
  }
  const endpoints = fields.list('endpoints').map((endpoint, index) => {
    if (typeof endpoint !== 'string' || !URL.canParse(endpoint) || !/^https?:\/\//.test(endpoint))
      throw invalidOption(`control.endpoints[${index}]`, endpoint, 'an http:// or https:// URL');
    return endpoint;
  });
  if (endpoints.length === 0) throw invalidOption('control.endpoints', [], 'at least one URL');
  const file = (field: string): string | undefined => {
    const path = fields.optionalText(field);
    return path === undefined ? undefined : at(path);
  };
  const rest = given<Omit<Extract<ControlDescription, { kind: 'etcd' }>, 'kind' | 'endpoints'>>({
    timeoutMs: fields.optionalNumber('timeoutMs', 50, idleMsMax),
    user: fields.optionalText('user', 256),
    passwordFile: file('passwordFile'),
    authorityFile: file('authorityFile'),
    certificateFile: file('certificateFile'),
    certificateKeyFile: file('certificateKeyFile'),
  });
  fields.end();
  if ((rest.user === undefined) !== (rest.passwordFile === undefined))
    throw invalidOption('control.user', rest.user, 'user and passwordFile, or neither');
  return { kind, endpoints, ...rest };
}

export function parseTls(value: unknown, at: (path: string) => string): TlsDescription {
  const fields = new Fields('tls', value);
  const tls = {
    certificate: at(fields.text('certificate')),
    key: at(fields.text('key')),
    authority: at(fields.text('authority')),
  };
  fields.end();
  return tls;
}

function parseMember(value: unknown, index: number, at: (path: string) => string): MemberDescription {
  const fields = new Fields(`members[${index}]`, value);
  const member = {
    id: fields.number('id', 1, membersMax),
    host: fields.text('host', 255),
    port: fields.number('port', 1, portMax),
    adminHost: fields.optionalText('adminHost', 255) ?? '127.0.0.1',
    adminPort: fields.number('adminPort', 1, portMax),
    data: at(fields.text('data')),
    warm: fields.flag('warm'),
  };
  fields.end();
  return member;
}

function checkMembers(members: readonly MemberDescription[]): void {
  const seen = new Map<string, string>();
  const once = (what: string, value: string, where: string): void => {
    const before = seen.get(`${what} ${value}`);
    if (before !== undefined) throw invalidOption(where, value, `another one than that of ${before}`);
    seen.set(`${what} ${value}`, where);
  };
  for (const [index, { id, host, port, adminHost, adminPort, data }] of members.entries()) {
    once('id', String(id), `members[${index}].id`);
    once('address', `${host}:${port}`, `members[${index}].port`);
    // Every host has a loopback address and folders of its own.
    const machine = isLoopback(adminHost) && !isLoopback(host) ? `${host} ` : '';
    once('address', `${machine}${adminHost}:${adminPort}`, `members[${index}].adminPort`);
    once('folder', `${host} ${data}`, `members[${index}].data`);
  }
}

export function isLoopback(host: string): boolean {
  return loopback.test(host);
}

/** Checks what JSON.parse() made of a cluster.json; paths in it count from `folder`. Throws INVALID_OPTION. */
export function parseDescription(value: unknown, folder: string): ClusterDescription {
  const at = (path: string): string => resolve(folder, path);
  const fields = new Fields('', value);
  const name = fields.text('name', 32);
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name))
    throw invalidOption('name', name, 'letters, digits, points, dashes, beginning with a letter or digit');
  const control = parseControl(fields.take('control'), at);
  const members = fields.list('members').map((member, index) => parseMember(member, index, at));
  if (members.length === 0 || members.length > membersMax)
    throw invalidOption('members', members.length, `1 to ${membersMax} members`);
  checkMembers(members);
  const replicas = fields.optionalNumber('replicas', 1, members.length) ?? Math.min(2, members.length);
  const file = (field: string): string | undefined => {
    const path = fields.optionalText(field);
    return path === undefined ? undefined : at(path);
  };
  const tls = fields.take('tls');
  const timing = new Fields('timing', fields.take('timing') ?? {});
  const limits = new Fields('limits', fields.take('limits') ?? {});
  const snapshots = new Fields('snapshots', fields.take('snapshots') ?? {});
  const ms = (field: string): number | undefined => timing.optionalNumber(field, 1, idleMsMax);
  const count = (field: string): number | undefined => limits.optionalNumber(field, 1, countMax);
  const description: ClusterDescription = {
    name,
    control,
    ack: fields.choice('ack', acks, 'memory'),
    replicas,
    minSync: fields.optionalNumber('minSync', 1, replicas) ?? 1,
    transport: fields.choice('transport', transports, 'auto'),
    standby: fields.flag('standby'),
    ...(tls !== undefined && { tls: parseTls(tls, at) }),
    ...given<Pick<ClusterDescription, 'keyFile' | 'adminTokenFile'>>({
      keyFile: file('keyFile'),
      adminTokenFile: file('adminTokenFile'),
    }),
    timing: given<TimingDescription>({
      heartbeatMs: ms('heartbeatMs'),
      suspectMs: ms('suspectMs'),
      staggerMs: ms('staggerMs'),
      silentMs: ms('silentMs'),
      scrubMs: ms('scrubMs'),
    }),
    limits: given<LimitsDescription>({
      maxOrders: count('maxOrders'),
      maxAccounts: count('maxAccounts'),
      maxInstruments: count('maxInstruments'),
      maxClientIds: count('maxClientIds'),
    }),
    snapshots: given<SnapshotDescription>({
      every: snapshots.optionalNumber('every', 0, snapshotEveryMax),
      bytes: snapshots.optionalNumber('bytes', 0, snapshotBytesMax),
      historyBytes: snapshots.optionalNumber('historyBytes', 0, historyBytesMax),
      segmentBytes: snapshots.optionalNumber('segmentBytes', segmentBytesMin, segmentBytesMax),
    }),
    members,
  };
  for (const part of [timing, limits, snapshots, fields]) part.end();
  const { heartbeatMs = 10, suspectMs = 120 } = description.timing;
  if (suspectMs <= heartbeatMs)
    throw invalidOption('timing.suspectMs', suspectMs, `more than heartbeatMs (${heartbeatMs})`);
  for (const [index, { adminHost }] of members.entries()) {
    if (!isLoopback(adminHost) && description.adminTokenFile === undefined)
      throw invalidOption(
        `members[${index}].adminHost`,
        adminHost,
        'a loopback address, or an adminTokenFile',
      );
  }
  if (control.kind === 'file' && new Set(members.map(({ host }) => host)).size > 1)
    throw invalidOption('control.kind', 'file', 'etcd, since the members have several hosts');
  return description;
}

export function readDescription(path: string): ClusterDescription {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new InvalidRequestError('INVALID_OPTION', `${path}: ${(cause as Error).message}`, { cause });
  }
  return parseDescription(value, dirname(resolve(path)));
}

export function memberOf(description: ClusterDescription, id: number): MemberDescription {
  const member = description.members.find((one) => one.id === id);
  if (member === undefined) {
    const ids = description.members.map((one) => one.id).join(', ');
    throw invalidOption('id', id, `one of the cluster’s members: ${ids}`);
  }
  return member;
}

/** The bytes of a secret file, without the line's end of an editor. */
export function secretOf(path: string): string {
  try {
    return readFileSync(path, 'utf8').trimEnd();
  } catch (cause) {
    throw new InvalidRequestError('INVALID_OPTION', `${path}: ${(cause as Error).message}`, { cause });
  }
}
