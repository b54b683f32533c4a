// The whole node: commands a second, and how long each takes, by thread plan and journal.
//
//   producer and consumer (this thread)              the plan's threads             beside them
//   commands ──▶ [ command ring ] ──▶ 1 receive 2 append 3 execute 4 store 5 publish
//   looked at ◀── [ event ring ] ◀──────────┘                                       segment, sync
//
// Workload: ec1k, the order generator of exchange-core with 1,000 resting orders and 2,000 accounts (workload.h), risk on, a fresh node for
// every run, its tables' memory touched beforehand. No network, no JavaScript.
//
// whole:  commands a second when all are there at once (the median of the runs), and the latencies of an open loop at --rate commands a second.
// load:   the latencies of the open loop at each of --rates, upwards until half of the commands take longer than 10 ms and fewer are answered than offered.
// closed: one command at a time, the next one when the last event of the one before has been seen.
//
// Latency (open_loop.h) counts from when a command was due to when the consumer has seen its last event; the first fifth of a second is not counted.
// The producer is the consumer too: on a machine of two cores it has one, and the plan's threads the other, which is part of what is measured.
//
//   node_bench [--case all|whole|load|closed] [--plan serial|pipelined|sharded[:RxM]|all] [--journal off|async|durable|all] [--rate N]
//              [--rates N,N,…] [--operations N] [--runs N] [--seconds N] [--seed N] [--dir FOLDER] [--json]
#include <map>
#include <string>
#include <vector>

#include "open_loop.h"
#include "workload.h"
#include "workload_commands.h"

namespace verbex::bench {
namespace {

struct Settings {
    std::string only = "all";
    std::string plan = "serial";
    std::string journal = "all";
    uint32_t rate = 200'000;
    std::string rates = "50000,100000,200000,400000,800000,1600000,3200000,6400000";
    uint32_t operations = 2'000'000;
    uint32_t runs = 3;
    uint32_t seconds = 1;
    uint32_t seed = 1;
    std::string folder = std::filesystem::temp_directory_path().string();

    [[nodiscard]] bool wants(const char* name) const { return only == "all" || only == name; }
};

constexpr uint64_t kSaturatedP50Ns = 10'000'000;

std::vector<uint64_t> numbersOf(const std::string& text) {
    std::vector<uint64_t> numbers;
    for (size_t at = 0; at < text.size();) {
        const size_t comma = std::min(text.find(',', at), text.size());
        const uint64_t number = std::strtoull(text.substr(at, comma - at).c_str(), nullptr, 10);
        if (number == 0) stopWith("--rates takes numbers with commas between them");
        numbers.push_back(number);
        at = comma + 1;
    }
    return numbers;
}

// One plan and one journal; every measurement on a node of its own.
class Setting {
public:
    Setting(const Settings& settings, const Workload& work, const std::vector<Command>& commands,
            const pipeline::ThreadPlan& plan, std::string journal, Answers& answers)
        : settings_(settings), work_(work), commands_(commands), plan_(plan),
          journal_(std::move(journal)), answers_(answers) {}

    void whole() {
        say("as fast as it goes");
        std::vector<double> rates;
        double batch = 0;
        for (uint32_t run = 0; run < settings_.runs; ++run) {
            withNode([&](OpenNode& node, OpenLoop& loop) {
                const node::NodeStats before = node.node().stats();
                rates.push_back(loop.saturate(commands_.data(), commands_.size()).perSecond());
                const node::NodeStats after = node.node().stats();
                batch = static_cast<double>(after.commands - before.commands) /
                        static_cast<double>(std::max<uint64_t>(1, after.batches - before.batches));
            });
        }
        const Answered& offered = offeredAt(settings_.rate);
        answers_.add(head("A whole node takes orders as fast as it can", "whole")
                         .add("opsPerSecond", median(rates))
                         .add("offeredPerSecond", settings_.rate)
                         .add(offered.latency)
                         .add("commandsPerBatch", batch, 1));
    }

    void load() {
        for (const uint64_t rate : numbersOf(settings_.rates)) {
            const Answered& offered = offeredAt(rate);
            answers_.add(
                head("A whole node is offered " + grouped(rate) + " commands a second", "load")
                    .add("opsPerSecond", offered.perSecond())
                    .add("offeredPerSecond", rate)
                    .add(offered.latency)
                    .add("cutOff", offered.cutOff));
            const bool behind = offered.perSecond() < 0.97 * static_cast<double>(rate);
            if (behind && offered.latency.at(0.5) > kSaturatedP50Ns) break;
        }
    }

    void closed() {
        say("one command at a time");
        withNode([&](OpenNode&, OpenLoop& loop) {
            const Answered answered = loop.oneByOne(commands_.data(), commands_.size(),
                                                    settings_.seconds * 1'000'000'000ULL);
            answers_.add(head("A whole node answers one command at a time", "closed")
                             .add("opsPerSecond", answered.perSecond())
                             .add(answered.latency));
        });
    }

private:
    Figures head(const std::string& name, const char* loop) const {
        Figures figures;
        figures.add("name", name).add("case", loop).add("plan", plan_.name()).add("journal", journal_);
        return figures;
    }

    void say(const std::string& what) const {
        answers_.say("plan " + plan_.name() + ", journal " + journal_ + ", " + what);
    }

    template <typename Measure>
    void withNode(Measure measure) const {
        const TemporaryFolder folder(settings_.folder);
        node::NodeOptions options = optionsOf(journal_, folder.file("data"));
        options.limits = {1u << 17, work_.accounts + 8, work_.symbols + 8, work_.orders + 8, true};
        options.plan = plan_;
        OpenNode node(options);
        makeMarket(work_, [&node](const Command& command) { node.feed(&command, 1); });
        node.feed(commandsOf(work_.prefill));
        node.settle();
        OpenLoop loop(node, pipeline::usableCores() < plan_.threads() + 1);
        measure(node, loop);
        node.node().stop();
    }

    // Measured once a rate: the headline's is one of the steps too.
    const Answered& offeredAt(uint64_t rate) {
        if (const auto found = offered_.find(rate); found != offered_.end()) return found->second;
        say(grouped(rate) + " commands a second");
        const uint64_t warmup = rate / 5;
        const size_t count = std::min<uint64_t>(commands_.size(), rate * settings_.seconds + warmup);
        withNode([&](OpenNode&, OpenLoop& loop) {
            offered_[rate] = loop.offer(commands_.data(), count, rate, std::min<size_t>(warmup, count / 4));
        });
        return offered_[rate];
    }

    const Settings& settings_;
    const Workload& work_;
    const std::vector<Command>& commands_;
    const pipeline::ThreadPlan plan_;
    const std::string journal_;
    Answers& answers_;
    std::map<uint64_t, Answered> offered_;
};

std::vector<pipeline::ThreadPlan> plansOf(const Settings& settings) {
    const bool all = settings.plan == "all";
    std::vector<pipeline::ThreadPlan> plans;
    for (const std::string& text :
         all ? std::vector<std::string>{"serial", "pipelined", "sharded"}
             : std::vector<std::string>{settings.plan}) {
        pipeline::ThreadPlan plan;
        if (!pipeline::parsePlan(text, pipeline::usableCores(), &plan)) {
            stopWith("there is no plan " + text);
        }
        plans.push_back(plan);
    }
    return plans;
}

void run(const Settings& settings, Answers& answers) {
    const std::vector<pipeline::ThreadPlan> plans = plansOf(settings);
    answers.say("workload ec1k, " + grouped(settings.operations) + " commands");
    const Workload work = makeEc("ec1k", 1000, 2000, settings.operations, settings.seed);
    const std::vector<Command> commands = commandsOf(work.steps);
    for (const pipeline::ThreadPlan& plan : plans) {
        for (const std::string& journal : kJournals) {
            if (settings.journal != "all" && settings.journal != journal) continue;
            Setting setting(settings, work, commands, plan, journal, answers);
            if (settings.wants("whole")) setting.whole();
            if (settings.wants("closed")) setting.closed();
            if (settings.wants("load")) setting.load();
        }
    }
}

}  // namespace
}  // namespace verbex::bench

int main(int count, char** arguments) {
    using namespace verbex::bench;
    Settings settings;
    Options options("node_bench");
    options.choice("case", {"all", "whole", "load", "closed"}, &settings.only)
        .text("plan", "serial|pipelined|sharded[:RxM]|all", &settings.plan)
        .choice("journal", {"all", "off", "async", "durable"}, &settings.journal)
        .count("rate", &settings.rate)
        .text("rates", "N,N,…", &settings.rates)
        .count("operations", &settings.operations)
        .count("runs", &settings.runs)
        .count("seconds", &settings.seconds)
        .count("seed", &settings.seed, 0)
        .text("dir", "FOLDER", &settings.folder);
    options.read(count, arguments);
    Answers answers(options);
    run(settings, answers);
    answers.end(Figures()
                    .add("workload", "ec1k")
                    .add("operations", settings.operations)
                    .add("runs", settings.runs)
                    .add("seed", settings.seed));
    return 0;
}
