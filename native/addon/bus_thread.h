// BusThread: the one thread that owns a network and a bus for JavaScript.
//
// Purpose: the bus belongs to one thread and is polled; JavaScript's thread has other things to do.
// Commands go to the agent through a queue and are answered by a call on its thread; messages go
// through the rings of bus_streams.h.
// Owner: the NativeBus object.
// Thread safety: everything public may be called from any one thread beside the agent's own;
// answers and `tell` come on the agent's thread.
// Invariants:
//   1. Every command is answered exactly once, with Closed at the latest when the agent ends.
//   2. No wake-up is lost: who leaves work rings after leaving it, and the agent looks for work
//      after saying that it sleeps (the argument stands in pipeline/doorbell.h).
//   3. What waits for JavaScript is bounded: rings, and kEventsMax events of which the oldest go.
// Requires: no call after stop() but another stop().
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "addon/bus_streams.h"
#include "bus/bus.h"
#include "bus/counter_file.h"
#include "transport/network.h"

namespace verbex::addon {

using transport::Nanoseconds;

struct BusThreadOptions {
    transport::NetworkOptions network;
    bus::BusOptions bus;
    bool spin = false;            // never sleep
    bool counters = true;         // shown to other processes in a file
    Nanoseconds spinNs = 10'000;  // otherwise: look for work so long before sleeping
};

struct BusThreadEvent {
    enum class Kind : uint8_t { Peer, Subscriber, CutOff };
    Kind kind = Kind::Peer;
    bus::PeerView peer;
    std::string stream;
    Position position = 0;  // of the subscriber; to resume from
};

struct BusThreadCounters {
    bus::BusCounters bus;
    transport::NetworkCounters network;
    uint64_t sleeps = 0;
    uint64_t eventsDropped = 0;
};

class BusThread final : private bus::BusEvents {
public:
    template <typename Value>
    using Answer = std::function<void(Result<Value>)>;
    using Done = std::function<void(const Status&)>;

    static constexpr size_t kEventsMax = 1024;

    // `tell` means: somebody who said that it waits should look again, or there are events.
    static Result<std::unique_ptr<BusThread>> open(const BusThreadOptions& options,
                                                   std::function<void()> tell);
    ~BusThread() { stop(); }
    BusThread(const BusThread&) = delete;
    BusThread& operator=(const BusThread&) = delete;

    void listen(transport::Address address, Answer<transport::Address> answer);
    // Answered once the link is up, or cannot come up, or has not within the time.
    void connect(transport::Address address, Nanoseconds within, Answer<bus::PeerId> answer);
    void disconnect(bus::PeerId peer, Done done);
    void publish(bus::PublicationOptions options, size_t ringBytes,
                 Answer<std::shared_ptr<Outbound>> answer);
    // waits: for a stream that the peer does not publish yet, rather than being refused.
    void subscribe(bus::PeerId peer, bus::SubscriptionOptions options, bool waits, size_t ringBytes,
                   Answer<std::shared_ptr<Inbound>> answer);
    // Sends what the ring took, waits so long until every subscriber has consumed it, then closes.
    void closePublication(std::shared_ptr<Outbound> outbound, Nanoseconds within, Done done);
    void closeSubscription(std::shared_ptr<Inbound> inbound, Done done);
    void peers(Answer<std::vector<bus::PeerView>> answer);
    void counters(Answer<BusThreadCounters> answer);
    void fence(uint32_t epoch, Done done);
    void setEpoch(uint32_t epoch, Done done);

    // Closes every publication as above, then everything; the agent's last act is to answer.
    void close(Nanoseconds within, Done done);
    // As a process that dies: peers lose their links. Waits for the thread.
    void stop();

    // Something was left in a ring, or room was made in one that was full.
    void ring() {
        if (asleep_.exchange(false, std::memory_order_acq_rel)) network_->wake();
    }
    std::vector<BusThreadEvent> takeEvents();

private:
    struct PendingConnect {
        bus::PeerId peer;
        Nanoseconds deadline;
        Answer<bus::PeerId> answer;
    };
    struct PendingClose {
        std::shared_ptr<Outbound> outbound;
        Nanoseconds deadline;
        Done done;
    };
    enum class Phase : uint8_t { Open, Draining, Leaving, Ended };

    BusThread(const BusThreadOptions& options, std::unique_ptr<transport::Network> network,
              std::unique_ptr<bus::CounterFile> counterFile, std::function<void()> tell);

    // Runs on the agent's thread, or at once where the agent has ended, with bus_ null.
    void post(std::function<void()> command);
    template <typename Value, typename Body>
    void ask(Answer<Value> answer, Body body);
    template <typename Body>
    void order(Done done, Body body);

    void run();
    size_t round(Nanoseconds now);
    size_t runCommands();
    size_t drain(Outbound& outbound);
    void show(Outbound& outbound, bool drained);
    void show(Inbound& inbound, Nanoseconds now);
    [[nodiscard]] Status ask(Inbound& inbound);
    void askAgain(Nanoseconds now);
    void settleConnects(Nanoseconds now);
    void settleCloses(Nanoseconds now);
    void settleClosing(Nanoseconds now);
    void closeStream(Outbound& outbound);
    void closeStream(Inbound& inbound);
    [[nodiscard]] static bool isDrained(const Outbound& outbound);
    [[nodiscard]] bool hasWork() const;
    void sleep(Nanoseconds now);
    void end();

    void onPeer(const bus::PeerView& peer) override;
    void onSubscriber(const std::string& stream, bus::PeerId peer, Position from) override;
    void onCutOff(const std::string& stream, bus::PeerId peer, Position resumeFrom) override;
    void keep(BusThreadEvent event);
    [[nodiscard]] bus::PeerView peerOf(bus::PeerId id) const;

    const BusThreadOptions options_;
    const std::function<void()> tell_;
    const std::unique_ptr<transport::Network> network_;
    std::unique_ptr<bus::CounterFile> counterFile_;  // null where none is wanted

    std::mutex mutex_;  // guards the next four
    std::vector<std::function<void()>> commands_;
    std::deque<BusThreadEvent> events_;
    uint64_t eventsDropped_ = 0;
    bool ended_ = false;
    std::atomic<bool> hasCommands_{false};
    std::atomic<bool> stopping_{false};
    std::atomic<bool> asleep_{false};

    // The agent's.
    std::unique_ptr<bus::Bus> bus_;
    std::vector<std::shared_ptr<Outbound>> outbounds_;
    std::vector<std::shared_ptr<Inbound>> inbounds_;
    std::vector<PendingConnect> connects_;
    std::vector<PendingClose> closes_;
    Phase phase_ = Phase::Open;
    Nanoseconds closeBy_ = 0;
    std::vector<Done> closed_;
    Nanoseconds nextLook_ = 0;  // at what is not worth looking at every round
    uint64_t sleeps_ = 0;
    bool news_ = false;

    std::thread thread_;
};

}  // namespace verbex::addon
