/**
 * Verbex: an exchange core for Node. Start with {@link Exchange}.
 *
 * @packageDocumentation
 */

export {
  type EventName,
  EventReader,
  eventFlags,
  eventTypes,
  type RejectCode,
  rejects,
} from './api/cells.ts';
export {
  BackPressureError,
  ClosedError,
  DecimalError,
  type ErrorCode,
  type ErrorExtras,
  EventsGoneError,
  errorCodes,
  InvalidRequestError,
  NativeError,
  RejectError,
  SlowConsumerError,
  UnknownNameError,
  VerbexError,
} from './api/errors.ts';
export type { CellsCallback, EventsCallback } from './api/event-pump.ts';
export { Exchange, type RejectedEvent } from './api/exchange.ts';
export { type AccountRef, type BatchId, type InstrumentRef, OrderBatch } from './api/order-batch.ts';
export type * from './api/types.ts';
