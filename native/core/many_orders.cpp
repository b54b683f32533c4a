// Commands that end many orders at once (docs/rules.md sections 3 and 9). They visit accounts by id and an
// account's orders by order id: an order of things that no hash table and no address decides.
#include <algorithm>

#include "core/state.h"

namespace verbex {

// Cancels every open order of the subtree that fits; answers how many.
template <typename Fits>
int64_t Core::State::cancelSubtree(AccountId root, Cause cause, const CommandContext& context,
                                   Fits fits) {
    int64_t count = 0;
    const AccountId end = accounts.subtreeEnd(root);
    for (AccountId id = root; id < end; ++id) {
        if (accounts[id].openOrders == 0 || !accounts.inSubtree(id, root)) continue;
        const ClientIds& orderIds = riskOf(id).orderIds;
        for (uint32_t entry = accounts[id].firstOrder; entry != 0;) {
            const uint32_t next = orderIds[entry].next;
            const OrderSlot slot = orderIds[entry].slot();
            if (fits(slab[slot])) {
                books[slab[slot].instrument]->cancel(slot, cause, context);
                ++count;
            }
            entry = next;
        }
        settle();
    }
    return count;
}

void Core::State::massCancel(const Command& command, const CommandContext& context) {
    if (!accounts.exists(command.account)) return reject(command, Reject::UNKNOWN_ACCOUNT, context);
    if (command.instrument != 0 && !knows(command.instrument)) {
        return reject(command, Reject::UNKNOWN_INSTRUMENT, context);
    }
    if (command.side > 2) return reject(command, Reject::INVALID_SIDE, context);
    const int64_t count =
        cancelSubtree(command.account, Cause::MassCancel, context, [&command](const Order& order) {
            return (command.instrument == 0 || order.instrument == command.instrument) &&
                   (command.side == 0 || order.side() == Side(command.side));
        });
    Event& event = context.emit(EventType::MassCancelled, command.instrument);
    event.account = command.account;
    event.side = command.side;
    event.quantity = count;
}

void Core::State::killSwitch(const Command& command, const CommandContext& context) {
    if (!accounts.exists(command.account)) return reject(command, Reject::UNKNOWN_ACCOUNT, context);
    if (command.side != 1 && command.side != 2) return reject(command, Reject::INVALID_SIDE, context);
    const bool on = command.side == 1;
    accounts[command.account].killed = on;
    accounts.settingChanged(command.account);
    const int64_t count = on ? cancelSubtree(command.account, Cause::KillSwitch, context,
                                             [](const Order&) { return true; })
                             : 0;
    Event& event = context.emit(EventType::KillSwitchSet, 0);
    event.account = command.account;
    event.side = command.side;
    event.quantity = count;
}

void Core::State::advanceTime(const Command& command, const CommandContext& context) {
    if (command.expiry < time) return reject(command, Reject::TIME_NOT_MONOTONIC, context);
    time = command.expiry;
    int64_t count = 0;
    const auto nextDue = [this]() -> RiskShard* {
        RiskShard* next = nullptr;
        for (const auto& shard : shards) {
            if (shard->expiries.empty() || shard->expiries.front().time > time) continue;
            // Turned round: the earlier one is the greater.
            if (next == nullptr || next->expiries.front() < shard->expiries.front()) {
                next = shard.get();
            }
        }
        return next;
    };
    while (RiskShard* const shard = nextDue()) {
        const Expiry expiry = shard->expiries.front();
        std::pop_heap(shard->expiries.begin(), shard->expiries.end());
        shard->expiries.pop_back();
        const Order& order = slab[expiry.slot];
        if (order.orderId != expiry.orderId) continue;  // ended before
        books[order.instrument]->cancel(expiry.slot, Cause::Expired, context);
        ++count;
    }
    settle();
    Event& event = context.emit(EventType::TimeAdvanced, 0);
    event.orderId = time;
    event.quantity = count;
}

void Core::State::dayEnd(const CommandContext& context) {
    const int64_t count =
        cancelSubtree(0, Cause::DayEnd, context, [](const Order& order) {
            return order.timeInForce() == TimeInForce::Day;
        });
    for (const auto& shard : shards) {
        ClientIds& orderIds = shard->orderIds;
        orderIds.endDay([this, &orderIds](uint32_t, uint32_t to) {
            ClientIdEntry& entry = orderIds[to];
            Account& account = accounts[entry.account];
            (entry.prev != 0 ? orderIds[entry.prev].next : account.firstOrder) = to;
            (entry.next != 0 ? orderIds[entry.next].prev : account.lastOrder) = to;
            slab[entry.slot()].entry = to;
        });
    }
    Event& event = context.emit(EventType::DayEnded, 0);
    event.quantity = count;
}

}  // namespace verbex
