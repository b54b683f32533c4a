// Reject: why a command was refused. Stable codes: a number is never reused, a name never changed.
//
// Purpose: one list for the core, the TypeScript errors and docs/reject-codes.md (a test holds the
// three equal). X(number, name, sentence).
#pragma once

#include <cstdint>

namespace verbex {

#define VERBEX_REJECTS(X)                                                                             \
    X(1, UNKNOWN_COMMAND, "the command type is not known")                                            \
    X(2, UNKNOWN_ACCOUNT, "no such account")                                                          \
    X(3, UNKNOWN_INSTRUMENT, "no such instrument")                                                    \
    X(4, UNKNOWN_ASSET, "no such asset")                                                              \
    X(5, UNKNOWN_ORDER, "this account has no order of this id")                                       \
    X(6, ORDER_CLOSED, "the order is filled, cancelled or replaced already")                          \
    X(7, ACCOUNT_CANNOT_TRADE, "the venue itself holds no balances and enters no orders")             \
    X(8, INVALID_CLIENT_ORDER_ID, "the client order id or transaction id is missing")                 \
    X(9, DUPLICATE_CLIENT_ORDER_ID, "the id was used for a different order")                          \
    X(10, INVALID_FLAGS, "a flag is unknown or two flags contradict each other")                      \
    X(11, INVALID_SIDE, "the side is neither buy nor sell")                                           \
    X(12, INVALID_ORDER_TYPE, "the order type is not known")                                          \
    X(13, INVALID_TIME_IN_FORCE, "the time in force is not known or not possible for this order type") \
    X(14, INVALID_SELF_TRADE, "the self-trade prevention mode is not known")                          \
    X(15, INVALID_PRICE, "the price is missing, not positive, or not possible for this order type")   \
    X(16, INVALID_STOP_PRICE, "the stop price is missing, or not possible for this order type")       \
    X(17, INVALID_QUANTITY, "the quantity is not positive")                                           \
    X(18, INVALID_DISPLAY_QUANTITY, "the display quantity is not possible for this order")            \
    X(19, INVALID_MIN_QUANTITY, "the minimum quantity is not possible for this order")                \
    X(20, INVALID_EXPIRY, "GTD needs an expiry after now; nothing else may have one")                 \
    X(21, PRICE_OUT_OF_BAND, "the price or stop price is outside the instrument's band")              \
    X(22, QUANTITY_BELOW_MINIMUM, "the quantity is below the instrument's minimum")                   \
    X(23, QUANTITY_ABOVE_MAXIMUM, "the quantity is above the instrument's maximum")                   \
    X(24, INSTRUMENT_NOT_OPEN, "the instrument takes no new orders now")                              \
    X(25, INSTRUMENT_FROZEN, "the instrument is halted or closed: orders can't be changed now")       \
    X(26, KILLED, "the kill switch of this account or of a level above it is on")                     \
    X(27, ORDER_TYPE_NOT_ALLOWED, "a level of the account tree lacks the right to this order type")   \
    X(28, INSTRUMENT_NOT_ALLOWED, "a level of the account tree lacks the right to this instrument")   \
    X(29, ORDER_SIZE_LIMIT, "above an order size limit")                                              \
    X(30, ORDER_VALUE_LIMIT, "above an order value limit")                                            \
    X(31, OPEN_ORDERS_LIMIT, "above an open orders limit")                                            \
    X(32, OPEN_VALUE_LIMIT, "above a gross open value limit")                                         \
    X(33, POSITION_LIMIT, "above a position limit")                                                   \
    X(34, INSUFFICIENT_FUNDS, "what is available does not cover the worst case, fees included")       \
    X(35, VALUE_OVERFLOW, "an amount would leave the range of amounts")                               \
    X(36, NO_LIQUIDITY, "a market order found nothing on the other side")                             \
    X(37, POST_ONLY_WOULD_CROSS, "a post-only order would have traded")                               \
    X(38, CAPACITY_ORDERS, "no room for another open order; cancels still work")                      \
    X(39, CAPACITY_CLIENT_IDS, "no room for another client order id until the day ends")              \
    X(40, CAPACITY_ACCOUNTS, "no room for another account")                                           \
    X(41, CAPACITY_INSTRUMENTS, "no room for another instrument or asset")                            \
    X(42, CAPACITY_FEE_SCHEDULES, "open orders still use too many older fee schedules")               \
    X(43, INVALID_AMOUNT, "the amount is not positive, or out of range")                              \
    X(44, DUPLICATE_TRANSACTION, "the transaction id was used for a different transaction")           \
    X(45, INVALID_NAME, "the name is missing")                                                        \
    X(46, NAME_EXISTS, "the name is taken")                                                           \
    X(47, INVALID_DECIMALS, "an asset has 0 to 18 decimals")                                          \
    X(48, INVALID_INSTRUMENT, "a field of the instrument is out of range")                            \
    X(49, INVALID_TRADING_STATE, "the trading state is not known")                                    \
    X(50, INVALID_PARENT, "accounts go three levels deep: firm, account, client")                     \
    X(51, INVALID_RIGHTS, "the rights are not known")                                                 \
    X(52, INVALID_LIMIT, "the limit's kind, subject or value is not possible")                        \
    X(53, TIME_NOT_MONOTONIC, "time can't go back")                                                   \
    X(54, SAME_ACCOUNT, "a transfer needs two accounts")                                              \
    X(55, FEES_BELOW_REBATES, "with the fees of orders that are open, a trade could cost the venue")      \
    X(56, RISK_UNAVAILABLE, "the risk process of this account is away: nothing was done, send it again") \
    X(57, INVALID_AVAILABILITY, "the risk process or their number is not possible")                  \
    X(58, VENUE_LIMIT_NOT_POSSIBLE, "with several risk processes the venue itself can have no limit")

enum class Reject : uint16_t {
    NONE = 0,
#define VERBEX_X(number, name, sentence) name = number,
    VERBEX_REJECTS(VERBEX_X)
#undef VERBEX_X
};

inline constexpr uint16_t kRejectMax = 58;

// The code's name, "" for a number that is none.
[[nodiscard]] constexpr const char* rejectName(Reject reject) {
    switch (reject) {
        case Reject::NONE: return "NONE";
#define VERBEX_X(number, name, sentence) \
    case Reject::name: return #name;
            VERBEX_REJECTS(VERBEX_X)
#undef VERBEX_X
    }
    return "";
}

}  // namespace verbex
