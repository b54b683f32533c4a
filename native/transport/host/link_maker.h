// Makes links, and gives them back, beside the network's thread where an adapter takes its time.
//
//      network's thread                        maker's thread
//      start(step) ──────────────────────────▶ prepare() or establish()
//      isDone, takes the link back  ◀── wake ── done
//      giveBack(link) ───────────────────────▶ its memory, device and descriptors are freed
//
// Purpose: opening a device, registering memory and changing a queue pair's state take up to tenths of
// a second, in which an agent must still send its heartbeats.
// Owner: HostNetwork.
// Thread safety: the network's thread; a link is touched by one thread at a time, which is the maker's
// from start() until isDone, and from giveBack() on.
// Invariants:
//   1. The thread is started by the first step: who has no such links has no such thread.
//   2. A step that nobody waits for any more is not begun; its link is given back.
//   3. What is made goes before what is given back. Nothing that decides whether a frame is
//      delivered happens here: fencing destroys a link's queue pair on the network's thread.
// Requires: `onDone` may be called from the maker's thread for as long as this lives.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "transport/host_link.h"

namespace verbex::transport {

// One step of a link's set-up, on its way there and back.
struct LinkStep {
    enum class Kind : uint8_t { Prepare, Establish };
    Kind kind = Kind::Prepare;
    std::unique_ptr<HostLink> link;
    std::vector<std::byte> peerOffer;
    Status status;  // what it came to
    std::atomic<bool> isDone{false};
};

class LinkMaker {
public:
    // `before` runs on the maker's thread before each step, where it is given.
    LinkMaker(std::function<void()> onDone, std::function<void()> before);
    ~LinkMaker();
    LinkMaker(const LinkMaker&) = delete;
    LinkMaker& operator=(const LinkMaker&) = delete;

    // Whether a link of this kind is made here, not on the network's thread.
    [[nodiscard]] bool isWantedFor(TransportKind kind) const;
    void start(std::shared_ptr<LinkStep> step);
    void giveBack(std::unique_ptr<HostLink> link);
    // Whether any step has been done since the last call.
    [[nodiscard]] bool takeDone() { return hasDone_.exchange(false, std::memory_order_acquire); }

private:
    void startThread();
    void run();

    const std::function<void()> onDone_;
    const std::function<void()> before_;
    std::atomic<bool> hasDone_{false};
    std::mutex mutex_;
    std::condition_variable work_;
    std::deque<std::shared_ptr<LinkStep>> steps_;
    std::deque<std::unique_ptr<HostLink>> unwanted_;
    bool stop_ = false;
    std::thread thread_;
};

}  // namespace verbex::transport
