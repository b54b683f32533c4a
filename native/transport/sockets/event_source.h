// What one entry of epoll stands for, and what epoll said of it.
//
// Purpose: waiting only notes what is ready; what it means is seen to at the next poll, where the
// events may be called. So nothing that a report points to can vanish between the two.
// Owner: whoever owns the descriptor; it takes the source out of the queue before it goes.
// Thread safety: none; the network's thread.
// Invariants:
//   1. A source is in the queue at most once.
//   2. epoll knows a source by a number that is never given again. It may go on to report a descriptor that is
//      closed: a child between fork and exec holds a copy, and with it what was watched (epoll(7), Q6).
// Requires: nothing.
#pragma once

#include <algorithm>
#include <cstdint>
#include <unordered_map>
#include <utility>
#include <vector>

namespace verbex::transport {

enum class SourceKind : uint8_t { Wake, Listener, SetUp, Link, LinkWake };

struct EventSource {
    SourceKind kind;
    void* owner = nullptr;
    uint32_t events = 0;  // since they were last seen to
    bool isQueued = false;
    uint64_t key = 0;  // as epoll knows it; 0: it does not
};

class ReadyQueue {
public:
    // For epoll; the source is found by it until it is removed.
    [[nodiscard]] uint64_t keyOf(EventSource& source) {
        if (source.key == 0) known_.emplace(source.key = ++lastKey_, &source);
        return source.key;
    }
    // Null: it has gone.
    [[nodiscard]] EventSource* find(uint64_t key) const {
        const auto at = known_.find(key);
        return at == known_.end() ? nullptr : at->second;
    }
    void add(EventSource& source, uint32_t events) {
        source.events |= events;
        if (source.isQueued) return;
        source.isQueued = true;
        sources_.push_back(&source);
    }
    void remove(EventSource& source) {
        known_.erase(std::exchange(source.key, 0));
        if (!source.isQueued) return;
        source.isQueued = false;
        std::replace(sources_.begin(), sources_.end(), &source,
                     static_cast<EventSource*>(nullptr));
    }
    [[nodiscard]] bool isEmpty() const { return sources_.empty(); }

    // Calls `see(source, events)` for each that is there now; what is added meanwhile stays.
    template <typename See>
    void drain(See&& see) {
        const size_t count = sources_.size();
        for (size_t i = 0; i < count; ++i) {
            EventSource* source = sources_[i];
            if (source == nullptr) continue;
            sources_[i] = nullptr;
            source->isQueued = false;
            see(*source, std::exchange(source->events, 0));
        }
        sources_.erase(sources_.begin(), sources_.begin() + static_cast<ptrdiff_t>(count));
    }

private:
    std::vector<EventSource*> sources_;
    std::unordered_map<uint64_t, EventSource*> known_;
    uint64_t lastKey_ = 0;
};

}  // namespace verbex::transport
