// What the pipeline's tests share: a cell that shows whether it was handed over whole, seeded
// random numbers, and stages made of lambdas.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <functional>
#include <gtest/gtest.h>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "pipeline/stage_thread.h"

namespace verbex::pipeline {

// Two cache lines whose first and last words are written and read: a cell that is seen too early,
// or overwritten too early, disagrees with itself.
struct alignas(64) TestCell {
    uint64_t producer;
    uint64_t number;
    uint64_t filler[13];
    uint64_t check;

    void fill(uint64_t from, uint64_t count) {
        producer = from;
        number = count;
        check = (from << 56) ^ ~count;
    }
    [[nodiscard]] bool whole() const { return check == ((producer << 56) ^ ~number); }
};
static_assert(sizeof(TestCell) == 128);

// SplitMix64: any seed is as good as any other.
class Random {
public:
    explicit Random(uint64_t seed) : state_(seed) {}
    uint64_t next() {
        uint64_t x = state_ += 0x9E3779B97F4A7C15;
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
        x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
        return x ^ (x >> 31);
    }
    uint64_t below(uint64_t end) { return next() % end; }

private:
    uint64_t state_;
};

// The seeds of a property; VERBEX_SEED=<seed> runs that one alone.
inline std::vector<uint64_t> seedsUpTo(uint64_t count) {
    if (const char* chosen = std::getenv("VERBEX_SEED")) {
        return {std::strtoull(chosen, nullptr, 10)};
    }
    std::vector<uint64_t> seeds;
    for (uint64_t seed = 1; seed <= count; seed++) seeds.push_back(seed);
    return seeds;
}

inline std::string rerun(uint64_t seed) {
    return "rerun with VERBEX_SEED=" + std::to_string(seed);
}

// Looks again and again, and lets others have the core: tests run on any number of them.
template <typename Done>
void spinUntil(Done&& done) {
    for (int looks = 0; !done(); looks++) {
        if (looks % 64 == 63) {
            std::this_thread::yield();
        } else {
            relax();
        }
    }
}

class LambdaStage final : public Stage {
public:
    LambdaStage(std::function<bool()> step, std::function<bool()> ready)
        : step_(std::move(step)), ready_(std::move(ready)) {}
    ~LambdaStage() = default;
    bool step() override { return step_(); }
    bool ready() override { return ready_(); }

private:
    std::function<bool()> step_;
    std::function<bool()> ready_;
};

}  // namespace verbex::pipeline
