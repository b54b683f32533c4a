#include "replication/member_state.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>

#include "journal/record.h"
#include "replication/core_state.h"

namespace verbex::replication {

namespace {

constexpr uint64_t kStateMagic = 0x31305453'4D584256;  // "VBXMST01" in file order
constexpr uint32_t kStateVersion = 1;

struct StateHead {
    uint64_t magic = kStateMagic;
    uint32_t version = kStateVersion;
    uint32_t headBytes = 128;
    uint64_t position = 0;
    uint64_t epoch = 0;          // of the entry that ends there
    Digest128 result;            // the result there
    uint64_t scrubbedAt = 0;     // the log's time when it was last scrubbed, in multiples of scrubNs
    uint64_t scrubs = 0;
    uint64_t scrubNs = 0;
    uint32_t capacities[4] = {};
    uint32_t ends = 0;
    uint8_t reserved[36] = {};
};
static_assert(sizeof(StateHead) == 128 && offsetof(StateHead, result) == 32);
static_assert(offsetof(StateHead, scrubNs) == 64 && offsetof(StateHead, ends) == 88);

std::array<uint32_t, 4> capacitiesOf(const CoreLimits& limits) {
    return {limits.maxOrders, limits.maxAccounts, limits.maxInstruments, limits.maxClientIds};
}

// Names what is wrong with the ends of a snapshot's epochs, or nullptr.
const char* stateFault(const std::vector<EpochEnd>& ends, const StateHead& head) {
    if (ends.empty()) return "has no epochs";
    for (size_t i = 1; i < ends.size(); i++) {
        if (ends[i].epoch <= ends[i - 1].epoch || ends[i].last <= ends[i - 1].last) {
            return "has epochs that do not rise";
        }
    }
    const bool fits = ends.back().last == head.position && ends.back().epoch == head.epoch;
    return fits ? nullptr : "has epochs that end elsewhere";
}

}  // namespace

std::vector<EpochEnd> endsUpTo(std::vector<EpochEnd> ends, Position position) {
    while (ends.size() > 1 && ends[ends.size() - 2].last >= position) ends.pop_back();
    if (!ends.empty()) ends.back().last = std::min(ends.back().last, position);
    return ends;
}

Status writeMemberState(journal::SnapshotWriter& writer, const Executor& executor,
                        const std::vector<EpochEnd>& ends, const ExecutorOptions& options) {
    CHECK(!ends.empty() && ends.back().last == executor.position());
    const std::span<const EpochEnd> kept =
        options.mutant == Mutant::SnapshotForgetsEnds ? std::span(ends).last(1) : std::span(ends);
    ExecutorMark mark = executor.mark();
    if (options.mutant == Mutant::SnapshotForgetsResult) mark = {.position = mark.position};
    StateHead head;
    head.position = mark.position;
    head.epoch = ends.back().epoch;
    head.result = mark.result;
    head.scrubbedAt = mark.scrubbedAt;
    head.scrubs = mark.scrubs;
    head.scrubNs = options.scrubNs;
    std::ranges::copy(capacitiesOf(options.limits), head.capacities);
    head.ends = static_cast<uint32_t>(kept.size());
    VERBEX_RETURN_IF_FAILED(writer.write(std::as_bytes(std::span(&head, 1))));
    VERBEX_RETURN_IF_FAILED(writer.write(std::as_bytes(kept)));
    return writeCoreState(writer, executor.core());
}

Result<std::optional<CoreLimits>> passMemberHead(journal::SnapshotReader& reader) {
    const std::optional<CoreLimits> none;
    SnapshotSource source(reader);
    StateHead head;
    if (!source.read(&head, sizeof(head))) {
        VERBEX_RETURN_IF_FAILED(source.failure());
        return none;
    }
    if (head.magic != kStateMagic || head.version != kStateVersion) return none;
    EpochEnd end;
    for (uint32_t i = 0; i < head.ends; i++) {
        if (source.read(&end, sizeof(end))) continue;
        VERBEX_RETURN_IF_FAILED(source.failure());
        return none;
    }
    CoreLimits limits;
    limits.maxOrders = head.capacities[0];
    limits.maxAccounts = head.capacities[1];
    limits.maxInstruments = head.capacities[2];
    limits.maxClientIds = head.capacities[3];
    return std::optional(limits);
}

Result<MemberState> readMemberState(journal::SnapshotReader& reader, const ExecutorOptions& options,
                                    Outputs& outputs) {
    const journal::SnapshotFacts& facts = reader.facts();
    const auto damaged = [&facts](const std::string& what) {
        return Status(StatusCode::SnapshotDamaged,
                      "the snapshot of position " + std::to_string(facts.position) + " " + what);
    };
    SnapshotSource source(reader);
    StateHead head;
    if (!source.read(&head, sizeof(head))) {
        VERBEX_RETURN_IF_FAILED(source.failure());
        return damaged("is too short");
    }
    if (head.magic != kStateMagic || head.headBytes != sizeof(head)) {
        return damaged("is not one of a member");
    }
    if (head.version != kStateVersion) {
        return Status(StatusCode::UnsupportedFormat,
                      "a member's state of format version " + std::to_string(head.version) +
                          "; this program reads version " + std::to_string(kStateVersion));
    }
    if (head.position != facts.position || head.epoch != facts.epoch ||
        !journal::isAllZero(std::as_bytes(std::span(head.reserved)))) {
        return damaged("has a head that is wrong");
    }
    if (!std::ranges::equal(head.capacities, capacitiesOf(options.limits)) ||
        head.scrubNs != options.scrubNs) {
        return damaged("is of other capacities, or of another time between scrubs");
    }
    MemberState state;
    // A piece at a time: what the head says is believed only as far as there is content.
    constexpr size_t kPiece = 4096;
    while (state.ends.size() < head.ends) {
        const size_t before = state.ends.size();
        state.ends.resize(std::min<size_t>(head.ends, before + kPiece));
        if (!source.read(&state.ends[before], (state.ends.size() - before) * sizeof(EpochEnd))) {
            VERBEX_RETURN_IF_FAILED(source.failure());
            return damaged("is too short");
        }
    }
    if (const char* fault = stateFault(state.ends, head)) return damaged(fault);
    Result<std::unique_ptr<Core>> core = readCoreState(
        reader, "the snapshot of position " + std::to_string(facts.position), options.limits);
    if (!core.isOk()) return core.status();
    const ExecutorMark mark{head.position, head.result, head.scrubbedAt, head.scrubs};
    state.executor = std::make_unique<Executor>(options, outputs, mark, core.take());
    state.facts = facts;
    state.contentDigest = reader.contentDigest();
    return state;
}

}  // namespace verbex::replication
