// New orders, replacements and mass cancels; see order_gateway_parts.h.
#include <algorithm>
#include <initializer_list>
#include <string_view>

#include "gateway/ouch/order_gateway_parts.h"

namespace verbex::gateway::ouch {

using session::Taken;

namespace {

constexpr uint64_t kNsPerSecond = 1'000'000'000;
constexpr uint64_t kSecondsPerDay = 86'400;
constexpr uint64_t kPriceMax = uint64_t{1} << 53;

constexpr uint32_t bit(Tag tag) { return uint32_t{1} << static_cast<uint8_t>(tag); }

}  // namespace

// ---- what is offered

Reason OuchGateway::readAllowed(std::span<const std::byte> appendage, uint32_t allowed,
                                Options& options) {
    if (readOptions(appendage, options) != OptionFault::None) return Reason::Other;
    // There is one channel a session, which is the default.
    if (options.has(Tag::UserRefIdx) && options.of(Tag::UserRefIdx) != 0) return Reason::Other;
    const uint32_t left = options.present() & ~(allowed | bit(Tag::UserRefIdx));
    if (left == 0) return Reason::None;
    const auto asks = [left](std::initializer_list<Tag> tags) {
        return std::any_of(tags.begin(), tags.end(),
                           [left](Tag tag) { return (left & bit(tag)) != 0; });
    };
    if (asks({Tag::Firm})) return Reason::FirmNotAuthorized;
    if (asks({Tag::CustomerType})) return Reason::RetailNotAllowed;
    if (asks({Tag::PriceType, Tag::PegOffset, Tag::DiscretionPrice, Tag::DiscretionPriceType,
              Tag::DiscretionPegOffset})) {
        return Reason::PeggingNotAllowed;
    }
    if (asks({Tag::Route})) return Reason::RoutingNotAllowed;
    if (asks({Tag::AiqStrategy, Tag::AiqGroupId})) return Reason::InvalidAiq;
    return Reason::Other;
}

OuchGateway::Terms OuchGateway::checkOptions(std::span<const std::byte> appendage,
                                             uint32_t allowed, char timeInForce,
                                             uint32_t quantity) const {
    Terms terms;
    const auto refuse = [&terms](Reason reason) {
        terms.refused = reason;
        return terms;
    };
    Options options;
    // Not offered is not ignored: whatever else is asked for is refused.
    const Reason reason = readAllowed(appendage, allowed, options);
    if (reason != Reason::None) return refuse(reason);
    switch (timeInForce) {
        case kDay: terms.timeInForce = TimeInForce::Day; break;
        case kImmediate: terms.timeInForce = TimeInForce::Ioc; break;
        case kGoodTillTime: {
            const uint64_t at = options.of(Tag::ExpireTime);
            if (at == 0 || at >= kSecondsPerDay) return refuse(Reason::Other);
            // So many seconds to live, of the core's time.
            terms.timeInForce = TimeInForce::Gtd;
            terms.expiry = directory_.timeNs() + at * kNsPerSecond;
            break;
        }
        default: return refuse(Reason::Other);
    }
    if (options.has(Tag::ExpireTime) && timeInForce != kGoodTillTime) return refuse(Reason::Other);
    if (options.has(Tag::PostOnly)) {
        const auto value = static_cast<char>(options.of(Tag::PostOnly));
        if (value == 'P') {
            terms.flags |= kCommandPostOnlyReject;
        } else if (value != 'N') {
            return refuse(Reason::Other);
        }
    }
    if (options.has(Tag::AiqStrategy)) {
        // Capitals: the account's firm is oneself; small letters: the account.
        const auto value = static_cast<char>(options.of(Tag::AiqStrategy));
        switch (value) {
            case 'N': break;
            case 'Y':
            case 'y': terms.selfTrade = SelfTrade::Decrement; break;
            case 'O':
            case 'o': terms.selfTrade = SelfTrade::CancelOldest; break;
            case 'W':
            case 'w': terms.selfTrade = SelfTrade::CancelNewest; break;
            default: return refuse(Reason::InvalidAiq);
        }
        if (value == 'Y' || value == 'O' || value == 'W') terms.flags |= kCommandSelfTradeFirm;
    }
    terms.minQuantity = static_cast<uint32_t>(options.of(Tag::MinQty));
    terms.displayQuantity = static_cast<uint32_t>(options.of(Tag::MaxFloor));
    if (terms.minQuantity > quantity) return refuse(Reason::InvalidMinQuantity);
    if (terms.displayQuantity > quantity) return refuse(Reason::InvalidMaxFloor);
    if (timeInForce == kImmediate && terms.minQuantity == quantity && quantity != 0) {
        terms.timeInForce = TimeInForce::Fok;
        terms.minQuantity = 0;
    }
    return terms;
}

OuchGateway::Terms OuchGateway::check(const EnterOrder& order,
                                      std::span<const std::byte> appendage) const {
    Terms terms = checkOptions(appendage,
                               bit(Tag::MinQty) | bit(Tag::MaxFloor) | bit(Tag::PostOnly) |
                                   bit(Tag::ExpireTime) | bit(Tag::AiqStrategy),
                               order.timeInForce, order.quantity);
    if (terms.refused != Reason::None) return terms;
    const auto refuse = [&terms](Reason reason) {
        terms.refused = reason;
        return terms;
    };
    if (order.side != kBuy && order.side != kSell) {
        const bool sale = order.side == kSellShort || order.side == kSellShortExempt;
        return refuse(sale ? Reason::RiskShortSellNotAllowed : Reason::InvalidSide);
    }
    if (order.quantity == 0) return refuse(Reason::InvalidQuantity);
    if (order.display != kVisible && order.display != kAttributable) {
        return refuse(Reason::InvalidDisplay);
    }
    if (order.sweep != 'N') return refuse(Reason::SweepNotAllowed);
    if (order.crossType != 'N') return refuse(Reason::InvalidCrossOrder);
    constexpr std::string_view kCapacities = "APRO";
    if (kCapacities.find(order.capacity) == std::string_view::npos) return refuse(Reason::Other);
    if (order.price == kMarketPrice) {
        terms.type = OrderType::Market;
        if (order.timeInForce != kImmediate) return refuse(Reason::InvalidPrice);
    } else if (order.price == 0 || order.price > kPriceMax) {
        return refuse(Reason::InvalidPrice);
    }
    return terms;
}

// ---- throttles

bool OuchGateway::mayPass(const Session& session) const {
    return session.bucket.wouldTake(nowNs_) &&
           (session.firm == nullptr || session.firm->wouldTake(nowNs_));
}

void OuchGateway::pass(Session& session) {
    (void)session.bucket.take(nowNs_);
    if (session.firm != nullptr) (void)session.firm->take(nowNs_);
    session.rejectsInRow = 0;
}

Taken OuchGateway::throttled(Session& session, uint32_t reference, const ClOrdId& clOrdId,
                             std::span<const std::byte> bytes) {
    counters_.throttled++;
    if (++session.rejectsInRow > options_.throttleRejectsMax) return Taken::Close;
    return refuse(session, reference, Reason::RiskPortMessageRate, clOrdId, bytes);
}

// ---- messages

Taken OuchGateway::refuse(Session& session, uint32_t reference, Reason reason,
                          const ClOrdId& clOrdId, std::span<const std::byte> bytes) {
    if (!store_.appendIn(session.number, reference, directory_.timeNs(), bytes).isOk()) {
        return Taken::Close;
    }
    use(session, reference);
    Rejected* const rejected = ownMessage<Rejected>(session);
    if (rejected == nullptr) return Taken::Close;
    rejected->userRefNum = reference;
    rejected->reason = static_cast<uint16_t>(reason);
    rejected->clOrdId = clOrdId;
    commit(session, true);
    counters_.rejectedHere++;
    return Taken::Yes;
}

Taken OuchGateway::enter(Session& session, const Message& message) {
    const auto& order = message.as<EnterOrder>();
    const uint32_t reference = order.userRefNum;
    if (reference < session.nextReference) {
        counters_.duplicates++;
        return Taken::Yes;
    }
    const std::span<const std::byte> bytes{message.at, message.bytes()};
    const auto refused = [&](Reason reason) {
        pass(session);  // what is wrong costs as much as what is right
        return refuse(session, reference, reason, order.clOrdId, bytes);
    };
    if (!mayPass(session)) return throttled(session, reference, order.clOrdId, bytes);
    if (session.disabled || directory_.isKilled(session.account)) {
        return refused(Reason::FirmNotAuthorized);
    }
    const Terms terms = check(order, message.appendage);
    if (terms.refused != Reason::None) return refused(terms.refused);
    const InstrumentId instrument = directory_.instrument(order.symbol);
    if (instrument == 0) return refused(Reason::InvalidSymbol);
    if (orders_.size() >= options_.ordersMax) return refused(Reason::ProcessingError);

    Command* const command = port_.claim();
    if (command == nullptr) return Taken::NotNow;
    pass(session);
    use(session, reference);
    if (!keep(session, reference, bytes)) return Taken::Close;
    fillCommand(*command, CommandType::NewOrder, session, reference, reference);
    command->side = static_cast<uint8_t>(order.side == kBuy ? Side::Buy : Side::Sell);
    command->orderType = static_cast<uint8_t>(terms.type);
    command->timeInForce = static_cast<uint8_t>(terms.timeInForce);
    command->selfTrade = static_cast<uint8_t>(terms.selfTrade);
    command->instrument = instrument;
    const auto price = static_cast<int64_t>(uint64_t{order.price});
    command->price = terms.type == OrderType::Market ? 0 : price;
    command->quantity = order.quantity;
    command->expiry = terms.expiry;
    command->flags = terms.flags;
    if (terms.minQuantity != 0 || terms.displayQuantity != 0) {
        command->flags |= kCommandExtended;
        command->minQuantity = terms.minQuantity;
        command->displayQuantity = terms.displayQuantity;
    }
    OpenOrder& open = *orders_.add(session.number, reference);
    open.instrument = instrument;
    open.open = open.intended = order.quantity;
    open.day = static_cast<uint32_t>(store_.dayStart());
    open.price = price;
    open.side = order.side;
    open.timeInForce = order.timeInForce;
    open.display = order.display;
    open.capacity = order.capacity;
    open.clOrdId = order.clOrdId;
    port_.enter();
    counters_.orders++;
    return Taken::Yes;
}

Taken OuchGateway::replace(Session& session, const Message& message) {
    const auto& request = message.as<ReplaceOrder>();
    const uint32_t reference = request.userRefNum;
    if (reference < session.nextReference) {
        counters_.duplicates++;
        return Taken::Yes;
    }
    const std::span<const std::byte> bytes{message.at, message.bytes()};
    const auto refused = [&](Reason reason) {
        pass(session);
        return refuse(session, reference, reason, request.clOrdId, bytes);
    };
    if (!mayPass(session)) return throttled(session, reference, request.clOrdId, bytes);
    if (session.disabled || directory_.isKilled(session.account)) {
        return refused(Reason::FirmNotAuthorized);
    }
    const OpenOrder* const order = orders_.find(session.number, request.origUserRefNum);
    if (order == nullptr) return refused(Reason::ReplaceNotAllowed);
    // What of it has traded is not known before the answer that is under way.
    if (order->reducing != 0 || (order->replacement && order->orderId == 0)) return Taken::NotNow;
    // What it is stays: time in force, display, capacity, minimum and display quantity.
    const Terms terms = checkOptions(message.appendage, 0, kDay, request.quantity);
    if (terms.refused != Reason::None) return refused(terms.refused);
    if (request.timeInForce != order->timeInForce) return refused(Reason::ReplaceNotAllowed);
    if (request.display != order->display) return refused(Reason::InvalidDisplay);
    if (request.sweep != 'N') return refused(Reason::SweepNotAllowed);
    if (request.price == 0 || request.price > kPriceMax || request.price == kMarketPrice) {
        return refused(Reason::InvalidPrice);
    }
    // In all, the executed part included.
    const uint32_t executed = order->intended - order->open;
    if (request.quantity <= executed) return refused(Reason::InvalidQuantity);
    if (orders_.size() >= options_.ordersMax) return refused(Reason::ProcessingError);

    Command* const command = port_.claim();
    if (command == nullptr) return Taken::NotNow;
    pass(session);
    use(session, reference);
    if (!keep(session, reference, bytes)) return Taken::Close;
    OpenOrder replacement = *order;
    fillCommand(*command, CommandType::ReplaceOrder, session, request.origUserRefNum, reference);
    command->id = writeSessionOrderId({session.number, order->day, request.origUserRefNum});
    command->flags = kCommandExtended;
    command->newId = writeSessionOrderId(
        {session.number, static_cast<uint32_t>(store_.dayStart()), reference});
    command->price = static_cast<int64_t>(uint64_t{request.price});
    command->quantity = request.quantity - executed;
    // Less what trades before the core gets to it: never more than asked for in all.
    command->minQuantity = order->open;
    OpenOrder& open = *orders_.add(session.number, reference);
    replacement.previous = open.previous;
    replacement.next = open.next;
    open = replacement;
    open.orderId = 0;
    open.day = static_cast<uint32_t>(store_.dayStart());
    open.replacement = true;
    open.cancelAsked = open.cancelRefused = false;
    open.price = static_cast<int64_t>(uint64_t{request.price});
    open.intended = request.quantity;
    open.open = request.quantity - executed;
    open.clOrdId = request.clOrdId;
    port_.enter();
    counters_.replaces++;
    return Taken::Yes;
}

Taken OuchGateway::massCancel(Session& session, const Message& message) {
    const auto& request = message.as<MassCancel>();
    const uint32_t reference = request.userRefNum;
    if (reference < session.nextReference) {
        counters_.duplicates++;
        return Taken::Yes;
    }
    const std::span<const std::byte> bytes{message.at, message.bytes()};
    const ClOrdId none = kNoClOrdId;
    Options options;
    const Reason reason = readAllowed(message.appendage, bit(Tag::Side), options);
    if (reason != Reason::None) return refuse(session, reference, reason, none, bytes);
    Side side = Side::None;
    if (options.has(Tag::Side)) {
        const auto value = static_cast<char>(options.of(Tag::Side));
        if (value != kBuy && value != kSell) {
            return refuse(session, reference, Reason::InvalidSide, none, bytes);
        }
        side = value == kBuy ? Side::Buy : Side::Sell;
    }
    if (request.firm != kNoFirm) {
        return refuse(session, reference, Reason::FirmNotAuthorized, none, bytes);
    }
    InstrumentId instrument = 0;
    if (request.symbol != kNoSymbol) {
        instrument = directory_.instrument(request.symbol);
        if (instrument == 0) return refuse(session, reference, Reason::InvalidSymbol, none, bytes);
    }
    Command* const command = port_.claim();
    if (command == nullptr) return Taken::NotNow;
    if (!keep(session, reference, bytes)) return Taken::Close;
    use(session, reference);
    fillCommand(*command, CommandType::MassCancel, session, reference, reference);
    command->id = {};
    command->instrument = instrument;
    command->side = static_cast<uint8_t>(side);
    port_.enter();
    counters_.cancels++;
    return Taken::Yes;
}

}  // namespace verbex::gateway::ouch
