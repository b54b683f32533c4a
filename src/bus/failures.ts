// The codes of the native bus as errors of the family.
import {
  BusClosedError,
  BusRefusedError,
  fromNative,
  NativeError,
  PeerLostError,
  UnknownNameError,
  VerbexError,
} from '../errors/errors.ts';

const refusals: ReadonlySet<string> = new Set([
  'TRANSPORT_UNAVAILABLE',
  'AUTHENTICATION_FAILED',
  'STALE_EPOCH',
  'REFUSED',
  'TIMED_OUT',
  'PROTOCOL_VIOLATION',
]);

export function busClosed(): BusClosedError {
  return new BusClosedError('BUS_CLOSED', 'the bus is closed');
}

export function busFailure(code: string, message: string, cause?: unknown): VerbexError {
  const extras = cause === undefined ? {} : { cause };
  if (refusals.has(code)) return new BusRefusedError(code, message, extras);
  if (code === 'PEER_LOST') return new PeerLostError(code, message, extras);
  if (code === 'NOT_FOUND') return new UnknownNameError('UNKNOWN_STREAM', message, extras);
  return new NativeError(code, message, extras);
}

/** What a promise of the addon was rejected with. */
export function busError(error: unknown): VerbexError {
  if (error instanceof VerbexError) return error;
  const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown };
  if (code === 'CLOSED') return busClosed();
  return typeof code === 'string' && typeof message === 'string'
    ? busFailure(code, message, error)
    : fromNative(error);
}
