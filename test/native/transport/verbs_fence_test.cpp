// What ends a queue pair: a peer that goes, a right that is missing, a limit that is too small.
#include <algorithm>
#include <filesystem>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <string>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include "transport/verbs_fixture.h"

namespace verbex::transport {
namespace {

class VerbsFenceOnDevice : public VerbsDeviceTest {
protected:
    End here_{kBytes};
    End there_{kBytes};
};

// A process that runs `role` with one end of a connection, and is killed if it has not ended.
class Child {
public:
    template <typename Role>
    explicit Child(Role&& role) {
        int ends[2] = {-1, -1};
        if (::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) return;
        process_ = ::fork();
        if (process_ == 0) {
            ::close(ends[0]);
            role(ends[1]);
            ::_exit(0);
        }
        ::close(ends[1]);
        connection_ = ends[0];
    }
    ~Child() {
        kill();
        if (connection_ >= 0) ::close(connection_);
    }
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;

    void kill() {
        if (process_ <= 0) return;
        ::kill(process_, SIGKILL);
        ::waitpid(process_, nullptr, 0);
        process_ = -1;
    }
    [[nodiscard]] int connection() const { return connection_; }

private:
    pid_t process_ = -1;
    int connection_ = -1;
};

bool writeAll(int descriptor, const void* bytes, size_t size) {
    return ::write(descriptor, bytes, size) == static_cast<ssize_t>(size);
}

bool readAll(int descriptor, void* bytes, size_t size) {
    auto* to = static_cast<char*>(bytes);
    while (size > 0) {
        const ssize_t got = ::read(descriptor, to, size);
        if (got <= 0) return false;
        to += got;
        size -= static_cast<size_t>(got);
    }
    return true;
}

TEST_F(VerbsFenceOnDevice, AWriterLearnsThatItsPeerHasGone) {
    connect(here_, there_, options());
    ASSERT_TRUE(here_.queue->postWrite(0, 0, 8));
    here_.queue->ring(VerbsReport::Everything);
    ASSERT_TRUE(pollUntil(*here_.queue, [&] { return here_.queue->completedWrites() == 1; }));
    ASSERT_EQ(there_.queue->destroy().toString(), "OK");
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(here_.queue->postWrite(0, 0, 8));
    here_.queue->ring();
    ASSERT_TRUE(pollUntil(*here_.queue, [&] {
        return here_.queue->failure() != VerbsFailure::None;
    })) << "writes that report nothing report their failure all the same";
    EXPECT_EQ(here_.queue->failure(), VerbsFailure::PeerUnreachable);
    EXPECT_EQ(here_.queue->completedWrites(), 1u);
    EXPECT_EQ(here_.queue->counters().failures, 1u);
    EXPECT_EQ(here_.queue->status().code(), StatusCode::IoError);
    EXPECT_NE(here_.queue->status().message().find(here_.queue->choice().device),
              std::string::npos);
    EXPECT_FALSE(here_.queue->postWrite(0, 0, 8)) << "a failed queue pair is spent";
    ASSERT_TRUE(pollUntil(*here_.queue, [&] { return here_.queue->counters().flushed >= 2; }));
    EXPECT_EQ(here_.queue->failure(), VerbsFailure::PeerUnreachable) << "the first reason stays";
    EXPECT_EQ(here_.queue->destroy().toString(), "OK");
    EXPECT_EQ(here_.queue->status().code(), StatusCode::IoError) << "and is still told";
}

TEST_F(VerbsFenceOnDevice, ASleeperIsWokenByAFailure) {
    connect(here_, there_, options());
    ASSERT_EQ(here_.queue->armWake().toString(), "OK");
    ASSERT_EQ(there_.queue->destroy().toString(), "OK");
    ASSERT_TRUE(here_.queue->postWrite(0, 0, 8));
    here_.queue->ring();
    fd_set readable;
    FD_ZERO(&readable);
    FD_SET(here_.queue->wakeDescriptor(), &readable);
    timeval limit = {30, 0};
    EXPECT_EQ(::select(here_.queue->wakeDescriptor() + 1, &readable, nullptr, nullptr, &limit), 1);
    EXPECT_EQ(here_.queue->drainWakes(), 0u);
    EXPECT_EQ(here_.queue->failure(), VerbsFailure::PeerUnreachable);
    EXPECT_FALSE(here_.queue->armWake().isOk()) << "nobody may fall asleep on a failure";
}

TEST_F(VerbsFenceOnDevice, NothingLandsAfterDestroyHasReturned) {
    constexpr size_t kWrite = 4096;
    constexpr size_t kWrites = 200;
    VerbsOptions quick = options();
    quick.retries = 1;
    size_t cutShort = 0;
    for (uint64_t round = 1; round <= 24; ++round) {
        // Many laps of the ring in flight, and no two with the same bytes at one place.
        End here(kBytes, kWrites * kWrite);
        End there(kBytes);
        connect(here, there, quick);
        for (size_t at = 0; at < here.send.size(); at += 8)
            here.send.setWord(at, round << 32 | at | 1);
        for (size_t i = 0; i < kWrites; ++i)
            ASSERT_TRUE(here.queue->postWrite(i * kWrite, i * kWrite % kBytes, kWrite));
        here.queue->ring(VerbsReport::Everything);
        // Somewhere in the middle of the first lap, or before it.
        const size_t probe = round * kWrite % kBytes;
        if (round % 4 != 0) {
            ASSERT_TRUE(waitFor([&] { return there.receive.word(probe) != 0; }));
        }
        ASSERT_EQ(there.queue->destroy().toString(), "OK");
        const std::vector<std::byte> seen(there.receive.data(), there.receive.data() + kBytes);
        // The writer goes on trying until its device gives up, or had everything through before.
        ASSERT_TRUE(pollUntil(*here.queue, [&] {
            return here.queue->failure() != VerbsFailure::None ||
                   here.queue->completedWrites() == kWrites;
        }));
        if (here.queue->failure() != VerbsFailure::None) ++cutShort;
        ASSERT_EQ(std::memcmp(there.receive.data(), seen.data(), kBytes), 0) << "round " << round;
    }
    EXPECT_GT(cutShort, 0u) << "no round was cut short: this has shown nothing";
}

TEST_F(VerbsFenceOnDevice, AWrongKeyIsRefusedAndCounted) {
    connect(here_, there_, options(), [](VerbsEndpoint& shown) { shown.rkey ^= 0x5a5a00; });
    here_.send.setWord(0, 99);
    ASSERT_TRUE(here_.queue->postWrite(0, 0, 8));
    here_.queue->ring();
    ASSERT_TRUE(
        pollUntil(*here_.queue, [&] { return here_.queue->failure() != VerbsFailure::None; }));
    EXPECT_EQ(here_.queue->failure(), VerbsFailure::AccessRefused)
        << here_.queue->status().toString();
    EXPECT_EQ(here_.queue->counters().accessErrors, 1u);
    EXPECT_EQ(there_.receive.word(0), 0u);
    // The end whose memory it was is spent as well, whether its device tells why or not.
    ASSERT_TRUE(
        pollUntil(*there_.queue, [&] { return there_.queue->failure() != VerbsFailure::None; }));
    EXPECT_TRUE(there_.queue->failure() == VerbsFailure::AccessAttempted ||
                there_.queue->failure() == VerbsFailure::AccessRefused ||
                there_.queue->failure() == VerbsFailure::Flushed)
        << there_.queue->status().toString();
}

TEST_F(VerbsFenceOnDevice, AWriteBeyondTheRegionIsRefusedAndTouchesNothing) {
    // A region in the middle of other memory of the process, which the peer must not reach.
    Pages around(3 * kBytes);
    std::memset(around.data(), 0, around.size());
    ASSERT_EQ(here_.open(options()).toString(), "OK");
    Result<std::unique_ptr<VerbsQueue>> opened =
        VerbsQueue::open(options(), {around.data() + kBytes, kBytes}, there_.send.region());
    ASSERT_TRUE(opened.isOk()) << opened.status().toString();
    VerbsEndpoint shown = opened.value()->local();
    shown.size = 2 * kBytes;
    ASSERT_EQ(here_.queue->connect(shown).toString(), "OK");
    ASSERT_EQ(opened.value()->connect(here_.queue->local()).toString(), "OK");
    std::memset(here_.send.data(), 0xee, kBytes);
    ASSERT_TRUE(here_.queue->postWrite(0, kBytes - 64, 64)) << "the last bytes that it may reach";
    here_.queue->ring(VerbsReport::Everything);
    ASSERT_TRUE(pollUntil(*here_.queue, [&] { return here_.queue->completedWrites() == 1; }));
    ASSERT_TRUE(here_.queue->postWrite(0, kBytes - 64, 128)) << "64 in, 64 out";
    here_.queue->ring();
    ASSERT_TRUE(
        pollUntil(*here_.queue, [&] { return here_.queue->failure() != VerbsFailure::None; }));
    EXPECT_EQ(here_.queue->failure(), VerbsFailure::AccessRefused);
    const std::byte* bytes = around.data();
    EXPECT_EQ(std::count(bytes, bytes + 3 * kBytes, std::byte{0xee}), 64);
}

TEST_F(VerbsFenceOnDevice, TheStagingRegionCannotBeWrittenByThePeer) {
    ASSERT_EQ(here_.open(options()).toString(), "OK");
    ASSERT_EQ(there_.open(options()).toString(), "OK");
    // The right key of the receive region, with the staging region's address.
    VerbsEndpoint shown = there_.queue->local();
    shown.address = reinterpret_cast<uintptr_t>(there_.send.data());
    ASSERT_EQ(here_.queue->connect(shown).toString(), "OK");
    ASSERT_EQ(there_.queue->connect(here_.queue->local()).toString(), "OK");
    here_.send.setWord(0, 99);
    ASSERT_TRUE(here_.queue->postWrite(0, 0, 8));
    here_.queue->ring();
    ASSERT_TRUE(
        pollUntil(*here_.queue, [&] { return here_.queue->failure() != VerbsFailure::None; }));
    EXPECT_EQ(here_.queue->failure(), VerbsFailure::AccessRefused);
    EXPECT_EQ(there_.send.word(0), 0u);
}

TEST_F(VerbsFenceOnDevice, AKeyOfAnotherPeersQueueOpensNothing) {
    connect(here_, there_, options());
    End other(kBytes);
    End stranger(kBytes);
    ASSERT_EQ(other.open(options()).toString(), "OK");
    ASSERT_EQ(stranger.open(options()).toString(), "OK");
    // The stranger has a queue of its own to this process, and names the memory of here_'s.
    VerbsEndpoint shown = other.queue->local();
    shown.rkey = there_.queue->local().rkey;
    shown.address = there_.queue->local().address;
    ASSERT_EQ(stranger.queue->connect(shown).toString(), "OK");
    ASSERT_EQ(other.queue->connect(stranger.queue->local()).toString(), "OK");
    stranger.send.setWord(0, 99);
    ASSERT_TRUE(stranger.queue->postWrite(0, 0, 8));
    stranger.queue->ring();
    ASSERT_TRUE(pollUntil(*stranger.queue,
                          [&] { return stranger.queue->failure() != VerbsFailure::None; }));
    EXPECT_EQ(stranger.queue->failure(), VerbsFailure::AccessRefused)
        << stranger.queue->status().toString();
    EXPECT_EQ(there_.receive.word(0), 0u);
    EXPECT_TRUE(here_.queue->status().isOk()) << "and the other peer does not notice";
}

TEST_F(VerbsFenceOnDevice, AKilledProcessIsNoticed) {
    const VerbsOptions wanted = options();
    Child child([&wanted](int connection) {
        End end(kBytes);
        VerbsEndpoint peer;
        if (!end.open(wanted).isOk()) return;
        const VerbsEndpoint own = end.queue->local();
        if (!writeAll(connection, &own, sizeof(own))) return;
        if (!readAll(connection, &peer, sizeof(peer))) return;
        if (!end.queue->connect(peer).isOk()) return;
        if (!writeAll(connection, "c", 1)) return;
        // Answers every word with its successor until it is killed.
        for (uint64_t next = 1;; ++next) {
            while (end.receive.word(0) != next) end.queue->poll();
            end.send.setWord(0, next + 1);
            while (!end.queue->postWrite(0, 0, 8)) end.queue->poll();
            end.queue->ring();
        }
    });
    VerbsEndpoint peer;
    char connected = 0;
    ASSERT_TRUE(readAll(child.connection(), &peer, sizeof(peer)));
    ASSERT_EQ(here_.open(wanted).toString(), "OK");
    const VerbsEndpoint own = here_.queue->local();
    ASSERT_TRUE(writeAll(child.connection(), &own, sizeof(own)));
    ASSERT_EQ(here_.queue->connect(peer).toString(), "OK");
    ASSERT_TRUE(readAll(child.connection(), &connected, 1));
    uint64_t word = 1;
    const auto send = [&] {
        here_.send.setWord(0, word);
        if (here_.queue->postWrite(0, 0, 8)) here_.queue->ring();
    };
    for (; word <= 100; ++word) {
        send();
        ASSERT_TRUE(pollUntil(*here_.queue, [&] { return here_.receive.word(0) == word + 1; }));
    }
    child.kill();
    send();
    ASSERT_TRUE(
        pollUntil(*here_.queue, [&] { return here_.queue->failure() != VerbsFailure::None; }));
    EXPECT_EQ(here_.queue->failure(), VerbsFailure::PeerUnreachable);
}

TEST_F(VerbsFenceOnDevice, AChildProcessDoesNotTakeTheRegistrationsAway) {
    connect(here_, there_, options());
    here_.send.setWord(0, 1);
    there_.receive.setWord(0, 1);
    // While a child is there, a parent that writes would get copies of pages without ibv_fork_init.
    Child child([](int connection) {
        char wait = 0;
        readAll(connection, &wait, 1);
    });
    here_.send.setWord(0, 4711);
    there_.receive.setWord(8, 1);
    ASSERT_TRUE(here_.queue->postWrite(0, 0, 8));
    here_.queue->ring(VerbsReport::Everything);
    ASSERT_TRUE(pollUntil(*here_.queue, [&] { return here_.queue->completedWrites() == 1; }));
    EXPECT_EQ(there_.receive.word(0), 4711u);
}

// What a child finds where /dev/infiniband holds what `fill` puts there.
template <typename Fill>
std::string availabilityWith(Fill&& fill) {
    Child child([&fill](int connection) {
        std::string text = "cannot set up";
        if (::unshare(CLONE_NEWNS) == 0 &&
            ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 && fill()) {
            const VerbsAvailability availability = verbsAvailability();
            text = std::string(verbsObstacleName(availability.obstacle)) + " " +
                   availability.status.message();
        }
        writeAll(connection, text.data(), text.size());
    });
    std::string text;
    for (char next = 0; readAll(child.connection(), &next, 1);) text += next;
    return text;
}

TEST_F(VerbsFenceOnDevice, DevicesThatMayNotBeOpenedAreNamed) {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can hide a device";
    const std::string device = verbsAvailability().devices.front();
    const auto cover = [] { return ::mount("none", "/dev/infiniband", "tmpfs", 0, nullptr) == 0; };
    const std::string hidden = availabilityWith(cover);
    const std::string forbidden = availabilityWith([&cover] {
        std::vector<std::pair<std::string, dev_t>> nodes;
        for (const auto& entry : std::filesystem::directory_iterator("/dev/infiniband")) {
            struct stat status {};
            if (::stat(entry.path().c_str(), &status) != 0) return false;
            nodes.emplace_back(entry.path(), status.st_rdev);
        }
        if (!cover()) return false;
        for (const auto& [path, number] : nodes)
            if (::mknod(path.c_str(), S_IFCHR | 0600, number) != 0) return false;
        return ::setresuid(65534, 65534, 65534) == 0;
    });
    for (const std::string& text : {hidden, forbidden}) {
        EXPECT_EQ(text.rfind("NO_PERMISSION ", 0), 0u) << text;
        EXPECT_NE(text.find(device + ": "), std::string::npos) << text;
        EXPECT_NE(text.find("/dev/infiniband"), std::string::npos) << text;
    }
    EXPECT_NE(forbidden.find("Permission denied"), std::string::npos) << forbidden;
}

TEST_F(VerbsFenceOnDevice, ALimitThatIsTooSmallIsNamedWithItsValue) {
    const VerbsOptions wanted = options();
    Child child([&wanted](int connection) {
        // The superuser is exempt by a capability, which the child gives up.
        __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
        __user_cap_data_struct data[2] = {};
        const rlimit limit = {65536, 65536};
        Status status;
        if (::syscall(SYS_capget, &header, data) != 0) {
            status = Status(StatusCode::IoError, "capget");
        } else {
            data[0].effective &= ~(1u << CAP_IPC_LOCK);
            if (::syscall(SYS_capset, &header, data) != 0 ||
                ::setrlimit(RLIMIT_MEMLOCK, &limit) != 0)
                status = Status(StatusCode::IoError, "capset or setrlimit");
            else
                status = End(1 << 20).open(wanted);
        }
        const std::string text = status.toString();
        writeAll(connection, text.data(), text.size());
    });
    std::string text;
    for (char next = 0; readAll(child.connection(), &next, 1);) text += next;
    EXPECT_EQ(text.rfind("NO_SPACE: registering the receive region of 1048576 bytes", 0), 0u)
        << text;
    for (const char* part :
         {"RLIMIT_MEMLOCK", "65536 bytes", "ulimit -l", "LimitMEMLOCK=", "CAP_IPC_LOCK"})
        EXPECT_NE(text.find(part), std::string::npos) << part << " in " << text;
}

}  // namespace
}  // namespace verbex::transport
