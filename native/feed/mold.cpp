// Where the fields of a datagram lie: see mold.h.
#include "feed/mold.h"

#include <algorithm>
#include <cstring>

namespace verbex::feed {

void writeMoldHeader(std::byte* to, const MoldHeader& header) {
    std::memcpy(to, header.session.data(), header.session.size());
    put64(to + 10, header.sequence);
    put16(to + 18, header.count);
}

bool readMoldHeader(std::span<const std::byte> bytes, MoldHeader& header) {
    if (bytes.size() < kMoldHeaderBytes) return false;
    std::memcpy(header.session.data(), bytes.data(), header.session.size());
    header.sequence = get64(&bytes[10]);
    header.count = get16(&bytes[18]);
    return true;
}

bool isWholeDatagram(std::span<const std::byte> bytes, const MoldHeader& header) {
    if (header.count == kMoldEndOfSession) return bytes.size() == kMoldHeaderBytes;
    size_t at = kMoldHeaderBytes;
    for (uint16_t i = 0; i < header.count; ++i) {
        if (bytes.size() - at < 2) return false;
        const size_t length = get16(&bytes[at]);
        at += 2;
        if (bytes.size() - at < length) return false;
        at += length;
    }
    return at == bytes.size();
}

size_t fillDatagram(const FeedHistory& history, FeedHistory::Reader& reader,
                    const session::SessionName& session, uint64_t most, std::span<std::byte> room) {
    MoldHeader header{session, reader.sequence(), 0};
    size_t at = kMoldHeaderBytes;
    most = std::min<uint64_t>(most, kMoldEndOfSession - 1);
    while (header.count < most) {
        const std::span<const std::byte> message = history.peek(reader);
        if (message.empty() || at + 2 + message.size() > room.size()) break;
        put16(&room[at], static_cast<uint16_t>(message.size()));
        std::memcpy(&room[at + 2], message.data(), message.size());
        at += 2 + message.size();
        ++header.count;
        history.skip(reader);
    }
    if (header.count == 0) return 0;
    writeMoldHeader(room.data(), header);
    return at;
}

size_t answerRequest(const FeedHistory& history, const session::SessionName& session,
                     std::span<const std::byte> request, std::span<std::byte> room) {
    MoldHeader asked;
    if (request.size() != kMoldHeaderBytes || !readMoldHeader(request, asked)) return 0;
    if (asked.session != session || asked.count == 0 || !history.has(asked.sequence)) return 0;
    FeedHistory::Reader reader;
    if (!history.seek(asked.sequence, reader)) return 0;
    return fillDatagram(history, reader, session, asked.count, room);
}

}  // namespace verbex::feed
