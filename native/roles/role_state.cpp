#include "roles/role_state.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <span>

#include "journal/record.h"
#include "replication/core_state.h"

namespace verbex::roles {

namespace {

constexpr uint64_t kMagic = 0x31304c4f'52584256;  // "VBXROL01" in file order
constexpr uint32_t kVersion = 1;

struct StateHead {
    uint64_t magic = kMagic;
    uint32_t version = kVersion;
    uint32_t headBytes = 128;
    uint64_t position = 0;
    Digest128 chain;             // of results there
    char deployment[kDeploymentBytesMax] = {};
    uint32_t kind = 0;           // PartKind
    uint32_t shard = 0;
    uint32_t riskShards = 0;
    uint32_t matchingShards = 0;
    uint32_t capacities[4] = {};
    uint8_t reserved[24] = {};
};
static_assert(sizeof(StateHead) == 128 && offsetof(StateHead, chain) == 24);
static_assert(offsetof(StateHead, deployment) == 40 && offsetof(StateHead, capacities) == 88);

std::array<uint32_t, 4> capacitiesOf(const CoreLimits& limits) {
    return {limits.maxOrders, limits.maxAccounts, limits.maxInstruments, limits.maxClientIds};
}

StateHead headOf(const Rebuild& core, const RoleIdentity& whose) {
    CHECK(whose.deployment.size() <= kDeploymentBytesMax);
    StateHead head;
    head.position = core.position();
    head.chain = core.chain();
    std::ranges::copy(whose.deployment, head.deployment);
    head.kind = static_cast<uint32_t>(whose.kind);
    head.shard = whose.shard;
    head.riskShards = whose.riskShards;
    head.matchingShards = whose.matchingShards;
    std::ranges::copy(capacitiesOf(whose.limits), head.capacities);
    return head;
}

std::string nameOf(const StateHead& head) {
    const std::string deployment(head.deployment, strnlen(head.deployment, sizeof(head.deployment)));
    const bool risk = head.kind == static_cast<uint32_t>(PartKind::Risk);
    return (risk ? "risk:" : "matching:") + std::to_string(head.shard) + " of " +
           std::to_string(head.riskShards) + " x " + std::to_string(head.matchingShards) +
           " in deployment " + deployment;
}

class Sink final : public ByteSink {
public:
    Sink(journal::SnapshotWriter& writer, const std::function<bool()>& giveUp)
        : writer_(writer), giveUp_(giveUp) {}
    void write(const void* bytes, size_t size) override {
        if (!failure_.isOk()) return;
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

}  // namespace

Status writeRoleState(journal::SnapshotWriter& writer, const Rebuild& core,
                      const RoleIdentity& whose, const std::function<bool()>& giveUp) {
    const StateHead head = headOf(core, whose);
    VERBEX_RETURN_IF_FAILED(writer.write(std::as_bytes(std::span(&head, 1))));
    Sink sink(writer, giveUp);
    if (whose.mutant == RoleMutant::SnapshotForgetsNumbers) {
        core.part().core().save(sink);
    } else {
        core.part().save(sink);
    }
    return sink.failure();
}

Result<std::unique_ptr<Rebuild>> readRoleState(journal::SnapshotReader& reader,
                                               const RoleIdentity& whose) {
    const journal::SnapshotFacts& facts = reader.facts();
    const auto damaged = [&facts](const std::string& what) {
        return Status(StatusCode::SnapshotDamaged,
                      "the snapshot of position " + std::to_string(facts.position) + " " + what);
    };
    replication::SnapshotSource source(reader);
    StateHead head;
    if (!source.read(&head, sizeof(head))) {
        VERBEX_RETURN_IF_FAILED(source.failure());
        return damaged("is too short");
    }
    if (head.magic != kMagic || head.headBytes != sizeof(head)) {
        return damaged("is not one of a risk or matching process");
    }
    if (head.version != kVersion) {
        return Status(StatusCode::UnsupportedFormat,
                      "the state of a process in format version " + std::to_string(head.version) +
                          "; this program reads version " + std::to_string(kVersion));
    }
    if (head.position != facts.position ||
        !journal::isAllZero(std::as_bytes(std::span(head.reserved)))) {
        return damaged("has a head that is wrong");
    }
    StateHead wanted;
    std::ranges::copy(whose.deployment, wanted.deployment);
    wanted.kind = static_cast<uint32_t>(whose.kind);
    wanted.shard = whose.shard;
    wanted.riskShards = whose.riskShards;
    wanted.matchingShards = whose.matchingShards;
    if (nameOf(head) != nameOf(wanted)) {
        return damaged("is of " + nameOf(head) + ", not of " + nameOf(wanted));
    }
    if (!std::ranges::equal(head.capacities, capacitiesOf(whose.limits))) {
        return damaged("is of other capacities");
    }
    auto part = std::make_unique<CorePart>(whose.limits, whose.riskShards, whose.matchingShards);
    const bool loaded = whose.mutant == RoleMutant::SnapshotForgetsNumbers
                            ? part->core().load(source)
                            : part->load(source);
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
    return std::make_unique<Rebuild>(std::move(part), head.position, head.chain);
}

}  // namespace verbex::roles
