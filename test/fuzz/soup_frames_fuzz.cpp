// libFuzzer entry: whatever bytes a client or a server sends, frames are read within the bytes,
// cut alike however
// they come in, and a log-in that is read is written and read again as the same.
//
// The first byte chooses the sender and the most that is allowed, the second where the bytes are
// cut in two.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "base/check.h"
#include "session/soup.h"

namespace {

using namespace verbex::session;

// Ends of the whole frames, and whether the bytes behind them are malformed.
struct Cuts {
    std::vector<size_t> ends;
    bool malformed = false;
};

void readAgain(std::span<const std::byte> payload) {
    LoginRequest login;
    if (!readLogin(payload, login)) return;
    std::byte frame[kFrameHeaderBytes + kLoginRequestBytes];
    CHECK(writeLogin(frame, login) == sizeof frame);
    LoginRequest again;
    CHECK(readLogin(std::span(frame).subspan(kFrameHeaderBytes), again));
    CHECK(again.user == login.user && again.password == login.password);
    CHECK(again.session == login.session && again.anySession == login.anySession);
    CHECK(again.sequence == login.sequence);
}

void cutUp(std::span<const std::byte> bytes, size_t& at, size_t most, Sender sender, Cuts& cuts) {
    while (!cuts.malformed) {
        const Frame frame = readFrame(bytes.subspan(at), most, sender);
        if (frame.state == FrameState::Partial) return;
        cuts.malformed = frame.state == FrameState::Malformed;
        if (cuts.malformed) return;
        CHECK(frame.bytes >= kFrameHeaderBytes && frame.bytes <= bytes.size() - at);
        CHECK(frame.payload.data() == bytes.data() + at + kFrameHeaderBytes);
        CHECK(frame.payload.size() == frame.bytes - kFrameHeaderBytes);
        CHECK(frame.payload.size() <= most);
        if (frame.type == Packet::LoginRequest) readAgain(frame.payload);
        SessionName session;
        uint64_t sequence = 0;
        if (frame.type == Packet::LoginAccepted) {
            (void)readLoginAccepted(frame.payload, session, sequence);
        }
        at += frame.bytes;
        cuts.ends.push_back(at);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < 2) return 0;
    const Sender sender = data[0] % 2 == 0 ? Sender::Client : Sender::Server;
    const size_t most = data[0] / 2 * 4;
    // Of exactly that size: a sanitizer sees a byte too many.
    const size_t count = size - 2;
    const auto copy = std::make_unique<std::byte[]>(count);
    if (count != 0) std::memcpy(copy.get(), data + 2, count);
    const std::span<const std::byte> bytes(copy.get(), count);

    Cuts whole;
    size_t at = 0;
    cutUp(bytes, at, most, sender, whole);

    Cuts pieces;
    at = 0;
    const size_t step = 1 + data[1] % 64;
    for (size_t end = 0; end < count;) {
        end = std::min(count, end + step);
        cutUp(bytes.first(end), at, most, sender, pieces);
    }
    CHECK(pieces.ends == whole.ends && pieces.malformed == whole.malformed);
    readAgain(bytes.first(std::min(count, kLoginRequestBytes)));
    return 0;
}
