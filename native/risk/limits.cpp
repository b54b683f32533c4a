#include "risk/limits.h"

namespace verbex {

Reject Limits::check(const Accounts& accounts, AccountId account,
                     const LimitRequest& request) const {
    const LimitChange& change = request.change;
    for (AccountId level = account;; level = accounts[level].parent) {
        if (accounts[level].limits > 0) {
            const Limit* limit = limits_.find(key(level, LimitKind::OrderSize, change.instrument));
            if (limit != nullptr && request.quantity > limit->limit) return Reject::ORDER_SIZE_LIMIT;
            limit = limits_.find(key(level, LimitKind::OrderValue, change.quote));
            if (limit != nullptr && request.value > limit->limit) return Reject::ORDER_VALUE_LIMIT;
            limit = limits_.find(key(level, LimitKind::OpenOrders, 0));
            if (limit != nullptr && request.newOrder && limit->current + 1 > limit->limit) {
                return Reject::OPEN_ORDERS_LIMIT;
            }
            limit = limits_.find(key(level, LimitKind::OpenValue, change.quote));
            if (limit != nullptr && request.valueRises &&
                limit->current + change.value > limit->limit) {
                return Reject::OPEN_VALUE_LIMIT;
            }
            limit = limits_.find(key(level, LimitKind::Position, change.instrument));
            if (limit != nullptr && request.openRises) {
                const Amount reached = change.sell
                                           ? -limit->current + limit->openSell + change.open
                                           : limit->current + limit->openBuy + change.open;
                if (reached > limit->limit) return Reject::POSITION_LIMIT;
            }
        }
        if (level == 0) return Reject::NONE;
    }
}

void Limits::apply(const Accounts& accounts, AccountId account, const LimitChange& change) {
    for (AccountId level = account;; level = accounts[level].parent) {
        if (accounts[level].limits > 0) {
            if (Limit* limit = find(level, LimitKind::OpenOrders, 0)) {
                limit->current += change.orders;
            }
            if (Limit* limit = find(level, LimitKind::OpenValue, change.quote)) {
                limit->current += change.value;
            }
            if (Limit* limit = find(level, LimitKind::Position, change.instrument)) {
                limit->current += change.position;
                (change.sell ? limit->openSell : limit->openBuy) += change.open;
            }
        }
        if (level == 0) return;
    }
}

void Limits::set(Accounts& accounts, AccountId account, LimitKind kind, uint32_t subject,
                 const Limit& limit) {
    if (find(account, kind, subject) == nullptr) ++accounts[account].limits;
    limits_.findOrAdd(key(account, kind, subject)) = limit;
}

void Limits::remove(Accounts& accounts, AccountId account, LimitKind kind, uint32_t subject) {
    if (find(account, kind, subject) == nullptr) return;
    limits_.erase(key(account, kind, subject));
    --accounts[account].limits;
}

}  // namespace verbex
