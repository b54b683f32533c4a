// Why the core refused, in OUCH's words; docs/ouch.md has the table.
//
// Thread safety: pure.
#pragma once

#include "gateway/ouch/ouch.h"
#include "wire/event.h"
#include "wire/reject.h"

namespace verbex::gateway::ouch {

[[nodiscard]] constexpr Reason reasonOf(verbex::Reject reject) {
    using enum verbex::Reject;
    switch (reject) {
        case UNKNOWN_INSTRUMENT: return Reason::InvalidSymbol;
        case INVALID_SIDE: return Reason::InvalidSide;
        case INVALID_PRICE:
        case PRICE_OUT_OF_BAND: return Reason::InvalidPrice;
        case INVALID_QUANTITY:
        case QUANTITY_BELOW_MINIMUM: return Reason::InvalidQuantity;
        case QUANTITY_ABOVE_MAXIMUM: return Reason::SharesExceedThreshold;
        case INVALID_DISPLAY_QUANTITY: return Reason::InvalidMaxFloor;
        case INVALID_MIN_QUANTITY: return Reason::InvalidMinQuantity;
        case INSTRUMENT_NOT_OPEN:
        case INSTRUMENT_FROZEN: return Reason::Halted;
        case KILLED: return Reason::FirmNotAuthorized;
        case INSTRUMENT_NOT_ALLOWED: return Reason::RiskRestrictedStock;
        case ORDER_TYPE_NOT_ALLOWED: return Reason::RiskMarketOrderNotAllowed;
        case ORDER_SIZE_LIMIT: return Reason::RiskMaxQuantity;
        case ORDER_VALUE_LIMIT: return Reason::RiskOrderNotional;
        case OPEN_ORDERS_LIMIT:
        case OPEN_VALUE_LIMIT:
        case POSITION_LIMIT:
        case INSUFFICIENT_FUNDS: return Reason::RiskAggregateExposure;
        case NO_LIQUIDITY: return Reason::QuoteUnavailable;
        case POST_ONLY_WOULD_CROSS: return Reason::CrossedMarket;
        case UNKNOWN_ORDER:
        case ORDER_CLOSED: return Reason::ReplaceNotAllowed;
        case CAPACITY_ORDERS:
        case CAPACITY_CLIENT_IDS: return Reason::ProcessingError;
        default: return Reason::Other;
    }
}

[[nodiscard]] constexpr char cancelReasonOf(Cause cause) {
    switch (cause) {
        case Cause::Immediate:
        case Cause::FillOrKill:
        case Cause::MinQuantity: return kUnfilledImmediate;
        case Cause::SelfTrade: return kSelfMatch;
        case Cause::KillSwitch: return kSupervisory;
        case Cause::Expired:
        case Cause::DayEnd: return kTimeout;
        default: return kUserRequested;
    }
}

}  // namespace verbex::gateway::ouch
