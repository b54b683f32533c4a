// A link over two ring regions: ours, which the peer writes, and one that we write.
//
// Purpose: everything that shm, verbs and memory share: offering, polling, credits, the end. What
// differs (how bytes reach the peer's region, how a peer is cut off or woken) is in the hooks.
// Owner: its network. Thread safety: none; the peer's side may run elsewhere at the same time.
// Invariants:
//   1. Credits are given back after an eighth of the ring and when nothing is left to read.
//   2. A peer's word that cannot be true (credit beyond what was sent) fails the link.
//   3. The end of the peer is believed only after its ring has been read empty.
// Requires: attach() before anything else.
#pragma once

#include <memory>
#include <optional>

#include "transport/host_link.h"
#include "transport/rings/ring_reader.h"
#include "transport/rings/ring_writer.h"

namespace verbex::transport {

class RingLink : public HostLink {
public:
    Answer offer(const Message& message) noexcept override;
    size_t poll(Receiver& receiver, size_t limit) noexcept override;
    void fence(Receiver& receiver) noexcept override;
    void close() noexcept override;
    [[nodiscard]] uint64_t unconsumed() const noexcept override;

    void onPeerEnded(bool clean) noexcept override;
    [[nodiscard]] bool hasIncoming() const noexcept override;
    void progress() noexcept override;

protected:
    // `own` is the region that the peer writes; `target` the ring that our frames go to.
    void attach(std::byte* own, std::byte* target, const FrameSeal& sendSeal,
                const FrameSeal& receiveSeal, uint32_t patience);

    // Bytes up to here may be overwritten by the peer: tells it.
    virtual void giveCredit(uint64_t consumed) noexcept = 0;
    // Ends the peer's way to our region, and ours to the peer's. Afterwards the own region stays
    // readable and nothing of the peer lands in what is delivered.
    virtual void disconnect() noexcept = 0;
    // Whether everything accepted has left, so that close() may disconnect.
    [[nodiscard]] virtual bool hasLeft() const noexcept { return true; }
    // Says goodbye, just before close() disconnects.
    virtual void goodbye() noexcept = 0;
    // A failure of the transport itself, once nothing is left to read.
    [[nodiscard]] virtual Status transportFailure() const { return {}; }
    virtual void wakePeer() noexcept = 0;
    // Wakes the peer if it says that it sleeps while frames of ours lie unread. Looking at it again in
    // progress() and before sleeping closes the race between its falling asleep and our writing.
    void wakeIfNeeded() noexcept;
    // How much of the peer's credit may be used now: verbs waits for its completions, too.
    [[nodiscard]] virtual uint64_t usableCredit(uint64_t credit) noexcept { return credit; }

    [[nodiscard]] CreditBlock& ownCredits() const noexcept {
        return *reinterpret_cast<CreditBlock*>(own_);
    }
    [[nodiscard]] RingWriter& writer() { return *writer_; }
    [[nodiscard]] const RingWriter& writer() const { return *writer_; }
    [[nodiscard]] bool isAttached() const { return own_ != nullptr; }

private:
    [[nodiscard]] bool refreshCredit() noexcept;
    void settleEnd() noexcept;

    std::byte* own_ = nullptr;
    std::optional<RingWriter> writer_;
    std::optional<RingReader> reader_;
    uint64_t creditGiven_ = 0;
    uint64_t creditStep_ = 0;
    uint64_t closingPolls_ = 0;
    enum class PeerEnd : uint8_t { None, Clean, Lost } peerEnd_ = PeerEnd::None;
};

}  // namespace verbex::transport
