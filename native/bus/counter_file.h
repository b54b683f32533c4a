// The counters of a running bus in a file that other processes read: `verbex top`.
//
// Purpose: whoever may read the file sees what the bus does, without asking it and without slowing
// it down. The bytes are in docs/bus-protocol.md, section Counters.
// Owner: whoever owns the bus and polls it.
// Thread safety: one writer; readers in other processes go by the generation, which is odd while
// records are being written.
// Invariants:
//   1. The file has its full size from the beginning; writing it allocates nothing on disk any more
//      and cannot fail.
//   2. It is unlinked at the end. One that a dead process left is removed by readers, and by a new
//      process of the same number.
// Requires: update() with the bus that it was opened for.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"
#include "bus/bus.h"

namespace verbex::bus {

inline constexpr std::array<char, 4> kCounterFileMagic = {'V', 'X', 'C', 'T'};
inline constexpr uint32_t kCounterFileVersion = 1;

struct CounterFileHeader {
    std::array<char, 4> magic;
    uint32_t version;
    uint32_t pid;
    uint32_t capacity;
    uint64_t processStart;  // clock ticks since boot; 0: unknown
    uint64_t startedMs;     // wall clock, since 1970
    uint64_t generation;
    uint64_t updatedNs;  // the bus's clock
    uint32_t records;
    uint32_t leftOut;
    uint64_t reserved;
    char name[64];
};
static_assert(sizeof(CounterFileHeader) == 128);
static_assert(offsetof(CounterFileHeader, processStart) == 16);
static_assert(offsetof(CounterFileHeader, generation) == 32);
static_assert(offsetof(CounterFileHeader, records) == 48);
static_assert(offsetof(CounterFileHeader, name) == 64);

enum class CounterKind : uint32_t { Counter = 1, Gauge = 2 };

struct CounterRecord {
    char label[112];
    uint64_t value;
    uint32_t kind;
    uint32_t reserved;
};
static_assert(sizeof(CounterRecord) == 128);
static_assert(offsetof(CounterRecord, value) == 112 && offsetof(CounterRecord, kind) == 120);

struct CounterFileOptions {
    std::string path{};           // empty: /dev/shm/verbex-<pid>.counters
    std::string name = "verbex";  // the node's
    uint32_t capacity = 1024;     // records: 24 of bus and network, 17 a link
    uint64_t startedMs = 0;       // the wall clock now
    Nanoseconds everyNs = 100'000'000;
};

class CounterFile {
public:
    static Result<std::unique_ptr<CounterFile>> open(const CounterFileOptions& options);
    ~CounterFile();
    CounterFile(const CounterFile&) = delete;
    CounterFile& operator=(const CounterFile&) = delete;

    // Copies everything if it is time again.
    void update(const Bus& bus, const transport::NetworkCounters& network, Nanoseconds now) {
        if (now < nextAt_) return;
        nextAt_ = now + everyNs_;
        copy(bus, network, now);
    }

    [[nodiscard]] const std::string& path() const { return path_; }

private:
    CounterFile(std::string path, std::byte* memory, size_t size, Nanoseconds everyNs);
    void copy(const Bus& bus, const transport::NetworkCounters& network, Nanoseconds now);
    void put(std::string_view label, uint64_t value, CounterKind kind = CounterKind::Counter);

    std::string path_;
    size_t size_;
    Nanoseconds everyNs_;
    Nanoseconds nextAt_ = 0;
    CounterFileHeader* header_;
    CounterRecord* records_;
    uint32_t used_ = 0;
    uint32_t leftOut_ = 0;
};

// Field 22 of /proc/<pid>/stat; 0 where there is no such process.
uint64_t processStart(uint32_t pid);

}  // namespace verbex::bus
