#include "addon/bus_options.h"

namespace verbex::addon {

namespace {

constexpr size_t kPathBytesMax = 4096;
constexpr uint64_t kMillisecondsMax = 3'600'000;
constexpr uint32_t kNoGidIndex = UINT32_MAX;
constexpr uint64_t kNanosecondsPerMillisecond = 1'000'000;

transport::TransportWish wishOf(const std::string& text) {
    if (text == "auto") return transport::TransportWish::Auto;
    if (text == "tcp") return transport::TransportWish::Tcp;
    if (text == "shm") return transport::TransportWish::Shm;
    if (text == "verbs") return transport::TransportWish::Verbs;
    throwArgument("transport must be auto, tcp, shm or verbs");
}

Nanoseconds millisecondsOf(const Arguments& arguments, napi_value object, const char* name,
                           Nanoseconds otherwise) {
    return kNanosecondsPerMillisecond * arguments.numberOf(object, name, 1, kMillisecondsMax,
                                                           otherwise / kNanosecondsPerMillisecond);
}

uint32_t wordOf(const Arguments& arguments, napi_value object, const char* name, uint64_t least,
                uint64_t most, uint64_t otherwise) {
    return static_cast<uint32_t>(arguments.numberOf(object, name, least, most, otherwise));
}

}  // namespace

BusThreadOptions busOptionsOf(const Arguments& arguments, napi_value object) {
    BusThreadOptions options;
    transport::NetworkOptions& network = options.network;
    network.node = arguments.textOf(object, "name", 64, network.node.c_str());
    network.transport = wishOf(arguments.textOf(object, "transport", 8, "auto"));
    network.ringBytes = wordOf(arguments, object, "ringBytes", 4096, 1u << 30, network.ringBytes);
    network.payloadMax =
        wordOf(arguments, object, "payloadMax", 1, kBusPayloadMax, network.payloadMax);
    network.mac = arguments.flagOf(object, "mac", true);
    network.macOnShm = arguments.flagOf(object, "macOnShm", false);
    network.tls.certificateFile = arguments.textOf(object, "certificate", kPathBytesMax, "");
    network.tls.keyFile = arguments.textOf(object, "certificateKey", kPathBytesMax, "");
    network.tls.authorityFile = arguments.textOf(object, "authority", kPathBytesMax, "");
    network.tls.serverName = arguments.textOf(object, "serverName", 255, "");
    network.verbs.device = arguments.textOf(object, "device", 64, "");
    network.verbs.port = static_cast<uint8_t>(wordOf(arguments, object, "port", 0, 255, 0));
    const uint32_t gidIndex = wordOf(arguments, object, "gidIndex", 0, kNoGidIndex, kNoGidIndex);
    network.verbs.gidIndex = gidIndex > INT32_MAX ? -1 : static_cast<int>(gidIndex);
    network.spin = arguments.flagOf(object, "spin", false);
    network.setUpTimeoutMs =
        wordOf(arguments, object, "setUpMs", 1, kMillisecondsMax, network.setUpTimeoutMs);
    bus::BusOptions& bus = options.bus;
    bus.heartbeatNs = millisecondsOf(arguments, object, "heartbeatMs", bus.heartbeatNs);
    bus.livenessNs = millisecondsOf(arguments, object, "livenessMs", bus.livenessNs);
    bus.reconnectNs = millisecondsOf(arguments, object, "reconnectMs", bus.reconnectNs);
    bus.epoch = wordOf(arguments, object, "epoch", 1, UINT32_MAX, bus.epoch);
    options.spin = network.spin;
    options.counters = arguments.flagOf(object, "counters", true);
    if ((network.ringBytes & (network.ringBytes - 1)) != 0) {
        throwArgument("ringBytes must be a power of two");
    }
    if (network.payloadMax > network.ringBytes / 4) {
        throwArgument("payloadMax must be at most a quarter of ringBytes");
    }
    if (bus.livenessNs < 3 * bus.heartbeatNs) {
        throwArgument("livenessMs must be at least three times heartbeatMs");
    }
    return options;
}

size_t bufferBytesOf(const Arguments& arguments, napi_value object, size_t payloadMax) {
    const uint64_t bytes =
        arguments.numberOf(object, "bufferBytes", 4096, kBusBufferBytesMax, 1u << 20);
    if ((bytes & (bytes - 1)) != 0) throwArgument("bufferBytes must be a power of two");
    if (payloadMax > ByteRing::payloadMaxOf(bytes)) {
        throwArgument("bufferBytes is too small for payloadMax");
    }
    return bytes;
}

bus::PublicationOptions publicationOptionsOf(const Arguments& arguments, napi_value object) {
    bus::PublicationOptions options;
    options.stream = arguments.textOf(object, "stream", 64);
    options.historyBytes =
        wordOf(arguments, object, "historyBytes", 4096, kBusBufferBytesMax, options.historyBytes);
    options.payloadMax =
        wordOf(arguments, object, "payloadMax", 1, kBusPayloadMax, options.payloadMax);
    options.retain = arguments.flagOf(object, "retain", false);
    if (options.stream.empty()) throwArgument("stream must not be empty");
    if ((options.historyBytes & (options.historyBytes - 1)) != 0) {
        throwArgument("historyBytes must be a power of two");
    }
    if (options.payloadMax + kBusRecordBytes > options.historyBytes / 8) {
        throwArgument("payloadMax with 32 more must be at most an eighth of historyBytes");
    }
    return options;
}

bus::SubscriptionOptions subscriptionOptionsOf(const Arguments& arguments, napi_value object) {
    bus::SubscriptionOptions options;
    options.stream = arguments.textOf(object, "stream", 64);
    if (options.stream.empty()) throwArgument("stream must not be empty");
    const std::string from = arguments.textOf(object, "from", 8, "next");
    if (from == "next")
        options.from = bus::From::Next;
    else if (from == "oldest")
        options.from = bus::From::Oldest;
    else if (from == "position")
        options.from = bus::From::Position;
    else
        throwArgument("from must be next, oldest or position");
    options.resume = arguments.flagOf(object, "resume", true);
    return options;
}

}  // namespace verbex::addon
