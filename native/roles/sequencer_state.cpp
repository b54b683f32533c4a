#include "roles/sequencer_state.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <span>

#include "journal/record.h"
#include "replication/core_state.h"

namespace verbex::roles {

using replication::EntryHeader;
using replication::OutputBatch;
using replication::Outputs;

namespace {

constexpr uint64_t kSequencerMagic = 0x31305145'53584256;  // "VBXSEQ01" in file order
constexpr uint32_t kSequencerVersion = 1;

struct SequencerHead {
    uint64_t magic = kSequencerMagic;
    uint32_t version = kSequencerVersion;
    uint32_t headBytes = 160;
    uint64_t position = 0;
    Digest128 chain;             // of results there
    Digest128 log;               // of the log's entries there
    char deployment[kDeploymentBytesMax] = {};
    uint32_t riskShards = 0;
    uint32_t matchingShards = 0;
    uint32_t capacities[4] = {};
    uint32_t markEvery = 0;
    uint32_t reserved0 = 0;
    uint64_t marks = 0;
    uint64_t entries = 0;        // whose events follow
    uint8_t reserved[24] = {};
};
static_assert(sizeof(SequencerHead) == 160 && offsetof(SequencerHead, log) == 40);
static_assert(offsetof(SequencerHead, deployment) == 56);
static_assert(offsetof(SequencerHead, marks) == 120);

struct KeptEntry {
    EntryHeader entry;
    Digest128 hash;
    Digest128 ofEvents;
    uint64_t events = 0;
};
static_assert(sizeof(KeptEntry) == 72);

// What a content says of counts is believed a piece at a time, as far as there is content.
constexpr size_t kPieceMarks = 4096;

SequencerHead sequencerHeadOf(const std::string& deployment, const LogReplayOptions& options) {
    CHECK(deployment.size() <= kDeploymentBytesMax);
    SequencerHead head;
    std::ranges::copy(deployment, head.deployment);
    head.riskShards = options.riskShards;
    head.matchingShards = options.matchingShards;
    const CoreLimits& limits = options.limits;
    const std::array<uint32_t, 4> capacities{limits.maxOrders, limits.maxAccounts,
                                             limits.maxInstruments, limits.maxClientIds};
    std::ranges::copy(capacities, head.capacities);
    head.markEvery = options.markEvery;
    return head;
}

std::string nameOfHead(const SequencerHead& head) {
    const std::string deployment(head.deployment,
                                 strnlen(head.deployment, sizeof(head.deployment)));
    return "a sequencer of " + std::to_string(head.riskShards) + " x " +
           std::to_string(head.matchingShards) + " in deployment " + deployment +
           ", a mark every " + std::to_string(head.markEvery);
}

class ContentSink final : public ByteSink {
public:
    ContentSink(journal::SnapshotWriter& writer, const std::function<bool()>& giveUp)
        : writer_(writer), giveUp_(giveUp) {}
    void write(const void* bytes, size_t size) override {
        if (!failure_.isOk() || size == 0) return;
        if (giveUp_()) {
            failure_ = Status(StatusCode::Closed, "the snapshot was given up");
            return;
        }
        failure_ = writer_.write({static_cast<const std::byte*>(bytes), size});
    }
    [[nodiscard]] const Status& failure() const { return failure_; }

private:
    journal::SnapshotWriter& writer_;
    const std::function<bool()>& giveUp_;
    Status failure_;
};

// The events of one entry, as they were written. False: the content is too short, or they do not
// fit.
bool readKept(ByteSource& source, Outputs& outputs, bool isFirst, Position upTo) {
    KeptEntry kept;
    if (!source.read(&kept, sizeof(kept))) return false;
    const EntryHeader& entry = kept.entry;
    if (entry.count == 0 || entry.first == 0 || entry.last() > upTo) return false;
    if (isFirst) {
        outputs.restart(entry.first - 1);
    } else if (entry.first != outputs.last() + 1) {
        return false;
    }
    outputs.beginBatch(entry);
    for (uint64_t i = 0; i < kept.events; i++) {
        Event event;
        if (!source.read(&event, sizeof(event))) return false;
        outputs.claim() = event;
    }
    outputs.endBatch(kept.hash, kept.ofEvents);
    return true;
}

}  // namespace

bool mayBeSaved(const LogReplay& replay) {
    return replay.others() && replay.unexplained().empty();
}

Status writeSequencerState(journal::SnapshotWriter& writer, const LogReplay& replay,
                           const Digest128& log, const std::string& deployment,
                           const LogReplayOptions& options, const std::function<bool()>& giveUp) {
    CHECK(mayBeSaved(replay));
    SequencerHead head = sequencerHeadOf(deployment, options);
    head.position = replay.position();
    head.chain = replay.chain();
    head.log = log;
    head.marks = replay.marks().size();
    const Outputs& outputs = replay.outputs();
    std::vector<const OutputBatch*> kept;
    const bool forgets = options.mutant == RoleMutant::StateForgetsEvents;
    for (Position at = outputs.oldest(); at <= replay.position() && !forgets;) {
        kept.push_back(outputs.find(at));
        CHECK(kept.back() != nullptr);
        at = kept.back()->entry.last() + 1;
    }
    head.entries = kept.size();
    ContentSink sink(writer, giveUp);
    sink.write(&head, sizeof(head));
    sink.write(replay.marks().data(), replay.marks().size() * sizeof(ResultMark));
    for (const OutputBatch* batch : kept) {
        const KeptEntry entry{batch->entry, batch->hash, batch->ofEvents, batch->count};
        sink.write(&entry, sizeof(entry));
        for (const OutputBatch::Piece& piece : batch->pieces) {
            sink.write(piece.events, piece.count * sizeof(Event));
        }
    }
    replay.part().save(sink);
    return sink.failure();
}

Result<SequencerSnapshot> readSequencerState(journal::SnapshotReader& reader,
                                             const std::string& deployment,
                                             const LogReplayOptions& options) {
    const journal::SnapshotFacts& facts = reader.facts();
    const auto damaged = [&facts](const std::string& what) {
        return Status(StatusCode::SnapshotDamaged,
                      "the snapshot of position " + std::to_string(facts.position) + " " + what);
    };
    replication::SnapshotSource source(reader);
    const auto tooShort = [&] {
        return source.failure().isOk() ? damaged("is too short, or holds what does not fit")
                                       : source.failure();
    };
    SequencerHead head;
    if (!source.read(&head, sizeof(head))) return tooShort();
    if (head.magic != kSequencerMagic || head.headBytes != sizeof(head)) {
        return damaged("is not one of a sequencer");
    }
    if (head.version != kSequencerVersion) {
        return Status(StatusCode::UnsupportedFormat,
                      "the state of a sequencer in format version " +
                          std::to_string(head.version) + "; this program reads version " +
                          std::to_string(kSequencerVersion));
    }
    if (head.position != facts.position || head.reserved0 != 0 ||
        !journal::isAllZero(std::as_bytes(std::span(head.reserved)))) {
        return damaged("has a head that is wrong");
    }
    const SequencerHead wanted = sequencerHeadOf(deployment, options);
    if (nameOfHead(head) != nameOfHead(wanted)) {
        return damaged("is of " + nameOfHead(head) + ", not of " + nameOfHead(wanted));
    }
    if (!std::ranges::equal(head.capacities, wanted.capacities)) {
        return damaged("is of other capacities");
    }
    std::vector<ResultMark> marks;
    while (marks.size() < head.marks) {
        const size_t before = marks.size();
        marks.resize(std::min<uint64_t>(head.marks, before + kPieceMarks));
        if (!source.read(&marks[before], (marks.size() - before) * sizeof(ResultMark))) {
            return tooShort();
        }
    }
    auto outputs = std::make_unique<Outputs>(options.outputEvents);
    outputs->recovering(true);
    for (uint64_t i = 0; i < head.entries; i++) {
        if (!readKept(source, *outputs, i == 0, head.position)) return tooShort();
    }
    if (head.entries == 0) outputs->restart(head.position);
    outputs->release(head.position);
    if (outputs->released() != head.position) return damaged("holds events of other positions");
    auto part = std::make_unique<CorePart>(options.limits, options.riskShards,
                                           options.matchingShards);
    const bool loaded = part->load(source);
    VERBEX_RETURN_IF_FAILED(source.failure());
    if (!loaded) return damaged("holds no state that this core reads");
    // At the end of the content the reader checks the digest over all of it.
    std::byte rest[1];
    Result<size_t> behind = reader.read(rest);
    if (!behind.isOk()) return behind.status();
    if (behind.value() != 0) return damaged("holds more than one state");
    if (part->core().position() != facts.position || part->core().hash() != facts.stateHash) {
        return damaged("holds another state than its header says");
    }
    SequencerSnapshot snapshot;
    snapshot.log = head.log;
    snapshot.replay = std::make_unique<LogReplay>(options, std::move(part), head.chain,
                                                  std::move(marks), std::move(outputs));
    return snapshot;
}

}  // namespace verbex::roles
