// A cluster of member hosts in one process, over loopback, and a client of it that keeps a ledger.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "journal/posix_storage.h"
#include "node/file_control.h"
#include "node/member_host.h"
#include "patience.h"
#include "pipeline/steady_clock.h"
#include "replication/cluster_client.h"
#include "wire/command_codec.h"
#include "wire/event_digest.h"

namespace verbex::node::cluster_world {

using namespace replication;
using pipeline::steadyNs;

inline bool eventually(const std::function<bool()>& is) {
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (!is()) {
        if (std::chrono::steady_clock::now() > end) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
}

// Free ports, taken one after another for the whole cluster before anybody listens.
std::vector<uint16_t> freePorts(size_t count);

// A member's way to the control store, which may be cut: no answer comes back then, and only every other
// question arrives.
class CutControl final : public ControlStore {
public:
    explicit CutControl(std::string directory) : store_(std::move(directory)) {}
    void cut(bool is) { cut_.store(is, std::memory_order_release); }

    void read(uint64_t request) override {
        if (arrives()) store_.read(request);
    }
    void compareAndSwap(uint64_t request, uint64_t expected, const std::string& text) override {
        if (arrives()) store_.compareAndSwap(request, expected, text);
    }
    bool poll(ControlAnswer& answer) override {
        while (store_.poll(answer)) {
            if (!cut_.load(std::memory_order_acquire)) return true;
        }
        return false;
    }

private:
    bool arrives() { return !cut_.load(std::memory_order_acquire) || (asked_++ & 1) != 0; }

    FileControl store_;
    std::atomic<bool> cut_{false};
    uint32_t asked_ = 0;
};

// How long things may take before somebody is taken for dead, and how much memory a link has.
struct Pace {
    uint32_t setUpMs = 500;
    uint32_t ringBytes = 1u << 22;
    uint64_t heartbeatNs = 10'000'000;
    uint64_t suspectNs = 120'000'000;
    uint64_t staggerNs = 60'000'000;
    uint64_t silentNs = 150'000'000;
    uint64_t clientSilentNs = 300'000'000;
};

// For an emulated machine with an emulated adapter: setting a link up takes tenths of a second on each end,
// in which its members hear nothing of each other. Who suspects sooner than that asks for new links at
// every epoch, and never has any.
inline constexpr Pace kEmulatedPace{.setUpMs = 5000,
                                    .ringBytes = 1u << 20,
                                    .heartbeatNs = 100'000'000,
                                    .suspectNs = 2'000'000'000,
                                    .staggerNs = 1'000'000'000,
                                    .silentNs = 2'500'000'000,
                                    .clientSilentNs = 5'000'000'000};

struct ClusterOptions {
    uint32_t members = 3;
    uint32_t warm = 0;      // of them, the last ones
    uint32_t hot = 3;       // wanted
    bool durable = false;
    uint64_t scrubNs = 200'000'000;
    bool standby = false;
    MemberId late = 0;      // not started with the others; 0: all are
    bool idle = false;      // nobody is started
    uint64_t segmentBytes = 4u << 20;  // a new member writes one of zeros
    SnapshotOptions snapshots = {};
    transport::TransportWish transport = transport::TransportWish::Tcp;
    std::vector<transport::Address> addresses = {};  // a member each; none: free ports of loopback
    // Where a member is opened, and its threads and sockets with it; none: here.
    std::function<void(MemberId, const std::function<void()>&)> inPlace = {};
    Mutant mutant = Mutant::None;
    Pace pace = {};
};

class Cluster {
public:
    explicit Cluster(const ClusterOptions& options);
    ~Cluster();

    // Opens a member's directory, as a process that starts.
    void start(MemberId id);
    // As kill -9: threads end where they stand.
    void kill(MemberId id) { hosts_[id].reset(); }
    [[nodiscard]] MemberHost* host(MemberId id) { return hosts_[id].get(); }
    // Who leads, as it says itself; 0: nobody does.
    [[nodiscard]] MemberId leader();
    // Asks whoever leads until it does it.
    [[nodiscard]] bool askLeader(const std::function<Status(Member&)>& word);
    [[nodiscard]] ClusterClientOptions clientOptions() const;
    Status ask(MemberId id, std::function<Status(Member&)> word);
    [[nodiscard]] const std::string& directory() const { return directory_; }
    [[nodiscard]] CutControl& control(MemberId id) { return *controls_.at(id); }
    [[nodiscard]] const std::vector<MemberAddress>& addresses() const { return addresses_; }

private:
    const ClusterOptions options_;
    std::string directory_;
    std::vector<MemberAddress> addresses_;
    journal::PosixStorage storage_;
    std::map<MemberId, std::unique_ptr<CutControl>> controls_;
    std::map<MemberId, std::unique_ptr<MemberHost>> hosts_;
};

// Sends deposits, each under a transaction id of its own, again and again until it has seen what became of
// each; knows how often each was done.
class Ledger final : private ClusterClientEvents {
public:
    explicit Ledger(ClusterClientOptions options,
                    transport::TransportWish transport = transport::TransportWish::Tcp,
                    const Pace& pace = {});

    // Adds so many deposits to what is to be done.
    void want(uint32_t count) { wanted_ += count; }
    // On with another cluster, from where it is.
    void goTo(ClusterClientOptions options);
    // A round; true where something came.
    bool poll();
    [[nodiscard]] bool pollUntil(const std::function<bool()>& is);
    [[nodiscard]] uint64_t done() const { return done_; }
    [[nodiscard]] uint64_t doubled() const { return doubled_; }
    [[nodiscard]] bool isComplete() const { return done_ == wanted_; }
    // By batch: where it ends → what its events were.
    [[nodiscard]] const std::map<Position, Digest128>& seen() const { return seen_; }
    [[nodiscard]] uint64_t ended() const { return ended_; }
    [[nodiscard]] Position next() const { return client_->next(); }

private:
    void onEvents(const EventsFrame& batch, std::span<const Event> events) override;
    void onEntry(const EntriesFrame&, std::span<const std::byte>) override {}
    void onSubmitted(const SubmittedFrame& answer) override;
    void onConnected(MemberId) override { resend_ = true; }
    void onDisconnected(const std::string&) override {}
    void onEnded(Answered, Position) override { ended_++; }
    void submit();

    std::unique_ptr<transport::HostNetwork> network_;
    std::unique_ptr<ClusterClient> client_;
    uint64_t wanted_ = 0;
    uint64_t sent_ = 0;
    uint64_t done_ = 0;
    uint64_t doubled_ = 0;
    uint64_t ended_ = 0;
    bool resend_ = false;
    bool configured_ = false;
    uint64_t resentAt_ = 0;
    std::set<uint64_t> open_;
    std::map<uint64_t, uint32_t> times_;
    EventDigest digest_;
    std::map<Position, Digest128> seen_;
};

// Batches that were seen, each by where it ends, and that a fresh core, fed the member's log up to `to`,
// makes otherwise.
using Seen = std::map<Position, Digest128>;
uint64_t differences(Cluster& cluster, MemberId member, Position to, const Seen& seen);
uint64_t differences(Cluster& cluster, MemberId member, const Ledger& ledger);

}  // namespace verbex::node::cluster_world
