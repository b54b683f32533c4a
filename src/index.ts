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
  OrderRejectedError,
  PeerLostError,
  PositionLostError,
  RejectError,
  SlowConsumerError,
  UnknownNameError,
  VerbexError,
} from './api/errors.ts';
export type { CellsCallback, EventsCallback } from './api/event-pump.ts';
export { Exchange, type RejectedEvent } from './api/exchange.ts';
export type {
  FirmThrottle,
  GatewayAddresses,
  GatewayOptions,
  GatewayStats,
  GatewayUser,
  SessionStats,
} from './api/gateways.ts';
export { type AccountRef, type BatchId, type InstrumentRef, OrderBatch } from './api/order-batch.ts';
export type * from './api/types.ts';
export { Bus } from './bus/bus.ts';
export type { Publication } from './bus/publication.ts';
export type { Subscription } from './bus/subscription.ts';
export * from './bus/types.ts';
export {
  type ClearingAnswer,
  ClearingClient,
  type ClearingClientOptions,
  type ClearingLimitKind,
  type ClearingMoney,
  type ClearingOutcome,
  type ClearingQuery,
  type ClearingRow,
} from './clients/clearing-client.ts';
export {
  type ClearingAcknowledged,
  type ClearingAnswers,
  type ClearingExecution,
  type ClearingMessage,
  type ClearingRejected,
  type ClearingRequest,
  type ClearingRequests,
  readClearing,
  readClearingRequest,
  writeClearing,
  writeClearingAnswer,
} from './clients/clearing-codec.ts';
export { type InstrumentTerms, InstrumentUnits } from './clients/instrument-units.ts';
export {
  type BookLevel,
  type FeedEnd,
  type FeedRecovery,
  ItchBook,
  type ItchBookEvents,
  type ItchBookOptions,
} from './clients/itch-book.ts';
export * from './clients/itch-codec.ts';
export {
  type MoldCounters,
  type MoldHandler,
  type MoldOptions,
  MoldReceiver,
} from './clients/mold-receiver.ts';
export {
  type FeedChange,
  type FeedLevel,
  type FeedOrder,
  type FeedTrade,
  OrderBooks,
  type OrderBooksListener,
} from './clients/order-books.ts';
export {
  type EnterRequest,
  type OuchAmount,
  OuchClient,
  type OuchClientEvents,
  type OuchClientOptions,
  ouchMarketPrice,
  type ReplaceRequest,
  type Requested,
} from './clients/ouch-client.ts';
export * from './clients/ouch-codec.ts';
export {
  type ReconnectOptions,
  SoupClient,
  type SoupEnd,
  type SoupHandler,
  type SoupLoggedIn,
  type SoupOptions,
} from './clients/soup-client.ts';
