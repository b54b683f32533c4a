#include "linearizability/tiny_book.h"

#include <algorithm>

namespace verbex::linearizability {

namespace {

uint64_t fold(uint64_t hash, uint64_t value) {
    hash = (hash ^ value) * 0x9e3779b97f4a7c15;
    return hash ^ hash >> 29;
}

bool isKnown(const TinyBook::State& state, uint64_t order) {
    return std::binary_search(state.known.begin(), state.known.end(), order);
}

void note(TinyBook::State& state, uint64_t order) {
    state.known.insert(std::upper_bound(state.known.begin(), state.known.end(), order), order);
}

bool trade(TinyBook::State& state, const BookOperation& operation) {
    if (isKnown(state, operation.order)) return false;
    note(state, operation.order);
    const bool any = operation.said == Said::Nothing;
    int64_t open = operation.quantity;
    size_t fills = 0;
    while (open > 0 && !state.queue.empty() && state.buys != operation.buys) {
        TinyBook::Resting& best = state.queue.front();
        const int64_t lots = std::min(open, best.open);
        if (!any && (fills >= operation.fills.size() ||
                     !(operation.fills[fills] == Fill{best.order, lots}))) {
            return false;
        }
        fills++;
        open -= lots;
        best.open -= lots;
        if (best.open == 0) state.queue.erase(state.queue.begin());
    }
    if (operation.asked == Asked::Limit && open > 0) {
        state.buys = operation.buys;
        state.queue.push_back({operation.order, open});
    }
    return any || (operation.said == Said::Done && fills == operation.fills.size() &&
                   operation.lots == open);
}

bool change(TinyBook::State& state, const BookOperation& operation) {
    const bool any = operation.said == Said::Nothing;
    const auto found = std::find_if(
        state.queue.begin(), state.queue.end(),
        [&](const TinyBook::Resting& each) { return each.order == operation.order; });
    if (found == state.queue.end()) {
        return any || operation.said ==
                          (isKnown(state, operation.order) ? Said::OrderClosed : Said::UnknownOrder);
    }
    if (operation.asked == Asked::Cancel) {
        const int64_t open = found->open;
        state.queue.erase(found);
        return any || (operation.said == Said::Done && operation.lots == open);
    }
    // What grows loses its place; at one price it meets nobody there.
    if (operation.quantity <= found->open) {
        *found = {operation.newOrder, operation.quantity};
    } else {
        state.queue.erase(found);
        state.queue.push_back({operation.newOrder, operation.quantity});
    }
    note(state, operation.newOrder);
    return any || (operation.said == Said::Done && operation.lots == operation.quantity);
}

}  // namespace

uint64_t TinyBook::State::hash() const {
    uint64_t hash = buys ? 1 : 2;
    for (const Resting& each : queue) {
        hash = fold(fold(hash, each.order), static_cast<uint64_t>(each.open));
    }
    // Which orders are known follows from what was taken, which is compared beside the state.
    return fold(hash, known.size());
}

bool TinyBook::step(State& state, const Operation& operation) {
    const bool isNew = operation.asked == Asked::Limit || operation.asked == Asked::Ioc;
    const bool fits = isNew ? trade(state, operation) : change(state, operation);
    if (state.queue.empty()) state.buys = false;
    return fits;
}

std::string toText(const Timed<BookOperation>& timed) {
    const BookOperation& operation = timed.operation;
    static constexpr const char* kAsked[] = {"limit", "ioc", "cancel", "replace"};
    static constexpr const char* kSaid[] = {"no answer", "done", "unknown order", "order closed",
                                            "something else"};
    std::string text = "book " + std::to_string(operation.instrument) + ": " +
                       kAsked[static_cast<size_t>(operation.asked)];
    if (operation.asked <= Asked::Ioc) text += operation.buys ? " buy" : " sell";
    text += " order " + std::to_string(operation.order);
    if (operation.newOrder != 0) text += " as " + std::to_string(operation.newOrder);
    if (operation.quantity != 0) text += ", " + std::to_string(operation.quantity) + " lots";
    text += std::string(" -> ") + kSaid[static_cast<size_t>(operation.said)];
    for (const Fill& fill : operation.fills) {
        text += ", " + std::to_string(fill.quantity) + " of " + std::to_string(fill.maker);
    }
    return text + ", " + std::to_string(operation.lots) + " lots left or gone";
}

std::string toLines(const BookHistory& history) {
    std::string lines;
    for (const Timed<BookOperation>& timed : history) {
        const BookOperation& operation = timed.operation;
        const uint64_t numbers[] = {
            operation.instrument,
            timed.call,
            timed.end == kNever ? 0 : timed.end,
            static_cast<uint64_t>(operation.asked),
            operation.buys ? 1u : 0u,
            operation.order,
            operation.newOrder,
            static_cast<uint64_t>(operation.quantity),
            static_cast<uint64_t>(operation.said),
            static_cast<uint64_t>(operation.lots),
        };
        std::string line;
        for (const uint64_t number : numbers) {
            line += (line.empty() ? "" : " ") + std::to_string(number);
        }
        for (const Fill& fill : operation.fills) {
            line += " " + std::to_string(fill.maker) + ":" + std::to_string(fill.quantity);
        }
        lines += line + "\n";
    }
    return lines;
}

BookJudgement judge(const BookHistory& history) {
    BookJudgement all;
    all.worst.verdict = Verdict::Linearizable;
    const auto rank = [](Verdict verdict) {
        return verdict == Verdict::NotLinearizable ? 2 : verdict == Verdict::Unknown ? 1 : 0;
    };
    const auto objects =
        partition(history, [](const BookOperation& operation) { return operation.instrument; });
    for (const auto& [instrument, operations] : objects) {
        const Judgement judgement = Checker<TinyBook>(operations).check();
        const uint64_t steps = all.worst.steps + judgement.steps;
        if (rank(judgement.verdict) > rank(all.worst.verdict)) {
            all.worst = judgement;
            all.why = judgement.verdict == Verdict::Unknown
                          ? "not decided within the bound; "
                          : "no order of all operations explains this one; ";
            if (judgement.unexplained < operations.size()) {
                all.why += toText(operations[judgement.unexplained]) + " (" +
                           std::to_string(judgement.explained) + " of " +
                           std::to_string(operations.size()) + " explained)";
            }
        }
        all.worst.steps = steps;
    }
    return all;
}

}  // namespace verbex::linearizability
