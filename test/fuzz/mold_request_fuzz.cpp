// libFuzzer entry: whatever comes to the retransmission server, the answer is whole messages of the history or
// nothing.
//
// The first byte gives the answer's room, the second whether the rest is a request as it stands or one with the
// right session in front.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "base/check.h"
#include "feed/mold.h"
#include "feed/session_names.h"

namespace {

using namespace verbex;
using namespace verbex::feed;

// One history for all runs: its beginning is gone.
FeedHistory& history() {
    static FeedHistory* const made = [] {
        auto* history = new FeedHistory(FeedHistory::kBytesMin);
        for (uint64_t i = 1; i <= 5000; ++i) {
            itch::Message message;
            message.type = i % 3 == 0 ? itch::Type::Add : itch::Type::Delete;
            message.code = itch::kBuy;
            message.timeNs = i;
            history->append(message);
        }
        return history;
    }();
    return *made;
}

void check(std::span<const std::byte> request, size_t room) {
    const session::SessionName session = sessionNameOf("DAY1");
    // Exactly as much as it may use: a sanitizer sees what goes beyond.
    std::vector<std::byte> answer(room);
    const size_t bytes = answerRequest(history(), session, request, answer);
    CHECK(bytes <= room);
    if (bytes == 0) return;
    MoldHeader asked, given;
    CHECK(readMoldHeader(request, asked) && request.size() == kMoldHeaderBytes);
    CHECK(readMoldHeader({answer.data(), bytes}, given));
    CHECK(isWholeDatagram({answer.data(), bytes}, given));
    CHECK(given.session == session && given.sequence == asked.sequence);
    CHECK(given.count > 0 && given.count <= asked.count);
    eachMessage(std::span<const std::byte>(answer).first(bytes), given,
                [](uint64_t sequence, std::span<const std::byte> message) {
                    itch::Message read;
                    CHECK(itch::read(message, read) && read.timeNs == sequence);
                });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < 2) return 0;
    const size_t room = 200 + data[0] * 8u;
    std::vector<std::byte> request(size - 2);
    if (size > 2) std::memcpy(request.data(), data + 2, size - 2);
    if (data[1] % 2 == 0) {
        const session::SessionName session = sessionNameOf("DAY1");
        request.insert(request.begin(), reinterpret_cast<const std::byte*>(session.data()),
                       reinterpret_cast<const std::byte*>(session.data()) + session.size());
    }
    check(request, room);
    return 0;
}
