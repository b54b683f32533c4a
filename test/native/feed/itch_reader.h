// A reader of the feed as a client would write it first: a map of orders, queues by price, nothing clever.
// It knows nothing of the builder's tables, and refuses every message that its book can't take.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "feed/itch.h"

namespace verbex::feed::test {

// Price and the shown quantities in queue order, best level first.
using Levels = std::vector<std::pair<uint64_t, std::vector<uint64_t>>>;

class ItchReader {
public:
    // False, with the reason in wrong(): the message contradicts the book.
    bool take(std::span<const std::byte> bytes) {
        itch::Message message;
        if (!itch::read(bytes, message)) return refuse("not a message");
        return apply(message);
    }

    bool apply(const itch::Message& message) {
        ++messages_;
        lastTimeNs = message.timeNs;
        switch (message.type) {
            case itch::Type::SystemEvent: systemCodes += message.code; return true;
            case itch::Type::Directory:
                if (!symbols.emplace(message.locate, message.symbol).second)
                    return refuse("listed twice");
                return true;
            case itch::Type::TradingAction:
                if (!known(message)) return refuse("state of an unknown instrument");
                states[message.locate] = std::string(1, message.code) + std::string(message.reason, 4);
                return true;
            case itch::Type::Add:
                if (!known(message)) return refuse("order of an unknown instrument");
                return add(message.reference, message.locate, message.code, message.shares, message.price);
            case itch::Type::Executed: {
                if (!take(message, "execution")) return false;
                const auto found = matches_.emplace(message.match, message.reference);
                if (!found.second && found.first->second + 1 != message.reference)
                    return refuse("a match number twice");
                found.first->second = message.reference;
                traded += message.shares;
                ++executions;
                return true;
            }
            case itch::Type::Cancel: return take(message, "cancel");
            case itch::Type::Delete: {
                const auto found = orders_.find(message.reference);
                if (found == orders_.end() || found->second.locate != message.locate)
                    return refuse("deletion of an unknown order");
                erase(found);
                return true;
            }
            case itch::Type::Replace: {
                const auto found = orders_.find(message.reference);
                if (found == orders_.end() || found->second.locate != message.locate)
                    return refuse("replacement of an unknown order");
                const char side = found->second.side;
                erase(found);
                return add(message.newReference, message.locate, side, message.shares, message.price);
            }
            case itch::Type::EndOfSnapshot: continueFrom = message.sequence; return true;
            default: return refuse("a message that this feed does not send");
        }
    }

    [[nodiscard]] Levels levels(uint16_t locate, bool asks, size_t most = SIZE_MAX) const {
        Levels result;
        const auto found = books_.find(locate);
        if (found == books_.end()) return result;
        const auto list = [&result](uint32_t price, const Queue& queue) {
            result.emplace_back(price, std::vector<uint64_t>{});
            for (const Resting& order : queue) result.back().second.push_back(order.shares);
        };
        const Side& side = asks ? found->second.asks : found->second.bids;
        if (asks) {
            for (auto at = side.begin(); at != side.end() && result.size() < most; ++at)
                list(at->first, at->second);
        } else {
            for (auto at = side.rbegin(); at != side.rend() && result.size() < most; ++at)
                list(at->first, at->second);
        }
        return result;
    }
    // Within each price, references in queue order: must be sorted.
    [[nodiscard]] bool referencesAreRanks() const {
        for (const auto& [locate, book] : books_) {
            for (const Side* side : {&book.bids, &book.asks}) {
                for (const auto& [price, queue] : *side) {
                    uint64_t last = 0;
                    for (const Resting& order : queue) {
                        if (order.reference <= last) return false;
                        last = order.reference;
                    }
                }
            }
        }
        return true;
    }
    [[nodiscard]] bool sameBook(const ItchReader& other) const {
        if (symbols != other.symbols || states != other.states) return false;
        for (const auto& [locate, symbol] : symbols) {
            for (const bool asks : {false, true}) {
                if (levels(locate, asks) != other.levels(locate, asks)) return false;
            }
        }
        return orders_.size() == other.orders_.size();
    }
    [[nodiscard]] size_t orders() const { return orders_.size(); }
    [[nodiscard]] uint64_t messages() const { return messages_; }
    [[nodiscard]] const std::string& wrong() const { return wrong_; }

    std::string systemCodes;
    std::map<uint16_t, Symbol> symbols;
    std::map<uint16_t, std::string> states;
    uint64_t lastTimeNs = 0;
    uint64_t executions = 0;
    uint64_t traded = 0;
    uint64_t continueFrom = 0;  // a snapshot's end

private:
    struct Resting {
        uint64_t reference;
        uint64_t shares;
    };
    using Queue = std::list<Resting>;
    using Side = std::map<uint32_t, Queue>;
    struct Book {
        Side bids, asks;
    };
    struct Order {
        uint16_t locate;
        char side;
        uint32_t price;
        Queue::iterator at;
    };
    using Orders = std::unordered_map<uint64_t, Order>;

    bool refuse(const char* why) {
        wrong_ = std::string(why) + ", message " + std::to_string(messages_);
        return false;
    }
    [[nodiscard]] bool known(const itch::Message& message) const {
        const auto found = symbols.find(message.locate);
        return found != symbols.end() && found->second == message.symbol;
    }
    Side& sideOf(uint16_t locate, char side) {
        return side == itch::kBuy ? books_[locate].bids : books_[locate].asks;
    }
    bool add(uint64_t reference, uint16_t locate, char side, uint32_t shares, uint32_t price) {
        if (shares == 0) return refuse("an order of nothing");
        if (reference <= lastReference_) return refuse("a reference that went back");
        lastReference_ = reference;
        Queue& queue = sideOf(locate, side)[price];
        queue.push_back({reference, shares});
        orders_.emplace(reference, Order{locate, side, price, std::prev(queue.end())});
        return true;
    }
    void erase(Orders::iterator found) {
        const Order& order = found->second;
        Side& side = sideOf(order.locate, order.side);
        const auto queue = side.find(order.price);
        queue->second.erase(order.at);
        if (queue->second.empty()) side.erase(queue);
        orders_.erase(found);
    }
    // An execution must be of the head of its queue.
    bool take(const itch::Message& message, const char* what) {
        const auto found = orders_.find(message.reference);
        if (found == orders_.end() || found->second.locate != message.locate)
            return refuse(what);
        Order& order = found->second;
        if (message.shares == 0 || message.shares > order.at->shares) return refuse(what);
        if (message.type == itch::Type::Executed &&
            order.at != sideOf(order.locate, order.side)[order.price].begin())
            return refuse("an execution behind the head of the queue");
        order.at->shares -= message.shares;
        if (order.at->shares == 0) {
            if (message.type == itch::Type::Cancel) return refuse("a cancel of everything");
            erase(found);
        }
        return true;
    }

    Orders orders_;
    std::unordered_map<uint16_t, Book> books_;
    std::unordered_map<uint64_t, uint64_t> matches_;
    uint64_t lastReference_ = 0;
    uint64_t messages_ = 0;
    std::string wrong_;
};

// "bids":[[price,[[orderId,account,visible],…]],…] of Core::explainOrders.
struct CoreOrder {
    uint64_t orderId;
    uint64_t price;
    uint64_t visible;
};
inline std::vector<CoreOrder> ordersOf(const std::string& json, bool asks) {
    std::vector<CoreOrder> result;
    size_t at = json.find(asks ? "\"asks\":[" : "\"bids\":[") + 8;
    const auto number = [&json, &at] {
        uint64_t value = 0;
        while (json[at] >= '0' && json[at] <= '9')
            value = value * 10 + static_cast<uint64_t>(json[at++] - '0');
        return value;
    };
    while (json[at] == '[' || json[at] == ',') {
        at += json[at] == ',' ? 2 : 1;
        const uint64_t price = number();
        at += 2;  // ,[
        while (json[at] == '[' || json[at] == ',') {
            at += json[at] == ',' ? 2 : 1;
            const uint64_t id = number();
            ++at;
            (void)number();
            ++at;
            result.push_back({id, price, number()});
            ++at;  // ]
        }
        at += 2;  // ]]
    }
    return result;
}

// The same as a feed shows it: in parts, and without prices that a message can't say.
inline Levels levelsOf(const std::string& json, bool asks) {
    Levels result;
    for (const CoreOrder& order : ordersOf(json, asks)) {
        if (order.price > UINT32_MAX) continue;
        if (result.empty() || result.back().first != order.price)
            result.emplace_back(order.price, std::vector<uint64_t>{});
        std::vector<uint64_t>& queue = result.back().second;
        queue.push_back((order.visible - 1) % UINT32_MAX + 1);
        for (uint64_t left = order.visible - queue.back(); left != 0; left -= UINT32_MAX)
            queue.push_back(UINT32_MAX);
    }
    return result;
}

}  // namespace verbex::feed::test
