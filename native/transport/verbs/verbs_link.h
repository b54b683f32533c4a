// A link over one-sided RDMA writes.
//
// Purpose: frames are sealed into a staging ring here; flush writes everything that was added since
// into the same place of the peer's ring, with as few work requests as the ring's end allows.
//
//     staging ring (local, sent from) ──RDMA write──▶ ring in the peer's region (remote-writable)
//     credits of ours                 ──RDMA write──▶ credit block of the peer's region
//
// Owner: HostNetwork. Thread safety: none.
// Invariants:
//   1. A staging byte is reused only after the peer has consumed it and the adapter has completed
//      the write that sent it.
//   2. disconnect() has destroyed the queue pair before it returns: then the ring may be scanned.
//   3. Only the two regions of this link are registered; the memory holds nothing else.
// Requires: a device (verbs_library.h); prepare() says what is missing.
#pragma once

#include <memory>

#include "transport/rings/ring_link.h"
#include "transport/verbs/verbs_queue.h"

namespace verbex::transport {

class VerbsLink final : public RingLink {
public:
    VerbsLink(const NetworkOptions& options, const Session& session, SetUpConnection& connection);
    ~VerbsLink() override;

    Status prepare(std::span<const std::byte> peerOffer) override;
    [[nodiscard]] std::span<const std::byte> ownOffer() const override { return ownEndpoint_; }
    Status establish(std::span<const std::byte> peerOffer) override;

    size_t poll(Receiver& receiver, size_t limit) noexcept override;
    void flush() noexcept override;
    void progress() noexcept override;
    void setAsleep(bool asleep) noexcept override;
    [[nodiscard]] int wakeDescriptor() const noexcept override;
    void onWoken() noexcept override;
    [[nodiscard]] bool hasIncoming() const noexcept override;

private:
    // A write that the adapter may still read: staging bytes up to here, as the how-manieth write.
    struct Piece {
        uint64_t write;
        uint64_t upTo;
    };

    void reap() noexcept;
    bool post(size_t localOffset, size_t remoteOffset, size_t length) noexcept;
    void sendCredits() noexcept;
    // Looks until everything posted has arrived. False: not within a bounded number of looks.
    bool settle() noexcept;

    void giveCredit(uint64_t consumed) noexcept override;
    void disconnect() noexcept override;
    [[nodiscard]] bool hasLeft() const noexcept override;
    void goodbye() noexcept override;
    [[nodiscard]] Status transportFailure() const override;
    void wakePeer() noexcept override;
    [[nodiscard]] uint64_t usableCredit(uint64_t credit) noexcept override;

    const VerbsOptions options_;
    SetUpConnection& connection_;
    FrameSeal sendSeal_;
    FrameSeal receiveSeal_;
    size_t memoryBytes_ = 0;
    std::byte* memory_ = nullptr;
    std::byte* staging_ = nullptr;
    std::unique_ptr<VerbsQueue> queue_;
    std::array<std::byte, kVerbsEndpointBytes> ownEndpoint_{};
    std::unique_ptr<Piece[]> pieces_;
    uint64_t piecesHead_ = 0;
    uint64_t piecesTail_ = 0;
    uint64_t posted_ = 0;      // writes
    uint64_t flushed_ = 0;     // staging bytes handed to the adapter
    uint64_t completed_ = 0;   // staging bytes that it has sent
    uint64_t reported_ = 0;    // writes that the adapter will report or has reported
    uint64_t credit_ = 0;
    bool asleep_ = false;
    bool restless_ = false;  // going to sleep now might miss a wake
    bool creditsDue_ = false;
    bool wakeDue_ = false;
    uint32_t creditSlot_ = 0;
    uint32_t quietPolls_ = 0;
};

}  // namespace verbex::transport
