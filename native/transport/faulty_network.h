// A network whose links lose, double, delay, reorder, stall and cut, from a seed.
//
// Purpose: everything above links meets here what the real world does to it, again and again the same
// way. It decorates any Network: memory in the simulator, tcp or verbs in the conformance tests.
// Owner: one agent, like the network behind it, which outlives it.
// Thread safety: none; wake() from any thread.
// Invariants:
//   1. One seed and one order of calls give one order of faults, on every host.
//   2. A message is delivered unchanged or not at all; faults never reach inside of one (torn and
//      forged bytes are the frame tests' matter).
//   3. What is held back is bounded by heldMax messages a link; beyond it messages go through.
// Requires: the network behind delivers as link.h says.
#pragma once

#include <memory>
#include <vector>

#include "transport/network.h"

namespace verbex::transport {

// Chances in parts of a million, a message.
struct Faults {
    uint32_t lose = 0;
    uint32_t duplicate = 0;
    uint32_t reorder = 0;  // held back behind the next few
    uint32_t delay = 0;
    Nanoseconds delayMaxNs = 1'000'000;
    uint32_t cut = 0;      // the link ends as if the wire had been cut
    uint32_t stall = 0;    // nothing goes through for stallNs, then everything
    Nanoseconds stallNs = 10'000'000;
    uint32_t heldMax = 256;
};

class FaultyLink;

class FaultyNetwork final : public Network, private NetworkEvents {
public:
    FaultyNetwork(Network& behind, const Faults& faults, uint64_t seed);
    ~FaultyNetwork() override;

    // From now on, for all links.
    void setFaults(const Faults& faults);
    // Silence: nothing goes in or out, and nobody is told, until healed.
    void setSilent(bool silent);
    // Cuts all links at once.
    void cutAll();

    Result<ListenId> listen(const Address& address, uint32_t epoch) override;
    [[nodiscard]] Address boundAddress(ListenId id) const override;
    void stopListening(ListenId id) override;
    ConnectId connect(const Address& address, const std::string& service, uint32_t epoch,
                      Nanoseconds now) override;
    void poll(Nanoseconds now, NetworkEvents& events) override;
    void wait(Nanoseconds atMost) override;
    void wake() override { behind_.wake(); }
    void fence(uint32_t epoch, const std::function<Receiver&(Link&)>& receiver) override;
    void drop(Link& link) override;
    [[nodiscard]] const NetworkCounters& counters() const override { return behind_.counters(); }

private:
    friend class FaultyLink;

    void onAccepted(ListenId listener, Link& link) override;
    void onConnected(ConnectId id, Link& link) override;
    void onRefused(ConnectId id, const Status& why) override;
    void onOver(Link& link) override;
    FaultyLink& wrap(Link& link);
    FaultyLink* faceOf(Link& behind);

    // xorshift64*: Sebastiano Vigna, "An experimental exploration of Marsaglia's xorshift generators,
    // scrambled" (2014).
    uint64_t draw();
    bool happens(uint32_t partsPerMillion);

    Network& behind_;
    Faults faults_;
    uint64_t random_;
    bool silent_ = false;
    Nanoseconds now_ = 0;
    NetworkEvents* events_ = nullptr;
    std::vector<std::unique_ptr<FaultyLink>> links_;
};

}  // namespace verbex::transport
