// libFuzzer entry: no bytes make the readers of ITCH messages and MoldUDP64 datagrams look beyond their end, and
// what is read as a message is written as the same one again.
#include <cstdint>
#include <cstring>
#include <vector>

#include "base/check.h"
#include "feed/itch.h"
#include "feed/mold.h"

namespace {

using namespace verbex;
using namespace verbex::feed;

void checkMessage(std::span<const std::byte> bytes) {
    itch::Message message, again;
    if (!itch::read(bytes, message)) return;
    std::byte written[itch::kMessageBytesMax];
    CHECK(itch::write(written, message) == bytes.size());
    CHECK(itch::read({written, bytes.size()}, again) && again == message);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    // A copy of exactly this size: a sanitizer sees what goes beyond.
    std::vector<std::byte> bytes(size);
    if (size != 0) std::memcpy(bytes.data(), data, size);
    checkMessage(bytes);
    MoldHeader header;
    if (!readMoldHeader(bytes, header) || !isWholeDatagram(bytes, header)) return 0;
    size_t seen = 0;
    eachMessage(bytes, header, [&seen](uint64_t, std::span<const std::byte> message) {
        ++seen;
        checkMessage(message);
    });
    CHECK(seen == (header.count == kMoldEndOfSession ? 0 : header.count));
    return 0;
}
