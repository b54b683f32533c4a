// The whole node: what a snapshot costs the engine, how fast a folder is recovered, what a journal costs.
//
//   producer and consumer (this thread)              engine thread                  beside it
//   commands ──▶ [ command ring ] ──▶ 1 receive 2 append 3 execute 4 store 5 publish
//   discarded ◀── [ event ring ] ◀──────────┘                                       segment, sync, snapshot
//
// snapshotStall: a node with `orders` resting orders, async, under `rate` commands a second (new 50%, cancel 45%, IOC 5%). Windows with and
//   without a snapshot take turns, equally long. Measured is each step of the engine that has something to do: for so long no other command,
//   event or query gets its turn. In it is also what the machine does: the thread put aside for another, a disk that holds up write().
//   `not put aside` leaves out the steps in which the scheduler took the processor away (a hypervisor that takes it cannot be seen from here),
//   `by cpu` is the thread's own processor time. Each is the longest of a window, the median of the windows; `worst` the longest of all.
//   The tables' memory is touched beforehand (CoreLimits::warm), so that no step waits for the kernel to provide a page; a node opened by the
//   addon does wait for that, snapshot or not.
// recovery: `operations` commands from the journal alone, and from a snapshot at nine tenths of them and the rest of the journal. Files lie in
//   the page cache.
// node: commands a second from offer() to the last event, without a journal, async, durable; closed loop, batches as they come.
//
// On a machine of two cores engine, producer and snapshot thread share them: that is part of what is measured.
//
//   node_bench [--case NAME] [--orders N] [--rate N] [--operations N] [--runs N] [--seed S] [--dir FOLDER] [--json]
#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "journal/posix_storage.h"
#include "node/node.h"

namespace verbex::bench {
namespace {

using node::Node;

struct Settings {
    uint32_t orders = 1'000'000;
    uint32_t rate = 100'000;
    uint32_t operations = 1'000'000;
    uint32_t runs = 5;
    uint64_t seed = 1;
    std::string only;
    std::string folder = std::filesystem::temp_directory_path().string();
    bool json = false;

    [[nodiscard]] bool wants(const char* name) const { return only.empty() || only == name; }
};

[[noreturn]] void stopWith(const std::string& what) {
    std::fprintf(stderr, "node_bench: %s\n", what.c_str());
    std::exit(1);
}

uint64_t clockNs(clockid_t clock) {
    timespec now{};
    clock_gettime(clock, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

template <typename Value>
Value median(std::vector<Value> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

// Counts of durations, 32 steps to each doubling: within 3%.
class Durations {
public:
    void add(uint64_t ns) {
        ++counts_[bucket(ns)];
        ++total_;
        max_ = std::max(max_, ns);
    }
    [[nodiscard]] uint64_t max() const { return max_; }
    [[nodiscard]] uint64_t total() const { return total_; }
    [[nodiscard]] uint64_t at(double share) const {
        const auto wanted = static_cast<uint64_t>(share * static_cast<double>(total_));
        uint64_t seen = 0;
        for (size_t i = 0; i < counts_.size(); ++i) {
            seen += counts_[i];
            if (seen > wanted) return value(i);
        }
        return max_;
    }

private:
    static size_t bucket(uint64_t ns) {
        if (ns < 32) return ns;
        const int shift = std::bit_width(ns) - 6;
        return static_cast<size_t>(shift + 1) * 32 + ((ns >> shift) & 31);
    }
    static uint64_t value(size_t bucket) {
        if (bucket < 32) return bucket;
        return (32 + bucket % 32) << (bucket / 32 - 1);
    }
    std::array<uint32_t, 64 * 32> counts_{};
    uint64_t total_ = 0;
    uint64_t max_ = 0;
};

// A market of one instrument, and orders that keep it as large as it is.
class Flow {
public:
    static constexpr AccountId kAccounts = 1000;
    static constexpr uint32_t kLevels = 4096;
    static constexpr int64_t kMiddle = 100'000;

    explicit Flow(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15ULL + 1) {}

    std::vector<Command> market() {
        std::vector<Command> commands;
        const auto add = [&commands](CommandType type, uint64_t id) -> Command& {
            Command& command = commands.emplace_back();
            command.type = static_cast<uint8_t>(type);
            command.id = ClientId{id, 0};
            return command;
        };
        for (uint64_t asset = 1; asset <= 2; ++asset) add(CommandType::AddAsset, asset);
        Command& instrument = add(CommandType::AddInstrument, 1);
        instrument.flags = kCommandExtended;
        instrument.price = instrument.quantity = 1;
        instrument.priceMin = 1;
        instrument.priceMax = 2 * kMiddle;
        instrument.quantityMin = 1;
        instrument.quantityMax = 1 << 20;
        instrument.makerFee = 100;
        instrument.takerFee = 200;
        instrument.base = 1;
        instrument.quote = 2;
        for (AccountId account = 1; account <= kAccounts; ++account) {
            add(CommandType::AddAccount, account);
            for (AssetId asset = 1; asset <= 2; ++asset) {
                Command& deposit = add(CommandType::Deposit, asset);
                deposit.account = account;
                deposit.instrument = asset;
                deposit.amount = Amount{1} << 60;
            }
        }
        return commands;
    }

    Command resting() {
        const bool sell = below(2) != 0;
        const auto away = static_cast<int64_t>(1 + below(kLevels));
        Command command = order(sell, sell ? kMiddle + away : kMiddle - away, 1 + below(100));
        live_.push_back({command.account, command.id.lo});
        return command;
    }

    Command next() {
        const uint32_t dice = below(100);
        if (dice < 50 || live_.empty()) return resting();
        if (dice < 95) {
            const size_t at = below(static_cast<uint32_t>(live_.size()));
            Command command{};
            command.type = static_cast<uint8_t>(CommandType::CancelOrder);
            command.account = live_[at].account;
            command.id = ClientId{live_[at].id, 0};
            live_[at] = live_.back();
            live_.pop_back();
            return command;
        }
        const bool sell = below(2) != 0;
        Command command = order(sell, sell ? kMiddle - kLevels : kMiddle + kLevels, 1 + below(50));
        command.timeInForce = static_cast<uint8_t>(TimeInForce::Ioc);
        return command;
    }

    std::vector<Command> take(size_t count) {
        std::vector<Command> commands;
        commands.reserve(count);
        while (commands.size() < count) commands.push_back(next());
        return commands;
    }

private:
    struct Live {
        AccountId account;
        uint64_t id;
    };

    // xorshift64* (Vigna 2016).
    uint32_t below(uint32_t n) {
        state_ ^= state_ >> 12;
        state_ ^= state_ << 25;
        state_ ^= state_ >> 27;
        return static_cast<uint32_t>((((state_ * 0x2545f4914f6cdd1dULL) >> 32) * n) >> 32);
    }

    Command order(bool sell, int64_t price, int64_t quantity) {
        Command command{};
        command.type = static_cast<uint8_t>(CommandType::NewOrder);
        command.account = 1 + below(kAccounts);
        command.instrument = 1;
        command.id = ClientId{++ids_, 0};
        command.side = sell ? 2 : 1;
        command.orderType = static_cast<uint8_t>(OrderType::Limit);
        command.timeInForce = static_cast<uint8_t>(TimeInForce::Gtc);
        command.price = price;
        command.quantity = quantity;
        return command;
    }

    uint64_t state_;
    uint64_t ids_ = 0;
    std::vector<Live> live_;
};

// An open node with its producer and consumer, which are this thread.
class Bench {
public:
    Bench(const node::NodeOptions& options, std::function<void(bool)> onStep = {}) {
        node::NodeSurroundings with;
        with.storage = &storage_;
        with.onStep = std::move(onStep);
        Node::Opened opened = Node::open(options, with);
        if (opened.node == nullptr) stopWith(opened.failure.code + ": " + opened.failure.message);
        node_ = std::move(opened.node);
        published_ = node_->stats().position;
    }

    Node& node() { return *node_; }

    bool drain() {
        const uint64_t ready = node_->available();
        return node_->release(ready) && ready != 0;
    }
    void feed(const Command* commands, size_t count) {
        published_ += count;
        while (count > 0) {
            const uint32_t now = static_cast<uint32_t>(std::min<size_t>(count, 1024));
            const node::Engine::Offered offered = node_->offer(commands, now);
            if (!offered.failure.isOk()) stopWith(offered.failure.message);
            commands += offered.taken;
            count -= offered.taken;
            if (!drain() && offered.taken == 0) std::this_thread::yield();
        }
    }
    void feed(const std::vector<Command>& commands) { feed(commands.data(), commands.size()); }
    void settle() {
        while (node_->stats().publishedPosition < published_) {
            if (!drain()) std::this_thread::yield();
        }
        drain();
    }
    // Takes a snapshot; `meanwhile` is called with what says whether it is there.
    using Over = std::function<bool()>;
    void snapshot(const std::function<void(const Over&)>& meanwhile) {
        auto done = std::make_shared<std::promise<node::SnapshotOutcome>>();
        std::future<node::SnapshotOutcome> waiting = done->get_future();
        const node::Failure refused = node_->snapshot(
            [done](const node::SnapshotOutcome& outcome) { done->set_value(outcome); });
        if (!refused.isOk()) stopWith(refused.message);
        meanwhile([&waiting] {
            return waiting.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
        });
        const node::SnapshotOutcome outcome = waiting.get();
        if (!outcome.failure.isOk()) {
            stopWith(outcome.failure.code + ": " + outcome.failure.message);
        }
    }
    // On the engine's thread, between two batches.
    void onEngine(const std::function<void()>& work) {
        auto done = std::make_shared<std::promise<void>>();
        std::future<void> waiting = done->get_future();
        const node::Failure refused =
            node_->query([&work, done](const Core*, const node::Failure&) {
                work();
                done->set_value();
            });
        if (!refused.isOk()) stopWith(refused.message);
        while (waiting.wait_for(std::chrono::microseconds(100)) != std::future_status::ready) drain();
    }

private:
    journal::PosixStorage storage_;
    std::unique_ptr<Node> node_;
    Position published_ = 0;
};

// What one window has seen. Written on the engine's thread alone.
struct Window {
    Durations steps;
    uint64_t cpuMax = 0;    // of the thread's own processor time
    uint64_t aloneMax = 0;  // of steps in which the thread was never put aside
};

// Looks at the clocks before and after each step. The engine's thread alone, but for its making.
class StepWatch {
public:
    void look(bool done) {
        if (window_ == nullptr) return;
        if (!done) {
            switches_ = switches();
            cpu_ = clockNs(CLOCK_THREAD_CPUTIME_ID);
            began_ = clockNs(CLOCK_MONOTONIC);
            watching_ = window_;
            return;
        }
        const uint64_t took = clockNs(CLOCK_MONOTONIC) - began_;
        const uint64_t cpu = clockNs(CLOCK_THREAD_CPUTIME_ID) - cpu_;
        if (watching_ != window_) return;
        window_->steps.add(took);
        window_->cpuMax = std::max(window_->cpuMax, cpu);
        if (switches() == switches_) window_->aloneMax = std::max(window_->aloneMax, took);
    }
    void watch(Window* window) { window_ = window; }

private:
    static long switches() {
        rusage usage{};
        getrusage(RUSAGE_THREAD, &usage);
        return usage.ru_nivcsw;
    }

    Window* window_ = nullptr;
    const Window* watching_ = nullptr;
    uint64_t began_ = 0;
    uint64_t cpu_ = 0;
    long switches_ = 0;
};

// A folder that goes away with the measurement.
class TemporaryFolder {
public:
    explicit TemporaryFolder(const std::string& where) {
        std::string pattern = where + "/verbex-bench-XXXXXX";
        if (mkdtemp(pattern.data()) == nullptr) stopWith("no folder can be made in " + where);
        path_ = pattern;
    }
    ~TemporaryFolder() { std::filesystem::remove_all(path_); }
    [[nodiscard]] std::string file(const std::string& name) const { return path_ + "/" + name; }

private:
    std::string path_;
};

node::NodeOptions optionsFor(const std::string& data, const Settings& settings) {
    node::NodeOptions options;
    options.data = data;
    options.durable = false;
    const uint64_t ids = uint64_t{settings.orders} + 2 * settings.operations;
    options.limits = {std::max(settings.orders, settings.operations) * 2, 1 << 12, 16,
                      static_cast<uint32_t>(std::max<uint64_t>(1u << 23, ids))};
    return options;
}

std::string number(double value, int digits = 0) {
    char text[64];
    std::snprintf(text, sizeof(text), "%.*f", digits, value);
    return text;
}

double us(uint64_t ns) { return static_cast<double>(ns) / 1e3; }

struct Answers {
    bool json;
    bool first = true;
    void add(const std::string& object, const std::string& sentence) {
        if (json) {
            std::printf("%s%s", first ? "" : ",", object.c_str());
        } else {
            std::printf("%s\n", sentence.c_str());
        }
        first = false;
        std::fflush(stdout);
    }
};

void snapshotStall(const Settings& settings, Answers& answers) {
    std::fprintf(stderr, "node_bench: snapshotStall, %u resting orders …\n", settings.orders);
    const TemporaryFolder folder(settings.folder);
    StepWatch watch;
    node::NodeOptions options = optionsFor(folder.file("data"), settings);
    options.limits.warm = true;
    Bench bench(options, [&watch](bool done) { watch.look(done); });
    Flow flow(settings.seed);
    bench.feed(flow.market());
    for (uint32_t left = settings.orders; left > 0;) {
        std::vector<Command> orders;
        for (; left > 0 && orders.size() < 100'000; --left) orders.push_back(flow.resting());
        bench.feed(orders);
    }
    bench.settle();

    // Offers what is due by the clock until `over` says so; late commands are offered late, none is left out.
    const auto stream = [&](const Bench::Over& over) {
        const uint64_t began = clockNs(CLOCK_MONOTONIC);
        uint64_t sent = 0;
        while (!over()) {
            const uint64_t due =
                (clockNs(CLOCK_MONOTONIC) - began) * settings.rate / 1'000'000'000;
            const std::vector<Command> now = flow.take(std::min<uint64_t>(due - sent, 4096));
            bench.feed(now);
            sent += now.size();
            bench.drain();
            std::this_thread::sleep_for(std::chrono::microseconds(100));
        }
    };
    // The first one replays everything; what follows is what a node takes every million commands.
    bench.snapshot(stream);
    std::vector<std::unique_ptr<Window>> windows[2];  // without, with
    std::vector<double> snapshotMs;
    for (uint32_t run = 0; run < settings.runs; ++run) {
        for (const bool with : {true, false}) {
            Window* window = windows[with].emplace_back(std::make_unique<Window>()).get();
            bench.onEngine([&] { watch.watch(window); });
            const uint64_t began = clockNs(CLOCK_MONOTONIC);
            if (with) {
                bench.snapshot(stream);
                snapshotMs.push_back(us(clockNs(CLOCK_MONOTONIC) - began) / 1e3);
            } else {
                stream([&] {
                    return us(clockNs(CLOCK_MONOTONIC) - began) / 1e3 >= snapshotMs.back();
                });
            }
            bench.onEngine([&] { watch.watch(nullptr); });
        }
    }
    bench.settle();
    const uint64_t stall = bench.node().stats().snapshotStallNsMax;
    bench.node().stop();

    struct Figures {
        double longest, worst, alone, cpu, p999;
    } figures[2];
    for (const bool with : {false, true}) {
        std::vector<uint64_t> longest, alone, cpu, p999;
        for (const auto& window : windows[with]) {
            longest.push_back(window->steps.max());
            alone.push_back(window->aloneMax);
            cpu.push_back(window->cpuMax);
            p999.push_back(window->steps.at(0.999));
        }
        figures[with] = {us(median(longest)), us(*std::max_element(longest.begin(), longest.end())),
                         us(median(alone)), us(median(cpu)), us(median(p999))};
    }
    const std::string ms = number(median(snapshotMs));
    std::string object = "{\"name\":\"snapshotStall\",\"restingOrders\":" +
                         std::to_string(settings.orders) +
                         ",\"commandsPerSecond\":" + std::to_string(settings.rate);
    std::string lines = "snapshotStall  " + std::to_string(settings.orders) + " resting orders, " +
                        std::to_string(settings.rate) + " commands/s, " +
                        std::to_string(settings.runs) + " windows each, a snapshot takes " + ms +
                        " ms\n               us: longest step      worst   not put aside   by cpu   p99.9";
    for (const bool with : {false, true}) {
        const Figures& of = figures[with];
        const std::string word = with ? "with" : "without";
        object += ",\"" + word + "Us\":" + number(of.longest, 1) + ",\"" + word +
                  "WorstUs\":" + number(of.worst, 1) + ",\"" + word +
                  "AloneUs\":" + number(of.alone, 1) + ",\"" + word + "CpuUs\":" + number(of.cpu, 1) +
                  ",\"" + word + "P999Us\":" + number(of.p999, 1);
        char line[160];
        std::snprintf(line, sizeof(line), "\n  %-16s %14.1f %10.1f %15.1f %8.1f %7.1f",
                      with ? "with snapshot" : "without", of.longest, of.worst, of.alone, of.cpu,
                      of.p999);
        lines += line;
    }
    answers.add(object + ",\"markUs\":" + number(us(stall), 1) + ",\"snapshotMs\":" + ms + "}",
                lines + "\n  noting the mark took the engine at most " + number(us(stall), 1) + " us");
}

void recovery(const Settings& settings, Answers& answers) {
    std::fprintf(stderr, "node_bench: recovery, %u commands …\n", settings.operations);
    const TemporaryFolder folder(settings.folder);
    const node::NodeOptions options = optionsFor(folder.file("data"), settings);
    {
        Bench bench(options);
        Flow flow(settings.seed);
        std::vector<Command> commands = flow.market();
        const size_t most = std::max<size_t>(settings.operations, commands.size() + 10);
        const std::vector<Command> orders = flow.take(most - commands.size());
        commands.insert(commands.end(), orders.begin(), orders.end());
        const size_t early = commands.size() / 10 * 9;
        bench.feed(commands.data(), early);
        bench.settle();
        bench.snapshot([](const Bench::Over&) {});
        bench.feed(commands.data() + early, commands.size() - early);
        bench.settle();
        bench.node().stop();  // as a crash leaves it: a close would take another snapshot
    }
    journal::PosixStorage storage;
    for (const bool alone : {true, false}) {
        std::vector<double> ms;
        uint64_t replayed = 0;
        Position position = 0;
        for (uint32_t run = 0; run < settings.runs; ++run) {
            const node::RecoveredState state = node::recoverState(
                storage, nullptr, options.data, options.limits, UINT64_MAX,
                alone ? node::StateSource::Genesis : node::StateSource::Newest);
            if (!state.failure.isOk()) stopWith(state.failure.message);
            ms.push_back(us(state.elapsedNs) / 1e3);
            replayed = state.replayed;
            position = state.core->position();
        }
        const double took = median(ms);
        const std::string name = alone ? "recoveryJournal" : "recoverySnapshot";
        const double rate = static_cast<double>(position) / took * 1e3;
        answers.add("{\"name\":\"" + name + "\",\"commands\":" + std::to_string(position) +
                        ",\"replayed\":" + std::to_string(replayed) + ",\"ms\":" + number(took, 1) +
                        ",\"commandsPerSecond\":" + number(rate) + "}",
                    name + "  " + std::to_string(position) + " commands, " +
                        std::to_string(replayed) + " of them replayed: " + number(took, 1) +
                        " ms, " + number(rate) + " commands/s");
    }
}

void wholeNode(const Settings& settings, Answers& answers) {
    Flow flow(settings.seed);
    std::vector<Command> commands = flow.market();
    const size_t setup = commands.size();
    const std::vector<Command> orders = flow.take(settings.operations);
    commands.insert(commands.end(), orders.begin(), orders.end());
    for (const char* journal : {"off", "async", "durable"}) {
        std::fprintf(stderr, "node_bench: node, journal %s …\n", journal);
        std::vector<double> rates;
        double batch = 0;
        for (uint32_t run = 0; run < settings.runs; ++run) {
            const TemporaryFolder folder(settings.folder);
            const bool off = std::strcmp(journal, "off") == 0;
            node::NodeOptions options = optionsFor(off ? "" : folder.file("data"), settings);
            options.durable = std::strcmp(journal, "durable") == 0;
            Bench bench(options);
            bench.feed(commands.data(), setup);
            bench.settle();
            const node::NodeStats before = bench.node().stats();
            const uint64_t began = clockNs(CLOCK_MONOTONIC);
            bench.feed(commands.data() + setup, commands.size() - setup);
            bench.settle();
            const double seconds = us(clockNs(CLOCK_MONOTONIC) - began) / 1e6;
            const node::NodeStats after = bench.node().stats();
            rates.push_back(static_cast<double>(commands.size() - setup) / seconds);
            batch = static_cast<double>(after.commands - before.commands) /
                    static_cast<double>(std::max<uint64_t>(1, after.batches - before.batches));
            bench.node().stop();
        }
        const double rate = median(rates);
        answers.add(std::string("{\"name\":\"node\",\"journal\":\"") + journal +
                        "\",\"commands\":" + std::to_string(settings.operations) +
                        ",\"commandsPerSecond\":" + number(rate) +
                        ",\"commandsPerBatch\":" + number(batch, 1) + "}",
                    std::string("node           journal ") + journal + ": " + number(rate) +
                        " commands/s, " + number(batch, 1) + " a batch");
    }
}

int run(const Settings& settings) {
    Answers answers{settings.json};
    if (settings.json) std::printf("{\"cases\":[");
    if (settings.wants("snapshotStall")) snapshotStall(settings, answers);
    if (settings.wants("recovery")) recovery(settings, answers);
    if (settings.wants("node")) wholeNode(settings, answers);
    if (settings.json) {
        std::printf("],\"orders\":%u,\"operations\":%u,\"runs\":%u,\"seed\":%llu,\"cores\":%u,"
                    "\"compiler\":\"%s\"}\n",
                    settings.orders, settings.operations, settings.runs,
                    static_cast<unsigned long long>(settings.seed),
                    std::thread::hardware_concurrency(), __VERSION__);
    }
    return 0;
}

}  // namespace
}  // namespace verbex::bench

int main(int count, char** arguments) {
    verbex::bench::Settings settings;
    for (int i = 1; i < count; ++i) {
        const std::string flag = arguments[i];
        const auto value = [&]() -> const char* { return i + 1 < count ? arguments[++i] : "0"; };
        const auto whole = [&] { return static_cast<uint32_t>(std::strtoul(value(), nullptr, 10)); };
        if (flag == "--json") {
            settings.json = true;
        } else if (flag == "--case") {
            settings.only = value();
        } else if (flag == "--orders") {
            settings.orders = whole();
        } else if (flag == "--rate") {
            settings.rate = whole();
        } else if (flag == "--operations") {
            settings.operations = whole();
        } else if (flag == "--runs") {
            settings.runs = whole();
        } else if (flag == "--seed") {
            settings.seed = whole();
        } else if (flag == "--dir") {
            settings.folder = value();
        } else {
            std::fprintf(stderr,
                         "usage: node_bench [--case snapshotStall|recovery|node] [--orders N] "
                         "[--rate N] [--operations N] [--runs N] [--seed S] [--dir FOLDER] [--json]\n");
            return 2;
        }
    }
    const bool known = settings.only.empty() || settings.only == "snapshotStall" ||
                       settings.only == "recovery" || settings.only == "node";
    if (!known || settings.orders == 0 || settings.rate == 0 || settings.operations == 0 ||
        settings.runs == 0) {
        return 2;
    }
    return verbex::bench::run(settings);
}
