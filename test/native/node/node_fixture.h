// What the node's tests share: a seeded flow of commands, a consumer, a serial core to compare
// with.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <future>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "node/node.h"
#include "sim/disk.h"

namespace verbex::node {

inline Name text(const std::string& word) {
    Name name{};
    std::memcpy(&name, word.data(), std::min<size_t>(word.size(), sizeof(name)));
    return name;
}

// A market of one instrument and eight accounts, then orders; the same seed gives the same
// commands.
class Flow {
public:
    static constexpr AccountId kAccounts = 8;

    explicit Flow(uint64_t seed) : random_(seed) {}

    Command next() {
        Command command{};
        command.token = ++count_;
        if (count_ == 1 || count_ == 2) {
            set(command, CommandType::AddAsset);
            command.id = text(count_ == 1 ? "BTC" : "USD");
            command.orderType = count_ == 1 ? 8 : 2;
        } else if (count_ == 3) {
            set(command, CommandType::AddInstrument);
            command.flags = kCommandExtended;
            command.id = text("BTC-USD");
            command.base = 1;
            command.quote = 2;
            command.price = 1000;
            command.quantity = 1;
            command.priceMin = 1;
            command.priceMax = 1'000'000;
            command.quantityMin = 1;
            command.quantityMax = 1'000'000;
            command.makerFee = -10;
            command.takerFee = 100;
            command.collar = 50'000;
        } else if (count_ < 4 + kAccounts) {
            set(command, CommandType::AddAccount);
            command.id = text("acc" + std::to_string(count_ - 3));
        } else if (count_ < 4 + 3 * kAccounts) {
            const uint64_t at = count_ - 4 - kAccounts;
            set(command, CommandType::Deposit);
            command.account = static_cast<AccountId>(1 + at / 2);
            command.instrument = static_cast<AssetId>(1 + at % 2);
            command.id = text("d" + std::to_string(at));
            command.amount = Amount{1} << 60;
        } else {
            order(command);
        }
        return command;
    }

    std::vector<Command> take(size_t count) {
        std::vector<Command> commands;
        for (size_t i = 0; i < count; i++) commands.push_back(next());
        return commands;
    }

private:
    static void set(Command& command, CommandType type) {
        command.type = static_cast<uint8_t>(type);
    }

    void order(Command& command) {
        command.account = static_cast<AccountId>(1 + random_() % kAccounts);
        command.instrument = 1;
        const uint64_t dice = random_() % 100;
        if (dice < 70) {
            set(command, CommandType::NewOrder);
            command.id = text("o" + std::to_string(count_));
            command.side = static_cast<uint8_t>(1 + random_() % 2);
            command.orderType = static_cast<uint8_t>(OrderType::Limit);
            command.timeInForce = static_cast<uint8_t>(TimeInForce::Gtc);
            command.price = static_cast<int64_t>(9'900 + random_() % 200);
            command.quantity = static_cast<int64_t>(1 + random_() % 100);
            if (dice < 7) {
                command.flags = kCommandExtended;
                command.displayQuantity = 1 + command.quantity / 2;
            }
        } else if (dice < 98) {
            set(command, CommandType::CancelOrder);
            command.id = text("o" + std::to_string(1 + random_() % count_));
        } else {
            set(command, CommandType::MassCancel);
            command.instrument = 0;
        }
    }

    std::mt19937_64 random_;
    uint64_t count_ = 0;
};

// The same commands through one core, one after the other.
class SerialRun final : public EventWriter {
public:
    explicit SerialRun(const CoreLimits& limits) : core_(limits) {
        setRegion(cells_.get(), cells_.get() + kCells);
    }
    ~SerialRun() = default;

    void apply(const Command& command) {
        core_.apply(command, *this);
        drain();
    }
    const Core& core() const { return core_; }
    std::vector<Event> events;

private:
    static constexpr size_t kCells = 64;
    void drain() override {
        events.insert(events.end(), begin(), cursor());
        setRegion(cells_.get(), cells_.get() + kCells);
    }
    Core core_;
    std::unique_ptr<Event[]> cells_{new Event[kCells]()};
};

inline CoreLimits smallLimits() { return {1u << 12, 64, 16, 1u << 14}; }

inline std::string serialHash(const std::vector<Command>& commands, size_t count) {
    SerialRun serial(smallLimits());
    for (size_t i = 0; i < count; i++) serial.apply(commands[i]);
    return serial.core().hash().hex();
}

inline bool sameEvents(const std::vector<Event>& a, const std::vector<Event>& b, size_t count) {
    return a.size() >= count && b.size() >= count &&
           (count == 0 || std::memcmp(a.data(), b.data(), count * sizeof(Event)) == 0);
}

inline NodeOptions smallOptions(const std::string& data) {
    NodeOptions options;
    options.data = data;
    options.limits = smallLimits();
    options.segmentBytes = 64u << 10;
    options.ringCells = 256;
    options.eventCells = 1024;
    return options;
}

// Feeds and drains a node from one thread, as the addon does.
class Client {
public:
    explicit Client(Node& node) : node_(node) {}

    // Everything that is ready now.
    size_t drain() {
        const uint64_t ready = node_.available();
        const uint32_t cells = node_.events().cells();
        for (uint64_t i = 0; i < ready; i++) {
            received.push_back(node_.events().memory()[(index_ + i) % cells]);
        }
        index_ += ready;
        EXPECT_TRUE(node_.release(ready));
        return ready;
    }

    // False where the node refused.
    bool feed(const std::vector<Command>& commands, size_t from, size_t to) {
        while (from < to) {
            const auto count = static_cast<uint32_t>(std::min<size_t>(to - from, 100));
            const Engine::Offered offered = node_.offer(&commands[from], count);
            if (!offered.failure.isOk()) return false;
            from += offered.taken;
            if (drain() == 0 && offered.taken == 0) std::this_thread::yield();
        }
        return true;
    }

    // Drains until the node has published everything up to `position`, or has failed.
    bool drainUpTo(Position position) {
        while (node_.stats().publishedPosition < position) {
            if (node_.state() == EngineState::Failed) {
                drain();
                return false;
            }
            if (drain() == 0) std::this_thread::yield();
        }
        drain();
        return true;
    }

    CloseResult close() {
        auto promise = std::make_shared<std::promise<CloseResult>>();
        std::future<CloseResult> future = promise->get_future();
        node_.close([promise](const CloseResult& result) { promise->set_value(result); });
        while (future.wait_for(std::chrono::microseconds(50)) != std::future_status::ready) drain();
        drain();
        return future.get();
    }

    // Positions of all received commands whose last event is here.
    Position complete() const {
        for (size_t i = received.size(); i > 0; i--) {
            if ((received[i - 1].flags & kEventLast) != 0) return received[i - 1].position;
        }
        return 0;
    }

    std::vector<Event> received;

private:
    Node& node_;
    uint64_t index_ = 0;
};

inline std::string ask(Node& node, const std::function<std::string(const Core&)>& question) {
    auto promise = std::make_shared<std::promise<std::string>>();
    std::future<std::string> future = promise->get_future();
    const Failure refused = node.query([promise, question](const Core* core, const Failure& why) {
        promise->set_value(core == nullptr ? why.code : question(*core));
    });
    return refused.isOk() ? future.get() : refused.code;
}

inline SnapshotOutcome snapshotNow(Node& node) {
    auto promise = std::make_shared<std::promise<SnapshotOutcome>>();
    std::future<SnapshotOutcome> future = promise->get_future();
    const Failure refused =
        node.snapshot([promise](const SnapshotOutcome& outcome) { promise->set_value(outcome); });
    if (!refused.isOk()) return {refused, 0, {}};
    return future.get();
}

// A directory that goes away with the test.
class TemporaryDirectory {
public:
    TemporaryDirectory() {
        std::string pattern = (std::filesystem::temp_directory_path() / "verbex-XXXXXX").string();
        path_ = mkdtemp(pattern.data());
    }
    ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
    std::string file(const std::string& name) const { return path_ + "/" + name; }

private:
    std::string path_;
};

}  // namespace verbex::node
