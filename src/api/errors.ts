// The errors of the public API. They live in the ground room, since decimals and the addon's loader throw them too.
export { type ErrorCode, errorCodes } from '../errors/codes.ts';
export {
  BackPressureError,
  BusClosedError,
  BusRefusedError,
  ClosedError,
  DecimalError,
  type ErrorExtras,
  EventsGoneError,
  FeedError,
  fromNative,
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
} from '../errors/errors.ts';
