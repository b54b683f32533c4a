// A core's state in a snapshot: what was written is read, and content that is sound but says something else is refused.
#include "replication/core_state.h"

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <string>

#include "journal/snapshots.h"
#include "sim/disk.h"
#include "sim/small_market.h"

namespace verbex::replication::core_state_test {

namespace {

constexpr CoreLimits kLimits{1u << 10, 16, 4, 1u << 10};

class Discard final : public EventWriter {
public:
    Discard() { setRegion(cells_.data(), cells_.data() + cells_.size()); }

private:
    void drain() override { setRegion(cells_.data(), cells_.data() + cells_.size()); }
    std::array<Event, 256> cells_;
};

class CoreState : public testing::Test {
protected:
    CoreState() : core_(kLimits) {
        EXPECT_TRUE(disk_.createDirectory("data").isOk());
        lock_ = disk_.lockDirectory("data").take();
        store_ = journal::SnapshotStore::open(disk_, *lock_, "data/snapshots").take();
        Discard nowhere;
        for (const Command& command : sim::smallMarket({})) core_.apply(command, nowhere);
    }
    // A whole snapshot whose header says this, with so many bytes behind the state.
    std::string written(Position position, const Digest128& hash, size_t behind = 0) {
        journal::SnapshotFacts facts;
        facts.journalId = {1, 2};
        facts.position = position;
        auto writer = store_->begin(facts).take();
        EXPECT_TRUE(writeCoreState(*writer, core_).isOk());
        const std::vector<std::byte> more(behind);
        if (behind != 0) {
            EXPECT_TRUE(writer->write(more).isOk());
        }
        EXPECT_TRUE(store_->publish(std::move(writer), hash).isOk());
        return store_->list().take().front().name;
    }
    Result<std::unique_ptr<Core>> read(const std::string& name, const CoreLimits& limits = kLimits) {
        auto file = disk_.open("data/snapshots/" + name, journal::FileMode::Read).take();
        auto reader = journal::SnapshotReader::open(std::move(file), name).take();
        return readCoreState(*reader, name, limits);
    }
    void refused(const std::string& name, const std::string& why) {
        const Status status = read(name).status();
        EXPECT_EQ(status.code(), StatusCode::SnapshotDamaged) << status.toString();
        EXPECT_NE(status.toString().find(name + " holds " + why), std::string::npos)
            << status.toString();
    }

    sim::SimulatedDisk disk_;
    std::unique_ptr<journal::DirectoryLock> lock_;
    std::unique_ptr<journal::SnapshotStore> store_;
    Core core_;
};

TEST_F(CoreState, IsReadAsItWasWritten) {
    Result<std::unique_ptr<Core>> found = read(written(core_.position(), core_.hash()));
    ASSERT_TRUE(found.isOk()) << found.status().toString();
    EXPECT_EQ(found.value()->hash(), core_.hash());
    EXPECT_EQ(found.value()->position(), core_.position());
}

TEST_F(CoreState, IsRefusedWhereTheHeaderSaysSomethingElse) {
    refused(written(core_.position(), {3, 4}), "another state than its header says");
    refused(written(core_.position() + 1, core_.hash()), "another state than its header says");
    refused(written(core_.position() + 2, core_.hash(), 1), "more than one state");
}

TEST_F(CoreState, IsRefusedWhereTheCoreIsTooSmallForIt) {
    const std::string name = written(core_.position(), core_.hash());
    const Status status = read(name, {1u << 10, 1, 1, 1u << 10}).status();
    EXPECT_EQ(status.code(), StatusCode::SnapshotDamaged) << status.toString();
}

}  // namespace

}  // namespace verbex::replication::core_state_test
