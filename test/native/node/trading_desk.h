// TradingDesk: some traders of a few tiny books, and everything that they asked and were told, with times.
//
//      traders, one question each ──Submit──▶ leader ──Events──▶ history: call, end, answer
//
// Purpose: writes the histories that the linearizability checker judges. A question that gets no answer is asked
// again under the same client id, wherever the leader is; some traders go away instead, and never learn.
// Owner: a test.
// Thread safety: answered() and longestGap() from any thread; history() after stop().
// Invariants:
//   1. A call's time is taken before it is sent first, an end's after its last event has come.
//   2. Whoever goes away has asked once, and nobody speaks of that order again.
// Requires: started inside a place. Desks of one cluster have numbers of their own; who else trades there
// uses tokens below kDeskToken.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "linearizability/tiny_book.h"
#include "replication/cluster_client.h"
#include "transport/host/host_network.h"

namespace verbex::node::cluster_world {

inline constexpr uint64_t kDeskToken = uint64_t{3} << 61;

struct DeskOptions {
    replication::ClusterClientOptions cluster;
    uint32_t number = 1;
    uint32_t books = 2;             // a buyer and a seller each
    uint64_t paceNs = 4'000'000;    // between an answer and the next question
    uint64_t resendNs = 200'000'000;
    uint64_t patienceNs = 120'000'000;  // of those who go away
    uint32_t leaveOfHundred = 10;
};

class TradingDesk final : private replication::ClusterClientEvents {
public:
    explicit TradingDesk(DeskOptions options);
    ~TradingDesk() { stop(); }

    // No new questions; ends when all are answered, or after a while.
    void stop();
    [[nodiscard]] uint64_t answered() const { return answered_.load(std::memory_order_acquire); }
    // The longest time between two answers since the last call, the current wait included.
    [[nodiscard]] uint64_t longestGap();
    [[nodiscard]] const linearizability::BookHistory& history() const { return history_; }
    // Those that went away; of the rest nobody is without an answer.
    [[nodiscard]] uint64_t gone() const { return gone_; }
    [[nodiscard]] uint64_t open() const { return open_.size(); }

private:
    struct Trader {
        AccountId account = 0;  // 0: not there yet
        uint32_t funds = 0;     // a bit an asset
        [[nodiscard]] bool isReady() const { return funds == 3; }
        bool buys = false;
        uint32_t book = 0;
        uint64_t nextAt = 0;
        bool waits = false;
        std::vector<uint64_t> orders = {};  // that may rest
    };
    struct Open {
        size_t trader = 0;
        size_t at = 0;          // in the history
        Command command{};
        uint64_t sentAt = 0;    // 0: not over this connection
        bool leaves = false;
    };
    void run();
    void setUp(uint64_t now);
    void ask(uint64_t now, size_t trader);
    void again(uint64_t now);
    bool send(const Command& command);
    void answer(Open& open, const Event& event);
    void forget(Open& open);
    void onEvents(const replication::EventsFrame& batch, std::span<const Event> events) override;
    void onEntry(const replication::EntriesFrame&, std::span<const std::byte>) override {}
    void onSubmitted(const replication::SubmittedFrame&) override {}
    void onConnected(replication::MemberId) override;
    void onDisconnected(const std::string&) override {}
    void onEnded(replication::Answered, Position) override {}

    const DeskOptions options_;
    std::unique_ptr<transport::HostNetwork> network_;
    std::unique_ptr<replication::ClusterClient> client_;
    std::mt19937_64 random_;
    std::vector<Trader> traders_;
    std::map<std::string, InstrumentId> books_;
    uint64_t setUpAt_ = 0;
    uint64_t nextOrder_;
    std::map<uint64_t, Open> open_;  // by token
    linearizability::BookHistory history_;
    uint64_t gone_ = 0;
    uint64_t sequence_ = 0;
    std::vector<std::byte> payload_;
    std::atomic<uint64_t> answered_{0};
    std::atomic<uint64_t> answeredAt_{0};
    std::atomic<uint64_t> gap_{0};
    std::atomic<bool> stopping_{false};
    std::thread thread_;
};

}  // namespace verbex::node::cluster_world
