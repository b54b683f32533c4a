// ControlService: the control store of a simulated cluster, and what each member sees of it.
//
// Purpose: linearizable underneath, as etcd is; above it answers are slow, lost or late, requests take
// effect after their asker has been told that nothing is known of them, changes are told or not.
// Every change of the record is checked for what only its leader, its candidate or an operator may change.
// Owner: the run.
// Thread safety: none.
// Invariants: those of replication/control_store.h.
// Requires: endOf(member) when its process ends.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "replication/configuration.h"
#include "replication/control_store.h"
#include "sim/cluster/network.h"

namespace verbex::sim {

using replication::Configuration;
using replication::MemberId;

class ControlService {
public:
    // What somebody is told of a change that has taken effect, before anybody else sees it.
    using OnChange = std::function<void(const Configuration& before, const Configuration& after)>;
    using OnProblem = std::function<void(const std::string&)>;

    ControlService(Timeline& timeline, Random random, const ClusterPlan& plan, const Network& network);
    ~ControlService();
    void watch(OnChange onChange, OnProblem onProblem) {
        onChange_ = std::move(onChange);
        onProblem_ = std::move(onProblem);
    }
    // Called when an answer waits for a member.
    void wakes(std::function<void(MemberId)> wake) { wake_ = std::move(wake); }

    [[nodiscard]] replication::ControlStore& of(MemberId member);
    void endOf(MemberId member);
    void away(bool away) { away_ += away ? 1 : -1; }
    void heal();
    // Another store, which has nothing. Requires: nobody runs that knew the old one.
    void forget();

    [[nodiscard]] const Configuration& record() const { return configuration_; }
    [[nodiscard]] uint64_t revision() const { return record_.revision; }

private:
    class View;
    struct Request {
        MemberId member = 0;
        uint64_t life = 0;
        uint64_t request = 0;
        bool swap = false;
        uint64_t expected = 0;
        std::string text;
        uint64_t store = 0;  // that was asked
    };
    void ask(Request request);
    replication::ControlAnswer apply(const Request& request);
    void change(const Request& request, const Configuration& wanted);
    void answer(const Request& request, replication::ControlAnswer answer);
    [[nodiscard]] bool reaches(MemberId member) const;
    uint64_t delay() { return plan_.storeNs + random_.below(plan_.storeSpreadNs + 1); }

    Timeline& timeline_;
    Random random_;
    const ClusterPlan& plan_;
    const Network& network_;
    OnChange onChange_;
    OnProblem onProblem_;
    std::function<void(MemberId)> wake_;
    uint64_t store_ = 1;
    bool perfect_ = false;
    int away_ = 0;
    replication::ControlRecord record_;
    Configuration configuration_;
    std::map<MemberId, std::unique_ptr<View>> views_;
};

}  // namespace verbex::sim
