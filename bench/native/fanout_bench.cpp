// What one more gateway costs the engine: the router and the outlets, with 1, 2, 4 and 8 gateway processes.
//
//   orders of 64 sessions ──▶ events ──▶ EventRouter ──▶ BusOutlet ──▶ shm ──▶ gateway 1 (a process)
//                                                  └───▶ BusOutlet ──▶ shm ──▶ gateway 2 …
//
// Sessions are spread over the gateways. An order is accepted, and every tenth trades with an order of any
// other session, so an order causes 1.1 events, which concern one gateway or two. What is counted is processor
// time of the engine's thread: routing a batch, writing it to the outlets, one round of the bus. Waiting for
// gateways that have not had their turn on the processor is not counted. Counts of gateways take turns; a
// figure is the median of the runs.
//
//   fanout_bench [--operations N] [--runs N] [--seed N] [--json]
#include <fcntl.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <map>
#include <memory>
#include <random>

#include "bus/bus.h"
#include "gateway/bus_outlet.h"
#include "measuring.h"
#include "transport/host/host_network.h"
#include "wire/session_order_id.h"

namespace verbex::bench {
namespace {

using namespace gateway;

constexpr uint16_t kSessions = 64;
constexpr uint32_t kBatch = 256;           // orders between two rounds of the bus
constexpr uint32_t kTradesEvery = 10;      // orders
constexpr uint64_t kBehindMax = 8192;      // messages that a gateway may have unread: well within its window
constexpr uint64_t kPatienceNs = 120'000'000'000;

struct Settings {
    uint32_t operations = 500'000;
    uint32_t runs = 5;
    uint32_t seed = 1;
};

std::unique_ptr<transport::HostNetwork> openNetwork(const std::string& node) {
    transport::NetworkOptions options;
    options.node = node;
    options.spin = true;
    options.ringBytes = 1u << 20;
    options.payloadMax = 1024;
    options.setUpTimeoutMs = 60'000;
    options.transport = transport::TransportWish::Shm;
    auto made = transport::HostNetwork::open(options);
    if (!made.isOk()) stopWith(made.status().toString());
    return made.take();
}

bus::BusOptions busOptions() {
    bus::BusOptions options;
    options.livenessNs = 30'000'000'000;  // many processes on few cores starve each other
    options.heartbeatNs = 1'000'000'000;
    return options;
}

std::string streamOf(uint32_t gateway) { return "gateway-" + std::to_string(gateway); }

// Looks again and again, and leaves the processor to the others meanwhile.
template <typename Ready>
void yieldUntil(Ready&& ready) {
    const uint64_t deadline = nowNs() + kPatienceNs;
    while (!ready()) {
        sched_yield();
        if (nowNs() > deadline) stopWith("nothing came for two minutes");
    }
}

// The engine has one processor core of its own where there is another for the gateways: what they push out of
// its caches while they take turns on it would be counted as its work.
void pinTo(bool engine) {
    static cpu_set_t allowed = [] {
        cpu_set_t set;
        CPU_ZERO(&set);
        sched_getaffinity(0, sizeof(set), &set);
        return set;
    }();
    if (CPU_COUNT(&allowed) < 2) return;
    int first = 0;
    while (!CPU_ISSET(first, &allowed)) ++first;
    cpu_set_t wanted = allowed;
    if (engine) {
        CPU_ZERO(&wanted);
        CPU_SET(first, &wanted);
    } else {
        CPU_CLR(first, &wanted);
    }
    sched_setaffinity(0, sizeof(wanted), &wanted);
}

// ---- a gateway's process

class CountingOutlet final : public Outlet {
public:
    void deliver(const Event& event, const EventPlace&) override {
        ++events;
        ended = static_cast<EventType>(event.type) == EventType::DayEnded;
    }
    uint64_t events = 0;
    bool ended = false;
};

void runGateway(uint32_t number, uint16_t port, int answers) {
    auto network = openNetwork(streamOf(number));
    auto bus = bus::Bus::make(*network, busOptions());
    const bus::PeerId peer = bus->connect({"127.0.0.1", port});
    bus::SubscriptionOptions options;
    options.stream = streamOf(number);
    options.from = bus::From::Oldest;
    options.bufferBytes = 1u << 22;
    auto subscribed = bus->subscribe(peer, options);
    if (!subscribed.isOk()) stopWith(subscribed.status().toString());
    CountingOutlet counting;
    BusInlet inlet(counting, {});
    subscribed.value()->setReceiver(&inlet);
    yieldUntil([&] {
        bus->poll(nowNs());
        if (inlet.state() != InletState::Live) stopWith("a gateway lacks events");
        return counting.ended;
    });
    if (write(answers, &counting.events, sizeof(counting.events)) < 0) _exit(3);
}

// ---- the engine's side

struct Gateway {
    pid_t process = 0;
    int port = -1;     // it is told where to connect
    int answers = -1;  // it says how many events it had
    bus::Publication* publication = nullptr;
    std::unique_ptr<BusOutlet> outlet;
};

Gateway startGateway(uint32_t number) {
    int port[2];
    int answers[2];
    if (pipe(port) != 0 || pipe(answers) != 0) stopWith("no pipe");
    Gateway made;
    made.process = fork();
    if (made.process < 0) stopWith("cannot fork");
    if (made.process == 0) {
        pinTo(false);
        uint16_t told = 0;
        if (read(port[0], &told, sizeof(told)) != sizeof(told)) _exit(3);
        runGateway(number, told, answers[1]);
        _exit(0);
    }
    close(port[0]);
    close(answers[1]);
    made.port = port[1];
    made.answers = answers[0];
    fcntl(made.answers, F_SETFL, O_NONBLOCK);
    return made;
}

// Events of one batch of orders, made before they are counted.
class Orders {
public:
    Orders(uint32_t seed, uint32_t gateways) : random_(seed), gateways_(gateways) {}

    const std::vector<Event>& batch(uint32_t orders) {
        events_.clear();
        for (uint32_t i = 0; i < orders; ++i) {
            ++position_;
            const uint16_t session = anySession();
            Event accepted{};
            accepted.type = static_cast<uint8_t>(EventType::Accepted);
            accepted.position = position_;
            accepted.id = idOf(session);
            accepted.token = GatewayToken{outletOf(session), session, reference_}.pack();
            events_.push_back(accepted);
            if (position_ % kTradesEvery != 0) continue;
            Event trade = accepted;
            trade.type = static_cast<uint8_t>(EventType::Trade);
            trade.id2 = idOf(anySession());
            events_.push_back(trade);
        }
        return events_;
    }
    [[nodiscard]] uint8_t outletOf(uint16_t session) const {
        return static_cast<uint8_t>(session % gateways_);
    }
    Event end() {
        Event event{};
        event.type = static_cast<uint8_t>(EventType::DayEnded);
        event.position = ++position_;
        return event;
    }

private:
    uint16_t anySession() { return static_cast<uint16_t>(1 + random_() % kSessions); }
    ClientId idOf(uint16_t session) { return writeSessionOrderId({session, 1, ++reference_}); }

    std::mt19937_64 random_;
    uint32_t gateways_;
    Position position_ = 0;
    uint32_t reference_ = 0;
    std::vector<Event> events_;
};

struct Cost {
    double nsPerOrder = 0;
    double routeNsPerOrder = 0;  // of it, without the round of the bus
    double deliveriesPerOrder = 0;
};

Cost runOnce(const Settings& settings, uint32_t count) {
    std::vector<Gateway> gateways;
    for (uint32_t i = 0; i < count; ++i) gateways.push_back(startGateway(i));
    auto network = openNetwork("engine");
    auto bus = bus::Bus::make(*network, busOptions());
    auto address = bus->listen({"127.0.0.1", 0});
    if (!address.isOk()) stopWith(address.status().toString());
    Orders orders(settings.seed, count);
    EventRouter router;
    for (uint32_t i = 0; i < count; ++i) {
        bus::PublicationOptions options;
        options.stream = streamOf(i);
        options.payloadMax = sizeof(RelayedEvent);
        options.retain = true;
        auto published = bus->publish(options);
        if (!published.isOk()) stopWith(published.status().toString());
        gateways[i].publication = published.value();
        gateways[i].outlet = std::make_unique<BusOutlet>(*published.value(), EventPlace{});
        router.setOutlet(static_cast<uint8_t>(i), gateways[i].outlet.get());
        const uint16_t port = address.value().port;
        if (write(gateways[i].port, &port, sizeof(port)) != sizeof(port)) stopWith("a gateway is gone");
    }
    for (uint16_t session = 1; session <= kSessions; ++session) {
        router.assignSession(session, orders.outletOf(session));
    }
    const auto allWithin = [&](uint64_t behind) {
        bus->poll(nowNs());
        bool within = true;
        for (const Gateway& gateway : gateways) {
            gateway.outlet->work();
            const bus::Publication& publication = *gateway.publication;
            within = within && publication.subscribers() == 1 &&
                     publication.position() <= publication.consumedByAll() + behind;
        }
        return within;
    };
    yieldUntil([&] { return allWithin(0); });
    uint64_t routed = 0;
    uint64_t polled = 0;
    uint32_t counted = 0;
    for (uint32_t done = 0; done < settings.operations; done += kBatch) {
        const std::vector<Event>& events = orders.batch(kBatch);
        yieldUntil([&] { return allWithin(kBehindMax); });
        const uint64_t began = clockNs(CLOCK_THREAD_CPUTIME_ID);
        for (const Event& event : events) router.route(event);
        for (const Gateway& gateway : gateways) gateway.outlet->work();
        const uint64_t between = clockNs(CLOCK_THREAD_CPUTIME_ID);
        bus->poll(nowNs());
        const uint64_t ended = clockNs(CLOCK_THREAD_CPUTIME_ID);
        if (done < settings.operations / 10) continue;  // warming up
        routed += between - began;
        polled += ended - between;
        counted += kBatch;
    }
    uint64_t deliveries = 0;
    router.route(orders.end());
    for (Gateway& gateway : gateways) {
        deliveries += gateway.outlet->counters().events;
        if (gateway.outlet->isCutOff()) stopWith("an outlet was cut off");
    }
    uint64_t received = 0;
    for (Gateway& gateway : gateways) {
        uint64_t events = 0;
        yieldUntil([&] {
            bus->poll(nowNs());
            for (const Gateway& other : gateways) other.outlet->work();
            return read(gateway.answers, &events, sizeof(events)) == sizeof(events);
        });
        received += events;
        int status = 0;
        waitpid(gateway.process, &status, 0);
        close(gateway.port);
        close(gateway.answers);
        if (status != 0) stopWith("a gateway failed");
    }
    if (received != deliveries) stopWith("a gateway had other events than it was sent");
    const double batches = static_cast<double>((settings.operations + kBatch - 1) / kBatch * kBatch);
    Cost cost;
    cost.nsPerOrder = static_cast<double>(routed + polled) / counted;
    cost.routeNsPerOrder = static_cast<double>(routed) / counted;
    cost.deliveriesPerOrder = static_cast<double>(deliveries - count) / batches;
    return cost;
}

}  // namespace
}  // namespace verbex::bench

int main(int count, char** arguments) {
    using namespace verbex::bench;
    Settings settings;
    Options options("fanout_bench");
    options.count("operations", &settings.operations)
        .count("runs", &settings.runs)
        .count("seed", &settings.seed, 0);
    options.read(count, arguments);
    pinTo(true);
    Answers answers(options);
    constexpr uint32_t kCounts[] = {1, 2, 4, 8};
    std::map<uint32_t, std::vector<Cost>> costs;
    for (uint32_t run = 1; run <= settings.runs; ++run) {
        for (const uint32_t gateways : kCounts) {
            answers.say("run " + std::to_string(run) + ", gateways " + std::to_string(gateways));
            costs[gateways].push_back(runOnce(settings, gateways));
        }
    }
    const auto medianOf = [&](uint32_t gateways, double Cost::* member) {
        std::vector<double> values;
        for (const Cost& cost : costs[gateways]) values.push_back(cost.*member);
        return median(values);
    };
    const double one = medianOf(1, &Cost::nsPerOrder);
    for (const uint32_t gateways : kCounts) {
        const double cost = medianOf(gateways, &Cost::nsPerOrder);
        Figures figures;
        figures.add("name", "gateways-" + std::to_string(gateways))
            .add("gateways", gateways)
            .add("perOrderNs", cost, 1)
            .add("routePerOrderNs", medianOf(gateways, &Cost::routeNsPerOrder), 1)
            .add("deliveriesPerOrder", medianOf(gateways, &Cost::deliveriesPerOrder), 3)
            .add("perDeliveryNs", cost / medianOf(gateways, &Cost::deliveriesPerOrder), 1)
            .add("ratio", one > 0 ? cost / one : 0, 2);
        answers.add(figures);
    }
    Figures facts;
    facts.add("operations", settings.operations).add("runs", settings.runs).add("sessions", uint32_t{64});
    answers.end(facts);
    return 0;
}
