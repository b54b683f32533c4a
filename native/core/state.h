// Core::State: everything that a core knows, and the operations on it, a file a subject.
//
// Purpose: the rooms of a core and who may touch what:
//
//     command ─▶ validate (accounts, ids, limits, ledger) ─▶ hold ─▶ match (book) ─▶ settle (ledger, ids) ─▶ events
//                orders.cpp, replace.cpp                            book/           settlement.cpp
//
//   Matching writes events; settlement reads them, moves the money, and completes them in place.
// Owner: Core.
// Thread safety: none.
// Invariants: those of core.h, ledger.h, book.h, client_ids.h between two commands.
#pragma once

#include <memory>
#include <vector>

#include "base/hash128.h"
#include "book/book.h"
#include "core/core.h"
#include "risk/accounts.h"
#include "risk/client_ids.h"
#include "risk/instrument.h"
#include "risk/ledger.h"
#include "risk/limits.h"
#include "wire/reject.h"

namespace verbex {

// Transaction ids are never forgotten, so this is no setting but the end of the address space set aside.
inline constexpr uint32_t kTransactionIdsMax = 1u << 26;

// An order that will end by itself, if it still is what it was.
struct Expiry {
    uint64_t time;  // nanoseconds since 1970
    OrderId orderId;
    OrderSlot slot;

    // Turned round: the standard heap keeps its largest on top.
    friend bool operator<(const Expiry& a, const Expiry& b) {
        return a.time != b.time ? a.time > b.time : a.orderId > b.orderId;
    }
};

// An iceberg shows itself at most 10,000 times: display × 10,000 ≥ quantity (docs/rules.md 5.11, 8.5).
[[nodiscard]] inline bool displayCovers(int64_t display, int64_t quantity) {
    constexpr int64_t kClipsMax = 10'000;
    return display >= (quantity + kClipsMax - 1) / kClipsMax;
}

// What validation has found out about a new order, for the steps that follow.
struct NewOrderDraft {
    int64_t price;  // the worst one
    Amount hold;
    Amount value;
    Balance* balance;    // where the hold will be
    Exposure* exposure;  // nullptr: the account's first order in the instrument
    bool repriced;
};

struct Core::State {
    explicit State(const CoreLimits& coreLimits);

    CoreLimits capacity;
    Position position = 0;
    uint64_t time = 0;
    OrderSlab slab;
    std::vector<Asset> assets;                 // [0] is none
    std::vector<Instrument> instruments;       // [0] is none
    std::vector<std::unique_ptr<Book>> books;  // beside the instruments
    Accounts accounts;
    Ledger ledger;
    Limits limits;
    ClientIds orderIds;
    ClientIds transactionIds;
    // Names: the n-th entry is the name of asset, instrument, account n.
    ClientIds assetNames, instrumentNames, accountNames;
    std::vector<Expiry> expiries;  // a heap; entries whose order has gone are skipped

    // ---- orders.cpp, replace.cpp
    void newOrder(const Command& command, const CommandContext& context);
    void cancelOrder(const Command& command, const CommandContext& context);
    void reduceOrder(const Command& command, const CommandContext& context);
    void replaceOrder(const Command& command, const CommandContext& context);
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
    // ---- settlement.cpp
    // Begins a command: its events will be written through this writer.
    void begin(EventWriter& events);
    // Settles and completes every event written since the last call.
    void settle();
    [[nodiscard]] bool knows(InstrumentId instrument) const {
        return instrument != 0 && instrument < instruments.size();
    }
    [[nodiscard]] bool knowsAsset(AssetId asset) const { return asset != 0 && asset < assets.size(); }
    void reject(const Command& command, Reject code, const CommandContext& context);

    // Appends the order's entry to its account's open orders; false: it was there already.
    bool link(uint32_t entry);
    void unlink(uint32_t entry);
    void takeOver(uint32_t entry, uint32_t newEntry);

private:
    // orders.cpp
    [[nodiscard]] Reject validate(const Command& command, NewOrderDraft& draft);
    void answerAgain(const Command& command, const ClientIdEntry& entry,
                     const CommandContext& context);
    [[nodiscard]] Reject findOrder(const Command& command, uint32_t* entry) const;
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
    void settleTrade(Event& event);
    void settleSide(const Instrument& instrument, InstrumentId id, AccountId account, bool sell,
                    uint8_t schedule, int64_t worstPrice, const Event& trade, int64_t openAfter,
                    Amount value, Amount fee);
    void releaseOpen(const Event& event, int64_t quantity, int64_t openAfter);
    void rested(const Event& event, uint32_t entry);
    void finished(uint32_t entry, OrderId orderId, InstrumentId instrument, uint8_t schedule);

    EventWriter* events_ = nullptr;
    Event* unsettled_ = nullptr;  // first event that is not settled; nullptr: the region's first
    int64_t takerPrice_ = 0;      // worst price of the order that is being matched
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
