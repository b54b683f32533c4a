// ClusterClient: the other end of a ClientPort: finds the leader, submits, follows released output.
//
// Purpose: what gateways, edges, bridges and load generators share. It dials one member at a time: the one
// that is said to lead, else the next; a member that says nothing for silentNs is left.
// Owner: one agent, as the network.
// Thread safety: none.
// Invariants:
//   1. Events and entries arrive in order of positions, each event once, across any number of leaders; a
//      gap ends the subscription (onEnded) and is never passed over. With an account filter there is
//      nothing to tell a gap by.
//   2. What was submitted and not seen in the output may have been done or not: it is the caller's to
//      submit it again, under the same client ids.
// Requires: poll() often; the network outlives it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "replication/frames.h"
#include "replication/member_address.h"
#include "transport/network.h"
#include "wire/event.h"

namespace verbex::replication {

struct ClusterClientOptions {
    std::string cluster = "verbex";
    std::vector<MemberAddress> members;
    bool anyMember = false;          // follow whoever is reached, not only the leader
    uint64_t silentNs = 300'000'000;
    uint64_t redialNs = 10'000'000;
};

class ClusterClientEvents {
public:
    // `index`: of the first event within its batch, [first, last].
    virtual void onEvents(const EventsFrame& batch, std::span<const Event> events) = 0;
    virtual void onEntry(const EntriesFrame& entry, std::span<const std::byte> payload) = 0;
    // Entries up to here are released, and will come: once after each subscription to entries.
    virtual void onReleased(Position) {}
    virtual void onSubmitted(const SubmittedFrame& answer) = 0;
    // A connection to a member is there: what is unanswered may be submitted again.
    virtual void onConnected(MemberId member) = 0;
    // It is gone.
    virtual void onDisconnected(const std::string& why) = 0;
    // The subscription can't go on where it was: `oldest` is what that member still has.
    virtual void onEnded(Answered why, Position oldest) = 0;
    // Answers to want().
    virtual void onOffer(const OfferFrame&) {}
    virtual void onPart(const PartFrame&, std::span<const std::byte>) {}

protected:
    ~ClusterClientEvents() = default;
};

class ClusterClient final : private transport::NetworkEvents, private transport::Receiver {
public:
    ClusterClient(transport::Network& network, ClusterClientOptions options,
                  ClusterClientEvents& events);
    ~ClusterClient();
    ClusterClient(const ClusterClient&) = delete;
    ClusterClient& operator=(const ClusterClient&) = delete;

    // ---- before the first poll(), or at any time
    // Events from `from` on (1: all), of these accounts (0, 0: all).
    void subscribeEvents(Position from, uint32_t accountFirst = 0, uint32_t accountLast = 0);
    // `within`: the entry that holds `from` is handed on whole, also where it begins before it.
    void subscribeEntries(Position from, bool within = false);
    // The next position that is not complete here yet.
    [[nodiscard]] Position next() const { return next_; }

    // False: not connected, or no room: again later.
    bool submit(uint64_t sequence, std::span<const std::byte> commands, uint32_t count);
    // A bridge's: an EntryHeader and its payload, or nothing, to hear what is next.
    // `flags`: kSubmitResult where the result stands between the two.
    bool submitEntry(uint64_t sequence, std::span<const std::byte> entry, uint8_t flags = 0);
    // Position 0: a snapshot, if the entry at `offset` is gone (`flags`: kWantOldest); else parts of the one that was
    // offered, from this offset of its content on.
    bool want(Position position, uint64_t offset, uint8_t flags = 0);
    // This member is left, and the next one is dialled.
    void tryNext(const std::string& why);
    // False: nothing had arrived.
    bool poll(uint64_t nowNs);
    void flush();
    [[nodiscard]] bool connected() const { return link_ != nullptr; }
    [[nodiscard]] MemberId member() const { return options_.members[at_].id; }
    // Why the last member that was dialled was not reached, or has been left.
    [[nodiscard]] const std::string& trouble() const { return trouble_; }

private:
    void onAccepted(transport::ListenId, transport::Link& link) override { link.close(); }
    void onConnected(transport::ConnectId id, transport::Link& link) override;
    void onRefused(transport::ConnectId id, const Status& why) override;
    void onOver(transport::Link& link) override;
    void onMessage(const transport::Message& message) override;
    void onEventsFrame(std::span<const std::byte> frame);
    void onEntriesFrame(std::span<const std::byte> frame);
    void subscribe(Position from, bool entries, uint32_t accountFirst, uint32_t accountLast);
    void sendSubscription();
    bool send(SubmitFrame frame, std::span<const std::byte> payload);
    void goOn(MemberId hint);
    void leave(const std::string& why, MemberId hint);
    void dropLeft();

    transport::Network& network_;
    const ClusterClientOptions options_;
    ClusterClientEvents& events_;
    FrameBuffer buffer_;
    std::vector<Event> received_;  // of the frame under way
    transport::Link* link_ = nullptr;
    transport::Link* left_ = nullptr;  // to be dropped when nobody is in the middle of its poll
    transport::ConnectId dialling_ = 0;
    size_t at_ = 0;
    uint64_t now_ = 0;
    uint64_t dialAt_ = 0;
    uint64_t heardAt_ = 0;
    std::string trouble_;
    bool subscribed_ = false;
    uint16_t subscription_ = 0;  // number of the last one that was sent
    bool isGreeted_ = false;     // what comes belongs to it
    bool entries_ = false;
    bool within_ = false;
    uint32_t accountFirst_ = 0;
    uint32_t accountLast_ = 0;
    Position next_ = 0;
    uint32_t index_ = 0;  // events of the batch at next_ that were handed on
};

}  // namespace verbex::replication
