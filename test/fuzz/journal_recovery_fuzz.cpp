// libFuzzer entry: opening a journal must never crash and never accept damage.
//
// The first byte chooses:
//   even: the rest is a segment file as it stands. Whatever recovery accepts must, after its
//         repair, verify cleanly and take more records.
//   odd:  a good, cleanly closed journal with a burst of one to four bytes changed (offset and mask
//         from the input). It must be refused, with the place.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "base/check.h"
#include "journal/recovery.h"
#include "journal/segment.h"
#include "journal/writer.h"
#include "sim/disk.h"

namespace {

using namespace verbex;
using namespace verbex::journal;

const std::string kJournal = "data/journal";
constexpr uint64_t kSegmentBytes = 8192;
constexpr size_t kInputBytesMax = 1u << 16;

const WriterOptions kOptions{
    .segmentBytes = kSegmentBytes, .stagingBytes = kSegmentBytes, .journalId = {1, 2}};

sim::SimulatedDisk::Image makeGoodJournal() {
    sim::SimulatedDisk disk;
    auto lock = disk.lockDirectory("data");
    auto writer = JournalWriter::open(disk, *lock.value(), kJournal, {}, kOptions);
    CHECK(writer.isOk());
    std::vector<std::byte> payload(700);
    for (uint64_t position = 1; position <= 12; ++position) {
        for (size_t i = 0; i < payload.size(); ++i) {
            payload[i] = static_cast<std::byte>(position * 31 + i * 7);
        }
        CHECK(writer.value()
                  ->append(1, position, 1, std::span(payload).first(50 * position))
                  .isOk());
        CHECK(writer.value()->commit().isOk());
    }
    CHECK(writer.value()->close().isOk());
    return disk.image();
}

void openArbitrary(const uint8_t* data, size_t size) {
    sim::SimulatedDisk disk;
    const auto* bytes = reinterpret_cast<const std::byte*>(data);
    disk.place(joinPath(kJournal, segmentFileName(1)), {bytes, bytes + size});
    auto lock = disk.lockDirectory("data");
    uint64_t expected = 1;
    const RecoveryReport report =
        recoverJournal(disk, *lock.value(), kJournal, {}, [&](const RecordView& record) {
            CHECK(record.position == expected && record.count > 0);
            expected = record.lastPosition() + 1;
            return Status();
        });
    if (!report.status.isOk()) return;
    CHECK(report.end.nextPosition == expected);
    const RecoveryReport again = verifyJournal(disk, kJournal);
    CHECK(again.status.isOk() && !again.torn && again.end.nextPosition == expected);
    auto writer = JournalWriter::open(disk, *lock.value(), kJournal, report.end, kOptions);
    CHECK(writer.isOk());
    const std::byte payload[3] = {std::byte{1}, std::byte{2}, std::byte{3}};
    CHECK(writer.value()->append(report.end.epoch, expected, 1, payload).isOk());
    CHECK(writer.value()->close().isOk());
    const RecoveryReport closed = verifyJournal(disk, kJournal);
    CHECK(closed.status.isOk() && closed.cleanlyClosed && closed.lastPosition == expected);
}

void openDamaged(const uint8_t* data, size_t size) {
    static const sim::SimulatedDisk::Image kGood = makeGoodJournal();
    uint8_t fields[10] = {};
    std::memcpy(fields, data, std::min(size, sizeof(fields)));
    uint32_t where = 0;
    std::memcpy(&where, fields, sizeof(where));
    const size_t length = 1 + fields[4] % 4;

    sim::SimulatedDisk disk;
    sim::SimulatedDisk::Image image = kGood;
    auto file = std::next(image.begin(), static_cast<std::ptrdiff_t>(fields[5] % image.size()));
    bool changed = false;
    for (size_t i = 0; i < length; ++i) {
        const std::byte mask{fields[6 + i]};
        const size_t at = where % file->second.size() + i;
        if (at >= file->second.size()) break;
        file->second[at] ^= mask;
        changed = changed || mask != std::byte{0};
    }
    disk.load(image);
    const RecoveryReport report = verifyJournal(disk, kJournal);
    CHECK(report.status.isOk() == !changed);
    CHECK(report.damage.has_value() == changed);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0 || size > kInputBytesMax) return 0;
    if (data[0] % 2 == 0) {
        openArbitrary(data + 1, size - 1);
    } else {
        openDamaged(data + 1, size - 1);
    }
    return 0;
}
