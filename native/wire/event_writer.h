// EventWriter: where the core writes its events, in place.
//
// Purpose: the core claims the next cell of a region (a ring's free stretch, a test's array) and fills it
// there; nothing is copied and nothing is called per event. Only when the region is exhausted does
// the owner's drain() run, and it must make room: hand the complete cells on, and set a new region.
// Owner: the surroundings own the memory; one core writes through it at a time.
// Thread safety: none; the owner publishes to other threads.
// Invariants:
//   1. Cells in [begin, cursor) are complete once apply() has returned, or when drain() is called.
//   2. The last event of a command is never drained before apply() returns: drain() runs only when a
//      further cell is claimed. So flag Last can be set at the end.
#pragma once

#include "base/check.h"
#include "wire/event.h"

namespace verbex {

class EventWriter {
public:
    EventWriter(const EventWriter&) = delete;
    EventWriter& operator=(const EventWriter&) = delete;

    // The next cell, contents undefined.
    Event& claim() {
        if (__builtin_expect(cursor_ == end_, 0)) exhausted();
        return *cursor_++;
    }

    [[nodiscard]] Event* cursor() const { return cursor_; }
    [[nodiscard]] Event* begin() const { return begin_; }

    // The core completes events in a second look (settlement fills in what matching can't know). It
    // registers that look here, so that it also runs before a drain in the middle of a command.
    void setCompletion(void (*complete)(void*), void* context) {
        complete_ = complete;
        completeContext_ = context;
    }

protected:
    EventWriter() = default;
    ~EventWriter() = default;

    // Hands [begin, cursor) on and calls setRegion() with at least one free cell.
    virtual void drain() = 0;

    void setRegion(Event* begin, Event* end) {
        CHECK(begin < end);
        begin_ = cursor_ = begin;
        end_ = end;
    }

private:
    [[gnu::noinline, gnu::cold]] void exhausted() {
        if (complete_ != nullptr) complete_(completeContext_);
        drain();
        CHECK(cursor_ < end_);
    }

    Event* begin_ = nullptr;
    Event* cursor_ = nullptr;
    Event* end_ = nullptr;
    void (*complete_)(void*) = nullptr;
    void* completeContext_ = nullptr;
};

}  // namespace verbex
