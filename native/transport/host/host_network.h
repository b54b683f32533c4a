// Links between processes of real hosts: one epoll for everything that a node listens to.
//
// Purpose: network.h over sockets: listening, set-ups, set-up connections of shm and verbs links,
// tcp links, wakes. It decides which transport a link has by asking transport_choice.h.
// Owner: one thread, which owns the links too.
// Thread safety: none; only wake() may be called from any thread, for as long as the object lives.
// Invariants:
//   1. What is ready is noted where it is found and seen to in poll(): only poll() calls events.
//   2. Set-ups in progress, links and what waits in them are bounded by the options; who comes
//      beyond is told so and closed at once.
//   3. A link that is being closed is over after a second in which nothing left it, and after ten
//      in any case.
//   4. A call of wake() is remembered until a wait() has ended for it.
// Requires: poll() often; from inside events everything here may be called but poll and wait.
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "transport/host/link_maker.h"
#include "transport/sockets/event_source.h"
#include "transport/network.h"
#include "transport/host/pending_link.h"

namespace verbex::transport {

class HostNetwork final : public Network {
public:
    // Checks the options, and loads what they need: OpenSSL for a key or TLS.
    static Result<std::unique_ptr<HostNetwork>> open(NetworkOptions options);
    ~HostNetwork() override;

    Result<ListenId> listen(const Address& address, uint32_t epoch) override;
    [[nodiscard]] Address boundAddress(ListenId id) const override;
    void stopListening(ListenId id) override;
    ConnectId connect(const Address& address, const std::string& service, uint32_t epoch,
                      Nanoseconds now) override;
    void poll(Nanoseconds now, NetworkEvents& events) override;
    void wait(Nanoseconds atMost) override;
    void wake() override;
    void fence(uint32_t epoch, const std::function<Receiver&(Link&)>& receiver) override;
    void drop(Link& link) override;
    [[nodiscard]] const NetworkCounters& counters() const override { return counters_; }

private:
    struct Listener;
    struct Established;
    struct Refusal {
        ConnectId id;
        Status why;
    };

    explicit HostNetwork(NetworkOptions options);
    Status prepare();
    [[nodiscard]] LocalNode localNode(uint8_t transports) const;

    // Not at every poll where the links are looked at without it.
    [[nodiscard]] bool isCollectDue();
    // Asks epoll and notes what is ready.
    void collect(Nanoseconds atMost);
    Status watch(int descriptor, EventSource& source, uint32_t events);

    void serve(EventSource& source, uint32_t events, NetworkEvents& network);
    void accept(Listener& listener);
    void accept(Listener& listener, Descriptor socket);
    void turnAway(Descriptor socket);
    Result<std::unique_ptr<PeerChannel>> channelOver(Descriptor socket, bool connecting);
    Status startConnecting(const Address& address, const std::string& service, uint32_t epoch,
                           ConnectId id, Nanoseconds now);
    Status start(std::unique_ptr<PendingLink> pending, Nanoseconds now);
    void advance(PendingLink& pending, NetworkEvents& events);
    void establish(PendingLink& pending, NetworkEvents& events);
    // Counts it, reports it where this side connects, and frees it.
    void refuse(PendingLink& pending);
    std::unique_ptr<PendingLink> takeOut(PendingLink& pending);
    void refuseExpired();
    void reportRefusals(NetworkEvents& events);

    void serveLinks(NetworkEvents& events);
    void onChannelEvents(Established& entry, uint32_t events);
    void boundClosing(Established& entry);
    void endChannel(Established& entry, bool clean);
    void forget(Established& entry);

    [[nodiscard]] size_t halfOpen() const;

    const NetworkOptions options_;
    HostId host_{};
    std::unique_ptr<SharedKey> key_;
    const CryptoLibrary* crypto_ = nullptr;
    std::unique_ptr<TlsContext> tls_;
    Descriptor epoll_;
    Descriptor wakeEvent_;
    LinkMaker maker_{[this] { wake(); }, options_.beforeMaking};
    Descriptor spare_;  // given up for a moment where there are no more descriptors
    EventSource wakeSource_{.kind = SourceKind::Wake};
    ReadyQueue ready_;
    std::vector<std::unique_ptr<Listener>> listeners_;
    std::vector<std::unique_ptr<PendingLink>> pending_;
    std::vector<std::unique_ptr<Established>> links_;
    std::deque<Refusal> refusals_;
    NetworkCounters counters_;
    Nanoseconds now_ = 0;
    Nanoseconds collectedAt_ = 0;
    uint32_t pollsSinceCollect_ = 0;
    uint32_t epochFloor_ = 0;
    uint64_t lastId_ = 0;
    size_t tcpLinks_ = 0;
    bool isWoken_ = false;
    bool hasWait2_ = true;
};

}  // namespace verbex::transport
