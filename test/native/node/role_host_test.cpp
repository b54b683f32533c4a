// The roles as real processes: a sequencer here, risk and matching as children over tcp or shm, a client in a
// cluster's frames. A risk process is killed under load: its orders are rejected, the others trade, it comes back,
// and one core that is fed the log says the same, byte for byte. And a pair of sequencers, of which the leading one is
// killed.
#include "node/role_host.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "journal/posix_storage.h"
#include "load/cluster_load.h"
#include "patience.h"
#include "pipeline/steady_clock.h"
#include "replication/cluster_client.h"
#include "replication/executor.h"
#include "wire/command_codec.h"

namespace verbex::node::test {
namespace {

using namespace std::chrono_literals;
using transport::TransportWish;

constexpr uint32_t kRisk = 2;
constexpr uint32_t kMatching = 2;
constexpr CoreLimits kLimits{
    .maxOrders = 1u << 16, .maxAccounts = 64, .maxInstruments = 16, .maxClientIds = 1u << 20};

using Ports = std::vector<uint16_t>;

RoleHostOptions roleOptions(const std::string& directory, PartKind kind, uint32_t shard,
                            const Ports& ports, TransportWish wish) {
    RoleHostOptions options;
    options.kind = kind;
    options.snapshots = directory + (kind == PartKind::Risk ? "/risk-" : "/matching-") +
                        std::to_string(shard);
    options.snapshotEvery = 200;
    options.role.limits = kLimits;
    options.role.riskShards = kRisk;
    options.role.matchingShards = kMatching;
    options.role.shard = shard;
    options.network.node = "role";
    options.network.transport = wish;
    for (const uint16_t port : ports) options.sequencers.push_back({"127.0.0.1", port});
    return options;
}

// Sequencer `index` of as many as there are ports. Generous: a loaded machine is no reason to take over.
SequencerHostOptions sequencerOptions(const std::string& directory, uint32_t index, const Ports& ports,
                                      TransportWish wish) {
    SequencerHostOptions options;
    options.sequencer.limits = kLimits;
    options.sequencer.riskShards = kRisk;
    options.sequencer.matchingShards = kMatching;
    options.sequencer.markEvery = 64;
    options.sequencer.silenceNs = 20'000'000'000;  // a killed process is known by its link
    options.sequencer.attachNs = 60'000'000'000;
    options.letGoNs = 15'000'000'000;
    options.snapshotEvery = 300;
    options.member.id = index + 1;
    options.member.data = directory + "/sequencer-" + std::to_string(index);
    options.member.boot = "this test";
    options.member.segmentBytes = 4u << 20;
    options.member.replica.suspectNs = 3'000'000'000;
    options.member.replica.staggerNs = 500'000'000;
    options.member.replica.silentNs = 4'000'000'000;
    for (uint32_t i = 0; ports.size() > 1 && i < ports.size(); i++) {
        options.peers.push_back({i + 1, {"127.0.0.1", ports[i]}});
        options.member.replica.members.push_back({i + 1, false});
    }
    options.network.node = "sequencer-" + std::to_string(index);
    options.network.transport = wish;
    options.listen = {"127.0.0.1", ports[index]};
    return options;
}

// Nobody has it now; it is asked for by name soon.
uint16_t freePort() {
    const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(::bind(socket, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size), 0);
    ::close(socket);
    return ntohs(address.sin_port);
}

// A role in a process of its own: this very program, told by its surroundings what to be.
TEST(RoleHostChild, Runs) {
    const char* said = std::getenv("VERBEX_ROLE_CHILD");
    if (said == nullptr) GTEST_SKIP() << "only as a child of the tests below";
    unsigned kind = 0, shard = 0, wish = 0, first = 0, second = 0;
    char directory[256] = "";
    ASSERT_EQ(std::sscanf(said, "%u:%u:%u:%u:%u:%255s", &kind, &shard, &wish, &first, &second, directory),
              6);
    Ports ports{static_cast<uint16_t>(first)};
    if (second != 0) ports.push_back(static_cast<uint16_t>(second));
    journal::PosixStorage storage;
    FileControl control(std::string(directory) + "/control");
    std::unique_ptr<SequencerHost> sequencer;
    std::unique_ptr<RoleHost> role;
    if (PartKind(kind) == PartKind::Centre) {
        auto host = SequencerHost::open(
            sequencerOptions(directory, shard, ports, TransportWish(wish)), storage, &control);
        ASSERT_TRUE(host.isOk()) << host.status().toString();
        sequencer = host.take();
    } else {
        auto host = RoleHost::open(
            roleOptions(directory, PartKind(kind), shard, ports, TransportWish(wish)), storage);
        ASSERT_TRUE(host.isOk()) << host.status().toString();
        role = host.take();
    }
    // Until the test that has started it ends it, or has gone itself.
    while (getppid() != 1) std::this_thread::sleep_for(50ms);
}

pid_t spawn(PartKind kind, uint32_t shard, const Ports& ports, TransportWish wish,
            const std::string& directory) {
    char said[400];
    std::snprintf(said, sizeof(said), "VERBEX_ROLE_CHILD=%u:%u:%u:%u:%u:%s",
                  static_cast<unsigned>(kind), shard, static_cast<unsigned>(wish), ports[0],
                  ports.size() > 1 ? ports[1] : 0, directory.c_str());
    const pid_t child = fork();
    if (child != 0) return child;
    char program[] = "/proc/self/exe";
    char filter[] = "--gtest_filter=RoleHostChild.Runs";
    char brief[] = "--gtest_brief=1";
    char* arguments[] = {program, filter, brief, nullptr};
    char* surroundings[] = {said, nullptr};
    execve(program, arguments, surroundings);
    _exit(127);
}

class Client final : public replication::ClusterClientEvents {
public:
    Client(const Ports& ports, TransportWish wish) {
        transport::NetworkOptions options;
        options.node = "client";
        options.transport = wish;
        options.ringBytes = 1u << 22;
        options.payloadMax = replication::kFrameBytesMax;
        network_ = transport::HostNetwork::open(options).take();
        replication::ClusterClientOptions client;
        client.cluster = "verbex";
        for (uint32_t i = 0; i < ports.size(); i++) {
            client.members.push_back({i + 1, {"127.0.0.1", ports[i]}});
        }
        client.silentNs = 60'000'000'000;
        client_ = std::make_unique<replication::ClusterClient>(*network_, client, *this);
        client_->subscribeEvents(1);
    }

    void poll() {
        (void)client_->poll(pipeline::steadyNs());
        if (connected_ && !asked_ && !unsent_.empty()) {
            std::vector<std::byte> payload;
            const size_t count = std::min<size_t>(unsent_.size(), 64);
            encodeBatch(std::span(unsent_).first(count), payload);
            asked_ = client_->submit(++sequence_, payload, static_cast<uint32_t>(count));
        }
        client_->flush();
        network_->wait(100'000);
    }
    template <typename Done>
    bool pollUntil(Done done) {
        const auto until = std::chrono::steady_clock::now() + kPatience;
        while (!done()) {
            if (std::chrono::steady_clock::now() > until) return false;
            poll();
        }
        return true;
    }
    void want(const Command& command) { unsent_.push_back(command); }
    [[nodiscard]] size_t unsent() const { return unsent_.size(); }
    [[nodiscard]] const std::vector<Event>& events() const { return events_; }
    [[nodiscard]] Position done() const { return done_; }
    // Of commands of accounts of this risk process, from the event on.
    [[nodiscard]] size_t count(EventType type, uint16_t code, uint32_t shard, size_t from) const {
        size_t found = 0;
        for (size_t i = from; i < events_.size(); i++) {
            const Event& event = events_[i];
            found += EventType(event.type) == type && event.code == code && event.account != 0 &&
                     event.account % kRisk == shard;
        }
        return found;
    }

private:
    void onEvents(const replication::EventsFrame& batch, std::span<const Event> events) override {
        events_.insert(events_.end(), events.begin(), events.end());
        if ((batch.header.flags & replication::kEventsMore) == 0) done_ = batch.last;
    }
    void onEntry(const replication::EntriesFrame&, std::span<const std::byte>) override {}
    void onSubmitted(const replication::SubmittedFrame& answer) override {
        asked_ = false;
        unsent_.erase(unsent_.begin(), unsent_.begin() + answer.taken);
    }
    void onConnected(replication::MemberId) override { connected_ = true; }
    void onDisconnected(const std::string&) override { connected_ = asked_ = false; }
    void onEnded(replication::Answered, Position) override { ADD_FAILURE() << "ended"; }

    std::unique_ptr<transport::HostNetwork> network_;
    std::unique_ptr<replication::ClusterClient> client_;
    bool connected_ = false;
    bool asked_ = false;
    uint64_t sequence_ = 0;
    std::vector<Command> unsent_;
    std::vector<Event> events_;
    Position done_ = 0;
};

// Firms 1 to 4, of which the odd ones belong to risk process 1; two instruments.
void setUp(Client& client) {
    Command command{};
    for (uint32_t i = 1; i <= 3; i++) {
        command = {};
        command.type = static_cast<uint8_t>(CommandType::AddAsset);
        command.id = ClientId{i, 0};
        client.want(command);
    }
    for (uint32_t i = 1; i <= 2; i++) {
        command = {};
        command.type = static_cast<uint8_t>(CommandType::AddInstrument);
        command.flags = kCommandExtended;
        command.id = ClientId{i, 0};
        command.price = command.quantity = 1;
        command.priceMin = 1;
        command.priceMax = 1000;
        command.quantityMin = 1;
        command.quantityMax = 1000;
        command.base = i + 1;
        command.quote = 1;
        client.want(command);
    }
    for (uint32_t i = 1; i <= 4; i++) {
        command = {};
        command.type = static_cast<uint8_t>(CommandType::AddAccount);
        command.id = ClientId{i, 0};
        client.want(command);
    }
    for (uint32_t i = 0; i < 12; i++) {
        command = {};
        command.type = static_cast<uint8_t>(CommandType::Deposit);
        command.account = 1 + i / 3;
        command.instrument = 1 + i % 3;
        command.id = ClientId{i + 1, 0};
        command.amount = Amount{1} << 50;
        client.want(command);
    }
}

class Orders {
public:
    Command next() {
        number_++;
        Command command{};
        command.type = static_cast<uint8_t>(CommandType::NewOrder);
        command.account = 1 + number_ % 4;
        command.instrument = 1 + number_ / 4 % 2;
        command.id = ClientId{number_, 1};
        command.side = static_cast<uint8_t>(1 + number_ / 3 % 2);
        command.orderType = 1;
        command.timeInForce = static_cast<uint8_t>(number_ % 5 == 0 ? 4 : 1);
        command.price = static_cast<int64_t>(95 + number_ * 7 % 11);
        command.quantity = static_cast<int64_t>(1 + number_ % 9);
        if (number_ % 6 == 0) {
            command.type = static_cast<uint8_t>(CommandType::CancelOrder);
            command.id = ClientId{number_ - 4, 1};  // of the same account
        }
        return command;
    }

private:
    uint64_t number_ = 0;
};

class RoleProcesses : public testing::TestWithParam<TransportWish> {
protected:
    void SetUp() override {
        directory_ = std::filesystem::temp_directory_path() /
                     ("verbex-roles-" + std::to_string(getpid()));
        std::filesystem::remove_all(directory_);
        std::filesystem::create_directories(directory_);
    }
    void openOne() {
        ports_ = {freePort()};
        openSequencer(0);
        startAll();
    }
    void startAll() {
        for (uint32_t i = 0; i < kRisk; i++) start(PartKind::Risk, i);
        for (uint32_t i = 0; i < kMatching; i++) start(PartKind::Matching, i);
    }
    void TearDown() override {
        for (auto& [place, child] : children_) kill(place.first, place.second);
        host_.reset();
        std::filesystem::remove_all(directory_);
    }

    void openSequencer(uint32_t index) {
        // One alone has its own.
        if (ports_.size() > 1) control_ = std::make_unique<FileControl>(directory_ / "control");
        auto opened = SequencerHost::open(sequencerOptions(directory_, index, ports_, GetParam()),
                                          storage_, control_.get());
        ASSERT_TRUE(opened.isOk()) << opened.status().toString();
        host_ = opened.take();
    }
    void start(PartKind kind, uint32_t shard) {
        children_[{kind, shard}] = spawn(kind, shard, ports_, GetParam(), directory_);
    }
    void kill(PartKind kind, uint32_t shard) {
        pid_t& child = children_[{kind, shard}];
        if (child <= 0) return;
        ::kill(child, SIGKILL);
        int status = 0;
        ::waitpid(child, &status, 0);
        child = 0;
    }

    [[nodiscard]] roles::SeatStatus seat(PartKind kind, uint32_t shard) const {
        for (const roles::SeatStatus& each : host_->status().seats) {
            if (each.kind == kind && each.shard == shard) return each;
        }
        return {};
    }
    // One core, fed the log, against all that the client has received.
    void compare(const Client& client) {
        host_->stop();
        replication::Outputs outputs(1u << 30);
        replication::ExecutorOptions options;
        options.limits = kLimits;
        options.scrubNs = 0;
        replication::Executor executor(options, outputs);
        const Position last = host_->log().last();
        ASSERT_GE(last, client.done());
        const Status read =
            host_->log().readRange(1, last, [&](const replication::LogEntry& entry) -> Status {
                executor.execute(entry);
                outputs.release(entry.header.last());
                if (entry.header.last() == status_.settled) {
                    EXPECT_EQ(executor.result(), status_.resultHash);
                }
                return {};
            });
        ASSERT_TRUE(read.isOk()) << read.toString();
        size_t at = 0;
        for (Position position = 1; position <= client.done();) {
            const replication::OutputBatch* batch = outputs.find(position);
            ASSERT_NE(batch, nullptr);
            for (const auto& piece : batch->pieces) {
                for (uint32_t i = 0; i < piece.count; i++, at++) {
                    ASSERT_LT(at, client.events().size());
                    ASSERT_EQ(std::memcmp(&piece.events[i], &client.events()[at], sizeof(Event)), 0)
                        << "at position " << piece.events[i].position;
                }
            }
            position = batch->entry.last() + 1;
        }
        EXPECT_EQ(at, client.events().size());
    }

    std::filesystem::path directory_;
    journal::PosixStorage storage_;
    Ports ports_;
    std::unique_ptr<FileControl> control_;
    std::unique_ptr<SequencerHost> host_;
    std::map<std::pair<PartKind, uint32_t>, pid_t> children_;
    roles::SequencerStatus status_;
};

TEST_P(RoleProcesses, ARiskProcessIsKilledUnderLoadAndComesBack) {
    openOne();
    Client client(ports_, GetParam());
    setUp(client);
    Orders orders;
    const auto load = [&](auto done) {
        return client.pollUntil([&] {
            while (client.unsent() < 256) client.want(orders.next());
            return done();
        });
    };
    const auto accepted = [&](uint32_t shard, size_t from) {
        return client.count(EventType::Accepted, 0, shard, from);
    };
    const auto unavailable = [&](uint32_t shard, size_t from) {
        return client.count(EventType::Rejected, static_cast<uint16_t>(Reject::RISK_UNAVAILABLE),
                            shard, from);
    };
    ASSERT_TRUE(load([&] { return accepted(0, 0) > 300 && accepted(1, 0) > 300; }));
    EXPECT_EQ(unavailable(0, 0) + unavailable(1, 0), 0u);

    // It has a snapshot, for its shadow is behind where one was due.
    ASSERT_TRUE(load([&] { return seat(PartKind::Risk, 1).shadow > 500; }));

    size_t from = client.events().size();
    kill(PartKind::Risk, 1);
    ASSERT_TRUE(load([&] { return unavailable(1, from) > 300 && accepted(0, from) > 300; }));
    EXPECT_EQ(unavailable(0, from), 0u);
    // What had been entered before still trades.
    EXPECT_GT(client.count(EventType::Trade, 0, 0, from), 0u);

    start(PartKind::Risk, 1);
    from = client.events().size();
    ASSERT_TRUE(load([&] { return accepted(1, from) > 300 && accepted(0, from) > 300; }));

    // A status is some milliseconds old.
    EXPECT_TRUE(load([&] { return seat(PartKind::Risk, 1).base > 0; }));

    // A matching process: nothing is rejected, everything waits for it.
    ASSERT_TRUE(load([&] { return seat(PartKind::Matching, 0).shadow > 500; }));
    kill(PartKind::Matching, 0);
    from = client.events().size();
    start(PartKind::Matching, 0);
    ASSERT_TRUE(load([&] { return accepted(1, from) > 500 && accepted(0, from) > 500; }));
    EXPECT_TRUE(load([&] { return seat(PartKind::Matching, 0).base > 0; }));
    EXPECT_EQ(seat(PartKind::Risk, 1).refused + seat(PartKind::Matching, 0).refused, 0u);

    // All that is under way comes in, and the sequencer has said so.
    ASSERT_TRUE(client.pollUntil([&] { return client.unsent() == 0; }));
    ASSERT_TRUE(client.pollUntil([&] {
        status_ = host_->status();
        return status_.sequenced == status_.released && client.done() == status_.released;
    }));
    compare(client);
}

TEST_P(RoleProcesses, TheSequencerStartsAgainFromItsJournal) {
    openOne();
    auto client = std::make_unique<Client>(ports_, GetParam());
    setUp(*client);
    Orders orders;
    for (uint32_t i = 0; i < 2000; i++) client->want(orders.next());
    ASSERT_TRUE(client->pollUntil([&] { return client->done() > 1000; }));
    // A link that ends, or a start, costs nobody the whole log again.
    ASSERT_TRUE(client->pollUntil([&] { return seat(PartKind::Risk, 0).shadow > 0; }));
    ASSERT_TRUE(client->pollUntil([&] { return host_->status().shadow.newest > 0; }));
    const size_t seen = client->events().size();
    const std::vector<Event> before = client->events();
    client.reset();
    host_->stop();
    host_.reset();
    openSequencer(0);
    client = std::make_unique<Client>(ports_, GetParam());
    for (uint32_t i = 0; i < 500; i++) client->want(orders.next());
    ASSERT_TRUE(client->pollUntil([&] {
        status_ = host_->status();
        return client->unsent() == 0 && client->events().size() > seen &&
               status_.sequenced == status_.released && client->done() == status_.released &&
               status_.serving;
    })) << status_.waitsFor;
    EXPECT_TRUE(client->pollUntil([&] { return seat(PartKind::Risk, 0).base > 0; }));
    EXPECT_GT(status_.base, 0u);
    ASSERT_EQ(std::memcmp(before.data(), client->events().data(), seen * sizeof(Event)), 0);
    compare(*client);
}

// The one that leads is a process of its own: it is killed under load, the one here takes over, and it comes back.
TEST_P(RoleProcesses, TheLeadingSequencerOfAPairIsKilledUnderLoad) {
    ports_ = {freePort(), freePort()};
    start(PartKind::Centre, 0);
    startAll();
    Client client(ports_, GetParam());
    setUp(client);
    ASSERT_TRUE(client.pollUntil([&] { return client.done() > 0; }));  // it leads
    openSequencer(1);
    const auto inSync = [&] {
        status_ = host_->status();
        return status_.sync.size() == 2;
    };
    ASSERT_TRUE(client.pollUntil(inSync));
    EXPECT_FALSE(status_.leads);
    Orders orders;
    const auto load = [&](auto done) {
        return client.pollUntil([&] {
            while (client.unsent() < 256) client.want(orders.next());
            return done();
        });
    };
    const auto accepted = [&](size_t from) {
        return std::min(client.count(EventType::Accepted, 0, 0, from),
                        client.count(EventType::Accepted, 0, 1, from));
    };
    ASSERT_TRUE(load([&] { return accepted(0) > 500; }));
    ASSERT_TRUE(load([&] { return host_->status().shadow.position > 0; }));

    const auto killedAt = std::chrono::steady_clock::now();
    kill(PartKind::Centre, 0);
    size_t from = client.events().size();
    // What was released before may still be on its way.
    ASSERT_TRUE(load([&] { return host_->status().serving; }));
    from = client.events().size();
    ASSERT_TRUE(load([&] { return accepted(from) > 0; }));
    GTEST_LOG_(INFO) << "orders are accepted again after "
                     << std::chrono::duration_cast<std::chrono::milliseconds>(
                            std::chrono::steady_clock::now() - killedAt)
                            .count()
                     << " ms";
    EXPECT_TRUE(host_->status().leads);
    EXPECT_GT(host_->status().base, 0u);  // it had replayed so much before it led
    ASSERT_TRUE(load([&] { return accepted(from) > 300; }));

    // It comes back, and has to have what is released from then on.
    start(PartKind::Centre, 0);
    ASSERT_TRUE(load(inSync));
    from = client.events().size();
    ASSERT_TRUE(load([&] { return accepted(from) > 300; }));
    ASSERT_TRUE(client.pollUntil([&] { return client.unsent() == 0; }));
    ASSERT_TRUE(client.pollUntil([&] {
        status_ = host_->status();
        return status_.leads && status_.sequenced == status_.released &&
               client.done() == status_.released;
    }));
    compare(client);
}

// A load that took its own answers for late ones sent everything again, and again: each of those orders is a
// hazard, and a measurement then says what repetitions cost.
TEST_P(RoleProcesses, WhereNothingIsLostALoadSendsNothingTwice) {
    openOne();
    const auto until = std::chrono::steady_clock::now() + kPatience;
    while (!host_->status().serving) {
        ASSERT_LT(std::chrono::steady_clock::now(), until) << host_->status().waitsFor;
        std::this_thread::sleep_for(1ms);
    }
    load::ClusterLoadOptions options;
    options.cluster.members = {{1, {"127.0.0.1", ports_[0]}}};
    options.cluster.silentNs = 60'000'000'000;
    options.network.node = "load";
    options.network.transport = GetParam();
    options.accounts = 32;
    options.batch = 512;
    options.orders = 20'000;
    options.resendNs = 240'000'000'000;
    options.keepsBatches = false;
    options.limits = kLimits;
    load::ClusterLoad load(options);
    const auto result = load.run();
    ASSERT_TRUE(result.isOk()) << result.status().toString();
    EXPECT_EQ(result.value().counts.resent, 0u);
    EXPECT_EQ(result.value().unanswered, 0u);
    EXPECT_EQ(result.value().counts.acknowledged, options.orders);
    while (host_->status().released <= options.orders) {  // it is a few milliseconds old
        ASSERT_LT(std::chrono::steady_clock::now(), until);
        std::this_thread::sleep_for(1ms);
    }
    EXPECT_EQ(host_->status().hazards, 0u);
}

INSTANTIATE_TEST_SUITE_P(Over, RoleProcesses,
                         testing::Values(TransportWish::Tcp, TransportWish::Shm),
                         [](const auto& info) {
                             return std::string(info.param == TransportWish::Tcp ? "Tcp" : "Shm");
                         });

}  // namespace
}  // namespace verbex::node::test
