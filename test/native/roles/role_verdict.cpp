// What a world of roles has released, against one core that is fed the log.
#include <cstring>

#include "roles/role_world.h"
#include "wire/command_codec.h"

namespace verbex::roles::test {

void World::readMarkers(Node& node) {
    replication::MemberLog& log = node.member->member().log();
    const Position written = log.written();
    if (node.markersTo == written) return;
    std::vector<Command> commands;
    const Status status = log.readRange(
        node.markersTo + 1, written, [&](const replication::LogEntry& entry) -> Status {
            if (!decodeBatch(entry.payload, entry.header.count, commands)) return {};
            for (const Command& command : commands) {
                if (CommandType(command.type) == CommandType::SetAvailability) {
                    node.markers.push_back(command);
                }
            }
            return {};
        });
    if (!status.isOk()) wrong_ = "reading the log: " + status.toString();
    node.markersTo = written;
}

void World::collect(Node& node, Sequencer& sequencer) {
    replication::Outputs& outputs = sequencer.outputs();
    while (collected_ < outputs.released() && wrong_.empty()) {
        const replication::OutputBatch* batch = outputs.find(collected_ + 1);
        if (batch == nullptr) {
            wrong_ = "nothing is kept at " + std::to_string(collected_ + 1);
            return;
        }
        if (sequencer.log().written() < batch->entry.last()) wrong_ = "released before stored";
    for (const auto& piece : batch->pieces) {
            for (uint32_t i = 0; i < piece.count; i++) {
                const Event& event = piece.events[i];
                if (event.position <= collected_) continue;
                released_.push_back(event);
                if (EventType(event.type) != EventType::Rejected ||
                    event.code != static_cast<uint16_t>(Reject::RISK_UNAVAILABLE)) {
                    continue;
                }
                seen_.unavailable++;
                readMarkers(node);
                bool said = false;
                for (const Command& marker : node.markers) {
                    said |= marker.side == 1 &&
                            static_cast<Position>(marker.quantity) <= event.position;
                }
                if (!said && wrong_.empty()) {
                    wrong_ = "position " + std::to_string(event.position) +
                             " is released as unavailable, and no marker is in the log";
                }
            }
        }
        collected_ = batch->entry.last();
    }
}

std::string World::settleDown() {
    for (uint32_t i = 0; i < 200'000; i++) {
        if (!wrong_.empty()) return wrong_;
        stepOnce();
        if (offered_ < options_.commands) continue;
        Sequencer* const sequencer = leading();
        bool all = sequencer != nullptr && sequencer->idle() && sequencer->serving() &&
                   collected_ == sequencer->last();
        for (const auto& node : nodes_) {
            all = all && node->member != nullptr && node->healAt == 0 &&
                  node->member->member().outputs().released() == collected_;
        }
        if (!all) continue;
        for (const SeatStatus& seat : sequencer->status().seats) all = all && seat.live;
        for (const Place& at : places_) all = all && at.link != 0 && at.process->joined();
        if (!all) continue;
        // What is on its way to the parts.
        bool quiet = true;
        for (auto& [link, wire] : wires_) quiet = quiet && wire.down.empty() && wire.up.empty();
        if (quiet) {
            (void)sequencer->step({now_, now_});
            for (auto& [link, wire] : wires_) quiet = quiet && wire.down.empty();
            if (quiet && sequencer->idle()) return {};
        }
    }
    std::string text = "no end: offered " + std::to_string(offered_);
    for (const auto& node : nodes_) {
        if (node->member == nullptr) continue;
        const SequencerStatus status = node->member->status();
        text += "; sequencer " + std::to_string(node->index) + " waits for '" + status.waitsFor +
                "', epoch " + std::to_string(status.epoch) + ", sequenced " +
                std::to_string(status.sequenced) + ", decided " + std::to_string(status.decided) +
                ", settled " + std::to_string(status.settled) + ", released " +
                std::to_string(status.released);
        const replication::MemberStatus member = node->member->member().status();
        text += ", log " + std::to_string(member.position) + ", committed " +
                std::to_string(member.commit) + ", in sync";
        for (const replication::MemberId id : status.sync) text += " " + std::to_string(id);
        for (const auto& peer : member.peers) {
            text += ", " + std::to_string(peer.id) + " has " + std::to_string(peer.acknowledged) +
                    " and agrees to " + std::to_string(peer.matched);
        }
    }
    return text;
}

// Every sequencer has the same log, and has been told that all of it is committed.
std::string World::compareNodes() {
    for (const auto& node : nodes_) {
        replication::Member& first = nodes_[0]->member->member();
        replication::Member& member = node->member->member();
        if (member.log().last() != first.log().last() ||
            member.executor().result() != first.executor().result()) {
            return "sequencer " + std::to_string(node->index) + " has another log";
        }
    }
    return {};
}

std::string World::compare() {
    Sequencer* const sequencer = leading();
    const SequencerStatus status = sequencer->status();
    seen_.refused += status.refused;
    seen_.hazards = status.hazards;
    seen_.positions = status.settled;
    replication::Outputs outputs(1u << 30);
    replication::ExecutorOptions executorOptions;
    executorOptions.limits = options_.limits;
    executorOptions.scrubNs = 0;
    replication::Executor executor(executorOptions, outputs);
    CorePart whole(options_.limits, options_.riskShards, options_.matchingShards);
    replication::Outputs nowhere(1);
    nowhere.recovering(true);
    std::vector<Command> commands;
    const Status read = sequencer->log().readRange(
        1, status.settled, [&](const replication::LogEntry& entry) -> Status {
            executor.execute(entry);
            outputs.release(entry.header.last());
            if (!decodeBatch(entry.payload, entry.header.count, commands)) return {};
            nowhere.beginBatch(entry.header);
            for (const Command& command : commands) whole.replay(command, nowhere);
            nowhere.endBatch({}, {});
            return {};
        });
    if (!read.isOk()) return "reading the log: " + read.toString();
    std::vector<Event> expected;
    for (Position at = 1; at <= status.settled;) {
        const replication::OutputBatch* batch = outputs.find(at);
        if (batch == nullptr) return "one core kept no events";
        for (const auto& piece : batch->pieces) {
            expected.insert(expected.end(), piece.events, piece.events + piece.count);
        }
        at = batch->entry.last() + 1;
    }
    uint32_t away = 0;
    for (size_t i = 0; i < expected.size(); i++) {
        if (i >= released_.size() || std::memcmp(&expected[i], &released_[i], sizeof(Event)) != 0) {
            const Event& a = expected[i];
            std::string text = "event " + std::to_string(i) + " at position " +
                               std::to_string(a.position) + " differs: one core says type " +
                               std::to_string(a.type) + " code " + std::to_string(a.code);
            if (i < released_.size()) {
                const Event& b = released_[i];
                text += ", released was position " + std::to_string(b.position) + " type " +
                        std::to_string(b.type) + " code " + std::to_string(b.code);
            }
            return text;
        }
        const Event& event = expected[i];
        if (EventType(event.type) == EventType::AvailabilitySet) {
            away = event.side == 1 ? away | 1u << event.instrument
                                   : away & ~(1u << event.instrument);
        }
        if (EventType(event.type) == EventType::Trade) {
            seen_.trades++;
            if ((away >> sequencer->centre().shardOf(event.account2) & 1) != 0) {
                seen_.tradesOfLost++;
            }
        }
    }
    if (released_.size() != expected.size()) return "more was released than one core says";
    if (executor.result() != status.resultHash) return "another result hash";
    if (executor.core().hash() != whole.core().hash()) return "a core in parts has another state";
    if (whole.share(PartKind::Centre, 0) != sequencer->centre().share(PartKind::Centre, 0)) {
        return "the centre has another state";
    }
    for (const Place& at : places_) {
        const CorePart& part = *at.process->part();
        const PartKind kind = at.process->kind();
        if (part.share(kind, at.process->shard()) != whole.share(kind, at.process->shard())) {
            return std::string(kind == PartKind::Risk ? "risk" : "matching") + " process " +
                   std::to_string(at.process->shard()) + " has another state";
        }
    }
    for (Place& at : places_) {
        if (at.snapshots == nullptr) continue;
        seen_.taken += at.snapshots->status().taken;
        seen_.putAside += at.snapshots->status().refused;
    }
    for (const auto& node : nodes_) countStates(*node);
    return compareNodes();
}

std::string World::run() {
    for (const auto& node : nodes_) {
        if (std::string failed = openSequencer(*node); !failed.empty()) return failed;
    }
    if (std::string failed = settleDown(); !failed.empty()) return failed;
    return compare();
}

}  // namespace verbex::roles::test
