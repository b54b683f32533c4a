// GatewayHost: the thread on which the gateways and the feed run, beside the engine.
//
//     event ring ──▶ EventRouter ──▶ OrderGateway, ClearingGateway, MarketFeed ──▶ sockets
//     command ring ◀── CommandPort ◀── OrderGateway, ClearingGateway ◀──────────── sockets
//
// Purpose: one epoll thread for all client connections of a node; brings the gateways' store in step with the
// journal at start, reads the event ring as its second reader, and ends with the node.
// Owner: Node.
// Thread safety: stats() and addresses() from any thread; the rest from the node's owner.
// Invariants:
//   1. Ports open only once the store is in step with the journal: a client that logs in sees everything.
//   2. A client message is entered in the order in which it was read from its connection.
//   3. The thread takes as many events as there are before it reads sockets again, so the engine never waits
//      for a client.
//   4. Nothing here reads the core; the state at start is a copy, questions go through the engine.
// Requires: the node's engine outlives it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "feed/market_feed.h"
#include "gateway/clearing/clearing_gateway.h"
#include "gateway/ouch/order_gateway.h"
#include "gateway/users.h"
#include "node/engine.h"
#include "node/gateway_port.h"
#include "session/authenticator.h"
#include "session/session_server.h"

namespace verbex::node {

struct GatewayHostOptions {
    std::string directory;  // of the messages; "": memory only
    std::optional<session::SessionServerOptions> orders;    // OUCH
    std::optional<session::SessionServerOptions> clearing;
    std::optional<feed::MarketFeedOptions> feed;            // sessionName may be empty: drawn
    std::vector<gateway::User> users;
    std::vector<gateway::FirmThrottle> firms;
    uint32_t ordersMax = 1u << 20;
    uint64_t storeSegmentBytes = 64u << 20;
    uint64_t spinNs = 10'000;       // how long the thread looks for work before it sleeps in epoll
    // On the engine's thread: one core does both, and an order changes threads nowhere. Serial plan only.
    bool sharesEngine = false;
    std::optional<uint32_t> core;   // to pin it to
};

struct GatewayHostStats {
    session::CallCounts calls;
    session::SessionServerCounters orderSessions;
    session::SessionServerCounters clearingSessions;
    gateway::OrderGatewayCounters orders;
    gateway::ClearingGatewayCounters clearing;
    feed::MarketFeedCounters feed;
    uint64_t events = 0;     // read from the ring
    uint64_t storeBytes = 0;
    std::string failure;     // "" or why the gateways have stopped (the node goes on)
};

struct GatewayAddresses {
    std::optional<transport::Address> orders;
    std::optional<transport::Address> clearing;
    std::optional<transport::Address> itch;
    std::optional<transport::Address> snapshot;
    std::optional<transport::Address> retransmission;
    std::vector<transport::Address> datagrams;
    std::string feedSession;
};

// What the host is given to begin with, before the engine's thread runs.
struct GatewayStart {
    MarketState state;  // of the engine, now
    // Hands out the events of (from, to] once more, with the core's time at each; unset where nothing is
    // journaled.
    using ReplaySink = std::function<void(const Event& event, uint32_t index, uint64_t timeNs)>;
    std::function<Status(Position from, Position to, const ReplaySink& sink)> replay;
};

class GatewayHost final : public Companion, private session::Authenticator {
public:
    // The reader of the event ring that is the host's.
    static constexpr uint32_t kReader = 1;

    // Opens the store, brings it in step, opens the ports; starts no thread.
    static Result<std::unique_ptr<GatewayHost>> open(const GatewayHostOptions& options,
                                                     Engine& engine, CommandEntry& entry,
                                                     const GatewayStart& begin);
    ~GatewayHost();
    GatewayHost(const GatewayHost&) = delete;
    GatewayHost& operator=(const GatewayHost&) = delete;

    // A thread of its own; not where the engine's is shared.
    void start();
    // There are events, or something else to do. From any thread.
    void wake() override { loop_->wake(); }
    [[nodiscard]] bool sharesEngine() const { return options_.sharesEngine; }

    // ---- Companion: on the engine's thread
    bool round() override;
    void wait(uint64_t forNs, const std::function<bool()>& mayNot) override;
    void makeRoom() override { (void)takeEvents(); }

    // Takes the events that are there, tells every client that the session ends, closes the store.
    void stop();

    [[nodiscard]] GatewayHostStats stats() const;
    [[nodiscard]] const GatewayAddresses& addresses() const { return addresses_; }

private:
    GatewayHost(const GatewayHostOptions& options, Engine& engine, CommandEntry& entry);
    [[nodiscard]] bool mayLogIn(std::string_view user, std::string_view password) const override;

    Status openStore(const GatewayStart& begin);
    Status catchUp(const GatewayStart& begin);
    Status openPorts(const MarketState& state);
    void assignSessions();

    void run();
    bool takeEvents();
    void take(const Event& event);
    void dayEnded(Position position);
    void tick();
    void checkStore();
    void closePorts();
    void publishStats();
    [[nodiscard]] bool isBusy() const;

    const GatewayHostOptions options_;
    Engine& engine_;
    CommandEntry& entry_;
    gateway::Users users_;
    std::unique_ptr<session::EventLoop> loop_;
    std::unique_ptr<GatewayPort> port_;
    std::unique_ptr<gateway::MessageStore> store_;
    gateway::Directory directory_;
    gateway::EventRouter router_;
    std::unique_ptr<gateway::OrderGateway> orders_;
    std::unique_ptr<gateway::ClearingGateway> clearing_;
    std::unique_ptr<session::SessionServer> orderServer_;
    std::unique_ptr<session::SessionServer> clearingServer_;
    std::unique_ptr<feed::MarketFeed> feed_;
    GatewayAddresses addresses_;
    gateway::EventPlace place_;   // of the last event taken
    uint64_t eventIndex_ = 0;     // of the ring
    uint64_t events_ = 0;
    uint64_t idleSinceNs_ = 0;    // 0: not idle
    uint64_t tickedNs_ = 0;
    std::string failure_;
    bool dayOver_ = false;

    std::thread thread_;
    std::atomic<bool> stop_{false};
    std::atomic<bool> ran_{false};  // a round was run
    mutable std::mutex mutex_;
    GatewayHostStats shown_;
};

}  // namespace verbex::node
