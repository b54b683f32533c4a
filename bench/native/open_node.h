// OpenNode: a node with its producer and its consumer, which are one thread; and the folder that it lies in.
//
//   this thread                                    engine thread                             beside it
//   commands ──▶ [ command ring ] ──▶ 1 receive 2 append 3 execute 4 store 5 publish         segment, sync, snapshot
//   looked at ◀── [ event ring ] ◀──────────────────────────┘
//
// Owner: one benchmark, whose thread makes every call. Thread safety: none.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "journal/posix_storage.h"
#include "measuring.h"
#include "node/node.h"
#include "pipeline/thread_plan.h"

namespace verbex::bench {

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

// What `--journal` takes, "all" aside.
inline const std::vector<std::string> kJournals = {"off", "async", "durable"};

inline node::NodeOptions optionsOf(const std::string& journal, const std::string& folder) {
    node::NodeOptions options;
    options.data = journal == "off" ? "" : folder;
    options.durable = journal == "durable";
    return options;
}

// An open node with its producer and consumer, which are this thread.
class OpenNode {
public:
    explicit OpenNode(const node::NodeOptions& options, std::function<void(bool)> onStep = {}) {
        node::NodeSurroundings with;
        with.storage = &storage_;
        with.onStep = std::move(onStep);
        node::Node::Opened opened = node::Node::open(options, with);
        if (opened.node == nullptr) stopWith(opened.failure.code + ": " + opened.failure.message);
        node_ = std::move(opened.node);
        published_ = node_->stats().position;
    }

    node::Node& node() { return *node_; }

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
    std::unique_ptr<node::Node> node_;
    Position published_ = 0;
};

}  // namespace verbex::bench
