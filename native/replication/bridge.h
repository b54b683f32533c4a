// Bridge: the active site's released entries, relayed to a standby site.
//
//      site 1: any member ──Entries──▶ Bridge ──Submit(entry)──▶ site 2: its leader, standby ──▶ its members
//                                        ◀────Submitted: next───
//
// Purpose: the second site has the same log, word for word, some time later; it is never part of a quorum.
// Where to go on is the target's to say: after every loss of a connection, a refusal or a doubt it is asked.
// Owner: one agent, with a network for each side (TLS and a key of its own between the sites).
// Thread safety: none.
// Invariants:
//   1. Entries reach the target in order, without gap; what it has already it passes over.
//   2. At most `window` entries are on their way; then the source is not read, and its member does not send.
//   3. Whenever it goes on, the source's entry at the target's end comes first, alone, and the target compares it and
//      the result behind it with its own: the logs of two sites that are not one are never mixed.
// Requires: poll() often; the source's store holds what the target lacks, and the entry before that.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "replication/cluster_client.h"

namespace verbex::replication {

struct BridgeOptions {
    ClusterClientOptions source;
    ClusterClientOptions target;
    uint32_t window = 64;
    // The source folds its state into its results when the target does. A deployment in roles never does: of its
    // entries the bytes are compared alone.
    bool comparesResults = true;
    uint64_t probeNs = 100'000'000;  // without an answer the target is asked again
};

struct BridgeProgress {
    Position relayed = 0;   // the target has said that it has all up to here
    Position source = 0;    // read up to here
    uint64_t entries = 0;
    uint64_t probes = 0;
    bool sourceConnected = false;
    bool targetConnected = false;
    std::string trouble;    // why nothing goes on; empty: it does
};

class Bridge {
public:
    Bridge(transport::Network& sourceNetwork, transport::Network& targetNetwork,
           const BridgeOptions& options);

    // False: nothing was to do.
    bool poll(uint64_t nowNs);
    [[nodiscard]] const BridgeProgress& progress() const { return progress_; }

private:
    class Source final : public ClusterClientEvents {
    public:
        explicit Source(Bridge& bridge) : bridge_(bridge) {}
        void onEvents(const EventsFrame&, std::span<const Event>) override {}
        void onEntry(const EntriesFrame& entry, std::span<const std::byte> payload) override {
            bridge_.relay(entry, payload);
        }
        void onSubmitted(const SubmittedFrame&) override {}
        void onConnected(MemberId) override {}
        void onDisconnected(const std::string&) override {}
        void onEnded(Answered, Position oldest) override { bridge_.lost(oldest); }

    private:
        Bridge& bridge_;
    };
    class Target final : public ClusterClientEvents {
    public:
        explicit Target(Bridge& bridge) : bridge_(bridge) {}
        void onEvents(const EventsFrame&, std::span<const Event>) override {}
        void onEntry(const EntriesFrame&, std::span<const std::byte>) override {}
        void onSubmitted(const SubmittedFrame& answer) override { bridge_.answered(answer); }
        void onConnected(MemberId) override { bridge_.isProbing_ = true; }
        void onDisconnected(const std::string&) override { bridge_.isProbing_ = true; }
        void onEnded(Answered, Position) override {}

    private:
        Bridge& bridge_;
    };

    void probe();
    void relay(const EntriesFrame& entry, std::span<const std::byte> payload);
    bool pass(const EntriesFrame& entry, std::span<const std::byte> payload, uint8_t flags);
    void answered(const SubmittedFrame& answer);
    void lost(Position oldest);

    const BridgeOptions options_;
    Source fromSource_{*this};
    Target fromTarget_{*this};
    ClusterClient source_;
    ClusterClient target_;
    std::vector<std::byte> bytes_;
    BridgeProgress progress_;
    uint64_t now_ = 0;
    uint64_t askedAt_ = 0;
    uint64_t probe_ = 0;       // sequence of the last question
    uint64_t sequence_ = 0;
    uint32_t underWay_ = 0;    // entries without an answer
    bool isProbing_ = true;    // what the target has is not known
    bool isProving_ = false;   // … and whether it is what the source has
    uint64_t proof_ = 0;       // sequence of the entry that says so; 0: it has not come
};

}  // namespace verbex::replication
