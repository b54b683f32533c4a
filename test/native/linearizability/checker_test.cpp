// The checker and the book that it is asked about: what it must reject, what it must accept, and that
// another checker says the same.
#include "linearizability/checker.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <random>

#include "linearizability/porcupine.h"
#include "linearizability/tiny_book.h"

namespace verbex::linearizability {
namespace {

constexpr bool kBuy = true;
constexpr bool kSell = false;

// ---- histories, written as people tell them

struct Span {
    uint64_t call;
    uint64_t end;
};

Timed<BookOperation> trades(Span span, Asked asked, bool buys, uint64_t order, int64_t quantity,
                            std::vector<Fill> fills, int64_t lots) {
    BookOperation operation;
    operation.asked = asked;
    operation.buys = buys;
    operation.order = order;
    operation.quantity = quantity;
    operation.said = span.end == kNever ? Said::Nothing : Said::Done;
    operation.fills = std::move(fills);
    operation.lots = lots;
    return {span.call, span.end, operation};
}
Timed<BookOperation> limit(Span span, bool buys, uint64_t order, int64_t quantity,
                           std::vector<Fill> fills, int64_t booked) {
    return trades(span, Asked::Limit, buys, order, quantity, std::move(fills), booked);
}
Timed<BookOperation> ioc(Span span, bool buys, uint64_t order, int64_t quantity,
                         std::vector<Fill> fills, int64_t gone) {
    return trades(span, Asked::Ioc, buys, order, quantity, std::move(fills), gone);
}
Timed<BookOperation> cancels(Span span, uint64_t order, Said said, int64_t lots = 0) {
    BookOperation operation;
    operation.asked = Asked::Cancel;
    operation.order = order;
    operation.said = said;
    operation.lots = lots;
    return {span.call, span.end, operation};
}
Timed<BookOperation> replaces(Span span, uint64_t order, uint64_t newOrder, int64_t quantity) {
    BookOperation operation;
    operation.asked = Asked::Replace;
    operation.order = order;
    operation.newOrder = newOrder;
    operation.quantity = quantity;
    operation.said = Said::Done;
    operation.lots = quantity;
    return {span.call, span.end, operation};
}

struct Case {
    const char* name;
    Verdict verdict;
    BookHistory history;
};

const std::vector<Case>& cases() {
    static const std::vector<Case> all = {
        {"Nothing", Verdict::Linearizable, {}},
        {"OneAfterTheOther",
         Verdict::Linearizable,
         {limit({1, 2}, kBuy, 1, 5, {}, 5), limit({3, 4}, kSell, 2, 3, {{1, 3}}, 0),
          cancels({5, 6}, 1, Said::Done, 2), cancels({7, 8}, 1, Said::OrderClosed)}},
        // Sent later, and before the other all the same: they overlap.
        {"OverlappingOnesInTheOtherOrder",
         Verdict::Linearizable,
         {limit({1, 10}, kBuy, 1, 5, {}, 5), limit({2, 9}, kBuy, 2, 5, {}, 5),
          ioc({11, 12}, kSell, 3, 5, {{2, 5}}, 0)}},
        {"TheOtherOrderWhereTheyDoNotOverlap",
         Verdict::NotLinearizable,
         {limit({1, 2}, kBuy, 1, 5, {}, 5), limit({3, 4}, kBuy, 2, 5, {}, 5),
          ioc({5, 6}, kSell, 3, 5, {{2, 5}}, 0)}},
        // Acknowledged, and then nobody knows of it.
        {"LostOrder",
         Verdict::NotLinearizable,
         {limit({1, 2}, kBuy, 1, 5, {}, 5), cancels({3, 4}, 1, Said::UnknownOrder)}},
        {"LostFill",
         Verdict::NotLinearizable,
         {limit({1, 2}, kBuy, 1, 5, {}, 5), ioc({3, 4}, kSell, 2, 5, {{1, 5}}, 0),
          ioc({5, 6}, kSell, 3, 5, {{1, 5}}, 0)}},
        // A book from before the order that was acknowledged.
        {"StaleRead",
         Verdict::NotLinearizable,
         {limit({1, 2}, kBuy, 1, 5, {}, 5), ioc({3, 4}, kSell, 2, 5, {}, 5)}},
        {"NoStaleReadWhereTheyOverlap",
         Verdict::Linearizable,
         {limit({1, 4}, kBuy, 1, 5, {}, 5), ioc({3, 6}, kSell, 2, 5, {}, 5)}},
        // The same order twice in the book: more is sold to it than it has.
        {"AppliedTwice",
         Verdict::NotLinearizable,
         {limit({1, 2}, kBuy, 1, 5, {}, 5), ioc({3, 4}, kSell, 2, 5, {{1, 5}}, 0),
          ioc({5, 6}, kSell, 3, 2, {{1, 2}}, 0)}},
        {"CancelledTwice",
         Verdict::NotLinearizable,
         {limit({1, 2}, kBuy, 1, 5, {}, 5), cancels({3, 6}, 1, Said::Done, 5),
          cancels({4, 5}, 1, Said::Done, 5)}},
        {"CancelAndTradeShareAnOrderOnce",
         Verdict::Linearizable,
         {limit({1, 2}, kBuy, 1, 5, {}, 5), cancels({3, 8}, 1, Said::Done, 2),
          ioc({4, 7}, kSell, 2, 3, {{1, 3}}, 0)}},
        {"CancelAndTradeBothHaveIt",
         Verdict::NotLinearizable,
         {limit({1, 2}, kBuy, 1, 5, {}, 5), cancels({3, 8}, 1, Said::Done, 5),
          ioc({4, 7}, kSell, 2, 3, {{1, 3}}, 0)}},
        // Without an answer: it may have been done, at any time behind its call, or not.
        {"UnansweredAndDone",
         Verdict::Linearizable,
         {limit({1, kNever}, kBuy, 1, 5, {}, 0), ioc({3, 4}, kSell, 2, 5, {}, 5),
          ioc({5, 6}, kSell, 3, 5, {{1, 5}}, 0)}},
        {"UnansweredAndNotDone",
         Verdict::Linearizable,
         {limit({1, kNever}, kBuy, 1, 5, {}, 0), ioc({3, 4}, kSell, 2, 5, {}, 5),
          ioc({5, 6}, kSell, 3, 5, {}, 5)}},
        {"UnansweredAndDoneBeforeItWasAsked",
         Verdict::NotLinearizable,
         {ioc({1, 2}, kSell, 2, 5, {{1, 5}}, 0), limit({3, kNever}, kBuy, 1, 5, {}, 0)}},
        {"UnansweredAndDoneTwice",
         Verdict::NotLinearizable,
         {limit({1, kNever}, kBuy, 1, 5, {}, 0), ioc({3, 4}, kSell, 2, 5, {{1, 5}}, 0),
          ioc({5, 6}, kSell, 3, 5, {{1, 5}}, 0)}},
        // A replace that grows goes to the end, one that shrinks stays where it is.
        {"AGrownOrderGoesToTheEnd",
         Verdict::Linearizable,
         {limit({1, 2}, kBuy, 1, 5, {}, 5), limit({3, 4}, kBuy, 2, 5, {}, 5),
          replaces({5, 6}, 1, 3, 6), ioc({7, 8}, kSell, 4, 6, {{2, 5}, {3, 1}}, 0)}},
        {"AShrunkOrderStays",
         Verdict::Linearizable,
         {limit({1, 2}, kBuy, 1, 5, {}, 5), limit({3, 4}, kBuy, 2, 5, {}, 5),
          replaces({5, 6}, 1, 3, 4), ioc({7, 8}, kSell, 4, 6, {{3, 4}, {2, 2}}, 0)}},
        {"AGrownOrderThatStayed",
         Verdict::NotLinearizable,
         {limit({1, 2}, kBuy, 1, 5, {}, 5), limit({3, 4}, kBuy, 2, 5, {}, 5),
          replaces({5, 6}, 1, 3, 6), ioc({7, 8}, kSell, 4, 6, {{3, 6}}, 0)}},
        // Two leaders, each with a book of its own: both sell the same order.
        {"TwoLeaders",
         Verdict::NotLinearizable,
         {limit({1, 2}, kBuy, 1, 5, {}, 5), ioc({3, 9}, kSell, 2, 5, {{1, 5}}, 0),
          ioc({4, 8}, kSell, 3, 5, {{1, 5}}, 0)}},
    };
    return all;
}

class Cases : public testing::TestWithParam<size_t> {};

TEST_P(Cases, AreJudged) {
    const Case& each = cases()[GetParam()];
    const BookJudgement judgement = judge(each.history);
    EXPECT_EQ(judgement.worst.verdict, each.verdict) << judgement.why;
    EXPECT_EQ(judgement.why.empty(), each.verdict == Verdict::Linearizable);
}

INSTANTIATE_TEST_SUITE_P(All, Cases, testing::Range<size_t>(0, cases().size()),
                         [](const auto& info) { return cases()[info.param].name; });

// ---- random histories of a book that is sound

// `processes` clients that ask a book one after the other, at random times; some get no answer.
BookHistory random(uint64_t seed, uint32_t processes, uint32_t count, uint32_t silentOfHundred) {
    std::mt19937_64 draw(seed);
    const auto below = [&](uint64_t bound) { return draw() % bound; };
    BookHistory history;
    std::vector<uint64_t> freeAt(processes, 1);
    std::vector<std::pair<uint64_t, size_t>> instants;
    std::vector<uint64_t> numbers{0};
    uint64_t order = 0;
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t process = below(processes);
        Timed<BookOperation> timed;
        timed.call = freeAt[process] + below(20);
        const uint64_t instant = timed.call + below(20);
        timed.end = instant + below(20);
        freeAt[process] = timed.end + 1;
        BookOperation& operation = timed.operation;
        operation.buys = process % 2 == 0;
        operation.asked = static_cast<Asked>(below(4));
        operation.quantity = 1 + static_cast<int64_t>(below(9));
        if (operation.asked <= Asked::Ioc) {
            operation.order = ++order;
        } else {
            operation.order = 1 + below(order + 1);
            if (operation.asked == Asked::Replace) operation.newOrder = ++order;
        }
        instants.push_back({instant, history.size()});
        history.push_back(timed);
    }
    std::sort(instants.begin(), instants.end());
    TinyBook::State state;
    for (const auto& [instant, at] : instants) {
        BookOperation& operation = history[at].operation;
        // The answer is the one that the book accepts: found by asking it.
        const TinyBook::State before = state;
        const bool silent = below(100) < silentOfHundred;
        if (silent && below(2) == 0) {
            history[at].end = kNever;  // lost on its way there
            continue;
        }
        EXPECT_TRUE(TinyBook::step(state, operation));
        if (silent) {
            history[at].end = kNever;  // lost on its way back
            continue;
        }
        int64_t left = operation.quantity;
        const bool meets = !before.queue.empty() && before.buys != operation.buys;
        if (operation.asked <= Asked::Ioc) {
            for (const TinyBook::Resting& each : before.queue) {
                const int64_t lots = meets ? std::min(left, each.open) : 0;
                if (lots > 0) operation.fills.push_back({each.order, lots});
                left -= lots;
            }
            operation.lots = left;
            operation.said = Said::Done;
            continue;
        }
        const auto found = std::find_if(before.queue.begin(), before.queue.end(), [&](const auto& each) {
            return each.order == operation.order;
        });
        const bool isKnown =
            std::binary_search(before.known.begin(), before.known.end(), operation.order);
        operation.said = found != before.queue.end() ? Said::Done
                         : isKnown                   ? Said::OrderClosed
                                                     : Said::UnknownOrder;
        if (found == before.queue.end()) continue;
        operation.lots = operation.asked == Asked::Cancel ? found->open : operation.quantity;
    }
    return history;
}

TEST(Checker, AcceptsWhateverASoundBookAnswers) {
    uint64_t steps = 0;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        const BookHistory history = random(seed, 2 + seed % 5, 60, seed % 3 == 0 ? 8 : 0);
        const BookJudgement judgement = judge(history);
        ASSERT_EQ(judgement.worst.verdict, Verdict::Linearizable) << seed << ": " << judgement.why;
        steps += judgement.worst.steps;
    }
    EXPECT_GT(steps, 200u * 50);
}

// One answer of a sound history is changed: mostly there is no order left that explains it, and where the
// checker says so, it is because trying every order says so, too.
TEST(Checker, SaysWhatTryingEveryOrderSays) {
    struct EveryOrder {
        const BookHistory& history;
        // Depth first without any memory: each operation that nothing unfinished precedes may be next.
        bool explains(TinyBook::State state, uint64_t done) const {
            bool over = true;
            uint64_t firstEnd = kNever;
            for (size_t i = 0; i < history.size(); i++) {
                if ((done >> i & 1) != 0) continue;
                firstEnd = std::min(firstEnd, history[i].end);
                over &= history[i].end == kNever;
            }
            if (over) return true;
            for (size_t i = 0; i < history.size(); i++) {
                if ((done >> i & 1) != 0 || history[i].call > firstEnd) continue;
                TinyBook::State after = state;
                if (TinyBook::step(after, history[i].operation) &&
                    explains(after, done | uint64_t{1} << i)) {
                    return true;
                }
            }
            return false;
        }
    };
    uint32_t rejected = 0;
    uint32_t accepted = 0;
    for (uint64_t seed = 1; seed <= 400; seed++) {
        BookHistory history = random(seed, 3, 9, seed % 2 == 0 ? 15 : 0);
        std::mt19937_64 draw(seed);
        BookOperation& changed = history[draw() % history.size()].operation;
        if (changed.said == Said::Nothing) continue;
        if (!changed.fills.empty() && draw() % 2 == 0) {
            changed.fills[0].quantity++;
        } else if (changed.said == Said::Done) {
            changed.lots++;
        } else {
            changed.said = changed.said == Said::OrderClosed ? Said::UnknownOrder : Said::OrderClosed;
        }
        if (seed % 5 == 0) changed.said = Said::Done;
        const bool every = EveryOrder{history}.explains({}, 0);
        const BookJudgement judgement = judge(history);
        ASSERT_EQ(judgement.worst.verdict, every ? Verdict::Linearizable : Verdict::NotLinearizable)
            << seed << ": " << judgement.why;
        (every ? accepted : rejected)++;
    }
    EXPECT_GT(rejected, 200u);
    EXPECT_GT(accepted, 5u);
}

TEST(Checker, SaysSoWhereItsBoundIsReached) {
    const BookHistory history = random(7, 4, 40, 0);
    EXPECT_EQ(Checker<TinyBook>(history).check(10).verdict, Verdict::Unknown);
}

TEST(Checker, JudgesObjectsApart) {
    BookHistory both = random(1, 3, 30, 0);
    for (Timed<BookOperation> each : random(2, 3, 30, 0)) {
        each.operation.instrument = 1;
        both.push_back(each);
    }
    EXPECT_EQ(judge(both).worst.verdict, Verdict::Linearizable);
    both.back().operation.lots += 100;
    EXPECT_EQ(judge(both).worst.verdict, Verdict::NotLinearizable);
}

TEST(Checker, AndPorcupineSayTheSame) {
    const Porcupine porcupine;
    if (!porcupine.isThere()) GTEST_SKIP() << porcupine.why();
    const auto agree = [&](const BookHistory& history, const std::string& which) {
        const Verdict verdict = judge(history).worst.verdict;
        EXPECT_EQ(porcupine.judge(history),
                  verdict == Verdict::Linearizable ? "linearizable" : "not linearizable")
            << which;
    };
    for (const Case& each : cases()) agree(each.history, each.name);
    for (uint64_t seed = 1; seed <= 20; seed++) {
        BookHistory history = random(seed, 4, 200, seed % 2 == 0 ? 3 : 0);
        agree(history, "seed " + std::to_string(seed));
        for (size_t at = 100; at < history.size(); at++) {
            if (history[at].operation.said != Said::Done) continue;
            history[at].operation.lots++;
            break;
        }
        agree(history, "seed " + std::to_string(seed) + ", damaged");
    }
}

}  // namespace
}  // namespace verbex::linearizability
