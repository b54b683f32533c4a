// Two ends of a queue pair on this machine's RDMA device, for the tests that need one.
//
// Skips where there is no device, and fails there if VERBEX_REQUIRE_VERBS=1.
// VERBEX_RDMA_DEVICE and VERBEX_RDMA_GID_INDEX say which to take; otherwise it is chosen.
#pragma once

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <sys/mman.h>
#include <utility>

#include "transport/verbs/verbs_library.h"
#include "transport/verbs/verbs_queue.h"

namespace verbex::transport {

// Pages of their own, not touched before somebody writes into them.
class Pages {
public:
    explicit Pages(size_t size) : size_(size) {
        void* mapped =
            ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        data_ = mapped == MAP_FAILED ? nullptr : static_cast<std::byte*>(mapped);
    }
    ~Pages() {
        if (data_ != nullptr) ::munmap(data_, size_);
    }
    Pages(const Pages&) = delete;
    Pages& operator=(const Pages&) = delete;

    [[nodiscard]] std::byte* data() const { return data_; }
    [[nodiscard]] size_t size() const { return size_; }
    [[nodiscard]] VerbsRegion region() const { return {data_, size_}; }
    // What the device wrote, which the compiler knows nothing of.
    [[nodiscard]] uint64_t word(size_t offset) const {
        return __atomic_load_n(reinterpret_cast<const uint64_t*>(data_ + offset), __ATOMIC_ACQUIRE);
    }
    void setWord(size_t offset, uint64_t value) {
        std::memcpy(data_ + offset, &value, sizeof(value));
    }

private:
    std::byte* data_ = nullptr;
    size_t size_ = 0;
};

struct End {
    explicit End(size_t bytes) : End(bytes, bytes) {}
    End(size_t receiveBytes, size_t sendBytes) : receive(receiveBytes), send(sendBytes) {}

    Status open(const VerbsOptions& options) {
        Result<std::unique_ptr<VerbsQueue>> opened =
            VerbsQueue::open(options, receive.region(), send.region());
        if (!opened.isOk()) return opened.status();
        queue = opened.take();
        return {};
    }

    Pages receive;
    Pages send;
    std::unique_ptr<VerbsQueue> queue;  // goes before its regions
};

// Far more than anything takes; what is waited for is a fact, never a time.
inline constexpr std::chrono::seconds kAtMost{30};

template <typename Condition>
bool waitFor(Condition&& condition) {
    const auto end = std::chrono::steady_clock::now() + kAtMost;
    while (!condition())
        if (std::chrono::steady_clock::now() > end) return false;
    return true;
}

// Polls the queue until the condition holds.
template <typename Condition>
bool pollUntil(VerbsQueue& queue, Condition&& condition) {
    return waitFor([&] {
        queue.poll();
        return condition();
    });
}

class VerbsDeviceTest : public testing::Test {
protected:
    static constexpr size_t kBytes = 64 * 1024;

    void SetUp() override {
        const VerbsAvailability availability = verbsAvailability();
        if (availability.obstacle == VerbsObstacle::None) return;
        const char* required = std::getenv("VERBEX_REQUIRE_VERBS");
        if (required != nullptr && std::string(required) == "1")
            FAIL() << availability.status.toString();
        GTEST_SKIP() << availability.status.toString();
    }

    static VerbsOptions options() {
        VerbsOptions options;
        options.appearMs = 10000;
        if (const char* device = std::getenv("VERBEX_RDMA_DEVICE")) options.device = device;
        if (const char* index = std::getenv("VERBEX_RDMA_GID_INDEX"))
            options.gidIndex = std::atoi(index);
        return options;
    }

    // Opens both ends and connects them; `there` may pretend to be something else than it is.
    static void connect(End& here, End& there, const VerbsOptions& options,
                        void (*forge)(VerbsEndpoint&) = nullptr) {
        ASSERT_EQ(here.open(options).toString(), "OK");
        ASSERT_EQ(there.open(options).toString(), "OK");
        VerbsEndpoint shown = there.queue->local();
        if (forge != nullptr) forge(shown);
        ASSERT_EQ(here.queue->connect(shown).toString(), "OK");
        ASSERT_EQ(there.queue->connect(here.queue->local()).toString(), "OK");
    }
};

}  // namespace verbex::transport
