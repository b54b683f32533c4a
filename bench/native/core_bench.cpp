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
#include <memory>
#include <string>
#include <vector>

#include "core/core.h"
#include "measuring.h"
#include "workload.h"
#include "workload_commands.h"

namespace verbex::bench {
namespace {

struct Settings {
    uint32_t operations = 3'000'000;
    uint32_t runs = 5;
    uint32_t seed = 1;
    std::string only;
};

struct Measured {
    double opsPerSecond;
    double p50, p90, p99, p999, p9999, max;  // nanoseconds
    uint64_t trades, events;
};

void fillPercentiles(std::vector<uint32_t>& times, double nanoseconds, Measured& measured) {
    std::sort(times.begin(), times.end());
    const auto at = [&](double share) {
        return times[static_cast<size_t>(share * static_cast<double>(times.size() - 1))] * nanoseconds;
    };
    measured.p50 = at(0.5);
    measured.p90 = at(0.9);
    measured.p99 = at(0.99);
    measured.p999 = at(0.999);
    measured.p9999 = at(0.9999);
    measured.max = at(1.0);
}

// Runs `steps` through run(i), first without and then with a clock, each on a fresh machine.
template <typename Make>
Measured measure(const Settings& settings, size_t steps, Make make) {
    std::vector<double> rates;
    Measured measured{};
    for (uint32_t i = 0; i < settings.runs; ++i) {
        auto machine = make();
        const uint64_t began = nowNs();
        for (size_t step = 0; step < steps; ++step) machine->run(step);
        rates.push_back(static_cast<double>(steps) / seconds(nowNs() - began));
        measured.trades = machine->trades();
        measured.events = machine->events();
    }
    measured.opsPerSecond = median(rates);
    auto machine = make();
    std::vector<uint32_t> times(steps);
    for (size_t step = 0; step < steps; ++step) {
        const uint64_t before = ticks();
        machine->run(step);
        times[step] = static_cast<uint32_t>(ticks() - before);
    }
    fillPercentiles(times, nanosecondsPerTick(), measured);
    return measured;
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

class CoreMachine {
public:
    CoreMachine(const Workload& work, const std::vector<Command>& commands)
        : commands_(commands),
          core_(CoreLimits{1u << 17, work.accounts + 8, work.symbols + 8, work.orders + 8, true}) {
        makeMarket(work, [this](const Command& command) { core_.apply(command, events_); });
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

void answer(Answers& answers, const Settings& settings, const char* name, bool risk,
            const Measured& measured) {
    Figures figures;
    figures.add("name", name)
        .add("risk", risk)
        .add("opsPerSecond", measured.opsPerSecond)
        .add("p50Ns", measured.p50)
        .add("p90Ns", measured.p90)
        .add("p99Ns", measured.p99)
        .add("p999Ns", measured.p999)
        .add("p9999Ns", measured.p9999)
        .add("maxNs", measured.max)
        .add("eventsPerOp", static_cast<double>(measured.events) / settings.operations, 3);
    if (!risk) {
        figures.add("tradesPerOp", static_cast<double>(measured.trades) / settings.operations, 3);
    }
    answers.add(figures);
}

void run(const Settings& settings, Answers& answers) {
    for (const char* name : {"W1k", "W50k", "W100s", "ec1k"}) {
        if (!settings.only.empty() && settings.only != name) continue;
        answers.say(name);
        const std::string which = name;
        const uint32_t n = settings.operations;
        const Workload work = which == "W1k"     ? makeW(name, 1, 1000, 160, n, settings.seed)
                              : which == "W50k"  ? makeW(name, 1, 51000, 4600, n, settings.seed)
                              : which == "W100s" ? makeW(name, 100, 500, 160, n, settings.seed)
                                                 : makeEc(name, 1000, 2000, n, settings.seed);
        answer(answers, settings, name, false, measure(settings, work.steps.size(), [&work] {
                   return std::make_unique<MatchingMachine>(work);
               }));
        const std::vector<Command> commands = commandsOf(work.steps);
        answer(answers, settings, name, true, measure(settings, work.steps.size(), [&] {
                   return std::make_unique<CoreMachine>(work, commands);
               }));
    }
}

}  // namespace
}  // namespace verbex::bench

int main(int count, char** arguments) {
    using namespace verbex::bench;
    Settings settings;
    Options options("core_bench");
    options.count("operations", &settings.operations)
        .count("runs", &settings.runs)
        .count("seed", &settings.seed, 0)
        .choice("case", {"W1k", "W50k", "W100s", "ec1k"}, &settings.only);
    options.read(count, arguments);
    Answers answers(options);
    run(settings, answers);
    answers.end(Figures()
                    .add("operations", settings.operations)
                    .add("runs", settings.runs)
                    .add("seed", settings.seed));
    return 0;
}
