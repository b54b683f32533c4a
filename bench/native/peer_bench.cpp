// Verbex among its peers: writes a workload to a file that other engines read, and runs such a file itself.
//
//   seed ──▶ [ generator ] ──▶ workload file ──▶ every harness of bench/peers, and this one
//   workload file ──▶ [ book ] or [ ids · risk · book · settlement ] ──▶ events, whose trades are counted
//
// One pass is the whole workload on a fresh book: prefill outside of the clock, then the steps; the events are read
// as a consumer would, so that trades and quantity are counted inside it. One pass is a warm-up (and writes the trades,
// where asked), then passes are timed until --seconds have gone by: the median. One more reads the clock around
// every operation: service times, the clock's own 20 to 40 ns included. bench/peers/README.md has the layouts.
//
//   peer_bench --dump FILE [--workload W1k|ec1k|common] [--operations N] [--seed S]
//   peer_bench --run FILE [--risk] [--seconds S] [--trades FILE]
//
// Answers one line of JSON.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "core/core.h"
#include "workload.h"
#include "workload_commands.h"
#include "workload_file.h"

namespace verbex::bench {
namespace {

using Clock = std::chrono::steady_clock;

struct Settings {
    std::string dump;
    std::string run;
    std::string trades;
    std::string workload = "W1k";
    uint32_t operations = 1'000'000;
    uint64_t seed = 1;
    double seconds = 1.0;
    bool risk = false;
};

struct Totals {
    uint64_t trades = 0;
    uint64_t quantity = 0;
    bool operator==(const Totals&) const = default;
};

int failed(const std::string& what) {
    std::fprintf(stderr, "peer_bench: %s\n", what.c_str());
    return 1;
}

// ---- the machines: matching alone, and everything

class BookMachine {
public:
    static constexpr size_t kBatch = 16;
    static constexpr uint64_t kFirstId = 0;  // what stands for order 0 in an event

    explicit BookMachine(const Workload& work) : work_(work), books_(work, work.orders + 1) {
        for (const Step& step : work.prefill) books_.run(step, ++position_);
    }
    void warm(size_t from, size_t to) const { books_.warm(&work_.steps[from], to - from); }
    void run(size_t i) { books_.run(work_.steps[i], ++position_); }
    [[nodiscard]] const Discard& events() const { return books_.discarded(); }

private:
    const Workload& work_;
    BareBooks books_;
    Position position_ = 0;
};

class CoreMachine {
public:
    static constexpr size_t kBatch = Core::kWarmMax;
    static constexpr uint64_t kFirstId = 1;

    CoreMachine(const Workload& work, const std::vector<Command>& commands)
        : commands_(commands),
          core_(CoreLimits{1u << 17, work.accounts + 8, work.symbols + 8, work.orders + 8, true}) {
        makeMarket(work, [&](const Command& command) { core_.apply(command, events_); });
        for (const Step& step : work.prefill) core_.apply(commandOf(step), events_);
    }
    void warm(size_t from, size_t to) const {
        const Command* batch[kBatch];
        for (size_t i = from; i < to; ++i) batch[i - from] = &commands_[i];
        core_.warm(batch, to - from);
    }
    void run(size_t i) { core_.apply(commands_[i], events_); }
    [[nodiscard]] const Discard& events() const { return events_; }

private:
    const std::vector<Command>& commands_;
    Core core_;
    Discard events_;
};

// ---- passes

// Runs all steps and hands every trade to take(event).
template <typename Machine, typename Take>
void runAll(Machine& machine, size_t steps, Take take) {
    uint64_t seen = machine.events().count();
    for (size_t from = 0; from < steps; from += Machine::kBatch) {
        const size_t to = std::min(steps, from + Machine::kBatch);
        machine.warm(from, to);
        for (size_t i = from; i < to; ++i) machine.run(i);
        const uint64_t count = machine.events().count();
        CHECK(count - seen <= Discard::kCells);
        for (; seen < count; ++seen) {
            const Event& event = machine.events().at(seen);
            if (event.type == static_cast<uint8_t>(EventType::Trade)) take(event);
        }
    }
}

template <typename Machine>
bool writeTrades(Machine& machine, size_t steps, const std::string& path, Totals& totals) {
    const File file(std::fopen(path.c_str(), "wb"));
    if (!file) return false;
    bool whole = true;
    runAll(machine, steps, [&](const Event& event) {
        const TradeRecord record{static_cast<uint32_t>(event.id.lo - Machine::kFirstId),
                                 static_cast<uint32_t>(event.id2.lo - Machine::kFirstId),
                                 event.price, event.quantity};
        whole = whole && std::fwrite(&record, sizeof record, 1, file.get()) == 1;
        ++totals.trades;
        totals.quantity += static_cast<uint64_t>(event.quantity);
    });
    return std::fflush(file.get()) == 0 && whole;
}

double secondsSince(Clock::time_point begin) {
    return std::chrono::duration<double>(Clock::now() - begin).count();
}

template <typename Machine>
double timedPass(Machine& machine, size_t steps, Totals& totals) {
    const auto begin = Clock::now();
    runAll(machine, steps, [&](const Event& event) {
        ++totals.trades;
        totals.quantity += static_cast<uint64_t>(event.quantity);
    });
    return secondsSince(begin);
}

template <typename Machine>
std::vector<uint32_t> serviceTimes(Machine& machine, size_t steps) {
    std::vector<uint32_t> times(steps);
    for (size_t i = 0; i < steps; ++i) {
        if (i % Machine::kBatch == 0) machine.warm(i, std::min(steps, i + Machine::kBatch));
        const auto begin = Clock::now();
        machine.run(i);
        times[i] = static_cast<uint32_t>(
            std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - begin).count());
    }
    std::sort(times.begin(), times.end());
    return times;
}

template <typename Make>
int measure(const Settings& settings, const Workload& work, Make make) {
    const size_t steps = work.steps.size();
    Totals expected;
    if (settings.trades.empty()) {
        (void)timedPass(*make(), steps, expected);
    } else if (!writeTrades(*make(), steps, settings.trades, expected)) {
        return failed("cannot write " + settings.trades);
    }
    std::vector<double> passes;
    for (double spent = 0; passes.empty() || spent < settings.seconds; spent += passes.back()) {
        Totals totals;
        passes.push_back(timedPass(*make(), steps, totals));
        if (totals != expected) return failed("two passes gave different trades");
    }
    std::sort(passes.begin(), passes.end());
    const double seconds = passes[passes.size() / 2];
    const std::vector<uint32_t> times = serviceTimes(*make(), steps);
    const auto at = [&](double share) {
        return times[static_cast<size_t>(share * static_cast<double>(steps - 1))];
    };
    std::printf(
        "{\"engine\":\"verbex\",\"workload\":\"%s\",\"risk\":%s,\"operations\":%zu,\"passes\":%zu,"
        "\"seconds\":%.6f,\"opsPerSecond\":%.0f,\"trades\":%llu,\"tradedQuantity\":%llu,"
        "\"p50Ns\":%u,\"p99Ns\":%u,\"p999Ns\":%u,\"compiler\":\"%s\"}\n",
        work.name, settings.risk ? "true" : "false", steps, passes.size(), seconds,
        static_cast<double>(steps) / seconds, static_cast<unsigned long long>(expected.trades),
        static_cast<unsigned long long>(expected.quantity), at(0.5), at(0.99), at(0.999),
        __VERSION__);
    return 0;
}

// ---- the two modes

int dump(const Settings& settings) {
    const uint32_t n = settings.operations;
    const uint64_t seed = settings.seed;
    Workload work;
    if (settings.workload == "W1k") {
        work = makeW("W1k", 1, 1000, 160, n, seed);
    } else if (settings.workload == "ec1k") {
        work = makeEc("ec1k", 1000, 2000, n, seed);
    } else if (settings.workload == "common") {
        work = makeW("common", 1, 1000, 160, n, seed, Mix::Common);
    } else {
        return failed("no workload " + settings.workload + "; there are W1k, ec1k, common");
    }
    if (!writeWorkload(settings.dump, work, seed)) return failed("cannot write " + settings.dump);
    uint32_t counts[6] = {};
    for (const Step& step : work.steps) ++counts[static_cast<size_t>(step.kind)];
    std::printf(
        "{\"workload\":\"%s\",\"seed\":%llu,\"symbols\":%u,\"accounts\":%u,\"orders\":%u,"
        "\"prefill\":%zu,\"operations\":%zu,\"new\":%u,\"ioc\":%u,\"fok\":%u,\"cancel\":%u,"
        "\"move\":%u,\"reduce\":%u}\n",
        work.name, static_cast<unsigned long long>(seed), work.symbols, work.accounts, work.orders,
        work.prefill.size(), work.steps.size(), counts[0], counts[1], counts[2], counts[3],
        counts[4], counts[5]);
    return 0;
}

int run(const Settings& settings) {
    Workload work;
    std::string name;
    if (!readWorkload(settings.run, work, name)) return failed(settings.run + " is not a workload");
    if (!settings.risk) {
        return measure(settings, work, [&] { return std::make_unique<BookMachine>(work); });
    }
    const std::vector<Command> commands = commandsOf(work.steps);
    return measure(settings, work, [&] { return std::make_unique<CoreMachine>(work, commands); });
}

int usage() {
    std::fprintf(
        stderr,
        "usage: peer_bench --dump FILE [--workload W1k|ec1k|common] [--operations N] [--seed S]\n"
        "       peer_bench --run FILE [--risk] [--seconds S] [--trades FILE]\n");
    return 2;
}

}  // namespace
}  // namespace verbex::bench

int main(int count, char** arguments) {
    using namespace verbex::bench;
    Settings settings;
    for (int i = 1; i < count; ++i) {
        const std::string flag = arguments[i];
        if (flag == "--risk") {
            settings.risk = true;
            continue;
        }
        if (i + 1 == count) return usage();
        const std::string value = arguments[++i];
        if (flag == "--dump") {
            settings.dump = value;
        } else if (flag == "--run") {
            settings.run = value;
        } else if (flag == "--trades") {
            settings.trades = value;
        } else if (flag == "--workload") {
            settings.workload = value;
        } else if (flag == "--operations") {
            settings.operations = static_cast<uint32_t>(std::strtoul(value.c_str(), nullptr, 10));
        } else if (flag == "--seed") {
            settings.seed = std::strtoull(value.c_str(), nullptr, 10);
        } else if (flag == "--seconds") {
            settings.seconds = std::strtod(value.c_str(), nullptr);
        } else {
            return usage();
        }
    }
    if (settings.operations == 0 || settings.dump.empty() == settings.run.empty()) return usage();
    return settings.dump.empty() ? run(settings) : dump(settings);
}
