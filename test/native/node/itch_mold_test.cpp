// MoldUDP64 over a network that loses, repeats and reorders: a reader that asks for its gaps ends with the core's
// book.
#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <random>
#include <vector>

#include "feed/mold.h"
#include "feed/session_names.h"
#include "node/itch_world.h"
#include "node/node_fixture.h"

namespace verbex::node::itch_mold_test {
namespace {

using feed::FeedBuilder;
using feed::FeedHistory;
using feed::MoldHeader;
using itch_world::sameAsCore;
using itch_world::World;

using Bytes = std::vector<std::byte>;

// One way, one datagram a step: lost, repeated or held back, so many in a thousand each.
class LossyWay {
public:
    LossyWay(std::mt19937_64& random, uint32_t perMille) : random_(random), perMille_(perMille) {}

    void send(const Bytes& datagram) {
        ++sent;
        if (hits()) {
            ++lost;
            return;
        }
        const int copies = hits() ? 2 : 1;
        for (int i = 0; i < copies; ++i) {
            uint64_t due = now_;
            if (hits()) due += 1 + random_() % 20;
            way_.emplace(due, datagram);
        }
    }
    template <typename Receive>
    void step(Receive&& receive) {
        while (!way_.empty() && way_.begin()->first <= now_) {
            const Bytes datagram = std::move(way_.begin()->second);
            way_.erase(way_.begin());
            receive(datagram);
        }
        ++now_;
    }
    [[nodiscard]] bool empty() const { return way_.empty(); }
    uint64_t sent = 0;
    uint64_t lost = 0;

private:
    bool hits() { return random_() % 1000 < perMille_; }
    std::mt19937_64& random_;
    uint32_t perMille_;
    uint64_t now_ = 0;
    std::multimap<uint64_t, Bytes> way_;
};

// In order into a book; what comes early waits, what is missing is asked for.
class MoldReader {
public:
    feed::test::ItchReader book;
    uint64_t next = 1;
    uint64_t known = 1;  // the feed has sent everything before

    bool take(const Bytes& datagram) {
        MoldHeader header;
        if (!feed::readMoldHeader(datagram, header) || !feed::isWholeDatagram(datagram, header)) return false;
        const uint64_t count = header.count == feed::kMoldEndOfSession ? 0 : header.count;
        known = std::max(known, header.sequence + count);
        feed::eachMessage(datagram, header, [this](uint64_t sequence, std::span<const std::byte> message) {
            if (sequence >= next) waiting_.emplace(sequence, Bytes(message.begin(), message.end()));
        });
        while (!waiting_.empty() && waiting_.begin()->first == next) {
            if (!book.take(waiting_.begin()->second)) return false;
            waiting_.erase(waiting_.begin());
            ++next;
        }
        return true;
    }
    [[nodiscard]] bool hasGap() const { return next < known; }
    [[nodiscard]] Bytes request(const session::SessionName& session) const {
        Bytes bytes(feed::kMoldHeaderBytes);
        const uint64_t end = waiting_.empty() ? known : waiting_.begin()->first;
        feed::writeMoldHeader(bytes.data(), {session, next, static_cast<uint16_t>(std::min<uint64_t>(end - next, 1000))});
        return bytes;
    }

private:
    std::map<uint64_t, Bytes> waiting_;
};

void endsEqual(uint64_t seed, uint32_t perMille, uint32_t commandsCount) {
    std::mt19937_64 random(seed);
    Flow commands(seed);
    World world({4000, 100, 16, 1u << 18});
    FeedHistory history(1u << 20);
    FeedBuilder builder(history);
    world.deliver = [&](const Event& event) { builder.take(event); };
    builder.begin({});
    const session::SessionName session = feed::sessionNameOf("D1");
    LossyWay down(random, perMille), requests(random, perMille), answers(random, perMille);
    MoldReader reader;
    FeedHistory::Reader sent;
    const size_t datagramBytes = 200 + random() % 400;
    const auto step = [&] {
        for (;;) {
            Bytes datagram(datagramBytes);
            datagram.resize(feed::fillDatagram(history, sent, session, UINT64_MAX, datagram));
            if (datagram.empty()) break;
            down.send(datagram);
        }
        bool good = true;
        const auto receive = [&](const Bytes& datagram) { good = good && reader.take(datagram); };
        down.step(receive);
        answers.step(receive);
        requests.step([&](const Bytes& request) {
            Bytes answer(datagramBytes);
            answer.resize(feed::answerRequest(history, session, request, answer));
            if (!answer.empty()) answers.send(answer);
        });
        if (reader.hasGap() && random() % 4 == 0) requests.send(reader.request(session));
        return good;
    };
    for (uint32_t i = 0; i < commandsCount; ++i) {
        world.apply(commands.next());
        if (i % 3 == 0) {
            ASSERT_TRUE(step()) << reader.book.wrong();
        }
    }
    // Heartbeats tell what came last.
    for (uint32_t i = 0; i < 100'000 && reader.next != history.next(); ++i) {
        Bytes heartbeat(feed::kMoldHeaderBytes);
        feed::writeMoldHeader(heartbeat.data(), {session, history.next(), 0});
        down.send(heartbeat);
        ASSERT_TRUE(step()) << reader.book.wrong();
    }
    ASSERT_EQ(reader.next, history.next());
    ASSERT_EQ(reader.book.messages(), history.next() - 1);
    ASSERT_TRUE(sameAsCore(reader.book, world.core, 1));
    ASSERT_GT(down.lost, 0u);
}

TEST(ItchMold, OnePercentLostRepeatedAndReorderedEndsEqual) {
    for (uint64_t seed = 1; seed <= 20; ++seed) endsEqual(seed, 10, 3000);
}

TEST(ItchMold, AQuarterLostRepeatedAndReorderedEndsEqual) {
    for (uint64_t seed = 100; seed <= 110; ++seed) endsEqual(seed, 250, 1500);
}

// Whatever is asked, the answer is messages of the history or none.
TEST(ItchMold, GarbageRequestsAreRefused) {
    std::mt19937_64 random(5);
    FeedHistory history(FeedHistory::kBytesMin);
    FeedBuilder builder(history);
    MarketState state;
    for (InstrumentId id = 1; id <= 2000; ++id)
        state.instruments.push_back({id, Name{id, 0}, TradingState::Open});
    builder.begin(state);
    ASSERT_GT(history.oldest(), 1u);
    const session::SessionName session = feed::sessionNameOf("D1");
    uint64_t answered = 0;
    for (int i = 0; i < 200'000; ++i) {
        Bytes request(random() % 3 == 0 ? random() % 40 : feed::kMoldHeaderBytes);
        for (std::byte& byte : request) byte = static_cast<std::byte>(random());
        MoldHeader asked{session, random() % (history.next() + 50), static_cast<uint16_t>(random())};
        if (random() % 4 == 0) asked.sequence = random();
        if (random() % 4 == 0) asked.count = static_cast<uint16_t>(random() % 3);
        if (random() % 4 == 0) asked.session[random() % 10] ^= 1;
        if (request.size() >= feed::kMoldHeaderBytes && random() % 4 != 0)
            feed::writeMoldHeader(request.data(), asked);
        Bytes answer(200 + random() % 2000);
        const size_t bytes = feed::answerRequest(history, session, request, answer);
        MoldHeader read;
        const bool whole = request.size() == feed::kMoldHeaderBytes && feed::readMoldHeader(request, read);
        const bool fair = whole && read.session == session && read.count > 0 && history.has(read.sequence);
        ASSERT_EQ(bytes > 0, fair);
        if (!fair) continue;
        ++answered;
        answer.resize(bytes);
        MoldHeader given;
        ASSERT_TRUE(feed::readMoldHeader(answer, given));
        ASSERT_TRUE(feed::isWholeDatagram(answer, given));
        ASSERT_EQ(given.sequence, read.sequence);
        ASSERT_LE(given.count, read.count);
        ASSERT_LE(given.sequence + given.count, history.next());
    }
    EXPECT_GT(answered, 1000u);
}

}  // namespace
}  // namespace verbex::node::itch_mold_test
