// A whole deployment in one thread: sequencers, risk and matching processes, links that delay, and losses, all
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
#include "roles/sequencer_member.h"
#include "sim/disk.h"

namespace verbex::roles::test {

inline constexpr uint64_t kStepNs = 1'000'000;  // of the world's time

struct WorldOptions {
    uint64_t seed = 1;
    uint32_t riskShards = 2;
    uint32_t matchingShards = 2;
    uint32_t sequencers = 1;
    uint32_t commands = 1500;
    bool killRisk = false;
    bool stallRisk = false;   // silent until it is given up; what it had said arrives late
    bool killMatching = false;
    bool killSequencer = false;  // any; the one that leads as well
    bool cutSequencer = false;   // from the others, from the control store, from the roles
    uint32_t killEvery = 1500;  // steps of the world, on average
    uint32_t snapshotEvery = 0;  // commands; 0: processes keep none
    bool damageSnapshots = false;  // with a kill, now and then: a bit of one flips, or its disk stops in a write
    // What lies on the disks of the processes in the beginning: another deployment's, of the same layout and name.
    std::vector<sim::SimulatedDisk::Image> disks;
    uint32_t stateEvery = 0;       // commands; 0: sequencers keep no snapshots
    bool damageStates = false;     // with a kill, now and then, as above, those of sequencers
    // What lies in the folders of the sequencers' snapshots in the beginning.
    std::vector<sim::SimulatedDisk::Image> states;
    CoreLimits limits{.maxOrders = 4096, .maxAccounts = 64, .maxInstruments = 16, .maxClientIds = 1u << 15};
    RoleMutant mutant = RoleMutant::None;
};

// Of a world whose rules are broken: what is wrong in it, or that it has ended its process (a CHECK); empty: nothing.
std::string whatIsWrong(const WorldOptions& options);

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

class World;

// The control store of the sequencers: linearizable, slow, and now and then without an answer.
class Store {
public:
    class View final : public replication::ControlStore {
    public:
        View(Store& store, size_t node) : store_(store), node_(node) {}
        void read(uint64_t request) override { store_.ask({0, node_, request, false, 0, {}}); }
        void compareAndSwap(uint64_t request, uint64_t expected, const std::string& text) override {
            store_.ask({0, node_, request, true, expected, text});
        }
        bool poll(replication::ControlAnswer& answer) override;
        std::deque<replication::ControlAnswer> answers;
        bool cut = false;

    private:
        Store& store_;
        const size_t node_;
    };
    explicit Store(World& world) : world_(world) {}
    View& add();
    [[nodiscard]] View& of(size_t node) { return *views_[node]; }
    void step();
    // Its process has ended: what it has asked for may still take effect, and nobody is told.
    void endOf(size_t node);

private:
    struct Asked {
        uint64_t at = 0;
        size_t node = 0;  // SIZE_MAX: nobody any more
        uint64_t request = 0;
        bool swap = false;
        uint64_t expected = 0;
        std::string text;
    };
    void ask(Asked asked);
    World& world_;
    replication::ControlRecord record_;
    std::deque<Asked> asked_;
    std::vector<std::unique_ptr<View>> views_;
};

class World final {
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
        uint64_t cuts = 0;
        uint64_t takeovers = 0;  // sequencers that began to lead
        uint64_t forsaken = 0;   // refused by one that was lost before it could say why
        Position positions = 0;
        uint64_t taken = 0;      // snapshots
        uint64_t begun = 0;      // links that began with a core that was there, and came to take part
        uint64_t putAside = 0;   // snapshots that were damaged, or not confirmed
        uint64_t unconfirmed = 0;  // offers that a sequencer refused
        uint64_t torn = 0;       // a disk stopped in the midst of it
        uint64_t states = 0;     // snapshots of sequencers
        uint64_t statesAside = 0;
        uint64_t statesTorn = 0;
        uint64_t warm = 0;       // sequencers that began to lead with some of the log replayed
        Position tail = 0;       // of their logs, what these replayed when they began
        Position whole = 0;      // and all of it
    };
    [[nodiscard]] const Seen& seen() const { return seen_; }
    // Of the processes, as they are now.
    [[nodiscard]] std::vector<sim::SimulatedDisk::Image> disks() const;
    // Of the sequencers, what lies in the folders of their snapshots.
    [[nodiscard]] std::vector<sim::SimulatedDisk::Image> states() const;

private:
    friend class Store;
    // A sequencer: its disk, its process, and what it is cut off from.
    struct Node final : public RoleLinks, public replication::Wires {
        Node(World& theWorld, size_t theIndex) : world(theWorld), index(theIndex) {}
        bool send(LinkId to, std::span<const std::byte> frame) override {
            return to < replication::kFirstClient ? world.sendPeer(index, to - 1, frame)
                                                  : world.sendRole(to, frame);
        }
        void close(LinkId link) override { world.close(link); }
        void fence(uint64_t) override {}
        World& world;
        const size_t index;
        sim::SimulatedDisk disk;
        std::unique_ptr<SequencerMember> member;
        uint64_t backAt = 0;
        uint64_t healAt = 0;      // 0: it is whole
        bool cutPeers = false;
        bool cutRoles = false;
        const Sequencer* counted = nullptr;
        Position markersTo = 0;   // of the sequencer that is counted
        std::vector<Command> markers;
    };
    struct PeerFrame {
        uint64_t at = 0;
        std::vector<std::byte> bytes;
    };
    struct Place {  // of a process
        std::unique_ptr<sim::SimulatedDisk> disk = std::make_unique<sim::SimulatedDisk>();
        std::unique_ptr<RoleSnapshots> snapshots;
        std::unique_ptr<RoleProcess> process;
        bool joined = false;
        LinkId link = 0;
        uint64_t backAt = 0;   // when it connects again
        uint64_t heldUntil = 0;
        size_t next = 0;       // whom it dials then
    };
    struct Wire {
        size_t place = 0;
        size_t node = 0;
        std::deque<std::vector<std::byte>> up;    // to the sequencer
        std::deque<std::vector<std::byte>> down;
        bool cut = false;      // the process is gone: what had been sent arrives, then the end
        bool held = false;     // nothing passes, until the sequencer has given it up
        bool closed = false;   // by the sequencer
    };

    bool sendRole(LinkId to, std::span<const std::byte> frame);
    bool sendPeer(size_t from, size_t to, std::span<const std::byte> frame);
    void close(LinkId link);
    uint32_t below(uint32_t n) { return static_cast<uint32_t>(random_() % n); }
    void make(size_t place);
    void endOf(Place& at);
    void workFor(Place& at);
    // The newest snapshot in this folder.
    void damage(sim::SimulatedDisk& disk, const std::string& folder);
    void workFor(Node& node);
    void checkShadow(Node& node);
    void checkBeginning(Sequencer& sequencer);
    void countStates(Node& node);
    std::string openSequencer(Node& node);
    void killSequencer(Node& node);
    void cut(Node& node);
    void heal(Node& node);
    void leaveNode(size_t node);
    [[nodiscard]] Sequencer* sequencerOf(Node& node);
    [[nodiscard]] Sequencer* leading();  // if there is just one
    void connect(size_t place);
    void kill(size_t place);
    void stepOnce();
    void fault();
    void stepNode(Node& node);
    void deliverPeers();
    void deliverUp(Wire& wire, LinkId link);
    void deliverDown(Wire& wire, LinkId link);
    void collect(Node& node, Sequencer& sequencer);
    void readMarkers(Node& node);
    std::string compare();
    std::string compareNodes();
    std::string settleDown();

    const WorldOptions options_;
    std::mt19937_64 random_;
    Market market_;
    Store store_{*this};
    std::vector<std::unique_ptr<Node>> nodes_;
    std::map<std::pair<size_t, size_t>, std::deque<PeerFrame>> peers_;  // from, to
    std::vector<Place> places_;
    std::map<LinkId, Wire> wires_;
    LinkId nextLink_ = replication::kFirstClient;
    uint64_t now_ = 1;
    uint32_t offered_ = 0;
    std::optional<Command> next_;
    std::vector<Event> released_;
    Position collected_ = 0;
    Position committed_ = 0;  // what any sequencer has released of its log
    std::string wrong_;
    Seen seen_;
};

}  // namespace verbex::roles::test
