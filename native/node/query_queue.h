// QueryQueue: questions to the engine, answered between its batches.
//
// Purpose: queries read the live core on the engine's thread, so they need no lock on the state and
// cost the engine nothing while there are none.
// Owner: the engine.
// Thread safety: push() and waiting() from any thread; pop() and close() from the engine's.
// Invariants:
//   1. At most kQueriesMax wait; one more is refused.
//   2. Each query taken in is answered exactly once: with the core, or with a failure.
// Requires: nothing.
#pragma once

#include <atomic>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <utility>

#include "core/core.h"
#include "node/failure.h"

namespace verbex::node {

// core is nullptr where the failure says why there is no answer.
using Query = std::function<void(const Core* core, const Failure& failure)>;

class QueryQueue {
public:
    static constexpr size_t kQueriesMax = 1024;

    Failure push(Query query) {
        const std::lock_guard guard(mutex_);
        if (!closed_.isOk()) return closed_;
        if (queries_.size() == kQueriesMax) return {kCodeBusy, "too many queries wait already"};
        queries_.push_back(std::move(query));
        waiting_.store(queries_.size(), std::memory_order_release);
        return {};
    }

    [[nodiscard]] bool waiting() const { return waiting_.load(std::memory_order_acquire) != 0; }

    [[nodiscard]] std::optional<Query> pop() {
        const std::lock_guard guard(mutex_);
        if (queries_.empty()) return std::nullopt;
        std::optional<Query> query(std::move(queries_.front()));
        queries_.pop_front();
        waiting_.store(queries_.size(), std::memory_order_release);
        return query;
    }

    // Answers everything that waits with the failure, and everything later by push().
    void close(const Failure& failure) {
        std::deque<Query> left;
        {
            const std::lock_guard guard(mutex_);
            closed_ = failure;
            left.swap(queries_);
            waiting_.store(0, std::memory_order_release);
        }
        for (const Query& query : left) query(nullptr, failure);
    }

private:
    std::mutex mutex_;
    std::deque<Query> queries_;
    Failure closed_;
    std::atomic<size_t> waiting_{0};
};

}  // namespace verbex::node
