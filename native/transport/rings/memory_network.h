// A network inside one process: the simulator's, and that of tests.
//
// Purpose: everything above links runs on it unchanged, in one thread, in an order that the caller
// decides by whom it polls when. It knows no loss and no delay: FaultyNetwork adds those.
// Owner: a hub belongs to the test or the simulated world and outlives its networks; a network
// belongs to one simulated node.
// Thread safety: none, apart from links, whose two ends may be polled by two threads; and wake().
// Invariants: as network.h. The same calls in the same order give the same events.
// Requires: a hub.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>

#include "transport/rings/memory_link.h"
#include "transport/network.h"

namespace verbex::transport {

class MemoryNetwork;

// Where listeners are found.
class MemoryHub {
private:
    friend class MemoryNetwork;
    struct Listener {
        MemoryNetwork* network;
        ListenId id;
    };
    std::map<std::string, Listener> listeners_;
    uint16_t nextPort_ = 1;
    uint32_t nextSalt_ = 1;
};

class MemoryNetwork final : public Network {
public:
    MemoryNetwork(MemoryHub& hub, NetworkOptions options);
    // As a process that dies: peers lose their links.
    ~MemoryNetwork() override;

    Result<ListenId> listen(const Address& address, uint32_t epoch) override;
    [[nodiscard]] Address boundAddress(ListenId id) const override;
    void stopListening(ListenId id) override;
    ConnectId connect(const Address& address, const std::string& service, uint32_t epoch,
                      Nanoseconds now) override;
    void poll(Nanoseconds now, NetworkEvents& events) override;
    void wait(Nanoseconds) override {}
    void wake() override {}
    void fence(uint32_t epoch, const std::function<Receiver&(Link&)>& receiver) override;
    void drop(Link& link) override;
    [[nodiscard]] const NetworkCounters& counters() const override { return counters_; }

private:
    struct Listening {
        Address address;
        uint32_t epoch;
    };
    struct Attempt {
        ConnectId id;
        Address address;
        std::string service;
        uint32_t epoch;
    };
    // A link that waits for its announcement.
    struct Arrival {
        uint64_t id;
        bool accepted;
        std::unique_ptr<MemoryLink> link;
    };

    void dial(const Attempt& attempt, NetworkEvents& events);
    Status admit(uint32_t epoch) const;
    void announce(NetworkEvents& events);

    MemoryHub& hub_;
    NetworkOptions options_;
    NetworkCounters counters_;
    std::map<ListenId, Listening> listening_;
    std::deque<Attempt> attempts_;
    std::deque<Arrival> arrivals_;
    std::vector<std::unique_ptr<MemoryLink>> links_;
    std::vector<Link*> reported_;
    uint32_t epochFloor_ = 0;
    uint64_t nextId_ = 1;
};

}  // namespace verbex::transport
