#include "node/event_replay.h"

#include <algorithm>

#include "journal/reader.h"
#include "node/data_directory.h"

namespace verbex::node {

Status replayEvents(journal::Storage& storage, const std::string& data, const CoreLimits& limits,
                    Position from, Position to, const ReplayedEvents& sink) {
    if (from >= to) return {};
    CoreLimits shadow = limits;
    shadow.warm = false;
    Result<SnapshotState> loaded = loadNewestState(storage, data, shadow, from);
    if (!loaded.isOk()) return loaded.status();
    SnapshotState base = loaded.take();
    Replay replay(*base.core, to);
    const Position first = replay.follow(base.facts);
    // The time moves ahead of `from` as well.
    uint64_t timeNs = base.core->time();
    replay.tellAfter(base.core->position(), [&](const Event& event, uint32_t index) {
        if (event.type == static_cast<uint8_t>(EventType::TimeAdvanced)) timeNs = event.orderId;
        if (event.position > from) sink(event, index, timeNs);
    });
    Result<std::unique_ptr<journal::JournalReader>> reader = journal::JournalReader::open(
        storage, journalDirectory(data), first);
    if (!reader.isOk()) return reader.status();
    if (Status read = reader.value()->readUpTo(
            to, [&replay](const journal::RecordView& record) { return replay.take(record); });
        !read.isOk()) {
        return read;
    }
    if (base.core->position() != to) {
        return Status(StatusCode::NotFound, "the journal on disk ends at position " +
                                                std::to_string(base.core->position()) +
                                                ", before " + std::to_string(to));
    }
    return {};
}

}  // namespace verbex::node
