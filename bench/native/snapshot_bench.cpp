// What a snapshot costs the engine.
//
//   producer and consumer (this thread)      engine thread                        snapshot thread
//   commands at --rate ──▶ [ ring ] ──▶ steps, each looked at by two clocks ──▶ mark ──▶ replays the journal into a shadow core, compares,
//   discarded ◀── [ ring ] ◀──────────────┘                                              writes the state, reads it back
//
// A node with --orders resting orders, async, under --rate commands a second (new 50%, cancel 45%, IOC 5%). Windows with and without a
// snapshot take turns, equally long. Measured is each step of the engine that has something to do: for so long no other command, event or
// query gets its turn. In it is also what the machine does: the thread put aside for another, a disk that holds up write().
//
//   withUs, withoutUs            the longest step of a window, the median of the windows; …WorstUs the longest of all
//   withAloneUs, withoutAloneUs  the same without the steps in which the scheduler took the processor away (a hypervisor's taking it cannot be seen)
//   withCpuUs, withoutCpuUs      by the thread's own processor time
//   markUs                       noting the mark, all that a snapshot itself asks of the engine
//
// The tables' memory is touched beforehand (CoreLimits::warm), so that no step waits for the kernel to provide a page; a node opened by the
// addon does wait for that, snapshot or not. On a machine of two cores engine, producer and snapshot thread share them.
//
//   snapshot_bench [--orders N] [--rate N] [--runs N] [--seed N] [--dir FOLDER] [--json]
#include <sys/resource.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "flow.h"
#include "open_node.h"

namespace verbex::bench {
namespace {

struct Settings {
    uint32_t orders = 1'000'000;
    uint32_t rate = 100'000;
    uint32_t runs = 5;
    uint32_t seed = 1;
    std::string folder = std::filesystem::temp_directory_path().string();
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
            began_ = nowNs();
            watching_ = window_;
            return;
        }
        const uint64_t took = nowNs() - began_;
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

void snapshotStall(const Settings& settings, Answers& answers) {
    answers.say(std::to_string(settings.orders) + " resting orders");
    const TemporaryFolder folder(settings.folder);
    StepWatch watch;
    node::NodeOptions options = optionsOf("async", folder.file("data"));
    // Ids of a minute under load; a run that lasts longer is refused by the core, which shows as fewer events, not as a stall.
    const uint64_t ids = uint64_t{settings.orders} + 60ULL * settings.rate + (1u << 20);
    options.limits = {settings.orders * 2 + (1u << 17), 1 << 12, 16,
                      static_cast<uint32_t>(std::min<uint64_t>(ids, 1u << 28)), true};
    OpenNode bench(options, [&watch](bool done) { watch.look(done); });
    Flow flow(settings.seed);
    bench.feed(flow.market());
    for (uint32_t left = settings.orders; left > 0;) {
        std::vector<Command> orders;
        for (; left > 0 && orders.size() < 100'000; --left) orders.push_back(flow.resting());
        bench.feed(orders);
    }
    bench.settle();

    // Offers what is due by the clock until `over` says so; late commands are offered late, none is left out.
    const auto stream = [&](const OpenNode::Over& over) {
        const uint64_t began = nowNs();
        uint64_t sent = 0;
        while (!over()) {
            const uint64_t due =
                (nowNs() - began) * settings.rate / 1'000'000'000;
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
            const uint64_t began = nowNs();
            if (with) {
                bench.snapshot(stream);
                snapshotMs.push_back(us(nowNs() - began) / 1e3);
            } else {
                stream([&] {
                    return us(nowNs() - began) / 1e3 >= snapshotMs.back();
                });
            }
            bench.onEngine([&] { watch.watch(nullptr); });
        }
    }
    bench.settle();
    const uint64_t stall = bench.node().stats().snapshotStallNsMax;
    bench.node().stop();

    // Microseconds.
    struct Longest {
        double step, worst, alone, cpu, p999;
    } longest[2];
    for (const bool with : {false, true}) {
        std::vector<uint64_t> step, alone, cpu, p999;
        for (const auto& window : windows[with]) {
            step.push_back(window->steps.max());
            alone.push_back(window->aloneMax);
            cpu.push_back(window->cpuMax);
            p999.push_back(window->steps.at(0.999));
        }
        longest[with] = {us(median(step)), us(*std::max_element(step.begin(), step.end())),
                         us(median(alone)), us(median(cpu)), us(median(p999))};
    }
    Figures answer;
    answer
        .add("name", "A snapshot of " + grouped(settings.orders) +
                         " resting orders is made beside the engine")
        .add("case", "snapshotStall")
        .add("restingOrders", settings.orders)
        .add("commandsPerSecond", settings.rate)
        .add("windows", settings.runs);
    for (const bool with : {false, true}) {
        const Longest& of = longest[with];
        const std::string word = with ? "with" : "without";
        answer.add((word + "Us").c_str(), of.step, 1)
            .add((word + "WorstUs").c_str(), of.worst, 1)
            .add((word + "AloneUs").c_str(), of.alone, 1)
            .add((word + "CpuUs").c_str(), of.cpu, 1)
            .add((word + "P999Us").c_str(), of.p999, 1);
    }
    answers.add(answer.add("markUs", us(stall), 1).add("snapshotMs", median(snapshotMs)));
}

}  // namespace
}  // namespace verbex::bench

int main(int count, char** arguments) {
    using namespace verbex::bench;
    Settings settings;
    Options options("snapshot_bench");
    options.count("orders", &settings.orders)
        .count("rate", &settings.rate)
        .count("runs", &settings.runs)
        .count("seed", &settings.seed, 0)
        .text("dir", "FOLDER", &settings.folder);
    options.read(count, arguments);
    Answers answers(options);
    snapshotStall(settings, answers);
    answers.end(Figures().add("runs", settings.runs).add("seed", settings.seed));
    return 0;
}
