// RoleProcess: what risk and matching processes have in common: attaching to the sequencer, and being rebuilt.
//
//   attach() ─▶ Hello ─▶ Rebuild … Rebuilt ─▶ Join ─▶ Joined ─▶ the part's own messages
//
// Purpose: a process has no state of its own that lasts. On every link it replays the log with a whole core,
// proves by the chain of result hashes that it came to the same, and only then becomes its part.
// Owner: node/role_host.h, or a test.
// Thread safety: none.
// Invariants:
//   1. Before joined() it decides and matches nothing.
//   2. After failed() on a link it says nothing more on it; attach() begins anew.
// Requires: attach() for every new link; its frames in order.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "base/status.h"
#include "core/part.h"
#include "roles/channel.h"
#include "roles/mutants.h"
#include "roles/rebuild.h"

namespace verbex::roles {

struct RoleProcessOptions {
    CoreLimits limits;
    uint32_t riskShards = 1;
    uint32_t matchingShards = 1;
    uint32_t shard = 0;
    RoleMutant mutant = RoleMutant::None;
};

class RoleProcess {
public:
    virtual ~RoleProcess() = default;
    RoleProcess(const RoleProcess&) = delete;
    RoleProcess& operator=(const RoleProcess&) = delete;

    // A link to the sequencer is up.
    void attach();
    // ProtocolViolation, or what is wrong with the rebuilt state: the link is to be ended.
    Status onFrame(std::span<const std::byte> frame);
    [[nodiscard]] Channel& channel() { return *channel_; }

    [[nodiscard]] bool joined() const { return part_ != nullptr; }
    [[nodiscard]] Position position() const;  // replayed, or of the last message
    [[nodiscard]] const CorePart* part() const { return part_.get(); }
    [[nodiscard]] PartKind kind() const { return kind_; }
    [[nodiscard]] uint32_t shard() const { return options_.shard; }
    [[nodiscard]] uint64_t rebuilds() const { return rebuilds_; }

protected:
    RoleProcess(PartKind kind, const RoleProcessOptions& options);
    // Of this part's own kind. False: not understood.
    [[nodiscard]] virtual bool onMessage(const RoleMessage& message) = 0;
    virtual void onAttach() = 0;

    const RoleProcessOptions options_;
    std::unique_ptr<CorePart> part_;
    PayloadWriter writer_;

private:
    [[nodiscard]] Status dispatch(const RoleMessage& message);
    [[nodiscard]] bool rebuild(const RoleMessage& message);
    [[nodiscard]] Status join(const RoleMessage& message);

    const PartKind kind_;
    std::unique_ptr<Channel> channel_;
    std::unique_ptr<Rebuild> rebuild_;
    std::unique_ptr<CorePart> kept_;  // RoleMutant::SettlementSkipped
    std::vector<Command> commands_;
    Position position_ = 0;
    uint64_t rebuilds_ = 0;
};

}  // namespace verbex::roles
