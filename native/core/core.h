// Core: apply(command) → events. The whole exchange as a pure function of its log.
//
// Purpose: checks a command, places its hold (risk), matches it (book), settles it (risk), and writes
// the events. No I/O, clock, thread, randomness, floating point, or allocation on the hot path; so the
// log alone rebuilds the state, bit for bit.
// Owner: the node's engine thread, the snapshot thread's shadow, the simulator, a test: each its own.
// Thread safety: none for apply() and the const members: one thread at a time, and no stage under way. The
// stages may run beside each other as each of them says.
// Invariants:
//   1. Every command gives at least one event, the last one with flag Last, whatever its bytes.
//   2. A rejected command changes nothing but the position and the remembered answer (docs/rules.md 2).
//   3. For every asset: totals + fees collected = deposits − withdrawals.
//   4. save() is canonical: equal states give equal bytes, however they came about. hash() is the hash
//      of those bytes.
//   5. The stages, called in any order that their requirements allow, by any number of threads, for any number
//      of shards, give the events and the state that apply() gives (docs/pipeline.md says why).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/hash128.h"
#include "core/decision.h"
#include "wire/account_statement.h"
#include "wire/command.h"
#include "wire/event_writer.h"
#include "wire/market_state.h"

namespace verbex {

// What is preallocated at most; beyond it commands are rejected with a CAPACITY_… code.
struct CoreLimits {
    uint32_t maxOrders = 1u << 20;       // open at once
    uint32_t maxAccounts = 1u << 20;
    uint32_t maxInstruments = 1u << 16;  // and as many assets
    uint32_t maxClientIds = 1u << 23;    // remembered at once
    bool warm = false;  // touch the memory of orders and ids at start: no page faults later
};

// Into how many parts that different threads may own a core is divided. Changes nothing that can be seen.
struct CoreShards {
    static constexpr uint32_t kMax = 16;
    uint32_t risk = 1;      // accounts, a firm at a time
    uint32_t matching = 1;  // instruments
    bool apart = false;     // each of them in a process of its own (core/part.h)
};

// Rules of the pipeline, broken on purpose, so that tests can show that they would notice.
enum class HazardMutant : uint8_t {
    None = 0,
    RejectWithoutFunds = 1,   // insufficient funds decided while work is in flight
    CapturedBook = 2,         // an order that looks at the book does not wait for those ahead
    ReplaceWithoutReserve = 3,  // a replace in flight takes no hold for its worst case
};

// Receives a byte stream (snapshot file, hasher).
class ByteSink {
public:
    virtual ~ByteSink() = default;
    virtual void write(const void* bytes, size_t size) = 0;
};

// Gives a byte stream; read() answers false when fewer bytes are left.
class ByteSource {
public:
    virtual ~ByteSource() = default;
    [[nodiscard]] virtual bool read(void* bytes, size_t size) = 0;
};

class Core {
public:
    struct State;  // core/state.h; of no use outside this room

    explicit Core(const CoreLimits& limits, const CoreShards& shards = {});
    ~Core();
    Core(const Core&) = delete;
    Core& operator=(const Core&) = delete;

    // Applies the command as position() + 1. Never fails: bad input is an event.
    void apply(const Command& command, EventWriter& events);

    // ---- stages: what apply() does, in parts that threads may share out (native/pipeline, node/stages.h)
    //
    //   validate   by the risk shard of the command's account, in the order of positions
    //   match      by the matching shard `decision.lane`, in the order of positions, each command once all
    //              shards have validated it and all before it
    //   settle     by every risk shard, in the order of positions, once the command is matched

    [[nodiscard]] uint32_t riskShards() const;
    [[nodiscard]] uint32_t matchingShards() const;
    // Must this command run alone, by apply(), with all before it settled and none behind it begun? To be
    // asked when all before it that ran alone are done.
    [[nodiscard]] bool runsAlone(const Command& command) const;
    // So many new orders and replaces may be in flight without a look at the capacities. Requires: quiet.
    [[nodiscard]] uint64_t orderRoom() const;
    // The risk shard that decides about this command.
    [[nodiscard]] uint32_t decidingShard(const Command& command) const;
    // settled: all before it are settled in its shard. False: a hazard, ask again when that is so; nothing
    // has changed.
    [[nodiscard]] bool validate(const Command& command, Position at, bool settled,
                                Decision& decision);
    void match(const Command& command, Position at, Decision& decision, EventWriter& events);
    // Settles the shard's part of the command's events in [from, to), which lie in order and without gaps;
    // `first`: they begin at its first. Events stay incomplete until every shard has done so and complete()
    // has been called.
    void settle(uint32_t shard, const Command& command, const Decision& decision, Event* from,
                Event* to, bool first);
    // Clears what only settlement needed. By whoever lets the event out.
    static void complete(Event& event);
    // All up to here are settled, and no stage is under way: apply(), save() and the rest may be called.
    void reached(Position at);
    void breakRule(HazardMutant mutant);  // for tests
    // The risk processes that the log has declared, 0: none; and which of them are away, a bit for each.
    [[nodiscard]] uint32_t riskProcesses() const;
    [[nodiscard]] uint32_t riskProcessesAway() const;
    // For tests: one of the balances changes as if a memory cell had flipped. False: there is none yet.
    bool damage(uint64_t seed);

    // Brings close what the next commands will touch, so that their waits for memory overlap; changes
    // nothing. Call it with up to kWarmMax commands, wherever they lie, then apply them.
    static constexpr size_t kWarmMax = 32;
    void warm(const Command* const* commands, size_t count) const;

    [[nodiscard]] Position position() const;
    [[nodiscard]] uint64_t time() const;  // nanoseconds since 1970, as AdvanceTime gave it

    // The whole state in canonical form (docs/state-format.md).
    void save(ByteSink& sink) const;
    // Replaces the state of a fresh core. False: not a state of this format, or too large for the limits;
    // the core must then be thrown away. Never crashes on garbage.
    [[nodiscard]] bool load(ByteSource& source);
    [[nodiscard]] Digest128 hash() const;

    // Queries: each appends one JSON value as docs/rules.md section 11 writes it; none changes anything.
    void explain(std::string& out) const;
    // {"instrument":…,"position":…,"lastPrice":…,"trades":…,"state":…,"bids":[[price,quantity,orders],…],"asks":[…]}: visible quantity,
    // best first, at most `levels` a side.
    void explainLevels(InstrumentId instrument, uint32_t levels, std::string& out) const;
    // The same with every order: "bids":[[price,[[orderId,account,visible],…]],…].
    void explainOrders(InstrumentId instrument, uint32_t levels, std::string& out) const;
    // One account as in section 11, or null.
    void explainAccount(AccountId account, std::string& out) const;
    // What an account has, and a page of what it has open, at one position; or null:
    // {"position":…,"id":…,"parent":…,"name":…,"killed":…,"balances":[…],"exposures":[…],"openOrders":…,"after":…,"orders":[{"orderId":…,
    // "instrument":…,"visible":…,"waiting":…,"order":[…]},…]}: balances, exposures and order as in section 11, by order id, from the order
    // behind `after` on (nullptr: the first), whose order id "after" is; at most `count` orders. "orders" is null where `after` is not open any more.
    void explainAccountOrders(AccountId account, const ClientId* after, uint32_t count, std::string& out) const;
    // {"orderId":…,"open":…, …} or {"closed":…} or null where the id is not remembered.
    void explainOrder(AccountId account, const ClientId& id, std::string& out) const;
    // {"position":…,"time":…,"assets":[…],"instruments":[… without books …]}
    void explainMarket(std::string& out) const;
    // [{"id":…,"parent":…,"name":…},…] from `first` on, at most `count`.
    void explainAccounts(AccountId first, uint32_t count, std::string& out) const;
    // The same as explainAccount as lists, with a page of the open orders. A page costs a look at every open
    // order of the account ahead of it.
    void accountStatement(AccountId account, const OrderPage& page, AccountStatement& out) const;
    // Names, the account tree and what rests in the books. Costs a look at everything.
    void marketState(MarketState& out) const;

private:
    friend class CorePart;
    std::unique_ptr<State> state_;
};

}  // namespace verbex
