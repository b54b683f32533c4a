// PartitionWorld: a cluster whose members, traders and load live in places of their own, and everybody who watches.
//
//      place 1 … n: a member and its watcher        n + 1: a desk and the load       n + 2: another desk
//
// Purpose: what is cut, who goes on meanwhile, and afterwards whether all that anybody was told fits together.
// Owner: a test.
// Thread safety: one thread.
// Invariants: findProblems() says nothing about a cluster in which all goes right.
// Requires: Places.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cluster_world.h"
#include "load/cluster_load.h"
#include "places.h"
#include "release_watcher.h"
#include "trading_desk.h"

namespace verbex::node::cluster_world {

class PartitionWorld {
public:
    PartitionWorld(Places& places, uint32_t members, Mutant mutant = Mutant::None);
    ~PartitionWorld();

    [[nodiscard]] Cluster& cluster() { return *cluster_; }
    [[nodiscard]] Places& places() { return places_; }
    [[nodiscard]] TradingDesk& desk(uint32_t number) { return *desks_[number - 1]; }
    [[nodiscard]] uint32_t members() const { return members_; }
    // Places of the desks; the load is where the first one is.
    [[nodiscard]] uint32_t deskPlace(uint32_t number) const { return members_ + number; }
    void cutMembers(MemberId one, MemberId other) { places_.cut(one, other); }

    // All members are in the record, one leads. Then load and desks begin.
    [[nodiscard]] bool begin();
    // Looks at all members until `is`; false: patience is over.
    [[nodiscard]] bool until(const std::function<bool()>& is);
    // Until the desks that are named, and the load, have had so many more answers.
    [[nodiscard]] bool answers(const std::vector<uint32_t>& desks, uint64_t count);
    // For so long, whatever happens.
    void passes(std::chrono::milliseconds time);
    void killAndStart(MemberId id);
    void watch(MemberId id);

    // Everybody stops asking and waits for what is open; members and watchers come to the same end.
    [[nodiscard]] bool finish();
    // Ends the watchers where they are. Before findDifferences(), where finish() was not called.
    void stopWatching();
    // Members that have let out different things at one position, a sentence each.
    [[nodiscard]] std::vector<std::string> findDifferences() const;
    // All that may not have happened. After finish().
    [[nodiscard]] std::vector<std::string> findProblems() const;
    [[nodiscard]] linearizability::BookHistory history() const;
    [[nodiscard]] std::string summary() const;
    [[nodiscard]] const load::ClusterVerdict& verdict() const { return verdict_; }

private:
    struct Led {
        std::set<MemberId> by;
        Position released = 0;
        Position commit = 0;
    };
    void look();
    void startLoad();
    void stopLoad();

    Places& places_;
    const uint32_t members_;
    std::unique_ptr<Cluster> cluster_;
    std::vector<std::unique_ptr<ReleaseWatcher>> watchers_;
    std::vector<std::unique_ptr<TradingDesk>> desks_;
    std::unique_ptr<load::ClusterLoad> load_;
    std::thread loadThread_;
    std::optional<load::ClusterLoadResult> loaded_;
    load::ClusterVerdict verdict_;
    std::map<Epoch, Led> led_;
    Position end_ = 0;  // up to here everybody has let out everything
};

}  // namespace verbex::node::cluster_world
