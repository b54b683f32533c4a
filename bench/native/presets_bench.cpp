// The core under the presets of exchange-core's order generator, as far as memory allows.
//
//   generator (memory) ──▶ [ core, risk on ] ──▶ events (a small ring, discarded)
//
//   preset   commands  resting orders  accounts  symbols
//   single         3M              1k        2k        1
//   peak           3M             10k       10k      100
//   medium         3M              1M      3.3M      10k
//   large          3M              3M       10M      50k
//   huge          10M             30M       33M     100k
//
// Commands and resting orders are spread over the symbols as in the original, by weights drawn from a Pareto distribution (scale 0.001, shape 1.5); symbols have
// price ranges of their own. A preset that would need more memory than --memory (three fifths of what is free and 8 GiB at most: all presets then end within minutes) is run with all counts but its commands made smaller by the same factor; the case
// says so in leftOut. Different from the original in every preset: accounts are dealt out to symbols evenly and each has two balances, where the original's accounts hold
// several currencies and trade several symbols; a fill-or-kill with a budget is one with a price limit; balances are large enough for everything.
// opsPerSecond: the first half of the commands, without a clock inside. Service times: the second half, the time stamp counter read before and after every command.
// residentMib: what the process has in memory when the market is filled.
//
//   presets_bench [--case all|single|peak|medium|large|huge] [--operations N] [--runs N] [--seed N] [--memory MIB] [--json]
#include <malloc.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "core/core.h"
#include "measuring.h"
#include "process_memory.h"
#include "workload.h"
#include "workload_commands.h"

namespace verbex::bench {
namespace {

struct Settings {
    std::string only = "all";
    uint32_t operations = 0;  // 0: the preset's
    uint32_t runs = 1;
    uint32_t seed = 1;
    uint32_t memory = 0;  // MiB; 0: three fifths of what is free, 8 GiB at most
};

struct Preset {
    const char* name;
    uint32_t commands, orders, accounts, symbols;
};

constexpr Preset kPresets[] = {
    {"single", 3'000'000, 1'000, 2'000, 1},
    {"peak", 3'000'000, 10'000, 10'000, 100},
    {"medium", 3'000'000, 1'000'000, 3'300'000, 10'000},
    {"large", 3'000'000, 3'000'000, 10'000'000, 50'000},
    {"huge", 10'000'000, 30'000'000, 33'000'000, 100'000},
};

// Rounded up from what was measured with medium and large; the generator's own books, gone before the core is filled, need less.
uint64_t bytesNeeded(const Preset& preset) {
    constexpr uint64_t kOrder = 320, kAccount = 640, kStep = 64, kSymbolMin = 16 << 10;
    // The ladder takes memory a page of 512 ticks at a time, and most symbols have few orders.
    constexpr uint64_t kSymbolOrder = 1024, kSymbolMax = 512 << 10;
    const uint64_t perSymbol = std::min(kSymbolMax, preset.orders / preset.symbols * kSymbolOrder);
    return preset.orders * kOrder + preset.accounts * kAccount + preset.commands * kStep +
           preset.symbols * (perSymbol + kSymbolMin);
}

// The preset, or so much of it as fits.
Preset fitting(Preset preset, uint64_t bytes, std::string* leftOut) {
    const Preset whole = preset;
    for (uint32_t by = 2; bytesNeeded(preset) > bytes && by <= 1024; by *= 2) {
        preset = {whole.name, whole.commands, std::max(2u, whole.orders / by),
                  std::max(2u, whole.accounts / by), std::max(1u, whole.symbols / by)};
        *leftOut = "all but 1/" + std::to_string(by) + " of orders, accounts and symbols";
    }
    return preset;
}

struct Steps {
    std::vector<int32_t> low, high;  // by symbol
    std::vector<Step> prefill, mix;
    uint32_t orders = 0;
};

class Generator {
public:
    Generator(const Preset& preset, uint64_t seed)
        : preset_(preset), random_(seed), books_(preset.orders + preset.commands + 1024) {
        std::vector<double> weights(preset.symbols);
        double sum = 0;
        for (double& weight : weights) {
            weight = 0.001 * std::pow(1.0 - random_.unit(), -1.0 / 1.5);
            sum += weight;
        }
        const uint32_t accounts = std::max(1u, preset.accounts / preset.symbols);
        double below = 0;
        for (uint32_t i = 0; i < preset.symbols; ++i) {
            below += weights[i] / sum;
            upTo_.push_back(below);
            targets_.push_back(std::max(2u, static_cast<uint32_t>(weights[i] / sum * preset.orders)));
            symbols_.emplace_back(books_, i, targets_[i], 1 + i * accounts, accounts, random_);
            steps_.low.push_back(symbols_[i].low());
            steps_.high.push_back(symbols_[i].high());
        }
    }

    Steps make() {
        // A round gives each symbol that is not full yet one order.
        std::vector<uint32_t> open;
        for (uint32_t i = 0; i < preset_.symbols; ++i) open.push_back(i);
        for (uint32_t round = 0; !open.empty() && steps_.prefill.size() < preset_.orders; ++round) {
            std::erase_if(open, [&](uint32_t symbol) { return targets_[symbol] <= round; });
            for (const uint32_t symbol : open) {
                if (steps_.prefill.size() == preset_.orders) break;
                symbols_[symbol].prefill((round & 1) != 0, random_, [&](Step step) {
                    record(symbol, step, steps_.prefill);
                });
            }
        }
        while (steps_.mix.size() < preset_.commands) {
            const auto at = std::upper_bound(upTo_.begin(), upTo_.end(), random_.unit());
            const auto symbol = static_cast<uint32_t>(
                std::min<ptrdiff_t>(at - upTo_.begin(), preset_.symbols - 1));
            symbols_[symbol].next(random_, [&](Step step) { record(symbol, step, steps_.mix); });
        }
        return std::move(steps_);
    }

private:
    void record(uint32_t symbol, Step step, std::vector<Step>& into) {
        if (step.kind <= StepKind::Fok) step.order = steps_.orders++;
        books_.run(step, ++position_);
        symbols_[symbol].ran(step, position_);
        into.push_back(step);
    }

    const Preset preset_;
    Random random_;
    BareBooks books_;
    std::vector<EcSymbol> symbols_;
    std::vector<uint32_t> targets_;
    std::vector<double> upTo_;
    Steps steps_;
    Position position_ = 0;
};

// Applies commands that are made a chunk at a time, outside of the clock.
class Driver {
public:
    Driver(const Preset& preset, const Steps& steps)
        : core_(CoreLimits{preset.orders + (1u << 17), preset.accounts + 8, preset.symbols + 8,
                           steps.orders + 8}) {
        for (uint32_t asset = 1; asset <= 2; ++asset) apply(commandOf(CommandType::AddAsset, asset));
        for (uint32_t i = 0; i < preset.symbols; ++i) {
            apply(instrumentOf(i + 1, 1, 2, steps.low[i], steps.high[i]));
        }
        for (AccountId account = 1; account <= preset.accounts; ++account) {
            apply(commandOf(CommandType::AddAccount, account));
            for (AssetId asset = 1; asset <= 2; ++asset) apply(depositOf(account, asset));
        }
        for (size_t i = 0; i < steps.prefill.size(); i += kChunk) {
            chunk(steps.prefill, i, steps.prefill.size());
            for (const Command& command : commands_) apply(command);
        }
    }

    // Nanoseconds for the steps [from, to).
    uint64_t run(const std::vector<Step>& steps, size_t from, size_t to) {
        uint64_t took = 0;
        for (size_t i = from; i < to; i += kChunk) {
            chunk(steps, i, to);
            const uint64_t began = nowNs();
            for (size_t k = 0; k < commands_.size(); ++k) {
                if (k % Core::kWarmMax == 0) warm(k);
                core_.apply(commands_[k], events_);
            }
            took += nowNs() - began;
        }
        return took;
    }

    Durations service(const std::vector<Step>& steps, size_t from, size_t to, double nsPerTick) {
        Durations durations;
        for (size_t i = from; i < to; i += kChunk) {
            chunk(steps, i, to);
            for (size_t k = 0; k < commands_.size(); ++k) {
                const uint64_t before = ticks();
                if (k % Core::kWarmMax == 0) warm(k);
                core_.apply(commands_[k], events_);
                durations.add(static_cast<uint64_t>(static_cast<double>(ticks() - before) * nsPerTick));
            }
        }
        return durations;
    }

private:
    static constexpr size_t kChunk = 4096;

    void apply(const Command& command) { core_.apply(command, events_); }
    void chunk(const std::vector<Step>& steps, size_t from, size_t to) {
        commands_.clear();
        for (size_t i = from; i < std::min(from + kChunk, to); ++i) {
            commands_.push_back(commandOf(steps[i]));
        }
    }
    void warm(size_t from) {
        const Command* batch[Core::kWarmMax];
        const size_t count = std::min(Core::kWarmMax, commands_.size() - from);
        for (size_t k = 0; k < count; ++k) batch[k] = &commands_[from + k];
        core_.warm(batch, count);
    }

    Core core_;
    Discard events_;
    std::vector<Command> commands_;
};

void run(const Settings& settings, const Preset& preset, const std::string& leftOut,
         Answers& answers) {
    answers.say(std::string(preset.name) + ": making " + std::to_string(preset.orders) +
                " orders and " + std::to_string(preset.commands) + " commands");
    auto generator = std::make_unique<Generator>(preset, settings.seed);
    const Steps steps = generator->make();
    generator.reset();
    malloc_trim(0);
    std::vector<double> rates;
    Durations service;
    uint64_t resident = 0;
    const double nsPerTick = nanosecondsPerTick();
    for (uint32_t run = 0; run < settings.runs; ++run) {
        answers.say(std::string(preset.name) + ": filling the core and running");
        Driver driver(preset, steps);
        resident = residentBytes();
        const size_t half = steps.mix.size() / 2;
        rates.push_back(static_cast<double>(half) / seconds(driver.run(steps.mix, 0, half)));
        service = driver.service(steps.mix, half, steps.mix.size(), nsPerTick);
    }
    answers.add(Figures()
                    .add("name", std::string("The core takes exchange-core's preset ") + preset.name)
                    .add("case", preset.name)
                    .add("opsPerSecond", median(rates))
                    .add(service)
                    .add("commands", preset.commands)
                    .add("restingOrders", preset.orders)
                    .add("accounts", preset.accounts)
                    .add("instruments", preset.symbols)
                    .add("residentMib", resident >> 20)
                    .add("leftOut", leftOut));
}

}  // namespace
}  // namespace verbex::bench

int main(int count, char** arguments) {
    using namespace verbex::bench;
    Settings settings;
    Options options("presets_bench");
    options.choice("case", {"all", "single", "peak", "medium", "large", "huge"}, &settings.only)
        .count("operations", &settings.operations)
        .count("runs", &settings.runs)
        .count("seed", &settings.seed, 0)
        .count("memory", &settings.memory);
    options.read(count, arguments);
    // Books' memory is to come from the kernel, zeroed and untouched, however much was given back before.
    mallopt(M_MMAP_THRESHOLD, 128 << 10);
    const uint64_t bytes =
        settings.memory != 0 ? uint64_t{settings.memory} << 20
                             : std::min<uint64_t>(uint64_t{8} << 30, availableBytes() / 5 * 3);
    Answers answers(options);
    answers.say(std::to_string(bytes >> 20) + " MiB may be used");
    for (Preset preset : kPresets) {
        if (settings.only != "all" && settings.only != preset.name) continue;
        if (settings.operations != 0) preset.commands = settings.operations;
        std::string leftOut = "nothing";
        const Preset fits = fitting(preset, bytes, &leftOut);
        run(settings, fits, leftOut, answers);
    }
    answers.end(Figures()
                    .add("runs", settings.runs)
                    .add("seed", settings.seed)
                    .add("memoryMib", bytes >> 20));
    return 0;
}
