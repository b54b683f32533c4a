#include "node/cluster_feed.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>

#include "pipeline/steady_clock.h"
#include "wire/command_codec.h"
#include "wire/log_facts.h"

namespace verbex::node {

using pipeline::steadyNs;
using replication::Answered;
using replication::MemberId;

namespace {

// Tokens of JavaScript are whole numbers below 2^53; gateways' have the top bit set. Between them there is
// room for the number of the edge that a token belongs to.
constexpr uint32_t kEdgeShift = 53;
constexpr uint64_t kEdgeMask = uint64_t{0xff} << kEdgeShift;
constexpr uint64_t kGatewayBit = uint64_t{1} << 63;
constexpr uint32_t kSubmissionMax = 512;  // commands
constexpr uint64_t kSleepNs = 2'000'000;

}  // namespace

ClusterFeed::ClusterFeed(const ClusterFeedOptions& options, Engine& engine, Position from)
    : options_(options),
      engine_(engine),
      intake_(options.intakeCells),
      audit_(from, uint64_t{options.edge} << kEdgeShift) {
    stats_.position = from;
}

Result<std::unique_ptr<ClusterFeed>> ClusterFeed::open(const ClusterFeedOptions& options,
                                                       Engine& engine, Position from) {
    if (options.edge < 1 || options.edge > 255) {
        return Status(StatusCode::InvalidArgument, "an edge has a number from 1 to 255");
    }
    std::unique_ptr<ClusterFeed> feed(new ClusterFeed(options, engine, from));
    transport::NetworkOptions network = options.network;
    network.ringBytes = std::max(network.ringBytes, 1u << 22);
    network.payloadMax = std::max(network.payloadMax, replication::kFrameBytesMax);
    Result<std::unique_ptr<transport::HostNetwork>> opened =
        transport::HostNetwork::open(std::move(network));
    if (!opened.isOk()) return opened.status();
    feed->network_ = opened.take();
    replication::ClusterClientEvents& events = *feed;
    feed->client_ = std::make_unique<replication::ClusterClient>(*feed->network_, options.cluster, events);
    // An edge that was stopped in the middle of an entry has a part of it.
    feed->client_->subscribeEntries(from + 1, true);
    return feed;
}

void ClusterFeed::start() {
    thread_ = std::thread([this] { run(); });
    pthread_setname_np(thread_.native_handle(), "vbx-cluster");
}

void ClusterFeed::stop() {
    stop_.store(true, std::memory_order_release);
    network_->wake();
    if (thread_.joinable()) thread_.join();
}

void ClusterFeed::run() {
    while (!stop_.load(std::memory_order_acquire)) {
        const uint64_t now = steadyNs();
        bool worked = client_->poll(now);
        if (worked) cameAt_ = now;
        if (client_->connected()) {
            const bool stuck = !waiting_.empty() && now - std::max(cameAt_, resentAt_) > options_.resendNs;
            if (resend_ || stuck) resend(now);
            worked |= drainIntake();
        }
        worked |= audit();
        client_->flush();
        show();
        if (!worked) network_->wait(kSleepNs);
    }
    // What the engine still executes while it closes is not waited for.
    while (audit()) {
    }
    engine_.leave(kReader);
    show();
}

// ---- in

CommandEntry::CellClaim ClusterFeed::claimCell() {
    if (!takesCommands()) return {};
    const pipeline::Claim claim = intake_.claim(1, [](uint64_t, uint32_t most) { return most; });
    if (claim.count == 0) return {};
    Command& command = intake_.at(claim.first);
    command = Command{};
    return {&command, claim};
}

uint32_t ClusterFeed::offer(const void* cells, uint32_t count) {
    if (!takesCommands() || count == 0) return 0;
    const pipeline::Claim claim = intake_.claim(
        count, [count](uint64_t, uint32_t most) { return std::min(most, count); });
    const auto* cell = static_cast<const std::byte*>(cells);
    for (uint64_t at = claim.first; at != claim.end(); at++, cell += sizeof(Command)) {
        loadCommand(cell, intake_.at(at));
    }
    if (claim.count == 0) return 0;
    intake_.release(claim);
    flushCells();
    return claim.count;
}

bool ClusterFeed::drainIntake() {
    bool worked = false;
    while (waiting_.size() < options_.window) {
        const auto room = static_cast<uint32_t>(
            std::min<uint64_t>(options_.window - waiting_.size(), kSubmissionMax));
        const uint64_t to = intake_.available(taken_, room);
        if (to == taken_) break;
        batch_.clear();
        for (; taken_ != to; taken_++) {
            Command command = intake_.at(taken_);
            // Not a client's to say: as any command of no type this one is rejected.
            if (isLogFact(command.type)) command.type = 0;
            if (command.token != 0 && (command.token & kGatewayBit) == 0) {
                command.token |= uint64_t{options_.edge} << kEdgeShift;
            }
            batch_.push_back(command);
            waiting_.push_back(command);
        }
        intake_.free(taken_);
        stats_.submitted += batch_.size();
        submit(batch_);
        worked = true;
    }
    return worked;
}

void ClusterFeed::submit(std::span<const Command> commands) {
    payload_.clear();
    encodeBatch(commands, payload_);
    if (!client_->submit(++sequence_, payload_, static_cast<uint32_t>(commands.size()))) resend_ = true;
}

void ClusterFeed::resend(uint64_t now) {
    resend_ = false;
    resentAt_ = now;
    stats_.resent += waiting_.size();
    for (size_t at = 0; at < waiting_.size() && !resend_; at += batch_.size()) {
        const size_t count = std::min<size_t>(waiting_.size() - at, kSubmissionMax);
        batch_.assign(waiting_.begin() + static_cast<ptrdiff_t>(at),
                      waiting_.begin() + static_cast<ptrdiff_t>(at + count));
        submit(batch_);
    }
}

// ---- out

void ClusterFeed::onEntry(const replication::EntriesFrame& entry,
                          std::span<const std::byte> payload) {
    std::vector<Command> commands;
    if (!decodeBatch(payload, entry.entry.count, commands)) {
        commands.assign(entry.entry.count, Command{});  // as every member executes it
    }
    const uint64_t mine = uint64_t{options_.edge} << kEdgeShift;
    audit_.expect(entry);
    refusedBy_.clear();
    Position position = entry.entry.first;
    // Of the first one the engine may have a part already.
    auto given = static_cast<uint32_t>(stats_.position + 1 - entry.entry.first);
    for (Command& command : commands) {
        seen(command);
        if ((command.token & kGatewayBit) == 0 && (command.token & kEdgeMask) == mine) {
            command.token &= ~kEdgeMask;
            audit_.cutToken(position);
        }
        position++;
    }
    while (given < commands.size() && !stop_.load(std::memory_order_acquire)) {
        const Engine::Offered offered =
            engine_.offer(commands.data() + given, static_cast<uint32_t>(commands.size()) - given);
        if (!offered.failure.isOk()) {
            stats_.trouble = offered.failure.code + ": " + offered.failure.message;
            stop_.store(true, std::memory_order_release);
            return;
        }
        given += offered.taken;
        // A slow consumer of events holds the engine up, and with it this edge; the cluster goes on.
        if (offered.taken == 0 && !audit()) std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
    stats_.position = entry.entry.last();
}

// Events that have come out of the engine; false: there were none.
bool ClusterFeed::audit() {
    EventRing& ring = engine_.events();
    const uint64_t ready = ring.available(kReader);
    if (ready == 0) return false;
    const uint64_t first = ring.consumed(kReader);
    for (uint64_t i = 0; i < ready; i++) {
        const Event& event = ring.memory()[(first + i) & (ring.cells() - 1)];
        if (isDiverged_ || audit_.take(event)) continue;
        isDiverged_ = true;
        diverge();
    }
    stats_.compared = audit_.compared();
    return engine_.release(ready, kReader);
}

void ClusterFeed::diverge() {
    const EdgeAudit::Difference& difference = audit_.difference();
    Failure failure(kCodeEdgeDiverged,
                    "the cluster has voted " + difference.expected.hex() + " at position " +
                        std::to_string(difference.last) + ", and this edge makes " +
                        difference.found.hex() + " of it");
    stats_.trouble = failure.code + ": " + failure.message;
    if (options_.onDiverged) options_.onDiverged(difference);
    engine_.fail(failure);
    stop_.store(true, std::memory_order_release);
}

// Submissions of one connection arrive in order, so what is seen is nearly always the oldest.
void ClusterFeed::seen(const Command& command) {
    constexpr size_t kLookMax = 1024;
    for (size_t i = 0; i < waiting_.size() && i < kLookMax; i++) {
        if (std::memcmp(&waiting_[i], &command, sizeof(Command)) != 0) continue;
        waiting_.erase(waiting_.begin() + static_cast<ptrdiff_t>(i));
        return;
    }
}

void ClusterFeed::onSubmitted(const replication::SubmittedFrame& answer) {
    if (answer.answer == Answered::Malformed) stats_.trouble = "the leader calls a submission malformed";
}

void ClusterFeed::onConnected(MemberId member) {
    stats_.member = member;
    resend_ = !waiting_.empty();
}

void ClusterFeed::onDisconnected(const std::string&) { stats_.member = 0; }

// One member may have kept what another has not: only where all of them have said so it is gone. What happened between
// is for clients of the gateways here too, and nobody can make their messages of it any more: it is not passed over.
void ClusterFeed::onEnded(Answered, Position oldest) {
    refusedBy_.insert(client_->member());
    Failure failure(kCodeEdgeBehind,
                    "the cluster no longer has the entry behind position " +
                        std::to_string(stats_.position) + "; its oldest is " +
                        std::to_string(oldest) +
                        ". Move this edge's folder away, and start it with an empty one: it "
                        "begins at a snapshot, and its clients' sessions begin anew");
    stats_.trouble = failure.code + ": " + failure.message;
    if (refusedBy_.size() < options_.cluster.members.size()) return;
    engine_.fail(failure);
    stop_.store(true, std::memory_order_release);
}

void ClusterFeed::show() {
    const std::lock_guard guard(mutex_);
    stats_.waiting = waiting_.size();
    shown_ = stats_;
}

ClusterFeedStats ClusterFeed::stats() const {
    const std::lock_guard guard(mutex_);
    return shown_;
}

}  // namespace verbex::node
