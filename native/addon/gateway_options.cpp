#include "addon/gateway_options.h"

#include <charconv>
#include <string_view>
#include <vector>

#include "addon/addon.h"
#include "pipeline/thread_plan.h"

namespace verbex::addon {

namespace {

constexpr size_t kAddressBytesMax = 300;
constexpr size_t kListBytesMax = 1u << 20;
constexpr uint64_t kMillisecondsMax = 3'600'000;
constexpr uint64_t kSafeIntegerMax = (1ull << 53) - 1;

std::vector<std::string> split(const std::string& text, char separator) {
    std::vector<std::string> parts;
    size_t at = 0;
    while (at < text.size()) {
        const size_t end = std::min(text.find(separator, at), text.size());
        parts.push_back(text.substr(at, end - at));
        at = end + 1;
    }
    return parts;
}

uint32_t wordIn(const std::string& text, const char* name) {
    uint32_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) {
        throwArgument(std::string(name) + " must be a whole number");
    }
    return value;
}

transport::Address addressIn(const std::string& text, const char* name) {
    Result<transport::Address> address = transport::Address::parse(text);
    if (!address.isOk()) throwArgument(std::string(name) + ": " + address.status().message());
    return address.take();
}

std::optional<transport::Address> addressOf(const Arguments& arguments, napi_value object,
                                            const char* name) {
    const std::string text = arguments.textOf(object, name, kAddressBytesMax, "");
    if (text.empty()) return std::nullopt;
    return addressIn(text, name);
}

// A user a line, fields with tabs between them: name, password, session, account, rights (letters t, c, a, f
// for trade, clear, administer, feed; d: cancel on disconnect), orders a second, burst.
std::vector<gateway::User> usersIn(const std::string& text) {
    std::vector<gateway::User> users;
    for (const std::string& line : split(text, '\n')) {
        const std::vector<std::string> fields = split(line, '\t');
        if (fields.size() != 7) throwArgument("users: a user has seven fields");
        gateway::User user;
        user.name = fields[0];
        user.password = fields[1];
        const uint32_t session = wordIn(fields[2], "session");
        if (session > UINT16_MAX) throwArgument("users: a session number is too large");
        user.session = static_cast<uint16_t>(session);
        user.account = fields[3];
        const auto has = [&](char right) { return fields[4].find(right) != std::string::npos; };
        user.mayTrade = has('t');
        user.mayClear = has('c');
        user.mayAdminister = has('a');
        user.mayFeed = has('f');
        user.cancelOnDisconnect = has('d');
        user.ordersPerSecond = wordIn(fields[5], "ordersPerSecond");
        user.ordersBurst = wordIn(fields[6], "ordersBurst");
        users.push_back(std::move(user));
    }
    return users;
}

std::vector<gateway::FirmThrottle> firmsIn(const std::string& text) {
    std::vector<gateway::FirmThrottle> firms;
    for (const std::string& line : split(text, '\n')) {
        const std::vector<std::string> fields = split(line, '\t');
        if (fields.size() != 3) throwArgument("firms: a firm has three fields");
        firms.push_back({fields[0], wordIn(fields[1], "ordersPerSecond"),
                         wordIn(fields[2], "ordersBurst")});
    }
    return firms;
}

}  // namespace

node::GatewayHostOptions gatewayOptionsOf(const Arguments& arguments, napi_value object) {
    node::GatewayHostOptions options;
    const auto word = [&](const char* name, uint64_t least, uint64_t most, uint64_t otherwise) {
        return static_cast<uint32_t>(arguments.numberOf(object, name, least, most, otherwise));
    };
    session::SessionServerOptions server;
    server.connectionsMax = word("connectionsMax", 1, 1u << 16, server.connectionsMax);
    server.loginTimeoutMs = word("loginTimeoutMs", 1, kMillisecondsMax, server.loginTimeoutMs);
    server.heartbeatMs = word("heartbeatMs", 1, kMillisecondsMax, server.heartbeatMs);
    server.silenceMs = word("silenceMs", 1, kMillisecondsMax, server.silenceMs);
    server.stalledMs = word("stalledMs", 1, kMillisecondsMax, server.stalledMs);
    server.lagBytesMax =
        arguments.numberOf(object, "lagBytesMax", 4096, kSafeIntegerMax, server.lagBytesMax);
    if (const auto address = addressOf(arguments, object, "orders"); address.has_value()) {
        options.orders = server;
        options.orders->address = *address;
    }
    if (const auto address = addressOf(arguments, object, "clearing"); address.has_value()) {
        options.clearing = server;
        options.clearing->address = *address;
    }
    feed::MarketFeedOptions feed;
    feed.stream = addressOf(arguments, object, "stream");
    feed.snapshot = addressOf(arguments, object, "snapshot");
    feed.retransmission = addressOf(arguments, object, "retransmission");
    for (const std::string& text :
         split(arguments.textOf(object, "datagrams", 4096, ""), ',')) {
        feed.datagrams.push_back(addressIn(text, "datagrams"));
    }
    feed.multicastInterface =
        arguments.textOf(object, "multicastInterface", kAddressBytesMax, "");
    feed.multicastHops = static_cast<uint8_t>(word("multicastHops", 0, 255, feed.multicastHops));
    feed.datagramBytes = word("datagramBytes", 200, 65'000, feed.datagramBytes);
    feed.historyBytes =
        arguments.numberOf(object, "historyBytes", 1u << 20, kSafeIntegerMax, feed.historyBytes);
    if (feed.stream || feed.snapshot || feed.retransmission || !feed.datagrams.empty()) {
        options.feed = feed;
    }
    options.users = usersIn(arguments.textOf(object, "users", kListBytesMax, ""));
    options.firms = firmsIn(arguments.textOf(object, "firms", kListBytesMax, ""));
    options.ordersMax = word("ordersMax", 1, 1u << 26, options.ordersMax);
    const uint64_t spin = arguments.numberOf(object, "spin", 0, kSafeIntegerMax, options.spinNs);
    options.spinNs = spin == kSafeIntegerMax ? pipeline::kSpinForEver : spin;
    return options;
}

napi_value makeGatewayAddresses(napi_env env, const node::GatewayAddresses& addresses) {
    napi_value object;
    check(env, napi_create_object(env, &object));
    const auto put = [&](const char* name, const std::optional<transport::Address>& address) {
        if (address.has_value()) setProperty(env, object, name, makeText(env, address->toString()));
    };
    put("orders", addresses.orders);
    put("clearing", addresses.clearing);
    put("stream", addresses.itch);
    put("snapshot", addresses.snapshot);
    put("retransmission", addresses.retransmission);
    napi_value datagrams;
    check(env, napi_create_array(env, &datagrams));
    for (size_t i = 0; i < addresses.datagrams.size(); i++) {
        check(env, napi_set_element(env, datagrams, static_cast<uint32_t>(i),
                                    makeText(env, addresses.datagrams[i].toString())));
    }
    setProperty(env, object, "datagrams", datagrams);
    setProperty(env, object, "feedSession", makeText(env, addresses.feedSession));
    return object;
}

napi_value makeGatewayStats(napi_env env, const node::GatewayHostStats& stats) {
    napi_value object;
    check(env, napi_create_object(env, &object));
    const auto group = [&](const char* name) {
        napi_value made;
        check(env, napi_create_object(env, &made));
        setProperty(env, object, name, made);
        return made;
    };
    const auto number = [&](napi_value target, const char* name, uint64_t value) {
        setProperty(env, target, name, makeNumber(env, value));
    };
    const napi_value calls = group("systemCalls");
    number(calls, "waits", stats.calls.waits);
    number(calls, "reads", stats.calls.reads);
    number(calls, "writes", stats.calls.writes);
    number(calls, "others", stats.calls.others);
    const auto sessions = [&](const char* name, const session::SessionServerCounters& counters) {
        const napi_value made = group(name);
        number(made, "connections", counters.connections);
        number(made, "accepted", counters.accepted);
        number(made, "refused", counters.refused);
        number(made, "logins", counters.logins);
        number(made, "loginsRejected", counters.loginsRejected);
        number(made, "messagesIn", counters.messagesIn);
        number(made, "bytesIn", counters.bytesIn);
        number(made, "bytesOut", counters.bytesOut);
        number(made, "paused", counters.paused);
        napi_value closed;
        check(env, napi_create_object(env, &closed));
        for (uint8_t i = 1; i <= static_cast<uint8_t>(session::CloseReason::Shutdown); i++) {
            number(closed, session::closeReasonName(static_cast<session::CloseReason>(i)),
                   counters.closedBy[i]);
        }
        setProperty(env, made, "closed", closed);
    };
    sessions("orderSessions", stats.orderSessions);
    sessions("clearingSessions", stats.clearingSessions);
    const napi_value orders = group("orders");
    number(orders, "messages", stats.orders.messages);
    number(orders, "malformed", stats.orders.malformed);
    number(orders, "orders", stats.orders.orders);
    number(orders, "replaces", stats.orders.replaces);
    number(orders, "cancels", stats.orders.cancels);
    number(orders, "duplicates", stats.orders.duplicates);
    number(orders, "rejectedHere", stats.orders.rejectedHere);
    number(orders, "throttled", stats.orders.throttled);
    number(orders, "accepted", stats.orders.accepted);
    number(orders, "executions", stats.orders.executions);
    number(orders, "cancelsOnDisconnect", stats.orders.cancelsOnDisconnect);
    number(orders, "openOrders", stats.orders.openOrders);
    number(orders, "waits", stats.orders.waits);
    const napi_value clearing = group("clearing");
    number(clearing, "messages", stats.clearing.messages);
    number(clearing, "malformed", stats.clearing.malformed);
    number(clearing, "commands", stats.clearing.commands);
    number(clearing, "questions", stats.clearing.questions);
    number(clearing, "refusedHere", stats.clearing.refusedHere);
    number(clearing, "executions", stats.clearing.executions);
    number(clearing, "kills", stats.clearing.kills);
    const napi_value feed = group("feed");
    number(feed, "messages", stats.feed.messages);
    number(feed, "datagrams", stats.feed.datagrams);
    number(feed, "datagramBytes", stats.feed.datagramBytes);
    number(feed, "datagramsFailed", stats.feed.datagramsFailed);
    number(feed, "requests", stats.feed.requests);
    number(feed, "requestsRefused", stats.feed.requestsRefused);
    number(feed, "retransmitted", stats.feed.retransmitted);
    number(feed, "snapshots", stats.feed.snapshots);
    number(feed, "shown", stats.feed.shown);
    number(object, "events", stats.events);
    number(object, "storeBytes", stats.storeBytes);
    setProperty(env, object, "failure", makeText(env, stats.failure));
    return object;
}

}  // namespace verbex::addon
