// Decision: what validation has found out about a command, for the stages behind it.
//
// Purpose: lies beside its command in the ring's cell. Validation writes it, matching acts on it and adds
// what settlement will need, settlement reads it; each stage sees it only after the one before has let the
// cell go. So nothing is looked up twice, and nothing that one stage knows is lost on the way.
// Owner: the risk shard of the command's account until it has decided, then the matching shard of `lane`,
// then whoever settles, who only reads.
// Thread safety: none of its own; the pipeline's cursors order the accesses.
#pragma once

#include <cstdint>

#include "base/amount.h"
#include "wire/command.h"
#include "wire/reject.h"

namespace verbex {

enum class Step : uint8_t {
    None = 0,
    Reject = 1,       // `code` says why; nothing has changed but a remembered id
    AnswerAgain = 2,  // the first answer once more: `code`, `orderId`
    Enter = 3,        // a new order: accepted, its hold placed
    Cancel = 4,       // an order that was open when validation looked; matching decides
    Reduce = 5,
    Replace = 6,       // the same; `reserved` is held on top of the order's own hold until settlement
    ReplaceKnown = 7,  // found good against the order itself, money moved: matching only does it
    Alone = 8,         // carried out with the pipeline drained; nothing is left to do
};

struct alignas(64) Decision {
    Step step;
    uint8_t schedule;  // fee schedule of the order
    uint16_t code;     // Reject
    uint16_t lane;     // the matching shard that writes the command's events
    bool repriced;        // Enter, ReplaceKnown: post-only has moved the price
    bool sell : 1;        // Replace: of the order that is named
    bool waiting : 1;     // ReplaceKnown: it waits as a stop
    bool placeKept : 1;   // ReplaceKnown: it keeps its place
    uint32_t entry;    // of the id table: the order that is named, or the new one
    uint32_t newEntry;
    union {
        int64_t price;            // Enter, ReplaceKnown: the worst price, ticks
        InstrumentId instrument;  // Replace: of the order that is named
    };
    union {
        uint64_t orderId;  // AnswerAgain: of the first answer
        int64_t oldPrice;  // Replace: what the order was before, from matching
    };
    Amount reserved;     // Replace
    union {
        int64_t oldOpen;  // Replace: from matching
        int64_t stop;     // ReplaceKnown: the stop price
    };
    uint64_t eventsEnd;  // of the surroundings: where the command's events end in its lane
};
static_assert(sizeof(Decision) == 64);

}  // namespace verbex
