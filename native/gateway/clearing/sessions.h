// Sessions: what the clearing gateway keeps for each user, whether he is logged in or not.
//
// Purpose: references that were used, requests that wait, and the connection, found by user's session number and
// by connection.
// Owner: the clearing gateway.
// Thread safety: none.
// Invariants:
//   1. One connection a session, one session a connection.
//   2. A reference waits at most once.
// Requires: sessions are numbered below kClearingStreams, as Users::from() sees to.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "gateway/clearing/clearing_gateway.h"
#include "gateway/clearing/requests.h"
#include "gateway/users.h"
#include "session/session_server.h"

namespace verbex::gateway::clearing {

struct WaitingRequest {
    uint32_t reference;
    uint8_t request;   // its type
    bool restored;     // from the store: of a gateway that was stopped
    uint32_t kills;    // the account, of a kill switch that is being switched on; kNoAccount
};

struct Session {
    const User* user = nullptr;
    uint16_t number = 0;  // User::session: what tokens carry
    uint16_t stream = 0;  // its number in the store
    Authority authority;
    uint32_t lastReference = 0;
    session::ConnectionId connection;
    bool killWaits = false;  // for room: nothing more is taken from it until then
    std::vector<WaitingRequest> waiting;

    [[nodiscard]] size_t killsAsked() const {
        return static_cast<size_t>(
            std::count_if(waiting.begin(), waiting.end(),
                          [](const WaitingRequest& each) { return each.kills != kNoAccount; }));
    }
};

class Sessions {
public:
    static constexpr uint32_t kNone = UINT32_MAX;

    explicit Sessions(const Users& users) : byNumber_(1u << 16, kNone) {
        for (const User& user : users.all()) {
            if (!user.mayClear && !user.mayAdminister) continue;
            byNumber_[user.session] = static_cast<uint32_t>(all_.size());
            Session made;
            made.user = &user;
            made.number = user.session;
            made.stream = static_cast<uint16_t>(kClearingStreams + user.session);
            made.authority.mayAdminister = user.mayAdminister;
            all_.push_back(std::move(made));
        }
    }

    [[nodiscard]] uint32_t count() const { return static_cast<uint32_t>(all_.size()); }
    [[nodiscard]] Session& operator[](uint32_t index) { return all_[index]; }
    [[nodiscard]] uint32_t numbered(uint16_t number) const { return byNumber_[number]; }
    [[nodiscard]] uint32_t connected(session::ConnectionId connection) const {
        if (connection.slot >= byConnection_.size()) return kNone;
        const uint32_t index = byConnection_[connection.slot];
        return index != kNone && all_[index].connection == connection ? index : kNone;
    }
    void connect(uint32_t index, session::ConnectionId connection) {
        if (connection.slot >= byConnection_.size()) byConnection_.resize(connection.slot + 1, kNone);
        byConnection_[connection.slot] = index;
        all_[index].connection = connection;
    }
    void disconnect(session::ConnectionId connection) {
        const uint32_t index = connected(connection);
        if (index == kNone) return;
        byConnection_[connection.slot] = kNone;
        all_[index].connection = {};
    }

    [[nodiscard]] uint32_t waiting() const { return waiting_; }
    void wait(Session& session, const WaitingRequest& request) {
        session.waiting.push_back(request);
        ++waiting_;
    }
    // False: it does not wait.
    bool answered(Session& session, uint32_t reference) {
        auto& list = session.waiting;
        const auto found = std::find_if(list.begin(), list.end(), [&](const WaitingRequest& each) {
            return each.reference == reference;
        });
        if (found == list.end()) return false;
        list.erase(found);
        --waiting_;
        return true;
    }
    void forgetRestored(Session& session) {
        const auto gone = std::remove_if(session.waiting.begin(), session.waiting.end(),
                                         [](const WaitingRequest& each) { return each.restored; });
        waiting_ -= static_cast<uint32_t>(session.waiting.end() - gone);
        session.waiting.erase(gone, session.waiting.end());
    }

private:
    std::vector<Session> all_;
    std::vector<uint32_t> byNumber_;
    std::vector<uint32_t> byConnection_;  // by slot
    uint32_t waiting_ = 0;
};

}  // namespace verbex::gateway::clearing
