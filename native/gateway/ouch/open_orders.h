// OpenOrders: the orders of all sessions that may still trade, by session and UserRefNum.
//
// Purpose: what a message about an order has to repeat, and what the client has asked for last; found in
// constant time, listed by session.
// Owner: OrderGateway.
// Thread safety: none.
// Invariants:
//   1. At most `most` orders; add() answers nullptr beyond.
//   2. A session's list holds exactly its orders of the table.
//   3. A pointer is good until the next add() or remove().
// Requires: references from 1 on.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

#include "base/flat_map.h"
#include "gateway/ouch/ouch.h"

namespace verbex::gateway::ouch {

struct OpenOrder {
    uint32_t instrument;
    uint32_t open;       // lots that may still trade, as far as the client was told
    uint32_t intended;   // open and executed, as far as the client was told
    uint32_t reducing;   // lots that a reduction under way takes off; 0: none is
    uint32_t day;        // of its client order id
    int64_t price;       // ticks
    uint64_t orderId;    // 0: not accepted yet
    uint32_t previous;   // references in the session's list; 0: none
    uint32_t next;
    char side;
    char timeInForce;
    char display;
    char capacity;
    bool replacement;    // of another order; while it is not accepted that one may still trade
    bool cancelAsked;    // by the gateway itself
    bool cancelRefused;  // that, for now
    ClOrdId clOrdId;
};

class OpenOrders {
public:
    // Of sessions below so many.
    OpenOrders(uint32_t most, size_t sessions)
        : most_(most), table_(std::bit_ceil(size_t{most} / 3 * 4 + 64)), first_(sessions) {}

    [[nodiscard]] OpenOrder* find(uint16_t session, uint32_t reference) {
        return reference == 0 ? nullptr : table_.find(key(session, reference));
    }
    // A zeroed one; nullptr: the table is full, or the reference is taken.
    OpenOrder* add(uint16_t session, uint32_t reference) {
        if (table_.size() >= most_ || find(session, reference) != nullptr) return nullptr;
        const uint32_t head = first_[session];
        OpenOrder& order = table_.findOrAdd(key(session, reference));
        order = OpenOrder{};
        order.next = head;
        if (head != 0) table_.find(key(session, head))->previous = reference;
        first_[session] = reference;
        return &order;
    }
    void remove(uint16_t session, uint32_t reference) {
        const OpenOrder* const order = find(session, reference);
        if (order == nullptr) return;
        const uint32_t previous = order->previous;
        const uint32_t next = order->next;
        if (previous == 0) {
            first_[session] = next;
        } else {
            table_.find(key(session, previous))->next = next;
        }
        if (next != 0) table_.find(key(session, next))->previous = previous;
        table_.erase(key(session, reference));
    }
    // The next one of the session's list; 0: it was the last.
    [[nodiscard]] uint32_t after(uint16_t session, uint32_t reference) {
        return table_.find(key(session, reference))->next;
    }
    [[nodiscard]] uint32_t first(uint16_t session) const { return first_[session]; }
    [[nodiscard]] size_t size() const { return table_.size(); }

private:
    static uint64_t key(uint16_t session, uint32_t reference) {
        return uint64_t{session} << 32 | reference;
    }

    const uint32_t most_;
    FlatMap<OpenOrder> table_;
    std::vector<uint32_t> first_;  // by session
};

}  // namespace verbex::gateway::ouch
