#include "cluster_world.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "node_fixture.h"

namespace verbex::node::cluster_world {

std::vector<uint16_t> freePorts(size_t count) {
    std::vector<int> sockets;
    std::vector<uint16_t> ports;
    for (size_t i = 0; i < count; i++) {
        const int number = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        EXPECT_EQ(::bind(number, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
        socklen_t size = sizeof(address);
        EXPECT_EQ(::getsockname(number, reinterpret_cast<sockaddr*>(&address), &size), 0);
        ports.push_back(ntohs(address.sin_port));
        sockets.push_back(number);
    }
    for (const int number : sockets) ::close(number);
    return ports;
}

Cluster::Cluster(const ClusterOptions& options) : options_(options) {
    std::string pattern = (std::filesystem::temp_directory_path() / "verbex-cluster-XXXXXX").string();
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    const bool given = !options.addresses.empty();
    const std::vector<uint16_t> ports = freePorts(given ? 0 : options.members);
    for (uint32_t i = 0; i < options.members; i++) {
        const transport::Address local{"127.0.0.1", given ? uint16_t{0} : ports[i]};
        addresses_.push_back({i + 1, given ? options.addresses[i] : local});
    }
    for (MemberId id = 1; id <= options.members; id++) {
        if (id != options.late && !options.idle) start(id);
    }
}

Cluster::~Cluster() {
    hosts_.clear();
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
}

void Cluster::start(MemberId id) {
    MemberHostOptions options;
    options.peers = addresses_;
    options.listen = addresses_[id - 1].address;
    options.network.node = "member-" + std::to_string(id);
    options.network.transport = options_.transport;
    options.network.setUpTimeoutMs = options_.pace.setUpMs;
    options.ringBytes = options_.pace.ringBytes;
    options.member.id = id;
    options.member.data = directory_ + "/" + std::to_string(id);
    options.member.boot = "the same";
    options.member.limits = {1u << 14, 1u << 10, 1u << 6, 1u << 16};
    options.member.journalId = {id, 7};
    options.member.replica.hotWanted = options_.hot;
    options.member.replica.durable = options_.durable;
    options.member.replica.standby = options_.standby;
    options.member.segmentBytes = options_.segmentBytes;
    options.member.snapshots = options_.snapshots;
    options.member.replica.heartbeatNs = options_.pace.heartbeatNs;
    options.member.replica.suspectNs = options_.pace.suspectNs;
    options.member.replica.staggerNs = options_.pace.staggerNs;
    options.member.replica.silentNs = options_.pace.silentNs;
    options.member.replica.executor.scrubNs = options_.scrubNs;
    options.member.replica.mutant = options_.mutant;
    for (uint32_t i = 1; i <= options_.members; i++) {
        options.member.replica.members.push_back({i, i > options_.members - options_.warm});
    }
    controls_[id] = std::make_unique<CutControl>(directory_ + "/control");
    const auto open = [&] {
        Result<std::unique_ptr<MemberHost>> opened =
            MemberHost::open(options, storage_, *controls_[id]);
        ASSERT_TRUE(opened.isOk()) << opened.status().toString();
        hosts_[id] = opened.take();
    };
    if (options_.inPlace) {
        options_.inPlace(id, open);
    } else {
        open();
    }
}

MemberId Cluster::leader() {
    MemberId found = 0;
    Epoch epoch = 0;
    for (const auto& [id, host] : hosts_) {
        if (host == nullptr) continue;
        const MemberStatus status = host->status();
        if (status.role != Role::Leader || status.configuration.epoch < epoch) continue;
        epoch = status.configuration.epoch;
        found = id;
    }
    return found;
}

Status Cluster::ask(MemberId id, std::function<Status(Member&)> word) {
    return hosts_[id]->ask(std::move(word)).get();
}

bool Cluster::askLeader(const std::function<Status(Member&)>& word) {
    return eventually([&] {
        const MemberId leads = leader();
        return leads != 0 && ask(leads, word).isOk();
    });
}

ClusterClientOptions Cluster::clientOptions() const {
    ClusterClientOptions options;
    options.members = addresses_;
    options.silentNs = options_.pace.clientSilentNs;
    return options;
}

// ---- the ledger

Ledger::Ledger(ClusterClientOptions options, transport::TransportWish transport,
               const Pace& pace) {
    transport::NetworkOptions network;
    network.node = "ledger";
    network.transport = transport;
    network.ringBytes = pace.ringBytes;
    network.payloadMax = kFrameBytesMax;
    network.setUpTimeoutMs = pace.setUpMs;
    network_ = transport::HostNetwork::open(network).take();
    ClusterClientEvents& events = *this;
    client_ = std::make_unique<ClusterClient>(*network_, std::move(options), events);
    client_->subscribeEvents(1);
}

void Ledger::goTo(ClusterClientOptions options) {
    const Position next = client_->next();
    ClusterClientEvents& events = *this;
    client_ = std::make_unique<ClusterClient>(*network_, std::move(options), events);
    client_->subscribeEvents(next);
}

bool Ledger::pollUntil(const std::function<bool()>& is) {
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (!is()) {
        if (std::chrono::steady_clock::now() > end) return false;
        if (!poll()) network_->wait(2'000'000);
    }
    return true;
}

bool Ledger::poll() {
    const uint64_t now = steadyNs();
    const bool came = client_->poll(now);
    // What is open is asked for again after a change of the connection, and now and then.
    if (now - resentAt_ > 200'000'000) resend_ = true;
    if (client_->connected()) submit();
    client_->flush();
    return came;
}

void Ledger::submit() {
    std::vector<Command> commands;
    if (resend_) {
        resend_ = false;
        resentAt_ = steadyNs();
        if (!configured_) {
            Command asset{};
            asset.type = static_cast<uint8_t>(CommandType::AddAsset);
            asset.id = text("BASE");
            Command account{};
            account.type = static_cast<uint8_t>(CommandType::AddAccount);
            account.id = text("LEDGER");
            commands = {asset, account};
        }
        sent_ = 0;
        for (const uint64_t number : open_) sent_ = std::max(sent_, number);
        for (const uint64_t number : open_) {
            Command& deposit = commands.emplace_back(Command{});
            deposit.type = static_cast<uint8_t>(CommandType::Deposit);
            deposit.account = 1;
            deposit.instrument = 1;
            deposit.amount = 1;
            deposit.id = text("d" + std::to_string(number));
            deposit.token = number;
        }
        sent_ = std::max<uint64_t>(sent_, times_.empty() ? 0 : times_.rbegin()->first);
    }
    while (configured_ && sent_ < wanted_ && open_.size() < 256 && commands.size() < 512) {
        const uint64_t number = ++sent_;
        if (times_.contains(number) || open_.contains(number)) continue;
        open_.insert(number);
        Command& deposit = commands.emplace_back(Command{});
        deposit.type = static_cast<uint8_t>(CommandType::Deposit);
        deposit.account = 1;
        deposit.instrument = 1;
        deposit.amount = 1;
        deposit.id = text("d" + std::to_string(number));
        deposit.token = number;
    }
    if (commands.empty()) return;
    std::vector<std::byte> payload;
    encodeBatch(commands, payload);
    (void)client_->submit(sent_, payload, static_cast<uint32_t>(commands.size()));
}

void Ledger::onSubmitted(const SubmittedFrame& answer) {
    // Refused or in part: what is open goes out again before long.
    if (answer.answer == Answered::Busy) resend_ = true;
}

void Ledger::onEvents(const EventsFrame& batch, std::span<const Event> events) {
    if (batch.index == 0) digest_ = EventDigest();
    digest_.add(events.data(), events.size());
    if ((batch.header.flags & kEventsMore) == 0) seen_[batch.last] = digest_.value();
    for (const Event& event : events) {
        if (event.type == static_cast<uint8_t>(EventType::AccountAdded)) configured_ = true;
        if (event.account != 1 || event.token == 0) continue;
        if (event.type != static_cast<uint8_t>(EventType::BalanceChanged)) continue;
        if ((event.flags & kEventDuplicate) == 0) {
            if (++times_[event.token] > 1) doubled_++;
        }
        if (open_.erase(event.token) == 1) done_++;
    }
}

uint64_t differences(Cluster& cluster, MemberId member, const Ledger& ledger) {
    return differences(cluster, member, ledger.next() - 1, ledger.seen());
}

uint64_t differences(Cluster& cluster, MemberId member, Position to, const Seen& seenBatches) {
    uint64_t differ = 0;
    const Status read = cluster.ask(member, [&](Member& of) {
        Outputs outputs(1024);
        ExecutorOptions options;
        options.limits = {1u << 14, 1u << 10, 1u << 6, 1u << 16};
        Executor reference(options, outputs);
        return of.log().readRange(1, to, [&](const LogEntry& entry) {
            reference.execute(entry);
            outputs.release(entry.header.last());
            EventDigest digest;
            for (const OutputBatch::Piece& piece : outputs.find(entry.header.first)->pieces) {
                digest.add(piece.events, piece.count);
            }
            const auto seen = seenBatches.find(entry.header.last());
            if (seen == seenBatches.end() || !(seen->second == digest.value())) differ++;
            return Status();
        });
    });
    EXPECT_TRUE(read.isOk()) << read.toString();
    return differ;
}

}  // namespace verbex::node::cluster_world
