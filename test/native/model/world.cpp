#include "model/world.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace verbex::model {

namespace {

uint8_t sizeOf(const Set& set) {
    const auto isIn = [](uint8_t in) { return in != 0; };
    return static_cast<uint8_t>(std::count_if(set.begin(), set.end(), isIn));
}

uint8_t quorumOf(const Set& set) { return static_cast<uint8_t>(sizeOf(set) / 2 + 1); }

bool holdsMember(const State& state, const Set& set, uint8_t member) {
    return set[member] == state.members[member].incarnation + 1;
}

uint8_t bits(uint8_t mask) {
    uint8_t count = 0;
    for (; mask != 0; mask &= static_cast<uint8_t>(mask - 1)) ++count;
    return count;
}

// The last position that two logs have in common, by the epochs in which they say their entries
// are.
uint8_t common(const Log& a, const Log& b) {
    for (uint8_t p = std::min(a.size, b.size); p != 0; --p) {
        if (a.epochAt(p) == b.epochAt(p)) return p;
    }
    return 0;
}

// The log ends where the other one has an entry of the same epoch: so the next entry follows.
bool fits(const Log& log, const Log& leaders) {
    return log.size <= leaders.size && log.lastEpoch() == leaders.epochAt(log.size);
}

bool alive(const Term& term) { return term.phase == Phase::Adopted || term.phase == Phase::Active; }

// Two logs that hold an entry of the same epoch at the same position are equal up to there.
bool agree(const Log& a, const Log& b) {
    const uint8_t to = common(a, b);
    return std::equal(a.entries.begin(), a.entries.begin() + to, b.entries.begin());
}

}  // namespace

uint8_t Log::epochAt(uint8_t position) const {
    return position == 0 ? 0 : epochOf(entries[position - 1]);
}

bool Log::beginsWith(const Log& other) const {
    return other.size <= size &&
           std::equal(other.entries.begin(), other.entries.begin() + other.size, entries.begin());
}

void Log::cut(uint8_t to) {
    while (size > to) entries[--size] = 0;
}

// Epoch 1 is led by the first member of the sync set.
State World::first() const {
    State state;
    state.record.epoch = 1;
    for (uint8_t m = 0; m != options_.sync; ++m) {
        state.record.sync[m] = 1;
        state.members[m].promised = 1;
        state.members[m].lax = 1;
    }
    Term& term = state.term(1);
    term.phase = Phase::Active;
    term.config = state.record.sync;
    return state;
}

void World::next(const State& state, std::vector<Next>& into) const {
    for (uint8_t epoch = 1; epoch <= options_.epochs; ++epoch) {
        const Term& term = state.term(epoch);
        if (term.phase == Phase::None) continue;
        leaderActs(state, epoch, into);
        candidateActs(state, epoch, into);
        for (uint8_t m = 0; m != options_.members; ++m) {
            if (m != term.who) frames(state, epoch, m, into);
        }
    }
    for (uint8_t m = 0; m != options_.members; ++m) memberActs(state, m, into);
}

// ---- the leader

void World::leaderActs(const State& state, uint8_t epoch, std::vector<Next>& into) const {
    const Term& term = state.term(epoch);
    // A change that was asked for may take effect long after who asked for it is gone.
    if (term.swap == 1 && state.record.epoch == epoch && state.record.reserved == 0 &&
        state.record.sync == term.config) {
        State then = state;
        then.record.sync = term.pending;
        then.term(epoch).swap = 2;
        emit(into, std::move(then), {Act::Apply, epoch, term.who, 0}, nullptr);
    }
    if (term.phase != Phase::Active) return;
    if (term.log.size < options_.positions) {
        State then = state;
        const uint8_t life = is(Broken::LeadAgain) ? state.losses : 0;
        const Entry entry = static_cast<Entry>(epoch | life << 4);
        then.term(epoch).log.push(entry);
        then.members[term.who].log = then.term(epoch).log;
        emit(into, std::move(then), {Act::Append, epoch, term.who, 0}, nullptr);
    }
    for (uint8_t p = term.log.size; p > term.commit; --p) {
        if (term.log.epochAt(p) != epoch && !is(Broken::CommitOldEpoch)) break;
        if (is(Broken::ShrinkWithoutSwap) && term.swap != 0) {
            if (!holds(state, term.pending, p, term)) continue;
        } else {
            if (!holds(state, term.config, p, term)) continue;
            if (term.swap != 0 && !is(Broken::ChangeCountedOnceOnly) &&
                !holds(state, term.pending, p, term)) {
                continue;
            }
        }
        State then = state;
        then.term(epoch).commit = p;
        const char* wrong = commit(then, p, term.log);
        emit(into, std::move(then), {Act::Commit, epoch, term.who, p}, wrong);
        break;
    }
    if (term.swap == 2) {
        State then = state;
        Term& leader = then.term(epoch);
        leader.config = leader.pending;
        leader.pending = {};
        leader.swap = 0;
        emit(into, std::move(then), {Act::Learn, epoch, term.who, 0}, nullptr);
    }
    if (term.swap != 0 || state.changes == options_.changes) return;
    // What may be committed is committed in the new set too, before the change is asked for.
    const uint8_t base =
        is(Broken::ChangeByCommitOnly) ? term.commit : std::max(term.commit, term.adopted);
    for (uint8_t m = 0; m != options_.members; ++m) {
        if (m == term.who) continue;
        const bool grows = term.config[m] == 0;
        for (uint8_t life = 0; life != (grows ? kLives : 1); ++life) {
            if (grows && life > state.members[m].incarnation) break;
            Set wanted = term.config;
            wanted[m] = grows ? static_cast<uint8_t>(life + 1) : uint8_t{0};
            const bool early = grows && is(Broken::GrowBeforeAck);
            if (!early && !holds(state, wanted, base, term)) continue;
            State then = state;
            Term& leader = then.term(epoch);
            leader.pending = wanted;
            leader.swap = 1;
            ++then.changes;
            emit(into, std::move(then), {Act::Ask, epoch, m, grows}, nullptr);
        }
    }
}

// ---- the candidate

void World::candidateActs(const State& state, uint8_t epoch, std::vector<Next>& into) const {
    const Term& term = state.term(epoch);
    if (term.phase != Phase::Fencing && term.phase != Phase::Adopted) return;
    const Set& sync = term.config;  // of the record in which it has reserved its epoch
    for (uint8_t m = 0; m != kMembers; ++m) {
        const bool counted =
            is(Broken::FenceAnyIncarnation) ? sync[m] != 0 : holdsMember(state, sync, m);
        const bool answered = (term.answered >> m & 1) != 0;
        if (answered || !counted || state.members[m].promised > epoch) continue;
        State then = state;
        Term& candidate = then.term(epoch);
        candidate.answered |= static_cast<uint8_t>(1 << m);
        if (term.phase == Phase::Fencing) candidate.reports[m] = state.members[m].log;
        if (is(Broken::TruncateWhenFenced) && m != term.who) {
            then.members[m].log.cut(0);
            candidate.reports[m] = then.members[m].log;
        }
        if (m == term.who || !is(Broken::FenceWithoutPromise)) {
            const uint8_t lax = state.members[m].lax;
            promise(then, m, epoch);
            if (is(Broken::FenceBeforeDead) && m != term.who) then.members[m].lax = lax;
        }
        emit(into, std::move(then), {Act::Fence, epoch, m, 0}, nullptr);
    }
    const uint8_t answers = bits(term.answered);
    if (term.phase == Phase::Fencing) {
        const uint8_t all = static_cast<uint8_t>(sizeOf(sync) - quorumOf(sync) + 1);
        const uint8_t enough = static_cast<uint8_t>(is(Broken::FenceTooFew) ? all - 1 : all);
        if ((term.answered >> term.who & 1) == 0 || answers < enough) return;
        uint8_t best = term.who;
        for (uint8_t m = 0; m != kMembers && !is(Broken::AdoptShorterLog); ++m) {
            if ((term.answered >> m & 1) == 0) continue;
            const auto rank = [&](uint8_t who) {
                return std::pair(term.reports[who].lastEpoch(), term.reports[who].size);
            };
            if (rank(m) > rank(best)) best = m;
        }
        const Log& log = term.reports[best];
        for (uint8_t m = 0; m != kMembers && is(Broken::CutWhileAdopting); ++m) {
            const Log& own = state.members[term.who].log;
            if (m == term.who || (term.answered >> m & 1) == 0) continue;
            if (!fits(state.members[m].log, own)) sendCut(state, epoch, m, own, into);
        }
        // It has to be fetched, so it must still be there.
        if (!state.members[best].log.beginsWith(log)) return;
        State then = state;
        const char* wrong = cut(then, term.who, common(then.members[term.who].log, log));
        then.members[term.who].log = log;
        Term& candidate = then.term(epoch);
        candidate.phase = Phase::Adopted;
        candidate.log = log;
        candidate.adopted = log.size;
        emit(into, std::move(then), {Act::Adopt, epoch, term.who, best}, wrong);
        return;
    }
    if (state.record.reserved != epoch) return;
    Set wanted = sync;
    if (answers < quorumOf(sync)) {
        for (uint8_t m = 0; m != kMembers; ++m) {
            if ((term.answered >> m & 1) == 0) wanted[m] = 0;
        }
    }
    if (!is(Broken::ActivateBeforeSync) && !holds(state, wanted, term.adopted, term)) return;
    State then = state;
    then.record = {epoch, 0, wanted};
    Term& leader = then.term(epoch);
    leader.phase = Phase::Active;
    leader.config = wanted;
    const char* wrong = term.log.beginsWith(state.committed)
                            ? nullptr
                            : "a leader has not what an earlier one has committed";
    emit(into, std::move(then), {Act::Activate, epoch, term.who, 0}, wrong);
}

// ---- what arrives at a member of a leader or candidate

void World::frames(const State& state, uint8_t epoch, uint8_t m, std::vector<Next>& into) const {
    const Term& term = state.term(epoch);
    const Member& member = state.members[m];
    if (member.lax > epoch) return;
    if (term.phase == Phase::Fencing) {
        cuts(state, epoch, m, into);
        return;
    }
    const bool fit = fits(member.log, term.log);
    const auto heard = [&](State& then) {
        if (is(Broken::PromiseOnlyWhenFenced)) {
            leave(then, m, epoch);
        } else {
            promise(then, m, epoch);
        }
    };
    if (fit && member.log.size < term.log.size) {
        State then = state;
        heard(then);
        then.members[m].log.push(term.log.entries[member.log.size]);
        acknowledge(then, epoch, m);
        emit(into, std::move(then), {Act::Take, epoch, m, 0}, nullptr);
    }
    State hears = state;
    heard(hears);
    if (fit || is(Broken::AckUnverified)) acknowledge(hears, epoch, m);
    if (std::memcmp(&hears, &state, sizeof(State)) != 0) {
        emit(into, std::move(hears), {Act::Hear, epoch, m, 0}, nullptr);
    }
    if (alive(term) && member.promised == epoch && !fit) sendCut(state, epoch, m, term.log, into);
    cuts(state, epoch, m, into);
}

// Of a member's log that goes on otherwise than the leader's, and that the leader knows, so much is
// to stay.
void World::sendCut(const State& state, uint8_t epoch, uint8_t m, const Log& leaders,
                    std::vector<Next>& into) const {
    const uint8_t to = common(state.members[m].log, leaders);
    const uint8_t behind = to < leaders.size ? leaders.epochAt(to + 1) : uint8_t{0};
    const uint16_t frame = static_cast<uint16_t>(1 << (to * 4 + behind));
    if ((state.term(epoch).cuts[m] & frame) != 0) return;
    State then = state;
    then.term(epoch).cuts[m] |= frame;
    emit(into, std::move(then), {Act::SendCut, epoch, m, to}, nullptr);
}

void World::cuts(const State& state, uint8_t epoch, uint8_t m, std::vector<Next>& into) const {
    const Term& term = state.term(epoch);
    const Member& member = state.members[m];
    for (uint8_t bit = 0; bit != 16; ++bit) {
        if ((term.cuts[m] >> bit & 1) == 0) continue;
        const uint8_t to = bit / 4;
        if (to >= member.log.size) continue;
        // A cut says which epoch the leader's next entry has, so that one that comes late, when
        // that entry has been taken, or entries that this leader has made, does nothing.
        const uint8_t mine = member.log.epochAt(to + 1);
        if ((mine == bit % 4 || mine >= epoch) && !is(Broken::TruncateStale)) continue;
        State then = state;
        promise(then, m, epoch);
        const char* wrong = cut(then, m, is(Broken::TruncateByCommit) ? uint8_t{0} : to);
        emit(into, std::move(then), {Act::Cut, epoch, m, to}, wrong);
    }
}

// ---- what a member does of its own accord, or suffers

void World::memberActs(const State& state, uint8_t m, std::vector<Next>& into) const {
    const Member& member = state.members[m];
    const uint8_t epoch =
        static_cast<uint8_t>(std::max(state.record.epoch, state.record.reserved) + 1);
    if (epoch <= options_.epochs && holdsMember(state, state.record.sync, m)) {
        State then = state;
        leave(then, m, epoch);
        then.record.reserved = epoch;
        Term& term = then.term(epoch);
        term.phase = Phase::Fencing;
        term.who = m;
        term.config = state.record.sync;
        emit(into, std::move(then), {Act::Reserve, epoch, m, 0}, nullptr);
    }
    if (options_.durable && member.durable < member.log.size) {
        State then = state;
        then.members[m].durable = member.log.size;
        emit(into, std::move(then), {Act::Store, 0, m, 0}, nullptr);
    }
    const bool counted = !options_.durable && !is(Broken::VouchAfterRestart);
    if (state.losses < options_.losses && (!counted || member.incarnation + 1 < kLives)) {
        for (uint8_t k = options_.durable ? member.durable : uint8_t{0}; k < member.log.size; ++k) {
            State then = state;
            ++then.losses;
            Member& restarted = then.members[m];
            if (counted) {
                restarted.lost = restarted.log;
                ++restarted.incarnation;
            }
            restarted.log.cut(k);
            restarted.durable = std::min(restarted.durable, k);
            leave(then, m, kEpochs + 1);
            emit(into, std::move(then), {Act::Lose, 0, m, k}, nullptr);
        }
    }
    if (is(Broken::ForgetPromise) && member.promised != 0) {
        State then = state;
        then.members[m].promised = 0;
        then.members[m].lax = 0;
        leave(then, m, kEpochs + 1);
        emit(into, std::move(then), {Act::Restart, 0, m, 0}, nullptr);
    }
    const Term& term = state.term(state.record.epoch);
    if (is(Broken::LeadAgain) && term.phase == Phase::Over && term.who == m &&
        member.promised <= state.record.epoch) {
        State then = state;
        Term& leader = then.term(state.record.epoch);
        leader = {};
        leader.phase = Phase::Active;
        leader.who = m;
        leader.log = member.log;
        leader.adopted = member.log.size;
        leader.config = state.record.sync;
        emit(into, std::move(then), {Act::Restart, state.record.epoch, m, 0}, nullptr);
    }
}

// ---- rules

uint8_t World::ackedBy(const State& state, const Term& term, const Set& set, uint8_t member) const {
    if (set[member] == 0) return 0;
    if (member == term.who && holdsMember(state, set, member)) {
        const Member& leader = state.members[member];
        return options_.durable && !is(Broken::AckBeforeStore) ? leader.durable : leader.log.size;
    }
    const auto& acked = term.acked[member];
    return is(Broken::CountAnyIncarnation) ? *std::max_element(acked.begin(), acked.end())
                                           : acked[set[member] - 1];
}

bool World::holds(const State& state, const Set& set, uint8_t position, const Term& term) const {
    uint8_t count = 0;
    for (uint8_t m = 0; m != kMembers; ++m) {
        if (set[m] != 0 && ackedBy(state, term, set, m) >= position) ++count;
    }
    return count >= quorumOf(set);
}

// It leads nothing and stands for nothing below this epoch any more.
void World::leave(State& state, uint8_t member, uint8_t below) const {
    for (uint8_t epoch = 1; epoch <= kEpochs && epoch < below; ++epoch) {
        Term& term = state.term(epoch);
        if (term.phase != Phase::None && term.who == member) term.phase = Phase::Over;
    }
}

void World::promise(State& state, uint8_t member, uint8_t epoch) const {
    if (state.members[member].promised >= epoch) return;
    state.members[member].promised = epoch;
    state.members[member].lax = epoch;
    leave(state, member, epoch);
}

void World::acknowledge(State& state, uint8_t epoch, uint8_t m) const {
    const Member& member = state.members[m];
    uint8_t position = std::min(member.log.size, state.term(epoch).log.size);
    if (options_.durable && !is(Broken::AckBeforeStore)) {
        position = std::min(position, member.durable);
    }
    uint8_t& acked = state.term(epoch).acked[m][member.incarnation];
    acked = std::max(acked, position);
}

const char* World::commit(State& state, uint8_t position, const Log& log) const {
    Log prefix = log;
    prefix.cut(position);
    if (!prefix.beginsWith(state.committed) && !state.committed.beginsWith(prefix)) {
        return "two leaders have committed different entries at one position";
    }
    if (prefix.size > state.committed.size) state.committed = prefix;
    return nullptr;
}

const char* World::cut(State& state, uint8_t m, uint8_t to) const {
    Member& member = state.members[m];
    if (to >= member.log.size) return nullptr;
    const bool committed = to < common(member.log, state.committed);
    member.log.cut(to);
    member.durable = std::min(member.durable, to);
    return committed && !options_.seenOnly ? "a committed entry has been cut" : nullptr;
}

// What may never happen, in any state.
const char* World::check(const State& state) const {
    if (options_.seenOnly) return nullptr;
    const Set& sync = state.record.sync;
    uint8_t count = 0;
    for (uint8_t m = 0; m != kMembers; ++m) {
        if (sync[m] == 0) continue;
        const Member& member = state.members[m];
        const bool now = holdsMember(state, sync, m);
        const bool before = sync[m] == member.incarnation;
        if (now && member.log.beginsWith(state.committed)) ++count;
        if (before && member.lost.beginsWith(state.committed)) ++count;
    }
    if (count < quorumOf(sync)) {
        return "a committed entry is not at a quorum of the record's sync set";
    }
    for (uint8_t a = 0; a != kMembers; ++a) {
        for (uint8_t b = a + 1; b < kMembers; ++b) {
            if (!agree(state.members[a].log, state.members[b].log)) {
                return "two logs differ below an entry that both have";
            }
        }
    }
    return nullptr;
}

}  // namespace verbex::model
