// NativeLoad: the load generator, for `verbex load`.
#include <cstring>
#include <memory>
#include <sstream>
#include <string>

#include "addon/addon.h"
#include "load/load_generator.h"

namespace verbex::addon {

namespace {

constexpr size_t kListBytesMax = 1u << 22;
constexpr uint64_t kNsPerMs = 1'000'000;
constexpr uint64_t kMillisecondsMax = 86'400'000;

// A line for each: name and password, with a tab between them.
std::vector<load::LoadUser> usersIn(const std::string& text) {
    std::vector<load::LoadUser> users;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        const size_t tab = line.find('\t');
        if (tab == std::string::npos) throwArgument("users: a user has a name and a password");
        users.push_back({line.substr(0, tab), line.substr(tab + 1)});
    }
    return users;
}

// Eight characters each, one behind the other.
std::vector<Symbol> symbolsIn(const std::string& text) {
    if (text.empty() || text.size() % sizeof(Symbol) != 0) {
        throwArgument("symbols must have eight characters each");
    }
    std::vector<Symbol> symbols(text.size() / sizeof(Symbol));
    std::memcpy(symbols.data(), text.data(), text.size());
    return symbols;
}

load::LoadOptions optionsOf(const Arguments& arguments, napi_value object) {
    load::LoadOptions options;
    Result<transport::Address> server =
        transport::Address::parse(arguments.textOf(object, "server", 300));
    if (!server.isOk()) throwArgument("server: " + server.status().message());
    options.server = server.take();
    options.users = usersIn(arguments.textOf(object, "users", kListBytesMax));
    options.symbols = symbolsIn(arguments.textOf(object, "symbols", kListBytesMax));
    const auto word = [&](const char* name, uint64_t least, uint64_t most, uint64_t otherwise) {
        return static_cast<uint32_t>(arguments.numberOf(object, name, least, most, otherwise));
    };
    options.ordersPerSecond = word("ordersPerSecond", 0, 100'000'000, 0);
    options.window = word("window", 1, 1024, options.window);
    options.warmUpNs = kNsPerMs * word("warmUpMs", 0, kMillisecondsMax, 500);
    options.durationNs = kNsPerMs * word("durationMs", 1, kMillisecondsMax, 5000);
    options.seed = word("seed", 0, UINT32_MAX, 1);
    options.midPrice = word("price", 2, UINT32_MAX - 1, 10'000);
    options.halfWidth = word("width", 0, 1'000'000, options.halfWidth);
    options.quantityMax = word("quantity", 1, UINT32_MAX, options.quantityMax);
    options.cancelsPerMille = word("cancelsPerMille", 0, 1000, options.cancelsPerMille);
    options.reconnect = arguments.flagOf(object, "reconnect", false);
    options.spin = arguments.flagOf(object, "spin", true);
    options.ledgerFile = arguments.textOf(object, "ledger", 4096, "");
    return options;
}

std::string jsonOf(const load::LoadResult& result, size_t connections) {
    std::ostringstream out;
    const auto us = [](uint64_t ns) { return static_cast<double>(ns) / 1000; };
    const double seconds = static_cast<double>(result.elapsedNs) / 1e9;
    out << "{\"connections\":" << connections << ",\"seconds\":" << seconds
        << ",\"entered\":" << result.entered << ",\"answered\":" << result.answered
        << ",\"accepted\":" << result.accepted << ",\"rejected\":" << result.rejected
        << ",\"unanswered\":" << result.unanswered << ",\"cancels\":" << result.cancels
        << ",\"executions\":" << result.executions << ",\"lostConnections\":" << result.lost
        << ",\"ordersPerSecond\":"
        << (seconds > 0 ? static_cast<uint64_t>(static_cast<double>(result.answeredInTime) / seconds) : 0)
        << ",\"p50Us\":" << us(result.roundTrips.at(500'000))
        << ",\"p99Us\":" << us(result.roundTrips.at(990'000))
        << ",\"p999Us\":" << us(result.roundTrips.at(999'000))
        << ",\"maxUs\":" << us(result.roundTrips.max())
        << ",\"latestSendUs\":" << us(result.latestSendNs) << "}";
    return out.str();
}

struct LoadHandle {
    static constexpr const char* kClassName = "NativeLoad";
    static constexpr napi_type_tag kTypeTag = {0x766572626578'0004, 0x51c07d3be2901f66};

    explicit LoadHandle(const load::LoadOptions& options)
        : generator(std::make_shared<load::LoadGenerator>(options)),
          connections(options.users.size()) {}
    const std::shared_ptr<load::LoadGenerator> generator;  // a run outlives the object
    const size_t connections;
    bool ran = false;
};

void stopLoad(napi_env, LoadHandle& handle) { handle.generator->stop(); }

napi_value construct(const Arguments& arguments) {
    if (!arguments.constructing()) throwArgument("NativeLoad needs new");
    auto handle =
        std::make_unique<LoadHandle>(optionsOf(arguments, arguments.object(0, "options")));
    return arguments.wrap<LoadHandle, stopLoad>(std::move(handle));
}

// On a thread of libuv's pool, for as long as it runs.
napi_value run(const Arguments& arguments) {
    auto& handle = arguments.unwrap<LoadHandle>();
    if (handle.ran) throwArgument("a load runs once");
    handle.ran = true;
    return runWork(arguments.env(), "verbex.load",
                   [generator = handle.generator, connections = handle.connections]() -> WorkOutcome {
                       Result<load::LoadResult> result = generator->run();
                       if (!result.isOk()) return {node::Failure(result.status()), {}};
                       return textOutcome(jsonOf(result.value(), connections));
                   });
}

napi_value progress(const Arguments& arguments) {
    const napi_env env = arguments.env();
    const load::LoadProgress now = arguments.unwrap<LoadHandle>().generator->progress();
    napi_value object;
    check(env, napi_create_object(env, &object));
    setProperty(env, object, "loggedIn", makeNumber(env, now.loggedIn));
    setProperty(env, object, "entered", makeNumber(env, now.entered));
    setProperty(env, object, "answered", makeNumber(env, now.answered));
    setProperty(env, object, "executions", makeNumber(env, now.executions));
    setProperty(env, object, "counting", makeFlag(env, now.counting));
    return object;
}

napi_value stop(const Arguments& arguments) {
    arguments.unwrap<LoadHandle>().generator->stop();
    return nullptr;
}

}  // namespace

void defineNativeLoad(napi_env env, napi_value exports) {
    const napi_value made = defineClass(
        env, LoadHandle::kClassName, entry<construct>,
        {{"run", entry<run>}, {"progress", entry<progress>}, {"stop", entry<stop>}});
    setProperty(env, exports, LoadHandle::kClassName, made);
}

}  // namespace verbex::addon
