// Two processes in two network namespaces, a wire between them that nftables cuts and heals.
//
// The publisher goes on while the wire is cut; the subscriber notices within its bound, and after the
// wire is healed has every position once. Needs root, ip and nft, and says so where they are missing.
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#include "bus/bus.h"
#include "transport/host/host_network.h"

namespace verbex::bus {
namespace {

Nanoseconds monotonicNow() {
    return static_cast<Nanoseconds>(std::chrono::steady_clock::now().time_since_epoch().count());
}

bool runs(const std::string& command) {
    return std::system((command + " >/dev/null 2>&1").c_str()) == 0;
}

// Names that only this process uses; everything is taken down again, whatever happens.
class Wire {
public:
    Wire() : tag_(std::to_string(getpid())) {
        up_ = runs("ip netns add " + left()) && runs("ip netns add " + right()) &&
              runs("ip link add vxl" + tag_ + " netns " + left() + " type veth peer name vxr" +
                   tag_ + " netns " + right()) &&
              runs("ip -n " + left() + " addr add 10.213.7.1/24 dev vxl" + tag_) &&
              runs("ip -n " + right() + " addr add 10.213.7.2/24 dev vxr" + tag_) &&
              runs("ip -n " + left() + " link set vxl" + tag_ + " up") &&
              runs("ip -n " + right() + " link set vxr" + tag_ + " up") &&
              runs("ip netns exec " + left() + " nft list ruleset");
    }
    ~Wire() {
        runs("ip netns del " + left());
        runs("ip netns del " + right());
    }
    [[nodiscard]] bool isUp() const { return up_; }
    [[nodiscard]] std::string left() const { return "verbex-l" + tag_; }
    [[nodiscard]] std::string right() const { return "verbex-r" + tag_; }
    [[nodiscard]] bool cut() const {
        const std::string nft = "ip netns exec " + left() + " nft ";
        return runs(nft + "add table inet cut") &&
               runs(nft + "'add chain inet cut in { type filter hook input priority 0; policy drop; }'") &&
               runs(nft + "'add chain inet cut out { type filter hook output priority 0; policy drop; }'");
    }
    [[nodiscard]] bool heal() const {
        return runs("ip netns exec " + left() + " nft delete table inet cut");
    }

private:
    std::string tag_;
    bool up_ = false;
};

bool enter(const std::string& name) {
    const int file = open(("/var/run/netns/" + name).c_str(), O_RDONLY | O_CLOEXEC);
    return file >= 0 && setns(file, CLONE_NEWNET) == 0;
}

constexpr uint16_t kPort = 9107;
constexpr Nanoseconds kLiveness = 200'000'000;

BusOptions options() {
    BusOptions options;
    options.heartbeatNs = 20'000'000;
    options.livenessNs = kLiveness;
    return options;
}

std::unique_ptr<transport::HostNetwork> open() {
    transport::NetworkOptions options;
    options.transport = transport::TransportWish::Tcp;
    auto opened = transport::HostNetwork::open(options);
    if (!opened.isOk()) _exit(11);
    return opened.take();
}

// Publishes the number of each message until it is killed.
[[noreturn]] void publish(const std::string& name) {
    if (!enter(name)) _exit(10);
    auto network = open();
    auto bus = Bus::make(*network, options());
    auto publication = bus->publish({.stream = "numbers", .historyBytes = 1u << 24, .retain = true});
    if (!publication.isOk() || !bus->listen({"10.213.7.1", kPort}).isOk()) _exit(12);
    Nanoseconds next = 0;
    while (true) {
        const Nanoseconds now = monotonicNow();
        if (now >= next) {
            next = now + 200'000;
            const uint64_t number = publication.value()->position() + 1;
            publication.value()->offer(std::as_bytes(std::span(&number, 1)));
        }
        bus->poll(now);
        bus->wait(now, 200'000);
    }
}

// What the subscriber tells, one after the other.
struct Told {
    char what;  // m: so many messages; l: lost after so many ns of silence; w: a wrong message
    uint64_t value;
};

class Subscriber final : public StreamReceiver, public BusEvents {
public:
    explicit Subscriber(int pipe) : pipe_(pipe) {}
    bool onMessage(const StreamMessage& message) override {
        uint64_t number = 0;
        if (message.payload.size() == sizeof number)
            std::memcpy(&number, message.payload.data(), sizeof number);
        if (next_ == 0) next_ = message.position;
        if (message.position != next_ || number != next_) tell('w', message.position);
        ++next_;
        last_ = monotonicNow();
        if (++received_ % 100 == 0) tell('m', received_);
        return true;
    }
    void onPeer(const PeerView& peer) override {
        if (!peer.connected && received_ > 0) tell('l', monotonicNow() - last_);
    }

private:
    void tell(char what, uint64_t value) const {
        const Told told{what, value};
        if (write(pipe_, &told, sizeof told) != sizeof told) _exit(13);
    }
    int pipe_;
    uint64_t next_ = 0;
    uint64_t received_ = 0;
    Nanoseconds last_ = 0;
};

[[noreturn]] void subscribe(const std::string& name, int pipe) {
    if (!enter(name)) _exit(10);
    auto network = open();
    Subscriber subscriber(pipe);
    auto bus = Bus::make(*network, options(), &subscriber);
    const PeerId peer = bus->connect({"10.213.7.1", kPort});
    auto subscribed = bus->subscribe(peer, {.stream = "numbers", .from = From::Oldest});
    if (!subscribed.isOk()) _exit(12);
    subscribed.value()->setReceiver(&subscriber);
    while (true) {
        bus->poll(monotonicNow());
        bus->wait(monotonicNow(), 5'000'000);
    }
}

class Child {
public:
    template <typename Body>
    explicit Child(Body&& body) : pid_(fork()) {
        if (pid_ == 0) body();
    }
    ~Child() {
        kill(pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
    }

private:
    pid_t pid_;
};

TEST(Namespaces, AWireThatIsCutAndHealedCostsNoMessage) {
    const Wire wire;
    if (!wire.isUp()) {
        if (std::getenv("VERBEX_REQUIRE_ALL") != nullptr) FAIL() << "needs root, ip and nft";
        GTEST_SKIP() << "needs root, ip (iproute2) and nft (nftables)";
    }
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    const Child publisher([&] { publish(wire.left()); });
    const Child subscriber([&] { subscribe(wire.right(), ends[1]); });
    close(ends[1]);

    uint64_t received = 0;
    const auto next = [&] {
        Told told{};
        if (read(ends[0], &told, sizeof told) != sizeof told) told.what = 'e';
        EXPECT_NE(told.what, 'e') << "a child has ended";
        EXPECT_NE(told.what, 'w') << "position " << told.value << " is wrong";
        if (told.what == 'm') received = told.value;
        return told.what == 'e' || told.what == 'w' ? Told{'e', 0} : told;
    };
    const auto untilReceived = [&](uint64_t wanted) {
        while (received < wanted) {
            if (next().what == 'e') return false;
        }
        return true;
    };
    ASSERT_TRUE(untilReceived(500));
    for (int cut = 0; cut < 3; ++cut) {
        ASSERT_TRUE(wire.cut());
        Told told = next();
        while (told.what == 'm') told = next();
        ASSERT_EQ(told.what, 'l');
        // Not sooner than the bound, and not by waiting for TCP's own minutes.
        EXPECT_GE(told.value, kLiveness / 2);
        EXPECT_LT(told.value, 10'000'000'000u);
        std::printf("cut %d: noticed %.0f ms after the last message (bound %.0f ms)\n", cut + 1,
                    static_cast<double>(told.value) / 1e6, static_cast<double>(kLiveness) / 1e6);
        ASSERT_TRUE(wire.heal());
        ASSERT_TRUE(untilReceived(received + 1000));
    }
    close(ends[0]);
}

}  // namespace
}  // namespace verbex::bus
