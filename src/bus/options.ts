// The bus's options, checked in the caller's words and laid flat for the addon. Each function throws INVALID_OPTION.
import { readFile } from 'node:fs/promises';
import { flag, integer, invalidOption, oneOf, powerOfTwo } from '../errors/checks.ts';
import { InvalidRequestError } from '../errors/errors.ts';
import type {
  NativeBusOptions,
  NativePublicationOptions,
  NativeSubscriptionOptions,
} from '../native/types.ts';
import type { BusOptions, PublishOptions, SubscribeOptions } from './types.ts';

const payloadMaxDefault = 1 << 16;
const payloadMaxMax = 1 << 24;
const bytesMin = 4096;
const bytesMax = 2 ** 30;
/** What the bus keeps beside each message. */
const recordBytes = 32;
const bufferBytesDefault = 1 << 20;
const historyBytesDefault = 1 << 22;
const keyBytes = [16, 1024] as const;
const millisecondsMax = 3_600_000;
const epochMax = 2 ** 32 - 1;
const positionMax = 1n << 62n;

export interface CheckedBusOptions {
  readonly native: NativeBusOptions;
  readonly payloadMax: number;
  readonly key: Uint8Array | string | undefined;
}

function text(field: string, value: unknown, most: number): string {
  if (typeof value !== 'string' || value.length === 0 || value.length > most || value.includes('\0'))
    throw invalidOption(field, value, `a text of 1 to ${most} characters`);
  return value;
}

function record<Value extends object>(field: string, value: Value | undefined): Partial<Value> {
  if (value === undefined) return {};
  if (typeof value !== 'object' || value === null) throw invalidOption(field, value, 'an object');
  return value;
}

export function streamName(value: unknown): string {
  return text('stream', value, 64);
}

export function address(value: unknown): string {
  return text('address', value, 300);
}

export function milliseconds(field: string, value: number, least = 1): number {
  return integer(field, value, least, millisecondsMax);
}

export function epoch(value: number): number {
  return integer('epoch', value, 1, epochMax);
}

export function busOptions(options: BusOptions): CheckedBusOptions {
  const given = record('options', options);
  const name = text('name', given.name ?? `verbex-${process.pid}`, 64);
  if (!/^[\x20-\x7e]+$/.test(name)) throw invalidOption('name', name, '1 to 64 printable ASCII characters');
  const ringBytes = powerOfTwo('ringBytes', given.ringBytes ?? 1 << 20, bytesMin, bytesMax);
  const payloadMax = integer(
    'payloadMax',
    given.payloadMax ?? Math.min(payloadMaxDefault, ringBytes / 4),
    1,
    Math.min(payloadMaxMax, ringBytes / 4),
  );
  const heartbeatMs = milliseconds('heartbeatMs', given.heartbeatMs ?? 20);
  const livenessMs = integer(
    'livenessMs',
    given.livenessMs ?? Math.max(200, 3 * heartbeatMs),
    3 * heartbeatMs,
    millisecondsMax,
  );
  const { key } = given;
  if (key instanceof Uint8Array) checkKey(key);
  else if (key !== undefined) text('key', key, 4096);
  const verbs = record('verbs', given.verbs);
  const native: NativeBusOptions = {
    name,
    transport: oneOf('transport', given.transport ?? 'auto', ['auto', 'shm', 'tcp', 'verbs']),
    ringBytes,
    payloadMax,
    mac: flag('mac', given.mac ?? true),
    epoch: epoch(given.epoch ?? 1),
    heartbeatMs,
    livenessMs,
    reconnectMs: milliseconds('reconnectMs', given.reconnectMs ?? 50),
    setUpMs: milliseconds('setUpMs', given.setUpMs ?? 2000),
    spin: flag('spin', given.spin ?? false),
    counters: flag('counters', given.counters ?? true),
    ...(given.tls === undefined ? {} : tlsOptions(record('tls', given.tls))),
    ...(verbs.device === undefined ? {} : { device: text('verbs.device', verbs.device, 64) }),
    ...(verbs.port === undefined ? {} : { port: integer('verbs.port', verbs.port, 1, 255) }),
    ...(verbs.gidIndex === undefined
      ? {}
      : { gidIndex: integer('verbs.gidIndex', verbs.gidIndex, 0, 65_535) }),
  };
  return { native, payloadMax, key };
}

function tlsOptions(tls: Partial<NonNullable<BusOptions['tls']>>): Partial<NativeBusOptions> {
  return {
    certificate: text('tls.certificate', tls.certificate, 4096),
    certificateKey: text('tls.key', tls.key, 4096),
    authority: text('tls.authority', tls.authority, 4096),
    ...(tls.serverName === undefined ? {} : { serverName: text('tls.serverName', tls.serverName, 255) }),
  };
}

function checkKey(key: Uint8Array): Uint8Array {
  const [least, most] = keyBytes;
  if (key.length < least || key.length > most)
    throw invalidOption('key', `${key.length} bytes`, `${least} to ${most} bytes`);
  return key;
}

/** The key's bytes; a text is the path of the file that holds them. */
export async function keyOf(key: Uint8Array | string | undefined): Promise<Uint8Array | null> {
  if (typeof key !== 'string') return key ?? null;
  let bytes: Uint8Array;
  try {
    bytes = await readFile(key);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const message = `key: its file cannot be read: ${why}`;
    throw new InvalidRequestError('INVALID_OPTION', message, { field: 'key', cause });
  }
  return checkKey(bytes);
}

export interface CheckedPublishOptions {
  readonly native: NativePublicationOptions;
  readonly first: bigint;
  readonly payloadMax: number;
}

export function publishOptions(
  stream: string,
  options: PublishOptions,
  busPayloadMax: number,
): CheckedPublishOptions {
  const given = record('options', options);
  const historyBytes = powerOfTwo(
    'historyBytes',
    given.historyBytes ?? Math.max(historyBytesDefault, nextPowerOfTwo(8 * (busPayloadMax + recordBytes))),
    bytesMin,
    bytesMax,
  );
  const bufferBytes = bufferOf(given.bufferBytes, busPayloadMax);
  const most = Math.min(busPayloadMax, historyBytes / 8 - recordBytes, bufferBytes / 4);
  const payloadMax = integer('payloadMax', given.payloadMax ?? most, 1, most);
  return {
    native: {
      stream: streamName(stream),
      historyBytes,
      bufferBytes,
      payloadMax,
      retain: flag('retain', given.retain ?? false),
    },
    first: position('first', given.first ?? 1n),
    payloadMax,
  };
}

export function subscribeOptions(
  stream: string,
  options: SubscribeOptions,
  busPayloadMax: number,
): { readonly native: NativeSubscriptionOptions; readonly position: bigint } {
  const given = record('options', options);
  const from = given.from ?? 'next';
  const bufferBytes = bufferOf(given.bufferBytes, busPayloadMax);
  if (bufferBytes < 8 * (busPayloadMax + recordBytes)) {
    const expected = `at least eight times the bus's payloadMax of ${busPayloadMax} and ${recordBytes} more`;
    throw invalidOption('bufferBytes', bufferBytes, expected);
  }
  return {
    native: {
      stream: streamName(stream),
      from: typeof from === 'bigint' ? 'position' : oneOf('from', from, ['next', 'oldest']),
      payloadMax: busPayloadMax,
      bufferBytes,
      resume: flag('resume', given.resume ?? true),
      wait: flag('wait', given.wait ?? true),
    },
    position: typeof from === 'bigint' ? position('from', from) : 0n,
  };
}

function bufferOf(value: number | undefined, payloadMax: number): number {
  const least = Math.max(bufferBytesDefault, nextPowerOfTwo(8 * (payloadMax + recordBytes)));
  return powerOfTwo('bufferBytes', value ?? least, bytesMin, bytesMax);
}

function nextPowerOfTwo(value: number): number {
  return 2 ** Math.ceil(Math.log2(value));
}

function position(field: string, value: bigint): bigint {
  if (typeof value !== 'bigint' || value < 1n || value > positionMax)
    throw invalidOption(field, value, 'a position as bigint, from 1n to 2^62');
  return value;
}
