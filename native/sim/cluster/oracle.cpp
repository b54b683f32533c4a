#include "sim/cluster/oracle.h"

#include <algorithm>
#include <cstring>

#include "wire/account_statement.h"
#include "wire/command_codec.h"

namespace verbex::sim {

using replication::Epoch;
using replication::EpochEnd;
using replication::LogEntry;
using replication::OutputBatch;
using replication::Role;

namespace {

std::string at(Position position) { return "position " + std::to_string(position); }
std::string named(MemberId id) { return "member " + std::to_string(id); }

Epoch epochIn(const std::vector<EpochEnd>& ends, Position position) {
    for (const EpochEnd& end : ends) {
        if (position <= end.last) return end.epoch;
    }
    return 0;
}

}  // namespace

// Collects the events of one batch.
class Oracle::Writer final : public EventWriter {
public:
    Writer() { setRegion(cells_, cells_ + kCells); }
    std::vector<Event> take() {
        flush();
        return std::move(events_);
    }

private:
    static constexpr size_t kCells = 256;
    void flush() {
        events_.insert(events_.end(), begin(), cursor());
        setRegion(cells_, cells_ + kCells);
    }
    void drain() override { flush(); }

    std::vector<Event> events_;
    Event cells_[kCells];
};

Oracle::Oracle(const CoreLimits& limits, const Members& members, const ControlService& control,
               OnProblem onProblem)
    : limits_(limits), members_(members), control_(control), onProblem_(std::move(onProblem)),
      core_(std::make_unique<Core>(limits)), writer_(std::make_unique<Writer>()) {}

Oracle::~Oracle() = default;

Position Oracle::released() const { return batches_.empty() ? 0 : batches_.back().entry.last(); }

const ReleasedBatch* Oracle::batchAt(Position position) const {
    const auto found =
        std::partition_point(batches_.begin(), batches_.end(), [position](const auto& batch) {
            return batch.entry.last() < position;
        });
    return found == batches_.end() || position == 0 ? nullptr : &*found;
}

void Oracle::look(SimulatedMember& member) {
    Seen& seen = seen_[member.id()];
    if (seen.life != member.life()) {
        seen = {};
        seen.life = member.life();
    }
    lookAtLog(member, seen);
    lookAtLoss(member);
    lookAtReleases(member, seen);
    lookAtRole(member, seen);
    lookAtCommit(member, seen);
}

// Logs agree: an entry of one epoch that ends at one position is one entry, and so is what comes before it.
void Oracle::lookAtLog(SimulatedMember& member, Seen& seen) {
    replication::MemberLog& log = member.member().log();
    const bool same = !seen.ends.empty() && seen.ends == log.ends();
    if (same) return;
    seen.checked = std::min(seen.checked, log.common(seen.ends));
    seen.ends = log.ends();
    if (seen.checked + 1 < log.first()) {
        // A snapshot stands for what came before: it must end an entry that some log has had.
        seen.checked = log.first() - 1;
        if (!log_.contains({log.epochAt(seen.checked), seen.checked})) {
            problem("the log of " + named(member.id()) + " begins behind " + at(seen.checked) +
                    ", where no entry of epoch " + std::to_string(log.epochAt(seen.checked)) + " ends");
            return;
        }
    }
    LogEntry entry;
    while (seen.checked < log.last()) {
        if (const Status read = log.read(seen.checked + 1, entry); !read.isOk()) {
            if (member.disk().crashed() || read.code() == StatusCode::IoError) return;
            problem(named(member.id()) + " has no entry at " + at(seen.checked + 1) +
                    " although its log ends at " + at(log.last()) + ": " + read.toString());
            return;
        }
        LogRecord record;
        record.first = entry.header.first;
        record.payload = hash128(entry.payload.data(), entry.payload.size(), entry.header.count);
        record.previous = log.epochAt(entry.header.first - 1);
        const auto [found, isNew] =
            log_.try_emplace({entry.header.epoch, entry.header.last()}, record);
        const LogRecord& known = found->second;
        if (!isNew && (known.first != record.first || known.payload != record.payload ||
                       known.previous != record.previous)) {
            problem("two logs have different entries of epoch " +
                    std::to_string(entry.header.epoch) + " at " + at(entry.header.last()) +
                    ", one of them " + named(member.id()) + "'s");
            return;
        }
        if (entry.header.epoch < record.previous) {
            problem("epochs fall in the log of " + named(member.id()) + " at " +
                    at(entry.header.first));
            return;
        }
        seen.checked = entry.header.last();
    }
}

void Oracle::lookAtReleases(SimulatedMember& member, Seen& seen) {
    const replication::Outputs& outputs = member.member().outputs();
    // One that was put out begins with nothing, in the same life.
    seen.released = std::min(seen.released, outputs.released());
    while (seen.released < outputs.released()) {
        const OutputBatch* batch = outputs.find(seen.released + 1);
        if (batch == nullptr) {
            // Released before it was executed again, after a restart; or not kept.
            seen.released = std::max(seen.released + 1, outputs.oldest()) - 1;
            if (outputs.find(seen.released + 1) == nullptr) {
                seen.released = outputs.released();
                return;
            }
            continue;
        }
        if (batch->entry.first != seen.released + 1) {
            const ReleasedBatch* known = batchAt(batch->entry.first);
            if (known == nullptr || known->entry.first != batch->entry.first) {
                problem(named(member.id()) + " releases a batch that begins elsewhere at " +
                        at(batch->entry.first));
                return;
            }
        }
        release(member, *batch);
        seen.released = batch->entry.last();
    }
}

void Oracle::release(SimulatedMember& member, const OutputBatch& batch) {
    const Position first = batch.entry.first;
    const std::string who = named(member.id());
    LogEntry entry;
    const bool has = member.member().log().read(first, entry).isOk();
    const Digest128 payload =
        has ? hash128(entry.payload.data(), entry.payload.size(), entry.header.count) : Digest128{};
    std::vector<Event> events;
    for (const OutputBatch::Piece& piece : batch.pieces) {
        events.insert(events.end(), piece.events, piece.events + piece.count);
    }
    if (first > released()) {
        if (first != released() + 1) {
            problem(who + " releases " + at(first) + " before anybody has released " +
                    at(released() + 1));
            return;
        }
        if (!has) {
            problem(who + " releases " + at(first) + ", which its log does not have");
            return;
        }
        std::vector<Command> commands;
        if (!decodeBatch(entry.payload, entry.header.count, commands)) {
            commands.assign(entry.header.count, Command{});
        }
        for (const Command& command : commands) core_->apply(command, *writer_);
        batches_.push_back({batch.entry, payload, batch.hash, writer_->take(), std::move(commands)});
    }
    const ReleasedBatch* known = batchAt(first);
    if (known->entry.first != first || known->entry.last() != batch.entry.last() ||
        known->entry.epoch != batch.entry.epoch || (has && known->payload != payload)) {
        problem("different entries are released at " + at(first) + ", one by " + who);
        return;
    }
    if (known->result != batch.hash) {
        problem("different results are released at " + at(first) + ", one by " + who);
        return;
    }
    const size_t bytes = events.size() * sizeof(Event);
    if (events.size() != known->events.size() ||
        std::memcmp(events.data(), known->events.data(), bytes) != 0) {
        problem(who + " releases events at " + at(first) + " that one core alone does not give");
    }
}

void Oracle::lookAtRole(SimulatedMember& member, Seen& seen) {
    replication::Replica& replica = member.member().replica();
    const bool leads = replica.role() == Role::Leader;
    const Epoch epoch = leads ? replica.configuration().epoch : 0;
    const bool begins = leads && (!seen.leads || seen.led != epoch);
    seen.leads = leads;
    if (leads) seen.led = epoch;
    if (!begins) return;
    const auto [found, isNew] = leaders_.try_emplace(epoch, member.id());
    if (!isNew && found->second != member.id()) {
        problem("epoch " + std::to_string(epoch) + " has two leaders, members " +
                std::to_string(found->second) + " and " + std::to_string(member.id()));
    }
    lookAtLeaderOf(member, epoch);
}

// A leader has everything that leaders before it have called committed.
void Oracle::lookAtLeaderOf(SimulatedMember& leader, Epoch term) {
    for (auto at = committed_.rbegin(); at != committed_.rend(); ++at) {
        const auto& [position, committed] = *at;
        if (committed.term >= term) continue;
        if (leader.member().log().epochAt(position) == committed.epoch) continue;
        problem(named(leader.id()) + " leads epoch " + std::to_string(term) + " without position " +
                std::to_string(position) + " of epoch " + std::to_string(committed.epoch) +
                (position <= released() ? ", which has been released"
                                        : ", which the leader of epoch " +
                                              std::to_string(committed.term) + " had committed"));
        return;
    }
}

void Oracle::lookAtCommit(SimulatedMember& member, Seen& seen) {
    const Position commit = member.member().replica().commit();
    seen.committed = std::min(seen.committed, commit);
    if (!seen.leads || commit <= seen.committed) return;
    seen.committed = commit;
    const Epoch epoch = member.member().log().epochAt(commit);
    const auto [found, isNew] = committed_.try_emplace(commit, Committed{epoch, seen.led, member.id()});
    if (found->second.epoch != epoch) {
        problem("members " + std::to_string(found->second.by) + " and " + std::to_string(member.id()) +
                " commit different entries at " + at(commit));
        return;
    }
    if (!isNew) return;
    lookAtHolders(control_.record(), "when member " + std::to_string(member.id()) + " says so");
    for (const auto& other : members_) {
        const auto known = seen_.find(other->id());
        if (known == seen_.end() || !other->isUp() || known->second.life != other->life()) continue;
        if (known->second.leads && known->second.led > seen.led) {
            lookAtLeaderOf(*other, known->second.led);
        }
    }
}

void Oracle::onChange(const Configuration& before, const Configuration& after) {
    for (const replication::Evicted& evicted : after.evicted) {
        if (evicted.position == 0 || before.evictedMember(evicted.id) != nullptr) continue;
        for (const auto& member : members_) {
            if (member->id() != evicted.id || member->flips != 0) continue;
            problem(named(evicted.id) + " is put out for its result at " + at(evicted.position) +
                    ", and nothing was wrong with it");
        }
    }
    // Whose log goes on is known when its member leads.
    if (after.dataLossEpochs != before.dataLossEpochs) losing_ = after.reservedEpoch;
    lookAtHolders(after, "when the record says so for epoch " + std::to_string(after.epoch));
}

// Everything committed is at a quorum of the sync set. A member that has lost it is none of those that are
// counted: its incarnation is not the record's any more, or will not be when it comes back.
void Oracle::lookAtHolders(const Configuration& configuration, const std::string& when) {
    if (committed_.empty() || configuration.sync.empty() || losing_ != 0) return;
    const auto& [position, committed] = *committed_.rbegin();
    uint32_t without = 0;
    std::string who;
    for (const replication::SyncMember& sync : configuration.sync) {
        const SimulatedMember::Held* held = nullptr;
        for (const auto& member : members_) {
            if (member->id() == sync.id) held = &member->held();
        }
        if (held == nullptr || held->lost || held->incarnation != sync.incarnation) continue;
        if (held->stored >= position && epochIn(held->ends, position) == committed.epoch) continue;
        without++;
        who += " " + std::to_string(sync.id);
    }
    if (without > configuration.sync.size() - configuration.quorum()) {
        problem(at(position) + " is committed and not at a quorum of the sync set " + when +
                ": not at" + who);
    }
}

void Oracle::adopt(const Oracle& other, Position upTo) {
    log_ = other.log_;
    for (const ReleasedBatch& batch : other.batches_) {
        if (batch.entry.last() > upTo) break;
        for (const Command& command : batch.commands) core_->apply(command, *writer_);
        (void)writer_->take();
        batches_.push_back(batch);
    }
}

// ---- an epoch of data loss

void Oracle::onForced(const SimulatedMember& member) {
    const SimulatedMember::Held& held = member.held();
    words_[member.id()] = {held.stored, epochIn(held.ends, held.stored)};
}

// The log of whoever leads the forced epoch is the log: what was released or called committed and is not in it may
// be missing from now on, and nothing else. The reference is one core that has executed what is left.
void Oracle::lookAtLoss(SimulatedMember& member) {
    const replication::Replica& replica = member.member().replica();
    if (losing_ == 0 || !replica.leads() || replica.configuration().epoch < losing_) return;
    losing_ = 0;
    const replication::MemberLog& log = member.member().log();
    const auto isHeld = [&log](Position position, Epoch epoch) {
        return log.last() >= position && log.epochAt(position) == epoch;
    };
    const auto word = words_.find(member.id());
    if (word == words_.end()) {
        problem(named(member.id()) + " leads an epoch of data loss, and no operator has told it to");
        return;
    }
    if (!isHeld(word->second.stored, word->second.epoch)) {
        problem("what the log of " + named(member.id()) + " held at " + at(word->second.stored) +
                " is lost, though it is the one that an operator has chosen");
        return;
    }
    std::erase_if(committed_, [&isHeld](const auto& each) {
        return !isHeld(each.first, each.second.epoch);
    });
    const Position before = released();
    while (!batches_.empty() &&
           !isHeld(batches_.back().entry.last(), batches_.back().entry.epoch)) {
        batches_.pop_back();
    }
    if (released() == before) return;
    lost_ += before - released();
    core_ = std::make_unique<Core>(limits_);
    for (const ReleasedBatch& batch : batches_) {
        for (const Command& command : batch.commands) core_->apply(command, *writer_);
        (void)writer_->take();
    }
    if (onLoss_) onLoss_(released());
}

// ---- the end

void Oracle::lookAtMoney(const Core& core, const std::string& whose) {
    std::string text;
    core.explainMarket(text);
    // Fees and what was issued stand in the market's text; balances are asked for account by account.
    std::map<AssetId, Amount> totals;
    AccountStatement statement;
    for (AccountId account = 1;; account++) {
        core.accountStatement(account, {}, statement);
        if (!statement.exists) break;
        for (const AccountStatement::Balance& balance : statement.balances) {
            totals[balance.asset] += balance.total;
            if (balance.total < balance.held || balance.held < 0) {
                problem("account " + std::to_string(account) + " holds more than it has in " + whose);
            }
        }
    }
    const auto numberBehind = [&text](const std::string& field, size_t& from) {
        from = text.find("\"" + field + "\":\"", from);
        Amount value = 0;
        if (from == std::string::npos) return value;
        for (from += field.size() + 4; text[from] >= '0' && text[from] <= '9'; from++) {
            value = value * 10 + (text[from] - '0');
        }
        return value;
    };
    size_t from = 0;
    for (AssetId asset = 1; asset <= totals.size(); asset++) {
        const Amount issued = numberBehind("issued", from);
        const Amount fees = numberBehind("fees", from);
        if (from == std::string::npos || totals[asset] + fees != issued) {
            problem("money is not conserved in " + whose + ": totals and fees of asset " +
                    std::to_string(asset) + " are not what was deposited");
            return;
        }
    }
}

void Oracle::lookAtEnd(SimulatedMember& member) {
    const std::string who = named(member.id());
    replication::Member& real = member.member();
    if (real.log().last() != released()) {
        problem(who + "'s log ends at " + at(real.log().last()) + ", " + at(released()) +
                " is released");
        return;
    }
    if (real.executor().core().hash() != core_->hash()) {
        problem(who + "'s state is not that of one core alone");
    }
    if (real.executor().result() != batches_.back().result) {
        problem(who + "'s result is not what was released");
    }
    lookAtMoney(real.executor().core(), who);
}

}  // namespace verbex::sim
