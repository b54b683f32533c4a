// VerbsQueue on a real device. Only .cpp files of this room include it.
//
// Purpose: the device's objects behind a VerbsQueue, made and given back in the right order.
// Owner: VerbsQueue::open().
// Thread safety: as VerbsQueue.
// Invariants:
//   1. Every send entry carries its ordinal; history_ tells what had been posted by then. So one
//      report stands for all entries before it, which the device completes in order.
//   2. An entry is in use from being appended until a report covers it; there are never more in use
//      than the device was asked for, and neither completion queue can overflow.
//   3. At least one of the entries in use is, or can still be, signalled: half of the queue, a
//      quarter of the staging region or 64 entries are the longest run without.
// Requires: VERBEX_HAVE_VERBS.
#pragma once

#include "transport/verbs/verbs_calls.h"

#if defined(VERBEX_HAVE_VERBS)

#include <vector>

#include "transport/verbs/verbs_queue.h"

namespace verbex::transport {

class VerbsQueuePair final : public VerbsQueue {
public:
    VerbsQueuePair(const VerbsLibrary& library, VerbsOptions options, VerbsChoice choice);
    ~VerbsQueuePair() override;

    // Up to the state in which the peer can be named: everything made and registered.
    Status open(VerbsRegion receive, VerbsRegion send);

    const VerbsChoice& choice() const override { return choice_; }
    VerbsEndpoint local() const override { return local_; }
    Status connect(const VerbsEndpoint& remote) override;
    uint32_t mtu() const override { return mtu_; }
    uint32_t inlineBytes() const override { return inlineBytes_; }
    bool postWrite(size_t localOffset, size_t remoteOffset, size_t length) noexcept override;
    bool postWake() noexcept override;
    void ring(VerbsReport report) noexcept override;
    void poll() noexcept override;
    uint64_t completedWrites() const noexcept override { return completed_.writes; }
    uint64_t completedBytes() const noexcept override { return completed_.bytes; }
    VerbsFailure failure() const noexcept override { return failure_; }
    Status status() const override;
    const VerbsCounters& counters() const noexcept override { return counters_; }
    int wakeDescriptor() const noexcept override;
    Status armWake() override;
    uint64_t drainWakes() noexcept override;
    Status destroy() override;

private:
    enum class State : uint8_t { Opened, Connected, Destroyed };

    struct Progress {
        uint64_t writes = 0;
        uint64_t bytes = 0;
    };

    Status openDevice();
    Status registerRegions(VerbsRegion receive, VerbsRegion send);
    Status makeQueuePair();
    Status refused(const char* call, int error) const;

    [[nodiscard]] bool canPost() const {
        return state_ == State::Connected && failure_ == VerbsFailure::None;
    }
    [[nodiscard]] bool isFull() const { return posted_ - completedEntries_ == entries_; }
    [[nodiscard]] bool hasRoom() noexcept;
    ibv_send_wr& append(size_t length) noexcept;
    void signal(ibv_send_wr& entry) noexcept;
    void reportTail() noexcept;
    void takeSendCompletions() noexcept;
    void takeWakes() noexcept;
    void postReceives(uint32_t count) noexcept;
    void takeAsyncEvents() noexcept;
    void takeError(const ibv_wc& completion) noexcept;
    void fail(VerbsFailure failure, const char* reason, uint32_t vendorCode) noexcept;

    const VerbsLibrary& library_;
    const VerbsOptions options_;
    const VerbsChoice choice_;

    ibv_context* context_ = nullptr;
    ibv_pd* domain_ = nullptr;
    ibv_mr* receiveMemory_ = nullptr;
    ibv_mr* sendMemory_ = nullptr;
    ibv_comp_channel* channel_ = nullptr;
    ibv_cq* sendCompletions_ = nullptr;
    ibv_cq* receiveCompletions_ = nullptr;
    ibv_qp* queuePair_ = nullptr;

    VerbsRegion send_;
    VerbsEndpoint local_;
    VerbsEndpoint remote_;
    State state_ = State::Opened;
    uint32_t mtu_ = 0;
    uint32_t inlineBytes_ = 0;
    uint32_t entries_ = 0;
    uint32_t signalEvery_ = 0;
    size_t signalBytes_ = 0;
    uint32_t messageBytesMax_ = 0;

    std::vector<ibv_send_wr> batch_;
    std::vector<ibv_sge> pieces_;
    uint32_t batched_ = 0;
    std::vector<Progress> history_;  // of entry n at n % entries_
    uint64_t posted_ = 0;            // entries, those in the batch included
    uint64_t completedEntries_ = 0;
    uint64_t signalledEntries_ = 0;  // the ordinal of the last entry that reports
    Progress posting_;
    Progress completed_;
    size_t unsignalledBytes_ = 0;
    bool tailWanted_ = false;
    uint64_t wakesToTell_ = 0;

    VerbsFailure failure_ = VerbsFailure::None;
    const char* failureReason_ = "";
    uint32_t vendorCode_ = 0;
    VerbsCounters counters_;
};

}  // namespace verbex::transport

#endif
