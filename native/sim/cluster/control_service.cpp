#include "sim/cluster/control_service.h"

namespace verbex::sim {

using replication::ControlAnswer;
using replication::ControlRecord;
using Kind = replication::ControlAnswer::Kind;

class ControlService::View final : public replication::ControlStore {
public:
    View(ControlService& service, MemberId member) : service_(service), member_(member) {}

    void read(uint64_t request) override { service_.ask({member_, life, request, false, 0, {}}); }
    void compareAndSwap(uint64_t request, uint64_t expected, const std::string& text) override {
        service_.ask({member_, life, request, true, expected, text});
    }
    bool poll(ControlAnswer& answer) override {
        if (waiting.empty()) return false;
        answer = std::move(waiting.front());
        waiting.pop_front();
        return true;
    }

    std::deque<ControlAnswer> waiting;
    uint64_t life = 1;

private:
    ControlService& service_;
    const MemberId member_;
};

ControlService::ControlService(Timeline& timeline, Random random, const ClusterPlan& plan,
                               const Network& network)
    : timeline_(timeline), random_(random), plan_(plan), network_(network) {}

ControlService::~ControlService() = default;

replication::ControlStore& ControlService::of(MemberId member) {
    std::unique_ptr<View>& view = views_[member];
    if (view == nullptr) view = std::make_unique<View>(*this, member);
    return *view;
}

void ControlService::endOf(MemberId member) {
    (void)of(member);
    views_[member]->life++;
    views_[member]->waiting.clear();
}

void ControlService::heal() {
    perfect_ = true;
    away_ = 0;
}

void ControlService::forget() {
    store_++;
    record_ = {};
    configuration_ = {};
}

bool ControlService::reaches(MemberId member) const {
    return away_ == 0 && !network_.isCut(member, kStoreNode) && !network_.isCut(kStoreNode, member);
}

void ControlService::ask(Request request) {
    request.store = store_;
    timeline_.fold(request.request << 8 | request.member);
    const ControlAnswer unknown{Kind::Unknown, request.request, {}};
    // What a client library says when its deadline passes.
    const uint64_t deadline = 200 * kMillis + delay();
    if (!reaches(request.member)) {
        timeline_.after(deadline, [this, request, unknown] { answer(request, unknown); });
        return;
    }
    const bool lost = !perfect_ && random_.chance(plan_.storeLostRate);
    if (lost && random_.coin()) {
        // It has not even arrived.
        timeline_.after(deadline, [this, request, unknown] { answer(request, unknown); });
        return;
    }
    const bool late = !perfect_ && random_.chance(plan_.storeLateRate);
    if (late) timeline_.after(deadline, [this, request, unknown] { answer(request, unknown); });
    const uint64_t arrives = late ? deadline + random_.below(400 * kMillis) : delay();
    timeline_.after(arrives, [this, request = std::move(request), unknown, lost, late, deadline] {
        ControlAnswer found = apply(request);
        if (late) return;
        if (lost || !reaches(request.member)) {
            timeline_.after(deadline, [this, request, unknown] { answer(request, unknown); });
        } else {
            timeline_.after(delay(), [this, request, found = std::move(found)] {
                answer(request, found);
            });
        }
    });
}

void ControlService::answer(const Request& request, ControlAnswer answer) {
    View& view = *views_[request.member];
    if (view.life != request.life) return;
    timeline_.fold(static_cast<uint64_t>(answer.kind) << 8 | request.member);
    view.waiting.push_back(std::move(answer));
    wake_(request.member);
}

ControlAnswer ControlService::apply(const Request& request) {
    if (request.store != store_) return {Kind::Unknown, request.request, {}};
    ControlAnswer answer{Kind::Read, request.request, record_};
    if (!request.swap) return answer;
    if (request.expected != record_.revision) {
        answer.kind = Kind::Conflict;
        if (random_.coin()) answer.record = {};
        return answer;
    }
    Result<Configuration> parsed = Configuration::parse(request.text);
    if (!parsed.isOk()) {
        onProblem_("member " + std::to_string(request.member) +
                   " writes a record that is none: " + parsed.status().toString());
        return answer;
    }
    if (parsed.value().text() != request.text) onProblem_("a record's text is not canonical");
    record_ = {record_.revision + 1, request.text};
    answer.kind = Kind::Swapped;
    answer.record = record_;
    timeline_.fold(record_.revision);
    change(request, parsed.value());
    for (const auto& [member, view] : views_) {
        if (member == request.member || !reaches(member)) continue;
        if (!perfect_ && random_.chance(plan_.storeDeafRate)) continue;
        const Request told{member, view->life, 0, false, 0, {}};
        timeline_.after(delay(), [this, told, record = record_] {
            this->answer(told, {Kind::Changed, 0, record});
        });
    }
    return answer;
}

// What no change may do, whoever asks for it.
void ControlService::change(const Request& request, const Configuration& after) {
    const Configuration before = configuration_;
    configuration_ = after;
    const std::string who = "member " + std::to_string(request.member);
    if (after.epoch < before.epoch) onProblem_(who + " sets the record's epoch back");
    if (after.epoch == before.epoch && before.epoch != 0 && after.leader != before.leader) {
        onProblem_(who + " gives epoch " + std::to_string(after.epoch) + " a second leader");
    }
    if (after.epoch != before.epoch) {
        if (before.reservedEpoch != after.epoch || before.candidate != after.leader) {
            onProblem_(who + " activates epoch " + std::to_string(after.epoch) +
                       ", which is not reserved for its leader");
        }
        if (after.leader != request.member) onProblem_(who + " activates another member");
    }
    if (after.reservedEpoch != 0 && after.reservedEpoch < before.reservedEpoch) {
        onProblem_(who + " reserves an epoch below one that is reserved");
    }
    if (after.reservedEpoch != 0 && after.reservedEpoch == before.reservedEpoch &&
        after.candidate != before.candidate) {
        onProblem_(who + " reserves epoch " + std::to_string(after.reservedEpoch) +
                   ", which another member has reserved");
    }
    if (after.sync.empty()) onProblem_(who + " leaves no member in the sync set");
    onChange_(before, after);
}

}  // namespace verbex::sim
