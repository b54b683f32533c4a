// Posting and completions; verbs_queue_setup.cpp makes the device's objects and gives them back.
#include "transport/verbs/verbs_queue_pair.h"

#if defined(VERBEX_HAVE_VERBS)

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

#include "base/check.h"

namespace verbex::transport {

namespace {

constexpr int kTakenAtOnce = 16;

VerbsFailure failureOf(ibv_wc_status status) {
    switch (status) {
        case IBV_WC_RETRY_EXC_ERR:
        case IBV_WC_RNR_RETRY_EXC_ERR:
        case IBV_WC_RESP_TIMEOUT_ERR: return VerbsFailure::PeerUnreachable;
        case IBV_WC_REM_ACCESS_ERR: return VerbsFailure::AccessRefused;
        case IBV_WC_REM_INV_REQ_ERR:
        case IBV_WC_REM_OP_ERR:
        case IBV_WC_REM_ABORT_ERR: return VerbsFailure::RequestRefused;
        case IBV_WC_WR_FLUSH_ERR: return VerbsFailure::Flushed;
        default: return VerbsFailure::Device;
    }
}

const char* failureText(VerbsFailure failure) {
    switch (failure) {
        case VerbsFailure::None: return "";
        case VerbsFailure::PeerUnreachable: return "the peer does not answer";
        case VerbsFailure::AccessRefused: return "the peer's device refused access to its memory";
        case VerbsFailure::RequestRefused: return "the peer's device refused the request";
        case VerbsFailure::AccessAttempted: return "the peer tried to write where it may not";
        case VerbsFailure::Flushed: return "the queue pair is in its error state";
        case VerbsFailure::Device: return "this end's RDMA device failed";
    }
    return "";
}

}  // namespace

bool VerbsQueuePair::hasRoom() noexcept {
    if (!canPost()) return false;
    if (!isFull()) return true;
    ++counters_.queueFull;
    return false;
}

bool VerbsQueuePair::postWrite(size_t localOffset, size_t remoteOffset, size_t length) noexcept {
    if (!hasRoom()) return false;
    CHECK(length > 0 && length <= messageBytesMax_ && "a write has 1 byte to the device's maximum");
    CHECK(localOffset <= send_.size && length <= send_.size - localOffset);
    CHECK(remoteOffset <= remote_.size && length <= remote_.size - remoteOffset);
    ++posting_.writes;
    posting_.bytes += length;
    ++counters_.writes;
    counters_.bytes += length;
    ibv_sge& piece = pieces_[batched_];
    piece.addr = reinterpret_cast<uintptr_t>(send_.data) + localOffset;
    piece.length = static_cast<uint32_t>(length);
    piece.lkey = sendMemory_->lkey;
    ibv_send_wr& entry = append(length);
    entry.opcode = IBV_WR_RDMA_WRITE;
    entry.num_sge = 1;
    entry.wr.rdma.remote_addr = remote_.address + remoteOffset;
    if (length <= inlineBytes_) {
        entry.send_flags |= IBV_SEND_INLINE;
        ++counters_.inlineWrites;
    }
    return true;
}

bool VerbsQueuePair::postWake() noexcept {
    if (!hasRoom()) return false;
    ++counters_.wakesSent;
    append(0).opcode = IBV_WR_RDMA_WRITE_WITH_IMM;
    return true;
}

// An empty write to the region's beginning, for the caller to make more of.
ibv_send_wr& VerbsQueuePair::append(size_t length) noexcept {
    ibv_send_wr& entry = batch_[batched_];
    entry.next = nullptr;
    entry.num_sge = 0;
    entry.send_flags = 0;
    entry.imm_data = 0;
    entry.wr.rdma.remote_addr = remote_.address;
    entry.wr.rdma.rkey = remote_.rkey;
    if (batched_ > 0) batch_[batched_ - 1].next = &entry;
    ++batched_;
    history_[posted_ % entries_] = posting_;
    entry.wr_id = ++posted_;
    unsignalledBytes_ += length;
    if (posted_ - signalledEntries_ >= signalEvery_ || unsignalledBytes_ >= signalBytes_)
        signal(entry);
    return entry;
}

void VerbsQueuePair::signal(ibv_send_wr& entry) noexcept {
    entry.send_flags |= IBV_SEND_SIGNALED;
    signalledEntries_ = entry.wr_id;
    unsignalledBytes_ = 0;
    ++counters_.signalled;
}

// Makes the last of what is posted report, by an empty write behind it where it has gone already.
void VerbsQueuePair::reportTail() noexcept {
    tailWanted_ = signalledEntries_ != posted_;
    if (!tailWanted_) return;
    if (batched_ == 0) {
        if (isFull()) return;
        append(0).opcode = IBV_WR_RDMA_WRITE;
    }
    ibv_send_wr& last = batch_[batched_ - 1];
    if ((last.send_flags & IBV_SEND_SIGNALED) == 0) signal(last);
    tailWanted_ = false;
}

void VerbsQueuePair::ring(VerbsReport report) noexcept {
    if (!canPost()) return;
    if (report == VerbsReport::Everything) reportTail();
    if (batched_ == 0) return;
    ++counters_.doorbells;
    ibv_send_wr* bad = nullptr;
    const int error = ::ibv_post_send(queuePair_, batch_.data(), &bad);
    batched_ = 0;
    if (error != 0) {
        fail(VerbsFailure::Device, "ibv_post_send", static_cast<uint32_t>(std::abs(error)));
    }
}

void VerbsQueuePair::poll() noexcept {
    if (state_ != State::Connected) return;
    takeSendCompletions();
    takeWakes();
    if (tailWanted_ && canPost()) ring(VerbsReport::Everything);
}

void VerbsQueuePair::takeSendCompletions() noexcept {
    ibv_wc taken[kTakenAtOnce];
    for (;;) {
        const int count = ::ibv_poll_cq(sendCompletions_, kTakenAtOnce, taken);
        if (count < 0) fail(VerbsFailure::Device, "ibv_poll_cq", 0);
        for (int i = 0; i < count; ++i) {
            if (taken[i].status != IBV_WC_SUCCESS) {
                takeError(taken[i]);
                continue;
            }
            ++counters_.completions;
            completedEntries_ = taken[i].wr_id;
            completed_ = history_[(completedEntries_ - 1) % entries_];
        }
        if (count < kTakenAtOnce) return;
    }
}

void VerbsQueuePair::takeWakes() noexcept {
    ibv_wc taken[kTakenAtOnce];
    for (;;) {
        const int count = ::ibv_poll_cq(receiveCompletions_, kTakenAtOnce, taken);
        if (count < 0) fail(VerbsFailure::Device, "ibv_poll_cq", 0);
        uint32_t wakes = 0;
        for (int i = 0; i < count; ++i) {
            if (taken[i].status == IBV_WC_SUCCESS)
                ++wakes;
            else
                takeError(taken[i]);
        }
        counters_.wakesReceived += wakes;
        wakesToTell_ += wakes;
        if (wakes > 0 && failure_ == VerbsFailure::None) postReceives(wakes);
        if (count < kTakenAtOnce) break;
    }
    // The reason, if it is this end's, lies in the other completion queue.
    if (failure_ == VerbsFailure::Flushed) takeSendCompletions();
}

void VerbsQueuePair::postReceives(uint32_t count) noexcept {
    for (uint32_t i = 0; i < count; ++i) {
        ibv_recv_wr entry{};
        ibv_recv_wr* bad = nullptr;
        const int error = ::ibv_post_recv(queuePair_, &entry, &bad);
        if (error == 0) continue;
        fail(VerbsFailure::Device, "ibv_post_recv", static_cast<uint32_t>(std::abs(error)));
        return;
    }
}

void VerbsQueuePair::takeError(const ibv_wc& completion) noexcept {
    const VerbsFailure found = failureOf(completion.status);
    if (found == VerbsFailure::Flushed) {
        ++counters_.flushed;
        // Why the queue pair went into its error state the device may tell elsewhere.
        if (failure_ == VerbsFailure::None) takeAsyncEvents();
    } else {
        ++counters_.failures;
        if (found == VerbsFailure::AccessRefused) ++counters_.accessErrors;
    }
    fail(found, library_.completionText(completion.status), completion.vendor_err);
}

void VerbsQueuePair::takeAsyncEvents() noexcept {
    ibv_async_event event{};
    while (library_.getAsyncEvent(context_, &event) == 0) {
        library_.acknowledgeAsyncEvent(&event);
        if (event.event_type == IBV_EVENT_QP_ACCESS_ERR) {
            ++counters_.accessErrors;
            fail(VerbsFailure::AccessAttempted, "local access violation", 0);
        } else if (event.event_type == IBV_EVENT_QP_REQ_ERR) {
            fail(VerbsFailure::AccessAttempted, "invalid request of the peer", 0);
        } else if (event.event_type == IBV_EVENT_DEVICE_FATAL) {
            fail(VerbsFailure::Device, "device has failed", 0);
        }
    }
}

// The first failure stays, but a reason replaces "flushed", which is only what follows from it.
void VerbsQueuePair::fail(VerbsFailure failure, const char* reason, uint32_t vendorCode) noexcept {
    if (failure_ != VerbsFailure::None &&
        (failure_ != VerbsFailure::Flushed || failure == VerbsFailure::Flushed))
        return;
    failure_ = failure;
    failureReason_ = reason;
    vendorCode_ = vendorCode;
}

Status VerbsQueuePair::status() const {
    if (failure_ != VerbsFailure::None) {
        return Status(StatusCode::IoError, std::string(failureText(failure_)) + " (" +
                                               choice_.device + ": " + failureReason_ + ", code " +
                                               std::to_string(vendorCode_) +
                                               "): connect again in a new epoch");
    }
    if (state_ == State::Destroyed)
        return Status(StatusCode::Closed, "the queue pair was destroyed: open another one");
    return {};
}

int VerbsQueuePair::wakeDescriptor() const noexcept {
    return state_ == State::Destroyed ? -1 : channel_->fd;
}

Status VerbsQueuePair::armWake() {
    if (state_ == State::Destroyed) return status();
    const int error = ::ibv_req_notify_cq(receiveCompletions_, 0);
    if (error != 0) return refused("ibv_req_notify_cq", error);
    // What came before the notice was asked for gives none; a failure must not be slept on.
    takeWakes();
    return status();
}

uint64_t VerbsQueuePair::drainWakes() noexcept {
    if (state_ == State::Destroyed) return 0;
    ibv_cq* from = nullptr;
    void* unused = nullptr;
    while (library_.getCompletionEvent(channel_, &from, &unused) == 0)
        library_.acknowledgeCompletionEvents(from, 1);
    takeWakes();
    const uint64_t wakes = wakesToTell_;
    wakesToTell_ = 0;
    return wakes;
}

}  // namespace verbex::transport

#endif
