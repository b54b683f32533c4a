// What the engine says, as messages; and what the store says of the time before. See order_gateway_parts.h.
#include "gateway/ouch/order_gateway_parts.h"
#include "gateway/ouch/reasons.h"

namespace verbex::gateway::ouch {

OuchGateway::Session* OuchGateway::sessionOf(const SessionOrderId& id) {
    if (id.none()) return nullptr;
    Session& session = sessions_[id.session];
    return session.user == nullptr ? nullptr : &session;
}

void OuchGateway::deliver(const Event& event, const EventPlace& place) {
    // The first answer once more: it was told already, or will be by the event itself.
    if ((event.flags & kEventDuplicate) != 0) return;
    switch (static_cast<EventType>(event.type)) {
        case EventType::Accepted: return accepted(event, place);
        case EventType::Rejected: return rejected(event, place);
        case EventType::Trade: return traded(event, place);
        case EventType::Cancelled: return cancelled(event, place);
        case EventType::Reduced: return reduced(event, place);
        case EventType::Replaced: return replaced(event, place);
        case EventType::MassCancelled: return massCancelled(event, place);
        case EventType::DayEnded: return dayEnded(place);
        default: return;
    }
}

void OuchGateway::accepted(const Event& event, const EventPlace& place) {
    const SessionOrderId id = readSessionOrderId(event.id);
    Session* const session = sessionOf(id);
    if (session == nullptr) return;
    OpenOrder* order = orders_.find(id.session, id.reference);
    if (order == nullptr) {
        // Its message was lost with the machine: what the engine knows of it.
        order = orders_.add(id.session, id.reference);
        if (order == nullptr) return;
        order->instrument = event.instrument;
        order->open = order->intended = static_cast<uint32_t>(event.quantity);
        order->side = event.side == static_cast<uint8_t>(Side::Buy) ? kBuy : kSell;
        order->timeInForce = kDay;
        order->display = kVisible;
        order->capacity = 'O';
        order->clOrdId.fill(' ');
        order->price = event.price;
        order->day = id.day;
    }
    if (session->nextReference <= id.reference) session->nextReference = id.reference + 1;
    order->orderId = event.orderId;
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
    // 0: a cancel of the gateway's own, of an order that was gone.
    if (token.outlet != options_.outlet || token.reference == 0) return;
    Session& session = sessions_[token.session];
    if (session.user == nullptr) return;
    const auto type = static_cast<CommandType>(event.kind);
    if (type == CommandType::CancelOrder || type == CommandType::ReduceOrder) {
        OpenOrder* const order = orders_.find(token.session, token.reference);
        if (order != nullptr && type == CommandType::ReduceOrder && order->modifies != 0) {
            order->modifies--;
        }
        CancelReject* const message = this->message<CancelReject>(session, place);
        if (message == nullptr) return;
        message->userRefNum = token.reference;
        commit(session, true);
        return;
    }
    ClOrdId clOrdId;
    clOrdId.fill(' ');
    if (const OpenOrder* const order = orders_.find(token.session, token.reference)) {
        clOrdId = order->clOrdId;
        orders_.remove(token.session, token.reference);
    }
    if (session.nextReference <= token.reference) session.nextReference = token.reference + 1;
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
    if (takerSession != nullptr) {
        executed(*takerSession, taker.reference, event, false, place, makerSession == nullptr);
    }
    if (makerSession != nullptr) executed(*makerSession, maker.reference, event, true, place, true);
}

void OuchGateway::executed(Session& session, uint32_t reference, const Event& event, bool maker,
                           const EventPlace& place, bool last) {
    Executed* const message = this->message<Executed>(session, place);
    if (message == nullptr) return;
    message->userRefNum = reference;
    message->quantity = static_cast<uint32_t>(event.quantity);
    message->price = static_cast<uint64_t>(event.price);
    message->liquidity = maker ? kAdded : kRemoved;
    message->matchNumber = uint64_t{event.instrument} << 32 | event.tradeId;
    commit(session, last);
    takeOff(session, reference, static_cast<uint32_t>(event.quantity));
    counters_.executions++;
}

void OuchGateway::takeOff(Session& session, uint32_t reference, uint32_t quantity) {
    OpenOrder* const order = orders_.find(session.number, reference);
    if (order == nullptr) return;
    order->open -= std::min(order->open, quantity);
    if (order->open == 0) orders_.remove(session.number, reference);
}

void OuchGateway::cancelled(const Event& event, const EventPlace& place) {
    const SessionOrderId id = readSessionOrderId(event.id);
    Session* const session = sessionOf(id);
    if (session == nullptr) return;
    const auto cause = static_cast<Cause>(event.code);
    if (cause == Cause::SelfTrade) {
        AiqCanceled* const message = this->message<AiqCanceled>(*session, place);
        if (message == nullptr) return;
        message->userRefNum = id.reference;
        message->quantity = message->prevented = static_cast<uint32_t>(event.quantity);
        message->reason = kSelfMatch;
        message->price = static_cast<uint64_t>(event.price);
        message->liquidity = kRemoved;
        message->strategy = ' ';
    } else {
        Canceled* const message = this->message<Canceled>(*session, place);
        if (message == nullptr) return;
        message->userRefNum = id.reference;
        message->quantity = static_cast<uint32_t>(event.quantity);
        message->reason = cancelReasonOf(cause);
    }
    commit(*session, true);
    orders_.remove(id.session, id.reference);
}

void OuchGateway::reduced(const Event& event, const EventPlace& place) {
    const SessionOrderId id = readSessionOrderId(event.id);
    Session* const session = sessionOf(id);
    if (session == nullptr) return;
    OpenOrder* const order = orders_.find(id.session, id.reference);
    const auto cause = static_cast<Cause>(event.code);
    const auto by = static_cast<uint32_t>(event.quantity);
    if (cause == Cause::SelfTrade) {
        AiqCanceled* const message = this->message<AiqCanceled>(*session, place);
        if (message == nullptr) return;
        message->userRefNum = id.reference;
        message->quantity = message->prevented = by;
        message->reason = kSelfMatch;
        message->price = static_cast<uint64_t>(event.price);
        message->liquidity = kRemoved;
        message->strategy = ' ';
        if (order != nullptr) order->intended -= std::min(order->intended, by);
    } else if (order != nullptr && order->modifies != 0) {
        order->modifies--;
        Modified* const message = this->message<Modified>(*session, place);
        if (message == nullptr) return;
        message->userRefNum = id.reference;
        message->side = order->side;
        message->quantity = static_cast<uint32_t>(event.leaves);
    } else {
        Canceled* const message = this->message<Canceled>(*session, place);
        if (message == nullptr) return;
        message->userRefNum = id.reference;
        message->quantity = by;
        message->reason = kUserRequested;
    }
    commit(*session, true);
    takeOff(*session, id.reference, by);
}

void OuchGateway::replaced(const Event& event, const EventPlace& place) {
    const SessionOrderId before = readSessionOrderId(event.id);
    const SessionOrderId now = readSessionOrderId(event.id2);
    Session* const session = sessionOf(before);
    if (session == nullptr) return;
    if (now.none() || now == before) {
        // By the account itself, on another way: its place in the queue, its price.
        OpenOrder* const order = orders_.find(before.session, before.reference);
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
    OpenOrder* order = orders_.find(now.session, now.reference);
    if (order == nullptr) {
        const OpenOrder* const old = orders_.find(before.session, before.reference);
        OpenOrder copy{};
        if (old != nullptr) copy = *old;
        order = orders_.add(now.session, now.reference);
        if (order == nullptr) return;
        copy.previous = order->previous;
        copy.next = order->next;
        *order = copy;
        order->day = now.day;
        order->instrument = event.instrument;
        order->intended = static_cast<uint32_t>(event.quantity);
    }
    if (session->nextReference <= now.reference) session->nextReference = now.reference + 1;
    order->open = static_cast<uint32_t>(event.quantity);
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
    orders_.remove(before.session, before.reference);
}

void OuchGateway::massCancelled(const Event& event, const EventPlace& place) {
    if (!GatewayToken::is(event.token)) return;
    const GatewayToken token = GatewayToken::of(event.token);
    if (token.outlet != options_.outlet) return;
    Session& session = sessions_[token.session];
    if (session.user == nullptr) return;
    if (session.nextReference <= token.reference) session.nextReference = token.reference + 1;
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

// ---- the time before

void OuchGateway::begin() {
    // Of a day that is over: nothing of it is answered any more, but what still rests is cancelled.
    const auto day = static_cast<uint32_t>(store_.dayStart());
    for (const User& user : users_.all()) {
        Session& session = sessions_[user.session];
        if (store_.nextSequence(session.number) == 1 && orders_.first(session.number) == 0) {
            session.nextReference = 1;
            session.disabled = false;
        }
        const uint32_t first = orders_.first(session.number);
        if (first == 0) continue;
        const OpenOrder* const order = orders_.find(session.number, first);
        if (order->day != day) beginCancelling(session);
    }
}

void OuchGateway::restore(const StoredRecord& record) {
    if (record.kind == RecordKind::Day) return;
    Session& session = sessions_[record.session];
    if (session.user == nullptr) return;
    if (session.account == 0) {
        const uint32_t account = directory_.account(session.user->account);
        if (account != UINT32_MAX) session.account = account;
    }
    if (record.kind == RecordKind::In) {
        restoreIn(session, record);
    } else {
        restoreOut(session, record);
    }
}

void OuchGateway::restoreIn(Session& session, const StoredRecord& record) {
    const Message message = readInbound(record.message);
    const auto used = [&session](uint32_t reference) {
        if (session.nextReference <= reference) session.nextReference = reference + 1;
    };
    switch (message.type) {
        case EnterOrder::kType: {
            const auto& order = message.as<EnterOrder>();
            used(order.userRefNum);
            OpenOrder* const open = orders_.add(session.number, order.userRefNum);
            if (open == nullptr) return;
            open->instrument = directory_.instrument(order.symbol);
            open->open = open->intended = order.quantity;
            open->day = static_cast<uint32_t>(store_.dayStart());
            open->price = static_cast<int64_t>(uint64_t{order.price});
            open->side = order.side;
            open->timeInForce = order.timeInForce;
            open->display = order.display;
            open->capacity = order.capacity;
            open->clOrdId = order.clOrdId;
            return;
        }
        case ReplaceOrder::kType: {
            const auto& request = message.as<ReplaceOrder>();
            used(request.userRefNum);
            const OpenOrder* const old = orders_.find(session.number, request.origUserRefNum);
            if (old == nullptr) return;
            OpenOrder copy = *old;
            OpenOrder* const open = orders_.add(session.number, request.userRefNum);
            if (open == nullptr) return;
            const uint32_t executed = copy.intended - copy.open;
            copy.previous = open->previous;
            copy.next = open->next;
            *open = copy;
            open->orderId = 0;
            open->price = static_cast<int64_t>(uint64_t{request.price});
            open->intended = request.quantity;
            open->open = request.quantity > executed ? request.quantity - executed : 0;
            open->clOrdId = request.clOrdId;
            return;
        }
        case CancelOrder::kType:
        case ModifyOrder::kType: {
            const bool modify = message.type == ModifyOrder::kType;
            const uint32_t quantity = modify ? message.as<ModifyOrder>().quantity
                                             : message.as<CancelOrder>().quantity;
            const uint32_t reference = modify ? message.as<ModifyOrder>().userRefNum
                                              : message.as<CancelOrder>().userRefNum;
            OpenOrder* const order = orders_.find(session.number, reference);
            if (order == nullptr || quantity == 0 || quantity >= order->intended) return;
            order->intended = quantity;
            if (modify) order->modifies++;
            return;
        }
        case DisableEntry::kType:
            used(message.as<DisableEntry>().userRefNum);
            session.disabled = true;
            return;
        case EnableEntry::kType:
            used(message.as<EnableEntry>().userRefNum);
            session.disabled = false;
            return;
        case MassCancel::kType: used(message.as<MassCancel>().userRefNum); return;
        default: return;
    }
}

void OuchGateway::restoreOut(Session& session, const StoredRecord& record) {
    const Message message = readOutbound(record.message);
    switch (message.type) {
        case Accepted::kType: {
            const auto& accepted = message.as<Accepted>();
            OpenOrder* const order = orders_.find(session.number, accepted.userRefNum);
            if (order != nullptr) order->orderId = accepted.orderReference;
            return;
        }
        case Rejected::kType:
            orders_.remove(session.number, message.as<Rejected>().userRefNum);
            return;
        case Executed::kType:
            takeOff(session, message.as<Executed>().userRefNum, message.as<Executed>().quantity);
            return;
        case Canceled::kType:
            takeOff(session, message.as<Canceled>().userRefNum, message.as<Canceled>().quantity);
            return;
        case AiqCanceled::kType:
            takeOff(session, message.as<AiqCanceled>().userRefNum,
                    message.as<AiqCanceled>().quantity);
            return;
        case Modified::kType: {
            const auto& modified = message.as<Modified>();
            OpenOrder* const order = orders_.find(session.number, modified.userRefNum);
            if (order == nullptr) return;
            order->open = modified.quantity;
            if (order->modifies != 0) order->modifies--;
            return;
        }
        case Replaced::kType: {
            const auto& replaced = message.as<Replaced>();
            orders_.remove(session.number, replaced.origUserRefNum);
            OpenOrder* const order = orders_.find(session.number, replaced.userRefNum);
            if (order == nullptr) return;
            order->orderId = replaced.orderReference;
            order->open = replaced.quantity;
            return;
        }
        default: return;
    }
}

}  // namespace verbex::gateway::ouch
