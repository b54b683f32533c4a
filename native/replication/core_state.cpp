#include "replication/core_state.h"

namespace verbex::replication {

namespace {

class Sink final : public ByteSink {
public:
    explicit Sink(journal::SnapshotWriter& writer) : writer_(writer) {}
    void write(const void* bytes, size_t size) override {
        if (!failure_.isOk()) return;
        failure_ = writer_.write({static_cast<const std::byte*>(bytes), size});
    }
    [[nodiscard]] const Status& failure() const { return failure_; }

private:
    journal::SnapshotWriter& writer_;
    Status failure_;
};

}  // namespace

bool SnapshotSource::read(void* bytes, size_t size) {
    if (size == 0) return true;
    if (!failure_.isOk()) return false;
    Result<size_t> got = reader_.read({static_cast<std::byte*>(bytes), size});
    if (!got.isOk()) failure_ = got.status();
    return got.isOk() && got.value() == size;
}

Status writeCoreState(journal::SnapshotWriter& writer, const Core& core) {
    Sink sink(writer);
    core.save(sink);
    return sink.failure();
}

Result<std::unique_ptr<Core>> readCoreState(journal::SnapshotReader& reader,
                                            const std::string& named, const CoreLimits& limits,
                                            const CoreShards& shards) {
    const auto damaged = [&named](const std::string& what) {
        return Status(StatusCode::SnapshotDamaged, named + " holds " + what);
    };
    const journal::SnapshotFacts facts = reader.facts();
    SnapshotSource source(reader);
    auto core = std::make_unique<Core>(limits, shards);
    const bool loaded = core->load(source);
    VERBEX_RETURN_IF_FAILED(source.failure());
    if (!loaded) return damaged("no state that this core reads, or one too large for it");
    // At the end of the content the reader checks the digest over all of it.
    std::byte rest[1];
    Result<size_t> behind = reader.read(rest);
    if (!behind.isOk()) return behind.status();
    if (behind.value() != 0) return damaged("more than one state");
    if (core->position() != facts.position || core->hash() != facts.stateHash) {
        return damaged("another state than its header says (hash " + core->hash().hex() +
                       " instead of " + facts.stateHash.hex() + ")");
    }
    return core;
}

}  // namespace verbex::replication
