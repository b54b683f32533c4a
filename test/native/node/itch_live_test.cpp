// The market feed as it runs: a real core behind it, real sockets before it.
#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <chrono>
#include <memory>
#include <vector>

#include "feed/market_feed.h"
#include "feed/mold.h"
#include "feed/session_names.h"
#include "node/itch_world.h"
#include "node/node_fixture.h"
#include "node/patience.h"
#include "session/soup_client.h"

namespace verbex::node::itch_live_test {
namespace {

using feed::MarketFeed;
using feed::MarketFeedOptions;
using feed::MoldHeader;
using feed::test::ItchReader;
using itch_world::sameAsCore;
using itch_world::World;
using session::SoupClient;
using Bytes = std::vector<std::byte>;

class Users final : public session::Authenticator {
public:
    bool mayLogIn(std::string_view user, std::string_view password) const override {
        return user == "reader" && password == "secret";
    }
};

// A TCP reader, of the stream or of a snapshot: everything goes into its book.
class TcpReader final : public session::SoupClientEvents {
public:
    explicit TcpReader(session::EventLoop& loop) : client(loop, *this, 1) {}
    void loggedIn(uint64_t, const session::SessionName& name, uint64_t next) override {
        session = name;
        first = next;
    }
    void message(uint64_t, uint64_t sequence, std::span<const std::byte> message) override {
        last = sequence;
        if (!book->take(message)) ADD_FAILURE() << book->wrong();
    }
    void endOfSession(uint64_t) override { ended = true; }
    void closed(uint64_t, session::LoginReject why) override {
        gone = true;
        rejected = why;
    }

    SoupClient client;
    std::shared_ptr<ItchReader> book = std::make_shared<ItchReader>();
    session::SessionName session{};
    uint64_t first = 0;
    uint64_t last = 0;
    bool ended = false;
    bool gone = false;
    session::LoginReject rejected = session::LoginReject::None;
};

class UdpSocket {
public:
    UdpSocket() : socket_(::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
        const int bytes = 4 << 20, on = 1;
        setsockopt(socket_.number(), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
        setsockopt(socket_.number(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    }
    bool bindTo(const char* host, uint16_t port) {
        sockaddr_in at = addressOf(host, port);
        socklen_t length = sizeof(at);
        if (::bind(socket_.number(), reinterpret_cast<sockaddr*>(&at), length) != 0) return false;
        getsockname(socket_.number(), reinterpret_cast<sockaddr*>(&at), &length);
        port_ = ntohs(at.sin_port);
        return true;
    }
    bool join(const char* group) {
        ip_mreq request{};
        inet_pton(AF_INET, group, &request.imr_multiaddr);
        inet_pton(AF_INET, "127.0.0.1", &request.imr_interface);
        return setsockopt(socket_.number(), IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof(request)) == 0;
    }
    void send(const transport::Address& to, const Bytes& bytes) {
        const sockaddr_in at = addressOf(to.host.c_str(), to.port);
        (void)::sendto(socket_.number(), bytes.data(), bytes.size(), 0,
                       reinterpret_cast<const sockaddr*>(&at), sizeof(at));
    }
    Bytes receive() {
        Bytes bytes(65'536);
        const ssize_t count = ::recv(socket_.number(), bytes.data(), bytes.size(), 0);
        bytes.resize(count < 0 ? 0 : static_cast<size_t>(count));
        return bytes;
    }
    [[nodiscard]] uint16_t port() const { return port_; }

private:
    static sockaddr_in addressOf(const char* host, uint16_t port) {
        sockaddr_in at{};
        at.sin_family = AF_INET;
        at.sin_port = htons(port);
        inet_pton(AF_INET, host, &at.sin_addr);
        return at;
    }
    transport::Descriptor socket_;
    uint16_t port_ = 0;
};

class ItchLive : public testing::Test {
protected:

    ItchLive() : loop_(session::EventLoop::create().take()) {
        options_.sessionName = "DAY1";
        options_.stream = options_.snapshot = options_.retransmission = transport::Address{"127.0.0.1", 0};
        options_.historyBytes = 8u << 20;
    }
    void open(uint64_t seed = 1) {
        auto feed = MarketFeed::open(*loop_, users_, options_);
        ASSERT_TRUE(feed.isOk()) << feed.status().toString();
        feed_ = feed.take();
        commands_ = std::make_unique<Flow>(seed);
        world_.deliver = [this](const Event& event) { feed_->deliver(event); };
    }
    void trade(uint32_t count) {
        for (uint32_t i = 0; i < count; ++i) world_.apply(commands_->next());
    }
    void round() {
        loop_->poll();
        feed_->flush();
        feed_->tick(loop_->refreshTime());
    }
    template <typename Done>
    bool until(Done&& done) {
        const auto end = std::chrono::steady_clock::now() + kPatience;
        while (!done()) {
            round();
            if (std::chrono::steady_clock::now() > end) return false;
        }
        return true;
    }
    // The reader has everything and the core's book.
    void expectInStep(TcpReader& reader) {
        ASSERT_TRUE(until([&] { return reader.last == feed_->counters().messages || reader.gone; }));
        EXPECT_FALSE(reader.gone);
        EXPECT_TRUE(sameAsCore(*reader.book, world_.core, 1));
    }
    std::unique_ptr<TcpReader> connect(const transport::Address& to, uint64_t sequence,
                                       const char* password = "secret", const char* name = nullptr) {
        auto reader = std::make_unique<TcpReader>(*loop_);
        session::SessionName session{};
        if (name != nullptr) session = feed::sessionNameOf(name);
        EXPECT_TRUE(reader->client.connect(to, "reader", password, name == nullptr ? nullptr : &session, sequence).isOk());
        return reader;
    }

    std::unique_ptr<session::EventLoop> loop_;
    Users users_;
    MarketFeedOptions options_;
    World world_{{1u << 16, 100, 16, 1u << 20}};
    std::unique_ptr<Flow> commands_;
    std::unique_ptr<MarketFeed> feed_;
};

TEST_F(ItchLive, TheStreamFromAnySequenceNumber) {
    open();
    auto early = connect(*feed_->streamAddress(), 1);
    ASSERT_TRUE(until([&] { return early->gone; }));  // nothing has begun
    EXPECT_EQ(early->rejected, session::LoginReject::SessionNotAvailable);
    feed_->begin({});
    auto whole = connect(*feed_->streamAddress(), 1);
    for (int i = 0; i < 40; ++i) {
        trade(50);
        round();
    }
    expectInStep(*whole);
    EXPECT_EQ(whole->session, feed::sessionNameOf("DAY1"));
    // One that goes and comes back where it was misses nothing and gets nothing twice.
    auto again = connect(*feed_->streamAddress(), whole->client.nextSequence());
    again->book = whole->book;
    whole->client.drop();
    trade(500);
    expectInStep(*again);
    const uint64_t next = feed_->counters().messages + 1;
    auto ahead = connect(*feed_->streamAddress(), next + 1);
    auto other = connect(*feed_->streamAddress(), 1, "secret", "DAY0");
    auto wrong = connect(*feed_->streamAddress(), 1, "wrong");
    ASSERT_TRUE(until([&] { return ahead->gone && other->gone && wrong->gone; }));
    EXPECT_EQ(ahead->rejected, session::LoginReject::SessionNotAvailable);
    EXPECT_EQ(other->rejected, session::LoginReject::SessionNotAvailable);
    EXPECT_EQ(wrong->rejected, session::LoginReject::NotAuthorized);
    feed_->end();
    ASSERT_TRUE(until([&] { return again->gone; }));
    EXPECT_TRUE(again->ended);
    EXPECT_EQ(again->last, feed_->counters().messages);
    EXPECT_TRUE(again->book->systemCodes.ends_with("MEC"));
    feed_->deliver(Event{});  // nothing more happens
    EXPECT_FALSE(feed_->busy());
}

TEST_F(ItchLive, AReaderOfWhatIsGoneIsRefusedAndASlowOneIsCutOff) {
    options_.historyBytes = feed::FeedHistory::kBytesMin;
    open();
    feed_->begin({});
    auto slow = connect(*feed_->streamAddress(), 1);
    ASSERT_TRUE(until([&] { return slow->client.isLoggedIn(); }));
    slow->client.stall(true);
    // More than sockets and history hold.
    ASSERT_TRUE(until([&] {
        trade(100);
        return feed_->counters().messages > 300'000;
    }));
    auto gone = connect(*feed_->streamAddress(), 1);
    ASSERT_TRUE(until([&] { return gone->gone; }));
    EXPECT_EQ(gone->rejected, session::LoginReject::SessionNotAvailable);
    slow->client.stall(false);
    ASSERT_TRUE(until([&] { return slow->gone; }));
    EXPECT_FALSE(slow->ended);
    EXPECT_LT(slow->last, feed_->counters().messages);
}

TEST_F(ItchLive, ALateJoinerIsInStepUnderLoad) {
    open(3);
    feed_->begin({});
    trade(3000);
    for (int join = 0; join < 25; ++join) {
        // Two at a time share a snapshot.
        auto first = connect(*feed_->snapshotAddress(), 1);
        auto second = connect(*feed_->snapshotAddress(), 1);
        ASSERT_TRUE(until([&] {
            trade(3);
            return first->gone && second->gone;
        }));
        ASSERT_TRUE(first->ended && second->ended);
        ASSERT_GT(first->book->continueFrom, 0u);
        EXPECT_TRUE(first->book->referencesAreRanks());
        auto live = connect(*feed_->streamAddress(), first->book->continueFrom);
        live->book = first->book;
        ASSERT_TRUE(until([&] {
            trade(1);
            return live->last != 0 || feed_->counters().messages < first->book->continueFrom;
        }));
        expectInStep(*live);
    }
    EXPECT_EQ(feed_->counters().snapshots, 50u);
}

TEST_F(ItchLive, ASnapshotOfALargeBookIsOfOneMoment) {
    // Many orders, which no round can write at once, while they come and go.
    open();
    MarketState state;
    state.instruments.push_back({1, Name{1, 0}, TradingState::Open});
    for (OrderId id = 1; id <= 50'000; ++id) {
        state.resting.push_back({id, 1, 1, {}, Side::Buy, 100 + static_cast<int64_t>(id % 50), 9, 9});
    }
    feed_->begin(state);
    auto snapshot = connect(*feed_->snapshotAddress(), 1);
    OrderId next = 1;
    uint64_t during = 0;
    ASSERT_TRUE(until([&] {
        Event event{};
        event.type = static_cast<uint8_t>(EventType::Cancelled);
        event.instrument = 1;
        event.side = static_cast<uint8_t>(Side::Buy);
        event.orderId = next += 3;
        if (!snapshot->gone) feed_->deliver(event);
        event.type = static_cast<uint8_t>(EventType::Reduced);
        event.orderId = 50'001 - next;
        event.quantity = event.leaves = event.leaves2 = 1 + static_cast<int64_t>(next % 7);
        if (!snapshot->gone) feed_->deliver(event);
        event = Event{};
        event.type = static_cast<uint8_t>(EventType::Accepted);
        event.flags = kEventBooked;
        event.instrument = 1;
        event.side = static_cast<uint8_t>(Side::Buy);
        event.orderId = 100'000 + next;
        event.price = 120;
        event.leaves2 = 3;
        if (!snapshot->gone) feed_->deliver(event);
        if (snapshot->client.isLoggedIn()) ++during;
        return snapshot->gone;
    }));
    EXPECT_TRUE(snapshot->ended);
    EXPECT_GT(during, 10u);
    auto live = connect(*feed_->streamAddress(), snapshot->book->continueFrom);
    live->book = snapshot->book;
    auto whole = connect(*feed_->streamAddress(), 1);
    ASSERT_TRUE(until([&] {
        return live->last == feed_->counters().messages && whole->last == feed_->counters().messages;
    }));
    EXPECT_TRUE(live->book->levels(1, false) == whole->book->levels(1, false));
    EXPECT_EQ(live->book->orders(), feed_->counters().shown);
}

// Datagrams to a group and to a host, and what is missing by request.
TEST_F(ItchLive, DatagramsAndRetransmission) {
    UdpSocket host, group;
    ASSERT_TRUE(host.bindTo("127.0.0.1", 0));
    ASSERT_TRUE(group.bindTo("0.0.0.0", 0));  // so that answers reach it too
    const bool multicast = group.join("239.192.7.7");
    options_.datagrams = {{"127.0.0.1", host.port()}, {"239.192.7.7", group.port()}};
    options_.multicastInterface = "127.0.0.1";
    options_.multicastHops = 0;
    options_.heartbeatMs = 20;
    options_.datagramBytes = 300;
    options_.requestsPerSecond = 0;
    open(9);
    feed_->begin({});
    struct Reader {
        ItchReader book;
        std::map<uint64_t, Bytes> waiting;
        uint64_t next = 1, known = 1, dropped = 0, heartbeats = 0;
        bool ended = false;
    } hostReader, groupReader;
    const session::SessionName session = feed::sessionNameOf("DAY1");
    uint64_t count = 0;
    const auto read = [&](UdpSocket& socket, Reader& reader) {
        for (Bytes datagram = socket.receive(); !datagram.empty(); datagram = socket.receive()) {
            MoldHeader header;
            ASSERT_LE(datagram.size(), 300u);
            ASSERT_TRUE(feed::readMoldHeader(datagram, header));
            ASSERT_TRUE(feed::isWholeDatagram(datagram, header));
            ASSERT_EQ(header.session, session);
            reader.heartbeats += header.count == 0;
            reader.ended |= header.count == feed::kMoldEndOfSession;
            const uint64_t messages = reader.ended ? 0 : header.count;
            reader.known = std::max(reader.known, header.sequence + messages);
            if (messages != 0 && ++count % 50 == 0) {
                ++reader.dropped;
                continue;
            }
            feed::eachMessage(datagram, header, [&](uint64_t sequence, std::span<const std::byte> message) {
                if (sequence >= reader.next) reader.waiting.emplace(sequence, Bytes(message.begin(), message.end()));
            });
            while (!reader.waiting.empty() && reader.waiting.begin()->first == reader.next) {
                ASSERT_TRUE(reader.book.take(reader.waiting.begin()->second)) << reader.book.wrong();
                reader.waiting.erase(reader.waiting.begin());
                ++reader.next;
            }
        }
        if (reader.next < reader.known) {
            Bytes request(feed::kMoldHeaderBytes);
            feed::writeMoldHeader(request.data(), {session, reader.next, 100});
            socket.send(*feed_->retransmissionAddress(), request);
        }
    };
    const auto step = [&] {
        round();
        read(host, hostReader);
        if (multicast) read(group, groupReader);
    };
    for (int i = 0; i < 500; ++i) {
        trade(10);
        step();
    }
    const auto inStep = [&](const Reader& reader) {
        return reader.next == feed_->counters().messages + 1 && reader.heartbeats > 0;
    };
    ASSERT_TRUE(until([&] {
        step();
        return inStep(hostReader) && (!multicast || inStep(groupReader));
    }));
    EXPECT_GT(hostReader.dropped, 0u);
    if (!multicast) std::puts("no multicast on lo: only the datagrams to a host are tested");
    EXPECT_TRUE(sameAsCore(hostReader.book, world_.core, 1));
    if (multicast) {
        EXPECT_TRUE(sameAsCore(groupReader.book, world_.core, 1));
    }
    EXPECT_GT(feed_->counters().retransmitted, 0u);
    // Garbage is counted and not answered.
    const uint64_t refused = feed_->counters().requestsRefused;
    for (size_t length : {0, 1, 19, 20, 21, 300}) {
        host.send(*feed_->retransmissionAddress(), Bytes(length, std::byte{0x41}));
    }
    ASSERT_TRUE(until([&] { return feed_->counters().requestsRefused == refused + 6; }));
    feed_->end();
    ASSERT_TRUE(until([&] {
        read(host, hostReader);
        return hostReader.ended;
    }));
    // The end itself can't be asked for any more.
    EXPECT_EQ(hostReader.known, feed_->counters().messages + 1);
}

TEST_F(ItchLive, AnAddressThatAsksWithoutEndIsThrottled) {
    options_.requestsPerSecond = 8;
    open();
    feed_->begin({});
    UdpSocket socket;
    ASSERT_TRUE(socket.bindTo("127.0.0.1", 0));
    Bytes request(feed::kMoldHeaderBytes);
    feed::writeMoldHeader(request.data(), {feed::sessionNameOf("DAY1"), 1, 1});
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < 200; ++i) socket.send(*feed_->retransmissionAddress(), request);
    ASSERT_TRUE(until([&] { return feed_->counters().requests == 200; }));
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(
                             std::chrono::steady_clock::now() - begin).count();
    EXPECT_GE(feed_->counters().retransmitted, 1u);
    EXPECT_LE(feed_->counters().retransmitted, 2 + 8 * static_cast<uint64_t>(seconds + 1));
}

TEST_F(ItchLive, OptionsThatMakeNoSenseAreRefused) {
    for (const char* name : {"", "ELEVENCHARS", "a b", "day-1"}) {
        options_.sessionName = name;
        EXPECT_FALSE(MarketFeed::open(*loop_, users_, options_).isOk()) << name;
    }
    options_.sessionName = "DAY1";
    for (const uint32_t bytes : {0u, 199u, 65'001u}) {
        options_.datagramBytes = bytes;
        EXPECT_FALSE(MarketFeed::open(*loop_, users_, options_).isOk()) << bytes;
    }
}

}  // namespace
}  // namespace verbex::node::itch_live_test
