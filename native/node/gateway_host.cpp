// Opening: store, replay, ports. The thread: gateway_host_thread.cpp.
#include "node/gateway_host.h"

#include <time.h>

#include <algorithm>

#include "base/check.h"

namespace verbex::node {

namespace {

constexpr uint8_t kOrdersOutlet = 0;
constexpr uint8_t kClearingOutlet = 1;

// Ten characters, another one for every run: the wall clock's milliseconds in base 32.
std::string drawSessionName() {
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t ms = static_cast<uint64_t>(now.tv_sec) * 1000 + static_cast<uint64_t>(now.tv_nsec) / 1'000'000;
    std::string name(session::kSessionBytes, '0');
    for (auto at = name.rbegin(); at != name.rend(); ++at, ms >>= 5) {
        *at = "0123456789ABCDEFGHIJKLMNOPQRSTUV"[ms & 31];
    }
    return name;
}

}  // namespace

Result<std::unique_ptr<GatewayHost>> GatewayHost::open(const GatewayHostOptions& options,
                                                       Engine& engine, CommandEntry& entry,
                                                       const GatewayStart& begin) {
    std::unique_ptr<GatewayHost> host(new GatewayHost(options, engine, entry));
    Result<gateway::Users> users = gateway::Users::from(options.users);
    if (!users.isOk()) return users.status();
    host->users_ = users.take();
    Result<std::unique_ptr<session::EventLoop>> loop = session::EventLoop::create();
    if (!loop.isOk()) return loop.status();
    host->loop_ = loop.take();
    host->port_ = std::make_unique<GatewayPort>(
        engine, entry, [loop = host->loop_.get()] { loop->wake(); });
    if (Status status = host->openStore(begin); !status.isOk()) return status;
    if (Status status = host->openPorts(begin.state); !status.isOk()) return status;
    host->publishStats();
    return host;
}

GatewayHost::GatewayHost(const GatewayHostOptions& options, Engine& engine, CommandEntry& entry)
    : options_(options), engine_(engine), entry_(entry) {}

GatewayHost::~GatewayHost() { stop(); }

bool GatewayHost::mayLogIn(std::string_view name, std::string_view password) const {
    const gateway::User* const user = users_.authenticate(name, password);
    return user != nullptr && user->mayFeed;
}

Status GatewayHost::openStore(const GatewayStart& begin) {
    gateway::MessageStoreOptions options;
    options.directory = options_.directory;
    options.segmentBytes = options_.storeSegmentBytes;
    options.startPosition = begin.state.position;
    options.sessionsMax = UINT16_MAX;
    options.eventsShared = true;  // a trade is told by both gateways
    // The gateways are made with the store: they see its records once it is there.
    Result<std::unique_ptr<gateway::MessageStore>> store =
        gateway::MessageStore::open(options, [](const gateway::StoredRecord&) {});
    if (!store.isOk()) return store.status();
    store_ = store.take();
    directory_.begin(begin.state);

    gateway::OrderGatewayOptions orders;
    orders.outlet = kOrdersOutlet;
    orders.ordersMax = options_.ordersMax;
    orders.firms = options_.firms;
    orders_ = gateway::OrderGateway::create(orders, *port_, *store_, directory_, users_);
    gateway::ClearingGatewayOptions clearing;
    clearing.outlet = kClearingOutlet;
    clearing_ = gateway::ClearingGateway::create(clearing, *port_, *port_, *store_, directory_,
                                                 router_, users_);
    store_->visitDay([this](const gateway::StoredRecord& record) {
        if (record.kind == gateway::RecordKind::Day || (record.session & gateway::kClearingStreams) == 0) {
            orders_->restore(record);
        }
        if (record.kind == gateway::RecordKind::Day || (record.session & gateway::kClearingStreams) != 0) {
            clearing_->restore(record);
        }
    });
    router_.setOutlet(kOrdersOutlet, orders_.get());
    router_.setOutlet(kClearingOutlet, clearing_.get());
    for (const gateway::User& user : users_.all()) {
        router_.assignSession(user.session, kOrdersOutlet);
    }
    orders_->begin();
    clearing_->begin();
    return catchUp(begin);
}

// What the engine has done since the store's last message: the process was killed between the two.
Status GatewayHost::catchUp(const GatewayStart& begin) {
    const gateway::EventPlace delivered = store_->delivered();
    place_ = {begin.state.position, gateway::kOwnIndex};
    if (delivered.position > begin.state.position) {
        return Status(StatusCode::JournalDamaged,
                      "the gateway's messages go to position " +
                          std::to_string(delivered.position) + ", the journal ends at " +
                          std::to_string(begin.state.position) +
                          ": it has lost what clients were told");
    }
    // The last position may have been told in part.
    const Position from = delivered.index == gateway::kOwnIndex || delivered.position == 0
                              ? delivered.position
                              : delivered.position - 1;
    if (begin.replay && from < begin.state.position) {
        const auto sink = [&](const Event& event, uint32_t index, uint64_t timeNs) {
            if (!(delivered < gateway::EventPlace{event.position, index})) {
                router_.pass(event);
                return;
            }
            Event time{};
            time.type = static_cast<uint8_t>(EventType::TimeAdvanced);
            time.orderId = timeNs;
            directory_.take(time);
            router_.route(event);
            if (event.type == static_cast<uint8_t>(EventType::DayEnded)) dayEnded(event.position);
        };
        if (Status status = begin.replay(from, begin.state.position, sink); !status.isOk()) {
            return status.within("bringing the gateways in step with the journal");
        }
        directory_.begin(begin.state);
    }
    store_->noteDelivered(place_);
    orders_->settle(begin.state);
    return store_->status();
}

Status GatewayHost::openPorts(const MarketState& state) {
    if (options_.orders.has_value()) {
        auto server = session::SessionServer::open(*loop_, *orders_, *options_.orders);
        if (!server.isOk()) return server.status().within("the order port");
        orderServer_ = server.take();
        orders_->attach(*orderServer_);
        addresses_.orders = orderServer_->address();
    }
    if (options_.clearing.has_value()) {
        auto server = session::SessionServer::open(*loop_, *clearing_, *options_.clearing);
        if (!server.isOk()) return server.status().within("the clearing port");
        clearingServer_ = server.take();
        clearing_->attach(*clearingServer_);
        addresses_.clearing = clearingServer_->address();
    }
    if (!options_.feed.has_value()) return {};
    feed::MarketFeedOptions feed = *options_.feed;
    if (feed.sessionName.empty()) feed.sessionName = drawSessionName();
    auto opened = feed::MarketFeed::open(*loop_, *this, feed);
    if (!opened.isOk()) return opened.status().within("the feed");
    feed_ = opened.take();
    feed_->begin(state);
    addresses_.itch = feed_->streamAddress();
    addresses_.snapshot = feed_->snapshotAddress();
    addresses_.retransmission = feed_->retransmissionAddress();
    addresses_.datagrams = feed.datagrams;
    addresses_.feedSession = feed.sessionName;
    return {};
}

}  // namespace verbex::node
