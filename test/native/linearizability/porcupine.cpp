#include "linearizability/porcupine.h"

#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace verbex::linearizability {

namespace {

std::string output(const std::string& command) {
    std::string text;
    FILE* const pipe = popen(command.c_str(), "r");
    if (pipe == nullptr) return text;
    std::array<char, 256> some{};
    while (fgets(some.data(), some.size(), pipe) != nullptr) text += some.data();
    pclose(pipe);
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text;
}

}  // namespace

// Built beside the tests, under a name of this process first: two binaries may do it at once.
Porcupine::Porcupine() {
    namespace fs = std::filesystem;
    const fs::path sources = fs::absolute(fs::path(__FILE__).parent_path() / "porcupine");
    const fs::path here = fs::read_symlink("/proc/self/exe").parent_path();
    program_ = (here / "porcupine").string();
    std::error_code failed;
    const auto isNewer = [&](const char* file) {
        return fs::last_write_time(sources / file, failed) > fs::last_write_time(program_, failed);
    };
    if (fs::exists(program_) && !isNewer("main.go") && !isNewer("go.mod")) return;
    if (output("command -v go").empty()) {
        why_ = "needs go (golang-go)";
        return;
    }
    const std::string fresh = program_ + "-" + std::to_string(getpid());
    const std::string said = output("cd '" + sources.string() +
                                    "' && GOTOOLCHAIN=local GOFLAGS=-mod=readonly timeout 240 go build -o '" +
                                    fresh + "' . 2>&1");
    fs::rename(fresh, program_, failed);
    if (failed) why_ = "go build: " + said;
}

std::string Porcupine::judge(const BookHistory& history) const {
    std::string pattern = (std::filesystem::temp_directory_path() / "verbex-history-XXXXXX").string();
    const int file = mkstemp(pattern.data());
    if (file < 0) return "";
    close(file);
    std::ofstream(pattern) << toLines(history);
    const std::string said = output("'" + program_ + "' '" + pattern + "' 2>&1");
    std::filesystem::remove(pattern);
    return said;
}

}  // namespace verbex::linearizability
