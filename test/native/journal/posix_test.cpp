// The real file system: the same writer, reader and recovery over PosixStorage.
#include "journal/posix_storage.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "workload.h"

namespace verbex::journal::test {
namespace {

class PosixTest : public testing::Test {
protected:
    void SetUp() override {
        std::string pattern = testing::TempDir() + "verbex-journal-XXXXXX";
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        directory_ = pattern;
    }
    void TearDown() override { std::filesystem::remove_all(directory_); }

    PosixStorage storage_;
    std::string directory_;
};

TEST_F(PosixTest, OneWriterPerDataDirectory) {
    auto first = storage_.lockDirectory(directory_ + "/data");
    ASSERT_TRUE(first.isOk()) << first.status().toString();
    auto second = storage_.lockDirectory(directory_ + "/data");
    ASSERT_FALSE(second.isOk());
    EXPECT_EQ(second.status().code(), StatusCode::DataDirectoryInUse);
    EXPECT_NE(second.status().message().find(std::to_string(::getpid())), std::string::npos);
    first.value().reset();
    EXPECT_TRUE(storage_.lockDirectory(directory_ + "/data").isOk());
}

TEST_F(PosixTest, TheLockGoesWithItsProcess) {
    const pid_t child = ::fork();
    if (child == 0) {
        PosixStorage storage;
        auto lock = storage.lockDirectory(directory_);
        ::_exit(lock.isOk() ? 0 : 1);  // without releasing
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_EQ(status, 0);
    EXPECT_TRUE(storage_.lockDirectory(directory_).isOk());
}

TEST_F(PosixTest, ErrorsCarryCodeCallAndPath) {
    EXPECT_EQ(storage_.open(directory_ + "/none", FileMode::Read).status().code(),
              StatusCode::NotFound);
    EXPECT_NE(storage_.open(directory_ + "/none", FileMode::Read).status().message().find("/none"),
              std::string::npos);
    EXPECT_EQ(storage_.list(directory_ + "/none").status().code(), StatusCode::NotFound);
    ASSERT_TRUE(storage_.create(directory_ + "/f", FileMode::Buffered).isOk());
    EXPECT_EQ(storage_.create(directory_ + "/f", FileMode::Buffered).status().code(),
              StatusCode::AlreadyExists);
    EXPECT_EQ(storage_.rename(directory_ + "/none", directory_ + "/g").code(),
              StatusCode::NotFound);
    EXPECT_EQ(storage_.remove(directory_ + "/none").code(), StatusCode::NotFound);
    EXPECT_FALSE(storage_.createDirectory(directory_ + "/f").isOk());
}

void writeFollowAndRecover(PosixStorage& storage, const std::string& directory,
                           Durability durability) {
    auto lock = storage.lockDirectory(directory);
    ASSERT_TRUE(lock.isOk()) << lock.status().toString();
    const std::string journal = directory + "/journal";
    std::map<uint64_t, Batch> offered;
    std::map<uint64_t, Batch> followed;
    const RecordSink follow = [&](const RecordView& record) {
        followed[record.position] = {record.epoch,
                                     record.count,
                                     {record.payload.begin(), record.payload.end()}};
        return Status();
    };
    for (int session = 0; session < 2; ++session) {
        RecoveryReport report = recoverJournal(storage, *lock.value(), journal, {}, {});
        ASSERT_TRUE(report.status.isOk()) << report.toString();
        auto opened = JournalWriter::open(
            storage, *lock.value(), journal, report.end,
            {.durability = durability, .segmentBytes = 256 * 1024, .journalId = kId});
        ASSERT_TRUE(opened.isOk()) << opened.status().toString();
        JournalWriter& writer = *opened.value();
        std::atomic<bool> done{false};
        Status readerStatus;
        std::thread reader([&] {
            auto following = JournalReader::open(storage, journal, report.end.nextPosition);
            readerStatus = following.status();
            while (readerStatus.isOk()) {
                const bool last = done.load();
                readerStatus = following.value()->readUpTo(writer.writtenPosition(), follow);
                if (last) break;
            }
        });
        std::thread preparer([&] {
            while (!done.load()) {
                if (!writer.prepareNext().isOk()) break;
                std::this_thread::yield();
            }
        });
        Random random(static_cast<uint64_t>(session));
        for (int i = 0; i < 400; ++i) {
            Batch batch = makeBatch(random, 4000);
            const uint64_t first = writer.nextPosition();
            EXPECT_TRUE(writer.append(1, first, batch.count, batch.payload).isOk());
            offered[first] = std::move(batch);
            if (i % 5 == 0) {
                EXPECT_TRUE(writer.commit().isOk());
            }
        }
        EXPECT_TRUE(writer.sync().isOk());
        done.store(true);
        reader.join();
        preparer.join();
        EXPECT_TRUE(readerStatus.isOk()) << readerStatus.toString();
        EXPECT_EQ(followed, offered);
        if (session == 1) {
            EXPECT_TRUE(writer.close().isOk());
        }
    }
    followed.clear();
    const RecoveryReport report = recoverJournal(storage, *lock.value(), journal, {}, follow);
    EXPECT_TRUE(report.status.isOk()) << report.toString();
    EXPECT_TRUE(report.cleanlyClosed);
    EXPECT_EQ(followed, offered);
    EXPECT_GE(report.segments, 3u);
}

TEST_F(PosixTest, WriterReaderAndPreparerTogetherDurable) {
    writeFollowAndRecover(storage_, directory_, Durability::Durable);
}

TEST_F(PosixTest, WriterReaderAndPreparerTogetherAsync) {
    writeFollowAndRecover(storage_, directory_, Durability::Async);
}

// Where a file system refuses O_DIRECT the journal works all the same (and directIo() says so).
TEST_F(PosixTest, WorksInMemoryBackedDirectories) {
    std::string pattern = "/dev/shm/verbex-journal-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) GTEST_SKIP() << "no /dev/shm here";
    writeFollowAndRecover(storage_, pattern, Durability::Durable);
    std::filesystem::remove_all(pattern);
}

TEST_F(PosixTest, SnapshotsComeBack) {
    auto lock = storage_.lockDirectory(directory_);
    ASSERT_TRUE(lock.isOk());
    auto store = SnapshotStore::open(storage_, *lock.value(), directory_ + "/snapshots");
    ASSERT_TRUE(store.isOk());
    const std::vector<std::byte> content = randomBytes(3, 300000);
    for (const uint64_t position : {5u, 6u, 7u}) {
        auto writer = store.value()->begin({.journalId = kId, .position = position});
        ASSERT_TRUE(writer.isOk()) << writer.status().toString();
        ASSERT_TRUE(writer.value()->write(content).isOk());
        ASSERT_TRUE(store.value()->publish(writer.take(), {1, 2}).isOk());
    }
    EXPECT_EQ(store.value()->list().take().size(), 2u);
    auto loaded = store.value()->loadNewest();
    ASSERT_TRUE(loaded.isOk());
    EXPECT_EQ(loaded.value().facts.position, 7u);
    std::vector<std::byte> read(content.size());
    ASSERT_TRUE(loaded.value().reader->read(read).isOk());
    EXPECT_EQ(read, content);
}

}  // namespace
}  // namespace verbex::journal::test
