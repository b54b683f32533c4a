#include "node/stages.h"

namespace verbex::node {

MatchingStage::MatchingStage(Track& track, uint32_t shard)
    : track_(track), shard_(shard), alone_(track.lanes.size() == 1), lane_(*track.lanes[shard]),
      room_(std::min<uint64_t>(kRoomPerCommandMax, lane_.cells() / 4)),
      matched_(*track.matched[shard]), validatedByAll_(track.all(track.validated)) {}

bool MatchingStage::ready() {
    const uint64_t next = matched_.getRelaxed();
    if (validatedByAll_.available(next) == next) return false;
    const CommandCell& cell = track_.ring.at(next);
    return cell.decision.step == Step::Alone || !mine(cell) || lane_.hasRoom(room_);
}

bool MatchingStage::step() {
    const uint64_t from = matched_.getRelaxed();
    const uint64_t to = std::min(validatedByAll_.available(from), from + kBatchMax);
    uint64_t next = from;
    for (; next != to; next++) {
        CommandCell& cell = track_.ring.at(next);
        if (cell.decision.step == Step::Alone || !mine(cell)) continue;
        if (!lane_.hasRoom(room_)) break;
        at_ = next;
        track_.core.match(cell.command, track_.positionOf(next), cell.decision, lane_);
        cell.decision.eventsEnd = lane_.end();
    }
    if (next == from) return false;
    matched_.set(next);
    bells.ring();
    return true;
}

void MatchingStage::showPart() {
    if (matched_.getRelaxed() != at_) matched_.set(at_);
    // After matched: whoever sees this part sees at which command it is, or that it is over.
    track_.writtenPart[shard_]->store(lane_.end(), std::memory_order_release);
    bells.ring();
}

}  // namespace verbex::node
