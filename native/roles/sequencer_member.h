// SequencerMember: one of the sequencers of a deployment: a member of a cluster whose log is replicated, and, while it
// leads, the sequencer over that log.
//
//      peers ◀──frames──▶ ┌──────────── SequencerMember ────────────┐ ◀──frames──▶ risk, matching
//    control ◀──────────▶ │ Member: log, epochs, sync set           │
//                         │   ├ leads ─▶ Sequencer, its clients     │ ◀──frames──▶ clients
//                         │   └ SequencerShadow: what is released   │
//                         └─────────────────────────────────────────┘
//
// Purpose: the dispatcher pair. Replication is that of native/replication, whose executor keeps account of the log
// only: what is in the log is what members vote on. The sequencer is made when the member leads and all of its log is
// committed, and is destroyed when it leads no more; there is never more of it than the log says. It begins with what the
// shadow has replayed of that log meanwhile.
// Owner: node/role_host.h, or a test.
// Thread safety: none, but member().log().syncNow() and prepareNow(), which another thread may call, and what shadow()
// leaves to one.
// Invariants:
//   1. There is a sequencer only while the member leads, in one term; what it calls stored is what that term has
//      committed and the sync set has voted on.
//   2. It begins behind an entry of its own term, when everything up to there is committed: nothing that it finds in
//      the log can be cut.
//   3. Roles and clients are let in only while there is one, and their links end with it.
//   4. Time decides only when it lets go: who leads without hearing a quorum keeps nobody from the one that does.
//   5. The shadow is fed what this member has released, which no cut takes back, and begins with a snapshot only where
//      the log has the same result there, of what is released.
// Requires: shadow().workNow() by somebody, as often as it is wanted;
// storage, wires, links and control store outlive it; step() often, and at nextTimer() at the latest.
#pragma once

#include <memory>
#include <set>
#include <span>

#include "replication/member.h"
#include "roles/sequencer.h"
#include "roles/sequencer_clients.h"

namespace verbex::roles {

struct SequencerMemberOptions {
    SequencerOptions sequencer;
    replication::MemberOptions member;   // limits, executor and snapshots are this class's to say
    uint64_t letGoNs = 1'000'000'000;    // without a quorum for so long, it lets roles and clients go
    // A snapshot is taken at the first mark so many commands behind the last one, in the folder `state` of its data; 0:
    // none, and one that leads has no shadow.
    uint64_t snapshotEvery = 1u << 20;
};

class SequencerMember {
public:
    // Errors: what Member::open() says; Refused where the folder holds a journal of a sequencer that had no members.
    static Result<std::unique_ptr<SequencerMember>> open(const SequencerMemberOptions& options,
                                                         journal::Storage& storage,
                                                         RoleLinks& links,
                                                         replication::Wires& wires,
                                                         replication::ControlStore& control,
                                                         RoleMoment now);
    ~SequencerMember();
    SequencerMember(const SequencerMember&) = delete;
    SequencerMember& operator=(const SequencerMember&) = delete;

    // ---- other sequencers
    void onPeer(replication::MemberId from, std::span<const std::byte> frame, RoleMoment now);
    // ---- risk and matching; a link is closed at once where there is no sequencer for it
    void onAttached(LinkId link);
    void onRole(LinkId link, std::span<const std::byte> frame);
    void onRoleClosed(LinkId link);
    // ---- clients, by numbers from replication::kFirstClient on
    void onClient(replication::NodeId client, std::span<const std::byte> frame);
    void onClientClosed(replication::NodeId client);

    // False: nothing was to do.
    bool step(RoleMoment now);
    [[nodiscard]] uint64_t nextTimer() const;
    // The disk has failed: it takes no part any more.
    void fail(const Status& why);
    // Everything stored durably and noted. Then nothing but destruction may follow.
    Status close();

    [[nodiscard]] SequencerStatus status() const;
    [[nodiscard]] replication::Member& member() { return *member_; }
    [[nodiscard]] SequencerShadow& shadow() { return *shadow_; }
    // Null: this member does not lead, or is not ready to.
    [[nodiscard]] Sequencer* sequencer() {
        return sequencer_ != nullptr && sequencer_->ready() ? sequencer_.get() : nullptr;
    }

private:
    class Log;
    explicit SequencerMember(const SequencerMemberOptions& options, RoleLinks& links,
                             replication::Wires& wires);
    [[nodiscard]] bool mayLead() const;
    // All that is in its log is committed, voted on, and behind the entry that began its term.
    [[nodiscard]] bool ownsLog() const;
    bool attendShadow(uint64_t nowNs);
    void judgeShadow();
    bool feedShadow(uint64_t nowNs);
    void begin(RoleMoment now);
    void letGo();

    const SequencerMemberOptions options_;
    RoleLinks& links_;
    replication::Wires& wires_;
    replication::FrameBuffer buffer_;
    std::unique_ptr<replication::Member> member_;
    std::unique_ptr<Log> log_;
    std::unique_ptr<Sequencer> sequencer_;
    std::unique_ptr<SequencerClients> clients_;
    std::set<LinkId> roleLinks_;                    // of the sequencer that there is
    std::set<replication::NodeId> clientLinks_;
    std::unique_ptr<SequencerShadow> shadow_;
    uint64_t fedAt_ = 0;
    Status trouble_;                                // why there will be no sequencer here
    uint64_t steppedAt_ = 0;
};

}  // namespace verbex::roles
