// A stream on its publisher's side: the history, and a cursor for every subscriber.
//
// Purpose: numbers messages, keeps them for who is behind, sends to who has caught up at once.
// Owner: the agent; cursors belong to the peers' handles and are known here by address.
// Thread safety: none.
// Invariants:
//   1. A cursor is sent what fits into its window, in order, each position once.
//   2. An offer is accepted while it lies within half of the history behind the furthest consumed
//      position of all cursors that read from the history. One that reads older messages from the
//      store is not waited for.
//   3. A cursor whose next message has left the history was too slow: it is cut off, unless it came
//      for old messages in the first place and the store still has the next one.
// Requires: pump() in every round; a cursor is removed before it is freed.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "bus/channel.h"
#include "bus/context.h"
#include "bus/history.h"

namespace verbex::bus {

class StreamPublication;

// One subscriber of one publication.
struct Cursor {
    enum class State : uint8_t { Live, CutOff, Ended };

    StreamPublication* publication = nullptr;  // none where it is over and the stream is gone
    Channel* channel = nullptr;
    PeerId peer = 0;
    uint16_t handle = 0;
    State state = State::Live;
    bool told = false;       // the end was sent; it is sent again when the subscriber asks
    bool replaying = false;  // came for messages of the past and has not caught up yet
    Position first = 0;      // that it was promised
    Position next = 0;       // to be sent
    Position consumed = 0;
    uint64_t sentCost = 0;
    uint64_t consumedCost = 0;
    uint32_t window = 0;

    [[nodiscard]] bool hasRoom(uint64_t cost) const {
        return sentCost + cost <= consumedCost + window;
    }
};

class StreamPublication final : public Publication {
public:
    StreamPublication(Context& context, const PublicationOptions& options);

    int64_t offer(std::span<const std::byte> payload, uint8_t flags) override;
    [[nodiscard]] Position position() const override { return history_.next() - 1; }
    [[nodiscard]] Position oldest() const override;
    [[nodiscard]] uint32_t subscribers() const override {
        return static_cast<uint32_t>(cursors_.size());
    }
    [[nodiscard]] Position consumedByAll() const override;
    void close() override;

    [[nodiscard]] const std::string& stream() const { return options_.stream; }
    [[nodiscard]] bool isClosed() const { return closed_; }
    // Closed, everybody has got everything, and nobody may come back for the rest of it.
    [[nodiscard]] bool isDone() const;

    // Takes a subscriber, or says why not; the cursor has channel, peer and handle.
    Status admit(Cursor& cursor, From from, Position position, uint32_t window);
    // The subscriber has said goodbye and has everything up to `arrived`, or its link is gone and
    // that is the last it has consumed.
    void remove(Cursor& cursor, Position arrived);
    // The subscriber's word. False: it makes no sense.
    bool onConsumed(Cursor& cursor, Position position, uint64_t cost);

    // Sends to cursors that are behind, each at most `limit` messages; how many were sent.
    size_t pump(uint32_t limit);
    // Says how far it has sent to those that have not consumed all of it.
    void onHeartbeat();
    // The end once more, for a subscriber that has not heard of it.
    static void tellEnd(Cursor& cursor);

    [[nodiscard]] uint32_t payloadMax() const { return options_.payloadMax; }

private:
    bool sendAppended(Cursor& cursor, uint64_t cost, std::span<const std::byte> payload,
                      uint8_t flags);
    size_t pumpCursor(Cursor& cursor, uint32_t limit);
    void cutOff(Cursor& cursor);
    [[nodiscard]] bool hasCaughtUp(const Cursor& cursor) const;
    void refreshLimit();

    Context& context_;
    PublicationOptions options_;
    History history_;
    std::vector<Cursor*> cursors_;            // Live and Ended ones
    std::unique_ptr<std::byte[]> storeCopy_;  // one message out of the store
    uint64_t limit_ = 0;                      // the history's end may come up to here
    size_t behind_ = 0;                       // cursors that were not sent everything, or an end
    bool closed_ = false;
    Nanoseconds lastLeft_ = 0;  // when the last cursor went before the end; 0: none did
};

}  // namespace verbex::bus
