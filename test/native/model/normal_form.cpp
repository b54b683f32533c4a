// States as they are kept: what can have no effect is forgotten, members have no names of their
// own.
#include <algorithm>
#include <cstring>

#include "model/world.h"

namespace verbex::model {

namespace {

// Nobody listens to its leader any more.
bool isForgotten(const Term& term) {
    return term.phase == Phase::Over && term.log.size == 0 && term.swap == 0;
}

template <typename T>
void rename(std::array<T, kMembers>& of, const std::array<uint8_t, kMembers>& renamed) {
    const std::array<T, kMembers> was = of;
    for (uint8_t m = 0; m != kMembers; ++m) of[renamed[m]] = was[m];
}

void rename(State& state, const std::array<uint8_t, kMembers>& renamed) {
    rename(state.record.sync, renamed);
    rename(state.members, renamed);
    for (Term& term : state.terms) {
        if (term.phase == Phase::None) continue;
        term.who = renamed[term.who];
        uint8_t answered = 0;
        for (uint8_t m = 0; m != kMembers; ++m) {
            if ((term.answered >> m & 1) != 0) answered |= static_cast<uint8_t>(1 << renamed[m]);
        }
        term.answered = answered;
        rename(term.config, renamed);
        rename(term.pending, renamed);
        rename(term.reports, renamed);
        rename(term.acked, renamed);
        rename(term.cuts, renamed);
    }
}

}  // namespace

// What can have no effect any more is forgotten, so that states which differ only there are one.
void World::tidy(State& state) const {
    for (uint8_t epoch = 1; epoch <= kEpochs; ++epoch) {
        Term& term = state.term(epoch);
        if (term.phase == Phase::None) continue;
        bool heard = false;
        for (uint8_t m = 0; m != options_.members; ++m) {
            if (m == term.who) continue;
            if (state.members[m].lax <= epoch) {
                heard = true;
            } else {
                term.cuts[m] = 0;
            }
        }
        if (term.phase != Phase::Fencing) term.reports = {};
        if (term.phase == Phase::Active || term.phase == Phase::Over) term.answered = 0;
        if (term.phase != Phase::Over) continue;
        term.acked = {};
        term.adopted = 0;
        term.commit = 0;
        const bool pending = term.swap == 1 && state.record.epoch == epoch &&
                             state.record.reserved == 0 && state.record.sync == term.config;
        if (!pending) {
            term.config = {};
            term.pending = {};
            term.swap = 0;
        }
        if (!heard) {
            term.log = {};
            term.cuts = {};
        }
    }
    for (uint8_t m = 0; m != kMembers; ++m) {
        const uint8_t before = state.members[m].incarnation;
        bool named = state.record.sync[m] == before;
        for (const Term& term : state.terms) {
            named = named || term.config[m] == before || term.pending[m] == before ||
                    (before != 0 && term.acked[m][before - 1] != 0);
        }
        if (!named) state.members[m].lost = {};
    }
}

void World::emit(std::vector<Next>& into, State&& state, Step step, const char* wrong) const {
    tidy(state);
    Next next;
    next.step = step;
    next.wrong = wrong != nullptr ? wrong : check(state);
    // Members have no names but by what they do: the record's leader is the first, and of all ways
    // to name the others one is chosen. (A leader that is forgotten is named 0 whoever it was.)
    const uint8_t leader = state.term(state.record.epoch).who;
    std::array<uint8_t, kMembers> order{};  // who gets the names 0, 1 …
    order[0] = leader;
    for (uint8_t m = 0, at = 1; m != kMembers; ++m) {
        if (m != leader) order[at++] = m;
    }
    bool isFirst = true;
    do {
        std::array<uint8_t, kMembers> renamed{};
        for (uint8_t name = 0; name != kMembers; ++name) renamed[order[name]] = name;
        State named = state;
        rename(named, renamed);
        for (uint8_t epoch = 1; epoch <= kEpochs; ++epoch) {
            Term& term = named.term(epoch);
            if (isForgotten(term) && epoch != named.record.epoch) term.who = 0;
        }
        if (isFirst || std::memcmp(&named, &next.state, sizeof(State)) < 0) {
            next.state = named;
            next.renamed = renamed;
        }
        isFirst = false;
    } while (std::next_permutation(order.begin() + 1, order.begin() + options_.members));
    into.push_back(next);
}

std::string World::describe(const Step& step, const std::array<uint8_t, kMembers>& names) {
    static constexpr std::array<const char*, kActs> kWords = {
        "appends",
        "takes the next entry of",
        "hears",
        "is sent a cut",
        "cuts",
        "reserves",
        "is fenced by",
        "adopts a log",
        "activates",
        "commits up to",
        "is to leave or join, asks the leader",
        "'s change takes effect",
        "learns of its change",
        "loses its tail from",
        "stores its log",
        "restarts",
    };
    std::string text(1, static_cast<char>('A' + names[step.member]));
    text += std::string(" ") + kWords[static_cast<size_t>(step.act)];
    if (step.epoch != 0) text += " (epoch " + std::to_string(step.epoch) + ")";
    if (step.act == Act::Commit || step.act == Act::Cut || step.act == Act::Lose) {
        text += " " + std::to_string(step.detail);
    }
    return text;
}

}  // namespace verbex::model
