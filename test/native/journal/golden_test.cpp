// Files of every released format open for ever: test/golden/journal holds them.
// VERBEX_WRITE_GOLDEN=1 writes those of this version, once per format version, never over old ones.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "workload.h"

namespace verbex::journal::test {
namespace {

#ifdef VERBEX_GOLDEN_DIR
const std::filesystem::path kGolden = std::filesystem::path(VERBEX_GOLDEN_DIR) / "journal";
#else
const std::filesystem::path kGolden =
    std::filesystem::path(__FILE__).parent_path() / "../../golden/journal";
#endif
constexpr const char* kVersion = "v1";

std::vector<Batch> goldenBatches() {
    std::vector<Batch> batches;
    for (uint64_t i = 0; i < 12; ++i) {
        Batch batch{1 + i / 5, static_cast<uint32_t>(1 + i % 4), randomBytes(i, 30 + i * 90)};
        if (i == 7) batch.payload.assign(1100, std::byte{0});  // whitened
        batches.push_back(std::move(batch));
    }
    return batches;
}

// Everything this version has to say in its files: two sessions, three segments, a seal, a clean
// close, a whitened record, a snapshot of two blocks.
void writeGolden(SimulatedDisk& disk) {
    auto lock = disk.lockDirectory(kData);
    const std::vector<Batch> batches = goldenBatches();
    const WriterOptions options{.segmentBytes = 8192, .stagingBytes = 16384, .journalId = kId};
    uint64_t position = 1;
    for (size_t session = 0; session < 2; ++session) {
        const RecoveryReport report = recoverJournal(disk, *lock.value(), kJournal, {}, {});
        ASSERT_TRUE(report.status.isOk());
        auto writer = JournalWriter::open(disk, *lock.value(), kJournal, report.end, options);
        ASSERT_TRUE(writer.isOk());
        for (size_t i = session * 6; i < session * 6 + 6; ++i) {
            const Batch& batch = batches[i];
            ASSERT_TRUE(
                writer.value()->append(batch.epoch, position, batch.count, batch.payload).isOk());
            position += batch.count;
            if (i % 2 == 1) {
                ASSERT_TRUE(writer.value()->commit().isOk());
            }
        }
        ASSERT_TRUE(writer.value()->close().isOk());
    }
    auto store = SnapshotStore::open(disk, *lock.value(), kSnapshots);
    ASSERT_TRUE(store.isOk());
    auto snapshot = store.value()->begin(
        {.journalId = kId, .position = 20, .epoch = 2, .journalDigest = {3, 4}});
    ASSERT_TRUE(snapshot.isOk());
    ASSERT_TRUE(snapshot.value()->write(randomBytes(20, kSnapshotBlockBytes + 100)).isOk());
    ASSERT_TRUE(store.value()->publish(snapshot.take(), {5, 6}).isOk());
}

SimulatedDisk::Image loadGolden(const std::filesystem::path& directory) {
    SimulatedDisk::Image image;
    for (const auto& entry : std::filesystem::directory_iterator(directory)) {
        const std::string name = entry.path().filename().string();
        std::ifstream file(entry.path(), std::ios::binary);
        const std::string bytes((std::istreambuf_iterator<char>(file)),
                                std::istreambuf_iterator<char>());
        const auto span = std::as_bytes(std::span(bytes));
        const std::string& directoryName = name.ends_with(".snapshot") ? kSnapshots : kJournal;
        image[joinPath(directoryName, name)] = {span.begin(), span.end()};
    }
    return image;
}

TEST(Golden, TheFilesOfThisVersionAreWrittenByteForByte) {
    SimulatedDisk disk;
    writeGolden(disk);
    if (HasFatalFailure()) return;
    const std::filesystem::path directory = kGolden / kVersion;
    if (std::getenv("VERBEX_WRITE_GOLDEN") != nullptr) {
        ASSERT_FALSE(std::filesystem::exists(directory)) << "golden files are never overwritten";
        std::filesystem::create_directories(directory);
        for (const auto& [path, content] : disk.image()) {
            std::ofstream file(directory / std::filesystem::path(path).filename(),
                               std::ios::binary);
            file.write(reinterpret_cast<const char*>(content.data()),
                       static_cast<std::streamsize>(content.size()));
            ASSERT_TRUE(file.good());
        }
    }
    const SimulatedDisk::Image golden = loadGolden(directory);
    const SimulatedDisk::Image written = disk.image();
    ASSERT_EQ(golden.size(), written.size());
    for (const auto& [path, content] : written) {
        ASSERT_TRUE(golden.contains(path)) << path;
        EXPECT_TRUE(golden.at(path) == content) << path << " differs from the released format";
    }
}

TEST(Golden, TheFilesOfVersion1Open) {
    SimulatedDisk disk;
    disk.load(loadGolden(kGolden / "v1"));
    std::vector<Batch> read;
    const RecoveryReport report =
        verifyJournal(disk, kJournal, {}, [&](const RecordView& record) {
            read.push_back({record.epoch,
                            record.count,
                            {record.payload.begin(), record.payload.end()}});
            return Status();
        });
    ASSERT_TRUE(report.status.isOk()) << report.toString();
    EXPECT_TRUE(read == goldenBatches());
    EXPECT_TRUE(report.cleanlyClosed);
    EXPECT_EQ(report.segments, 3u);
    EXPECT_EQ(report.end.journalId, kId);

    auto lock = disk.lockDirectory(kData);
    auto store = SnapshotStore::open(disk, *lock.value(), kSnapshots);
    ASSERT_TRUE(store.isOk());
    auto loaded = store.value()->loadNewest();
    ASSERT_TRUE(loaded.isOk()) << loaded.status().toString();
    EXPECT_EQ(loaded.value().facts.position, 20u);
    EXPECT_EQ(loaded.value().facts.stateHash, (Digest128{5, 6}));
    std::vector<std::byte> content(loaded.value().facts.contentBytes);
    ASSERT_TRUE(loaded.value().reader->read(content).isOk());
    EXPECT_TRUE(content == randomBytes(20, kSnapshotBlockBytes + 100));
}

}  // namespace
}  // namespace verbex::journal::test
