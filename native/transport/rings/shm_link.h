// A link through shared memory between two processes of one host.
//
// Purpose: one file in /dev/shm holds both regions. The connecting side makes it, the listening side
// maps it and takes its name away, so that nothing is left behind when both have died.
// Owner: HostNetwork. Thread safety: none.
// Invariants:
//   1. The file is readable and writable by its owner alone (mode 0600), fully allocated before it
//      is offered (a full /dev/shm is an error here, not a bus error later), and of the agreed size.
//   2. A name from a peer never leaves /dev/shm and never follows a link.
// Requires: both processes run as one user and see the same /dev/shm. Who can write the file can
// also shorten it and stop its peer by that: shm is for processes that trust each other.
#pragma once

#include <array>

#include "transport/rings/ring_link.h"

namespace verbex::transport {

// What the connecting side offers.
struct ShmOffer {
    std::array<char, 56> name{};  // within /dev/shm, closed by zeros
    uint64_t bytes = 0;
};
static_assert(sizeof(ShmOffer) == 64 && offsetof(ShmOffer, bytes) == 56);

class ShmLink final : public RingLink {
public:
    ShmLink(const NetworkOptions& options, const Session& session, bool connecting,
            SetUpConnection& connection);
    ~ShmLink() override;

    Status prepare(std::span<const std::byte> peerOffer) override;
    [[nodiscard]] std::span<const std::byte> ownOffer() const override;
    Status establish(std::span<const std::byte> peerOffer) override;
    void setAsleep(bool asleep) noexcept override;
    void flush() noexcept override;

private:
    Status create();
    Status open(std::span<const std::byte> peerOffer);
    Status map(int file);

    void giveCredit(uint64_t consumed) noexcept override;
    void disconnect() noexcept override;
    void goodbye() noexcept override;
    void wakePeer() noexcept override;
    [[nodiscard]] CreditBlock& peerCredits() const;

    SetUpConnection& connection_;
    bool connecting_;
    bool disconnected_ = false;
    bool named_ = false;  // the file's name is there and ours to take away
    ShmOffer offer_;
    FrameSeal sendSeal_;
    FrameSeal receiveSeal_;
    std::byte* mapping_ = nullptr;
};

}  // namespace verbex::transport
