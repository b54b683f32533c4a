// Two networks with a link between them, of whatever transport a test is run for.
//
// Purpose: the conformance tests say what must hold; this says how each transport is set up, so that
// no test knows which one it meets.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "transport/rings/memory_network.h"
#include "transport/network.h"

namespace verbex::transport::conformance {

struct Kind {
    TransportKind transport = TransportKind::Memory;
    bool mac = false;
    bool spin = true;
};

std::string nameOf(const Kind& kind);

// Skips the test where the transport cannot be had, fails it where it must be had.
#define SKIP_WITHOUT(kind)                                                     \
    do {                                                                       \
        if (const std::string why = obstacleTo(kind); !why.empty()) {          \
            if (mustHave(kind)) FAIL() << why;                                 \
            GTEST_SKIP() << why;                                               \
        }                                                                      \
    } while (false)
std::string obstacleTo(const Kind& kind);
bool mustHave(const Kind& kind);

Nanoseconds monotonicNow();

// One side: a network, its link once there is one, and what happened.
class Side final : public NetworkEvents {
public:
    Side(MemoryHub& hub, const Kind& kind, const NetworkOptions& options);

    void poll() { network->poll(monotonicNow(), *this); }
    // The newest link; null before there is one and after it was dropped.
    Link* link = nullptr;
    std::vector<Link*> links;
    std::vector<Status> refusals;
    uint32_t over = 0;
    LinkState lastState = LinkState::Open;
    Status lastFailure;
    std::unique_ptr<Network> network;

private:
    void onAccepted(ListenId, Link& accepted) override { adopt(accepted); }
    void onConnected(ConnectId, Link& connected) override { adopt(connected); }
    void onRefused(ConnectId, const Status& why) override { refusals.push_back(why); }
    void onOver(Link& ended) override;
    void adopt(Link& fresh);
};

struct World {
    explicit World(const Kind& kind, uint32_t ringBytes = 1u << 16, uint32_t payloadMax = 1024);

    // Connects and waits for both ends. False after too long.
    bool connect(uint32_t epoch = 1);
    // Polls both sides until `done`, for at most `seconds`.
    bool until(const std::function<bool()>& done, int seconds = 30);

    Kind kind;
    NetworkOptions options;
    MemoryHub hub;
    Side listener;
    Side connector;
    std::optional<ListenId> listenId;
};

// Bytes that tell position and size from each other, so that any mix-up shows.
std::vector<std::byte> patternOf(uint64_t position, size_t size);
size_t sizeFor(uint64_t position, size_t payloadMax);

// Expects positions 1, 2, 3 … with their pattern.
class Expecting final : public Receiver {
public:
    explicit Expecting(size_t payloadMax) : payloadMax_(payloadMax) {}
    void onMessage(const Message& message) override;

    uint64_t received = 0;
    uint64_t wrong = 0;
    uint32_t epoch = 0;

private:
    size_t payloadMax_;
};

// Offers position after position with its pattern.
class Sending {
public:
    explicit Sending(size_t payloadMax) : payloadMax_(payloadMax) {}
    // Up to `count` more, until pushed back; returns how many were taken.
    size_t offer(Link& link, uint64_t count);

    uint64_t sent = 0;
    Answer last = Answer::Accepted;

private:
    size_t payloadMax_;
    std::vector<std::byte> bytes_;
};

}  // namespace verbex::transport::conformance
