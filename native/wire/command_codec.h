// The bytes of a batch of commands: what the journal keeps and recovery reads.
//
// Purpose: a command travels as its first line, and as its second one too where flag Extended says
// so. A batch is its commands one behind the other; docs/node.md states the same.
// Owner: pure functions over the caller's memory.
// Thread safety: pure.
// Invariants:
//   1. decodeBatch(encodeBatch(commands)) gives the same commands, byte for byte, provided that
//      they keep invariant 2 of command.h (loadCommand() makes any 128 bytes keep it).
//   2. decodeBatch() accepts exactly the payloads that `count` commands fill to the last byte.
// Requires: nothing of the bytes to decode.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "wire/command.h"

namespace verbex {

inline constexpr size_t kCommandLineBytes = 64;
inline constexpr size_t kCommandBytesMax = 128;
static_assert(kCommandBytesMax == sizeof(Command));

// A command from a cell that somebody else filled: what lies in a second line that does not count
// is dropped, so that the core sees now exactly what a replay of the journal will show it.
inline void loadCommand(const void* cell, Command& into) {
    auto* bytes = reinterpret_cast<std::byte*>(&into);
    std::memcpy(bytes, cell, kCommandLineBytes);
    if (into.extended()) {
        std::memcpy(bytes + kCommandLineBytes,
                    static_cast<const std::byte*>(cell) + kCommandLineBytes, kCommandLineBytes);
    } else {
        std::memset(bytes + kCommandLineBytes, 0, kCommandLineBytes);
    }
}

// Writes the command at `into` (room for kCommandBytesMax) and answers how many bytes it took.
inline size_t encodeCommand(const Command& command, std::byte* into) {
    const size_t size = command.size();
    std::memcpy(into, &command, size);
    return size;
}

// Appends the commands' bytes to `payload`.
inline void encodeBatch(std::span<const Command> commands, std::vector<std::byte>& payload) {
    for (const Command& command : commands) {
        const size_t at = payload.size();
        payload.resize(at + command.size());
        encodeCommand(command, payload.data() + at);
    }
}

// The `count` commands of a payload. False: these bytes are not that many commands; `into` is empty
// then.
[[nodiscard]] inline bool decodeBatch(std::span<const std::byte> payload, uint32_t count,
                                      std::vector<Command>& into) {
    into.clear();
    // Also bounds what is allocated on a lying count.
    if (payload.size() < uint64_t{count} * kCommandLineBytes ||
        payload.size() > uint64_t{count} * kCommandBytesMax) {
        return false;
    }
    into.resize(count);
    size_t offset = 0;
    for (Command& command : into) {
        size_t size = kCommandLineBytes;
        if (payload.size() - offset >= size) {
            std::memset(reinterpret_cast<std::byte*>(&command), 0, sizeof(Command));
            std::memcpy(&command, payload.data() + offset, kCommandLineBytes);
            size = command.size();
        }
        if (payload.size() - offset < size) {
            into.clear();
            return false;
        }
        if (size > kCommandLineBytes) std::memcpy(&command, payload.data() + offset, size);
        offset += size;
    }
    if (offset == payload.size()) return true;
    into.clear();
    return false;
}

}  // namespace verbex
