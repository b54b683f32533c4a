// Both ends of a link inside one process.
//
// Purpose: links for the simulator and for tests, over the very rings that shm and verbs use.
// Owner: MemoryNetwork. The memory belongs to both ends.
// Thread safety: each end by one thread; both ends may be polled by different ones.
// Invariants: as link.h; the end of one side's network is the loss of the peer for the other.
// Requires: sessions of both ends that agree.
#pragma once

#include <atomic>
#include <memory>

#include "transport/rings/ring_link.h"

namespace verbex::transport {

// What both ends share: two regions and how each side has ended.
class MemoryPair {
public:
    explicit MemoryPair(uint32_t ringBytes);

    enum End : uint32_t { kRunning = 0, kGoodbye = 1, kGone = 2 };

    std::byte* region(int side) { return regions_.get() + side * stride_; }
    std::atomic<uint32_t> ends[2] = {kRunning, kRunning};

private:
    size_t stride_;
    std::unique_ptr<std::byte[], void (*)(std::byte*)> regions_;
};

class MemoryLink final : public RingLink {
public:
    // `side` 0 connected, 1 listened. An insecure session has no keys; salts differ by direction.
    MemoryLink(std::shared_ptr<MemoryPair> pair, int side, LinkInfo info, const FrameSeal& sendSeal,
               const FrameSeal& receiveSeal);
    ~MemoryLink() override;

    Status prepare(std::span<const std::byte>) override { return {}; }
    [[nodiscard]] std::span<const std::byte> ownOffer() const override { return {}; }
    Status establish(std::span<const std::byte>) override { return {}; }
    void setAsleep(bool) noexcept override {}

    void flush() noexcept override {}
    // Looks whether the peer has ended; the network calls it before each round of deliveries.
    void lookAtPeer() noexcept;
    // As if this process had died: no goodbye.
    void die() noexcept;

private:
    void giveCredit(uint64_t consumed) noexcept override;
    void disconnect() noexcept override;
    void goodbye() noexcept override;
    void wakePeer() noexcept override {}

    std::shared_ptr<MemoryPair> pair_;
    int side_;
};

}  // namespace verbex::transport
