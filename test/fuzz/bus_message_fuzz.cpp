// libFuzzer entry: whatever a peer says over a sound link, the bus neither crashes nor grows, and a
// body that is decoded is one that can be encoded again.
//
// The first byte chooses:
//   even: the rest is one body; every decoder gets it, at the position in front of it.
//   odd:  the rest is a conversation with a bus that publishes one stream and subscribes another at
//         this peer: kind, stream, position, length, body, again and again.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "base/check.h"
#include "bus/bus.h"
#include "bus/message_kinds.h"
#include "transport/rings/memory_network.h"

namespace {

using namespace verbex;
using namespace verbex::bus;

constexpr size_t kInputBytesMax = 1u << 14;

class Input {
public:
    Input(const uint8_t* data, size_t size) : rest_(std::as_bytes(std::span(data, size))) {}
    [[nodiscard]] bool isEmpty() const { return rest_.empty(); }
    std::span<const std::byte> take(size_t count) {
        const auto taken = rest_.first(std::min(count, rest_.size()));
        rest_ = rest_.subspan(taken.size());
        return taken;
    }
    uint8_t byte() {
        const auto taken = take(1);
        return taken.empty() ? 0 : static_cast<uint8_t>(taken[0]);
    }
    uint64_t word() {
        const auto taken = take(8);
        uint64_t value = 0;
        if (!taken.empty()) std::memcpy(&value, taken.data(), taken.size());
        return value;
    }

private:
    std::span<const std::byte> rest_;
};

bool same(std::span<const std::byte> a, std::span<const std::byte> b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

void decodeOne(Input& input) {
    const Position position = input.word();
    const auto body = input.take(SIZE_MAX);
    ControlBuffer buffer;
    if (const auto request = decodeSubscribe(position, body)) {
        CHECK(isStreamName(request->stream) && request->window > 0);
        CHECK(same(encodeSubscribe(*request, buffer), body));
    }
    if (const auto refusal = decodeRefused(position, body)) {
        CHECK(refusal->code != StatusCode::Ok);
        CHECK(same(encodeRefused(*refusal, buffer), body));
    }
    if (const auto answer = decodeSubscribed(position, body)) {
        CHECK(costOf(answer->payloadMax) <= answer->window);
    }
    if (const auto consumed = decodeBody<ConsumedBody>(body)) CHECK(same(bytesOf(*consumed), body));
}

// Wants positions one by one.
struct InOrder final : StreamReceiver {
    Position last = 0;
    uint32_t calls = 0;
    bool onMessage(const StreamMessage& message) override {
        CHECK(last == 0 || message.position == last + 1);
        if (++calls % 3 == 0) return false;
        last = message.position;
        return true;
    }
};

struct Peer final : transport::NetworkEvents, transport::Receiver {
    transport::Link* link = nullptr;
    bool over = false;
    void onAccepted(transport::ListenId, transport::Link&) override {}
    void onConnected(transport::ConnectId, transport::Link& made) override { link = &made; }
    void onRefused(transport::ConnectId, const Status&) override { CHECK(false); }
    void onOver(transport::Link&) override { over = true; }
    void onMessage(const transport::Message&) override {}
};

transport::NetworkOptions options() {
    transport::NetworkOptions small;
    small.ringBytes = 1u << 14;
    small.payloadMax = 1024;
    return small;
}

void converse(Input& input) {
    transport::MemoryHub hub;
    transport::MemoryNetwork network(hub, options());
    transport::MemoryNetwork elsewhere(hub, options());
    const std::unique_ptr<Bus> bus = Bus::make(network, {});
    const Address address = bus->listen({"127.0.0.1", 0}).value();
    Publication* publication =
        bus->publish({.stream = "s", .historyBytes = 4096, .payloadMax = 256, .retain = true})
            .value();
    Peer peer;
    elsewhere.connect(address, "bus", 1, 1);
    Nanoseconds now = 1;
    const auto step = [&] {
        now += 1'000'000;
        elsewhere.poll(now, peer);
        if (!peer.over) peer.link->poll(peer, 64);
        bus->poll(now);
    };
    elsewhere.poll(now, peer);
    elsewhere.poll(now, peer);
    step();
    InOrder receiver;
    bus->subscribe(1, {.stream = "t", .bufferBytes = 4096}).value()->setReceiver(&receiver);
    step();
    while (!input.isEmpty() && !peer.over) {
        const uint8_t kind = input.byte();
        const uint8_t stream = input.byte();
        const Position position = input.byte() % 2 == 0 ? input.byte() : input.word();
        const auto body = input.take(input.byte());
        peer.link->offer({stream, kind, 0, position, body});
        peer.link->flush();
        publication->offer(body);
        step();
        CHECK(publication->subscribers() <= 256);
    }
    CHECK(bus->counters().malformed <= 1);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0 || size > kInputBytesMax) return 0;
    Input input(data + 1, size - 1);
    if (data[0] % 2 == 0)
        decodeOne(input);
    else
        converse(input);
    return 0;
}
