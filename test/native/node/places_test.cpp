// The wires themselves: what is cut is cut, one way or both, and mended again.
#include "places.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>

namespace verbex::node::places_test {
namespace {

using namespace cluster_world;

constexpr uint16_t kPort = 9300;

sockaddr_in addressOf(uint32_t place) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(kPort);
    inet_pton(AF_INET, Places::host(place).c_str(), &address.sin_addr);
    return address;
}

// A socket that was opened in a place, and stays there.
class Socket {
public:
    Socket(Places& places, uint32_t place) {
        places.at(place).run([this, place] {
            number_ = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
            const sockaddr_in address = addressOf(place);
            EXPECT_EQ(bind(number_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
            const timeval patience{0, 20'000};
            setsockopt(number_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        });
    }
    ~Socket() { close(number_); }
    void send(uint32_t to) const {
        const sockaddr_in address = addressOf(to);
        const char word = 'w';
        (void)sendto(number_, &word, 1, 0, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    }
    [[nodiscard]] bool receives() const {
        char word = 0;
        return recv(number_, &word, 1, 0) == 1;
    }
    void drain() const {
        while (receives()) {
        }
    }

private:
    int number_ = -1;
};

TEST(Places, WiresAreCutOneWayOrBothAndMended) {
    Places places(3);
    if (!places.why().empty()) GTEST_SKIP() << places.why();
    const Socket one(places, 1);
    const Socket two(places, 2);
    const Socket three(places, 3);
    const auto arrives = [](const Socket& from, uint32_t to, const Socket& at, bool wanted) {
        // What arrives may be late, what is cut never comes.
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(wanted ? 20 : 0);
        at.drain();
        do {
            from.send(to);
            if (at.receives()) return true;
        } while (std::chrono::steady_clock::now() < end);
        return false;
    };
    EXPECT_TRUE(arrives(one, 2, two, true));
    EXPECT_TRUE(arrives(two, 1, one, true));

    places.deafen(2, 1);
    ASSERT_TRUE(places.apply());
    EXPECT_FALSE(arrives(one, 2, two, false));
    EXPECT_TRUE(arrives(two, 1, one, true));
    EXPECT_TRUE(arrives(three, 2, two, true));

    places.cut(1, 3);
    ASSERT_TRUE(places.apply());
    EXPECT_FALSE(arrives(one, 3, three, false));
    EXPECT_FALSE(arrives(three, 1, one, false));
    EXPECT_TRUE(arrives(three, 2, two, true));

    places.mend();
    ASSERT_TRUE(places.apply());
    EXPECT_TRUE(arrives(one, 2, two, true));
    EXPECT_TRUE(arrives(one, 3, three, true));
}

}  // namespace
}  // namespace verbex::node::places_test
