// RiskProcess: the accounts of one risk shard: decides about their commands, and settles what becomes of them.
//
// Purpose: CorePart::Risk, driven by the sequencer's frames.
// Owner: node/role_host.h, or a test.
// Thread safety: none.
// Invariants:
//   1. Commands are decided in the order of positions. Behind a hazard nothing is, until it is resolved.
//   2. Settlement is done in the order in which it comes, which is that of positions.
#pragma once

#include <deque>

#include "roles/role_process.h"

namespace verbex::roles {

class RiskProcess final : public RoleProcess {
public:
    explicit RiskProcess(const RoleProcessOptions& options)
        : RoleProcess(PartKind::Risk, options) {}

    [[nodiscard]] uint64_t hazards() const { return hazards_; }

private:
    struct Waiting {
        Position at;
        Command command;
        uint32_t mustAsk;  // the capacities count: all ahead must be settled
    };
    bool onMessage(const RoleMessage& message) override;
    void onAttach() override;
    bool validate(const RoleMessage& message);
    void work();
    void decided(Position at, const Decision& decision);
    bool decide(const RoleMessage& message);
    bool settle(const RoleMessage& message);
    bool gather(const RoleMessage& message);
    bool carry(const RoleMessage& message);

    std::deque<Waiting> waiting_;
    bool inHazard_ = false;  // the first one that waits
    Position validated_ = 0;
    Position settled_ = 0;
    uint64_t hazards_ = 0;
    std::vector<Event> events_;
    std::vector<NumberedOrder> numbers_;
};

}  // namespace verbex::roles
