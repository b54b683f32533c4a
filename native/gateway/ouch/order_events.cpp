// What the engine says, as messages; and what the store says of the time before. See order_gateway_parts.h.
#include <algorithm>

#include "gateway/ouch/order_gateway_parts.h"
#include "gateway/ouch/reasons.h"

namespace verbex::gateway::ouch {

OuchGateway::Session* OuchGateway::sessionOf(const SessionOrderId& id) {
    if (id.none()) return nullptr;
    Session& session = sessions_[id.session];
    return session.user == nullptr ? nullptr : &session;
}

OpenOrder* OuchGateway::orderOf(const SessionOrderId& id) {
    OpenOrder* const order = orders_.find(id.session, id.reference);
    return order == nullptr || order->day != id.day ? nullptr : order;
}

// Of a command that this order's session sent about it?
bool OuchGateway::isOwn(const Event& event, const SessionOrderId& id) const {
    if (!GatewayToken::is(event.token)) return false;
    const GatewayToken token = GatewayToken::of(event.token);
    return token.outlet == options_.outlet && token.session == id.session &&
           token.reference == id.reference;
}

void OuchGateway::deliver(const Event& event, const EventPlace& place) {
    // The first answer once more; the numbers never repeat, so it can only be a refusal's.
    const bool again = (event.flags & kEventDuplicate) != 0;
    if (again && event.type != static_cast<uint8_t>(EventType::Rejected)) return;
    switch (static_cast<EventType>(event.type)) {
        case EventType::Accepted: return accepted(event, place);
        case EventType::Rejected: return rejected(event, place);
        case EventType::Trade: return traded(event, place);
        case EventType::Cancelled: return cancelled(event, place);
        case EventType::Reduced: return reduced(event, place);
        case EventType::Replaced: return replaced(event, place);
        case EventType::MassCancelled: return massCancelled(event, place);
        case EventType::TradingStateSet: return tradingStateSet();
        case EventType::DayEnded: return dayEnded(place);
        default: return;
    }
}

void OuchGateway::accepted(const Event& event, const EventPlace& place) {
    const SessionOrderId id = readSessionOrderId(event.id);
    Session* const session = sessionOf(id);
    if (session == nullptr) return;
    OpenOrder* order = orderOf(id);
    OpenOrder untracked{};  // the table is full: it is told, but can't be changed here
    if (order == nullptr) {
        // Its message was lost with the machine: what the engine knows of it.
        order = orders_.add(id.session, id.reference);
        if (order == nullptr) order = &untracked;
        order->instrument = event.instrument;
        order->open = order->intended = static_cast<uint32_t>(event.quantity);
        order->side = event.side == static_cast<uint8_t>(Side::Buy) ? kBuy : kSell;
        order->timeInForce = kDay;
        order->display = kVisible;
        order->capacity = 'O';
        order->clOrdId = kNoClOrdId;
        order->day = id.day;
    }
    use(*session, id.reference);
    answered(id.session, id.reference);
    order->orderId = event.orderId;
    order->price = event.price;
    Accepted* const message = this->message<Accepted>(*session, place);
    if (message == nullptr) return;
    message->userRefNum = id.reference;
    message->side = order->side;
    message->quantity = static_cast<uint32_t>(event.quantity);
    message->symbol = directory_.symbol(event.instrument);
    message->price = static_cast<uint64_t>(event.price);
    message->timeInForce = order->timeInForce;
    message->display = order->display;
    message->orderReference = event.orderId;
    message->capacity = order->capacity;
    message->sweep = 'N';
    message->crossType = 'N';
    message->state = kLive;
    message->clOrdId = order->clOrdId;
    commit(*session, true);
    counters_.accepted++;
}

void OuchGateway::rejected(const Event& event, const EventPlace& place) {
    if (!GatewayToken::is(event.token)) return;
    const GatewayToken token = GatewayToken::of(event.token);
    if (token.outlet != options_.outlet) return;
    Session& session = sessions_[token.session];
    if (session.user == nullptr) return;
    if (token.reference == 0) {
        // A cancel of the gateway's own: of an order that is gone, or that can't be cancelled yet.
        OpenOrder* const order = orderOf(readSessionOrderId(event.id));
        if (order == nullptr) return;
        order->cancelRefused = true;
        session.owesCancels = true;
        return;
    }
    const auto type = static_cast<CommandType>(event.kind);
    if (type == CommandType::CancelOrder || type == CommandType::ReduceOrder) {
        const SessionOrderId id = readSessionOrderId(event.id);
        OpenOrder* const order = orderOf(id);
        if (order != nullptr && type == CommandType::ReduceOrder) order->reducing = 0;
        // Of a day before, of an order that ended with it: today the number may be another order's.
        if (order == nullptr && id.day != static_cast<uint32_t>(store_.dayStart())) return;
        CancelReject* const message = this->message<CancelReject>(session, place);
        if (message == nullptr) return;
        message->userRefNum = token.reference;
        commit(session, true);
        return;
    }
    ClOrdId clOrdId = kNoClOrdId;
    const OpenOrder* const order = orders_.find(token.session, token.reference);
    if (order != nullptr && order->orderId == 0) {
        clOrdId = order->clOrdId;
        orders_.remove(token.session, token.reference);
    }
    // Of a replacement or a mass cancel the event says no day: it may be one under way when a day ended.
    if (type == CommandType::NewOrder &&
        readSessionOrderId(event.id).day == static_cast<uint32_t>(store_.dayStart())) {
        use(session, token.reference);
    }
    answered(token.session, token.reference);
    Rejected* const message = this->message<Rejected>(session, place);
    if (message == nullptr) return;
    message->userRefNum = token.reference;
    message->reason = static_cast<uint16_t>(reasonOf(static_cast<verbex::Reject>(event.code)));
    message->clOrdId = clOrdId;
    commit(session, true);
}

void OuchGateway::traded(const Event& event, const EventPlace& place) {
    const SessionOrderId taker = readSessionOrderId(event.id);
    const SessionOrderId maker = readSessionOrderId(event.id2);
    Session* const takerSession = sessionOf(taker);
    Session* const makerSession = sessionOf(maker);
    // Before the event's own messages, which belong together.
    for (const Session* session : {takerSession, makerSession}) {
        if (session != nullptr && store_.nextSequence(session->number) == 1) startDay(*session);
    }
    if (takerSession != nullptr) {
        executed(*takerSession, taker, event, false, place, makerSession == nullptr);
    }
    if (makerSession != nullptr) executed(*makerSession, maker, event, true, place, true);
}

void OuchGateway::executed(Session& session, const SessionOrderId& id, const Event& event, bool maker,
                           const EventPlace& place, bool last) {
    Executed* const message = this->message<Executed>(session, place);
    if (message == nullptr) return;
    message->userRefNum = id.reference;
    message->quantity = static_cast<uint32_t>(event.quantity);
    message->price = static_cast<uint64_t>(event.price);
    message->liquidity = maker ? kAdded : kRemoved;
    message->matchNumber = uint64_t{event.instrument} << 32 | event.tradeId;
    commit(session, last);
    takeOff(orderOf(id), id.session, id.reference, static_cast<uint32_t>(event.quantity));
    counters_.executions++;
}

void OuchGateway::takeOff(OpenOrder* order, uint16_t session, uint32_t reference,
                          uint32_t quantity) {
    if (order == nullptr) return;
    order->open -= std::min(order->open, quantity);
    if (order->open == 0) orders_.remove(session, reference);
}

void OuchGateway::cancelled(const Event& event, const EventPlace& place) {
    const SessionOrderId id = readSessionOrderId(event.id);
    Session* const session = sessionOf(id);
    if (session == nullptr) return;
    Canceled* const message = this->message<Canceled>(*session, place);
    if (message == nullptr) return;
    message->userRefNum = id.reference;
    message->quantity = static_cast<uint32_t>(event.quantity);
    message->reason = cancelReasonOf(static_cast<Cause>(event.code));
    commit(*session, true);
    if (orderOf(id) != nullptr) orders_.remove(id.session, id.reference);
}

void OuchGateway::reduced(const Event& event, const EventPlace& place) {
    const SessionOrderId id = readSessionOrderId(event.id);
    Session* const session = sessionOf(id);
    if (session == nullptr) return;
    OpenOrder* const order = orderOf(id);
    const auto by = static_cast<uint32_t>(event.quantity);
    const bool own = isOwn(event, id);
    if (own && (event.token & kModifyBit) != 0) {
        Modified* const message = this->message<Modified>(*session, place);
        if (message == nullptr) return;
        message->userRefNum = id.reference;
        message->side = event.side == static_cast<uint8_t>(Side::Buy) ? kBuy : kSell;
        message->quantity = static_cast<uint32_t>(event.leaves);
    } else {
        Canceled* const message = this->message<Canceled>(*session, place);
        if (message == nullptr) return;
        message->userRefNum = id.reference;
        message->quantity = by;
        message->reason = cancelReasonOf(static_cast<Cause>(event.code));
    }
    commit(*session, true);
    if (order == nullptr) return;
    if (own) order->reducing = 0;
    order->intended -= std::min(order->intended, by);
    takeOff(order, id.session, id.reference, by);
}

void OuchGateway::replaced(const Event& event, const EventPlace& place) {
    const SessionOrderId before = readSessionOrderId(event.id);
    const SessionOrderId now = readSessionOrderId(event.id2);
    Session* const session = sessionOf(before);
    if (session == nullptr) return;
    if (now.session != before.session) {
        // By the account itself, on another way, and under a name that is not this session's: gone from here.
        OpenOrder* const order = orderOf(before);
        Canceled* const message = this->message<Canceled>(*session, place);
        if (message == nullptr) return;
        message->userRefNum = before.reference;
        message->quantity = order == nullptr ? static_cast<uint32_t>(event.leaves) : order->open;
        message->reason = kSupervisory;
        commit(*session, true);
        if (order != nullptr) orders_.remove(before.session, before.reference);
        return;
    }
    if (now == before) {
        // By the account itself, on another way: its place in the queue, its price.
        OpenOrder* const order = orderOf(before);
        if (order == nullptr) return;
        order->price = event.price;
        order->intended += static_cast<uint32_t>(event.leaves) - order->open;
        order->open = static_cast<uint32_t>(event.leaves);
        PriorityUpdate* const message = this->message<PriorityUpdate>(*session, place);
        if (message == nullptr) return;
        message->userRefNum = before.reference;
        message->price = static_cast<uint64_t>(event.price);
        message->display = order->display;
        message->orderReference = event.orderId;
        commit(*session, true);
        return;
    }
    OpenOrder* order = orderOf(now);
    if (order == nullptr) {
        const OpenOrder* const old = orderOf(before);
        OpenOrder copy{};
        if (old != nullptr) copy = *old;
        order = orders_.add(now.session, now.reference);
        if (order == nullptr) order = &copy;
        copy.previous = order->previous;
        copy.next = order->next;
        *order = copy;
        order->day = now.day;
        order->instrument = event.instrument;
        order->intended = static_cast<uint32_t>(event.quantity);
    }
    use(*session, now.reference);
    answered(now.session, now.reference);
    order->open = static_cast<uint32_t>(event.quantity);
    order->price = event.price;
    order->orderId = event.orderId;
    Replaced* const message = this->message<Replaced>(*session, place);
    if (message == nullptr) return;
    message->origUserRefNum = before.reference;
    message->userRefNum = now.reference;
    message->side = order->side;
    message->quantity = static_cast<uint32_t>(event.quantity);
    message->symbol = directory_.symbol(event.instrument);
    message->price = static_cast<uint64_t>(event.price);
    message->timeInForce = order->timeInForce;
    message->display = order->display;
    message->orderReference = event.orderId;
    message->capacity = order->capacity;
    message->sweep = 'N';
    message->crossType = 'N';
    message->state = kLive;
    message->clOrdId = order->clOrdId;
    commit(*session, true);
    if (orderOf(before) != nullptr) orders_.remove(before.session, before.reference);
}

void OuchGateway::massCancelled(const Event& event, const EventPlace& place) {
    if (!GatewayToken::is(event.token)) return;
    const GatewayToken token = GatewayToken::of(event.token);
    if (token.outlet != options_.outlet) return;
    Session& session = sessions_[token.session];
    if (session.user == nullptr) return;
    answered(token.session, token.reference);
    MassCancelResponse* const message = this->message<MassCancelResponse>(session, place);
    if (message == nullptr) return;
    message->userRefNum = token.reference;
    message->firm = kNoFirm;
    message->symbol = event.instrument == 0 ? kNoSymbol : directory_.symbol(event.instrument);
    commit(session, true);
}

// To everybody who had something today, in one event: the last message completes it.
void OuchGateway::dayEnded(const EventPlace& place) {
    Session* before = nullptr;
    const auto tell = [&](Session& session, bool last) {
        SystemEvent* const message = this->message<SystemEvent>(session, place);
        if (message == nullptr) return;
        message->event = kEndOfDay;
        commit(session, last);
    };
    for (const User& user : users_.all()) {
        Session& session = sessions_[user.session];
        if (store_.nextSequence(session.number) == 1) continue;
        if (before != nullptr) tell(*before, false);
        before = &session;
    }
    if (before != nullptr) tell(*before, true);
}

// What could not be cancelled while an instrument was frozen may be now.
void OuchGateway::tradingStateSet() {
    for (const User& user : users_.all()) {
        Session& session = sessions_[user.session];
        if (!session.owesCancels) continue;
        session.owesCancels = false;
        for (uint32_t reference = orders_.first(session.number); reference != 0;
             reference = orders_.after(session.number, reference)) {
            OpenOrder* const order = orders_.find(session.number, reference);
            if (order->cancelRefused) order->cancelAsked = order->cancelRefused = false;
        }
        beginCancelling(session);
    }
}

}  // namespace verbex::gateway::ouch
