// The journal's writer alone: how fast batches are appended and stored, by the size of the batch.
//
//   encoded commands (memory) ──▶ append(): header, checksum, chain, copy ──▶ [ staging ] ──▶ commit(): one write ──▶ segment file
//                                                                            async: the operating system has it
//                                                                            durable: it is on the disk
//
// Workload: batches of 1, 16, 256 and 1024 commands of 64 bytes, the next one when the last one is stored: a closed loop. Segments are prepared
// beside it by a thread, as a node does it. Each case ends after --seconds or --operations commands. Latency: append() and commit() of a batch.
// The disk, its file system and what else uses it decide; the folder is --dir.
//
//   journal_bench [--journal async|durable|all] [--operations N] [--seconds N] [--dir FOLDER] [--json]
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "journal/writer.h"
#include "open_node.h"
#include "wire/command_codec.h"

namespace verbex::bench {
namespace {

struct Settings {
    std::string journal = "all";
    uint32_t operations = 4'000'000;
    uint32_t seconds = 1;
    std::string folder = std::filesystem::temp_directory_path().string();
};

void stopUnless(const Status& status) {
    if (!status.isOk()) stopWith(status.toString());
}

template <typename Value>
Value need(Result<Value> result) {
    if (!result.isOk()) stopWith(result.status().toString());
    return result.take();
}

// Has the next segment ready before the writer needs it.
class SegmentsAhead {
public:
    explicit SegmentsAhead(journal::JournalWriter& writer)
        : thread_([this, &writer] {
              while (!stop_.load(std::memory_order_acquire)) {
                  if (!writer.nextIsPrepared()) stopUnless(writer.prepareNext());
                  std::this_thread::sleep_for(std::chrono::milliseconds(1));
              }
          }) {}
    ~SegmentsAhead() {
        stop_.store(true, std::memory_order_release);
        thread_.join();
    }

private:
    std::atomic<bool> stop_{false};
    std::thread thread_;
};

void append(const Settings& settings, bool durable, uint32_t batch, Answers& answers) {
    answers.say(std::string(durable ? "durable" : "async") + ", batches of " + std::to_string(batch));
    const TemporaryFolder folder(settings.folder);
    journal::PosixStorage storage;
    const std::string directory = folder.file("journal");
    stopUnless(storage.createDirectory(directory));
    const std::unique_ptr<journal::DirectoryLock> lock = need(storage.lockDirectory(directory));
    journal::WriterOptions options;
    options.durability = durable ? journal::Durability::Durable : journal::Durability::Async;
    options.journalId = journal::JournalId{1, 2};
    const std::unique_ptr<journal::JournalWriter> writer =
        need(journal::JournalWriter::open(storage, *lock, directory, {}, options));
    std::vector<std::byte> payload;
    for (uint32_t i = 0; i < batch; ++i) {
        Command command{};
        command.type = static_cast<uint8_t>(CommandType::NewOrder);
        command.account = 1;
        command.id = ClientId{i + 1, 0};
        encodeBatch({&command, 1}, payload);
    }
    const SegmentsAhead ahead(*writer);
    while (!writer->nextIsPrepared()) std::this_thread::yield();

    Durations latency;
    uint64_t commands = 0;
    const uint64_t began = nowNs();
    uint64_t before = began;
    while (commands < settings.operations && before - began < settings.seconds * 1'000'000'000ULL) {
        stopUnless(writer->append(1, commands + 1, batch, payload));
        stopUnless(writer->commit());
        commands += batch;
        const uint64_t now = nowNs();
        latency.add(now - before);
        before = now;
    }
    const double took = seconds(before - began);
    const double bytes = static_cast<double>(latency.total() * journal::recordBytes(payload.size()));
    answers.add(Figures()
                    .add("name", "The journal stores batches of " + std::to_string(batch) +
                                     (batch == 1 ? " command" : " commands"))
                    .add("journal", durable ? "durable" : "async")
                    .add("batch", batch)
                    .add("opsPerSecond", static_cast<double>(commands) / took)
                    .add("batchesPerSecond", static_cast<double>(latency.total()) / took)
                    .add("megabytesPerSecond", bytes / took / 1e6, 1)
                    .add(latency)
                    .add("directIo", writer->directIo()));
}

}  // namespace
}  // namespace verbex::bench

int main(int count, char** arguments) {
    using namespace verbex::bench;
    Settings settings;
    Options options("journal_bench");
    options.choice("journal", {"all", "async", "durable"}, &settings.journal)
        .count("operations", &settings.operations)
        .count("seconds", &settings.seconds)
        .text("dir", "FOLDER", &settings.folder);
    options.read(count, arguments);
    Answers answers(options);
    for (const bool durable : {false, true}) {
        if (settings.journal == (durable ? "async" : "durable")) continue;
        for (const uint32_t batch : {1u, 16u, 256u, 1024u}) append(settings, durable, batch, answers);
    }
    answers.end(Figures().add("operations", settings.operations).add("commandBytes", 64u));
    return 0;
}
