// OuchGateway: the implementation behind order_gateway.h.
//
// Purpose: one class in three files: sessions and messages (order_gateway.cpp), new orders and replaces
// (order_entry.cpp), events and recovery (order_events.cpp).
// Owner, thread safety, invariants: order_gateway.h.
// Requires: nothing more.
#pragma once

#include <vector>

#include "gateway/ouch/open_orders.h"
#include "gateway/ouch/order_gateway.h"
#include "session/token_bucket.h"
#include "wire/session_order_id.h"

namespace verbex::gateway::ouch {

class OuchGateway final : public OrderGateway {
public:
    OuchGateway(const OrderGatewayOptions& options, CommandPort& port, MessageStore& store,
                Directory& directory, const Users& users);

    // ---- SessionHandler
    session::LoginAnswer login(session::ConnectionId connection,
                               const session::LoginRequest& request) override;
    session::Taken received(session::ConnectionId connection,
                            std::span<const std::byte> message) override;
    void closed(session::ConnectionId connection, session::CloseReason reason) override;
    // ---- Outlet
    void deliver(const Event& event, const EventPlace& place) override;
    // ---- OrderGateway
    void restore(const StoredRecord& record) override;
    void begin() override;
    void attach(session::SessionServer& server) override { server_ = &server; }
    void detach() override { server_ = nullptr; }
    bool work(uint64_t nowNs) override;
    [[nodiscard]] bool busy() const override { return !cancelling_.empty(); }
    [[nodiscard]] const OrderGatewayCounters& counters() const override {
        counters_.openOrders = orders_.size();
        return counters_;
    }

private:
    struct Session {
        const User* user = nullptr;
        AccountId account = 0;
        session::ConnectionId connection;  // generation 0: nobody is there
        uint32_t nextReference = 1;
        uint32_t rejectsInRow = 0;  // by throttles
        bool disabled = false;      // by the client's own D
        bool cancelling = false;    // its open orders are being cancelled
        session::TokenBucket bucket;
        session::TokenBucket* firm = nullptr;
        uint16_t number = 0;
    };
    // What was asked of a new order or a replacement, checked; reason None: it can be entered.
    struct Terms {
        Reason refused = Reason::None;
        OrderType type = OrderType::Limit;
        TimeInForce timeInForce = TimeInForce::Day;
        uint16_t flags = 0;
        uint64_t expiry = 0;
        uint32_t minQuantity = 0;
        uint32_t displayQuantity = 0;
    };

    Session* sessionOf(session::ConnectionId connection);
    Session& sessionAt(uint16_t number) { return sessions_[number]; }

    // ---- order_entry.cpp
    session::Taken enter(Session& session, const Message& message);
    session::Taken replace(Session& session, const Message& message);
    session::Taken massCancel(Session& session, const Message& message);
    [[nodiscard]] Terms check(const EnterOrder& order, std::span<const std::byte> appendage) const;
    [[nodiscard]] Terms checkOptions(std::span<const std::byte> appendage, uint32_t allowed,
                                     char timeInForce, uint32_t quantity) const;
    // Within the throttles of session and firm? Counts it if so; call it only where a cell is at hand.
    [[nodiscard]] bool mayPass(const Session& session) const;
    void pass(Session& session);
    session::Taken refuse(Session& session, uint32_t reference, Reason reason,
                          const ClOrdId& clOrdId, std::span<const std::byte> message);
    session::Taken throttled(Session& session, uint32_t reference, const ClOrdId& clOrdId,
                             std::span<const std::byte> message);

    // ---- order_gateway.cpp
    session::Taken cancel(Session& session, const Message& message);
    session::Taken reduce(Session& session, uint32_t reference, uint32_t quantity, bool modify,
                          std::span<const std::byte> message);
    session::Taken switchEntry(Session& session, const Message& message);
    session::Taken accountQuery(Session& session);
    bool cancelOpen(Session& session);
    void beginCancelling(Session& session);
    void fillCommand(Command& command, CommandType type, const Session& session,
                     uint32_t reference, uint32_t tokenReference) const;
    void touch(const Session& session);
    [[nodiscard]] EventPlace ownPlace() const {
        return {store_.delivered().position, kOwnIndex};
    }
    // A message of the gateway's own; nullptr where the store has failed.
    template <typename Layout>
    Layout* ownMessage(const Session& session) {
        return message<Layout>(session, ownPlace());
    }
    template <typename Layout>
    Layout* message(const Session& session, const EventPlace& place) {
        std::byte* const at =
            store_.claimOut(session.number, kBytes<Layout>, place, directory_.timeNs());
        if (at == nullptr) return nullptr;
        Layout& made = ouch::begin<Layout>(at);
        if constexpr (requires { made.timestamp; }) made.timestamp = nsOfDay(directory_.timeNs());
        return &made;
    }
    void commit(const Session& session, bool last) {
        store_.commit(last);
        touch(session);
    }

    // ---- order_events.cpp
    [[nodiscard]] Session* sessionOf(const SessionOrderId& id);
    void accepted(const Event& event, const EventPlace& place);
    void rejected(const Event& event, const EventPlace& place);
    void traded(const Event& event, const EventPlace& place);
    void executed(Session& session, uint32_t reference, const Event& event, bool maker,
                  const EventPlace& place, bool last);
    void cancelled(const Event& event, const EventPlace& place);
    void reduced(const Event& event, const EventPlace& place);
    void replaced(const Event& event, const EventPlace& place);
    void massCancelled(const Event& event, const EventPlace& place);
    void dayEnded(const EventPlace& place);
    void takeOff(Session& session, uint32_t reference, uint32_t quantity);
    void restoreIn(Session& session, const StoredRecord& record);
    void restoreOut(Session& session, const StoredRecord& record);

    const OrderGatewayOptions options_;
    CommandPort& port_;
    MessageStore& store_;
    Directory& directory_;
    session::SessionServer* server_ = nullptr;
    const Users& users_;
    std::vector<Session> sessions_;             // by number
    std::vector<uint16_t> byConnection_;        // session by the connection's slot
    std::vector<uint16_t> cancelling_;          // sessions whose orders are being cancelled
    std::vector<std::pair<std::string, session::TokenBucket>> firms_;
    OpenOrders orders_;
    uint64_t nowNs_ = 0;
    mutable OrderGatewayCounters counters_;
};

}  // namespace verbex::gateway::ouch
