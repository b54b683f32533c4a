// Serial equivalence: whatever the plan, whoever runs when, the events and the state are those of one thread.
//
// Two ways to look for a difference. By hand: one thread steps the stages of a pipeline in an order drawn from
// a seed, so that every interleaving of batches can come, and comes again with its seed. With threads: whole
// nodes under each plan, with each way to wait.
//
//   VERBEX_EQUIVALENCE_SECONDS=600 node_test --gtest_filter='Equivalence*'      as long as one likes
//   VERBEX_SEED=17                                                              from this seed on
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <map>

#include "../core/random_commands.h"
#include "node/pipeline.h"
#include "node_fixture.h"

namespace verbex::node {
namespace {

double secondsPerTest() {
    const char* given = std::getenv("VERBEX_EQUIVALENCE_SECONDS");
    return given == nullptr ? 2.0 : std::atof(given);
}

uint64_t firstSeed() {
    const char* given = std::getenv("VERBEX_SEED");
    return given == nullptr ? 1 : std::strtoull(given, nullptr, 10);
}

// A market of firms with clients, several instruments, and money that runs out.
class Market {
public:
    struct Shape {
        uint32_t firms = 5;
        uint32_t clients = 2;  // a firm
        uint32_t instruments = 3;
        uint64_t money = 3'000;      // per account and asset
        uint32_t hazardsPercent = 20;  // market orders, post-only, renames, poor accounts, drains
        uint32_t ids = 200;
    };

    Market(uint64_t seed, const Shape& shape) : random_(seed), shape_(shape) { setUp(); }

    [[nodiscard]] const std::vector<Command>& commands() const { return commands_; }

    void add(uint32_t count) {
        for (uint32_t i = 0; i < count; i++) commands_.push_back(next());
    }

private:
    uint32_t below(uint32_t n) { return static_cast<uint32_t>(random_() % n); }
    Command of(CommandType type) {
        Command command{};
        command.type = static_cast<uint8_t>(type);
        command.token = commands_.size() + 1;
        return command;
    }

    void setUp() {
        for (uint32_t i = 0; i <= shape_.instruments; i++) {
            Command asset = of(CommandType::AddAsset);
            asset.id = ClientId{i + 1, 0};
            commands_.push_back(asset);
        }
        for (uint32_t i = 0; i < shape_.instruments; i++) {
            Command add = of(CommandType::AddInstrument);
            add.flags = kCommandExtended;
            add.id = ClientId{i + 1, 0};
            add.price = 1 + i;
            add.quantity = 2;
            add.priceMin = 1;
            add.priceMax = 200;
            add.quantityMin = 1;
            add.quantityMax = 1000;
            add.makerFee = -100;
            add.takerFee = 20'000;
            add.collar = 50'000;
            add.base = i + 2;
            add.quote = 1;
            commands_.push_back(add);
        }
        for (uint32_t firm = 0; firm < shape_.firms; firm++) {
            Command add = of(CommandType::AddAccount);
            add.id = ClientId{++accounts_, 1};
            commands_.push_back(add);
            const AccountId parent = accounts_;
            for (uint32_t i = 0; i < shape_.clients; i++) {
                Command client = of(CommandType::AddAccount);
                client.account = parent;
                client.id = ClientId{++accounts_, 1};
                commands_.push_back(client);
            }
        }
        for (AccountId account = 1; account <= accounts_; account++) {
            for (AssetId asset = 1; asset <= shape_.instruments + 1; asset++) {
                Command deposit = of(CommandType::Deposit);
                deposit.account = account;
                deposit.instrument = asset;
                deposit.id = ClientId{asset, account};
                deposit.amount = asset == 1 ? shape_.money * 200 : shape_.money;
                commands_.push_back(deposit);
            }
        }
    }

    Command next() {
        if (below(1000) < shape_.hazardsPercent) return rare();
        Command command = of(CommandType::NewOrder);
        command.account = 1 + below(accounts_);
        command.instrument = 1 + below(shape_.instruments);
        command.id = ClientId{1 + below(shape_.ids), 0};
        const uint32_t draw = below(100);
        if (draw < 50) {
            enter(command);
        } else if (draw < 62) {
            command.type = static_cast<uint8_t>(CommandType::CancelOrder);
        } else if (draw < 70) {
            command.type = static_cast<uint8_t>(CommandType::ReduceOrder);
            command.quantity = below(10);
        } else {
            command.type = static_cast<uint8_t>(CommandType::ReplaceOrder);
            command.price = below(30) == 0 ? below(300) : 95 + below(11);
            command.quantity = below(40) == 0 ? below(2000) : 1 + below(20);
            if (below(100) < shape_.hazardsPercent) {
                command.flags = kCommandExtended;
                command.newId = ClientId{1 + below(shape_.ids), 0};
                if (below(3) == 0) command.stopPrice = 95 + below(11);
            }
        }
        return command;
    }

    void enter(Command& command) {
        command.side = static_cast<uint8_t>(1 + below(2));
        command.orderType = static_cast<uint8_t>(OrderType::Limit);
        command.timeInForce = static_cast<uint8_t>(below(5) == 0 ? TimeInForce::Ioc : TimeInForce::Gtc);
        command.price = 95 + below(11);
        command.quantity = 1 + below(20);
        command.selfTrade = static_cast<uint8_t>(below(4) == 0 ? below(5) : 0);
        // A poor account's orders need what others ahead of it give back.
        if (below(100) < shape_.hazardsPercent) command.quantity = 100 + below(900);
        if (below(100) >= shape_.hazardsPercent) return;
        switch (below(6)) {
            case 0:
                command.orderType = static_cast<uint8_t>(OrderType::Market);
                command.timeInForce = static_cast<uint8_t>(TimeInForce::Ioc);
                command.price = 0;
                break;
            case 1:
                command.flags = below(2) == 0 ? kCommandPostOnlyReject : kCommandPostOnlyReprice;
                command.timeInForce = static_cast<uint8_t>(TimeInForce::Gtc);
                break;
            case 2:
                command.orderType =
                    static_cast<uint8_t>(below(2) == 0 ? OrderType::Stop : OrderType::StopLimit);
                command.timeInForce = static_cast<uint8_t>(TimeInForce::Gtc);
                command.flags = kCommandExtended;
                command.stopPrice = 95 + below(11);
                if (command.orderType == static_cast<uint8_t>(OrderType::Stop)) command.price = 0;
                break;
            case 3:
                command.flags = kCommandExtended;
                command.timeInForce = static_cast<uint8_t>(TimeInForce::Gtc);
                command.displayQuantity = 1 + below(static_cast<uint32_t>(command.quantity));
                break;
            case 4: command.timeInForce = static_cast<uint8_t>(TimeInForce::Fok); break;
            default:
                command.timeInForce = static_cast<uint8_t>(TimeInForce::Gtd);
                command.expiry = time_ + below(40);
                break;
        }
    }

    Command rare() {
        Command command = of(CommandType::MassCancel);
        command.account = below(accounts_ + 1);
        switch (below(8)) {
            case 0: command.instrument = below(shape_.instruments + 1); break;
            case 1:
                command.type = static_cast<uint8_t>(CommandType::KillSwitch);
                command.side = static_cast<uint8_t>(1 + below(2));
                if (below(2) == 0) command.side = 2;
                break;
            case 2:
                command.type = static_cast<uint8_t>(CommandType::AdvanceTime);
                command.expiry = time_ += below(20);
                break;
            case 3:
                command.type = static_cast<uint8_t>(below(3) == 0 ? CommandType::DayEnd
                                                                  : CommandType::None);
                break;
            case 4:
                command.type = static_cast<uint8_t>(CommandType::SetLimit);
                command.orderType = static_cast<uint8_t>(1 + below(5));
                command.instrument = command.orderType == 3 ? 0 : 1;
                command.amount = below(2) == 0 ? Amount{-1} : Amount{below(4000)};
                if (command.account == 0 && below(4) != 0) command.account = 1;
                break;
            case 5:
                command.type = static_cast<uint8_t>(CommandType::SetTradingState);
                command.instrument = 1 + below(shape_.instruments);
                command.orderType = static_cast<uint8_t>(below(3) == 0 ? 1 + below(4) : 1);
                break;
            case 6:
                command.type = static_cast<uint8_t>(CommandType::Transfer);
                command.account = 1 + below(accounts_);
                command.toAccount = 1 + below(accounts_);
                command.instrument = 1;
                command.id = ClientId{commands_.size(), 5};
                command.amount = 1 + below(5000);
                break;
            default: {
                uint64_t words[16];
                for (uint64_t& word : words) word = below(3) == 0 ? random_() : below(4);
                std::memcpy(static_cast<void*>(&command), words, sizeof(command));
                command.type = static_cast<uint8_t>(below(24));
                if (!command.extended()) {
                    std::memset(reinterpret_cast<char*>(&command) + 64, 0, 64);
                }
                break;
            }
        }
        return command;
    }

    std::mt19937_64 random_;
    const Shape shape_;
    std::vector<Command> commands_;
    AccountId accounts_ = 0;
    uint64_t time_ = 0;
};

// What a thread would be: work that can stop in its middle and be gone on with later.
class Fiber {
public:
    explicit Fiber(std::function<bool()> work) : work_(std::move(work)), stack_(256u << 10) {}
    Fiber(const Fiber&) = delete;

    [[nodiscard]] bool stopped() const { return stopped_; }
    // Begins the work, or goes on with it; true where it has done something and is at its end.
    bool go() {
        if (!stopped_) {
            getcontext(&inside_);
            inside_.uc_stack.ss_sp = stack_.data();
            inside_.uc_stack.ss_size = stack_.size();
            inside_.uc_link = &outside_;
            begun_ = this;
            makecontext(&inside_, [] {
                Fiber* const self = begun_;
                self->done_ = self->work_();
                self->stopped_ = false;
            }, 0);
        }
        stopped_ = true;
        current_ = this;
        swapcontext(&outside_, &inside_);
        current_ = nullptr;
        return !stopped_ && done_;
    }
    // From within: stops the fiber that is running.
    static void stop() {
        Fiber* const self = current_;
        swapcontext(&self->inside_, &self->outside_);
    }

private:
    const std::function<bool()> work_;
    std::vector<char> stack_;
    ucontext_t inside_{}, outside_{};
    bool stopped_ = false;
    bool done_ = false;
    static inline Fiber* current_ = nullptr;
    static inline Fiber* begun_ = nullptr;
};

// A pipeline whose stages are stepped in an order drawn from a seed.
class ByHand {
public:
    ByHand(uint64_t seed, const CoreLimits& limits, const CoreShards& shards, HazardMutant mutant,
           uint32_t eventCells)
        : random_(seed), core_(limits, shards), ring_(64), events_(eventCells),
          pipeline_(plan(shards), 1, ring_, core_, events_, around()) {
        core_.breakRule(mutant);
        for (pipeline::Stage* stage : pipeline_.stages()) {
            stages_.push_back(stage);
            fibers_.push_back(std::make_unique<Fiber>([stage] { return stage->step(); }));
        }
        // The engine's thread lets in and lets out; in the middle of a command it only lets out.
        fibers_.push_back(std::make_unique<Fiber>([this] { return pipeline_.receive(); }));
    }

    // Runs them all; the state hash.
    std::string run(const std::vector<Command>& commands) {
        size_t offered = 0;
        uint64_t idleFor = 0;
        while (offered < commands.size() || pipeline_.published() != commands.size()) {
            bool moved = false;
            if (offered < commands.size() && random_() % 3 == 0) {
                const pipeline::Claim claim = ring_.claim(static_cast<uint32_t>(
                    std::min<size_t>(commands.size() - offered, 1 + random_() % 32)));
                for (uint64_t at = claim.first; at != claim.end(); at++) {
                    ring_.at(at).command = commands[offered++];
                }
                ring_.release(claim);
                moved = claim.count != 0;
            }
            moved |= stepOne();
            // Whoever claims to be ready must find something to do, and the other way round.
            idleFor = moved ? 0 : idleFor + 1;
            EXPECT_LT(idleFor, 10'000u) << "the pipeline stands still at " << pipeline_.published();
            if (idleFor >= 10'000) return "stuck";
        }
        while (consume()) {
        }
        EXPECT_TRUE(pipeline_.idle());
        pipeline_.settleCore();
        EXPECT_EQ(pipeline_.digest(), digestOf(received));
        return core_.hash().hex();
    }

    std::vector<Event> received;
    [[nodiscard]] PipelineCounters counters() const { return pipeline_.counters(); }

private:
    static pipeline::ThreadPlan plan(const CoreShards& shards) {
        pipeline::ThreadPlan plan;
        plan.kind = pipeline::PlanKind::Sharded;
        plan.riskShards = shards.risk;
        plan.matchingShards = shards.matching;
        return plan;
    }
    Pipeline::Surroundings around() {
        Pipeline::Surroundings with;
        // In the middle of a command: its own stage can't be stepped, all others can.
        with.onFull = Fiber::stop;
        return with;
    }
    static Digest128 digestOf(const std::vector<Event>& events) {
        EventDigest digest;
        digest.add(events.data(), events.size());
        return digest.value();
    }

    bool stepOne() {
        const size_t which = random_() % (fibers_.size() + 2);
        Fiber* const engine = fibers_.back().get();
        if (which < stages_.size()) {
            Fiber& fiber = *fibers_[which];
            const bool ready = fiber.stopped() || stages_[which]->ready();
            const bool done = fiber.go();
            EXPECT_TRUE(!done || ready) << "a sleeping stage would not have been woken for this";
            return done;
        }
        if (which == stages_.size()) return engine->go();
        if (which == stages_.size() + 1) {
            if (engine->stopped()) return false;
            const bool ready = pipeline_.ready();
            const bool done = pipeline_.publish();
            EXPECT_TRUE(!done || ready);
            return done;
        }
        return consume();
    }

    bool consume() {
        const uint64_t ready = events_.available();
        if (ready == 0) return false;
        const uint64_t count = 1 + random_() % ready;
        for (uint64_t i = 0; i < count; i++) {
            received.push_back(events_.memory()[(index_ + i) % events_.cells()]);
        }
        index_ += count;
        EXPECT_TRUE(events_.release(count));
        return true;
    }

    std::mt19937_64 random_;
    Core core_;
    CommandRing ring_;
    EventRing events_;
    uint64_t index_ = 0;
    Pipeline pipeline_;
    std::vector<pipeline::Stage*> stages_;
    std::vector<std::unique_ptr<Fiber>> fibers_;  // one for each stage, then the engine's
};

struct Drawn {
    Market::Shape shape;
    CoreShards shards;
    uint32_t eventCells;
    uint32_t commands;
    CoreLimits limits;
};

Drawn draw(uint64_t seed) {
    std::mt19937_64 random(seed * 7919);
    const auto below = [&random](uint32_t n) { return static_cast<uint32_t>(random() % n); };
    Drawn drawn;
    drawn.shape.firms = 1 + below(6);
    drawn.shape.clients = below(3);
    drawn.shape.instruments = 1 + below(4);
    drawn.shape.money = below(3) == 0 ? 100 : below(2) == 0 ? 3'000 : 1'000'000;
    constexpr uint32_t kHazards[] = {0, 1, 10, 30, 100};
    drawn.shape.hazardsPercent = kHazards[below(5)];
    drawn.shape.ids = 50 + below(400);
    drawn.shards = CoreShards{1 + below(4), 1 + below(3)};
    drawn.eventCells = below(4) == 0 ? 16 : 1u << (6 + below(5));
    drawn.commands = 500 + below(1500);
    drawn.limits = smallLimits();
    // Tables that fill up: which order is the one too many must not depend on who is in flight.
    if (below(3) == 0) drawn.limits.maxOrders = 5 + below(60);
    if (below(3) == 0) drawn.limits.maxClientIds = 20 + below(300);
    return drawn;
}

// "" or what differs.
std::string differs(uint64_t seed, HazardMutant mutant, PipelineCounters* counters = nullptr) {
    const Drawn drawn = draw(seed);
    Market market(seed, drawn.shape);
    market.add(drawn.commands);
    SerialRun serial(drawn.limits);
    for (const Command& command : market.commands()) serial.apply(command);
    ByHand hand(seed, drawn.limits, drawn.shards, mutant, drawn.eventCells);
    const std::string hash = hand.run(market.commands());
    if (counters != nullptr) *counters = hand.counters();
    const std::string where = " (seed " + std::to_string(seed) + ", " +
                              std::to_string(drawn.shards.risk) + "x" +
                              std::to_string(drawn.shards.matching) + ")";
    const size_t count = std::min(serial.events.size(), hand.received.size());
    for (size_t i = 0; i < count; i++) {
        if (std::memcmp(&serial.events[i], &hand.received[i], sizeof(Event)) == 0) continue;
        return "event " + std::to_string(i) + " of the command at position " +
               std::to_string(serial.events[i].position) + " differs" + where;
    }
    if (serial.events.size() != hand.received.size()) return "not as many events" + where;
    if (serial.core().hash().hex() != hash) return "another state" + where;
    return "";
}

#if defined(__SANITIZE_THREAD__)
constexpr bool kThreadSanitizer = true;  // knows no fibers; what one thread does is not its business
#else
constexpr bool kThreadSanitizer = false;
#endif

TEST(Equivalence, AnyOrderOfStepsGivesTheSerialEventsAndState) {
    if (kThreadSanitizer) GTEST_SKIP() << "one thread only";
    const auto end = std::chrono::steady_clock::now() +
                     std::chrono::duration<double>(4 * secondsPerTest());
    uint64_t seed = firstSeed();
    uint64_t hazards = 0;
    uint64_t drains = 0;
    do {
        PipelineCounters counters;
        ASSERT_EQ(differs(seed, HazardMutant::None, &counters), "");
        hazards += counters.hazards;
        drains += counters.drains;
        seed++;
    } while (std::chrono::steady_clock::now() < end || seed < firstSeed() + 60);
    EXPECT_GT(hazards, 1000u);
    EXPECT_GT(drains, 1000u);
    std::printf("seeds %llu to %llu: %llu hazards, %llu drains\n",
                static_cast<unsigned long long>(firstSeed()),
                static_cast<unsigned long long>(seed - 1), static_cast<unsigned long long>(hazards),
                static_cast<unsigned long long>(drains));
}

// Each rule of the pipeline, broken on purpose: the test above must notice, unless an invariant of the core
// does before it.
class Mutants : public ::testing::TestWithParam<HazardMutant> {};

bool notices(uint64_t seed, HazardMutant mutant) {
    std::fflush(nullptr);
    const pid_t child = fork();
    if (child == 0) {
        std::fclose(stderr);
        _exit(differs(seed, mutant).empty() ? 0 : 1);
    }
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

TEST_P(Mutants, AreCaught) {
    if (kThreadSanitizer) GTEST_SKIP() << "one thread only";
    ASSERT_FALSE(notices(1, HazardMutant::None));
    for (uint64_t seed = 1; seed <= 60; seed++) {
        if (notices(seed, GetParam())) return;
    }
    FAIL() << "sixty seeds did not notice a broken rule";
}

INSTANTIATE_TEST_SUITE_P(Equivalence, Mutants,
                         ::testing::Values(HazardMutant::RejectWithoutFunds,
                                           HazardMutant::CapturedBook,
                                           HazardMutant::ReplaceWithoutReserve));

// ---- whole nodes, with threads

struct Manner {
    uint32_t risk;
    uint32_t matching;
    uint64_t spinNs;
    uint32_t ringCells;
    uint32_t eventCells;
};

class Plans : public ::testing::TestWithParam<Manner> {};

pipeline::ThreadPlan planOf(const Manner& manner) {
    pipeline::ThreadPlan plan;
    plan.kind = manner.risk + manner.matching == 2 ? pipeline::PlanKind::Pipelined
                                                   : pipeline::PlanKind::Sharded;
    if (manner.risk == 0) plan.kind = pipeline::PlanKind::Serial;
    plan.riskShards = std::max(manner.risk, 1u);
    plan.matchingShards = std::max(manner.matching, 1u);
    plan.spinNs = manner.spinNs;
    return plan;
}

// Feeds a node with all of it; compares what comes out, kills it, and has another plan recover it.
TEST_P(Plans, GiveTheSerialEventsAndStateAndRecoverEachOthersJournals) {
    const Manner manner = GetParam();
    for (const uint32_t hazards : {0u, 10u, 100u}) {
        const uint64_t seed = firstSeed() + hazards + manner.risk * 8 + manner.matching;
        Market::Shape shape;
        shape.hazardsPercent = hazards;
        Market market(seed, shape);
        market.add(6'000);
        const std::vector<Command>& commands = market.commands();
        SerialRun serial(smallLimits());
        for (const Command& command : commands) serial.apply(command);
        const std::string hash = serial.core().hash().hex();

        sim::SimulatedDisk disk;
        NodeOptions options = smallOptions("data");
        options.plan = planOf(manner);
        options.ringCells = manner.ringCells;
        options.eventCells = manner.eventCells;
        options.durable = seed % 2 == 0;
        options.segmentBytes = 1u << 20;
        options.snapshotEvery = 1'000;
        NodeSurroundings with;
        with.storage = &disk;
        {
            Node::Opened opened = Node::open(options, with);
            ASSERT_TRUE(opened.failure.isOk()) << opened.failure.message;
            Client client(*opened.node);
            ASSERT_TRUE(client.feed(commands, 0, commands.size()));
            ASSERT_TRUE(client.drainUpTo(commands.size())) << opened.node->stats().failure;
            ASSERT_TRUE(sameEvents(client.received, serial.events, serial.events.size())) << seed;
            ASSERT_EQ(client.received.size(), serial.events.size());
            const std::string asked =
                ask(*opened.node, [](const Core& core) { return core.hash().hex(); });
            EXPECT_EQ(asked, hash);
            const NodeStats stats = opened.node->stats();
            EXPECT_EQ(stats.snapshotStatus, "");
            EXPECT_EQ(stats.pipeline.drains > 0, manner.risk > 0);
            opened.node->stop();
        }
        // What one plan wrote another one reads.
        options.plan = planOf({manner.matching, manner.risk, manner.spinNs, 0, 0});
        Node::Opened again = Node::open(options, with);
        ASSERT_TRUE(again.failure.isOk()) << again.failure.message;
        EXPECT_EQ(again.node->stats().stateHash, hash);
        Client client(*again.node);
        const CloseResult closed = client.close();
        EXPECT_TRUE(closed.failure.isOk()) << closed.failure.message;
        EXPECT_EQ(closed.stateHash.hex(), hash);
    }
}

// A consumer that takes nothing, and a command with more events than the ring has room for: a mass cancel, which
// runs alone, or an order that sweeps the book. Whoever stops the node then need not wait for the consumer.
TEST_P(Plans, StopWhileACommandWaitsForRoomInItsMiddle) {
    for (const bool sweep : {false, true}) {
        NodeOptions options = smallOptions("");
        options.plan = planOf(GetParam());
        options.ringCells = 1024;
        options.eventCells = 64;
        Node::Opened opened = Node::open(options, {});
        ASSERT_TRUE(opened.failure.isOk());
        Market::Shape shape;
        shape.money = 1'000'000;
        Market market(1, shape);
        std::vector<Command> commands = market.commands();
        for (uint32_t i = 0; i < 200; i++) {
            Command order{};
            order.type = static_cast<uint8_t>(CommandType::NewOrder);
            order.account = 1;
            order.instrument = 1;
            order.id = ClientId{1000 + i, 0};
            order.side = static_cast<uint8_t>(Side::Sell);
            order.orderType = static_cast<uint8_t>(OrderType::Limit);
            order.timeInForce = static_cast<uint8_t>(TimeInForce::Gtc);
            order.price = 100;
            order.quantity = 1;
            commands.push_back(order);
        }
        Client client(*opened.node);
        ASSERT_TRUE(client.feed(commands, 0, commands.size()));
        ASSERT_TRUE(client.drainUpTo(commands.size()));
        Command last = commands.back();
        last.account = sweep ? 2 : 1;
        last.id = ClientId{9, 9};
        last.side = static_cast<uint8_t>(sweep ? Side::Buy : Side::None);
        last.quantity = 200;
        if (!sweep) last.type = static_cast<uint8_t>(CommandType::MassCancel);
        ASSERT_EQ(opened.node->offer(&last, 1).taken, 1u);
        while (opened.node->available() == 0) std::this_thread::yield();
        opened.node->stop();
        EXPECT_EQ(opened.node->state(), EngineState::Stopped);
        // What came out until then is complete: ids, not the places of entries.
        client.drain();
        for (size_t i = commands.size(); i < client.received.size(); i++) {
            const Event& event = client.received[i];
            if (event.type == static_cast<uint8_t>(EventType::Trade)) {
                EXPECT_GE(event.id2.lo, 1000u);
                EXPECT_EQ(event.schedules, 0u);
            }
        }
    }
}

// A mark is due, more commands wait to be published than go out at once, and the next one, a mass cancel, has more events
// than there is room for: what it lets out meanwhile may go past the place of the mark, which then lies further on.
TEST_P(Plans, AMarkThatIsPassedWhileACommandWaitsForRoomIsTakenLater) {
    sim::SimulatedDisk disk;
    NodeOptions options = smallOptions("data");
    options.plan = planOf(GetParam());
    options.limits = {1u << 14, 64, 16, 1u << 17};
    options.ringCells = 1u << 14;
    options.eventCells = 1u << 13;
    options.durable = false;
    options.segmentBytes = 4u << 20;
    options.snapshotEvery = 100;
    NodeSurroundings with;
    with.storage = &disk;
    Node::Opened opened = Node::open(options, with);
    ASSERT_TRUE(opened.failure.isOk()) << opened.failure.message;
    Market::Shape shape;
    shape.money = 1'000'000'000;
    Market market(1, shape);
    std::vector<Command> commands = market.commands();
    for (uint32_t round = 0; round < 4; round++) {
        for (uint32_t i = 0; i < 9'000; i++) {
            Command order{};
            order.type = static_cast<uint8_t>(CommandType::NewOrder);
            order.account = 1;
            order.instrument = 1;
            order.id = ClientId{1 + i, 1 + round};
            order.side = static_cast<uint8_t>(Side::Sell);
            order.orderType = static_cast<uint8_t>(OrderType::Limit);
            order.timeInForce = static_cast<uint8_t>(TimeInForce::Gtc);
            order.price = 100;
            order.quantity = 1;
            commands.push_back(order);
        }
        Command cancel{};
        cancel.type = static_cast<uint8_t>(CommandType::MassCancel);
        cancel.account = 1;
        commands.push_back(cancel);
    }
    Client client(*opened.node);
    ASSERT_TRUE(client.feed(commands, 0, commands.size()));
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (opened.node->stats().publishedPosition < commands.size()) {
        ASSERT_LT(std::chrono::steady_clock::now(), end) << "it stands still";
        client.drain();
    }
    client.drain();
    EXPECT_EQ(client.complete(), commands.size());
    EXPECT_EQ(opened.node->stats().snapshotStatus, "");
    opened.node->stop();
}

INSTANTIATE_TEST_SUITE_P(
    Equivalence, Plans,
    ::testing::Values(Manner{0, 0, 10'000, 256, 1024}, Manner{1, 1, 10'000, 256, 1024},
                      Manner{1, 1, 1, 64, 64}, Manner{1, 1, pipeline::kSpinForEver, 1024, 4096},
                      Manner{2, 2, 10'000, 256, 1024}, Manner{3, 2, 1, 64, 64},
                      Manner{1, 3, 10'000, 128, 256}, Manner{4, 1, 100'000, 512, 256}),
    [](const ::testing::TestParamInfo<Manner>& info) {
        const Manner& manner = info.param;
        return planOf(manner).name() == "serial"
                   ? std::string("serial")
                   : "r" + std::to_string(manner.risk) + "m" + std::to_string(manner.matching) +
                         "_spin" +
                         (manner.spinNs == pipeline::kSpinForEver ? "ForEver"
                                                                  : std::to_string(manner.spinNs)) +
                         "_ring" + std::to_string(manner.ringCells);
    });

}  // namespace
}  // namespace verbex::node
