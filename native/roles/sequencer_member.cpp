#include "roles/sequencer_member.h"

#include <algorithm>
#include <utility>

#include "journal/segment.h"

namespace verbex::roles {

using replication::Answered;
using replication::EntryHeader;
using replication::Epoch;
using replication::Member;
using replication::MemberId;
using replication::MemberLog;
using replication::Moment;
using replication::NodeId;
using replication::Replica;

namespace {

// Entries whose account is kept for members that are behind; each is an event.
constexpr uint32_t kEntriesKept = 1u << 14;
// What the shadow gets at once, and how much of it in a step: what trades goes first.
constexpr size_t kShadowBytes = 48u << 10;
constexpr Position kShadowCommands = 512;
constexpr uint32_t kShadowPieces = 4;

Moment momentOf(RoleMoment now) { return {now.steadyNs, now.wallNs}; }

}  // namespace

// The log of one term: when that is over it takes nothing, and nothing more of it is called stored.
class SequencerMember::Log final : public SequencerLog {
public:
    Log(Member& member, RoleMutant mutant)
        : member_(member), term_(member.replica().term()), mutant_(mutant) {}

    bool append(std::span<const std::byte> payload, uint32_t count, EntryHeader& header) override {
        return leads() && member_.replica().append(payload, count, header);
    }
    [[nodiscard]] Position stored() const override {
        if (mutant_ == RoleMutant::ReleaseBeforeReplicated) return member_.log().written();
        if (leads() || mutant_ == RoleMutant::StaleSequencer) stored_ = member_.outputs().released();
        return stored_;
    }
    [[nodiscard]] MemberLog& entries() override { return member_.log(); }
    [[nodiscard]] bool leads() const {
        const Replica& replica = member_.replica();
        return replica.leads() && replica.term() == term_;
    }
    [[nodiscard]] Epoch term() const { return term_; }

private:
    Member& member_;
    const Epoch term_;
    const RoleMutant mutant_;
    mutable Position stored_ = 0;
};

SequencerMember::SequencerMember(const SequencerMemberOptions& options, RoleLinks& links,
                                 replication::Wires& wires)
    : options_(options), links_(links), wires_(wires) {}

SequencerMember::~SequencerMember() = default;

Result<std::unique_ptr<SequencerMember>> SequencerMember::open(
    const SequencerMemberOptions& options, journal::Storage& storage, RoleLinks& links,
    replication::Wires& wires, replication::ControlStore& control, RoleMoment now) {
    std::unique_ptr<SequencerMember> opened(new SequencerMember(options, links, wires));
    replication::MemberOptions member = options.member;
    member.limits = options.sequencer.limits;
    member.replica.executor.logOnly = true;
    member.replica.executor.scrubNs = 0;
    member.replica.executor.markEvery = options.sequencer.markEvery;
    member.outputEvents = kEntriesKept;
    member.snapshots = {};
    // One alone waits for no others, and so need not be as careful as one that has lost them.
    const size_t others = std::max<size_t>(1, member.replica.members.size());
    member.replica.hotWanted = std::min(member.replica.hotWanted, static_cast<uint32_t>(others));
    VERBEX_RETURN_IF_FAILED(storage.createDirectory(member.data));
    Result<std::vector<journal::SegmentName>> old = journal::listSegments(storage, member.data);
    if (!old.isOk()) return old.status();
    if (!old.value().empty()) {
        return Status(StatusCode::Refused,
                      member.data + " holds the journal of a sequencer without members, which an earlier "
                                    "program has written: it is not taken over");
    }
    Result<std::unique_ptr<Member>> made =
        Member::open(member, storage, wires, control, momentOf(now));
    if (!made.isOk()) return made.status();
    opened->member_ = made.take();
    SequencerShadowOptions shadow;
    shadow.replay = options.sequencer.replay();
    shadow.deployment = options.member.cluster;
    shadow.directory = journal::joinPath(member.data, "state");
    shadow.everyCommands = options.snapshotEvery;
    Result<std::unique_ptr<SequencerShadow>> kept = SequencerShadow::open(storage, shadow);
    if (!kept.isOk()) return kept.status();
    opened->shadow_ = kept.take();
    opened->steppedAt_ = now.steadyNs;
    return opened;
}

// ---- frames

void SequencerMember::onPeer(MemberId from, std::span<const std::byte> frame, RoleMoment now) {
    member_->onFrame(from, frame, momentOf(now));
}

void SequencerMember::onAttached(LinkId link) {
    if (sequencer() == nullptr) return links_.close(link);
    roleLinks_.insert(link);
    sequencer_->onAttached(link);
}

void SequencerMember::onRole(LinkId link, std::span<const std::byte> frame) {
    if (sequencer_ != nullptr && roleLinks_.contains(link)) sequencer_->onFrame(link, frame);
}

void SequencerMember::onRoleClosed(LinkId link) {
    if (roleLinks_.erase(link) != 0 && sequencer_ != nullptr) sequencer_->onClosed(link);
}

void SequencerMember::onClient(NodeId client, std::span<const std::byte> frame) {
    if (sequencer() != nullptr) {
        clientLinks_.insert(client);
        clients_->onFrame(client, frame);
        return;
    }
    const Replica& replica = member_->replica();
    // Who is about to lead is asked again soon, as one that leads not.
    if (replication::SubmitFrame asked;
        replication::kindOf(frame) == replication::FrameKind::Submit) {
        std::span<const std::byte> payload;
        if (!replication::readHead(frame, asked, payload)) return wires_.close(client);
        replication::SubmittedFrame answer;
        answer.header.from = replica.facts().id;
        answer.header.epoch = replica.facts().promised;
        answer.sequence = asked.sequence;
        answer.answer = Answered::NotLeader;
        answer.leader = replica.leader();
        answer.next = member_->log().last() + 1;
        (void)wires_.send(client, buffer_.make(answer));
        return;
    }
    replication::RefusedFrame refused;
    refused.header.from = replica.facts().id;
    refused.header.epoch = replica.facts().promised;
    refused.why = Answered::NotLeader;
    refused.leader = replica.leader();
    (void)wires_.send(client, buffer_.make(refused));
}

void SequencerMember::onClientClosed(NodeId client) {
    clientLinks_.erase(client);
    if (clients_ != nullptr) clients_->onClosed(client);
}

// ---- leading

bool SequencerMember::mayLead() const {
    const Replica& replica = member_->replica();
    return !member_->failed() && trouble_.isOk() && replica.leads() && replica.hearsQuorum(options_.letGoNs);
}

bool SequencerMember::step(RoleMoment now) {
    steppedAt_ = now.steadyNs;
    bool worked = member_->step(momentOf(now));
    const bool stale = options_.sequencer.mutant == RoleMutant::StaleSequencer;
    if (sequencer_ != nullptr && !stale && (!mayLead() || !log_->leads())) letGo();
    worked |= attendShadow(now.steadyNs);
    if (sequencer_ == nullptr) {
        if (!mayLead() || !ownsLog() || !shadow_->ready()) return worked;
        begin(now);
    }
    const Position before = member_->log().last();
    worked |= sequencer_->step(now);
    // What has been decided is on its way before anything else is done.
    if (member_->log().last() != before) worked |= member_->step(momentOf(now));
    worked |= clients_->step();
    if (!sequencer_->failure().isOk()) {
        const Status why = sequencer_->failure();
        if (why.code() == StatusCode::IoError) {
            member_->replica().fail(why);
        } else if (log_->leads()) {
            trouble_ = why;  // this program and this log do not fit: that is no fault of the log's
        }
        letGo();
    }
    return worked;
}

uint64_t SequencerMember::nextTimer() const {
    const uint64_t own = member_->nextTimer();
    return sequencer_ == nullptr ? own : std::min(own, sequencer_->nextTimer());
}

bool SequencerMember::ownsLog() const {
    const Position last = member_->log().last();
    return last != 0 && member_->log().lastEpoch() == member_->replica().term() &&
           member_->outputs().released() == last;
}

void SequencerMember::begin(RoleMoment now) {
    log_ = std::make_unique<Log>(*member_, options_.sequencer.mutant);
    sequencer_ = std::make_unique<Sequencer>(options_.sequencer, shadow_->take(), *log_, links_, now);
    clients_ = std::make_unique<SequencerClients>(*sequencer_, wires_, options_.member.id,
                                                  log_->term());
}

void SequencerMember::letGo() {
    clients_.reset();
    if (sequencer_ != nullptr) shadow_->want();
    sequencer_.reset();
    log_.reset();
    for (const LinkId link : std::exchange(roleLinks_, {})) links_.close(link);
    for (const NodeId client : std::exchange(clientLinks_, {})) wires_.close(client);
}

// ---- the shadow

bool SequencerMember::attendShadow(uint64_t nowNs) {
    if (member_->failed()) return false;
    // Another one when what was taken has come to trade: to load it takes a processor that others need until then.
    if (options_.snapshotEvery != 0 && sequencer() != nullptr && sequencer_->serving()) shadow_->want();
    judgeShadow();
    return feedShadow(nowNs);
}

// A snapshot is of this log where the account of the log has the same result. What it says of positions that are not
// released yet is decided when they are, or when it is known that there are none.
void SequencerMember::judgeShadow() {
    Position at = 0;
    Digest128 log;
    if (!shadow_->began(at, log)) return;
    const bool believed = options_.sequencer.mutant == RoleMutant::StateUnverified;
    if (at == 0 || believed) return shadow_->confirm();
    if (at > member_->outputs().released()) {
        if (mayLead() && ownsLog()) {
            shadow_->refuse("the snapshot of position " + std::to_string(at) +
                            " is ahead of the log");
        }
        return;
    }
    const Digest128* const here = member_->executor().resultAt(at);
    if (here != nullptr && *here == log) return shadow_->confirm();
    shadow_->refuse("the snapshot of position " + std::to_string(at) + " is of another log");
}

// Whole entries, none behind a mark.
bool SequencerMember::feedShadow(uint64_t nowNs) {
    if (!shadow_->hungry()) return false;
    const RoleMutant broken =
        sequencer_ == nullptr ? RoleMutant::FollowerUncommitted : RoleMutant::LeaderUncommitted;
    replication::MemberLog& log = member_->log();
    const Position to =
        options_.sequencer.mutant == broken ? log.last() : member_->outputs().released();
    Position fed = shadow_->fedTo();
    if (fed >= to) return false;
    const bool due =
        to - fed >= kShadowCommands || nowNs - fedAt_ >= options_.sequencer.pingNs;
    if (!due) return false;
    for (uint32_t piece = 0; piece < kShadowPieces && fed < to && shadow_->hungry(); piece++) {
        FedEntries entries;
        while (fed < to && !entries.mark.has_value() && entries.payloads.size() < kShadowBytes) {
            replication::LogEntry entry;
            if (Status status = log.read(fed + 1, entry); !status.isOk()) {
                member_->replica().fail(status.within("the log for the shadow of a sequencer"));
                return true;
            }
            entries.headers.push_back(entry.header);
            entries.payloads.insert(entries.payloads.end(), entry.payload.begin(),
                                    entry.payload.end());
            fed = entry.header.last();
            if (const Digest128* const mark = member_->executor().resultAt(fed)) {
                entries.mark = *mark;
            }
        }
        shadow_->feed(std::move(entries));
    }
    fedAt_ = nowNs;
    return true;
}

void SequencerMember::fail(const Status& why) { member_->replica().fail(why); }

Status SequencerMember::close() {
    letGo();
    return member_->close();
}

// ---- what others look at

SequencerStatus SequencerMember::status() const {
    const Replica& replica = member_->replica();
    SequencerStatus status;
    if (sequencer_ != nullptr) {
        status = sequencer_->status();
    } else {
        const MemberId leader = replica.leader();
        status.waitsFor = !member_->failure().isOk() ? member_->failure().toString()
                          : !trouble_.isOk()          ? trouble_.toString()
                          : !replica.halted().empty() ? replica.halted()
                          : replica.leads() && ownsLog() ? "what it has replayed of its log"
                          : replica.leads()           ? "the other sequencers"
                          : leader == 0 || leader == options_.member.id
                              ? "a sequencer that leads"
                              : "sequencer " + std::to_string(leader - 1) + ", which leads";
        status.journaled = member_->log().last();
        status.released = member_->outputs().released();
    }
    status.leads = sequencer_ != nullptr;
    status.follows = !status.leads && replica.role() == replication::Role::Follower &&
                     replica.leader() != 0 && replica.leader() != options_.member.id;
    status.epoch = replica.configuration().epoch;
    status.leader = replica.configuration().leader;
    for (const replication::SyncMember& each : replica.configuration().sync) {
        status.sync.push_back(each.id);
    }
    status.shadow = shadow_->status();
    return status;
}

}  // namespace verbex::roles
