// Rebuild: a whole core that replays the log, and the chain of result hashes over what it says.
//
// Purpose: how every role comes to its state, at the first start as after a loss: from the log, or from a snapshot of
// such a core and the log behind it. The chain is the one that replication::Executor keeps, so that two who replayed
// the same can tell.
// Owner: a role.
// Thread safety: none.
// Invariants:
//   1. chain() depends on the commands replayed only.
#pragma once

#include <array>
#include <memory>

#include "core/part.h"
#include "wire/event_digest.h"
#include "wire/event_writer.h"

namespace verbex::roles {

class Rebuild final : private EventWriter {
public:
    Rebuild(const CoreLimits& limits, uint32_t riskShards, uint32_t matchingShards)
        : part_(std::make_unique<CorePart>(limits, riskShards, matchingShards)) {
        rewind();
    }
    // Goes on where another one was: `part` is at `position`.
    Rebuild(std::unique_ptr<CorePart> part, Position position, const Digest128& chain)
        : part_(std::move(part)), chain_(chain), position_(position) {
        CHECK(part_->core().position() == position);
        rewind();
    }

    void replay(const Command& command) {
        part_->replay(command, *this);
        drain();
        position_++;
    }
    [[nodiscard]] Position position() const { return position_; }
    [[nodiscard]] Digest128 chain() const { return chain_.value(); }
    [[nodiscard]] const CorePart& part() const { return *part_; }
    // Nothing is left here then.
    [[nodiscard]] std::unique_ptr<CorePart> take(PartKind kind, uint32_t shard) {
        part_->become(kind, shard);
        return std::move(part_);
    }

private:
    void drain() override {
        chain_.add(begin(), static_cast<size_t>(cursor() - begin()));
        rewind();
    }
    void rewind() { setRegion(room_.data(), room_.data() + room_.size()); }

    std::unique_ptr<CorePart> part_;
    std::array<Event, 256> room_;
    EventDigest chain_;
    Position position_ = 0;
};

}  // namespace verbex::roles
