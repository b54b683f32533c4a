// The bus between two processes, against the same exchange without it, in one run.
//
//   round trip    A ──▶ B ──▶ A, one message under way; both look without ever sleeping
//   one way       A ══▶ B, batches of --batch messages; B says when it has the last one
//
//   bus           Publication ──▶ Subscription ─ Publication ──▶ Subscription: positions, history, window
//   link          the transport alone: frames with epoch, sequence and checksum, no streams
//   reference     shm: a bare ring in shared memory; tcp: a bare busy-polled socket; verbs: perftest's
//                 ib_write_lat and ib_write_bw, which report half a round trip (doubled here), once a size
//
// A is this process, B its child. Runs of reference, link and bus take turns; a figure is the median of
// the runs, percentiles are over all runs. Closed loop: round trips say nothing about load.
//
//   bus_bench --transport shm|tcp|verbs [--bytes N,N] [--rounds N] [--messages N] [--runs N] [--batch N]
//             [--mac] [--json]
#include <sys/wait.h>

#include <functional>
#include <memory>
#include <optional>
#include <sstream>

#include "bus/bus.h"
#include "bus_references.h"
#include "measuring.h"
#include "transport/host/host_network.h"

namespace verbex::bench {
namespace {

using namespace transport;

struct Settings {
    std::string transport = "shm";
    std::vector<uint32_t> bytes = {64, 256, 1024};
    uint64_t rounds = 50'000;
    uint64_t messages = 2'000'000;
    uint32_t runs = 5;
    uint32_t batch = 64;
    bool mac = false;
};

// Looks without sleeping; on a machine with fewer cores than lookers that would be for ever.
template <typename Ready>
void lookUntil(Ready&& ready) {
    const uint64_t deadline = nowNs() + 120'000'000'000;
    for (uint32_t looks = 1; !ready(); ++looks) {
        if (looks % (1u << 16) == 0 && nowNs() > deadline) stopWith("nothing came for two minutes");
    }
}

// B: sends back `rounds` messages, takes `messages`, and says so.
template <typename Port>
void serve(Port& port, const Settings& settings, uint32_t bytes) {
    std::vector<std::byte> message(bytes);
    for (uint64_t round = 0; round < settings.rounds; ++round) {
        lookUntil([&] { return port.receive(message.data()); });
        lookUntil([&] { return port.send(message.data()); });
        port.flush();
    }
    for (uint64_t taken = 0; taken < settings.messages; ++taken) {
        lookUntil([&] { return port.receive(message.data()); });
    }
    lookUntil([&] { return port.send(message.data()); });
    port.flush();
}

// A.
template <typename Port>
double drive(Port& port, const Settings& settings, uint32_t bytes, Durations& durations) {
    std::vector<std::byte> message(bytes, std::byte{0x42});
    const uint64_t warm = settings.rounds / 10;
    for (uint64_t round = 0; round < settings.rounds; ++round) {
        const uint64_t began = nowNs();
        lookUntil([&] { return port.send(message.data()); });
        port.flush();
        lookUntil([&] { return port.receive(message.data()); });
        if (round >= warm) durations.add(nowNs() - began);
    }
    const uint64_t began = nowNs();
    for (uint64_t sent = 0; sent < settings.messages;) {
        uint64_t batch = std::min<uint64_t>(settings.batch, settings.messages - sent);
        while (batch > 0 && port.send(message.data())) {
            --batch;
            ++sent;
        }
        port.flush();
    }
    port.flush();
    lookUntil([&] {
        port.flush();
        return port.receive(message.data());
    });
    return static_cast<double>(settings.messages) / seconds(nowNs() - began);
}

class LinkPort final : private NetworkEvents, private Receiver {
public:
    LinkPort(Network& network, uint32_t bytes) : network_(network), kept_(bytes * kBatch) {
        bytes_ = bytes;
    }
    void untilUp() {
        lookUntil([&] {
            network_.poll(nowNs(), *this);
            return link_ != nullptr;
        });
    }
    bool send(const std::byte* payload) {
        return link_->offer({.stream = 1, .kind = 1, .position = ++position_,
                             .payload = {payload, bytes_}}) == Answer::Accepted;
    }
    void flush() {
        link_->flush();
        lookNow_ = 0;
    }
    bool receive(std::byte* into) {
        if (taken_ == have_) {
            taken_ = have_ = 0;
            if (++lookNow_ % 64 == 0) network_.poll(nowNs(), *this);
            if (link_ == nullptr) stopWith("the link is over");
            if (link_->poll(*this, kBatch) == 0) return false;
        }
        std::memcpy(into, kept_.data() + taken_++ * bytes_, bytes_);
        return true;
    }

private:
    static constexpr size_t kBatch = 64;
    void onMessage(const Message& message) override {
        std::memcpy(kept_.data() + have_++ * bytes_, message.payload.data(), bytes_);
    }
    void onAccepted(ListenId, Link& link) override { link_ = &link; }
    void onConnected(ConnectId, Link& link) override { link_ = &link; }
    void onRefused(ConnectId, const Status& why) override { stopWith(why.toString()); }
    void onOver(Link& link) override {
        if (link_ == &link) link_ = nullptr;
    }

    Network& network_;
    Link* link_ = nullptr;
    std::vector<std::byte> kept_;
    size_t bytes_;
    size_t have_ = 0;
    size_t taken_ = 0;
    uint64_t position_ = 0;
    uint32_t lookNow_ = 0;
};

class BusPort final : private bus::StreamReceiver, private bus::BusEvents {
public:
    BusPort(Network& network, uint32_t bytes, const char* out, const char* in)
        : bus_(bus::Bus::make(network, options(), this)), bytes_(bytes), kept_(bytes * kBatch) {
        auto published = bus_->publish({.stream = out, .payloadMax = std::max(bytes, 64u)});
        if (!published.isOk()) stopWith(published.status().toString());
        publication_ = published.value();
        in_ = in;
    }
    [[nodiscard]] bus::Bus& bus() { return *bus_; }
    void untilUp() {
        lookUntil([&] {
            bus_->poll(now());
            return subscription_ != nullptr &&
                   subscription_->state() == bus::SubscriptionState::Live &&
                   publication_->subscribers() > 0;
        });
    }
    bool send(const std::byte* payload) {
        const int64_t answer = publication_->offer({payload, bytes_});
        if (answer > 0) return true;
        if (answer != bus::kBackPressured && answer != bus::kAdminAction)
            stopWith("the bus answers " + std::to_string(answer));
        bus_->poll(now());
        return false;
    }
    void flush() { bus_->poll(now()); }
    // What was said last reaches A, which then ends.
    void finish() {
        finishing_ = true;
        for (int left = 100; left > 0; --left) {
            flush();
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
    }
    bool receive(std::byte* into) {
        if (taken_ == have_) {
            taken_ = have_ = 0;
            bus_->poll(now());
            if (have_ == 0) return false;
        }
        std::memcpy(into, kept_.data() + taken_++ * bytes_, bytes_);
        return true;
    }

private:
    static constexpr size_t kBatch = 256;
    // A reading costs as much as a quarter of a round, and the bus counts in milliseconds.
    uint64_t now() {
        if (looks_++ % 32 == 0) now_ = nowNs();
        return now_;
    }
    static bus::BusOptions options() {
        bus::BusOptions options;
        options.livenessNs = 30'000'000'000;  // under emulation both ends starve each other
        options.heartbeatNs = 1'000'000'000;
        return options;
    }
    bool onMessage(const bus::StreamMessage& message) override {
        if (have_ == kBatch) return false;
        std::memcpy(kept_.data() + have_++ * bytes_, message.payload.data(), bytes_);
        return true;
    }
    void onPeer(const bus::PeerView& peer) override {
        if (!peer.connected) {
            if (!finishing_ && !peer.failure.isOk()) stopWith(peer.failure.toString());
            return;
        }
        auto subscribed = bus_->subscribe(peer.id, {.stream = in_, .from = bus::From::Next});
        if (!subscribed.isOk()) stopWith(subscribed.status().toString());
        subscription_ = subscribed.value();
        subscription_->setReceiver(this);
    }

    std::unique_ptr<bus::Bus> bus_;
    bus::Publication* publication_ = nullptr;
    bus::Subscription* subscription_ = nullptr;
    std::string in_;
    bool finishing_ = false;
    size_t bytes_;
    std::vector<std::byte> kept_;
    size_t have_ = 0;
    size_t taken_ = 0;
    uint64_t now_ = 0;
    uint32_t looks_ = 0;
};

NetworkOptions networkOptions(const Settings& settings, uint32_t bytes) {
    NetworkOptions options;
    options.node = "bench";
    options.spin = true;
    options.ringBytes = 1u << 20;
    options.payloadMax = std::max(bytes, 1024u);
    options.setUpTimeoutMs = 60'000;
    if (settings.mac) options.key.assign(32, std::byte{7});
    options.mac = options.macOnShm = settings.mac;
    options.transport = settings.transport == "tcp"     ? TransportWish::Tcp
                        : settings.transport == "verbs" ? TransportWish::Verbs
                                                        : TransportWish::Shm;
    if (const char* device = std::getenv("VERBEX_RDMA_DEVICE")) options.verbs.device = device;
    return options;
}

std::unique_ptr<HostNetwork> openNetwork(const Settings& settings, uint32_t bytes) {
    auto made = HostNetwork::open(networkOptions(settings, bytes));
    if (!made.isOk()) stopWith(made.status().toString());
    return made.take();
}

// Forks B, and waits for it when A is done.
double withChild(const std::function<void(int say)>& child, const std::function<double(int hear)>& parent) {
    int ends[2];
    if (pipe(ends) != 0) stopWith("no pipe");
    const pid_t pid = fork();
    if (pid < 0) stopWith("cannot fork");
    if (pid == 0) {
        close(ends[0]);
        child(ends[1]);
        _exit(0);
    }
    close(ends[1]);
    const double answer = parent(ends[0]);
    close(ends[0]);
    int status = 0;
    waitpid(pid, &status, 0);
    if (status != 0) stopWith("the other process failed");
    return answer;
}

// B listens and tells A its port.
template <typename Value>
void say(int pipe, Value value) {
    if (write(pipe, &value, sizeof value) != sizeof value) _exit(3);
}
template <typename Value>
Value hear(int pipe) {
    Value value{};
    if (read(pipe, &value, sizeof value) != sizeof value) stopWith("the other process is gone");
    return value;
}

double runLink(const Settings& settings, uint32_t bytes, Durations& durations) {
    return withChild(
        [&](int pipe) {
            auto network = openNetwork(settings, bytes);
            auto listening = network->listen({"127.0.0.1", 0}, 1);
            if (!listening.isOk()) stopWith(listening.status().toString());
            say(pipe, network->boundAddress(listening.value()).port);
            LinkPort port(*network, bytes);
            port.untilUp();
            serve(port, settings, bytes);
            std::this_thread::sleep_for(std::chrono::milliseconds(100));
        },
        [&](int pipe) {
            const auto there = hear<uint16_t>(pipe);
            auto network = openNetwork(settings, bytes);
            network->connect({"127.0.0.1", there}, "", 1, nowNs());
            LinkPort port(*network, bytes);
            port.untilUp();
            return drive(port, settings, bytes, durations);
        });
}

double runBus(const Settings& settings, uint32_t bytes, Durations& durations) {
    return withChild(
        [&](int pipe) {
            auto network = openNetwork(settings, bytes);
            BusPort port(*network, bytes, "back", "there");
            auto listening = port.bus().listen({"127.0.0.1", 0});
            if (!listening.isOk()) stopWith(listening.status().toString());
            say(pipe, listening.value().port);
            port.untilUp();
            serve(port, settings, bytes);
            port.finish();
        },
        [&](int pipe) {
            const auto there = hear<uint16_t>(pipe);
            auto network = openNetwork(settings, bytes);
            BusPort port(*network, bytes, "there", "back");
            port.bus().connect({"127.0.0.1", there});
            port.untilUp();
            return drive(port, settings, bytes, durations);
        });
}

double runBareRing(const Settings& settings, uint32_t bytes, Durations& durations) {
    BareRing there(bytes, 8192), back(bytes, 8192);
    return withChild(
        [&](int) {
            BareRingPort port(back, there);
            serve(port, settings, bytes);
        },
        [&](int) {
            BareRingPort port(there, back);
            return drive(port, settings, bytes, durations);
        });
}

double runBareSocket(const Settings& settings, uint32_t bytes, Durations& durations) {
    const auto [one, other] = loopbackPair();
    const double rate = withChild(
        [&, end = other](int) {
            BareSocketPort port(end, bytes);
            serve(port, settings, bytes);
            std::this_thread::sleep_for(std::chrono::milliseconds(50));
        },
        [&, end = one](int) {
            BareSocketPort port(end, bytes);
            return drive(port, settings, bytes, durations);
        });
    close(one);
    close(other);
    return rate;
}

// perftest's own table: a server in the background, the client's last line of figures.
std::vector<double> perftest(const std::string& program, uint32_t bytes, const char* more) {
    const char* device = std::getenv("VERBEX_RDMA_DEVICE");
    const char* gid = std::getenv("VERBEX_RDMA_GID_INDEX");
    const std::string one = program + " -F -s " + std::to_string(bytes) + " " + more +
                            (device ? std::string(" -d ") + device : "") +
                            (gid ? std::string(" -x ") + gid : "");
    const std::string both = one + " >/dev/null 2>&1 & for i in 1 2 3 4 5 6 7 8 9 10; do sleep 1; " +
                             one + " 127.0.0.1 2>/dev/null && break; done; wait";
    FILE* output = popen(both.c_str(), "r");
    if (output == nullptr) return {};
    std::vector<double> figures;
    char line[512];
    while (std::fgets(line, sizeof line, output) != nullptr) {
        std::istringstream words(line);
        std::vector<double> numbers;
        for (double number; words >> number;) numbers.push_back(number);
        if (numbers.size() >= 4 && numbers[0] == bytes) figures = numbers;
    }
    pclose(output);
    return figures;
}

struct Measured {
    Durations durations;
    std::vector<double> rates;
};

struct Reference {
    std::string name;
    double p50Ns = 0;
    double messagesPerSecond = 0;
};

Figures caseOf(const Settings& settings, const char* layer, uint32_t bytes,
               const Measured& measured, const Reference& reference) {
    const auto p50 = static_cast<double>(measured.durations.at(0.5));
    Figures figures;
    figures.add("name", settings.transport + "-" + layer + "-" + std::to_string(bytes))
        .add("transport", settings.transport)
        .add("layer", layer)
        .add("bytes", bytes)
        .add(measured.durations)
        .add("messagesPerSecond", median(measured.rates))
        .add("reference", reference.name)
        .add("referenceP50Ns", reference.p50Ns)
        .add("referenceMessagesPerSecond", reference.messagesPerSecond)
        .add("ratio", reference.p50Ns > 0 ? p50 / reference.p50Ns : 0, 2);
    return figures;
}

void measure(const Settings& settings, uint32_t bytes, Answers& answers) {
    Measured link, bus, bare;
    const bool verbs = settings.transport == "verbs";
    Reference reference;
    reference.name = verbs ? "ib_write_lat, ib_write_bw"
                           : settings.transport == "tcp" ? "bare socket" : "bare ring";
    for (uint32_t run = 0; run < settings.runs; ++run) {
        answers.say(settings.transport + ", " + std::to_string(bytes) + " bytes, run " +
                    std::to_string(run + 1) + " of " + std::to_string(settings.runs));
        if (!verbs) {
            bare.rates.push_back(settings.transport == "tcp"
                                     ? runBareSocket(settings, bytes, bare.durations)
                                     : runBareRing(settings, bytes, bare.durations));
        }
        link.rates.push_back(runLink(settings, bytes, link.durations));
        bus.rates.push_back(runBus(settings, bytes, bus.durations));
    }
    if (verbs) {
        // #bytes #iterations t_min t_max t_typical …; #bytes #iterations peak average rate[Mpps]
        const auto latency = perftest("ib_write_lat", bytes, "-n 1000");
        const auto bandwidth = perftest("ib_write_bw", bytes, "-n 5000");
        if (latency.size() >= 5) reference.p50Ns = latency[4] * 2000;
        if (bandwidth.size() >= 5) reference.messagesPerSecond = bandwidth[4] * 1e6;
        if (latency.size() < 5) reference.name = "none: perftest is not installed or failed";
    } else {
        reference.p50Ns = static_cast<double>(bare.durations.at(0.5));
        reference.messagesPerSecond = median(bare.rates);
    }
    answers.add(caseOf(settings, "bus", bytes, bus, reference));
    answers.add(caseOf(settings, "link", bytes, link, reference));
}

std::vector<uint32_t> sizesOf(const std::string& text) {
    std::vector<uint32_t> sizes;
    std::istringstream words(text);
    for (std::string word; std::getline(words, word, ',');) {
        const unsigned long size = std::strtoul(word.c_str(), nullptr, 10);
        if (size < 1 || size > 65536) stopWith("--bytes takes sizes from 1 to 65536");
        sizes.push_back(static_cast<uint32_t>(size));
    }
    if (sizes.empty()) stopWith("--bytes takes sizes with commas between them");
    return sizes;
}

}  // namespace
}  // namespace verbex::bench

int main(int count, char** arguments) {
    using namespace verbex::bench;
    Settings settings;
    std::string bytes = "64,256,1024";
    uint32_t rounds = 0, messages = 0;
    Options options("bus_bench");
    options.choice("transport", {"shm", "tcp", "verbs"}, &settings.transport)
        .text("bytes", "N,N", &bytes)
        .count("rounds", &rounds)
        .count("messages", &messages)
        .count("runs", &settings.runs)
        .count("batch", &settings.batch)
        .flag("mac", &settings.mac);
    options.read(count, arguments);
    if (rounds != 0) settings.rounds = rounds;
    if (messages != 0) settings.messages = messages;
    Answers answers(options);
    for (const uint32_t size : sizesOf(bytes)) measure(settings, size, answers);
    answers.end(Figures()
                    .add("runs", settings.runs)
                    .add("rounds", settings.rounds)
                    .add("messages", settings.messages)
                    .add("batch", settings.batch)
                    .add("mac", settings.mac));
    return 0;
}
