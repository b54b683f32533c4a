// Every code that an error of this package can carry, but for the core's own reject codes (docs/reject-codes.md), which RejectError
// hands on. docs/errors.md is this table; a test holds the two equal. A code is never renamed or used for something else.

/** [code, class, when]. */
export const errorCodes = [
  [
    'NUMBER_NOT_ALLOWED',
    'DecimalError',
    'a price, quantity or amount was given as a JavaScript number: pass a decimal string or a bigint of units',
  ],
  [
    'INVALID_DECIMAL',
    'DecimalError',
    'the text is not a plain decimal number (digits, at most one point, an optional minus sign)',
  ],
  [
    'EXCESS_PRECISION',
    'DecimalError',
    'the value is finer than the step of what it measures; nothing is ever rounded',
  ],
  [
    'DECIMAL_OUT_OF_RANGE',
    'DecimalError',
    'the value does not fit into the field: 64-bit for prices and quantities, 128-bit for amounts',
  ],
  ['INVALID_REQUEST', 'InvalidRequestError', 'a field of a request is missing, unknown or of the wrong type'],
  [
    'INVALID_ID',
    'InvalidRequestError',
    'an order or transaction id is neither 1 to 16 printable ASCII characters (no blanks) nor a UUID of RFC 9562',
  ],
  ['INVALID_NAME', 'InvalidRequestError', 'a name is not 1 to 16 printable ASCII characters (no blanks)'],
  [
    'INVALID_TICK_OR_LOT',
    'InvalidRequestError',
    'tick size or lot size is not positive, or their product is not exact in the quote asset',
  ],
  [
    'CHANGE_IN_FLIGHT',
    'InvalidRequestError',
    'a change-instrument leaves fields out while an earlier change of that instrument is not answered yet',
  ],
  ['INVALID_OPTION', 'InvalidRequestError', 'an option of open() or of a query is out of range'],
  [
    'UNKNOWN_ACCOUNT_NAME',
    'UnknownNameError',
    'no account has this name; a new one can be named once its add-account has been answered',
  ],
  [
    'UNKNOWN_INSTRUMENT_NAME',
    'UnknownNameError',
    'no instrument has this name; a new one can be named once its add-instrument has been answered',
  ],
  [
    'UNKNOWN_ASSET_NAME',
    'UnknownNameError',
    'no asset has this name; a new one can be named once its add-asset has been answered',
  ],
  ['BATCH_FULL', 'BackPressureError', 'the order batch has no free cell: offer it, or make it larger'],
  [
    'BACK_PRESSURE',
    'BackPressureError',
    'too many submitted requests wait for room in the input ring; wait for some answers first',
  ],
  [
    'SLOW_CONSUMER',
    'SlowConsumerError',
    'the consumer was overtaken by the events; resumeFrom is the first position that it missed',
  ],
  [
    'EVENTS_GONE',
    'EventsGoneError',
    'events from this position on are neither kept in memory nor to be had from the journal',
  ],
  ['EXCHANGE_CLOSED', 'ClosedError', 'the exchange is closing or closed'],
  [
    'NATIVE_ERROR',
    'NativeError',
    'the native engine failed without a code of its own; otherwise NativeError carries the engine’s code',
  ],
  ['ADDON_NOT_BUILT', 'NativeError', 'the native addon is not there, or cannot be loaded: run npm run setup'],
] as const;

export type ErrorCode = (typeof errorCodes)[number][0];
