#include "model/explorer.h"

#include <algorithm>
#include <cstring>

namespace verbex::model {

namespace {

uint64_t hashOf(const State& state) {
    std::array<uint64_t, (sizeof(State) + 7) / 8> words{};
    std::memcpy(words.data(), &state, sizeof(State));
    uint64_t hash = 0x9e3779b97f4a7c15;
    for (const uint64_t word : words) {
        hash = (hash ^ word) * 0xff51afd7ed558ccd;
        hash ^= hash >> 32;
    }
    return hash == 0 ? 1 : hash;
}

// Open addressing, no deletion; 0 is free.
class Seen {
public:
    Seen() : slots_(size_t{1} << 16) {}
    bool insert(uint64_t hash) {
        if (2 * (count_ + 1) > slots_.size()) grow();
        if (!place(hash)) return false;
        ++count_;
        return true;
    }

private:
    bool place(uint64_t hash) {
        const size_t mask = slots_.size() - 1;
        size_t i = static_cast<size_t>(hash) & mask;
        for (; slots_[i] != 0; i = (i + 1) & mask) {
            if (slots_[i] == hash) return false;
        }
        slots_[i] = hash;
        return true;
    }
    void grow() {
        std::vector<uint64_t> old(slots_.size() * 2);
        old.swap(slots_);
        for (const uint64_t hash : old) {
            if (hash != 0) (void)place(hash);
        }
    }
    std::vector<uint64_t> slots_;
    size_t count_ = 0;
};

struct Came {
    uint32_t from = 0;
    Step step;
    std::array<uint8_t, kMembers> renamed{};
};

}  // namespace

Explored explore(const WorldOptions& options, uint64_t statesMax) {
    const World world(options);
    Explored result;
    Seen seen;
    std::vector<Came> came{{}};
    std::vector<State> frontier{world.first()};
    std::vector<uint32_t> ids{0};
    std::vector<State> nextFrontier;
    std::vector<uint32_t> nextIds;
    std::vector<Next> nexts;
    seen.insert(hashOf(frontier.front()));
    while (!frontier.empty()) {
        for (size_t i = 0; i != frontier.size(); ++i) {
            nexts.clear();
            world.next(frontier[i], nexts);
            for (const Next& next : nexts) {
                if (!seen.insert(hashOf(next.state))) continue;
                ++result.acts[static_cast<size_t>(next.step.act)];
                came.push_back({ids[i], next.step, next.renamed});
                const uint32_t id = static_cast<uint32_t>(came.size() - 1);
                result.committed = std::max(result.committed, next.state.committed.size);
                result.epochs = std::max(result.epochs, next.state.record.epoch);
                if (next.wrong != nullptr) {
                    result.wrong = next.wrong;
                    std::vector<uint32_t> path;
                    for (uint32_t at = id; at != 0; at = came[at].from) path.push_back(at);
                    std::array<uint8_t, kMembers> names{0, 1, 2, 3};  // of who is called so now
                    for (auto at = path.rbegin(); at != path.rend(); ++at) {
                        result.way.push_back(World::describe(came[*at].step, names));
                        std::array<uint8_t, kMembers> then{};
                        for (uint8_t m = 0; m != kMembers; ++m) {
                            then[came[*at].renamed[m]] = names[m];
                        }
                        names = then;
                    }
                    result.states = came.size();
                    return result;
                }
                nextFrontier.push_back(next.state);
                nextIds.push_back(id);
            }
            if (came.size() > statesMax) {
                result.states = came.size();
                return result;
            }
        }
        frontier.swap(nextFrontier);
        ids.swap(nextIds);
        nextFrontier.clear();
        nextIds.clear();
        ++result.depth;
    }
    result.states = came.size();
    result.complete = true;
    return result;
}

}  // namespace verbex::model
