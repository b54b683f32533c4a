// One reliable queue pair for one peer and one epoch, and the memory it may touch.
//
// Purpose: one-sided writes out of a local staging region into the peer's ring, batched under one
// doorbell; a wake for a peer that sleeps; and a destroy() that ends the peer's right to write.
// Owner: one link. The regions are the caller's, mapped before open() and kept until the queue is
// gone; they must not hold anything else, since the device reaches all of them.
// Thread safety: one thread, which is the one that opened it.
// Invariants:
//   1. The peer may write into the receive region and nowhere else, and may read nothing: a
//      protection domain per queue, and no right but writing. Relaxed ordering is never asked for.
//   2. Writes are carried out in the order of postWrite(), and completions count in that order. A
//      completion says that the peer's device has the bytes, never that its program has seen them.
//   3. After destroy() has answered ok, nothing of the peer lands in the receive region any more.
//      Only then may a deposed peer's ring be scanned, and still only what its checksums cover.
//   4. A failure is final: the queue pair is spent, and another one needs another epoch.
//   5. Nothing is allocated after connect() until something fails.
// Requires: the caller to poll(): completions free the queue's entries and the staging region. To
// sleep: armWake(), then look at the rings once more, then wait until wakeDescriptor() is readable.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "base/status.h"
#include "transport/verbs/verbs_device.h"
#include "transport/verbs/verbs_endpoint.h"

namespace verbex::transport {

// Begins on a page; size is a multiple of kVerbsRegionUnit.
struct VerbsRegion {
    std::byte* data = nullptr;
    size_t size = 0;
};

enum class VerbsFailure : uint8_t {
    None = 0,
    PeerUnreachable = 1,  // no acknowledgement came, however often it was tried
    AccessRefused =
        2,  // the peer's device refused a key, an address or a right: fenced, or a fault
    RequestRefused = 3,   // the peer's device took the request for invalid: fenced by its flags
    AccessAttempted = 4,  // the peer tried to write where it may not
    Flushed = 5,          // the queue pair went into its error state for a reason not given
    Device = 6,           // this end's device or driver
};

constexpr std::string_view verbsFailureName(VerbsFailure failure) {
    switch (failure) {
        case VerbsFailure::None: return "NONE";
        case VerbsFailure::PeerUnreachable: return "PEER_UNREACHABLE";
        case VerbsFailure::AccessRefused: return "ACCESS_REFUSED";
        case VerbsFailure::RequestRefused: return "REQUEST_REFUSED";
        case VerbsFailure::AccessAttempted: return "ACCESS_ATTEMPTED";
        case VerbsFailure::Flushed: return "FLUSHED";
        case VerbsFailure::Device: return "DEVICE";
    }
    return "UNKNOWN";
}

struct VerbsCounters {
    uint64_t writes = 0;
    uint64_t bytes = 0;
    uint64_t inlineWrites = 0;
    uint64_t signalled = 0;  // entries that report their completion
    uint64_t doorbells = 0;
    uint64_t completions = 0;  // reports that came
    uint64_t queueFull = 0;    // postWrite() and postWake() that answered false
    uint64_t wakesSent = 0;
    uint64_t wakesReceived = 0;
    uint64_t failures = 0;  // completions that were an error, without those flushed behind it
    uint64_t flushed = 0;
    uint64_t accessErrors = 0;  // refused to us or attempted by the peer
};

// What has been posted so far: only what signalling decides, or everything.
enum class VerbsReport : uint8_t { Selective, Everything };

class VerbsQueue {
public:
    // `receive` is what the peer may write into, `send` what is sent from.
    static Result<std::unique_ptr<VerbsQueue>> open(const VerbsOptions& options,
                                                    VerbsRegion receive, VerbsRegion send);

    VerbsQueue() = default;
    virtual ~VerbsQueue() = default;
    VerbsQueue(const VerbsQueue&) = delete;
    VerbsQueue& operator=(const VerbsQueue&) = delete;

    [[nodiscard]] virtual const VerbsChoice& choice() const = 0;
    [[nodiscard]] virtual VerbsEndpoint local() const = 0;
    // Once. Nothing may be posted before.
    virtual Status connect(const VerbsEndpoint& remote) = 0;
    // The smaller MTU of both ends, and the most bytes that are copied into the request.
    [[nodiscard]] virtual uint32_t mtu() const = 0;
    [[nodiscard]] virtual uint32_t inlineBytes() const = 0;

    // Appends a write to the batch; the bytes must be there and stay until it has completed. False:
    // the send queue is full (poll() and try again), or the queue is not connected, has failed or
    // is closed (see status()).
    [[nodiscard]] virtual bool postWrite(size_t localOffset, size_t remoteOffset,
                                         size_t length) noexcept = 0;
    // Appends a wake: everything appended before it is in the peer's memory when the peer sees it.
    [[nodiscard]] virtual bool postWake() noexcept = 0;
    // Hands the batch to the device. Everything: what has been posted so far will be reported even
    // if nothing follows; without it up to 63 writes may stay unreported. It may need an entry of
    // the send queue; if there is none, a later poll() does it.
    virtual void ring(VerbsReport report = VerbsReport::Selective) noexcept = 0;

    // Takes what the device has to report, of either direction.
    virtual void poll() noexcept = 0;
    // Calls of postWrite() whose bytes have arrived, and the sum of their lengths.
    [[nodiscard]] virtual uint64_t completedWrites() const noexcept = 0;
    [[nodiscard]] virtual uint64_t completedBytes() const noexcept = 0;
    [[nodiscard]] virtual VerbsFailure failure() const noexcept = 0;
    // Ok while the queue works. Closed after destroy(), unless it failed before.
    [[nodiscard]] virtual Status status() const = 0;
    [[nodiscard]] virtual const VerbsCounters& counters() const noexcept = 0;

    // Readable when a wake or a failure came after armWake(); -1 after destroy().
    [[nodiscard]] virtual int wakeDescriptor() const noexcept = 0;
    virtual Status armWake() = 0;
    // Empties the descriptor, makes room for more wakes, and answers how many came since the last
    // call.
    virtual uint64_t drainWakes() noexcept = 0;

    // See invariant 3. A second call answers what the first did, or tries again where it failed.
    virtual Status destroy() = 0;
};

}  // namespace verbex::transport
