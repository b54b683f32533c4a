// One measurement of a gateway: a server in this process, a client in another one.
//
// Purpose: what gateway_bench measures, so that the bench itself is a list of cases. The client is a child
// process that this program starts as itself ("--client"), so nothing is shared but the sockets.
// Owner: the bench's main thread. Thread safety: none.
//
//   parent: node, gateways ◀── TCP, loopback ──▶ child: LoadGenerator
//          ◀── one byte: counting begins, one byte: it is over, then the figures ── pipe
#pragma once

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "load/load_generator.h"
#include "measuring.h"

extern char** environ;

namespace verbex::bench {

struct LoadCase {
    uint32_t connections = 1000;
    uint64_t ordersPerSecond = 0;  // 0: saturated
    uint32_t window = 32;
    double seconds = 5;
    uint32_t seed = 1;
    uint32_t stalled = 0;  // of the connections
};

// Goes through the pipe as it is.
struct LoadFigures {
    uint64_t answered = 0;
    uint64_t answeredInTime = 0;
    uint64_t entered = 0;
    uint64_t cancels = 0;
    uint64_t rejected = 0;
    uint64_t executions = 0;
    uint64_t unanswered = 0;
    uint64_t elapsedNs = 0;
    uint64_t p50 = 0, p99 = 0, p999 = 0, max = 0;
    uint64_t latestSendNs = 0;
    char failure[256] = {};
};

inline std::string loadUserName(uint32_t number) {
    char text[16];
    std::snprintf(text, sizeof(text), "L%05u", number);
    return text;
}
inline constexpr const char* kLoadPassword = "load";
inline constexpr const char* kLoadSymbol = "LOAD";

// The child: `arguments` are port, connections, rate, window, nanoseconds, seed, pipe, stalled.
inline int runLoadClient(const std::vector<std::string>& arguments) {
    const auto number = [&](size_t i) { return std::strtoull(arguments.at(i).c_str(), nullptr, 10); };
    load::LoadOptions options;
    options.server.port = static_cast<uint16_t>(number(0));
    for (uint32_t i = 1; i <= number(1); i++) options.users.push_back({loadUserName(i), kLoadPassword});
    options.ordersPerSecond = number(2);
    options.window = static_cast<uint32_t>(number(3));
    options.durationNs = number(4);
    options.seed = number(5);
    const int pipe = static_cast<int>(number(6));
    options.stalled = static_cast<uint32_t>(number(7));
    Name name{};
    std::memcpy(&name, kLoadSymbol, std::strlen(kLoadSymbol));
    options.symbols = {symbolOf(name, 1)};
    load::LoadGenerator generator(options);
    Result<load::LoadResult> result = generator.run([pipe](bool) {
        const char mark = 'c';
        (void)!::write(pipe, &mark, 1);
    });
    LoadFigures figures;
    if (result.isOk()) {
        const load::LoadResult& all = result.value();
        figures = {all.answered, all.answeredInTime, all.entered, all.cancels, all.rejected,
                   all.executions, all.unanswered, all.elapsedNs, all.roundTrips.at(500'000),
                   all.roundTrips.at(990'000), all.roundTrips.at(999'000), all.roundTrips.max(),
                   all.latestSendNs, {}};
    } else {
        std::snprintf(figures.failure, sizeof(figures.failure), "%s",
                      result.status().toString().c_str());
        const char marks[2] = {'c', 'c'};
        (void)!::write(pipe, marks, 2);
    }
    return ::write(pipe, &figures, sizeof(figures)) == sizeof(figures) ? 0 : 1;
}

class LoadClient {
public:
    LoadClient(const char* mode, uint16_t port, const LoadCase& what) {
        int ends[2];
        if (::pipe(ends) != 0) stopWith("no pipe");
        read_ = ends[0];
        std::vector<std::string> arguments = {
            "gateway_bench", mode, std::to_string(port), std::to_string(what.connections),
            std::to_string(what.ordersPerSecond), std::to_string(what.window),
            std::to_string(static_cast<uint64_t>(what.seconds * 1e9)), std::to_string(what.seed), std::to_string(ends[1]),
            std::to_string(what.stalled)};
        std::vector<char*> pointers;
        for (std::string& argument : arguments) pointers.push_back(argument.data());
        pointers.push_back(nullptr);
        if (posix_spawn(&process_, "/proc/self/exe", nullptr, nullptr, pointers.data(), environ) != 0) {
            stopWith("the client can't be started");
        }
        ::close(ends[1]);
    }
    ~LoadClient() {
        ::close(read_);
        int status = 0;
        ::waitpid(process_, &status, 0);
    }
    // Blocks until the child's next mark.
    void mark() {
        char mark = 0;
        if (::read(read_, &mark, 1) != 1) stopWith("the client has ended");
    }
    LoadFigures figures() {
        LoadFigures figures;
        size_t got = 0;
        while (got < sizeof(figures)) {
            const ssize_t count =
                ::read(read_, reinterpret_cast<char*>(&figures) + got, sizeof(figures) - got);
            if (count <= 0) stopWith("the client has ended");
            got += static_cast<size_t>(count);
        }
        if (figures.failure[0] != 0) stopWith(std::string("the client: ") + figures.failure);
        return figures;
    }

private:
    pid_t process_ = 0;
    int read_ = -1;
};

}  // namespace verbex::bench
