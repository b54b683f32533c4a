// What this process has in memory, and what the machine has free, as Linux tells it.
//
// Thread safety: pure.
#pragma once

#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstring>

#include "measuring.h"

namespace verbex::bench {

// Resident bytes of this process.
inline uint64_t residentBytes() {
    FILE* file = std::fopen("/proc/self/statm", "r");
    unsigned long long size = 0, resident = 0;
    if (file == nullptr || std::fscanf(file, "%llu %llu", &size, &resident) != 2) {
        stopWith("/proc/self/statm cannot be read");
    }
    std::fclose(file);
    return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

// MemAvailable: what may be used without pushing anything out.
inline uint64_t availableBytes() {
    FILE* file = std::fopen("/proc/meminfo", "r");
    if (file == nullptr) stopWith("/proc/meminfo cannot be read");
    char line[128];
    unsigned long long kilobytes = 0;
    while (std::fgets(line, sizeof(line), file) != nullptr) {
        if (std::sscanf(line, "MemAvailable: %llu kB", &kilobytes) == 1) break;
    }
    std::fclose(file);
    return kilobytes * 1024;
}

}  // namespace verbex::bench
