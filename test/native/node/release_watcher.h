// ReleaseWatcher: follows what one member releases, from beside it: no cut between places is in its way.
//
// Purpose: the witness of "no two members release different things at one position".
// Owner: a test.
// Thread safety: next() from any thread; seen() after stop().
// Invariants: nothing is passed over; a gap is an end (ended()).
// Requires: started inside the member's place.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <thread>

#include "replication/cluster_client.h"
#include "transport/host/host_network.h"
#include "wire/event_digest.h"

namespace verbex::node::cluster_world {

struct ReleasedBatch {
    Position first = 0;
    replication::Epoch epoch = 0;
    Digest128 events;
    friend bool operator==(const ReleasedBatch&, const ReleasedBatch&) = default;
};
using Released = std::map<Position, ReleasedBatch>;  // by last position

class ReleaseWatcher final : private replication::ClusterClientEvents {
public:
    explicit ReleaseWatcher(const replication::MemberAddress& member);
    ~ReleaseWatcher() { stop(); }
    void stop();
    [[nodiscard]] Position next() const { return next_.load(std::memory_order_acquire); }
    [[nodiscard]] const Released& seen() const { return seen_; }
    [[nodiscard]] bool ended() const { return ended_; }

private:
    void run();
    void onEvents(const replication::EventsFrame& batch, std::span<const Event> events) override;
    void onEntry(const replication::EntriesFrame&, std::span<const std::byte>) override {}
    void onSubmitted(const replication::SubmittedFrame&) override {}
    void onConnected(replication::MemberId) override {}
    void onDisconnected(const std::string&) override {}
    void onEnded(replication::Answered, Position) override { ended_ = true; }

    std::unique_ptr<transport::HostNetwork> network_;
    std::unique_ptr<replication::ClusterClient> client_;
    EventDigest digest_;
    Released seen_;
    std::atomic<bool> ended_{false};
    std::atomic<Position> next_{1};
    std::atomic<bool> stop_{false};
    std::thread thread_;
};

}  // namespace verbex::node::cluster_world
