// The core on one thread: matching alone, and the whole core with risk on.
//
//   workload (memory) ──▶ [ book ]                    ──▶ events (ring, discarded)     risk: false
//   workload (memory) ──▶ [ ids · risk · book · settlement ] ──▶ events               risk: true
//
// Workloads: workload.h. No journal, no threads, no network. Throughput is the median of several runs without any
// clock inside; service times come from a further run that reads the time stamp counter before and after every
// operation (the cost of reading it, some 10–20 ns, is included). Closed loop: these are service times, not
// response times under load.
//
//   core_bench [--operations N] [--runs N] [--seed S] [--case NAME] [--json]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "core/core.h"
#include "workload.h"

namespace verbex::bench {
namespace {

uint64_t ticks() {
#if defined(__x86_64__)
    uint32_t lo, hi;
    __asm__ volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi)::"memory");
    return uint64_t{hi} << 32 | lo;
#else
    uint64_t value;
    __asm__ volatile("isb; mrs %0, cntvct_el0" : "=r"(value)::"memory");
    return value;
#endif
}

double nanosecondsPerTick() {
    using Clock = std::chrono::steady_clock;
    const auto begin = Clock::now();
    const uint64_t first = ticks();
    while (Clock::now() - begin < std::chrono::milliseconds(50)) {
    }
    const uint64_t last = ticks();
    const auto end = Clock::now();
    return std::chrono::duration<double, std::nano>(end - begin).count() /
           static_cast<double>(last - first);
}

struct Figures {
    double opsPerSecond;
    double p50, p99, p999, max;  // nanoseconds
    uint64_t trades, events;
};

class Settings {
public:
    uint32_t operations = 3'000'000;
    uint32_t runs = 5;
    uint64_t seed = 1;
    std::string only;
    bool json = false;
};

void fillPercentiles(std::vector<uint32_t>& times, double nanoseconds, Figures& figures) {
    std::sort(times.begin(), times.end());
    const auto at = [&](double share) {
        return times[static_cast<size_t>(share * static_cast<double>(times.size() - 1))] * nanoseconds;
    };
    figures.p50 = at(0.5);
    figures.p99 = at(0.99);
    figures.p999 = at(0.999);
    figures.max = at(1.0);
}

// Runs `steps` through run(i), first without and then with a clock, each on a fresh machine.
template <typename Make>
Figures measure(const Settings& settings, size_t steps, Make make) {
    std::vector<double> rates;
    Figures figures{};
    for (uint32_t i = 0; i < settings.runs; ++i) {
        auto machine = make();
        const auto begin = std::chrono::steady_clock::now();
        for (size_t step = 0; step < steps; ++step) machine->run(step);
        const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
        rates.push_back(static_cast<double>(steps) / took.count());
        figures.trades = machine->trades();
        figures.events = machine->events();
    }
    std::sort(rates.begin(), rates.end());
    figures.opsPerSecond = rates[rates.size() / 2];
    auto machine = make();
    std::vector<uint32_t> times(steps);
    for (size_t step = 0; step < steps; ++step) {
        const uint64_t before = ticks();
        machine->run(step);
        times[step] = static_cast<uint32_t>(ticks() - before);
    }
    fillPercentiles(times, nanosecondsPerTick(), figures);
    return figures;
}

class MatchingMachine {
public:
    explicit MatchingMachine(const Workload& work)
        : work_(work), books_(work, work.orders + 1), position_(0) {
        for (const Step& step : work.prefill) books_.run(step, ++position_);
        tradesBefore_ = books_.trades();
        eventsBefore_ = books_.events();
    }
    void run(size_t i) {
        if (i % kBatch == 0) books_.warm(&work_.steps[i], std::min(kBatch, work_.steps.size() - i));
        books_.run(work_.steps[i], ++position_);
    }
    uint64_t trades() const { return books_.trades() - tradesBefore_; }
    uint64_t events() const { return books_.events() - eventsBefore_; }

private:
    static constexpr size_t kBatch = 16;
    const Workload& work_;
    BareBooks books_;
    Position position_;
    uint64_t tradesBefore_, eventsBefore_;
};

ClientId idOf(uint32_t order) { return ClientId{uint64_t{order} + 1, 0}; }

Command commandOf(const Step& step) {
    Command command{};
    command.account = step.account;
    command.instrument = step.symbol + 1u;
    command.id = idOf(step.order);
    switch (step.kind) {
        case StepKind::New:
        case StepKind::Ioc:
        case StepKind::Fok:
            command.type = static_cast<uint8_t>(CommandType::NewOrder);
            command.side = step.sell ? 2 : 1;
            command.orderType = 1;
            command.timeInForce = static_cast<uint8_t>(step.kind == StepKind::New   ? TimeInForce::Gtc
                                                       : step.kind == StepKind::Ioc ? TimeInForce::Ioc
                                                                                    : TimeInForce::Fok);
            command.price = step.price;
            command.quantity = step.quantity;
            break;
        case StepKind::Cancel: command.type = static_cast<uint8_t>(CommandType::CancelOrder); break;
        case StepKind::Reduce:
            command.type = static_cast<uint8_t>(CommandType::ReduceOrder);
            command.quantity = step.quantity;
            break;
        case StepKind::Move:
            command.type = static_cast<uint8_t>(CommandType::ReplaceOrder);
            command.price = step.price;
            command.quantity = step.quantity;
            break;
    }
    return command;
}

class CoreMachine {
public:
    CoreMachine(const Workload& work, const std::vector<Command>& commands)
        : commands_(commands),
          core_(CoreLimits{1u << 17, work.accounts + 8, work.symbols + 8, work.orders + 8, true}) {
        Command command{};
        const auto add = [&](CommandType type) {
            command.type = static_cast<uint8_t>(type);
            core_.apply(command, events_);
            command = Command{};
        };
        for (uint32_t i = 0; i <= work.symbols; ++i) {
            command.id = ClientId{i + 1, 0};
            add(CommandType::AddAsset);
        }
        for (uint32_t i = 0; i < work.symbols; ++i) {
            command.id = ClientId{i + 1, 0};
            command.flags = kCommandExtended;
            command.price = command.quantity = 1;
            command.priceMin = work.priceMin;
            command.priceMax = work.priceMax;
            command.quantityMin = 1;
            command.quantityMax = 1 << 20;
            command.makerFee = 100;
            command.takerFee = 200;
            command.base = i + 2;
            command.quote = 1;
            add(CommandType::AddInstrument);
        }
        for (uint32_t i = 1; i <= work.accounts; ++i) {
            command.id = ClientId{i, 0};
            add(CommandType::AddAccount);
            for (uint32_t asset = 1; asset <= work.symbols + 1; ++asset) {
                command.account = i;
                command.instrument = asset;
                command.id = ClientId{asset, 0};
                command.amount = Amount{1} << 60;
                add(CommandType::Deposit);
            }
        }
        for (const Step& step : work.prefill) core_.apply(commandOf(step), events_);
        eventsBefore_ = events_.count();
    }
    void run(size_t i) {
        if (i % Core::kWarmMax == 0) {
            const Command* batch[Core::kWarmMax];
            const size_t count = std::min(Core::kWarmMax, commands_.size() - i);
            for (size_t k = 0; k < count; ++k) batch[k] = &commands_[i + k];
            core_.warm(batch, count);
        }
        core_.apply(commands_[i], events_);
    }
    uint64_t trades() const { return 0; }
    uint64_t events() const { return events_.count() - eventsBefore_; }

private:
    const std::vector<Command>& commands_;
    Core core_;
    Discard events_;
    uint64_t eventsBefore_;
};

void print(const Settings& settings, bool* first, const char* name, bool risk,
           const Figures& figures) {
    if (settings.json) {
        std::printf("%s{\"name\":\"%s\",\"risk\":%s,\"opsPerSecond\":%.0f,\"p50Ns\":%.0f,\"p99Ns\":%.0f,"
                    "\"p999Ns\":%.0f,\"maxNs\":%.0f,\"eventsPerOp\":%.3f}",
                    *first ? "" : ",", name, risk ? "true" : "false", figures.opsPerSecond,
                    figures.p50, figures.p99, figures.p999, figures.max,
                    static_cast<double>(figures.events) / settings.operations);
    } else {
        std::printf("%-6s %-14s %8.2f M/s   p50 %4.0f  p99 %5.0f  p99.9 %6.0f  max %9.0f ns   %.2f events/op",
                    name, risk ? "risk on" : "matching only", figures.opsPerSecond / 1e6, figures.p50,
                    figures.p99, figures.p999, figures.max,
                    static_cast<double>(figures.events) / settings.operations);
        if (!risk) {
            std::printf("  %.2f trades/op", static_cast<double>(figures.trades) / settings.operations);
        }
        std::printf("\n");
    }
    *first = false;
    std::fflush(stdout);
}

int run(const Settings& settings) {
    bool first = true;
    if (settings.json) std::printf("{\"cases\":[");
    for (const char* name : {"W1k", "W50k", "W100s", "ec1k"}) {
        if (!settings.only.empty() && settings.only != name) continue;
        std::fprintf(stderr, "core_bench: %s …\n", name);
        const std::string which = name;
        const uint32_t n = settings.operations;
        const Workload work = which == "W1k"     ? makeW(name, 1, 1000, 160, n, settings.seed)
                              : which == "W50k"  ? makeW(name, 1, 51000, 4600, n, settings.seed)
                              : which == "W100s" ? makeW(name, 100, 500, 160, n, settings.seed)
                                                 : makeEc(name, 1000, 2000, n, settings.seed);
        print(settings, &first, name, false, measure(settings, work.steps.size(), [&work] {
                  return std::make_unique<MatchingMachine>(work);
              }));
        std::vector<Command> commands;
        commands.reserve(work.steps.size());
        for (const Step& step : work.steps) commands.push_back(commandOf(step));
        print(settings, &first, name, true, measure(settings, work.steps.size(), [&] {
                  return std::make_unique<CoreMachine>(work, commands);
              }));
    }
    if (settings.json) {
        std::printf("],\"operations\":%u,\"runs\":%u,\"seed\":%llu,\"compiler\":\"%s\"}\n",
                    settings.operations, settings.runs,
                    static_cast<unsigned long long>(settings.seed), __VERSION__);
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
        if (flag == "--json") {
            settings.json = true;
        } else if (flag == "--operations") {
            settings.operations = static_cast<uint32_t>(std::stoul(value()));
        } else if (flag == "--runs") {
            settings.runs = static_cast<uint32_t>(std::stoul(value()));
        } else if (flag == "--seed") {
            settings.seed = std::stoull(value());
        } else if (flag == "--case") {
            settings.only = value();
        } else {
            std::fprintf(stderr, "usage: core_bench [--operations N] [--runs N] [--seed S] [--case NAME] [--json]\n");
            return 2;
        }
    }
    if (settings.operations == 0 || settings.runs == 0) return 2;
    return verbex::bench::run(settings);
}
