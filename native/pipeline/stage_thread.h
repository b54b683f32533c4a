// StageThread: a thread that runs one or several stages of a pipeline.
//
//      ┌─▶ step() of each stage ──something done──┐
//      │            │ nothing                     │
//      │     Wait until ready(), the bell, stop() │
//      └────────────┴─────────────────────────────┘
//
// Purpose: turns stages into threads as a thread plan says, and counts what they do.
// Owner: whoever builds the pipeline; the stages outlive it.
// Thread safety: start() and join() from the owner's thread; the rest from any.
// Invariants:
//   1. Between two stages' steps nothing of this thread is under way: stages of one thread need no
//      order between them but the one in which they are listed.
//   2. stop() ends the loop behind the step under way, whether or not there is work left; a stage
//      is never called again after join().
//   3. A thread at work reads no clock (busy_time.h).
// Requires: whoever gives a stage work rings bell() after it.
// Errors: a core that the thread cannot be pinned to stops nothing; pinning() says so.
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/status.h"
#include "pipeline/busy_time.h"
#include "pipeline/doorbell.h"
#include "pipeline/wait.h"

namespace verbex::pipeline {

// Pins a thread to one core; a core that is not there or not allowed is an error with its reason.
[[nodiscard]] Status pin(pthread_t thread, const std::string& name, uint32_t core);

class Stage {
public:
    // Does a batch of work; false where there was none.
    virtual bool step() = 0;
    // Would step() find something? Reads with acquire; asked often.
    virtual bool ready() = 0;
    // How long the thread may sleep with nothing to do, for stages that also follow a clock.
    virtual uint64_t sleepNs() { return Doorbell::kForEver; }

protected:
    ~Stage() = default;
};

struct StageThreadOptions {
    std::string name;  // at most 15 characters: the kernel keeps no more
    uint64_t spinNs = kSpinLaptopNs;
    bool yields = false;  // see Wait
    std::optional<uint32_t> core;
};

class StageThread {
public:
    static constexpr size_t kNameBytesMax = 15;

    StageThread(StageThreadOptions options, std::vector<Stage*> stages);
    ~StageThread();
    StageThread(const StageThread&) = delete;
    StageThread& operator=(const StageThread&) = delete;

    // Once.
    void start();
    // As often as one likes, also before start(): then the thread ends at once.
    void stop();
    // Waits for the end; stop() is somebody's business. Nothing where nothing was started.
    void join();

    [[nodiscard]] Doorbell& bell() { return bell_; }
    [[nodiscard]] const std::string& name() const { return options_.name; }
    // Ok where no core was asked for; complete when start() returns.
    [[nodiscard]] const Status& pinning() const { return pinning_; }

    struct Counters {
        uint64_t steps = 0;      // rounds in which a stage did something
        uint64_t idleSteps = 0;  // rounds in which none did
        uint64_t sleeps = 0;
        uint64_t spins = 0;   // see Wait
        uint64_t busyNs = 0;  // since start(); never goes back
        uint64_t elapsedNs = 0;

        // Stage occupancy, 0 … 1.
        [[nodiscard]] double occupancy() const {
            return elapsedNs == 0 ? 0
                                  : static_cast<double>(busyNs) / static_cast<double>(elapsedNs);
        }
    };
    [[nodiscard]] Counters counters() const;

private:
    // One moment on both clocks.
    struct Moment {
        uint64_t ticks = 0;
        uint64_t ns = 0;
    };
    static Moment now();

    void run();
    [[nodiscard]] bool ready();
    [[nodiscard]] uint64_t sleepNs();

    const StageThreadOptions options_;
    const std::vector<Stage*> stages_;
    Status pinning_;
    std::thread thread_;
    bool started_ = false;

    Doorbell bell_;
    std::atomic<bool> stop_{false};

    // The thread's own.
    alignas(kApartBytes) Wait wait_;
    BusyTime busy_;
    std::atomic<uint64_t> steps_{0};
    std::atomic<uint64_t> idleSteps_{0};
    // From start() to the end of the thread; ns 0: not yet.
    std::atomic<uint64_t> beginTicks_{0};
    std::atomic<uint64_t> beginNs_{0};
    std::atomic<uint64_t> endTicks_{0};
    std::atomic<uint64_t> endNs_{0};
    mutable std::atomic<uint64_t> shownBusyNs_{0};
};

}  // namespace verbex::pipeline
