// Which event becomes which messages: docs/itch.md.
#include "feed/feed_builder.h"

#include <algorithm>
#include <cstring>

namespace verbex::feed {

namespace {

constexpr uint64_t kDayNs = 86'400'000'000'000;

// Trading state and reason.
struct Action {
    char code;
    char reason[5];
};
constexpr Action actionOf(TradingState state) {
    switch (state) {
        case TradingState::CancelOnly: return {'P', "CNCL"};
        case TradingState::Halted: return {'H', "HALT"};
        case TradingState::Closed: return {'H', "CLSD"};
        default: return {'T', "    "};
    }
}

}  // namespace

itch::Message FeedBuilder::directoryOf(uint16_t locate) const {
    itch::Message message = header(itch::Type::Directory, locate);
    message.symbol = listed_[locate].symbol;
    return message;
}

itch::Message FeedBuilder::stateOf(uint16_t locate) const {
    itch::Message message = header(itch::Type::TradingAction, locate);
    message.symbol = listed_[locate].symbol;
    const Action action = actionOf(listed_[locate].state);
    message.code = action.code;
    std::memcpy(message.reason, action.reason, sizeof(message.reason));
    return message;
}

void FeedBuilder::setTime(uint64_t timeNs) { timeOfDay_ = timeNs % kDayNs; }

void FeedBuilder::system(itch::SystemCode code) {
    itch::Message message = header(itch::Type::SystemEvent, 0);
    message.code = static_cast<char>(code);
    history_.append(message);
}

void FeedBuilder::begin(const MarketState& state) {
    setTime(state.time);
    system(itch::SystemCode::StartOfMessages);
    system(itch::SystemCode::StartOfSystemHours);
    for (const MarketState::Instrument& instrument : state.instruments) {
        list(instrument.id, instrument.name, instrument.state);
    }
    for (const MarketState::RestingOrder& order : state.resting) {
        show(order.orderId, order.instrument, order.side, order.price, order.visible);
    }
    system(itch::SystemCode::StartOfMarketHours);
}

void FeedBuilder::end() {
    system(itch::SystemCode::EndOfMarketHours);
    system(itch::SystemCode::EndOfSystemHours);
    system(itch::SystemCode::EndOfMessages);
}

void FeedBuilder::take(const Event& event) {
    if ((event.flags & kEventDuplicate) != 0) return;  // nothing was done
    switch (EventType(event.type)) {
        case EventType::Accepted:
        case EventType::Triggered:
            if ((event.flags & kEventBooked) == 0) return;  // trades first, or waits, or never rests
            show(event.orderId, event.instrument, Side(event.side), event.price, event.leaves2);
            return;
        case EventType::Booked:
            show(event.orderId, event.instrument, Side(event.side), event.price, event.quantity);
            return;
        case EventType::Trade: execute(event); return;
        case EventType::Cancelled:
            if (ShownOrder* order = shown_.find(event.orderId)) hide(*order);
            return;
        case EventType::Reduced:
            if (ShownOrder* order = shown_.find(event.orderId)) reduceTo(*order, event.leaves2);
            return;
        case EventType::Replaced: replace(event); return;
        case EventType::InstrumentAdded:
            list(event.instrument, event.id, TradingState(event.kind));
            return;
        case EventType::TradingStateSet:
            changeState(event.instrument, TradingState(event.kind));
            return;
        case EventType::TimeAdvanced: setTime(event.orderId); return;
        case EventType::DayEnded:
            system(itch::SystemCode::EndOfMarketHours);
            system(itch::SystemCode::StartOfMarketHours);
            return;
        default: return;
    }
}

void FeedBuilder::list(InstrumentId instrument, const Name& name, TradingState state) {
    if (instrument == 0 || instrument > UINT16_MAX) {
        ++counters_.instrumentsLeftOut;
        return;
    }
    const auto locate = static_cast<uint16_t>(instrument);
    if (listed_.size() <= locate) listed_.resize(size_t{locate} + 1);
    listed_[locate] = {symbolOf(name, instrument), state};
    history_.append(directoryOf(locate));
    history_.append(stateOf(locate));
}

void FeedBuilder::changeState(InstrumentId instrument, TradingState state) {
    if (instrument >= listed_.size() || listed_[instrument].symbol == 0) return;
    listed_[instrument].state = state;
    history_.append(stateOf(static_cast<uint16_t>(instrument)));
}

void FeedBuilder::show(OrderId order, InstrumentId instrument, Side side, int64_t price,
                       int64_t visible) {
    if (visible <= 0) return;
    const uint64_t parts = ShownOrder::partsOf(visible);
    if (instrument >= listed_.size() || listed_[instrument].symbol == 0 || price <= 0 ||
        price > int64_t{UINT32_MAX} || parts > kPartsMax) {
        ++counters_.ordersLeftOut;
        return;
    }
    nextReference_ += parts;
    const auto locate = static_cast<uint16_t>(instrument);
    shown_.add(order, locate, side, static_cast<uint32_t>(price), visible, nextReference_ - 1);
    writeShown(*shown_.find(order), visible,
               [this](itch::Message& message) {
                   message.tracking = static_cast<uint16_t>(history_.next());
                   history_.append(message);
               });
}

void FeedBuilder::execute(const Event& trade) {
    ShownOrder* const maker = shown_.find(trade.orderId2);
    if (maker == nullptr) return;
    int64_t left = std::min(trade.quantity, maker->visible);
    int64_t visible = maker->visible;
    while (left > 0) {
        itch::Message message = header(itch::Type::Executed, maker->locate);
        message.reference = ShownOrder::frontReference(maker->reference, visible);
        message.shares = static_cast<uint32_t>(std::min<int64_t>(left, ShownOrder::frontOf(visible)));
        message.match = uint64_t{maker->locate} << 32 | trade.tradeId;
        history_.append(message);
        left -= message.shares;
        visible -= message.shares;
    }
    if (visible == 0) {
        shown_.remove(*maker);
    } else {
        shown_.setVisible(*maker, visible);
    }
}

// The place in the queue is kept: parts go from the front, the last of them in part.
void FeedBuilder::reduceTo(ShownOrder& order, int64_t visible) {
    visible = std::max<int64_t>(visible, 0);
    for (int64_t now = order.visible; now > visible;) {
        const uint32_t front = ShownOrder::frontOf(now);
        const int64_t by = std::min<int64_t>(now - visible, front);
        itch::Message message =
            header(by == front ? itch::Type::Delete : itch::Type::Cancel, order.locate);
        message.reference = ShownOrder::frontReference(order.reference, now);
        if (by != front) message.shares = static_cast<uint32_t>(by);
        history_.append(message);
        now -= by;
    }
    if (visible == 0) {
        shown_.remove(order);
    } else if (visible < order.visible) {
        shown_.setVisible(order, visible);
    }
}

void FeedBuilder::hide(ShownOrder& order) { reduceTo(order, 0); }

void FeedBuilder::replace(const Event& event) {
    ShownOrder* const order = shown_.find(event.orderId);
    const bool booked = (event.flags & kEventBooked) != 0;
    if ((event.flags & kEventKeptPriority) != 0) {
        if (order != nullptr && booked) reduceTo(*order, event.leaves2);
        return;
    }
    const bool fits = event.price > 0 && event.price <= int64_t{UINT32_MAX};
    if (order == nullptr || !booked || !fits || event.leaves2 > kPartMax ||
        order->visible > kPartMax) {
        if (order != nullptr) hide(*order);
        if (booked) {
            show(event.orderId, event.instrument, Side(event.side), event.price, event.leaves2);
        }
        return;
    }
    itch::Message message = header(itch::Type::Replace, order->locate);
    message.reference = order->reference;
    message.newReference = nextReference_++;
    message.shares = static_cast<uint32_t>(event.leaves2);
    message.price = static_cast<uint32_t>(event.price);
    history_.append(message);
    const uint16_t locate = order->locate;
    const Side side = order->side;
    shown_.remove(*order);
    shown_.add(event.orderId, locate, side, message.price, event.leaves2, message.newReference);
}

}  // namespace verbex::feed
