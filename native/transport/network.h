// Who makes links: listening, connecting, set-up, the end of a peer, sleeping.
//
// Purpose: everything above (bus, replication, gateways) is written against this interface, so that
// it runs unchanged over sockets, adapters and shared memory (HostNetwork) and, in the simulator,
// over a MemoryNetwork in one thread.
// Owner: one agent (a thread in production, a step of the simulator there), which owns the links too.
// Thread safety: none; only wake() may be called from any thread, to end a wait() early.
// Invariants:
//   1. Time enters as an argument: no clock is read behind this interface.
//   2. Every connect() is answered once, by onConnected or onRefused; every link that was announced
//      is reported over once, by onOver, unless it was dropped before.
//   3. After fence(e) has returned, no frame of an epoch up to e is delivered and no link of such an
//      epoch comes up any more.
//   4. Half-open set-ups, their memory and their time are bounded.
// Requires: poll() often; links are valid until drop() or the network's end.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "transport/link.h"
#include "transport/security/tls_session.h"
#include "transport/verbs/verbs_device.h"

namespace verbex::transport {

using Nanoseconds = uint64_t;
inline constexpr Nanoseconds kMillisecond = 1'000'000;
using ConnectId = uint64_t;
using ListenId = uint64_t;

// Which transports may be used for a link; Auto takes the best that both ends have.
enum class TransportWish : uint8_t { Auto, Tcp, Shm, Verbs };

struct NetworkOptions {
    std::string node = "verbex";          // this side's name, 1 to 64 printable characters
    TransportWish transport = TransportWish::Auto;
    uint32_t ringBytes = 1u << 20;        // a power of two, 4 KiB to 1 GiB; the smaller one counts
    uint32_t payloadMax = 1u << 16;       // at most a quarter of the ring
    std::vector<std::byte> key;           // 16 to 1024 bytes; empty: nobody is authenticated
    bool mac = true;                      // with a key: every frame carries a MAC
    // The same for the wish Shm, where one is seldom needed. Auto settles it before it knows that the
    // two are on one host: then `mac` counts.
    bool macOnShm = false;
    TlsOptions tls;                       // with a certificateFile: TLS on set-up and tcp
    VerbsOptions verbs;
    bool spin = false;                    // look at sockets without asking epoll first
    uint32_t setUpTimeoutMs = 2000;
    uint32_t halfOpenMax = 64;            // set-ups in progress on the listening side
    uint32_t linksMax = 1024;
    // For tests: runs before each step of making a verbs or shm link, on the thread that makes it.
    std::function<void()> beforeMaking;
};

// "host:port", "[v6]:port"; port 0 listens on any free one.
struct Address {
    std::string host = "127.0.0.1";
    uint16_t port = 0;
    [[nodiscard]] std::string toString() const;
    static Result<Address> parse(std::string_view text);
};

class NetworkEvents {
public:
    // A listener's new link, after the peer has proved itself and both ends are ready.
    virtual void onAccepted(ListenId listener, Link& link) = 0;
    virtual void onConnected(ConnectId id, Link& link) = 0;
    // Set-up failed: refused by the peer, unreachable, timed out. The code is stable.
    virtual void onRefused(ConnectId id, const Status& why) = 0;
    // The link is over: everything that had arrived was delivered by Link::poll before, or the
    // state says why not. drop() it.
    virtual void onOver(Link& link) = 0;

protected:
    ~NetworkEvents() = default;
};

struct NetworkCounters {
    uint64_t accepted = 0;        // connections taken by a listener
    uint64_t established = 0;     // links that came up, both sides
    uint64_t refused = 0;         // set-ups that failed for any reason
    uint64_t wrongKey = 0;
    uint64_t staleEpoch = 0;
    uint64_t malformed = 0;
    uint64_t timedOut = 0;
    uint64_t tooMany = 0;
    uint64_t halfOpen = 0;        // now
    uint64_t links = 0;           // now
};

class Network {
public:
    virtual ~Network() = default;

    // The address with the port that was taken is in boundAddress(id).
    virtual Result<ListenId> listen(const Address& address, uint32_t epoch) = 0;
    [[nodiscard]] virtual Address boundAddress(ListenId id) const = 0;
    virtual void stopListening(ListenId id) = 0;

    // Begins a set-up; service says what is wanted (up to 64 characters).
    virtual ConnectId connect(const Address& address, const std::string& service, uint32_t epoch,
                              Nanoseconds now) = 0;

    // Set-ups, ends of peers, wakes; never waits.
    virtual void poll(Nanoseconds now, NetworkEvents& events) = 0;

    // Sleeps until something arrives for any link or set-up, wake() is called, or the time is over.
    // Returns at once if a link has something to deliver.
    virtual void wait(Nanoseconds atMost) = 0;
    virtual void wake() = 0;

    // Refuses set-ups of epochs up to `epoch` from now on, and fences every link of such an epoch,
    // delivering what had arrived through `receiver(link)`. Those links are over afterwards.
    virtual void fence(uint32_t epoch, const std::function<Receiver&(Link&)>& receiver) = 0;

    // Frees the link. To the peer of one that is not over this is the end of a process, without a
    // goodbye: close() it, and drop it when onOver says so, where that is not meant.
    virtual void drop(Link& link) = 0;

    [[nodiscard]] virtual const NetworkCounters& counters() const = 0;
};

}  // namespace verbex::transport
