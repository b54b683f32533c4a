// TinyBook: the order book of one instrument in which everybody trades at one price, as its rules say it
// (docs/rules.md), in as few lines as can be read at a glance.
//
//      best ─▶ [ order 7: 3 lots ][ order 4: 1 lot ][ order 9: 5 lots ]    all buy, or all sell
//
// Purpose: the sequential object that clients' histories are held against. Every answer says a lot about
// all orders before: which ones rest, in which order of time, with how many lots.
// Owner: a test.
// Thread safety: a plain value.
// Invariants: one price, so orders of both sides never rest together.
// Requires: nobody trades with itself; order numbers are unique in the instrument.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "linearizability/checker.h"

namespace verbex::linearizability {

struct Fill {
    uint64_t maker = 0;
    int64_t quantity = 0;
    friend bool operator==(const Fill&, const Fill&) = default;
};

enum class Asked : uint8_t { Limit = 0, Ioc = 1, Cancel = 2, Replace = 3 };
enum class Said : uint8_t { Nothing = 0, Done = 1, UnknownOrder = 2, OrderClosed = 3, Else = 4 };

struct BookOperation {
    Asked asked = Asked::Limit;
    bool buys = false;           // Limit, Ioc
    uint32_t instrument = 0;     // which book
    uint64_t order = 0;          // the new one; Cancel, Replace: the one that is meant
    uint64_t newOrder = 0;       // Replace
    int64_t quantity = 0;        // Limit, Ioc, Replace: the new open quantity
    // ---- the answer
    Said said = Said::Nothing;
    std::vector<Fill> fills;     // Limit, Ioc: in order of time
    int64_t lots = 0;            // Limit: booked; Ioc, Cancel: cancelled; Replace: open now
};

class TinyBook {
public:
    struct Resting {
        uint64_t order = 0;
        int64_t open = 0;
        friend bool operator==(const Resting&, const Resting&) = default;
    };
    struct State {
        bool buys = false;            // the side that rests
        std::vector<Resting> queue;
        std::vector<uint64_t> known;  // every order number that was taken, rising
        friend bool operator==(const State&, const State&) = default;
        [[nodiscard]] uint64_t hash() const;
    };
    using Operation = BookOperation;

    static bool step(State& state, const Operation& operation);
};

using BookHistory = std::vector<Timed<BookOperation>>;

// For people, and for messages of a test.
std::string toText(const Timed<BookOperation>& operation);
// A line an operation, for other checkers (porcupine/main.go reads it):
// instrument call end asked side order newOrder quantity said lots fills…  (end 0: no answer; fills: maker:lots)
std::string toLines(const BookHistory& history);

// Both objects and operations of all of them.
struct BookJudgement {
    Judgement worst;       // of the objects: a refutation before a doubt before a proof
    std::string why;       // where it is no proof
};
BookJudgement judge(const BookHistory& history);

}  // namespace verbex::linearizability
