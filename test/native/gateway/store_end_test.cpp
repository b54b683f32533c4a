// Ends that nobody wished for: killed writers, full disks, a second opener, a machine that stopped.
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <random>

#include "store_fixture.h"

namespace verbex::gateway::store_test {
namespace {

std::string messageOf(uint32_t number) {
    return "message " + std::to_string(number) + std::string(number * 7 % 400, 'm');
}

// Appends for ever, and says after every message how many there are.
[[noreturn]] void writeForEver(const MessageStoreOptions& options, int says) {
    Opened opened = openStore(options);
    if (!opened.status.isOk()) _exit(3);
    for (uint32_t number = opened.store->nextSequence(1);; ++number) {
        if (!putOut(*opened.store, 1, {number, 0}, number, messageOf(number), true)) _exit(4);
        if (::write(says, &number, sizeof(number)) != sizeof(number)) _exit(5);
    }
}

TEST(MessageStoreEnd, AKilledWriterLosesNothingThatItAcknowledged) {
    const Directory directory;
    MessageStoreOptions options;
    options.directory = directory.path();
    options.segmentBytes = 1u << 17;
    options.bootId = "one";
    std::mt19937_64 random(9);
    uint32_t before = 0;
    for (int round = 0; round < 12; ++round) {
        int ends[2];
        ASSERT_EQ(::pipe(ends), 0);
        const pid_t writer = ::fork();
        ASSERT_GE(writer, 0);
        if (writer == 0) writeForEver(options, ends[1]);
        ::close(ends[1]);
        const uint32_t wanted = before + 1 + static_cast<uint32_t>(random() % 600);
        uint32_t acknowledged = before;
        uint32_t number = 0;
        while (acknowledged < wanted &&
               ::read(ends[0], &number, sizeof(number)) == sizeof(number)) {
            acknowledged = number;
        }
        ::kill(writer, SIGKILL);
        while (::read(ends[0], &number, sizeof(number)) == sizeof(number)) acknowledged = number;
        ::close(ends[0]);
        int result = 0;
        ASSERT_EQ(::waitpid(writer, &result, 0), writer);
        ASSERT_TRUE(WIFSIGNALED(result));
        Opened opened = openStore(options);
        ASSERT_TRUE(opened.status.isOk()) << opened.status.toString();
        const uint32_t there = opened.store->nextSequence(1) - 1;
        ASSERT_GE(acknowledged, wanted);
        ASSERT_GE(there, acknowledged);
        ASSERT_LE(there, acknowledged + 1);
        ASSERT_EQ(opened.seen.size(), there + 1u);
        for (uint32_t i = 1; i <= there; ++i) ASSERT_EQ(opened.seen[i].message, messageOf(i));
        ASSERT_EQ(opened.store->sessionName()[9], 'A');
        before = there;
    }
}

TEST(MessageStoreEnd, AFullDiskIsAnAnswerAndNotASignal) {
    const Directory directory;
    const std::string point = std::filesystem::path(directory.path()).parent_path().string();
    if (::mount("tmpfs", point.c_str(), "tmpfs", 0, "size=2600k") != 0) {
        GTEST_SKIP() << "needs the right to mount";
    }
    {
        MessageStoreOptions options;
        options.directory = directory.path();
        options.segmentBytes = 1u << 19;
        // Something that can go away later.
        writeFile(point + "/ballast", std::string(300'000, 'b'));
        Opened opened = openStore(options);
        ASSERT_TRUE(opened.status.isOk()) << opened.status.toString();
        uint32_t written = 0;
        for (;; ++written) {
            const uint32_t number = written + 1;
            if (!putOut(*opened.store, 1, {number, 0}, 1, messageOf(number), true)) break;
        }
        EXPECT_GT(written, 1000u);
        EXPECT_EQ(opened.store->status().code(), StatusCode::NoSpace);
        EXPECT_EQ(opened.store->appendIn(1, 1, 1, {}).code(), StatusCode::NoSpace);
        session::OutboundCursor cursor;
        ASSERT_TRUE(opened.store->seek(1, 1, cursor));
        const size_t bytes = readAll(opened.store->outbound(1), cursor).size();
        // It stays refused, though there is room again.
        std::filesystem::remove(point + "/ballast");
        EXPECT_EQ(opened.store->claimOut(1, 10, {1, 0}, 1), nullptr);
        opened = {};
        opened = openStore(options);
        EXPECT_TRUE(opened.status.isOk()) << opened.status.toString();
        if (opened.store != nullptr) {
            EXPECT_EQ(opened.store->nextSequence(1), written + 1);
            EXPECT_TRUE(opened.store->seek(1, 1, cursor));
            EXPECT_EQ(readAll(opened.store->outbound(1), cursor).size(), bytes);
        }
    }
    ::umount2(point.c_str(), MNT_DETACH);
}

// Two gateways on one store: the process may end when only one of them has told its sessions.
TEST(MessageStoreEnd, OfSharedEventsTheLastOneIsToldAgain) {
    const Directory directory;
    MessageStoreOptions options;
    options.directory = directory.path();
    options.bootId = "one";
    options.eventsShared = true;
    const auto gateways = [](MessageStore& store, uint32_t position, int count) {
        for (int gateway = 1; gateway <= count; ++gateway) {
            const auto session = static_cast<uint16_t>(gateway);
            ASSERT_TRUE(putOut(store, session, {position, 0}, position, "first", false));
            ASSERT_TRUE(putOut(store, session, {position, 0}, position, "second", true));
        }
    };
    Opened opened = openStore(options);
    ASSERT_TRUE(opened.status.isOk());
    for (uint32_t position = 1; position <= 5; ++position) gateways(*opened.store, position, 2);
    for (const int told : {0, 1, 2}) {
        gateways(*opened.store, 6, told);
        ASSERT_TRUE(told != 1 || putOut(*opened.store, 2, {6, 0}, 6, "first", false));
        opened = {};
        opened = openStore(options);
        ASSERT_TRUE(opened.status.isOk()) << opened.status.toString();
        // What is told again is the same again.
        const Position next = told == 0 ? 5 : 6;
        ASSERT_EQ(opened.store->delivered(), (EventPlace{next - 1, 0}));
        for (const uint16_t session : {1, 2}) {
            ASSERT_EQ(opened.store->nextSequence(session), 2 * (next - 1) + 1);
        }
        if (told == 0) gateways(*opened.store, 5, 2);
    }
    // A record behind it, of whatever kind, says that everybody had the event.
    gateways(*opened.store, 6, 2);
    ASSERT_TRUE(opened.store->appendIn(1, 1, 6, {}).isOk());
    opened = {};
    opened = openStore(options);
    ASSERT_EQ(opened.store->delivered(), (EventPlace{6, 0}));
    gateways(*opened.store, 7, 2);
    ASSERT_TRUE(putOut(*opened.store, 1, {7, kOwnIndex}, 7, "own", true));
    opened = {};
    opened = openStore(options);
    ASSERT_EQ(opened.store->delivered(), (EventPlace{7, 0}));
    // So does close().
    gateways(*opened.store, 8, 2);
    ASSERT_TRUE(opened.store->close().isOk());
    opened = {};
    opened = openStore(options);
    ASSERT_TRUE(opened.status.isOk()) << opened.status.toString();
    ASSERT_EQ(opened.store->delivered(), (EventPlace{8, 0}));
}

TEST(MessageStoreEnd, ASecondOpenerIsRefused) {
    const Directory directory;
    MessageStoreOptions options;
    options.directory = directory.path();
    Opened first = openStore(options);
    ASSERT_TRUE(first.status.isOk());
    EXPECT_EQ(openStore(options).status.code(), StatusCode::DataDirectoryInUse);
    first = {};
    EXPECT_TRUE(openStore(options).status.isOk());
}

TEST(MessageStoreEnd, TheGenerationGoesUpWhereTheMachineStoppedWithoutClose) {
    const Directory directory;
    MessageStoreOptions options;
    options.directory = directory.path();
    options.startPosition = 0xabc;
    const auto name = [&](const char* boot, bool close) {
        options.bootId = boot;
        Opened opened = openStore(options);
        EXPECT_TRUE(opened.status.isOk()) << opened.status.toString();
        const session::SessionName is = opened.store->sessionName();
        EXPECT_TRUE(!close || opened.store->close().isOk());
        return std::string(is.begin(), is.end());
    };
    EXPECT_EQ(name("one", false), "000000ABCA");
    EXPECT_EQ(name("one", false), "000000ABCA");  // killed: what is mapped survives
    EXPECT_EQ(name("one", true), "000000ABCA");
    EXPECT_EQ(name("two", false), "000000ABCA");  // closed: nothing was lost
    EXPECT_EQ(name("three", false), "000000ABCB");
    EXPECT_EQ(name("three", false), "000000ABCB");
    EXPECT_EQ(name("four", true), "000000ABCC");
    EXPECT_EQ(name("five", true), "000000ABCC");
}

TEST(MessageStoreEnd, AfterAStopOfTheMachineTheLogEndsAtTheFirstHole) {
    std::mt19937_64 random(4);
    for (int round = 0; round < 25; ++round) {
        const Directory directory;
        MessageStoreOptions options;
        options.directory = directory.path();
        options.segmentBytes = 1u << 17;
        options.bootId = "one";
        uint32_t dayTwo = 0;
        {
            Opened opened = openStore(options);
            ASSERT_TRUE(opened.status.isOk());
            for (uint32_t i = 1; i <= 900; ++i) {
                if (i == 200) {
                    ASSERT_TRUE(opened.store->beginDay(i).isOk());
                    dayTwo = i;
                }
                ASSERT_TRUE(putOut(*opened.store, 1, {i, 0}, i, messageOf(i), i % 3 != 0));
            }
        }
        // A page that never reached the disk.
        const std::string file =
            directory.file(("messages-0000000" + std::to_string(1 + random() % 2)).c_str());
        std::string bytes = readFile(file);
        ASSERT_EQ(bytes.size(), 1u << 17);
        const size_t page = random() % 32;
        std::fill_n(bytes.begin() + static_cast<long>(page * 4096), 4096, '\0');
        writeFile(file, bytes);
        options.bootId = "two";
        Opened opened = openStore(options);
        ASSERT_TRUE(opened.status.isOk()) << opened.status.toString();
        ASSERT_EQ(opened.store->sessionName()[9], 'B');
        const uint32_t first = opened.store->dayStart() == 0 ? 1 : dayTwo;
        for (size_t i = 1; i < opened.seen.size(); ++i) {
            ASSERT_EQ(opened.seen[i].message, messageOf(first + static_cast<uint32_t>(i) - 1));
            ASSERT_EQ(opened.seen[i].sequence, i);
        }
        // Whole events only, and it goes on from there.
        if (!opened.seen.empty() && opened.seen.size() > 1) {
            ASSERT_NE((first + opened.seen.size() - 2) % 3, 0u);
        }
        const uint32_t next = opened.store->nextSequence(1);
        ASSERT_TRUE(putOut(*opened.store, 1, {2000, 0}, 1, "goes on", true));
        opened = {};
        opened = openStore(options);
        ASSERT_TRUE(opened.status.isOk()) << opened.status.toString();
        ASSERT_EQ(opened.store->nextSequence(1), next + 1);
    }
}

}  // namespace
}  // namespace verbex::gateway::store_test
