// What the core's commands cost, and what its memory is, against the number of orders, accounts and instruments.
//
//   flow (memory) ──▶ [ core, risk on, of a given size ] ──▶ events (a small ring, discarded)
//
//   case         grows                              stays
//   orders       resting orders  1k … --largest     1,000 accounts, 1 instrument
//   accounts     accounts        1k … --largest     10,000 resting orders, 1 instrument
//   instruments  instruments     1 … 10k            100,000 resting orders, 1,000 accounts
//   memory       –                                  --largest resting orders; --largest accounts
//
// Workload: new 50%, cancel 45%, IOC 5%, drawn evenly over accounts, instruments and open orders (flow.h): nothing is favoured by a cache but what is small. Commands
// are made before the clock runs and applied in batches of 32, as the node does. One core is filled for each size and then runs --runs times --operations commands;
// nsPerCommand is the median. Service times come from a further run with the time stamp counter read before and after every command. relativeCost is nsPerCommand over
// that of the size before.
//
// memory: resident bytes of the process (/proc/self/statm) after filling less before, over the number; commands lie in memory beforehand. A resting order is counted with all that
// it needs: its slot, its place in the book's levels, its entry in the table of client ids and that table's index; an account with its name and its index, and with two balances
// and the two transactions that brought them. What the tables keep in reserve (hash tables are filled between a quarter and three quarters) is included.
//
//   scale_bench [--case all|orders|accounts|instruments|memory] [--operations N] [--runs N] [--seed N] [--largest N] [--json]
#include <memory>
#include <string>
#include <vector>

#include "core/core.h"
#include "flow.h"
#include "measuring.h"
#include "process_memory.h"

namespace verbex::bench {
namespace {

struct Settings {
    std::string only = "all";
    uint32_t operations = 500'000;
    uint32_t runs = 3;
    uint32_t seed = 1;
    uint32_t largest = 1'000'000;

    [[nodiscard]] bool wants(const char* name) const { return only == "all" || only == name; }
};

struct Size {
    uint32_t orders, accounts, instruments;
};

class FilledCore {
public:
    // `commands`: how many more may be run.
    FilledCore(const Settings& settings, const Size& size, uint32_t commands)
        : core_(CoreLimits{size.orders + commands + (1u << 16), size.accounts + 8,
                           size.instruments + 8, size.orders + commands + (1u << 16)}),
          flow_(settings.seed, size.accounts, size.instruments) {}

    void market() {
        for (const Command& command : flow_.market()) core_.apply(command, events_);
    }
    void rest(uint32_t orders) {
        for (uint32_t i = 0; i < orders; ++i) core_.apply(flow_.resting(), events_);
    }
    void apply(const std::vector<Command>& commands) {
        for (size_t i = 0; i < commands.size(); ++i) {
            if (i % Core::kWarmMax == 0) warm(commands, i);
            core_.apply(commands[i], events_);
        }
    }
    Durations service(const std::vector<Command>& commands, double nsPerTick) {
        Durations durations;
        for (size_t i = 0; i < commands.size(); ++i) {
            const uint64_t before = ticks();
            if (i % Core::kWarmMax == 0) warm(commands, i);
            core_.apply(commands[i], events_);
            durations.add(static_cast<uint64_t>(static_cast<double>(ticks() - before) * nsPerTick));
        }
        return durations;
    }
    Flow& flow() { return flow_; }

private:
    void warm(const std::vector<Command>& commands, size_t from) {
        const Command* batch[Core::kWarmMax];
        const size_t count = std::min(Core::kWarmMax, commands.size() - from);
        for (size_t k = 0; k < count; ++k) batch[k] = &commands[from + k];
        core_.warm(batch, count);
    }

    Core core_;
    Flow flow_;
    Discard events_;
};

std::string counted(uint32_t number, const char* what) {
    return grouped(number) + " " + what + (number == 1 ? "" : "s");
}

// Time per command at one size; answers it.
double measure(const Settings& settings, const char* grows, const Size& size,
               const std::string& name, double before, Answers& answers) {
    answers.say(name);
    FilledCore core(settings, size, settings.operations * (settings.runs + 1));
    core.market();
    core.rest(size.orders);
    std::vector<double> took;
    for (uint32_t run = 0; run < settings.runs; ++run) {
        const std::vector<Command> commands = core.flow().take(settings.operations);
        const uint64_t began = nowNs();
        core.apply(commands);
        took.push_back(static_cast<double>(nowNs() - began) / settings.operations);
    }
    const double perCommand = median(took);
    const Durations service =
        core.service(core.flow().take(settings.operations), nanosecondsPerTick());
    Figures figures;
    figures.add("name", name)
        .add("case", grows)
        .add("restingOrders", size.orders)
        .add("accounts", size.accounts)
        .add("instruments", size.instruments)
        .add("opsPerSecond", 1e9 / perCommand)
        .add("nsPerCommand", perCommand, 1)
        .add(service);
    if (before > 0) figures.add("relativeCost", perCommand / before, 2);
    answers.add(figures);
    return perCommand;
}

void orders(const Settings& settings, Answers& answers) {
    double before = 0;
    for (uint64_t orders = 1000; orders <= settings.largest; orders *= 10) {
        const auto count = static_cast<uint32_t>(orders);
        before = measure(settings, "orders", {count, 1000, 1},
                         "A command among " + counted(count, "resting order"), before, answers);
    }
}

void accounts(const Settings& settings, Answers& answers) {
    double before = 0;
    for (uint64_t accounts = 1000; accounts <= settings.largest; accounts *= 10) {
        const auto count = static_cast<uint32_t>(accounts);
        before = measure(settings, "accounts", {std::min(10'000u, settings.largest), count, 1},
                         "A command among " + counted(count, "account"), before, answers);
    }
}

void instruments(const Settings& settings, Answers& answers) {
    double before = 0;
    for (const uint32_t count : {1u, 10u, 100u, 1000u, 10'000u}) {
        if (count > settings.largest) break;
        before = measure(settings, "instruments", {std::min(100'000u, settings.largest), 1000, count},
                         "A command among " + counted(count, "instrument"), before, answers);
    }
}

void memory(const Settings& settings, Answers& answers) {
    const uint32_t largest = settings.largest;
    const auto perUnit = [largest](uint64_t before, uint64_t after) {
        return static_cast<double>(after > before ? after - before : 0) / largest;
    };
    {
        answers.say("memory of " + counted(largest, "resting order"));
        FilledCore core(settings, {largest, 1000, 1}, 0);
        core.market();
        // Made beforehand, and so is the list of what is open, which is not the core's.
        std::vector<Command> commands;
        commands.reserve(largest);
        for (uint32_t i = 0; i < largest; ++i) commands.push_back(core.flow().resting());
        const uint64_t before = residentBytes();
        core.apply(commands);
        answers.add(Figures()
                        .add("name", counted(largest, "resting order") + " in memory")
                        .add("case", "memory")
                        .add("restingOrders", largest)
                        .add("bytesPerRestingOrder", perUnit(before, residentBytes()), 1));
    }
    answers.say("memory of " + counted(largest, "account"));
    FilledCore core(settings, {0, largest, 1}, 0);
    std::vector<Command> accounts, deposits;
    accounts.reserve(largest);
    deposits.reserve(size_t{2} * largest);
    for (AccountId account = 1; account <= largest; ++account) {
        accounts.push_back(commandOf(CommandType::AddAccount, account));
        for (AssetId asset = 1; asset <= 2; ++asset) deposits.push_back(depositOf(account, asset));
    }
    core.apply({commandOf(CommandType::AddAsset, 1), commandOf(CommandType::AddAsset, 2)});
    const uint64_t before = residentBytes();
    core.apply(accounts);
    const uint64_t between = residentBytes();
    core.apply(deposits);
    answers.add(Figures()
                    .add("name", counted(largest, "account") + " in memory")
                    .add("case", "memory")
                    .add("accounts", largest)
                    .add("bytesPerAccount", perUnit(before, between), 1)
                    .add("bytesPerFundedAccount", perUnit(before, residentBytes()), 1));
}

}  // namespace
}  // namespace verbex::bench

int main(int count, char** arguments) {
    using namespace verbex::bench;
    Settings settings;
    Options options("scale_bench");
    options.choice("case", {"all", "orders", "accounts", "instruments", "memory"}, &settings.only)
        .count("operations", &settings.operations)
        .count("runs", &settings.runs)
        .count("seed", &settings.seed, 0)
        .count("largest", &settings.largest);
    options.read(count, arguments);
    Answers answers(options);
    // Memory first: what earlier cases gave back would be used again without being counted.
    if (settings.wants("memory")) memory(settings, answers);
    if (settings.wants("orders")) orders(settings, answers);
    if (settings.wants("accounts")) accounts(settings, answers);
    if (settings.wants("instruments")) instruments(settings, answers);
    answers.end(Figures()
                    .add("operations", settings.operations)
                    .add("runs", settings.runs)
                    .add("seed", settings.seed));
    return 0;
}
