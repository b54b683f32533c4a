// The order gateway: clients of OUCH 5.0 over TCP, against a node with risk on and its journal in async mode.
//
//   saturated     every connection keeps --window orders in flight: orders a second, system calls an order
//   at a rate     orders leave at planned times; a round trip counts from the plan to the Accepted
//   half of them stalled   the same by half of the connections; the others have sent --window orders and
//                 stopped reading
//
// The gateways' thread is the engine's as well (shared) or one of its own (own); it looks for ever (busy) or
// sleeps in epoll after 10 us without work (sleeping). The client is a process of its own that never sleeps.
// Beside each rate stands a bare epoll echo server with messages of the same size, measured in the same run;
// cases take turns, a figure is the median of the runs. syscallsPerOrder: of the gateways' thread, of every kind.
//
//   gateway_bench [--connections N] [--rate N] [--window N] [--seconds N] [--runs N] [--dir DIR] [--json]
#include <sys/resource.h>

#include <memory>

#include "echo_reference.h"
#include "gateway_load.h"
#include "open_node.h"
#include "sim/small_market.h"

namespace verbex::bench {
namespace {

constexpr const char* kCases[] = {"saturated", "at a rate", "half of them stalled"};

struct Settings {
    uint32_t connections = 1000;
    uint32_t rate = 20'000;
    uint32_t window = 32;
    double seconds = 5;
    uint32_t runs = 3;
    std::string folder = "/tmp";
};

struct Case {
    std::string name;
    uint64_t rate;  // 0: saturated
    bool busy;
    bool shared;
    bool stalled;
    std::vector<double> perSecond, p50, p99, p999, max, calls, echo, unanswered;
};

// An account for each user, with more of everything than it can lose.
std::vector<Command> market(uint32_t users) {
    sim::SmallMarket market;
    market.accounts = users;
    market.symbol = kLoadSymbol;
    market.makerFee = -10;
    market.takerFee = 50;
    market.accountName = loadUserName;
    return sim::smallMarket(market);
}

std::unique_ptr<node::Node> openServer(const Settings& settings, const Case& what,
                                       journal::PosixStorage& storage, node::SystemClock& clock,
                                       const std::string& folder) {
    node::NodeOptions options;
    options.data = folder;
    options.durable = false;
    options.consumer = false;
    options.plan.spinNs = what.busy && !what.shared ? pipeline::kSpinForEver : 10'000;
    options.limits.maxClientIds = 1u << 24;
    node::GatewayHostOptions gateways;
    gateways.orders.emplace();
    gateways.spinNs = what.busy ? pipeline::kSpinForEver : 10'000;
    gateways.sharesEngine = what.shared;
    for (uint32_t i = 1; i <= settings.connections; i++) {
        gateway::User user;
        user.name = user.account = loadUserName(i);
        user.password = kLoadPassword;
        user.session = static_cast<uint16_t>(i);
        gateways.users.push_back(user);
    }
    options.gateways = gateways;
    node::NodeSurroundings with;
    with.storage = &storage;
    with.clock = &clock;
    node::Node::Opened opened = node::Node::open(options, with);
    if (opened.node == nullptr) stopWith(opened.failure.code + ": " + opened.failure.message);
    const std::vector<Command> commands = market(settings.connections);
    for (size_t at = 0; at < commands.size();) {
        const auto count = static_cast<uint32_t>(std::min<size_t>(commands.size() - at, 1024));
        at += opened.node->offer(&commands[at], count).taken;
    }
    while (opened.node->stats().publishedPosition < commands.size()) std::this_thread::yield();
    return std::move(opened.node);
}

void measure(const Settings& settings, Case& what, uint32_t run) {
    TemporaryFolder folder(settings.folder);
    journal::PosixStorage storage;
    node::SystemClock clock;
    const std::unique_ptr<node::Node> server =
        openServer(settings, what, storage, clock, folder.file("data"));
    LoadCase load{settings.connections, what.rate, settings.window, settings.seconds, run + 1,
                  what.stalled ? settings.connections / 2 : 0};
    LoadClient client("--client", server->gateways()->addresses().orders->port, load);
    client.mark();
    const uint64_t before = server->gateways()->stats().calls.total();
    client.mark();
    const uint64_t after = server->gateways()->stats().calls.total();
    const LoadFigures figures = client.figures();
    what.perSecond.push_back(static_cast<double>(figures.answeredInTime) / seconds(figures.elapsedNs));
    what.p50.push_back(us(figures.p50));
    what.p99.push_back(us(figures.p99));
    what.p999.push_back(us(figures.p999));
    what.max.push_back(us(figures.max));
    what.calls.push_back(figures.answeredInTime == 0 ? 0
                                                     : static_cast<double>(after - before) /
                                                           static_cast<double>(figures.answeredInTime));
    what.unanswered.push_back(static_cast<double>(figures.unanswered));
    server->stop();
}

void measureEcho(const Settings& settings, Case& what, uint32_t run) {
    EchoServer server(what.busy);
    LoadCase load{settings.connections, what.rate == 0 ? settings.rate : what.rate, settings.window,
                  settings.seconds, run + 1, 0};
    LoadClient client("--echo-client", server.port(), load);
    client.mark();
    client.mark();
    what.echo.push_back(us(client.figures().p50));
}

int run(int count, char** arguments) {
    Settings settings;
    Options options("gateway_bench");
    options.count("connections", &settings.connections)
        .count("rate", &settings.rate)
        .count("window", &settings.window)
        .seconds("seconds", &settings.seconds)
        .count("runs", &settings.runs)
        .text("dir", "DIR", &settings.folder);
    options.read(count, arguments);
    rlimit files{};
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);

    std::vector<Case> cases = {
        {kCases[0], 0, true, true, false, {}, {}, {}, {}, {}, {}, {}, {}},
        {kCases[0], 0, false, false, false, {}, {}, {}, {}, {}, {}, {}, {}},
        {kCases[1], settings.rate, true, true, false, {}, {}, {}, {}, {}, {}, {}, {}},
        {kCases[2], settings.rate, true, true, true, {}, {}, {}, {}, {}, {}, {}, {}},
        {kCases[1], settings.rate, false, true, false, {}, {}, {}, {}, {}, {}, {}, {}},
        {kCases[1], settings.rate, false, false, false, {}, {}, {}, {}, {}, {}, {}, {}},
    };
    Answers answers(options);
    for (uint32_t run = 0; run < settings.runs; run++) {
        for (Case& what : cases) {
            answers.say("run " + std::to_string(run + 1) + " of " + std::to_string(settings.runs) +
                        ": " + what.name + (what.busy ? ", busy" : ", sleeping") +
                        (what.shared ? ", shared" : ", own"));
            measure(settings, what, run);
            measureEcho(settings, what, run);
        }
    }
    for (const Case& what : cases) {
        Figures figures;
        figures.add("name", what.name)
            .add("wait", what.busy ? "busy" : "sleeping")
            .add("thread", what.shared ? "shared" : "own")
            .add("connections", settings.connections)
            .add("stalledConnections", what.stalled ? settings.connections / 2 : 0u)
            .add("offeredPerSecond", what.rate)
            .add("ordersPerSecond", median(what.perSecond))
            .add("p50Us", median(what.p50), 1)
            .add("p99Us", median(what.p99), 1)
            .add("p999Us", median(what.p999), 1)
            .add("maxUs", median(what.max), 1)
            .add("echoP50Us", median(what.echo), 1)
            .add("syscallsPerOrder", median(what.calls), 3)
            .add("unanswered", median(what.unanswered));
        answers.add(figures);
    }
    answers.end(Figures().add("runs", settings.runs).add("seconds", settings.seconds).add("window", settings.window));
    return 0;
}

}  // namespace
}  // namespace verbex::bench

int main(int count, char** arguments) {
    const std::string mode = count > 1 ? arguments[1] : "";
    if (mode == "--client" || mode == "--echo-client") {
        const std::vector<std::string> rest(arguments + 2, arguments + count);
        return mode == "--client" ? verbex::bench::runLoadClient(rest)
                                  : verbex::bench::runEchoClient(rest);
    }
    return verbex::bench::run(count, arguments);
}
