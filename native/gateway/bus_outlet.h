// BusOutlet, BusInlet: one gateway's events, from the engine's process to another one, over the bus.
//
//     EventRouter ──▶ BusOutlet ──▶ Publication ═══ shm, tcp, verbs ═══ Subscription ──▶ BusInlet ──▶ gateway
//                      deliver()      history                                            deliver()
//
// Purpose: the filtered subscription across processes: a gateway is sent what concerns its sessions and nothing
// else, and the engine's side writes an event once for each gateway that it concerns.
// Owner: the outlet: the thread that reads the event ring, which polls the bus too. The inlet: the gateway's.
// Thread safety: none.
// Invariants:
//   1. deliver() never waits. Events wait here until work() writes them, all of a round in one go: outlets that
//      take turns event by event cost half as much again, in memory that the processor does not expect. What the
//      publication does not take then (the gateway has a whole window unread, or has come back and reads the
//      history first) waits on, up to pendingMax events. One more, and the outlet is cut off: it notes the place,
//      drops what follows, and says so to the other side once there is room. It goes on only by resume(), with
//      everything from that place on delivered again.
//   2. An inlet hands on every event behind the place that it begins at, once and in order, or stops and says
//      from which place on it lacks something: each message names the place of the one before it, so a
//      restarted outlet, a history that went by, or anything else that is missing is noticed.
// Requires: a publication with `retain`, so that a gateway that was away finds what it missed in the history,
// as far back as that goes; further back, whoever owns the outlet has to make the events again.
#pragma once

#include <cstdint>
#include <vector>

#include "base/status.h"
#include "bus/bus.h"
#include "gateway/event_router.h"

namespace verbex::gateway {

enum class RelayKind : uint32_t {
    Event = 1,
    CutOff = 2,  // from `place` on there is nothing until the outlet resumes; the event is empty
};

// A message, native byte order as everything on the bus.
struct RelayedEvent {
    RelayKind kind;
    uint32_t index;          // place
    Position position;
    Position previousPosition;  // of the message before it, or where the outlet began
    uint32_t previousIndex;
    uint32_t reserved;
    unsigned char event[sizeof(Event)];

    [[nodiscard]] EventPlace place() const { return {position, index}; }
    [[nodiscard]] EventPlace previous() const { return {previousPosition, previousIndex}; }
};
static_assert(sizeof(RelayedEvent) == 160);

struct BusOutletCounters {
    uint64_t events = 0;    // taken
    uint64_t waited = 0;    // rounds that left some of them here for want of room
    uint64_t known = 0;     // delivered again, and dropped
    uint64_t dropped = 0;   // while cut off
    uint64_t cutOffs = 0;
};

class BusOutlet final : public Outlet {
public:
    // Events up to `from` are none of this outlet's business.
    BusOutlet(bus::Publication& publication, const EventPlace& from, uint32_t pendingMax = 4096)
        : publication_(publication), pending_(pendingMax), last_(from) {
        CHECK(pendingMax > 0);
    }

    void deliver(const Event& event, const EventPlace& place) override;

    // Behind every batch of events, and once a round: writes what waits, and that it is cut off. True: it did
    // something.
    bool work();
    [[nodiscard]] bool isCutOff() const { return cutOff_; }
    // The first event that is missing there.
    [[nodiscard]] EventPlace resumeFrom() const { return missing_; }
    // Everything from resumeFrom() on is delivered next; earlier events do no harm.
    void resume() { cutOff_ = false; }
    [[nodiscard]] const BusOutletCounters& counters() const { return counters_; }

private:
    // The next cell that waits, with its places; nullptr: there is no room.
    RelayedEvent* claim(RelayKind kind, const EventPlace& place);
    bool drain();
    bool offer(const RelayedEvent& message);

    bus::Publication& publication_;
    std::vector<RelayedEvent> pending_;  // a ring: written_ … queued_; from 0 on again when it is empty
    uint64_t written_ = 0;
    uint64_t queued_ = 0;
    EventPlace last_;     // taken
    EventPlace missing_;  // the first that was not
    bool cutOff_ = false;
    bool told_ = true;
    BusOutletCounters counters_;
};

enum class InletState : uint8_t {
    Live,
    CutOff,   // the outlet dropped events from resumeFrom() on; Live again when it resumes
    Lost,     // something between place() and what came is missing; nothing is handed on any more
    Invalid,  // a message that no outlet writes
};

class BusInlet final : public bus::StreamReceiver {
public:
    // Hands on what lies behind `have`: a store's delivered(). Subscribe From::Oldest, or from a position that
    // is known to be early enough.
    BusInlet(Outlet& to, const EventPlace& have) : to_(to), have_(have) {}

    bool onMessage(const bus::StreamMessage& message) override;

    [[nodiscard]] InletState state() const { return state_; }
    // The last event that was handed on, or that it began with.
    [[nodiscard]] EventPlace place() const { return have_; }
    [[nodiscard]] uint64_t known() const { return known_; }  // dropped, since it had them

private:
    Outlet& to_;
    EventPlace have_;
    InletState state_ = InletState::Live;
    uint64_t known_ = 0;
};

}  // namespace verbex::gateway
