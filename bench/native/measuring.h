// What every native benchmark measures with: clocks, the median, counts of durations, options in, answers out.
//
// Owner: the benchmark's main thread, but for the clocks, which are pure. Floating point is used freely: this
// is not part of the engine.
// Thread safety: none, but for the clocks.
//
// A benchmark prints one object on its last line: {"cases":[{"name":…,…},…],"runs":…,…}. Names of figures end in
// their unit: opsPerSecond, p99Ns, snapshotMs, bytesPerOrder.
#pragma once

#include <time.h>

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace verbex::bench {

[[noreturn]] inline void stopWith(const std::string& what) {
    std::fprintf(stderr, "bench: %s\n", what.c_str());
    std::exit(1);
}

// ---- clocks

inline uint64_t clockNs(clockid_t clock) {
    timespec now{};
    clock_gettime(clock, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

inline uint64_t nowNs() { return clockNs(CLOCK_MONOTONIC); }

// The time stamp counter: 10 to 20 ns a reading.
inline uint64_t ticks() {
#if defined(__x86_64__)
    uint32_t lo, hi;
    __asm__ volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi)::"memory");
    return uint64_t{hi} << 32 | lo;
#else
    uint64_t value;
    __asm__ volatile("isb; mrs %0, cntvct_el0" : "=r"(value)::"memory");
    return value;
#endif
}

inline double nanosecondsPerTick() {
    const uint64_t began = nowNs();
    const uint64_t first = ticks();
    while (nowNs() - began < 50'000'000) {
    }
    const uint64_t last = ticks();
    return static_cast<double>(nowNs() - began) / static_cast<double>(last - first);
}

inline double seconds(uint64_t ns) { return static_cast<double>(ns) / 1e9; }
inline double ms(uint64_t ns) { return static_cast<double>(ns) / 1e6; }
inline double us(uint64_t ns) { return static_cast<double>(ns) / 1e3; }

// 1234567 to "1,234,567".
inline std::string grouped(uint64_t number) {
    const std::string digits = std::to_string(number);
    std::string text;
    for (size_t i = 0; i < digits.size(); ++i) {
        if (i > 0 && (digits.size() - i) % 3 == 0) text += ',';
        text += digits[i];
    }
    return text;
}

// ---- many measurements, one figure

template <typename Value>
Value median(std::vector<Value> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

// Counts of durations, 64 steps to each doubling: within 1.6%. The largest is kept exactly.
class Durations {
public:
    void add(uint64_t ns) {
        ++counts_[bucket(ns)];
        ++total_;
        max_ = std::max(max_, ns);
    }
    [[nodiscard]] uint64_t max() const { return max_; }
    [[nodiscard]] uint64_t total() const { return total_; }
    // The duration that `share` of all do not exceed.
    [[nodiscard]] uint64_t at(double share) const {
        const auto wanted = static_cast<uint64_t>(share * static_cast<double>(total_));
        uint64_t seen = 0;
        for (size_t i = 0; i < counts_.size(); ++i) {
            seen += counts_[i];
            if (seen > wanted) return std::min(value(i), max_);
        }
        return max_;
    }

private:
    static constexpr uint32_t kSteps = 64;

    static size_t bucket(uint64_t ns) {
        if (ns < kSteps) return ns;
        const int shift = static_cast<int>(std::bit_width(ns)) - static_cast<int>(std::bit_width(kSteps));
        return static_cast<size_t>(shift + 1) * kSteps + ((ns >> shift) & (kSteps - 1));
    }
    static uint64_t value(size_t bucket) {
        if (bucket < kSteps) return bucket;
        return (kSteps + bucket % kSteps) << (bucket / kSteps - 1);
    }

    std::array<uint32_t, 60 * kSteps> counts_{};
    uint64_t total_ = 0;
    uint64_t max_ = 0;
};

// ---- options in

// `--name VALUE` and switches, in any order; anything else stops the program with its usage and code 2.
class Options {
public:
    explicit Options(std::string program) : program_(std::move(program)) { flag("json", &json_); }

    Options& count(const char* name, uint32_t* value, uint32_t least = 1) {
        return add(name, "N", [this, name, value, least](const char* text) {
            char* end = nullptr;
            const unsigned long long number = std::strtoull(text, &end, 10);
            if (*text < '0' || *text > '9' || *end != 0 || number < least || number > UINT32_MAX) {
                refuse(std::string("--") + name + " is no whole number from " +
                       std::to_string(least) + " on: " + text);
            }
            *value = static_cast<uint32_t>(number);
        });
    }
    // Of time, with decimals or without.
    Options& seconds(const char* name, double* value) {
        return add(name, "N", [this, name, value](const char* text) {
            char* end = nullptr;
            const double number = std::strtod(text, &end);
            if (*text < '0' || *text > '9' || *end != 0 || !(number >= 0.001 && number <= 86'400)) {
                refuse(std::string("--") + name + " is no time from 0.001 to 86400 s: " + text);
            }
            *value = number;
        });
    }
    Options& text(const char* name, const char* what, std::string* value) {
        return add(name, what, [value](const char* text) { *value = text; });
    }
    // One of these; `value` holds the default.
    Options& choice(const char* name, std::vector<std::string> choices, std::string* value) {
        std::string what;
        for (const std::string& one : choices) what += (what.empty() ? "" : "|") + one;
        return add(name, what, [this, name, choices, value](const char* text) {
            if (std::find(choices.begin(), choices.end(), text) == choices.end()) {
                refuse(std::string("--") + name + " knows no " + text);
            }
            *value = text;
        });
    }
    Options& flag(const char* name, bool* value) {
        return add(name, "", [value](const char*) { *value = true; });
    }

    void read(int count, char** arguments) const {
        for (int i = 1; i < count; ++i) {
            const std::string given = arguments[i];
            const auto found =
                std::find_if(all_.begin(), all_.end(),
                             [&given](const Option& option) { return "--" + option.name == given; });
            if (found == all_.end()) refuse("there is no option " + given);
            if (found->what.empty()) {
                found->take("");
                continue;
            }
            if (i + 1 == count) refuse(given + " needs a value");
            found->take(arguments[++i]);
        }
    }

    [[nodiscard]] bool json() const { return json_; }
    [[nodiscard]] const std::string& program() const { return program_; }

private:
    struct Option {
        std::string name;
        std::string what;  // "": a switch
        std::function<void(const char*)> take;
    };

    Options& add(std::string name, std::string what, std::function<void(const char*)> take) {
        all_.push_back({std::move(name), std::move(what), std::move(take)});
        return *this;
    }
    [[noreturn]] void refuse(const std::string& why) const {
        std::string usage = "usage: " + program_;
        for (const Option& option : all_) {
            usage += " [--" + option.name + (option.what.empty() ? "" : " " + option.what) + "]";
        }
        std::fprintf(stderr, "%s: %s\n%s\n", program_.c_str(), why.c_str(), usage.c_str());
        std::exit(2);
    }

    std::string program_;
    std::vector<Option> all_;
    bool json_ = false;
};

// ---- answers out

inline constexpr const char* kCompiler =
#if defined(__clang__)
    __VERSION__;  // names itself
#else
    "g++ " __VERSION__;
#endif

// One flat JSON object, its members in the order in which they came.
class Figures {
public:
    Figures& add(const char* name, const std::string& text) {
        std::string escaped;
        for (const char character : text) {
            if (character == '"' || character == '\\') escaped += '\\';
            escaped += character;
        }
        return member(name, "\"" + escaped + "\"");
    }
    Figures& add(const char* name, const char* text) { return add(name, std::string(text)); }
    Figures& add(const char* name, bool value) { return member(name, value ? "true" : "false"); }
    Figures& add(const char* name, uint64_t value) { return member(name, std::to_string(value)); }
    Figures& add(const char* name, uint32_t value) { return member(name, std::to_string(value)); }
    Figures& add(const char* name, double value, int digits = 0) {
        char text[64];
        std::snprintf(text, sizeof(text), "%.*f", digits, value);
        return member(name, text);
    }
    // p50Ns, p90Ns, p99Ns, p999Ns, p9999Ns, maxNs.
    Figures& add(const Durations& durations) {
        add("p50Ns", durations.at(0.5));
        add("p90Ns", durations.at(0.9));
        add("p99Ns", durations.at(0.99));
        add("p999Ns", durations.at(0.999));
        add("p9999Ns", durations.at(0.9999));
        return add("maxNs", durations.max());
    }

    [[nodiscard]] std::string json() const { return "{" + members_ + "}"; }
    [[nodiscard]] const std::string& members() const { return members_; }
    [[nodiscard]] const std::string& line() const { return line_; }

private:
    Figures& member(const char* name, const std::string& value) {
        members_ += (members_.empty() ? "\"" : ",\"") + std::string(name) + "\":" + value;
        line_ += (line_.empty() ? "" : "  ") + std::string(name) + " " + value;
        return *this;
    }
    std::string members_;
    std::string line_;
};

// Prints the cases as they come: one object of all of them with --json, otherwise a line each.
class Answers {
public:
    explicit Answers(const Options& options) : options_(options) {
        if (options_.json()) std::printf("{\"cases\":[");
    }
    void add(const Figures& figures) {
        if (options_.json()) {
            std::printf("%s%s", first_ ? "" : ",", figures.json().c_str());
        } else {
            std::printf("%s\n", figures.line().c_str());
        }
        first_ = false;
        std::fflush(stdout);
    }
    // What holds for all cases, and where they were measured.
    void end(Figures figures) {
        figures.add("cores", static_cast<uint32_t>(std::thread::hardware_concurrency()))
            .add("compiler", kCompiler);
        if (options_.json()) std::printf("],%s}\n", figures.members().c_str());
    }
    // On the way: standard error.
    void say(const std::string& what) const {
        std::fprintf(stderr, "%s: %s …\n", options_.program().c_str(), what.c_str());
    }

private:
    const Options& options_;
    bool first_ = true;
};

}  // namespace verbex::bench
