// ControlBridge: a control store whose work is done elsewhere: by TypeScript over etcd, say.
//
// Purpose: hands a member's requests to another thread and its answers back.
// Owner: MemberHost; shared with whoever answers.
// Thread safety: any thread.
// Invariants:
//   1. Requests leave in order; an answer reaches the member at its next poll().
// Requires: onRequest and onAnswer call nothing of the member's.
#pragma once

#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "replication/control_store.h"

namespace verbex::node {

struct ControlRequest {
    uint64_t request = 0;
    bool swap = false;
    uint64_t expected = 0;
    std::string text;
};

class ControlBridge final : public replication::ControlStore {
public:
    // onRequest: something waits to be taken. onAnswer: something waits for the member.
    ControlBridge(std::function<void()> onRequest, std::function<void()> onAnswer)
        : onRequest_(std::move(onRequest)), onAnswer_(std::move(onAnswer)) {}

    // ---- member
    void read(uint64_t request) override { ask({request, false, 0, {}}); }
    void compareAndSwap(uint64_t request, uint64_t expected, const std::string& text) override {
        ask({request, true, expected, text});
    }
    bool poll(replication::ControlAnswer& answer) override {
        const std::lock_guard guard(mutex_);
        if (answers_.empty()) return false;
        answer = std::move(answers_.front());
        answers_.pop_front();
        return true;
    }

    // ---- whoever does the work
    std::vector<ControlRequest> take() {
        const std::lock_guard guard(mutex_);
        return std::exchange(requests_, {});
    }
    void answer(replication::ControlAnswer answer) {
        {
            const std::lock_guard guard(mutex_);
            answers_.push_back(std::move(answer));
        }
        onAnswer_();
    }

private:
    void ask(ControlRequest request) {
        {
            const std::lock_guard guard(mutex_);
            requests_.push_back(std::move(request));
        }
        onRequest_();
    }

    const std::function<void()> onRequest_;
    const std::function<void()> onAnswer_;
    std::mutex mutex_;
    std::vector<ControlRequest> requests_;
    std::deque<replication::ControlAnswer> answers_;
};

}  // namespace verbex::node
