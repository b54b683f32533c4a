// A world whose rules are broken may end its process: it gets one of its own.
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>

#include "roles/role_world.h"

namespace verbex::roles::test {

std::string whatIsWrong(const WorldOptions& options) {
    int way[2];
    if (pipe(way) != 0) return {};
    std::fflush(nullptr);
    const pid_t child = fork();
    if (child < 0) return {};
    if (child == 0) {
        close(way[0]);
        const std::string wrong = World(options).run();
        size_t written = 0;
        while (written < wrong.size()) {
            const ssize_t more = write(way[1], wrong.data() + written, wrong.size() - written);
            if (more <= 0) break;
            written += static_cast<size_t>(more);
        }
        _exit(0);
    }
    close(way[1]);
    std::string wrong;
    std::array<char, 4096> piece;
    for (ssize_t got = 0; (got = read(way[0], piece.data(), piece.size())) > 0;) {
        wrong.append(piece.data(), static_cast<size_t>(got));
    }
    close(way[0]);
    int status = 0;
    if (waitpid(child, &status, 0) == child && WIFSIGNALED(status)) {
        return "it has ended with signal " + std::to_string(WTERMSIG(status));
    }
    return wrong;
}

}  // namespace verbex::roles::test
