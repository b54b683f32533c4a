// EventRouter: which gateways an event concerns, in constant time.
//
// Purpose: the filtered subscription. The engine writes an event once; the router looks at it once and hands
// it to the few outlets that it concerns, so a gateway sees only its sessions' business, and one more gateway
// costs the engine nothing.
//   - an answer: the token names the outlet of the gateway that entered the command;
//   - an order's fate: the client order id names the session, a table the session's outlet (taker and maker);
//   - an account's money and executions: a table of outlets by account, for clearing and drop copy;
//   - what concerns everybody: time, day end, names, trading states, kill switches.
// Owner: the thread that reads the event ring.
// Thread safety: the owner's thread.
// Invariants:
//   1. An outlet sees the events that concern it in the engine's order, each with its index within its
//      position, so that (position, index) is a place to resume from.
//   2. An event is handed to an outlet at most once.
//   3. The cost of an event depends on how many outlets it concerns, not on how many there are.
// Requires: sessions are numbered 1 … 65,535; at most kOutletsMax outlets.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "gateway/command_port.h"
#include "wire/event.h"

namespace verbex::gateway {

inline constexpr uint32_t kOutletsMax = 32;

// Place of an event in the engine's output.
struct EventPlace {
    Position position = 0;
    uint32_t index = 0;  // within the position, from 0

    friend auto operator<=>(const EventPlace&, const EventPlace&) = default;
};

class Outlet {
public:
    // Never waits and never refuses: an outlet that can't take more notes the place and catches up later.
    virtual void deliver(const Event& event, const EventPlace& place) = 0;

protected:
    ~Outlet() = default;
};

class EventRouter {
public:
    EventRouter();

    // `number`: GatewayToken::outlet of its commands. nullptr takes it out.
    void setOutlet(uint8_t number, Outlet* outlet);
    void assignSession(uint16_t session, uint8_t outlet);
    // Everything about this account (not its subtree: name each) goes there too.
    void watchAccount(AccountId account, uint8_t outlet);

    // Events in order; the router counts the index itself.
    void route(const Event& event);
    // Counts it only: everybody has seen it.
    void pass(const Event& event);
    // The mask of outlets, for tests and measurements.
    [[nodiscard]] uint32_t concerned(const Event& event) const;

private:
    static constexpr uint8_t kNobody = 0xff;
    [[nodiscard]] uint32_t ofSession(const ClientId& id) const;
    [[nodiscard]] uint32_t ofAccount(AccountId account) const {
        return account < watched_.size() ? watched_[account] : 0;
    }

    std::array<Outlet*, kOutletsMax> outlets_{};
    std::vector<uint8_t> sessions_;  // outlet by session number
    std::vector<uint32_t> watched_;  // outlets by account
    bool watching_ = false;
    uint32_t present_ = 0;  // outlets that are set
    EventPlace next_;
};

}  // namespace verbex::gateway
