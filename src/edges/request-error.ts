// What a client is told when its request is refused.
import {
  BackPressureError,
  ClosedError,
  DecimalError,
  InvalidRequestError,
  RejectError,
  UnknownNameError,
  VerbexError,
} from '../errors/errors.ts';

/** A refusal with its HTTP status and stable code (docs/http-api.md); the message is for people. */
export class RequestError extends VerbexError {
  readonly status: number;

  constructor(status: number, code: string, message: string) {
    super(code, message);
    this.status = status;
  }
}

/** What the public API throws, as a refusal; undefined for anything that is no client's fault. */
export function refusalOf(error: unknown): RequestError | undefined {
  if (error instanceof RequestError) return error;
  if (!(error instanceof VerbexError)) return undefined;
  const { code, message } = error;
  if (error instanceof RejectError) return new RequestError(statusOfReject(code), code, message);
  if (code === 'CHANGE_IN_FLIGHT') return new RequestError(409, code, message);
  if (error instanceof UnknownNameError) return new RequestError(404, code, message);
  if (error instanceof DecimalError || error instanceof InvalidRequestError)
    return new RequestError(400, code, message);
  if (error instanceof BackPressureError || error instanceof ClosedError)
    return new RequestError(503, code, message);
  return undefined;
}

/** Codes whose status is not 422. docs/http-api.md prints this table; a test holds them equal. */
export const statusByCode: Readonly<Record<string, number>> = {
  UNKNOWN_ORDER: 404,
  ORDER_CLOSED: 409,
  DUPLICATE_CLIENT_ORDER_ID: 409,
  DUPLICATE_TRANSACTION: 409,
  NAME_EXISTS: 409,
  KILLED: 403,
  ORDER_TYPE_NOT_ALLOWED: 403,
  INSTRUMENT_NOT_ALLOWED: 403,
  CAPACITY_ORDERS: 429,
  CAPACITY_CLIENT_IDS: 429,
};

/** The status of a command that the core refused. */
export function statusOfReject(code: string): number {
  return statusByCode[code] ?? 422;
}
