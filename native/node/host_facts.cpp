#include "node/host_facts.h"

#include <sys/utsname.h>

#include <cstdio>
#include <fstream>

#include "base/json_string.h"
#include "replication/floating_environment.h"

namespace verbex::node {

namespace {

std::string valueIn(const std::string& line) {
    const size_t colon = line.find(':');
    const size_t from = colon == std::string::npos ? colon : line.find_first_not_of(" \t", colon + 1);
    return from == std::string::npos ? "" : line.substr(from);
}

}  // namespace

HostFacts hostFacts() {
    HostFacts facts{"unknown", "unknown", "unknown", "unknown", replication::floatingEnvironment()};
    std::ifstream processors("/proc/cpuinfo");
    for (std::string line; std::getline(processors, line) && !line.empty();) {
        if (line.starts_with("model name")) facts.processor = valueIn(line);
        if (line.starts_with("CPU implementer")) facts.processor = "implementer " + valueIn(line);
        if (line.starts_with("microcode")) facts.microcode = valueIn(line);
    }
    utsname kernel{};
    if (::uname(&kernel) == 0) {
        facts.kernel = std::string(kernel.sysname) + " " + kernel.release + " " + kernel.machine;
        facts.host = kernel.nodename;
    }
    return facts;
}

std::string HostFacts::json() const {
    char environment[32];
    std::snprintf(environment, sizeof(environment), "0x%llx",
                  static_cast<unsigned long long>(floatingEnvironment));
    return "{\"processor\":" + jsonString(processor) + ",\"microcode\":" + jsonString(microcode) +
           ",\"kernel\":" + jsonString(kernel) + ",\"host\":" + jsonString(host) +
           ",\"floatingEnvironment\":\"" + environment + "\"}";
}

}  // namespace verbex::node
