// Core: apply(command) → events. The whole exchange as a pure function of its log.
//
// Purpose: checks a command, places its hold (risk), matches it (book), settles it (risk), and writes
// the events. No I/O, clock, thread, randomness, floating point, or allocation on the hot path; so the
// log alone rebuilds the state, bit for bit.
// Owner: the node's engine thread, the snapshot thread's shadow, the simulator, a test: each its own.
// Thread safety: none. One thread at a time; const members may not run beside apply().
// Invariants:
//   1. Every command gives at least one event, the last one with flag Last, whatever its bytes.
//   2. A rejected command changes nothing but the position and the remembered answer (docs/rules.md 2).
//   3. For every asset: totals + fees collected = deposits − withdrawals.
//   4. save() is canonical: equal states give equal bytes, however they came about. hash() is the hash
//      of those bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/hash128.h"
#include "wire/command.h"
#include "wire/event_writer.h"

namespace verbex {

// What is preallocated at most; beyond it commands are rejected with a CAPACITY_… code.
struct CoreLimits {
    uint32_t maxOrders = 1u << 20;       // open at once
    uint32_t maxAccounts = 1u << 20;
    uint32_t maxInstruments = 1u << 16;  // and as many assets
    uint32_t maxClientIds = 1u << 23;    // remembered at once
    bool warm = false;  // touch the memory of orders and ids at start: no page faults later
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

    explicit Core(const CoreLimits& limits);
    ~Core();
    Core(const Core&) = delete;
    Core& operator=(const Core&) = delete;

    // Applies the command as position() + 1. Never fails: bad input is an event.
    void apply(const Command& command, EventWriter& events);

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

private:
    std::unique_ptr<State> state_;
};

}  // namespace verbex
