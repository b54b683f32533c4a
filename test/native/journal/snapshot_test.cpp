#include "journal/snapshots.h"

#include <gtest/gtest.h>

#include "workload.h"

namespace verbex::journal::test {
namespace {

class SnapshotTest : public testing::Test {
protected:
    void SetUp() override { reopen(); }

    void reopen() {
        store_.reset();
        lock_.reset();
        lock_ = disk_.lockDirectory(kData).take();
        auto opened = SnapshotStore::open(disk_, *lock_, kSnapshots);
        ASSERT_TRUE(opened.isOk()) << opened.status().toString();
        store_ = opened.take();
    }

    Status take(uint64_t position, size_t bytes, size_t piece = 1000) {
        const SnapshotFacts facts{
            .journalId = kId, .position = position, .epoch = 3, .journalDigest = {position, 1}};
        auto writer = store_->begin(facts);
        if (!writer.isOk()) return writer.status();
        const std::vector<std::byte> content = randomBytes(position, bytes);
        for (size_t at = 0; at < bytes; at += piece) {
            VERBEX_RETURN_IF_FAILED(writer.value()->write(
                std::span(content).subspan(at, std::min(piece, bytes - at))));
        }
        return store_->publish(writer.take(), {position, 2});
    }

    std::vector<uint64_t> positions() {
        std::vector<uint64_t> found;
        const auto listed = store_->list().take();
        for (const SnapshotListing& snapshot : listed) found.push_back(snapshot.position);
        return found;
    }

    std::string pathOf(uint64_t position) {
        const auto listed = store_->list().take();
        for (const SnapshotListing& snapshot : listed) {
            if (snapshot.position == position) return joinPath(kSnapshots, snapshot.name);
        }
        return {};
    }

    SimulatedDisk disk_;
    std::unique_ptr<DirectoryLock> lock_;
    std::unique_ptr<SnapshotStore> store_;
};

TEST_F(SnapshotTest, EverySizeComesBackInAnyPieces) {
    uint64_t position = 1;
    for (const size_t bytes : {size_t{0}, size_t{1}, size_t{65535}, size_t{65536}, size_t{65537},
                               size_t{131072}, size_t{1500000}}) {
        for (const size_t piece : {size_t{777}, size_t{65536}, size_t{2000000}}) {
            ASSERT_TRUE(take(position, bytes, piece).isOk());
            auto loaded = store_->loadNewest();
            ASSERT_TRUE(loaded.isOk()) << loaded.status().toString();
            const SnapshotFacts& facts = loaded.value().facts;
            EXPECT_EQ(facts.position, position);
            EXPECT_EQ(facts.epoch, 3u);
            EXPECT_EQ(facts.journalId, kId);
            EXPECT_EQ(facts.journalDigest, (Digest128{position, 1}));
            EXPECT_EQ(facts.stateHash, (Digest128{position, 2}));
            EXPECT_EQ(facts.contentBytes, bytes);
            std::vector<std::byte> content(bytes);
            size_t at = 0;
            while (at < bytes) {
                auto read = loaded.value().reader->read(
                    std::span(content).subspan(at, std::min<size_t>(50000, bytes - at)));
                ASSERT_TRUE(read.isOk());
                ASSERT_GT(read.value(), 0u);
                at += read.value();
            }
            std::byte more{};
            auto end = loaded.value().reader->read({&more, 1});
            ASSERT_TRUE(end.isOk());
            EXPECT_EQ(end.value(), 0u);
            EXPECT_EQ(content, randomBytes(position, bytes));
            ++position;
        }
    }
}

TEST_F(SnapshotTest, TheNewestTwoStay) {
    EXPECT_EQ(store_->loadNewest().status().code(), StatusCode::NotFound);
    for (uint64_t position = 10; position <= 50; position += 10) {
        ASSERT_TRUE(take(position, 500).isOk());
    }
    EXPECT_EQ(positions(), (std::vector<uint64_t>{50, 40}));
    EXPECT_EQ(take(50, 500).code(), StatusCode::AlreadyExists);
}

TEST_F(SnapshotTest, ADamagedOneIsPassedOverAloudAndTheLastGoodOneIsNotRemoved) {
    ASSERT_TRUE(take(10, 500).isOk());
    ASSERT_TRUE(take(20, 500).isOk());
    disk_.flipBit(pathOf(20), 3000);
    auto loaded = store_->loadNewest();
    ASSERT_TRUE(loaded.isOk());
    EXPECT_EQ(loaded.value().facts.position, 10u);
    ASSERT_EQ(loaded.value().refused.size(), 1u);
    EXPECT_EQ(loaded.value().refused[0].code(), StatusCode::SnapshotDamaged);
    EXPECT_NE(loaded.value().refused[0].message().find("00000000000000000020"), std::string::npos);

    ASSERT_TRUE(take(30, 500).isOk());
    EXPECT_EQ(positions(), (std::vector<uint64_t>{30, 20, 10})) << "two good ones stay";
    ASSERT_TRUE(take(20, 500).isOk()) << "a damaged one may be replaced";
    EXPECT_EQ(positions(), (std::vector<uint64_t>{30, 20}));
}

TEST_F(SnapshotTest, NoGoodOneIsARefusalThatNamesEach) {
    ASSERT_TRUE(take(10, 500).isOk());
    ASSERT_TRUE(take(20, 500).isOk());
    disk_.flipBit(pathOf(10), 40);
    disk_.truncate(pathOf(20), 300);
    const auto loaded = store_->loadNewest();
    ASSERT_FALSE(loaded.isOk());
    EXPECT_EQ(loaded.status().code(), StatusCode::SnapshotDamaged);
    EXPECT_NE(loaded.status().message().find("00000000000000000010"), std::string::npos);
    EXPECT_NE(loaded.status().message().find("00000000000000000020"), std::string::npos);
}

TEST_F(SnapshotTest, EveryBitOfASnapshotIsGuarded) {
    ASSERT_TRUE(take(5, 16000).isOk());
    ASSERT_TRUE(take(6, 16000).isOk());
    const std::string path = pathOf(6);
    const std::string name = path.substr(kSnapshots.size() + 1);
    const uint64_t bits = disk_.contents(path).size() * 8;
    for (uint64_t bit = 0; bit < bits; ++bit) {
        disk_.flipBit(path, bit);
        const auto facts = store_->verify(name);
        if (bit % 1009 == 0) {
            auto loaded = store_->loadNewest();
            ASSERT_TRUE(loaded.isOk());
            ASSERT_EQ(loaded.value().facts.position, 5u);
            ASSERT_EQ(loaded.value().refused.size(), 1u);
        }
        disk_.flipBit(path, bit);
        ASSERT_EQ(facts.status().code(), StatusCode::SnapshotDamaged) << "bit " << bit;
    }
    ASSERT_TRUE(store_->verify(name).isOk());
}

TEST_F(SnapshotTest, EveryByteOfASnapshotOfSeveralBlocksIsGuarded) {
    ASSERT_TRUE(take(6, 65536 + 5000).isOk());
    const std::string path = pathOf(6);
    const std::string name = path.substr(kSnapshots.size() + 1);
    const uint64_t bytes = disk_.contents(path).size();
    for (uint64_t byte = 0; byte < bytes; ++byte) {
        const uint64_t bit = byte * 8 + byte % 7;
        disk_.flipBit(path, bit);
        const auto facts = store_->verify(name);
        disk_.flipBit(path, bit);
        ASSERT_EQ(facts.status().code(), StatusCode::SnapshotDamaged) << "byte " << byte;
    }
}

TEST_F(SnapshotTest, EveryLengthOfASnapshotIsGuarded) {
    ASSERT_TRUE(take(6, 3000).isOk());
    const std::string path = pathOf(6);
    const std::string name = path.substr(kSnapshots.size() + 1);
    const SimulatedDisk::Contents whole = disk_.contents(path);
    for (uint64_t bytes = 0; bytes <= whole.size() + 3; ++bytes) {
        if (bytes == whole.size()) continue;
        disk_.place(path, whole);
        disk_.truncate(path, bytes);
        ASSERT_EQ(store_->verify(name).status().code(), StatusCode::SnapshotDamaged) << bytes;
    }
}

TEST_F(SnapshotTest, ASnapshotUnderAnotherOnesNameIsRefused) {
    ASSERT_TRUE(take(6, 300).isOk());
    const SimulatedDisk::Contents contents = disk_.contents(pathOf(6));
    disk_.place(joinPath(kSnapshots, "00000000000000000007.snapshot"), contents);
    const auto facts = store_->verify("00000000000000000007.snapshot");
    EXPECT_EQ(facts.status().code(), StatusCode::SnapshotDamaged);
}

TEST_F(SnapshotTest, UnfinishedOnesAreDiscardedOrRemovedAtTheNextOpen) {
    auto writer = store_->begin({.journalId = kId, .position = 9});
    ASSERT_TRUE(writer.isOk());
    ASSERT_TRUE(writer.value()->write(randomBytes(1, 100)).isOk());
    ASSERT_TRUE(store_->discard(writer.take()).isOk());
    EXPECT_TRUE(disk_.image().empty());
    auto second = store_->begin({.journalId = kId, .position = 9});
    ASSERT_TRUE(second.isOk());
    EXPECT_EQ(disk_.image().size(), 1u);
    reopen();
    EXPECT_TRUE(disk_.image().empty());
}

TEST_F(SnapshotTest, AReadErrorIsNotTakenForDamage) {
    ASSERT_TRUE(take(5, 300).isOk());
    ASSERT_TRUE(take(6, 300).isOk());
    for (uint64_t read = 1; read <= 3; ++read) {
        disk_.failReadAt(disk_.reads() + read);
        EXPECT_EQ(store_->loadNewest().status().code(), StatusCode::IoError);
    }
}

}  // namespace
}  // namespace verbex::journal::test
