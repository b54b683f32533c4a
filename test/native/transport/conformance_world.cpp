#include "conformance_world.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>

#include "transport/host/host_network.h"
#include "transport/verbs/verbs_library.h"

namespace verbex::transport::conformance {
namespace {

NetworkOptions optionsFor(const Kind& kind, uint32_t ringBytes, uint32_t payloadMax) {
    NetworkOptions options;
    options.ringBytes = ringBytes;
    options.payloadMax = payloadMax;
    options.spin = kind.spin;
    options.setUpTimeoutMs = 20'000;
    switch (kind.transport) {
        case TransportKind::Memory: break;
        case TransportKind::Tcp: options.transport = TransportWish::Tcp; break;
        case TransportKind::Shm: options.transport = TransportWish::Shm; break;
        case TransportKind::Verbs: options.transport = TransportWish::Verbs; break;
    }
    if (kind.mac) options.key.assign(32, std::byte{0x5a});
    options.mac = kind.mac;
    options.macOnShm = kind.mac;
    if (const char* device = std::getenv("VERBEX_RDMA_DEVICE")) options.verbs.device = device;
    return options;
}

std::unique_ptr<Network> makeNetwork(MemoryHub& hub, const Kind& kind,
                                     const NetworkOptions& options) {
    if (kind.transport == TransportKind::Memory)
        return std::make_unique<MemoryNetwork>(hub, options);
    auto made = HostNetwork::open(options);
    CHECK(made.isOk());
    return made.take();
}

}  // namespace

std::string nameOf(const Kind& kind) {
    std::string name(transportName(kind.transport));
    if (kind.mac) name += "_mac";
    if (!kind.spin) name += "_epoll";
    return name;
}

bool mustHave(const Kind& kind) {
    return kind.transport != TransportKind::Verbs || std::getenv("VERBEX_REQUIRE_VERBS") != nullptr;
}

std::string obstacleTo(const Kind& kind) {
    if (kind.transport != TransportKind::Verbs) return "";
    const VerbsAvailability available = verbsAvailability();
    return available.obstacle == VerbsObstacle::None ? "" : available.status.toString();
}

Nanoseconds monotonicNow() {
    return static_cast<Nanoseconds>(std::chrono::steady_clock::now().time_since_epoch().count());
}

Side::Side(MemoryHub& hub, const Kind& kind, const NetworkOptions& options)
    : network(makeNetwork(hub, kind, options)) {}

void Side::adopt(Link& fresh) {
    link = &fresh;
    links.push_back(&fresh);
}

void Side::onOver(Link& ended) {
    ++over;
    lastState = ended.state();
    lastFailure = ended.failure();
    std::erase(links, &ended);
    if (link == &ended) link = nullptr;
    network->drop(ended);
}

World::World(const Kind& which, uint32_t ringBytes, uint32_t payloadMax)
    : kind(which),
      options(optionsFor(which, ringBytes, payloadMax)),
      listener(hub, which, options),
      connector(hub, which, options) {}

bool World::connect(uint32_t epoch) {
    if (!listenId) {
        auto listening = listener.network->listen({"127.0.0.1", 0}, epoch);
        if (!listening.isOk()) {
            ADD_FAILURE() << listening.status().toString();
            return false;
        }
        listenId = listening.value();
    }
    listener.link = connector.link = nullptr;
    connector.network->connect(listener.network->boundAddress(*listenId), "conformance", epoch,
                               monotonicNow());
    const size_t refusals = connector.refusals.size();
    const bool up = until([&] {
        return (listener.link != nullptr && connector.link != nullptr) ||
               connector.refusals.size() > refusals;
    });
    if (connector.refusals.size() > refusals) {
        ADD_FAILURE() << connector.refusals.back().toString();
        return false;
    }
    return up;
}

bool World::until(const std::function<bool()>& done, int seconds) {
    const Nanoseconds deadline = monotonicNow() + static_cast<Nanoseconds>(seconds) * 1'000'000'000;
    while (!done()) {
        listener.poll();
        connector.poll();
        if (monotonicNow() > deadline) return false;
    }
    return true;
}

std::vector<std::byte> patternOf(uint64_t position, size_t size) {
    std::vector<std::byte> bytes(size);
    uint64_t word = position * 0x9E3779B97F4A7C15ULL;
    for (size_t at = 0; at < size; ++at) {
        if (at % 8 == 0) word = word * 6364136223846793005ULL + size;
        bytes[at] = static_cast<std::byte>(word >> (at % 8 * 8));
    }
    return bytes;
}

size_t sizeFor(uint64_t position, size_t payloadMax) {
    // Mostly small, now and then the largest, and all in between.
    if (position % 97 == 0) return payloadMax;
    return position * 2654435761u % (position % 7 == 0 ? payloadMax + 1 : 100);
}

void Expecting::onMessage(const Message& message) {
    ++received;
    const auto wanted = patternOf(received, sizeFor(received, payloadMax_));
    if (message.position != received || message.kind != received % 200 ||
        message.stream != received % 1000 || !std::ranges::equal(message.payload, wanted)) {
        ++wrong;
    }
}

size_t Sending::offer(Link& link, uint64_t count) {
    size_t taken = 0;
    for (; taken < count; ++taken) {
        const uint64_t position = sent + 1;
        bytes_ = patternOf(position, sizeFor(position, payloadMax_));
        last = link.offer({.stream = static_cast<uint16_t>(position % 1000),
                           .kind = static_cast<uint8_t>(position % 200),
                           .position = position,
                           .payload = bytes_});
        if (last != Answer::Accepted) break;
        ++sent;
    }
    link.flush();
    return taken;
}

}  // namespace verbex::transport::conformance
