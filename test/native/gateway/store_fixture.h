// What the message store's tests share: a directory of their own, a plain model, readers of streams.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "gateway/message_store.h"

namespace verbex::gateway::store_test {

class Directory {
public:
    explicit Directory(const std::string& below = std::filesystem::temp_directory_path().string()) {
        std::string pattern = below + "/verbex-store-XXXXXX";
        if (::mkdtemp(pattern.data()) != nullptr) path_ = pattern;
    }
    ~Directory() {
        std::error_code ignored;
        if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
    }
    [[nodiscard]] std::string path() const { return path_ + "/messages"; }
    [[nodiscard]] std::string file(const char* name) const { return path() + "/" + name; }

private:
    std::string path_;
};

// A record as the model keeps it.
struct Kept {
    RecordKind kind;
    uint16_t session = 0;
    uint32_t sequence = 0;
    EventPlace place;
    uint64_t timeNs = 0;
    std::string message;

    friend bool operator==(const Kept&, const Kept&) = default;
};

inline Kept kept(const StoredRecord& record) {
    return {record.kind, record.session, record.sequence, record.place, record.timeNs,
            std::string(reinterpret_cast<const char*>(record.message.data()), record.message.size())};
}

inline std::span<const std::byte> bytesOf(const std::string& text) {
    return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

// As it goes onto the wire.
inline std::string framed(const std::string& message) {
    const size_t length = message.size() + 1;
    return std::string{static_cast<char>(length >> 8), static_cast<char>(length), 'S'} + message;
}

struct Opened {
    std::unique_ptr<MessageStore> store;
    std::vector<Kept> seen;
    Status status;
};

inline Opened openStore(const MessageStoreOptions& options) {
    Opened opened;
    auto made = MessageStore::open(
        options, [&](const StoredRecord& record) { opened.seen.push_back(kept(record)); });
    opened.status = made.status();
    if (made.isOk()) opened.store = made.take();
    return opened;
}

inline bool putOut(MessageStore& store, uint16_t session, const EventPlace& place, uint64_t timeNs,
                   const std::string& message, bool last) {
    std::byte* to = store.claimOut(session, message.size(), place, timeNs);
    if (to == nullptr) return false;
    for (size_t i = 0; i < message.size(); ++i) {
        if (to[i] != std::byte{0}) return false;
    }
    std::memcpy(to, message.data(), message.size());
    store.commit(last);
    return true;
}

// Everything behind the cursor, in pieces of at most `piece` bytes; the cursor ends behind it.
inline std::string readAll(session::Outbound& outbound, session::OutboundCursor& cursor,
                           size_t piece = SIZE_MAX) {
    std::string all;
    for (;;) {
        iovec pieces[5];
        const size_t count = outbound.gather(cursor, pieces);
        if (count == 0) return all;
        size_t taken = 0;
        for (size_t i = 0; i < count && taken < piece; ++i) {
            const size_t some = std::min(piece - taken, pieces[i].iov_len);
            all.append(static_cast<const char*>(pieces[i].iov_base), some);
            taken += some;
        }
        outbound.advance(cursor, taken);
    }
}

inline std::string readFile(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}
inline void writeFile(const std::string& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

}  // namespace verbex::gateway::store_test
