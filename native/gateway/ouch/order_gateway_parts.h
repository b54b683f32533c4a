// OuchGateway: the implementation behind order_gateway.h.
//
// Purpose: one class in four files: sessions and messages (order_gateway.cpp), new orders and replaces
// (order_entry.cpp), events (order_events.cpp), the time before (order_recovery.cpp).
// Owner, thread safety, invariants: order_gateway.h.
// Requires: nothing more.
#pragma once

#include <vector>

#include "gateway/ouch/open_orders.h"
#include "gateway/ouch/order_gateway.h"
#include "session/token_bucket.h"
#include "wire/session_order_id.h"

namespace verbex::gateway::ouch {

inline constexpr ClOrdId kNoClOrdId = {' ', ' ', ' ', ' ', ' ', ' ', ' ',
                                       ' ', ' ', ' ', ' ', ' ', ' ', ' '};
// In a command's token, among GatewayToken's unused bits: asked by an M, to be answered by one.
inline constexpr uint64_t kModifyBit = uint64_t{1} << 56;

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
    void settle(const MarketState& state) override;
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
        uint64_t nextReference = 1;  // above 2^32 − 1: there is none any more
        uint32_t rejectsInRow = 0;  // by throttles
        bool disabled = false;      // by the client's own D
        bool cancelling = false;    // its open orders are being cancelled
        bool owesCancels = false;   // some could not be: their instrument was frozen
        session::TokenBucket bucket;
        session::TokenBucket* firm = nullptr;
        uint16_t number = 0;
    };
    // A message of the time before that needs an answer and has none.
    struct Unanswered {
        uint16_t session;
        uint32_t reference;
    };
    // What was asked of a new order or a replacement, checked; reason None: it can be entered.
    struct Terms {
        Reason refused = Reason::None;
        OrderType type = OrderType::Limit;
        TimeInForce timeInForce = TimeInForce::Day;
        SelfTrade selfTrade = SelfTrade::None;
        uint16_t flags = 0;
        uint64_t expiry = 0;
        uint32_t minQuantity = 0;
        uint32_t displayQuantity = 0;
    };

    Session* sessionOf(session::ConnectionId connection);
    // Marks the reference, and all below it, as used.
    static void use(Session& session, uint32_t reference) {
        if (session.nextReference <= reference) session.nextReference = uint64_t{reference} + 1;
    }

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

    // Anything that is not allowed, or not offered, is a reason to refuse the message.
    [[nodiscard]] static Reason readAllowed(std::span<const std::byte> appendage, uint32_t allowed,
                                            Options& options);

    // ---- order_gateway.cpp
    session::Taken cancel(Session& session, const Message& message);
    session::Taken reduce(Session& session, uint32_t reference, uint32_t quantity, bool modify,
                          std::span<const std::byte> message);
    session::Taken switchEntry(Session& session, const Message& message);
    session::Taken accountQuery(Session& session, const Message& message);
    session::Taken refuseCancel(Session& session, uint32_t reference,
                                std::span<const std::byte> message);
    // The message into the store; false: it failed, and the claimed cell is entered as nothing.
    [[nodiscard]] bool keep(const Session& session, uint32_t reference,
                            std::span<const std::byte> message);
    // The first message of a session's day says that it has begun.
    void startDay(const Session& session);
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
        if (store_.nextSequence(session.number) == 1) startDay(session);
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
    // nullptr: nobody's.
    [[nodiscard]] Session* sessionOf(const SessionOrderId& id);
    [[nodiscard]] Session* sessionNumbered(uint16_t number);
    // nullptr also where the reference is another day's.
    [[nodiscard]] OpenOrder* orderOf(const SessionOrderId& id);
    [[nodiscard]] bool isOwn(const Event& event, const SessionOrderId& id) const;
    void lost(Session& session, uint32_t reference, const ClOrdId& clOrdId);
    void answered(uint16_t session, uint32_t reference);
    void accepted(const Event& event, const EventPlace& place);
    void rejected(const Event& event, const EventPlace& place);
    void traded(const Event& event, const EventPlace& place);
    void executed(Session& session, const SessionOrderId& id, const Event& event, bool maker,
                  const EventPlace& place, bool last);
    void cancelled(const Event& event, const EventPlace& place);
    void reduced(const Event& event, const EventPlace& place);
    void replaced(const Event& event, const EventPlace& place);
    void massCancelled(const Event& event, const EventPlace& place);
    void dayEnded(const EventPlace& place);
    void tradingStateSet();
    void takeOff(OpenOrder* order, uint16_t session, uint32_t reference, uint32_t quantity);
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
    std::vector<Unanswered> unanswered_;        // until settle()
    OpenOrders orders_;
    uint64_t nowNs_ = 0;
    mutable OrderGatewayCounters counters_;
};

}  // namespace verbex::gateway::ouch
