// Checker: is there one order of all operations that explains every answer, and that keeps to what was over
// before something else began? (Linearizability: Herlihy and Wing, 1990.)
//
//      call ──────────── end            an operation takes effect at one instant between the two;
//           call ── end                 without an answer: somewhere behind its call, or never
//
// Purpose: judges what clients were told, knowing nothing of how a cluster works.
// Owner: a test.
// Thread safety: pure.
// Invariants:
//   1. Linearizable and NotLinearizable are proofs; Unknown says that the bound on steps was reached.
// Requires: a Model with State, Operation and `static bool step(State&, const Operation&)`, which answers
// whether the operation may give its answer in this state and leaves the state behind it (anything, where
// it may not); State has == and hash(). One history per object: a history of several objects is
// linearizable exactly where each object's is, so each is judged alone (partition()).
//
// The search is that of Wing and Gong ("Testing and Verifying Concurrent Objects", 1993) with the memory of Lowe ("Testing
// for Linearizability", 2017): what has been taken and the state behind it are remembered together, and no pair is
// entered twice. Judging objects apart is from Horn and Kroening ("Faster Linearizability Checking via P-Compositionality", 2015).
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <unordered_map>
#include <utility>
#include <vector>

namespace verbex::linearizability {

inline constexpr uint64_t kNever = std::numeric_limits<uint64_t>::max();

template <typename Operation>
struct Timed {
    uint64_t call = 0;
    uint64_t end = kNever;  // kNever: no answer; the model takes any then
    Operation operation;
};

enum class Verdict : uint8_t { Linearizable, NotLinearizable, Unknown };

struct Judgement {
    Verdict verdict = Verdict::Unknown;
    uint64_t steps = 0;       // of the model
    size_t explained = 0;     // the most operations that one order explained
    size_t unexplained = 0;   // index in the history of an answered one that stopped that order
};

template <typename Model>
class Checker {
public:
    using State = typename Model::State;
    using History = std::vector<Timed<typename Model::Operation>>;

    explicit Checker(const History& history) : history_(history) { lay(); }

    Judgement check(uint64_t stepsMax = 20'000'000) {
        Judgement judgement;
        State state{};
        size_t at = next_[kHead];
        while (open_ != 0) {
            const Entry& entry = entries_[at];
            if (entry.isCall) {
                State after = state;
                judgement.steps++;
                if (Model::step(after, history_[entry.operation].operation) &&
                    enter(entry.operation, after)) {
                    taken_.push_back({at, std::move(state)});
                    state = std::move(after);
                    lift(at);
                    at = next_[kHead];
                } else {
                    at = next_[at];
                }
                if (judgement.steps > stepsMax) return judgement;
                continue;
            }
            // This one is over, and is not explained: what was taken last was wrong.
            if (taken_.size() >= judgement.explained) {
                judgement.explained = taken_.size();
                judgement.unexplained = entry.operation;
            }
            if (taken_.empty()) {
                judgement.verdict = Verdict::NotLinearizable;
                return judgement;
            }
            at = taken_.back().entry;
            state = std::move(taken_.back().before);
            taken_.pop_back();
            unlift(at);
            at = next_[at];
        }
        judgement.verdict = Verdict::Linearizable;
        judgement.explained = history_.size();
        return judgement;
    }

private:
    static constexpr size_t kHead = 0;

    struct Entry {
        size_t operation = 0;
        bool isCall = false;
        size_t match = 0;  // a call's end; 0: it has none
    };
    struct Taken {
        size_t entry;
        State before;
    };
    struct Known {
        std::vector<uint64_t> done;
        State state;
    };

    // Calls and ends by time, as a list that entries leave and come back to. At one instant calls come
    // first: operations that touch are concurrent.
    void lay() {
        std::vector<std::pair<uint64_t, std::pair<int, size_t>>> order;
        for (size_t i = 0; i < history_.size(); i++) {
            order.push_back({history_[i].call, {0, i}});
            if (history_[i].end != kNever) order.push_back({history_[i].end, {1, i}});
        }
        std::sort(order.begin(), order.end());
        entries_.resize(order.size() + 2);
        next_.resize(entries_.size());
        previous_.resize(entries_.size());
        std::vector<size_t> calls(history_.size());
        for (size_t i = 0; i < order.size(); i++) {
            const auto& [isEnd, operation] = order[i].second;
            entries_[i + 1] = {operation, isEnd == 0, 0};
            if (isEnd == 0) {
                calls[operation] = i + 1;
            } else {
                entries_[calls[operation]].match = i + 1;
                open_++;
            }
        }
        for (size_t i = 0; i < entries_.size(); i++) {
            next_[i] = i + 1;
            previous_[i] = i - 1;
        }
        // Behind everything: where no answer is missing the search ends before it gets here.
        entries_.back() = {history_.size(), false, 0};
        done_.assign(history_.size() / 64 + 1, 0);
    }

    void lift(size_t call) {
        unlink(call);
        if (const size_t end = entries_[call].match; end != 0) {
            unlink(end);
            open_--;
        }
    }
    void unlift(size_t call) {
        if (const size_t end = entries_[call].match; end != 0) {
            relink(end);
            open_++;
        }
        relink(call);
        flip(entries_[call].operation);
    }
    void unlink(size_t at) {
        next_[previous_[at]] = next_[at];
        previous_[next_[at]] = previous_[at];
    }
    void relink(size_t at) {
        next_[previous_[at]] = at;
        previous_[next_[at]] = at;
    }
    void flip(size_t operation) {
        done_[operation / 64] ^= uint64_t{1} << operation % 64;
        doneHash_ ^= (operation + 1) * 0x9e3779b97f4a7c15;
    }

    // Takes the operation in; false: what was taken and the state have been met together before.
    bool enter(size_t operation, const State& after) {
        flip(operation);
        std::vector<Known>& there = known_[doneHash_ * 31 + after.hash()];
        const bool met = std::any_of(there.begin(), there.end(), [&](const Known& each) {
            return each.done == done_ && each.state == after;
        });
        if (met) {
            flip(operation);
            return false;
        }
        there.push_back({done_, after});
        return true;
    }

    const History& history_;
    std::vector<Entry> entries_;
    std::vector<size_t> next_;
    std::vector<size_t> previous_;
    size_t open_ = 0;  // answered operations that no order explains yet
    std::vector<uint64_t> done_;
    uint64_t doneHash_ = 0;
    std::vector<Taken> taken_;
    std::unordered_map<uint64_t, std::vector<Known>> known_;
};

// A history of several objects, object by object.
template <typename Operation, typename KeyOf>
auto partition(const std::vector<Timed<Operation>>& history, KeyOf keyOf) {
    std::map<decltype(keyOf(history.front().operation)), std::vector<Timed<Operation>>> objects;
    for (const Timed<Operation>& each : history) objects[keyOf(each.operation)].push_back(each);
    return objects;
}

}  // namespace verbex::linearizability
