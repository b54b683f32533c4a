#include "node/rounding_soak.h"

#include <fenv.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <mutex>
#include <thread>
#include <vector>

#include "pipeline/steady_clock.h"
#include "replication/floating_environment.h"

namespace verbex::node {

using pipeline::steadyNs;

namespace {

constexpr uint32_t kThreadsMax = 1024;
constexpr uint64_t kRoundsBetweenLooks = 64;

struct Mode {
    const char* name;
    int value;
};
constexpr std::array<Mode, 4> kModes = {{{"to nearest", FE_TONEAREST},
                                         {"down", FE_DOWNWARD},
                                         {"up", FE_UPWARD},
                                         {"to zero", FE_TOWARDZERO}}};

struct Calculation {
    const char* name;
    double a;
    double b;
    char operation;
    std::array<uint64_t, 4> expected;  // in the order of kModes
};
// The exact sum of the doubles nearest to 0.1 and 0.2 lies halfway between two others: ties go to even.
constexpr std::array<Calculation, 5> kCalculations = {{
    {"1/3", 1, 3, '/',
     {0x3fd5555555555555, 0x3fd5555555555555, 0x3fd5555555555556, 0x3fd5555555555555}},
    {"-1/3", -1, 3, '/',
     {0xbfd5555555555555, 0xbfd5555555555556, 0xbfd5555555555555, 0xbfd5555555555555}},
    {"sqrt(2)", 2, 0, 'r',
     {0x3ff6a09e667f3bcd, 0x3ff6a09e667f3bcc, 0x3ff6a09e667f3bcd, 0x3ff6a09e667f3bcc}},
    {"0.1+0.2", 0.1, 0.2, '+',
     {0x3fd3333333333334, 0x3fd3333333333333, 0x3fd3333333333334, 0x3fd3333333333333}},
    {"1-2^-60", 1, 0x1p-60, '-',
     {0x3ff0000000000000, 0x3fefffffffffffff, 0x3ff0000000000000, 0x3fefffffffffffff}},
}};

// Volatile on both sides, so that it is computed here and now.
uint64_t computed(const Calculation& calculation) {
    const volatile double a = calculation.a;
    const volatile double b = calculation.b;
    volatile double result = 0;
    switch (calculation.operation) {
        case '/': result = a / b; break;
        case '+': result = a + b; break;
        case '-': result = a - b; break;
        default: {
            double root = a;
#if defined(__x86_64__)
            __asm__ volatile("sqrtsd %0, %0" : "+x"(root));
#elif defined(__aarch64__)
            __asm__ volatile("fsqrt %d0, %d0" : "+w"(root));
#else
            root = std::sqrt(root);
#endif
            result = root;
        }
    }
    return std::bit_cast<uint64_t>(static_cast<double>(result));
}

thread_local volatile uint64_t signalsTaken = 0;

// Leaves the mode as it should not be: the kernel is to put back what was interrupted.
void onSignal(int) {
    ::fesetround(signalsTaken % 2 == 0 ? FE_TOWARDZERO : FE_UPWARD);
    signalsTaken = signalsTaken + 1;
}

constexpr std::array<const char*, 5> kInterruptions = {"nothing", "a yield", "a system call",
                                                       "a signal", "a sleep"};

void interrupt(uint64_t which, int signal) {
    switch (which) {
        case 1: ::sched_yield(); break;
        case 2: (void)::syscall(SYS_getppid); break;
        case 3: (void)::pthread_kill(::pthread_self(), signal); break;
        case 4: {
            const timespec moment{0, 1};
            (void)::nanosleep(&moment, nullptr);
            break;
        }
        default: break;
    }
}

class Worker {
public:
    Worker(uint32_t thread, int signal, bool damage) : thread_(thread), signal_(signal), damage_(damage) {}

    void run(const std::atomic<bool>& stop, uint64_t untilNs) {
        const int before = ::fegetround();
        for (uint64_t round = 0; !stop.load(std::memory_order_relaxed); round++) {
            if (round % kRoundsBetweenLooks == 0 && steadyNs() >= untilNs) break;
            oneRound(round);
        }
        ::fesetround(before);
        rusage usage{};
        ::getrusage(RUSAGE_THREAD, &usage);
        result.contextSwitches = static_cast<uint64_t>(usage.ru_nvcsw + usage.ru_nivcsw);
        result.signals = signalsTaken;
    }

    RoundingSoakResult result;

private:
    void oneRound(uint64_t round) {
        const size_t mode = (round + thread_) % kModes.size();
        // Sleeps are rare: they take the time of thousands of calculations.
        const uint64_t which = round % 61 == 0 ? 4 : round % 4;
        ::fesetround(kModes[mode].value);
        const uint64_t environment = replication::floatingEnvironment();
        check(mode, 0);
        interrupt(which, signal_);
        if (damage_ && round == 1000) {
            ::fesetround(kModes[(mode + 1) % kModes.size()].value);
        }
        expect(mode, which, "mode", environment, replication::floatingEnvironment());
        check(mode, which);
    }

    void check(size_t mode, uint64_t after) {
        for (const Calculation& calculation : kCalculations) {
            expect(mode, after, calculation.name, calculation.expected[mode], computed(calculation));
        }
    }

    void expect(size_t mode, uint64_t after, const char* what, uint64_t expected, uint64_t found) {
        result.checks++;
        if (expected == found || result.wrong++ != 0) return;
        result.first = {thread_, ::sched_getcpu(), result.checks, kModes[mode].name,
                        kInterruptions[after], what, expected, found};
    }

    const uint32_t thread_;
    const int signal_;
    const bool damage_;
};

}  // namespace

RoundingSoakResult RoundingSoak::run() {
    const uint32_t cores = std::max(1u, std::thread::hardware_concurrency());
    const uint32_t count = std::min(options_.threads == 0 ? cores * 2 : options_.threads, kThreadsMax);
    const int signal = SIGRTMIN + 7;
    struct sigaction action{};
    struct sigaction before{};
    action.sa_handler = onSignal;
    action.sa_flags = SA_RESTART;
    ::sigaction(signal, &action, &before);
    const uint64_t until = steadyNs() + options_.durationNs;
    std::vector<Worker> workers;
    workers.reserve(count);
    for (uint32_t thread = 0; thread < count; thread++) {
        workers.emplace_back(thread, signal, options_.damage && thread == 0);
    }
    std::vector<std::thread> threads;
    for (Worker& worker : workers) threads.emplace_back([&] { worker.run(stop_, until); });
    for (std::thread& thread : threads) thread.join();
    ::sigaction(signal, &before, nullptr);

    RoundingSoakResult total;
    total.threads = count;
    for (const Worker& worker : workers) {
        if (total.wrong == 0) total.first = worker.result.first;
        total.wrong += worker.result.wrong;
        total.checks += worker.result.checks;
        total.signals += worker.result.signals;
        total.contextSwitches += worker.result.contextSwitches;
    }
    return total;
}

}  // namespace verbex::node
