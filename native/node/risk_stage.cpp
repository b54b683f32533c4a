#include "node/stages.h"

namespace verbex::node {

namespace {

constexpr uint32_t kLaneCellsMax = 1u << 16;

void countOne(std::atomic<uint64_t>& counter) {
    // One writer: no atomic addition needed.
    counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

}  // namespace

Track::Track(CommandRing& commands, Core& theCore, EventRing& events)
    : ring(commands), core(theCore), base(theCore.position()) {
    const uint32_t matching = theCore.matchingShards();
    for (uint32_t i = 0; i < matching; i++) {
        lanes.push_back(matching == 1
                            ? std::make_unique<Lane>(events)
                            : std::make_unique<Lane>(std::min(events.cells(), kLaneCellsMax)));
        matched.push_back(std::make_unique<pipeline::Cursor>());
        writtenPart.push_back(std::make_unique<std::atomic<uint64_t>>(0));
    }
    for (uint32_t i = 0; i < theCore.riskShards(); i++) {
        validated.push_back(std::make_unique<pipeline::Cursor>());
        settled.push_back(std::make_unique<pipeline::Cursor>());
        settledPart.push_back(std::make_unique<std::atomic<uint64_t>>(0));
    }
}

std::vector<const pipeline::Cursor*> Track::all(
    const std::vector<std::unique_ptr<pipeline::Cursor>>& cursors) const {
    std::vector<const pipeline::Cursor*> list;
    for (const auto& cursor : cursors) list.push_back(cursor.get());
    return list;
}

RiskStage::RiskStage(Track& track, uint32_t shard)
    : track_(track), shard_(shard), validated_(*track.validated[shard]),
      settled_(*track.settled[shard]), validatedByAll_(track.all(track.validated)),
      matchedByAll_(track.all(track.matched)), read_(track.lanes.size()) {}

bool RiskStage::step() {
    // What is settled first: it frees funds, cells, and whoever waits for a hazard.
    const bool settled = settle();
    const bool validated = validate();
    if (settled || validated) bells.ring();
    return settled || validated;
}

bool RiskStage::ready() {
    const uint64_t settled = settled_.getRelaxed();
    if (matchedByAll_.available(settled) != settled) return true;
    const uint64_t validated = validated_.getRelaxed();
    if (inHazard_ ? settled == validated : track_.received.get() != validated) return true;
    if (settled == validatedByAll_.available(settled)) return false;
    const uint32_t lane = track_.ring.at(settled).decision.lane;
    return track_.writtenPart[lane]->load(std::memory_order_acquire) > read_[lane] &&
           track_.matched[lane]->get() == settled;
}

void RiskStage::settleEvents(CommandCell& cell, uint64_t to) {
    const uint32_t lane = cell.decision.lane;
    track_.lanes[lane]->stretches(read_[lane], to, [&](Event* from, Event* end) {
        // What ran alone is settled already; what a node that has failed still matches was never kept.
        if (cell.decision.step != Step::Alone && !track_.lanes[lane]->abandoned()) {
            track_.core.settle(shard_, cell.command, cell.decision, from, end, !begun_);
        }
        begun_ = true;
    });
    read_[lane] = to;
}

bool RiskStage::settle() {
    const uint64_t from = settled_.getRelaxed();
    const uint64_t to = std::min(matchedByAll_.available(from), from + kBatchMax);
    if (from == to) return settlePart();
    for (uint64_t sequence = from; sequence != to; sequence++) {
        CommandCell& cell = track_.ring.at(sequence);
        settleEvents(cell, cell.decision.eventsEnd);
        begun_ = false;
    }
    // In this order: whoever sees settled at a command sees no part of one before it (pipeline.cpp).
    std::atomic<uint64_t>& part = *track_.settledPart[shard_];
    if (part.load(std::memory_order_relaxed) != 0) part.store(0, std::memory_order_release);
    settled_.set(to);
    return true;
}

// The next command may be under way still, and be waiting for its first events to leave.
bool RiskStage::settlePart() {
    const uint64_t sequence = settled_.getRelaxed();
    if (validatedByAll_.available(sequence) == sequence) return false;
    CommandCell& cell = track_.ring.at(sequence);
    const uint32_t lane = cell.decision.lane;
    const uint64_t written = track_.writtenPart[lane]->load(std::memory_order_acquire);
    if (written <= read_[lane]) return false;
    // Written before matched stood where it stands: a later command's part would have moved it on.
    if (track_.matched[lane]->get() != sequence) return false;
    settleEvents(cell, written);
    track_.settledPart[shard_]->store(written, std::memory_order_release);
    return true;
}

bool RiskStage::validate() {
    const uint64_t from = validated_.getRelaxed();
    const uint64_t to = std::min(track_.received.get(), from + kBatchMax);
    uint64_t sequence = from;
    for (; sequence != to; sequence++) {
        CommandCell& cell = track_.ring.at(sequence);
        if (track_.core.decidingShard(cell.command) != shard_ ||
            cell.decision.step == Step::Alone) {
            continue;
        }
        const Position at = track_.positionOf(sequence);
        const bool settled = settled_.getRelaxed() == sequence;
        if (inHazard_ && !settled) {
            countOne(stalls_);
            break;
        }
        if (track_.core.validate(cell.command, at, settled, cell.decision)) {
            inHazard_ = false;
            continue;
        }
        CHECK(!settled);
        countOne(hazards_);
        inHazard_ = true;
        break;
    }
    if (sequence == from) return false;
    validated_.set(sequence);
    return true;
}

}  // namespace verbex::node
