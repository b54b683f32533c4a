// MatchingProcess: the books of one matching shard: matches what was decided, and ends what ends by itself.
//
// Purpose: CorePart::Matching, driven by the sequencer's frames.
// Owner: node/role_host.h, or a test.
// Thread safety: none.
// Invariants:
//   1. Commands are matched in the order in which they come, which is that of positions.
#pragma once

#include "roles/role_process.h"

namespace verbex::roles {

class MatchingProcess final : public RoleProcess {
public:
    explicit MatchingProcess(const RoleProcessOptions& options)
        : RoleProcess(PartKind::Matching, options) {}

private:
    bool onMessage(const RoleMessage& message) override;
    void onAttach() override { matched_ = 0; }
    bool match(const RoleMessage& message);
    bool look(const RoleMessage& message);
    bool gather(const RoleMessage& message);
    bool sweep(const RoleMessage& message);
    bool carry(const RoleMessage& message);
    bool renumber(const RoleMessage& message);

    Position matched_ = 0;
    MatchedEvents out_;
    std::vector<SweepKey> keys_;
    std::vector<NumberedOrder> numbers_;
};

}  // namespace verbex::roles
