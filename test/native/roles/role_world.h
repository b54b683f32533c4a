// A whole deployment in one thread: sequencer, risk and matching processes, links that delay, and losses, all
// from one seed. What is released is compared with one core that is fed the log.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/random_commands.h"
#include "replication/executor.h"
#include "roles/matching_process.h"
#include "roles/risk_process.h"
#include "roles/sequencer.h"
#include "sim/disk.h"

namespace verbex::roles::test {

struct WorldOptions {
    uint64_t seed = 1;
    uint32_t riskShards = 2;
    uint32_t matchingShards = 2;
    uint32_t commands = 1500;
    bool killRisk = false;
    bool stallRisk = false;   // silent until it is given up; what it had said arrives late
    bool killMatching = false;
    bool killSequencer = false;
    uint32_t killEvery = 1500;  // steps of the world, on average
    CoreLimits limits{.maxOrders = 4096, .maxAccounts = 64, .maxInstruments = 16, .maxClientIds = 1u << 15};
    RoleMutant mutant = RoleMutant::None;
};

// Commands of a small market: six firms with a client each, three instruments.
class Market {
public:
    explicit Market(uint64_t seed);
    Command next();

private:
    Command setUp(uint32_t step);
    verbex::test::RandomCommands random_;
    uint32_t step_ = 0;
};

class World final : public RoleLinks {
public:
    explicit World(const WorldOptions& options);
    ~World();

    // Runs it to its end and compares; what is wrong, or nothing.
    std::string run();

    struct Seen {
        uint64_t losses = 0;
        uint64_t unavailable = 0;  // events with RISK_UNAVAILABLE
        uint64_t refused = 0;
        uint64_t hazards = 0;
        uint64_t trades = 0;
        uint64_t tradesOfLost = 0;  // against an order whose risk process was away
        uint64_t restarts = 0;
        Position positions = 0;
    };
    [[nodiscard]] const Seen& seen() const { return seen_; }

private:
    struct Place {  // of a process
        std::unique_ptr<RoleProcess> process;
        LinkId link = 0;
        uint64_t backAt = 0;   // when it connects again
        uint64_t heldUntil = 0;
    };
    struct Wire {
        size_t place = 0;
        std::deque<std::vector<std::byte>> up;    // to the sequencer
        std::deque<std::vector<std::byte>> down;
        bool cut = false;      // the process is gone: what had been sent arrives, then the end
        bool held = false;     // nothing passes, until the sequencer has given it up
        bool closed = false;   // by the sequencer
    };

    bool send(LinkId to, std::span<const std::byte> frame) override;
    void close(LinkId link) override;
    uint32_t below(uint32_t n) { return static_cast<uint32_t>(random_() % n); }
    std::unique_ptr<RoleProcess> make(size_t place) const;
    std::string openSequencer();
    void connect(size_t place);
    void kill(size_t place);
    void stepOnce();
    void fault();
    void stepSequencer();
    void deliverUp(Wire& wire, LinkId link);
    void deliverDown(Wire& wire, LinkId link);
    void collect();
    void readMarkers();
    std::string compare();
    std::string settleDown();

    const WorldOptions options_;
    std::mt19937_64 random_;
    Market market_;
    sim::SimulatedDisk disk_;
    std::unique_ptr<journal::DirectoryLock> lock_;
    std::unique_ptr<Sequencer> sequencer_;
    std::vector<Place> places_;
    std::map<LinkId, Wire> wires_;
    LinkId nextLink_ = 1;
    uint64_t now_ = 1;
    uint32_t offered_ = 0;
    std::optional<Command> next_;
    std::vector<Event> released_;
    Position collected_ = 0;
    Position markersTo_ = 0;
    std::vector<Command> markers_;
    std::string wrong_;
    Seen seen_;
};

}  // namespace verbex::roles::test
