// The control store of a world of roles.
#include "roles/role_world.h"

namespace verbex::roles::test {

Store::View& Store::add() {
    views_.push_back(std::make_unique<View>(*this, views_.size()));
    return *views_.back();
}

bool Store::View::poll(replication::ControlAnswer& answer) {
    if (answers.empty()) return false;
    answer = std::move(answers.front());
    answers.pop_front();
    return true;
}

void Store::ask(Asked asked) {
    asked.at = world_.now_ + world_.below(30) * kStepNs;
    asked_.push_back(std::move(asked));
}

void Store::endOf(size_t node) {
    for (Asked& asked : asked_) {
        if (asked.node == node) asked.node = SIZE_MAX;
    }
    views_[node]->answers.clear();
}

void Store::step() {
    using Kind = replication::ControlAnswer::Kind;
    for (size_t i = 0; i < asked_.size();) {
        if (asked_[i].at > world_.now_) {
            i++;
            continue;
        }
        const Asked asked = std::move(asked_[i]);
        asked_.erase(asked_.begin() + static_cast<ptrdiff_t>(i));
        View* const view = asked.node == SIZE_MAX ? nullptr : views_[asked.node].get();
        if (view != nullptr && view->cut && world_.below(4) != 0) continue;  // lost on its way
        replication::ControlAnswer answer;
        answer.request = asked.request;
        answer.kind = !asked.swap                             ? Kind::Read
                      : asked.expected == record_.revision ? Kind::Swapped
                                                           : Kind::Conflict;
        if (answer.kind == Kind::Swapped) {
            record_ = {record_.revision + 1, asked.text};
            for (const auto& other : views_) {
                if (other->cut || other.get() == view || world_.below(4) == 0) continue;
                other->answers.push_back({Kind::Changed, 0, record_});
            }
        }
        answer.record = record_;
        if (view == nullptr || view->cut) continue;  // the answer is lost
        view->answers.push_back(std::move(answer));
    }
}

}  // namespace verbex::roles::test
