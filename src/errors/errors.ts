// One family of errors. Catch VerbexError and look at `code`: codes are stable, messages are for people.

/** What an error may carry beside its code and its sentence. */
export interface ErrorExtras {
  readonly cause?: unknown;
  /** The offending field of a request, as the API names it. */
  readonly field?: string;
  /** Facts for logs: plain values only. */
  readonly details?: Readonly<Record<string, unknown>>;
}

/** The root of the family. Every code is listed in docs/errors.md, but for reject codes, which docs/reject-codes.md lists. */
export class VerbexError extends Error {
  /** Stable and fit for `switch`. */
  readonly code: string;
  readonly details: Readonly<Record<string, unknown>>;
  readonly field?: string;
  /** Where in the offered batch the offending request stands; set by `offer`. */
  index?: number;

  constructor(code: string, message: string, extras: ErrorExtras = {}) {
    super(message, extras.cause === undefined ? undefined : { cause: extras.cause });
    this.name = new.target.name;
    this.code = code;
    this.details = extras.details ?? {};
    if (extras.field !== undefined) this.field = extras.field;
  }
}

/** A price, quantity or amount that cannot be taken as it is. */
export class DecimalError extends VerbexError {}

/** A request or an option that never reached the core. */
export class InvalidRequestError extends VerbexError {}

/** A name that the exchange does not know (yet). */
export class UnknownNameError extends VerbexError {}

/** A full buffer of the caller's side; the input ring's own back-pressure is what `offer` answers. */
export class BackPressureError extends VerbexError {}

/** A consumer that was overtaken, of events or of a stream of the bus. Nothing was skipped in silence: all before `resumeFrom` was delivered. */
export class SlowConsumerError extends VerbexError {
  /** Position to pass as `events({ from })` or `subscribe(stream, { from })`. Events of this command may have been delivered in part. */
  readonly resumeFrom: bigint;

  constructor(resumeFrom: bigint, message: string) {
    super('SLOW_CONSUMER', message, { details: { resumeFrom } });
    this.resumeFrom = resumeFrom;
  }
}

/** Events that can no longer be had. */
export class EventsGoneError extends VerbexError {}

/** The exchange is closing or closed. */
export class ClosedError extends VerbexError {
  constructor(message = 'the exchange is closed', extras: ErrorExtras = {}) {
    super('EXCHANGE_CLOSED', message, extras);
  }
}

/** No link to that peer: it refused us, we refused it, or it was not to be reached. `code` says which. */
export class BusRefusedError extends VerbexError {}

/** The link to a peer is gone: its process died, or nothing was heard of it for too long. */
export class PeerLostError extends VerbexError {}

/** A stream cannot be had from the asked position on. */
export class PositionLostError extends VerbexError {
  /** The first position that can still be had; 0: none. */
  readonly oldest: bigint;

  constructor(oldest: bigint, message: string) {
    super('POSITION_LOST', message, { details: { oldest } });
    this.oldest = oldest;
  }
}

/** The bus, or the stream of it, is closed. */
export class BusClosedError extends VerbexError {}

/** A session with a gateway or a feed of the field's own protocols cannot be had, or is over. `code` says why. */
export class GatewayError extends VerbexError {}

/** A market data feed cannot be followed. `code` says why. */
export class FeedError extends VerbexError {}

/** A gateway has refused an order or a cancel. `details` has the order, and the reason as the protocol numbers it. */
export class OrderRejectedError extends VerbexError {}

/** Something about a cluster of several members: its control store, a member, or what an operator asked of them. */
export class ClusterError extends VerbexError {}

/** `execute()` was answered by a reject. `code` is the core's reject code. */
export class RejectError<
  E extends { readonly code: string } = { readonly code: string },
> extends VerbexError {
  /** The rejected event. */
  readonly event: E;

  constructor(event: E, message: string) {
    super(event.code, message);
    this.event = event;
  }
}

/** An error of the native engine: journal damage, a failed write, a state that cannot be loaded. `code` is the engine's. */
export class NativeError extends VerbexError {
  /** Where in the journal, if the engine said so. */
  readonly place?: Readonly<Record<string, unknown>>;

  constructor(
    code: string,
    message: string,
    extras: ErrorExtras & { readonly place?: Readonly<Record<string, unknown>> } = {},
  ) {
    super(code, message, extras);
    if (extras.place !== undefined) this.place = extras.place;
  }
}

/** The engine's error as one of ours; errors that are ours already pass through. */
export function fromNative(error: unknown): VerbexError {
  if (error instanceof VerbexError) return error;
  if (!(error instanceof Error)) return new NativeError('NATIVE_ERROR', String(error), { cause: error });
  const { code, place } = error as Error & { code?: unknown; place?: Record<string, unknown> };
  const extras = place === undefined ? { cause: error } : { cause: error, place };
  return new NativeError(typeof code === 'string' ? code : 'NATIVE_ERROR', error.message, extras);
}
