// CorePart: the part of a core that one process has, where risk, matching and the sequence are several processes.
//
//                  ┌───────────── centre: accounts, terms, names, transaction ids, what is issued ─┐
//     whole ──────▶├───────────── risk k of R: the money, ids and limits of its accounts          │
//     (replays)    └───────────── matching m of M: the books of its instruments                   ┘
//
// Purpose: the stages of core.h by messages instead of shared memory. What one part must know of another is
// handed in: the order and the best prices that a decision looks at (BookLook), counts (PartFacts), balances.
// The stages themselves are those of core.h, unchanged. A part begins whole, replays the log, and then becomes
// what it is to be: so whoever comes back has what it would have had, and can prove it by the result hash.
// Owner: a role (native/roles).
// Thread safety: none.
// Invariants:
//   1. Parts that are driven as roles/README.md says give together the events and the state that one Core gives.
//   2. Numbers of entries (ids) and slots (orders) depend on the log only: after a replay they are what they were.
//   3. What a part does not have it never looks at.
// Requires: after become() only the functions of that kind, and those of all.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "book/order.h"
#include "core/core.h"
#include "core/decision.h"
#include "core/part_facts.h"
#include "wire/event.h"
#include "wire/event_writer.h"

namespace verbex {

enum class PartKind : uint8_t { Whole = 0, Centre = 1, Risk = 2, Matching = 3 };

// What a decision looks at of matching.
struct BookLook {
    int64_t bestBid = 0;
    int64_t bestAsk = 0;
    InstrumentId instrument = 0;
    OrderSlot slot = 0;  // 0: no order
    Order order{};
    OrderExtra extra{};
};
static_assert(sizeof(BookLook) == 120);

// The client ids of an event, which are known where the order is.
struct EventIds {
    ClientId id;
    ClientId id2;
};
static_assert(sizeof(EventIds) == 32);

// Events of matching: as settlement needs them, and the ids that complete them.
struct MatchedEvents {
    std::vector<Event> events;
    std::vector<EventIds> ids;
    void clear() {
        events.clear();
        ids.clear();
    }
};

// One order that a command ended among many: the events of all parts are merged by these.
struct SweepKey {
    uint64_t first = 0;   // the account; the expiry where time has passed it
    uint64_t second = 0;  // the order id
    friend auto operator<=>(const SweepKey&, const SweepKey&) = default;
};
static_assert(sizeof(SweepKey) == 16);

struct PartBalance {
    Amount total = 0;
    Amount held = 0;
    uint64_t known = 0;
    uint64_t reserved = 0;
};
static_assert(sizeof(PartBalance) == 48);

// An open order and the entry that its id has now.
struct NumberedOrder {
    OrderSlot slot = 0;
    uint32_t entry = 0;
};
static_assert(sizeof(NumberedOrder) == 8);

class CorePart {
public:
    CorePart(const CoreLimits& limits, uint32_t riskShards, uint32_t matchingShards);
    ~CorePart();
    CorePart(const CorePart&) = delete;
    CorePart& operator=(const CorePart&) = delete;

    // ---- whole
    // The next command of the log, as one core applies it.
    void replay(const Command& command, EventWriter& events);
    void become(PartKind kind, uint32_t shard);
    // The state with the numbers that parts know each other's orders by (numbers.h), and into a fresh core again. False:
    // it is no such state, or one of another layout: this core is of no use then.
    void save(ByteSink& sink) const;
    [[nodiscard]] bool load(ByteSource& source);

    // ---- all
    [[nodiscard]] PartKind kind() const { return kind_; }
    [[nodiscard]] Core& core() { return core_; }
    [[nodiscard]] const Core& core() const { return core_; }
    // Of this part's share of the state; of a whole core, of the share that such a part has.
    [[nodiscard]] Digest128 share(PartKind kind, uint32_t shard) const;
    // Configuration and time: what a command that ran alone has changed in every part.
    void carry(const Command& command, Position at, const PartFacts& facts);

    // ---- centre
    [[nodiscard]] bool exists(AccountId account) const;
    [[nodiscard]] uint32_t shardOf(AccountId account) const;
    [[nodiscard]] uint32_t laneOf(InstrumentId instrument) const;
    [[nodiscard]] bool knows(InstrumentId instrument) const;
    // Rejected because the risk process that it needs is away.
    [[nodiscard]] bool refuses(const Command& command) const;
    // Writes the events of a decision that matching has no part in: Reject, AnswerAgain.
    void answer(const Command& command, Position at, Decision& decision, std::vector<Event>& events);
    // A command that runs alone; balances: of command.account and command.toAccount, where money moves.
    // What it ends in the books, others find (sweep): the last event counts none.
    void applyAlone(const Command& command, Position at, const PartFacts& facts,
                    std::span<const PartBalance> balances, std::vector<Event>& events);
    // Fills in what only settlement fills in where one process does it all.
    void complete(Event& event, const EventIds& ids) const;
    // Which risk shards have something to settle in these events, a bit for each.
    [[nodiscard]] uint32_t concerned(const Command& command, const Decision& decision,
                                     std::span<const Event> events) const;

    // ---- risk
    // Decides; with Certainty::Settled it looks at `look`, with `whole` also at the counts in `facts`.
    [[nodiscard]] bool validate(const Command& command, Position at, Decision& decision);
    void decide(const Command& command, Position at, const BookLook& look, bool whole,
                const PartFacts& facts, Decision& decision);
    // What decide() would look at. False: the order has not come to rest here yet; ask again when all ahead is
    // settled. True: that stays so, or decide() will find the order closed.
    [[nodiscard]] bool wants(const Command& command, InstrumentId& instrument, OrderSlot& slot) const;
    void settle(const Command& command, const Decision& decision, std::span<Event> events);
    [[nodiscard]] PartBalance balance(AccountId account, AssetId asset) const;
    // Client order ids. Also of a whole core, of any of its risk shards.
    [[nodiscard]] uint32_t rememberedIds(uint32_t riskShard) const;
    // All its open orders with the entries that they have now.
    void numbered(std::vector<NumberedOrder>& orders) const;

    // ---- matching
    void match(const Command& command, Position at, Decision& decision, MatchedEvents& out);
    void look(InstrumentId instrument, OrderSlot slot, BookLook& look) const;
    // Ends every order of this part that the command ends: MassCancel, KillSwitch, DayEnd, AdvanceTime.
    void sweep(const Command& command, Position at, MatchedEvents& out, std::vector<SweepKey>& keys);
    [[nodiscard]] uint32_t schedulesInUse(InstrumentId instrument) const;
    // Of the open orders of the subtree in instruments with this quote asset; false: out of range.
    [[nodiscard]] bool openValue(AccountId root, AssetId quote, Amount& value) const;
    void renumber(uint32_t riskShard, std::span<const NumberedOrder> orders);
    [[nodiscard]] uint32_t openOrders() const;

private:
    class Collector;
    struct Expiring;
    void idsOf(const std::vector<Event>& events, std::vector<EventIds>& ids) const;
    void noteExpiry(const Command& command, std::span<const Event> events);

    Core core_;
    Core::State& state_;
    PartKind kind_ = PartKind::Whole;
    uint32_t shard_ = 0;
    std::unique_ptr<PartFacts> facts_;
    std::unique_ptr<Collector> collector_;
    std::unique_ptr<Expiring> expiring_;
};

}  // namespace verbex
