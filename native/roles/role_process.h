// RoleProcess: what risk and matching processes have in common: attaching to the sequencer, and being rebuilt.
//
//   attach() ─▶ Hello ─▶ Begin ─▶ Rebuild … Rebuilt ─▶ Join ─▶ Joined ─▶ the part's own messages
//                                                                  └▶ Followed ◀▶ Follow: its shadow's
//
// Purpose: on every link it replays the log with a whole core, from the first position or from where its snapshots
// have one (role_snapshots.h), proves by the chain of result hashes that it came to the same, and only then becomes
// its part.
// Owner: node/role_host.h, or a test.
// Thread safety: none.
// Invariants:
//   1. Before joined() it decides and matches nothing.
//   2. After failed() on a link it says nothing more on it; attach() begins anew.
//   3. What the sequencer does not confirm is not used, and not offered again.
// Requires: attach() for every new link; its frames in order; report() now and then.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "base/status.h"
#include "core/part.h"
#include "roles/channel.h"
#include "roles/mutants.h"
#include "roles/rebuild.h"
#include "roles/role_snapshots.h"

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

    // Before anything else; they outlive it.
    void keep(RoleSnapshots& snapshots) { snapshots_ = &snapshots; }
    // Whether it is worth while to dial: it knows what it will begin with.
    [[nodiscard]] bool ready();
    // A link to the sequencer is up.
    void attach();
    // ProtocolViolation, or what is wrong with the rebuilt state: the link is to be ended. PositionLost: the sequencer
    // does not confirm the snapshot with which this link began; the next one begins with what there is beside it.
    Status onFrame(std::span<const std::byte> frame);
    [[nodiscard]] Channel& channel() { return *channel_; }
    // Says how far its shadow is, where that has changed.
    void report();

    [[nodiscard]] bool joined() const { return part_ != nullptr; }
    [[nodiscard]] Position position() const;  // replayed, or of the last message
    [[nodiscard]] const CorePart* part() const { return part_.get(); }
    [[nodiscard]] PartKind kind() const { return kind_; }
    [[nodiscard]] uint32_t shard() const { return options_.shard; }
    [[nodiscard]] uint64_t rebuilds() const { return rebuilds_; }
    // Of the core with which this link began; 0: with none.
    [[nodiscard]] Position base() const { return base_; }

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
    [[nodiscard]] Status begin(Position from);
    [[nodiscard]] bool follow(const RoleMessage& message);
    [[nodiscard]] bool atBase() const {
        return rebuild_ != nullptr && rebuild_->position() == base_;
    }
    [[nodiscard]] bool rebuild(const RoleMessage& message);
    [[nodiscard]] Status join(const RoleMessage& message);

    const PartKind kind_;
    std::unique_ptr<Channel> channel_;
    RoleSnapshots* snapshots_ = nullptr;
    std::unique_ptr<Rebuild> rebuild_;
    Position base_ = 0;
    bool begun_ = false;
    std::unique_ptr<CorePart> kept_;  // RoleMutant::SettlementSkipped
    std::vector<Command> commands_;
    Position position_ = 0;
    uint64_t rebuilds_ = 0;
};

}  // namespace verbex::roles
