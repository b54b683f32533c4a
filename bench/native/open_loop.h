// Open loop: commands are offered when they are due, whatever the node does, and each is timed from when it was due.
//
//   planned:  0 ── 1/rate ── 2/rate ── 3/rate ──▶           latency of a command = when the consumer has seen its last
//   offered:  ▲      ▲         ▲ ▲                          event − when it was due, not when it was offered: a node
//                              └ late, and timed from its    that stands still for a millisecond makes every command
//                                plan all the same           that was due meanwhile late (no coordinated omission)
//
// Owner: one benchmark; producer and consumer are its thread. Thread safety: none.
// Requires: a node without a clock of its own, so that the n-th event with flag Last answers the n-th command.
#pragma once

#include <algorithm>
#include <cstdint>
#include <thread>

#include "measuring.h"
#include "open_node.h"
#include "wire/event.h"

namespace verbex::bench {

struct Answered {
    uint64_t commands = 0;
    uint64_t tookNs = 0;  // from the first command's plan to the last one's last event
    Durations latency;    // without those offered in the first `warmup` commands
    bool cutOff = false;  // the node was so far behind that the rest was not waited for

    [[nodiscard]] double perSecond() const {
        return static_cast<double>(commands) / seconds(std::max<uint64_t>(tookNs, 1));
    }
};

class OpenLoop {
public:
    // Where threads have no core for themselves, a producer that spins would take it from them.
    OpenLoop(OpenNode& node, bool yields) : node_(node.node()), yields_(yields) {}

    // As fast as the node takes them: everything is due at once.
    Answered saturate(const Command* commands, size_t count) {
        return run(commands, count, 0, count);
    }
    // `perSecond` commands a second. A node that is more than `patienceNs` late with everything ends it.
    Answered offer(const Command* commands, size_t count, uint64_t perSecond, size_t warmup,
                   uint64_t patienceNs = 2'000'000'000) {
        patienceNs_ = patienceNs;
        return run(commands, count, perSecond, warmup);
    }
    // One command at a time: the next one when the last one is answered. Until `count` or `forNs` is over.
    Answered oneByOne(const Command* commands, size_t count, uint64_t forNs) {
        Answered answered;
        const uint64_t began = nowNs();
        uint64_t before = began;
        while (answered.commands < count && before - began < forNs) {
            send(commands + answered.commands, 1);
            while (take([](uint64_t) {}) == 0) rest();
            const uint64_t now = nowNs();
            answered.latency.add(now - before);
            before = now;
            ++answered.commands;
        }
        answered.tookNs = before - began;
        return answered;
    }

private:
    static constexpr uint32_t kOffersMax = 1024;

    Answered run(const Command* commands, size_t count, uint64_t perSecond, size_t warmup) {
        Answered answered;
        const uint64_t began = nowNs();
        const auto planned = [&](uint64_t index) {
            return perSecond == 0 ? began : began + index * 1'000'000'000 / perSecond;
        };
        size_t sent = 0;
        uint64_t now = began;
        while (answered.commands < count) {
            const size_t due =
                perSecond == 0
                    ? count
                    : std::min<uint64_t>(count, (now - began) * perSecond / 1'000'000'000 + 1);
            if (sent < due) sent += send(commands + sent, due - sent);
            const uint64_t done = take([&](uint64_t at) {
                if (answered.commands >= warmup) {
                    answered.latency.add(at - planned(answered.commands));
                }
                ++answered.commands;
            });
            now = nowNs();
            if (done == 0) {
                rest();
                if (perSecond != 0 && now > planned(answered.commands) &&
                    now - planned(answered.commands) > patienceNs_) {
                    break;
                }
            }
        }
        answered.tookNs = now - began;
        // What is not answered is at least as late as now; and the next measurement starts with nothing under way.
        answered.cutOff = answered.commands < count;
        for (uint64_t index = answered.commands; index < sent; ++index) {
            if (index >= warmup && now > planned(index)) answered.latency.add(now - planned(index));
        }
        for (uint64_t left = sent - answered.commands; left > 0;) {
            const uint64_t done = take([](uint64_t) {});
            if (done == 0) rest();
            left -= std::min(left, done);
        }
        return answered;
    }

    size_t send(const Command* commands, size_t count) {
        const node::Engine::Offered offered =
            node_.offer(commands, static_cast<uint32_t>(std::min<size_t>(count, kOffersMax)));
        if (!offered.failure.isOk()) stopWith(offered.failure.message);
        return offered.taken;
    }

    // Looks at every event that is there and calls answered(when) for each command's last one.
    template <typename Each>
    uint64_t take(Each answered) {
        const uint64_t ready = node_.available();
        if (ready == 0) return 0;
        const uint64_t now = nowNs();
        const node::EventRing& ring = node_.events();
        const Event* cells = ring.memory().get();
        const uint64_t mask = ring.cells() - 1;
        uint64_t done = 0;
        for (uint64_t i = 0; i < ready; ++i) {
            if ((cells[(read_ + i) & mask].flags & kEventLast) == 0) continue;
            ++done;
            answered(now);
        }
        read_ += ready;
        if (!node_.release(ready)) stopWith("the event ring takes no cells back");
        return done;
    }

    void rest() const {
        if (yields_) {
            std::this_thread::yield();
            return;
        }
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
    }

    node::Node& node_;
    uint64_t read_ = node_.events().consumed();
    uint64_t patienceNs_ = 0;
    const bool yields_;
};

}  // namespace verbex::bench
