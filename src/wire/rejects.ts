// The core's reject codes, as native/wire/reject.h lists them; a test proves the two equal, and docs/reject-codes.md with them.

/** [number, name, sentence]. Numbers are never reused, names never changed. */
export const rejects = [
  [1, 'UNKNOWN_COMMAND', 'the command type is not known'],
  [2, 'UNKNOWN_ACCOUNT', 'no such account'],
  [3, 'UNKNOWN_INSTRUMENT', 'no such instrument'],
  [4, 'UNKNOWN_ASSET', 'no such asset'],
  [5, 'UNKNOWN_ORDER', 'this account has no order of this id'],
  [6, 'ORDER_CLOSED', 'the order is filled, cancelled or replaced already'],
  [7, 'ACCOUNT_CANNOT_TRADE', 'the venue itself holds no balances and enters no orders'],
  [8, 'INVALID_CLIENT_ORDER_ID', 'the client order id or transaction id is missing'],
  [9, 'DUPLICATE_CLIENT_ORDER_ID', 'the id was used for a different order'],
  [10, 'INVALID_FLAGS', 'a flag is unknown or two flags contradict each other'],
  [11, 'INVALID_SIDE', 'the side is neither buy nor sell'],
  [12, 'INVALID_ORDER_TYPE', 'the order type is not known'],
  [13, 'INVALID_TIME_IN_FORCE', 'the time in force is not known or not possible for this order type'],
  [14, 'INVALID_SELF_TRADE', 'the self-trade prevention mode is not known'],
  [15, 'INVALID_PRICE', 'the price is missing, not positive, or not possible for this order type'],
  [16, 'INVALID_STOP_PRICE', 'the stop price is missing, or not possible for this order type'],
  [17, 'INVALID_QUANTITY', 'the quantity is not positive'],
  [18, 'INVALID_DISPLAY_QUANTITY', 'the display quantity is not possible for this order'],
  [19, 'INVALID_MIN_QUANTITY', 'the minimum quantity is not possible for this order'],
  [20, 'INVALID_EXPIRY', 'GTD needs an expiry after now; nothing else may have one'],
  [21, 'PRICE_OUT_OF_BAND', "the price or stop price is outside the instrument's band"],
  [22, 'QUANTITY_BELOW_MINIMUM', "the quantity is below the instrument's minimum"],
  [23, 'QUANTITY_ABOVE_MAXIMUM', "the quantity is above the instrument's maximum"],
  [24, 'INSTRUMENT_NOT_OPEN', 'the instrument takes no new orders now'],
  [25, 'INSTRUMENT_FROZEN', "the instrument is halted or closed: orders can't be changed now"],
  [26, 'KILLED', 'the kill switch of this account or of a level above it is on'],
  [27, 'ORDER_TYPE_NOT_ALLOWED', 'a level of the account tree lacks the right to this order type'],
  [28, 'INSTRUMENT_NOT_ALLOWED', 'a level of the account tree lacks the right to this instrument'],
  [29, 'ORDER_SIZE_LIMIT', 'above an order size limit'],
  [30, 'ORDER_VALUE_LIMIT', 'above an order value limit'],
  [31, 'OPEN_ORDERS_LIMIT', 'above an open orders limit'],
  [32, 'OPEN_VALUE_LIMIT', 'above a gross open value limit'],
  [33, 'POSITION_LIMIT', 'above a position limit'],
  [34, 'INSUFFICIENT_FUNDS', 'what is available does not cover the worst case, fees included'],
  [35, 'VALUE_OVERFLOW', 'an amount would leave the range of amounts'],
  [36, 'NO_LIQUIDITY', 'a market order found nothing on the other side'],
  [37, 'POST_ONLY_WOULD_CROSS', 'a post-only order would have traded'],
  [38, 'CAPACITY_ORDERS', 'no room for another open order; cancels still work'],
  [39, 'CAPACITY_CLIENT_IDS', 'no room for another client order id until the day ends'],
  [40, 'CAPACITY_ACCOUNTS', 'no room for another account'],
  [41, 'CAPACITY_INSTRUMENTS', 'no room for another instrument or asset'],
  [42, 'CAPACITY_FEE_SCHEDULES', 'open orders still use too many older fee schedules'],
  [43, 'INVALID_AMOUNT', 'the amount is not positive, or out of range'],
  [44, 'DUPLICATE_TRANSACTION', 'the transaction id was used for a different transaction'],
  [45, 'INVALID_NAME', 'the name is missing'],
  [46, 'NAME_EXISTS', 'the name is taken'],
  [47, 'INVALID_DECIMALS', 'an asset has 0 to 18 decimals'],
  [48, 'INVALID_INSTRUMENT', 'a field of the instrument is out of range'],
  [49, 'INVALID_TRADING_STATE', 'the trading state is not known'],
  [50, 'INVALID_PARENT', 'accounts go three levels deep: firm, account, client'],
  [51, 'INVALID_RIGHTS', 'the rights are not known'],
  [52, 'INVALID_LIMIT', "the limit's kind, subject or value is not possible"],
  [53, 'TIME_NOT_MONOTONIC', "time can't go back"],
  [54, 'SAME_ACCOUNT', 'a transfer needs two accounts'],
  [55, 'FEES_BELOW_REBATES', 'with the fees of orders that are open, a trade could cost the venue'],
  [56, 'RISK_UNAVAILABLE', 'the risk process of this account is away: nothing was done, send it again'],
  [57, 'INVALID_AVAILABILITY', 'the risk process or their number is not possible'],
  [58, 'VENUE_LIMIT_NOT_POSSIBLE', 'with several risk processes the venue itself can have no limit'],
] as const;

export type RejectCode = (typeof rejects)[number][1];

const names: readonly string[] = rejects.reduce<string[]>((list, [number, name]) => {
  list[number] = name;
  return list;
}, []);
const sentences: ReadonlyMap<string, string> = new Map(rejects.map(([, name, sentence]) => [name, sentence]));

/** The name of a code; a number that a newer core may use comes out as REJECT_<number>. */
export function rejectName(number: number): string {
  return names[number] ?? `REJECT_${number}`;
}

/** What the code means, as a sentence without a full stop. */
export function rejectSentence(name: string): string {
  return sentences.get(name) ?? name;
}
