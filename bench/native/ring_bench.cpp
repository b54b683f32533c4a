// The ring alone: cells handed over between threads.
//
//   handoff-1-1   P ──▶ [ ring ] ──▶ C                       one producer hands cells to one consumer
//   chain-1-3     P ──▶ [ ring ] ──▶ S1 ──▶ S2 ──▶ S3        one producer through a chain of three
//                                                            (each sees a cell only after the one before)
//   handoff-3-1   P1 P2 P3 ──▶ [ ring ] ──▶ C                three producers to one consumer
//   ping-pong     A ──▶ [ ring ] ──▶ B ──▶ [ ring ] ──▶ A    there and back, one cell under way
//
//   P, C, S  threads; each waits by looking (Wait, kSpinForEver), and offers its core to others from the first look
//            on where there are more threads than cores
//
// Cells of 128 bytes (a command): all 16 words are written by the producer and read by every stage. Cells of 64 bytes
// (ids that end in -64): one word is written and read, as in the usual benchmarks of such rings. Producers claim,
// fill and release `batch` cells at a time (1: the price of a hand-off; a consumer takes whatever has arrived).
// Throughput is the median of the runs, from the first claim until the last stage is done with the last cell. Every run
// checks the sum of all that was read. Latency is that of the ping-pong's round trip, two hand-offs, by the time stamp
// counter (the cost of reading it is included), over all runs. Closed loop. Nothing is pinned.
//
// All of it is the travel of cache lines between two cores, so the ping-pong says what kind of machine this is: about
// 100 ns where both threads share a core, 150 within a cluster of cores, several times that across clusters or sockets,
// and a virtual machine may change from one to the other while it runs. Compare only what ran side by side.
//
//   ring_bench [--operations N] [--runs N] [--seed S] [--case ID] [--batch N] [--cells N] [--json]
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "pipeline/barrier.h"
#include "pipeline/busy_time.h"
#include "pipeline/ring.h"
#include "pipeline/wait.h"

namespace verbex::bench {
namespace {

using namespace pipeline;

struct Settings {
    uint64_t operations = 20'000'000;
    uint32_t runs = 5;
    uint64_t seed = 1;
    uint32_t batch = 1;
    uint32_t cells = 65536;
    std::string only;
    bool json = false;
};

// What a command is: two lines, all of them used.
struct alignas(64) WideCell {
    static constexpr bool kWide = true;
    uint64_t words[16];

    void fill(uint64_t value) {
        for (uint64_t& word : words) word = value;
    }
    [[nodiscard]] uint64_t read() const {
        uint64_t sum = 0;
        for (const uint64_t word : words) sum += word;
        return sum;
    }
};

// One word in a line of its own.
struct alignas(64) NarrowCell {
    static constexpr bool kWide = false;
    uint64_t word;

    void fill(uint64_t value) { word = value; }
    [[nodiscard]] uint64_t read() const { return word; }
};

static_assert(sizeof(WideCell) == 128 && sizeof(NarrowCell) == 64);

struct Figures {
    double opsPerSecond = 0;
    bool timed = false;
    double p50 = 0, p99 = 0, p999 = 0, max = 0;  // nanoseconds
};

struct Case {
    const char* id;
    const char* name;
    const char* topology;
    uint32_t threads;
    uint32_t cellBytes;
    Figures (*measure)(const Settings& settings, uint32_t threads);
};

// Looks until `ready`; one for each thread.
class Look {
public:
    explicit Look(uint32_t threads) : wait_(kSpinForEver, threads > usableCores()) {}

    template <typename Ready>
    void until(Ready&& ready) {
        wait_.until(bell_, Doorbell::kForEver, ready);
    }

private:
    Doorbell bell_{false};
    Wait wait_;
};

[[noreturn]] void stopWith(const char* what) {
    std::fprintf(stderr, "ring_bench: %s\n", what);
    std::exit(1);
}

template <typename Ring>
void produce(Ring& ring, const Settings& settings, uint64_t count, uint32_t threads) {
    Look look(threads);
    uint64_t value = settings.seed;
    for (uint64_t done = 0; done < count;) {
        const auto wanted = static_cast<uint32_t>(std::min<uint64_t>(settings.batch, count - done));
        Claim claim = ring.claim(wanted);
        if (claim.count == 0) {
            look.until([&] { return (claim = ring.claim(wanted)).count != 0; });
        }
        for (uint64_t at = claim.first; at < claim.end(); at++) ring.at(at).fill(value++);
        ring.release(claim);
        done += claim.count;
    }
}

// Reads `count` cells as `available` shows them; the sum of what was read.
template <typename Ring, typename Available, typename Done>
uint64_t consume(Ring& ring, uint64_t count, uint32_t threads, Available&& available, Done&& done) {
    Look look(threads);
    uint64_t sum = 0;
    for (uint64_t next = 0; next < count;) {
        uint64_t end = available(next);
        if (end == next) look.until([&] { return (end = available(next)) != next; });
        for (; next < end; next++) sum += ring.at(next).read();
        done(next);
    }
    return sum;
}

// What `producers` of `count` cells each put in.
template <typename Cell>
uint64_t expectedSum(const Settings& settings, uint64_t producers, uint64_t count) {
    const uint64_t one = count * settings.seed + count * (count - 1) / 2;
    return one * producers * (Cell::kWide ? 16 : 1);
}

template <typename Run>
double medianRate(const Settings& settings, uint64_t operations, Run&& run) {
    std::vector<double> rates;
    for (uint32_t i = 0; i < settings.runs; i++) {
        rates.push_back(static_cast<double>(operations) / run());
    }
    std::sort(rates.begin(), rates.end());
    return rates[rates.size() / 2];
}

double secondsSince(std::chrono::steady_clock::time_point begin) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// All threads are there before the clock starts.
class Start {
public:
    explicit Start(uint32_t threads) : missing_(threads) {}
    void arrive() {
        missing_.fetch_sub(1, std::memory_order_acq_rel);
        while (missing_.load(std::memory_order_acquire) != 0) std::this_thread::yield();
    }

private:
    std::atomic<uint32_t> missing_;
};

template <template <typename> typename Ring, typename Cell, uint32_t kProducers>
Figures handOff(const Settings& settings, uint32_t threads) {
    const uint64_t each = settings.operations / kProducers;
    const uint64_t total = each * kProducers;
    Figures figures;
    figures.opsPerSecond = medianRate(settings, total, [&] {
        Ring<Cell> ring(settings.cells);
        ring.touchAll();
        Start start(threads);
        std::vector<std::thread> producers;
        for (uint32_t i = 0; i < kProducers; i++) {
            producers.emplace_back([&] {
                start.arrive();
                produce(ring, settings, each, threads);
            });
        }
        start.arrive();
        const auto begin = std::chrono::steady_clock::now();
        const uint64_t sum = consume(
            ring, total, threads, [&](uint64_t next) { return ring.available(next); },
            [&](uint64_t end) { ring.free(end); });
        const double took = secondsSince(begin);
        for (std::thread& producer : producers) producer.join();
        if (sum != expectedSum<Cell>(settings, kProducers, each)) stopWith("the sum is wrong");
        return took;
    });
    return figures;
}

template <typename Cell>
Figures chain(const Settings& settings, uint32_t threads) {
    const uint64_t count = settings.operations;
    Figures figures;
    figures.opsPerSecond = medianRate(settings, count, [&] {
        SingleProducerRing<Cell> ring(settings.cells);
        ring.touchAll();
        Start start(threads);
        Cursor first;
        Cursor second;
        uint64_t sums[3];
        std::vector<std::thread> others;
        others.emplace_back([&] {
            start.arrive();
            produce(ring, settings, count, threads);
        });
        others.emplace_back([&] {
            start.arrive();
            sums[0] = consume(
                ring, count, threads, [&](uint64_t next) { return ring.available(next); },
                [&](uint64_t end) { first.set(end); });
        });
        others.emplace_back([&] {
            start.arrive();
            Barrier barrier({&first});
            sums[1] = consume(
                ring, count, threads, [&](uint64_t next) { return barrier.available(next); },
                [&](uint64_t end) { second.set(end); });
        });
        Barrier barrier({&second});
        start.arrive();
        const auto begin = std::chrono::steady_clock::now();
        sums[2] = consume(
            ring, count, threads, [&](uint64_t next) { return barrier.available(next); },
            [&](uint64_t end) { ring.free(end); });
        const double took = secondsSince(begin);
        for (std::thread& other : others) other.join();
        for (const uint64_t sum : sums) {
            if (sum != expectedSum<Cell>(settings, 1, count)) stopWith("the sum is wrong");
        }
        return took;
    });
    return figures;
}

// Sends the cells of `from` on into `to`.
template <typename Ring>
void echo(Ring& from, Ring& to, uint64_t count, uint32_t threads) {
    Look look(threads);
    for (uint64_t next = 0; next < count; next++) {
        look.until([&] { return from.available(next) != next; });
        const Claim claim = to.claim(1);
        to.at(claim.first).fill(from.at(next).words[0]);
        to.release(claim);
        from.free(next + 1);
    }
}

Figures pingPong(const Settings& settings, uint32_t threads) {
    using Ring = SingleProducerRing<WideCell>;
    // A twentieth of the operations: a round trip is that much dearer than a hand-off in a stream.
    const uint64_t rounds = std::max<uint64_t>(settings.operations / 20, 1);
    std::vector<uint64_t> times;
    times.reserve(rounds * settings.runs);
    const auto begin = std::chrono::steady_clock::now();
    const uint64_t firstTick = cpuTicks();
    Figures figures;
    figures.opsPerSecond = medianRate(settings, rounds, [&] {
        Ring there(1024);
        Ring back(1024);
        Start start(threads);
        std::thread other([&] {
            start.arrive();
            echo(there, back, rounds, threads);
        });
        Look look(threads);
        start.arrive();
        const auto started = std::chrono::steady_clock::now();
        for (uint64_t i = 0; i < rounds; i++) {
            const uint64_t before = cpuTicks();
            const Claim claim = there.claim(1);
            there.at(claim.first).fill(settings.seed + i);
            there.release(claim);
            look.until([&] { return back.available(i) != i; });
            if (back.at(i).read() != (settings.seed + i) * 16) stopWith("another cell came back");
            back.free(i + 1);
            times.push_back(cpuTicks() - before);
        }
        const double took = secondsSince(started);
        other.join();
        return took;
    });
    const double nanoseconds =
        secondsSince(begin) * 1e9 / static_cast<double>(cpuTicks() - firstTick);
    std::sort(times.begin(), times.end());
    const auto at = [&](double share) {
        return static_cast<double>(
                   times[static_cast<size_t>(share * static_cast<double>(times.size() - 1))]) *
               nanoseconds;
    };
    figures.timed = true;
    figures.p50 = at(0.5);
    figures.p99 = at(0.99);
    figures.p999 = at(0.999);
    figures.max = at(1.0);
    return figures;
}

constexpr const char* kOneToOne = "one producer hands cells to one consumer";
constexpr const char* kChain = "one producer through a chain of three";
constexpr const char* kManyToOne = "three producers to one consumer";

const Case kCases[] = {
    {"handoff-1-1", kOneToOne, "1→1", 2, 128, handOff<SingleProducerRing, WideCell, 1>},
    {"handoff-1-1-64", kOneToOne, "1→1", 2, 64, handOff<SingleProducerRing, NarrowCell, 1>},
    {"chain-1-3", kChain, "1→3", 4, 128, chain<WideCell>},
    {"chain-1-3-64", kChain, "1→3", 4, 64, chain<NarrowCell>},
    {"handoff-3-1", kManyToOne, "3→1", 4, 128, handOff<MultiProducerRing, WideCell, 3>},
    {"handoff-3-1-64", kManyToOne, "3→1", 4, 64, handOff<MultiProducerRing, NarrowCell, 3>},
    {"ping-pong", "a cell goes to another thread and back", "1⇄1", 2, 128, pingPong},
};

void print(const Settings& settings, bool* first, const Case& one, const Figures& figures) {
    if (settings.json) {
        std::printf("%s{\"id\":\"%s\",\"name\":\"%s\",\"topology\":\"%s\",\"threads\":%u,"
                    "\"cellBytes\":%u,\"opsPerSecond\":%.0f",
                    *first ? "" : ",", one.id, one.name, one.topology, one.threads, one.cellBytes,
                    figures.opsPerSecond);
        if (figures.timed) {
            std::printf(",\"measured\":\"round trip\",\"p50Ns\":%.0f,\"p99Ns\":%.0f,"
                        "\"p999Ns\":%.0f,\"maxNs\":%.0f",
                        figures.p50, figures.p99, figures.p999, figures.max);
        }
        std::printf("}");
    } else {
        std::printf("%-15s %3u bytes %8.2f M/s", one.id, one.cellBytes, figures.opsPerSecond / 1e6);
        if (figures.timed) {
            std::printf("   round trip p50 %4.0f  p99 %5.0f  p99.9 %6.0f  max %9.0f ns", figures.p50,
                        figures.p99, figures.p999, figures.max);
        } else {
            std::printf("   %s", one.name);
        }
        std::printf("\n");
    }
    *first = false;
    std::fflush(stdout);
}

int run(const Settings& settings) {
    bool first = true;
    if (settings.json) std::printf("{\"cases\":[");
    for (const Case& one : kCases) {
        if (!settings.only.empty() && settings.only != one.id) continue;
        std::fprintf(stderr, "ring_bench: %s …\n", one.id);
        print(settings, &first, one, one.measure(settings, one.threads));
    }
    if (settings.json) {
        std::printf("],\"operations\":%llu,\"runs\":%u,\"seed\":%llu,\"batch\":%u,\"cells\":%u,"
                    "\"cores\":%u,\"compiler\":\"%s\"}\n",
                    static_cast<unsigned long long>(settings.operations), settings.runs,
                    static_cast<unsigned long long>(settings.seed), settings.batch, settings.cells,
                    usableCores(), __VERSION__);
    }
    if (!first) return 0;
    std::fprintf(stderr, "ring_bench: there is no case %s\n", settings.only.c_str());
    return 2;
}

}  // namespace
}  // namespace verbex::bench

int main(int count, char** arguments) {
    verbex::bench::Settings settings;
    for (int i = 1; i < count; ++i) {
        const std::string flag = arguments[i];
        const auto value = [&]() -> const char* { return i + 1 < count ? arguments[++i] : "0"; };
        const auto number = [&] { return std::strtoull(value(), nullptr, 10); };
        if (flag == "--json") {
            settings.json = true;
        } else if (flag == "--operations") {
            settings.operations = number();
        } else if (flag == "--runs") {
            settings.runs = static_cast<uint32_t>(number());
        } else if (flag == "--seed") {
            settings.seed = number();
        } else if (flag == "--batch") {
            settings.batch = static_cast<uint32_t>(number());
        } else if (flag == "--cells") {
            settings.cells = static_cast<uint32_t>(number());
        } else if (flag == "--case") {
            settings.only = value();
        } else {
            std::fprintf(stderr, "usage: ring_bench [--operations N] [--runs N] [--seed S] [--case ID] "
                                 "[--batch N] [--cells N] [--json]\n");
            return 2;
        }
    }
    if (settings.operations < 3 || settings.runs == 0 || settings.batch == 0 ||
        !std::has_single_bit(settings.cells)) {
        std::fprintf(stderr, "ring_bench: --operations from 3, --runs and --batch from 1, "
                             "--cells a power of two\n");
        return 2;
    }
    return verbex::bench::run(settings);
}
