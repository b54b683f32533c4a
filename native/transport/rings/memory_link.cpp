#include "transport/rings/memory_link.h"

#include <cstdlib>

namespace verbex::transport {

MemoryPair::MemoryPair(uint32_t ringBytes)
    : stride_(regionStride(ringBytes)),
      regions_(static_cast<std::byte*>(std::aligned_alloc(4096, 2 * stride_)),
               [](std::byte* bytes) { std::free(bytes); }) {
    CHECK(regions_ != nullptr);
    std::memset(regions_.get(), 0, 2 * stride_);
}

MemoryLink::MemoryLink(std::shared_ptr<MemoryPair> pair, int side, LinkInfo info,
                       const FrameSeal& sendSeal, const FrameSeal& receiveSeal)
    : pair_(std::move(pair)), side_(side) {
    info_ = std::move(info);
    attach(pair_->region(side), pair_->region(1 - side) + kCreditBytes, sendSeal, receiveSeal, 0);
}

MemoryLink::~MemoryLink() {
    die();
}

void MemoryLink::lookAtPeer() noexcept {
    const uint32_t end = pair_->ends[1 - side_].load(std::memory_order_acquire);
    if (end != MemoryPair::kRunning) onPeerEnded(end == MemoryPair::kGoodbye);
}

void MemoryLink::die() noexcept {
    uint32_t running = MemoryPair::kRunning;
    pair_->ends[side_].compare_exchange_strong(running, MemoryPair::kGone);
}

void MemoryLink::giveCredit(uint64_t consumed) noexcept {
    auto* credits = reinterpret_cast<CreditBlock*>(pair_->region(1 - side_));
    storeWord(credits->consumed, consumed);
}

void MemoryLink::disconnect() noexcept {
    die();
}

void MemoryLink::goodbye() noexcept {
    uint32_t running = MemoryPair::kRunning;
    pair_->ends[side_].compare_exchange_strong(running, MemoryPair::kGoodbye);
}

}  // namespace verbex::transport
