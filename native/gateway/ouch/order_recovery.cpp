// The time before: what the store's records and the engine's state say of it. See order_gateway_parts.h.
#include <algorithm>

#include "gateway/ouch/order_gateway_parts.h"

namespace verbex::gateway::ouch {

void OuchGateway::begin() {
    const auto day = static_cast<uint32_t>(store_.dayStart());
    for (const User& user : users_.all()) {
        Session& session = sessions_[user.session];
        const uint32_t account = directory_.account(user.account);
        if (session.account == 0 && account != UINT32_MAX) session.account = account;
        const uint32_t first = orders_.first(session.number);
        // Numbers begin again with the day; behind those of a day before that are still open.
        if (store_.nextSequence(session.number) == 1 && first == 0) session.nextReference = 1;
        if (store_.nextSequence(session.number) == 1) session.disabled = false;
        if (first != 0 && orders_.find(session.number, first)->day != day) beginCancelling(session);
    }
}

void OuchGateway::settle(const MarketState& state) {
    const auto day = static_cast<uint32_t>(store_.dayStart());
    for (const MarketState::RestingOrder& resting : state.resting) {
        const SessionOrderId id = readSessionOrderId(resting.id);
        Session* const session = sessionOf(id);
        if (session == nullptr) continue;
        const auto open = static_cast<uint32_t>(resting.open);
        OpenOrder* order = orderOf(id);
        if (order == nullptr) {
            order = orders_.add(id.session, id.reference);
            if (order == nullptr) continue;
            order->instrument = resting.instrument;
            order->intended = order->open = open;
            order->day = id.day;
            order->side = resting.side == Side::Buy ? kBuy : kSell;
            order->timeInForce = kDay;
            order->display = kVisible;
            order->capacity = 'O';
            order->clOrdId = kNoClOrdId;
        }
        order->intended += open - order->open;
        order->open = open;
        order->price = resting.price;
        order->orderId = resting.orderId;
        use(*session, id.reference);
        if (session->account == 0) session->account = resting.account;
        if (id.day != day) beginCancelling(*session);
    }
    for (const User& user : users_.all()) {
        Session& session = sessions_[user.session];
        for (uint32_t reference = orders_.first(session.number); reference != 0;) {
            OpenOrder* const order = orders_.find(session.number, reference);
            const uint32_t next = order->next;
            order->reducing = 0;
            if (order->orderId == 0) {
                const ClOrdId clOrdId = order->clOrdId;
                orders_.remove(session.number, reference);
                lost(session, reference, clOrdId);
            }
            reference = next;
        }
        // Whoever was connected is not any more.
        if (user.cancelOnDisconnect) beginCancelling(session);
    }
    for (const Unanswered& message : unanswered_) {
        lost(sessions_[message.session], message.reference, kNoClOrdId);
    }
    unanswered_.clear();
}

// It never reached the journal: the client may ask again, with a number that is not used.
void OuchGateway::lost(Session& session, uint32_t reference, const ClOrdId& clOrdId) {
    Rejected* const rejected = ownMessage<Rejected>(session);
    if (rejected == nullptr) return;
    rejected->userRefNum = reference;
    rejected->reason = static_cast<uint16_t>(Reason::ProcessingError);
    rejected->clOrdId = clOrdId;
    commit(session, true);
}

void OuchGateway::answered(uint16_t session, uint32_t reference) {
    std::erase_if(unanswered_, [=](const Unanswered& message) {
        return message.session == session && message.reference == reference;
    });
}

void OuchGateway::restore(const StoredRecord& record) {
    if (record.kind == RecordKind::Day) return;
    Session* const session = sessionNumbered(record.session);
    if (session == nullptr) return;  // its user is not there any more
    if (record.kind == RecordKind::In) {
        restoreIn(*session, record);
    } else {
        restoreOut(*session, record);
    }
}

// What it asked for is as if it had been entered; that it was refused, its answer says.
void OuchGateway::restoreIn(Session& session, const StoredRecord& record) {
    const Message message = readInbound(record.message);
    const auto day = static_cast<uint32_t>(store_.dayStart());
    switch (message.type) {
        case EnterOrder::kType: {
            const auto& order = message.as<EnterOrder>();
            use(session, order.userRefNum);
            OpenOrder* const open = orders_.add(session.number, order.userRefNum);
            if (open == nullptr) {
                unanswered_.push_back({session.number, order.userRefNum});
                return;
            }
            open->instrument = directory_.instrument(order.symbol);
            open->open = open->intended = order.quantity;
            open->day = day;
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
            use(session, request.userRefNum);
            const OpenOrder* const old = orders_.find(session.number, request.origUserRefNum);
            const OpenOrder copy = old == nullptr ? OpenOrder{} : *old;
            OpenOrder* const open =
                old == nullptr ? nullptr : orders_.add(session.number, request.userRefNum);
            if (open == nullptr) {
                unanswered_.push_back({session.number, request.userRefNum});
                return;
            }
            const uint32_t previous = open->previous;
            const uint32_t next = open->next;
            *open = copy;
            open->previous = previous;
            open->next = next;
            open->orderId = 0;
            open->day = day;
            open->replacement = true;
            open->price = static_cast<int64_t>(uint64_t{request.price});
            const uint32_t executed = copy.intended - copy.open;
            open->intended = request.quantity;
            open->open = request.quantity > executed ? request.quantity - executed : 0;
            open->clOrdId = request.clOrdId;
            return;
        }
        case DisableEntry::kType:
        case EnableEntry::kType:
        case MassCancel::kType:
            use(session, record.sequence);
            unanswered_.push_back({session.number, record.sequence});
            return;
        default: return;
    }
}

void OuchGateway::restoreOut(Session& session, const StoredRecord& record) {
    const Message message = readOutbound(record.message);
    const auto find = [&](uint32_t reference) { return orders_.find(session.number, reference); };
    switch (message.type) {
        case Accepted::kType: {
            const auto& accepted = message.as<Accepted>();
            use(session, accepted.userRefNum);
            answered(session.number, accepted.userRefNum);
            if (OpenOrder* const order = find(accepted.userRefNum)) {
                order->orderId = accepted.orderReference;
                order->price = static_cast<int64_t>(uint64_t{accepted.price});
            }
            return;
        }
        case Rejected::kType: {
            const uint32_t reference = message.as<Rejected>().userRefNum;
            use(session, reference);
            answered(session.number, reference);
            orders_.remove(session.number, reference);
            return;
        }
        case Executed::kType: {
            const auto& executed = message.as<Executed>();
            takeOff(find(executed.userRefNum), session.number, executed.userRefNum,
                    executed.quantity);
            return;
        }
        case Canceled::kType: {
            const auto& canceled = message.as<Canceled>();
            OpenOrder* const order = find(canceled.userRefNum);
            if (order == nullptr) return;
            order->intended -= std::min<uint32_t>(order->intended, canceled.quantity);
            takeOff(order, session.number, canceled.userRefNum, canceled.quantity);
            return;
        }
        case Modified::kType: {
            const auto& modified = message.as<Modified>();
            OpenOrder* const order = find(modified.userRefNum);
            if (order == nullptr) return;
            order->intended -= order->open - modified.quantity;
            order->open = modified.quantity;
            return;
        }
        case Replaced::kType: {
            const auto& replaced = message.as<Replaced>();
            use(session, replaced.userRefNum);
            answered(session.number, replaced.userRefNum);
            orders_.remove(session.number, replaced.origUserRefNum);
            OpenOrder* const order = find(replaced.userRefNum);
            if (order == nullptr) return;
            order->orderId = replaced.orderReference;
            order->price = static_cast<int64_t>(uint64_t{replaced.price});
            order->open = replaced.quantity;
            return;
        }
        case MassCancelResponse::kType:
            answered(session.number, message.as<MassCancelResponse>().userRefNum);
            return;
        case DisableResponse::kType:
            answered(session.number, message.as<DisableResponse>().userRefNum);
            session.disabled = true;
            return;
        case EnableResponse::kType:
            answered(session.number, message.as<EnableResponse>().userRefNum);
            session.disabled = false;
            return;
        default: return;
    }
}

}  // namespace verbex::gateway::ouch
