// A peer that is killed at any moment: during set-up, while it sends, while it receives.
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <random>
#include <thread>

#include "conformance_world.h"
#include "transport/host/host_network.h"

namespace verbex::transport::conformance_death {
namespace {

using namespace conformance;

constexpr uint32_t kPayloadMax = 1024;

class Death : public testing::TestWithParam<Kind> {
protected:
    void SetUp() override { SKIP_WITHOUT(GetParam()); }
};

std::string kindName(const testing::TestParamInfo<Kind>& info) {
    return nameOf(info.param);
}

INSTANTIATE_TEST_SUITE_P(Shm, Death, testing::Values(Kind{TransportKind::Shm}), kindName);
INSTANTIATE_TEST_SUITE_P(Tcp, Death, testing::Values(Kind{TransportKind::Tcp}), kindName);
INSTANTIATE_TEST_SUITE_P(Verbs, Death, testing::Values(Kind{TransportKind::Verbs}), kindName);

// Connects, then sends and takes without end.
[[noreturn]] void sendUntilKilled(const Kind& kind, const NetworkOptions& options, Address address) {
    MemoryHub hub;
    Side side(hub, kind, options);
    side.network->connect(address, "", 1, monotonicNow());
    Sending sending(kPayloadMax);
    Expecting expecting(kPayloadMax);
    while (true) {
        side.poll();
        if (side.link == nullptr) continue;
        sending.offer(*side.link, 16);
        if (side.link != nullptr) side.link->poll(expecting, 16);
    }
}

TEST_P(Death, AtEveryPhaseLeavesAPrefixAndAListenerThatGoesOn) {
    World world(GetParam(), 1u << 14, kPayloadMax);
    auto listening = world.listener.network->listen({"127.0.0.1", 0}, 1);
    ASSERT_TRUE(listening.isOk()) << listening.status().toString();
    const Address address = world.listener.network->boundAddress(listening.value());
    const bool verbs = GetParam().transport == TransportKind::Verbs;
    std::mt19937_64 random(7);
    const int rounds = verbs ? 15 : 60;
    int came = 0;
    for (int round = 0; round < rounds; ++round) {
        const pid_t child = fork();
        ASSERT_GE(child, 0);
        if (child == 0) sendUntilKilled(GetParam(), world.options, address);
        // Early ones die during set-up, late ones under load. Under emulation all is slower.
        const Nanoseconds lives = random() % (verbs ? 800'000'000 : 25'000'000);
        const Nanoseconds begun = monotonicNow();
        bool killed = false;
        Expecting expecting(kPayloadMax);
        Sending sending(kPayloadMax);
        const uint32_t over = world.listener.over;
        const Link* seen = nullptr;
        while (true) {
            const Nanoseconds age = monotonicNow() - begun;
            if (!killed && age > lives) {
                kill(child, SIGKILL);
                waitpid(child, nullptr, 0);
                killed = true;
            }
            world.listener.poll();
            if (Link* link = world.listener.link; link != nullptr) {
                seen = link;
                link->poll(expecting, 16);
                sending.offer(*link, 4);
            }
            if (killed && world.listener.link == nullptr &&
                (seen != nullptr || world.listener.network->counters().halfOpen == 0)) {
                break;
            }
            ASSERT_LT(age, 60'000'000'000u) << "round " << round << ": the end was not noticed";
        }
        EXPECT_EQ(expecting.wrong, 0u) << "round " << round;
        if (seen == nullptr) continue;
        ++came;
        EXPECT_EQ(world.listener.over, over + 1);
        EXPECT_EQ(world.listener.lastState, LinkState::Failed);
        EXPECT_EQ(world.listener.lastFailure.code(), StatusCode::PeerLost)
            << world.listener.lastFailure.toString();
    }
    EXPECT_GT(came, 0);
    EXPECT_EQ(world.listener.network->counters().links, 0u);
}

// What a connecting side left that died between making the file and the peer's mapping it.
TEST(ShmLeftovers, AreRemovedByTheNextOne) {
    const pid_t child = fork();
    if (child == 0) _exit(0);
    waitpid(child, nullptr, 0);
    const std::string left =
        "/dev/shm/verbex-link-" + std::to_string(child) + "-0123456789abcdef";
    const int file = open(left.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    ASSERT_GE(file, 0);
    close(file);
    World world(Kind{TransportKind::Shm});
    ASSERT_TRUE(world.connect());
    EXPECT_NE(access(left.c_str(), F_OK), 0);
}

}  // namespace
}  // namespace verbex::transport::conformance_death
