// Sides of real networks in one process, driven by the test, for the tests of HostNetwork and its
// links.
#pragma once

#include <chrono>
#include <cstring>
#include <functional>
#include <gtest/gtest.h>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "transport/host/host_network.h"

namespace verbex::transport {

inline Nanoseconds clockNow() {
    return static_cast<Nanoseconds>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                        std::chrono::steady_clock::now().time_since_epoch())
                                        .count());
}

struct LoggedMessage {
    uint16_t stream;
    uint8_t kind;
    uint8_t flags;
    uint64_t position;
    std::vector<std::byte> payload;
};

struct MessageLog final : Receiver {
    std::vector<LoggedMessage> messages;
    void onMessage(const Message& m) override {
        messages.push_back({m.stream, m.kind, m.flags, m.position,
                            {m.payload.begin(), m.payload.end()}});
    }
};

// One network and what it has reported.
struct HostSide final : NetworkEvents {
    std::unique_ptr<HostNetwork> network;
    std::vector<Link*> accepted;
    std::map<ConnectId, Link*> connected;
    std::map<ConnectId, Status> refused;
    std::vector<Link*> over;
    Nanoseconds now = 1'000'000'000;
    std::function<void(Link&)> whenOver;

    explicit HostSide(const NetworkOptions& options) {
        auto opened = HostNetwork::open(options);
        EXPECT_TRUE(opened.isOk()) << opened.status().toString();
        if (opened.isOk()) network = opened.take();
    }

    void onAccepted(ListenId, Link& link) override { accepted.push_back(&link); }
    void onConnected(ConnectId id, Link& link) override { connected[id] = &link; }
    void onRefused(ConnectId id, const Status& why) override {
        EXPECT_EQ(refused.count(id) + connected.count(id), 0u);
        refused.emplace(id, why);
    }
    void onOver(Link& link) override {
        over.push_back(&link);
        if (whenOver) whenOver(link);
    }

    void poll() { network->poll(now += 1000, *this); }

    Address listen(uint32_t epoch = 1) {
        auto id = network->listen({.host = "127.0.0.1", .port = 0}, epoch);
        EXPECT_TRUE(id.isOk()) << id.status().toString();
        return id.isOk() ? network->boundAddress(id.value()) : Address();
    }
    ConnectId connect(const Address& address, uint32_t epoch = 1) {
        return network->connect(address, "orders", epoch, now);
    }
};

// Drives all of them until it holds. The bound is against hanging, no test waits for it.
inline bool driveUntil(const std::vector<HostSide*>& sides, const std::function<bool()>& holds) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!holds()) {
        for (HostSide* side : sides) side->poll();
        if (std::chrono::steady_clock::now() > end) return false;
        std::this_thread::yield();
    }
    return true;
}

inline NetworkOptions optionsOf(const std::string& node) {
    NetworkOptions options;
    options.node = node;
    options.transport = TransportWish::Tcp;
    options.ringBytes = 4096;
    options.payloadMax = 1024;
    return options;
}

inline std::vector<std::byte> keyBytes(char fill) {
    return std::vector<std::byte>(32, static_cast<std::byte>(fill));
}

// Two sides with one link between them.
struct HostPair {
    HostSide listener;
    HostSide connector;
    Link* atListener = nullptr;
    Link* atConnector = nullptr;

    HostPair(const NetworkOptions& listening, const NetworkOptions& connecting)
        : listener(listening), connector(connecting) {
        const Address address = listener.listen();
        const ConnectId id = connector.connect(address);
        EXPECT_TRUE(drive([&] {
            return (!listener.accepted.empty() && connector.connected.count(id) != 0) ||
                   connector.refused.count(id) != 0;
        }));
        if (connector.refused.count(id) != 0) {
            ADD_FAILURE() << connector.refused.at(id).toString();
            return;
        }
        atListener = listener.accepted.at(0);
        atConnector = connector.connected.at(id);
    }
    explicit HostPair(const NetworkOptions& options = optionsOf("one"))
        : HostPair(options, options) {}

    bool drive(const std::function<bool()>& holds) {
        return driveUntil({&listener, &connector}, holds);
    }
};

}  // namespace verbex::transport
