// Core::State: everything that a core knows, and the operations on it, a file a subject.
//
// Purpose: the rooms of a core and who may touch what:
//
//     command ─▶ validate (accounts, ids, limits, ledger) ─▶ hold ─▶ match (book) ─▶ settle (ledger, ids) ─▶ events
//                orders.cpp, replace.cpp                            book/           settlement.cpp
//                └───────── a risk shard ─────────┘          a matching shard       each risk shard
//
//   Matching writes events; settlement reads them, moves the money, and completes them in place. What one
//   stage hands to the next lies in a Decision. One thread calls them one behind the other (apply), or
//   several threads do, each for its shards (pipeline): the functions are the same.
// Owner: Core.
// Thread safety: a function that takes a RiskShard touches of the risk side only that; match() touches of the
// matching side only its lane's books and slab. All else is read only while commands are in flight, and
// changed by commands that run alone.
// Invariants: those of core.h, ledger.h, book.h, client_ids.h between two commands.
#pragma once

#include <memory>
#include <vector>

#include "base/hash128.h"
#include "book/book.h"
#include "core/core.h"
#include "core/decision.h"
#include "core/part_facts.h"
#include "risk/accounts.h"
#include "risk/client_ids.h"
#include "risk/instrument.h"
#include "risk/ledger.h"
#include "risk/limits.h"
#include "risk/risk_shard.h"
#include "wire/reject.h"

namespace verbex {

// Transaction ids are never forgotten, so this is no setting but the end of the address space set aside.
inline constexpr uint32_t kTransactionIdsMax = 1u << 26;

// An iceberg shows itself at most 10,000 times: display × 10,000 ≥ quantity (docs/rules.md 5.11, 8.5).
[[nodiscard]] inline bool displayCovers(int64_t display, int64_t quantity) {
    constexpr int64_t kClipsMax = 10'000;
    return display >= (quantity + kClipsMax - 1) / kClipsMax;
}

// How much of what lies ahead of a command is done when it is validated.
enum class Certainty : uint8_t {
    Ahead,    // perhaps nothing: what is found wrong may be right when that is settled
    Settled,  // all of it, and matching waits for this command
    Whole,    // all of it, and nobody else is at work in this core
};

struct Core::State {
    State(const CoreLimits& coreLimits, const CoreShards& coreShards);

    CoreLimits capacity;
    Position position = 0;
    uint64_t time = 0;
    OrderMemory orderMemory;
    std::vector<std::unique_ptr<OrderSlab>> slabs;  // by matching shard
    OrderSlab& slab;                                // any of them: where an order is looked at
    const uint32_t lanes;                           // how many they are
    std::vector<std::unique_ptr<RiskShard>> shards;
    RiskShard* const only;  // the one shard where there is one; null where there are several
    std::vector<Asset> assets;                 // [0] is none
    std::vector<Instrument> instruments;       // [0] is none
    std::vector<std::unique_ptr<Book>> books;  // beside the instruments
    Accounts accounts;
    Limits limits;
    ClientIds transactionIds;
    // Names: the n-th entry is the name of asset, instrument, account n.
    ClientIds assetNames, instrumentNames, accountNames;
    HazardMutant mutant = HazardMutant::None;
    // Risk processes, where they are declared (availability.cpp).
    uint32_t riskProcesses = 0;
    uint32_t riskProcessesAway = 0;  // a bit for each
    // Of a part: what it has been told. Null: this core has everything itself.
    const PartFacts* facts = nullptr;

    [[nodiscard]] RiskShard& riskOf(AccountId account) {
        return only != nullptr ? *only : *shards[accounts[account].shard];
    }
    [[nodiscard]] const RiskShard& riskOf(AccountId account) const {
        return const_cast<State*>(this)->riskOf(account);
    }
    // The shard that decides about a command, whatever account it names.
    [[nodiscard]] RiskShard& decides(const Command& command) {
        if (only != nullptr) return *only;
        return riskOf(accounts.exists(command.account) ? command.account : 0);
    }
    [[nodiscard]] uint16_t laneOf(InstrumentId instrument) const {
        return lanes == 1 ? 0 : static_cast<uint16_t>(instrument % lanes);
    }
    // Sums over the shards. Requires: the threads of the shards rest.
    [[nodiscard]] uint32_t liveOrders() const {
        if (facts != nullptr) [[unlikely]] return facts->liveOrders;
        return lanes == 1 ? slab.live() : sumOfOrders();
    }
    [[nodiscard]] uint32_t rememberedIds() const {
        if (facts != nullptr) [[unlikely]] return facts->rememberedIds;
        return only != nullptr ? only->orderIds.size() : sumOfIds();
    }
    [[nodiscard]] Amount feesCollected(AssetId asset) const;
    [[nodiscard]] uint32_t schedulesInUse(InstrumentId instrument) const;  // a bit for each slot

    // ---- stages: orders.cpp, replace.cpp, settlement.cpp
    // Decides, and places the hold of what is accepted. False: the decision must wait for what is ahead
    // (Certainty::Ahead only); nothing has changed then.
    [[nodiscard]] bool validate(RiskShard& risk, const Command& command, Position at,
                                Certainty certainty, Decision& decision);
    void match(const Command& command, Decision& decision, const CommandContext& context);
    // Settles this shard's part of the command's events in [from, to). `first`: they begin at the command's
    // first event.
    void settle(RiskShard& risk, const Command& command, const Decision& decision, Event* from,
                Event* to, bool first);

    // ---- one command after the other, alone
    void order(const Command& command, const CommandContext& context);
    // ---- many_orders.cpp
    void massCancel(const Command& command, const CommandContext& context);
    void killSwitch(const Command& command, const CommandContext& context);
    void advanceTime(const Command& command, const CommandContext& context);
    void dayEnd(const CommandContext& context);
    // ---- money.cpp
    void deposit(const Command& command, const CommandContext& context);
    void withdraw(const Command& command, const CommandContext& context);
    void transfer(const Command& command, const CommandContext& context);
    // ---- configuration.cpp
    void addAsset(const Command& command, const CommandContext& context);
    void addInstrument(const Command& command, const CommandContext& context);
    void changeInstrument(const Command& command, const CommandContext& context);
    void setTradingState(const Command& command, const CommandContext& context);
    void addAccount(const Command& command, const CommandContext& context);
    void setRights(const Command& command, const CommandContext& context);
    void setInstrumentRight(const Command& command, const CommandContext& context);
    void setLimit(const Command& command, const CommandContext& context);
    // ---- availability.cpp
    void setAvailability(const Command& command, const CommandContext& context);
    // Is the risk process away that this command needs? It is rejected then, and leaves no trace.
    [[nodiscard]] bool refuses(const Command& command) const {
        return riskProcessesAway != 0 && needsWhoIsAway(command);
    }
    // Begins a command that runs alone: its events will be written through this writer.
    void begin(const Command& command, EventWriter& events);
    // Settles and completes every event written since the last call, for all shards.
    void settle();
    [[nodiscard]] bool knows(InstrumentId instrument) const {
        return instrument != 0 && instrument < instruments.size();
    }
    [[nodiscard]] bool knowsAsset(AssetId asset) const { return asset != 0 && asset < assets.size(); }
    void reject(const Command& command, Reject code, const CommandContext& context);
    void makeAsset(const Asset& asset);
    void makeInstrument(const Instrument& instrument);
    void dropGoneExpiries(RiskShard& risk);

    // Appends the order's entry to its account's open orders; false: it was there already.
    bool link(RiskShard& risk, uint32_t entry);
    void unlink(RiskShard& risk, uint32_t entry);
    void takeOver(RiskShard& risk, uint32_t entry, uint32_t newEntry);

private:
    [[nodiscard]] bool needsWhoIsAway(const Command& command) const;
    [[nodiscard]] uint32_t sumOfOrders() const;
    [[nodiscard]] uint32_t sumOfIds() const;

    struct Draft;        // orders.cpp: what validation has found out about a new order
    struct ReplaceTerms;  // replace.cpp

    // orders.cpp
    bool validateNewOrder(RiskShard& risk, const Command& command, Position at, Certainty certainty,
                          Decision& decision);
    bool validateNamed(RiskShard& risk, const Command& command, Decision& decision);
    [[nodiscard]] Reject checkNewOrder(RiskShard& risk, const Command& command,
                                       Certainty certainty, Draft& draft);
    [[nodiscard]] Reject findOrder(const RiskShard& risk, const Command& command,
                                   uint32_t* entry) const;
    // The slot of the order that validation named, 0 where it is not open any more.
    [[nodiscard]] OrderSlot openSlot(AccountId account, uint32_t entry) const;
    void answerAgain(const Command& command, const Decision& decision,
                     const CommandContext& context);
    void enter(const Command& command, const Decision& decision, const CommandContext& context);
    void cancel(const Command& command, const Decision& decision, const CommandContext& context);
    void reduce(const Command& command, const Decision& decision, const CommandContext& context);
    // replace.cpp
    bool validateReplace(RiskShard& risk, const Command& command, Position at, Certainty certainty,
                         Decision& decision);
    bool reserveReplace(RiskShard& risk, const Command& command, Decision& decision);
    [[nodiscard]] Reject checkReplaceTerms(const Command& command, const Order& order,
                                           ReplaceTerms& terms) const;
    [[nodiscard]] Reject repriceReplace(const Order& order, ReplaceTerms& terms) const;
    void replace(const Command& command, Decision& decision, const CommandContext& context);
    void settleReplace(RiskShard& risk, const Command& command, const Decision& decision,
                       const Event& answer);
    // many_orders.cpp
    template <typename Fits>
    int64_t cancelSubtree(AccountId root, Cause cause, const CommandContext& context, Fits fits);
    // money.cpp
    [[nodiscard]] Reject checkTransaction(const Command& command) const;
    bool answerTransactionAgain(const Command& command, uint32_t fingerprint,
                                const CommandContext& context);
    void rememberTransaction(const Command& command, uint32_t fingerprint);
    void changeBalance(const Command& command, AccountId account, AccountId other, Amount change,
                       const CommandContext& context);
    // settlement.cpp
    template <bool kAlone>
    void settleEvents(RiskShard& risk, const Command& command, Event* from, Event* to);
    template <bool kAlone>
    void settleTrade(RiskShard& risk, Event& event);
    void settleSide(RiskShard& risk, const Instrument& instrument, InstrumentId id,
                    AccountId account, bool sell, uint8_t schedule, int64_t worstPrice,
                    const Event& trade, int64_t openAfter, Amount value, Amount fee);
    void releaseOpen(RiskShard& risk, const Event& event, int64_t quantity, int64_t openAfter);
    void rested(RiskShard& risk, const Command& command, const Event& event, uint32_t entry);
    void finished(RiskShard& risk, uint32_t entry, OrderId orderId, InstrumentId instrument,
                  uint8_t schedule);

    // Of the command that runs alone.
    EventWriter* events_ = nullptr;
    const Command* command_ = nullptr;
    Event* unsettled_ = nullptr;  // first event that is not settled; nullptr: the region's first
};

// FNV-1a by words, folded: enough to tell a different order under the same id from the same one.
class Fingerprint {
public:
    Fingerprint& add(uint64_t word) {
        hash_ = (hash_ ^ word) * 0x9e3779b97f4a7c15ULL;
        hash_ ^= hash_ >> 29;
        return *this;
    }
    [[nodiscard]] uint32_t value() const { return static_cast<uint32_t>(hash_ >> 32); }

private:
    uint64_t hash_ = 0xcbf29ce484222325ULL;
};

}  // namespace verbex
