// A world of buses in one thread: a hub, and nodes whose networks can be made faulty.
#pragma once

#include <cstring>
#include <functional>
#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <vector>

#include "bus/bus.h"
#include "transport/faulty_network.h"
#include "transport/rings/memory_network.h"

namespace verbex::bus {

constexpr Nanoseconds kMillisecond = 1'000'000;

// What a stream carries at a position: length and bytes follow from both.
inline std::vector<std::byte> contentOf(const std::string& stream, Position position,
                                        size_t lengthMax) {
    uint64_t mix = position * 0x9E3779B97F4A7C15ULL + std::hash<std::string>()(stream);
    std::vector<std::byte> bytes(8 + (mix >> 40) % (lengthMax - 7));
    for (std::byte& byte : bytes) {
        mix = mix * 6364136223846793005ULL + 1442695040888963407ULL;
        byte = static_cast<std::byte>(mix >> 56);
    }
    std::memcpy(bytes.data(), &position, sizeof position);
    return bytes;
}

inline uint8_t flagsOf(Position position) {
    return position % 64;
}

// Wants exactly next, next + 1, … of a stream, unchanged.
class Checker final : public StreamReceiver {
public:
    Checker(std::string stream, size_t lengthMax) : stream_(std::move(stream)), max_(lengthMax) {}

    std::function<bool(Position)> takes = [](Position) { return true; };
    bool flagsToo = true;  // a store has none
    Position next = 0;     // 0: whatever comes first
    uint64_t taken = 0;

    bool onMessage(const StreamMessage& message) override {
        if (next == 0) next = message.position;
        EXPECT_EQ(message.position, next) << stream_;
        if (!takes(message.position)) return false;
        const auto content = contentOf(stream_, message.position, max_);
        EXPECT_TRUE(message.payload.size() == content.size() &&
                    std::memcmp(message.payload.data(), content.data(), content.size()) == 0)
            << stream_ << " at " << message.position;
        EXPECT_TRUE(!flagsToo || message.flags == flagsOf(message.position));
        next = message.position + 1;
        ++taken;
        return true;
    }

private:
    std::string stream_;
    size_t max_;
};

// Everything that was ever offered.
class WholeStore final : public Store {
public:
    explicit WholeStore(size_t lengthMax) : max_(lengthMax) {}
    Position from = 1;
    Position last = 0;

    [[nodiscard]] Position oldest(const std::string&) const override {
        return last >= from ? from : 0;
    }
    std::span<const std::byte> read(const std::string& stream, Position position,
                                    std::span<std::byte> into) override {
        if (position < from || position > last) return {};
        const auto content = contentOf(stream, position, max_);
        std::memcpy(into.data(), content.data(), content.size());
        return into.first(content.size());
    }

private:
    size_t max_;
};

struct Heard final : BusEvents {
    std::vector<PeerView> peers;
    std::vector<std::pair<std::string, Position>> cutOff;
    std::vector<std::pair<std::string, Position>> subscribers;
    std::vector<SubscriptionState> states;

    void onPeer(const PeerView& view) override { peers.push_back(view); }
    void onSubscriber(const std::string& stream, PeerId, Position from) override {
        subscribers.emplace_back(stream, from);
    }
    void onCutOff(const std::string& stream, PeerId, Position from) override {
        cutOff.emplace_back(stream, from);
    }
    void onSubscription(Subscription& subscription) override {
        states.push_back(subscription.state());
    }
};

class World {
public:
    struct Node {
        Node(World& world, const transport::NetworkOptions& network, const BusOptions& options,
             uint64_t seed)
            : memory(world.hub_, network),
              faulty(memory, {}, seed),
              bus(Bus::make(faulty, options, &heard)) {}
        transport::MemoryNetwork memory;
        transport::FaultyNetwork faulty;
        Heard heard;
        std::unique_ptr<Bus> bus;
        bool stopped = false;  // as a process that hangs
    };

    Nanoseconds now = kMillisecond;
    Nanoseconds step = 50'000;
    BusOptions options;
    transport::NetworkOptions network;

    Node& add(const std::string& name, uint64_t seed = 1) {
        network.node = name;
        nodes_.push_back(std::make_unique<Node>(*this, network, options, seed));
        return *nodes_.back();
    }

    size_t round() {
        now += step;
        size_t done = 0;
        for (const auto& node : nodes_) {
            if (!node->stopped) done += node->bus->poll(now);
        }
        return done;
    }
    void runFor(Nanoseconds time) {
        for (const Nanoseconds until = now + time; now < until;) round();
    }
    // False: it did not come true within the time.
    bool runUntil(const std::function<bool()>& come, Nanoseconds atMost = 2'000 * kMillisecond) {
        for (const Nanoseconds until = now + atMost; now < until;) {
            if (come()) return true;
            round();
        }
        return come();
    }

private:
    transport::MemoryHub hub_;
    std::vector<std::unique_ptr<Node>> nodes_;
};

// A publication that offers contentOf each position.
struct Source {
    std::string stream;
    size_t lengthMax;
    Publication* publication;
    WholeStore* store = nullptr;
    Position next = 1;

    bool offer() {
        const auto content = contentOf(stream, next, lengthMax);
        const int64_t answer = publication->offer(content, flagsOf(next));
        if (answer < 0) return false;
        EXPECT_EQ(static_cast<Position>(answer), next);
        if (store != nullptr) store->last = next;
        ++next;
        return true;
    }
    void offer(uint64_t count) {
        for (uint64_t i = 0; i < count; ++i) {
            if (!offer()) return;
        }
    }
};

}  // namespace verbex::bus
