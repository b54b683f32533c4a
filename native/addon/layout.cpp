// The layouts and numbers of native/wire as JavaScript values: a test proves the TypeScript ones
// equal.
#include <cstddef>

#include "addon/addon.h"
#include "core/core.h"
#include "wire/command.h"
#include "wire/event.h"
#include "wire/reject.h"

namespace verbex::addon {

namespace {

struct NamedNumber {
    const char* name;
    uint64_t number;
};

#define FIELD(type, field) \
    { #field, offsetof(type, field) }
constexpr NamedNumber kCommandFields[] = {
    FIELD(Command, type),       FIELD(Command, side),        FIELD(Command, orderType),
    FIELD(Command, timeInForce), FIELD(Command, selfTrade),  FIELD(Command, flags),
    FIELD(Command, account),    FIELD(Command, instrument),  FIELD(Command, id),
    FIELD(Command, price),      FIELD(Command, quantity),    FIELD(Command, amount),
    FIELD(Command, expiry),     FIELD(Command, toAccount),   FIELD(Command, rights),
    FIELD(Command, token),      FIELD(Command, newId),       FIELD(Command, stopPrice),
    FIELD(Command, displayQuantity), FIELD(Command, minQuantity), FIELD(Command, priceMin),
    FIELD(Command, priceMax),   FIELD(Command, quantityMin), FIELD(Command, quantityMax),
    FIELD(Command, makerFee),   FIELD(Command, takerFee),    FIELD(Command, collar),
    FIELD(Command, base),       FIELD(Command, quote),
};
constexpr NamedNumber kEventFields[] = {
    FIELD(Event, type),     FIELD(Event, flags),      FIELD(Event, side),     FIELD(Event, kind),
    FIELD(Event, code),     FIELD(Event, schedules),  FIELD(Event, position), FIELD(Event, account),
    FIELD(Event, instrument), FIELD(Event, orderId),  FIELD(Event, price),
    FIELD(Event, quantity),
    FIELD(Event, leaves),   FIELD(Event, token),      FIELD(Event, id),       FIELD(Event, id2),
    FIELD(Event, orderId2), FIELD(Event, leaves2),    FIELD(Event, amount),
    FIELD(Event, account2),
    FIELD(Event, fee),      FIELD(Event, fee2),       FIELD(Event, tradeId),
};
#undef FIELD

#define VALUE(type, name) \
    { #name, static_cast<uint64_t>(type::name) }
constexpr NamedNumber kCommandTypes[] = {
    VALUE(CommandType, NewOrder),         VALUE(CommandType, CancelOrder),
    VALUE(CommandType, ReduceOrder),      VALUE(CommandType, ReplaceOrder),
    VALUE(CommandType, MassCancel),       VALUE(CommandType, KillSwitch),
    VALUE(CommandType, Deposit),          VALUE(CommandType, Withdraw),
    VALUE(CommandType, Transfer),         VALUE(CommandType, AddAsset),
    VALUE(CommandType, AddInstrument),    VALUE(CommandType, ChangeInstrument),
    VALUE(CommandType, SetTradingState),  VALUE(CommandType, AddAccount),
    VALUE(CommandType, SetRights),        VALUE(CommandType, SetInstrumentRight),
    VALUE(CommandType, SetLimit),         VALUE(CommandType, AdvanceTime),
    VALUE(CommandType, DayEnd),           VALUE(CommandType, SetAvailability),
};
static_assert(std::size(kCommandTypes) == kCommandTypeMax);
constexpr NamedNumber kEventTypes[] = {
    VALUE(EventType, Accepted),        VALUE(EventType, Rejected),
    VALUE(EventType, Trade),           VALUE(EventType, Booked),
    VALUE(EventType, Triggered),       VALUE(EventType, Cancelled),
    VALUE(EventType, Reduced),         VALUE(EventType, Replaced),
    VALUE(EventType, MassCancelled),   VALUE(EventType, KillSwitchSet),
    VALUE(EventType, BalanceChanged),  VALUE(EventType, AssetAdded),
    VALUE(EventType, InstrumentAdded), VALUE(EventType, InstrumentChanged),
    VALUE(EventType, TradingStateSet), VALUE(EventType, AccountAdded),
    VALUE(EventType, RightsSet),       VALUE(EventType, InstrumentRightSet),
    VALUE(EventType, LimitSet),        VALUE(EventType, TimeAdvanced),
    VALUE(EventType, DayEnded),        VALUE(EventType, AvailabilitySet),
};
constexpr NamedNumber kSides[] = {VALUE(Side, Buy), VALUE(Side, Sell)};
constexpr NamedNumber kOrderTypes[] = {VALUE(OrderType, Limit), VALUE(OrderType, Market),
                                       VALUE(OrderType, Stop), VALUE(OrderType, StopLimit)};
constexpr NamedNumber kTimesInForce[] = {VALUE(TimeInForce, Gtc), VALUE(TimeInForce, Day),
                                         VALUE(TimeInForce, Gtd), VALUE(TimeInForce, Ioc),
                                         VALUE(TimeInForce, Fok)};
constexpr NamedNumber kSelfTrades[] = {
    VALUE(SelfTrade, None), VALUE(SelfTrade, CancelNewest), VALUE(SelfTrade, CancelOldest),
    VALUE(SelfTrade, CancelBoth), VALUE(SelfTrade, Decrement)};
constexpr NamedNumber kTradingStates[] = {
    VALUE(TradingState, Open), VALUE(TradingState, CancelOnly), VALUE(TradingState, Halted),
    VALUE(TradingState, Closed)};
constexpr NamedNumber kLimitKinds[] = {
    VALUE(LimitKind, OrderSize), VALUE(LimitKind, OrderValue), VALUE(LimitKind, OpenOrders),
    VALUE(LimitKind, OpenValue), VALUE(LimitKind, Position)};
constexpr NamedNumber kCauses[] = {
    VALUE(Cause, Requested), VALUE(Cause, Immediate), VALUE(Cause, FillOrKill),
    VALUE(Cause, MinQuantity), VALUE(Cause, SelfTrade), VALUE(Cause, MassCancel),
    VALUE(Cause, KillSwitch), VALUE(Cause, Expired), VALUE(Cause, DayEnd)};
#undef VALUE

constexpr NamedNumber kCommandFlags[] = {{"Extended", kCommandExtended},
                                         {"PostOnlyReject", kCommandPostOnlyReject},
                                         {"PostOnlyReprice", kCommandPostOnlyReprice},
                                         {"SelfTradeFirm", kCommandSelfTradeFirm}};
constexpr NamedNumber kEventFlags[] = {
    {"Last", kEventLast},       {"Duplicate", kEventDuplicate}, {"Booked", kEventBooked},
    {"Repriced", kEventRepriced}, {"Reload", kEventReload},
    {"KeptPriority", kEventKeptPriority},
    {"Stop", kEventStop}};
constexpr NamedNumber kRights[] = {{"Iceberg", kRightIceberg}, {"All", kRightsAll}};

constexpr struct {
    uint64_t number;
    const char* name;
    const char* sentence;
} kRejects[] = {
#define REJECT(number, name, sentence) {number, #name, sentence},
    VERBEX_REJECTS(REJECT)
#undef REJECT
};

template <size_t count>
napi_value table(napi_env env, const NamedNumber (&entries)[count]) {
    napi_value object;
    check(env, napi_create_object(env, &object));
    for (const NamedNumber& entry : entries) {
        setProperty(env, object, entry.name, makeNumber(env, entry.number));
    }
    return object;
}

template <size_t count>
napi_value structure(napi_env env, size_t size, const NamedNumber (&fields)[count]) {
    napi_value object;
    check(env, napi_create_object(env, &object));
    setProperty(env, object, "size", makeNumber(env, size));
    setProperty(env, object, "offsets", table(env, fields));
    return object;
}

}  // namespace

void defineLayout(napi_env env, napi_value exports) {
    napi_value layout;
    check(env, napi_create_object(env, &layout));
    setProperty(env, layout, "command", structure(env, sizeof(Command), kCommandFields));
    setProperty(env, layout, "event", structure(env, sizeof(Event), kEventFields));
    setProperty(env, layout, "commandTypes", table(env, kCommandTypes));
    setProperty(env, layout, "eventTypes", table(env, kEventTypes));
    setProperty(env, layout, "sides", table(env, kSides));
    setProperty(env, layout, "orderTypes", table(env, kOrderTypes));
    setProperty(env, layout, "timesInForce", table(env, kTimesInForce));
    setProperty(env, layout, "selfTrades", table(env, kSelfTrades));
    setProperty(env, layout, "tradingStates", table(env, kTradingStates));
    setProperty(env, layout, "limitKinds", table(env, kLimitKinds));
    setProperty(env, layout, "causes", table(env, kCauses));
    setProperty(env, layout, "commandFlags", table(env, kCommandFlags));
    setProperty(env, layout, "eventFlags", table(env, kEventFlags));
    setProperty(env, layout, "rights", table(env, kRights));
    napi_value rejects;
    check(env, napi_create_array(env, &rejects));
    uint32_t index = 0;
    for (const auto& reject : kRejects) {
        napi_value row;
        check(env, napi_create_array_with_length(env, 3, &row));
        check(env, napi_set_element(env, row, 0, makeNumber(env, reject.number)));
        check(env, napi_set_element(env, row, 1, makeText(env, reject.name)));
        check(env, napi_set_element(env, row, 2, makeText(env, reject.sentence)));
        check(env, napi_set_element(env, rejects, index++, row));
    }
    setProperty(env, layout, "rejects", rejects);
    const CoreLimits limits;
    const NamedNumber defaults[] = {{"maxOrders", limits.maxOrders},
                                    {"maxAccounts", limits.maxAccounts},
                                    {"maxInstruments", limits.maxInstruments},
                                    {"maxClientIds", limits.maxClientIds}};
    setProperty(env, layout, "limits", table(env, defaults));
    setProperty(env, exports, "layout", layout);
}

}  // namespace verbex::addon
