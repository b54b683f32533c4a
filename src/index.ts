/**
 * Verbex: an exchange core for Node. Start with {@link Exchange}; for messages between processes alone, with {@link Bus}.
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
  BusClosedError,
  BusRefusedError,
  ClosedError,
  DecimalError,
  type ErrorCode,
  type ErrorExtras,
  EventsGoneError,
  errorCodes,
  FeedError,
  GatewayError,
  InvalidRequestError,
  NativeError,
  PeerLostError,
  PositionLostError,
  RejectError,
  SlowConsumerError,
  UnknownNameError,
  VerbexError,
} from './api/errors.ts';
export type { CellsCallback, EventsCallback } from './api/event-pump.ts';
export { Exchange, type RejectedEvent } from './api/exchange.ts';
export type { FirmThrottle, GatewayOptions, GatewayUser } from './api/gateways.ts';
export { type AccountRef, type BatchId, type InstrumentRef, OrderBatch } from './api/order-batch.ts';
export type * from './api/types.ts';
export { Bus } from './bus/bus.ts';
export type { Publication } from './bus/publication.ts';
export type { Subscription } from './bus/subscription.ts';
export * from './bus/types.ts';
export {
  type ReconnectOptions,
  SoupClient,
  type SoupEnd,
  type SoupHandler,
  type SoupLoggedIn,
  type SoupOptions,
} from './clients/soup-client.ts';
export type { GatewayAddresses, GatewayStats, SessionStats } from './native/types.ts';
