// How fast a folder is recovered: from the journal alone, from a snapshot and the rest of the journal, and anew
// out of a journal elsewhere.
//
//   segments (page cache) ──▶ verify, decode ──▶ [ core, risk on ] ──▶ state, hash        journal alone
//   snapshot ──▶ load ──▶ [ core ] ◀── the journal behind it ◀── segments                 snapshot, at nine tenths of the commands
//   segments elsewhere ──▶ verify ──▶ read, compare ──▶ [ core ], a new journal ──▶ the disk         one source, or two
//
// Workload: --operations commands on one instrument, new 50%, cancel 45%, IOC 5% (flow.h), journaled async, the node then stopped as a crash
// leaves it. Recovered --runs times; the median. The files lie in the page cache: the disk's own speed is left out,
// but for a folder that is made anew: it ends when that is durable.
//
//   recovery_bench [--operations N] [--runs N] [--seed N] [--dir FOLDER] [--json]
#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "flow.h"
#include "node/source_recovery.h"
#include "node/state_recovery.h"
#include "open_node.h"

namespace verbex::bench {
namespace {

struct Settings {
    uint32_t operations = 1'000'000;
    uint32_t runs = 5;
    uint32_t seed = 1;
    std::string folder = std::filesystem::temp_directory_path().string();
};

void makeFolder(const Settings& settings, const node::NodeOptions& options) {
    OpenNode node(options);
    Flow flow(settings.seed);
    std::vector<Command> commands = flow.market();
    const size_t most = std::max<size_t>(settings.operations, commands.size() + 10);
    const std::vector<Command> orders = flow.take(most - commands.size());
    commands.insert(commands.end(), orders.begin(), orders.end());
    const size_t early = commands.size() / 10 * 9;
    node.feed(commands.data(), early);
    node.settle();
    node.snapshot([](const OpenNode::Over&) {});
    node.feed(commands.data() + early, commands.size() - early);
    node.settle();
    node.node().stop();  // as a crash leaves it: a close would take another snapshot
}

// A folder made anew, durable, from one source or from two that are compared.
void fromSources(const Settings& settings, const node::NodeOptions& options,
                 const TemporaryFolder& folder, Answers& answers) {
    journal::PosixStorage storage;
    for (const bool alone : {true, false}) {
        std::vector<double> took;
        Position position = 0;
        uint64_t compared = 0;
        for (uint32_t run = 0; run < settings.runs; ++run) {
            const std::string data = folder.file("made");
            const auto started = std::chrono::steady_clock::now();
            std::vector<std::unique_ptr<node::LogSource>> opened;
            std::vector<node::LogSource*> sources;
            for (int source = 0; source < (alone ? 1 : 2); ++source) {
                node::OpenedSource one = node::openDirectorySource(storage, options.data);
                if (!one.failure.isOk()) stopWith(one.failure.message);
                sources.push_back(one.source.get());
                opened.push_back(std::move(one.source));
            }
            node::SourceRecoveryOptions made;
            made.data = data;
            made.limits = options.limits;
            const node::SourceRecovery recovered =
                node::recoverFromSources(storage, sources, made);
            if (!recovered.failure.isOk()) stopWith(recovered.failure.message);
            const auto elapsed = std::chrono::steady_clock::now() - started;
            took.push_back(ms(static_cast<uint64_t>(
                std::chrono::duration_cast<std::chrono::nanoseconds>(elapsed).count())));
            position = recovered.position;
            compared = recovered.compared;
            std::filesystem::remove_all(data);
        }
        const double milliseconds = median(took);
        answers.add(Figures()
                        .add("name", alone ? "A folder is made anew from a journal elsewhere"
                                           : "A folder is made anew from two journals, compared")
                        .add("case", alone ? "recoverySource" : "recoverySources")
                        .add("commands", position)
                        .add("replayed", position)
                        .add("compared", compared)
                        .add("ms", milliseconds, 1)
                        .add("commandsPerSecond", static_cast<double>(position) / milliseconds * 1e3));
    }
}

void recovery(const Settings& settings, Answers& answers) {
    answers.say(std::to_string(settings.operations) + " commands");
    const TemporaryFolder folder(settings.folder);
    node::NodeOptions options = optionsOf("async", folder.file("data"));
    options.limits = {settings.operations + (1u << 17), 1 << 12, 16,
                      settings.operations + (1u << 17)};
    makeFolder(settings, options);
    journal::PosixStorage storage;
    for (const bool alone : {true, false}) {
        std::vector<double> took;
        uint64_t replayed = 0;
        Position position = 0;
        for (uint32_t run = 0; run < settings.runs; ++run) {
            const node::RecoveredState state = node::recoverState(
                storage, nullptr, options.data, options.limits, UINT64_MAX,
                alone ? node::StateSource::Genesis : node::StateSource::Newest);
            if (!state.failure.isOk()) stopWith(state.failure.message);
            took.push_back(ms(state.elapsedNs));
            replayed = state.replayed;
            position = state.core->position();
        }
        const double milliseconds = median(took);
        answers.add(Figures()
                        .add("name", alone ? "A folder is recovered from its journal alone"
                                           : "A folder is recovered from a snapshot and the journal behind it")
                        .add("case", alone ? "recoveryJournal" : "recoverySnapshot")
                        .add("commands", position)
                        .add("replayed", replayed)
                        .add("ms", milliseconds, 1)
                        .add("commandsPerSecond", static_cast<double>(position) / milliseconds * 1e3));
    }
    fromSources(settings, options, folder, answers);
}

}  // namespace
}  // namespace verbex::bench

int main(int count, char** arguments) {
    using namespace verbex::bench;
    Settings settings;
    Options options("recovery_bench");
    options.count("operations", &settings.operations)
        .count("runs", &settings.runs)
        .count("seed", &settings.seed, 0)
        .text("dir", "FOLDER", &settings.folder);
    options.read(count, arguments);
    Answers answers(options);
    recovery(settings, answers);
    answers.end(Figures().add("runs", settings.runs).add("seed", settings.seed));
    return 0;
}
