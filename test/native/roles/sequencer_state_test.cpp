// A sequencer's shadow and its snapshots, fed by hand: what is kept, what is refused, and that nothing is missing.
#include "roles/sequencer_state.h"

#include <gtest/gtest.h>

#include <cstring>

#include "roles/role_world.h"
#include "roles/sequencer_shadow.h"
#include "wire/command_codec.h"

namespace verbex::roles::test {
namespace {

using replication::EntryHeader;
using replication::LogEntry;
using replication::OutputBatch;

constexpr uint32_t kMarkPositions = 32;
constexpr char kStateFolder[] = "/state";

SequencerShadowOptions shadowOptions() {
    SequencerShadowOptions options;
    options.replay.limits = {.maxOrders = 512, .maxAccounts = 64, .maxInstruments = 16, .maxClientIds = 4096};
    options.replay.riskShards = options.replay.matchingShards = 2;
    options.replay.markEvery = kMarkPositions;
    options.replay.outputEvents = 300;
    options.deployment = "test";
    options.directory = kStateFolder;
    options.everyCommands = 100;
    return options;
}

struct TestEntry {
    EntryHeader header;
    std::vector<std::byte> payload;
    [[nodiscard]] LogEntry view() const { return {header, payload}; }
};

// The log of a market with two risk processes.
class TestLog {
public:
    TestLog() {
        Command first{};
        first.type = static_cast<uint8_t>(CommandType::SetAvailability);
        first.side = 2;
        first.orderType = 2;
        first.quantity = 1;
        add({first});
    }
    const TestEntry& add(const std::vector<Command>& commands) {
        TestEntry entry;
        encodeBatch(commands, entry.payload);
        entry.header.epoch = 1;
        entry.header.first = last() + 1;
        entry.header.count = static_cast<uint32_t>(commands.size());
        entry.header.payloadBytes = static_cast<uint32_t>(entry.payload.size());
        entries_.push_back(std::move(entry));
        return entries_.back();
    }
    void grow(Position to) {
        while (last() < to) {
            std::vector<Command> commands;
            for (uint32_t i = 0; i < 1 + last() % 5; i++) commands.push_back(market_.next());
            add(commands);
        }
    }
    [[nodiscard]] Position last() const {
        return entries_.empty() ? 0 : entries_.back().header.last();
    }
    [[nodiscard]] const std::deque<TestEntry>& entries() const { return entries_; }

private:
    Market market_{5};
    std::deque<TestEntry> entries_;
};

// Stands for the result of keeping account of the log.
Digest128 accountAt(Position at) { return {at, 0xACC0}; }

class OfASequencer : public testing::Test {
protected:
    void SetUp() override { begin(); }
    // As after kill -9.
    void begin(const SequencerShadowOptions& options = shadowOptions()) {
        shadow_.reset();
        disk_.restart(sim::RestartMode::ProcessCrash, 1);
        auto opened = SequencerShadow::open(disk_, options);
        ASSERT_TRUE(opened.isOk()) << opened.status().toString();
        shadow_ = opened.take();
        work();
    }
    void work() {
        while (shadow_->isWanted()) shadow_->workNow();
    }
    Position beganAt() {
        Position at = UINT64_MAX;
        Digest128 log;
        EXPECT_TRUE(shadow_->began(at, log));
        if (at != 0 && at != UINT64_MAX) { EXPECT_EQ(log, accountAt(at)); }
        return at;
    }
    // What the log has and the shadow has not, an entry a piece.
    void feed() {
        for (const TestEntry& entry : log_.entries()) {
            if (entry.header.first <= shadow_->fedTo()) continue;
            FedEntries fed;
            fed.headers.push_back(entry.header);
            fed.payloads = entry.payload;
            if (isMark(entry.header, kMarkPositions)) fed.mark = accountAt(entry.header.last());
            shadow_->feed(std::move(fed));
        }
    }
    std::vector<std::string> files() {
        std::vector<std::string> names;
        for (const auto& [path, contents] : disk_.image()) {
            if (path.ends_with(".snapshot")) names.push_back(path);
        }
        return names;
    }
    void takeSome(Position upTo = 400) {
        EXPECT_EQ(beganAt(), 0u);
        shadow_->confirm();
        log_.grow(upTo);
        feed();
        work();
        ASSERT_EQ(files().size(), 2u);
        EXPECT_GE(shadow_->status().taken, 3u);
        EXPECT_EQ(shadow_->status().trouble, "");
    }
    // All that can be known of it, against a replay of the whole log.
    void expectWhole(LogReplay& found) {
        LogReplay wanted(shadowOptions().replay);
        for (const TestEntry& entry : log_.entries()) ASSERT_TRUE(wanted.replay(entry.view()).isOk());
        ASSERT_EQ(found.position(), wanted.position());
        EXPECT_EQ(found.chain(), wanted.chain());
        EXPECT_EQ(found.others(), wanted.others());
        EXPECT_EQ(found.part().core().hash(), wanted.part().core().hash());
        EXPECT_EQ(found.unexplained().size(), wanted.unexplained().size());
        ASSERT_EQ(found.marks().size(), wanted.marks().size());
        for (size_t i = 0; i < wanted.marks().size(); i++) {
            EXPECT_EQ(found.marks()[i].at, wanted.marks()[i].at);
            EXPECT_EQ(found.marks()[i].hash, wanted.marks()[i].hash);
        }
        EXPECT_EQ(found.outputs().released(), wanted.outputs().released());
        ASSERT_EQ(found.outputs().oldest(), wanted.outputs().oldest());
        for (Position at = wanted.outputs().oldest(); at <= wanted.outputs().released();) {
            const OutputBatch* const a = wanted.outputs().find(at);
            const OutputBatch* const b = found.outputs().find(at);
            ASSERT_TRUE(a != nullptr && b != nullptr) << at;
            EXPECT_EQ(std::memcmp(&a->entry, &b->entry, sizeof(EntryHeader)), 0);
            EXPECT_EQ(a->hash, b->hash);
            EXPECT_EQ(a->ofEvents, b->ofEvents);
            EXPECT_EQ(eventsOf(*a), eventsOf(*b));
            at = a->entry.last() + 1;
        }
    }
    static std::string eventsOf(const OutputBatch& batch) {
        std::string bytes;
        for (const OutputBatch::Piece& piece : batch.pieces) {
            bytes.append(reinterpret_cast<const char*>(piece.events), piece.count * sizeof(Event));
        }
        return bytes;
    }

    sim::SimulatedDisk disk_;
    TestLog log_;
    std::unique_ptr<SequencerShadow> shadow_;
};

TEST_F(OfASequencer, WhatBeginsWithASnapshotHasAllThatAReplayGives) {
    takeSome();
    begin();
    const Position at = beganAt();
    EXPECT_GT(at, 250u);
    EXPECT_FALSE(shadow_->ready());  // nobody has said that it is of this log
    shadow_->confirm();
    feed();
    work();
    ASSERT_TRUE(shadow_->ready());
    expectWhole(*shadow_->take());
    // And another one behind it, from the newest.
    EXPECT_FALSE(shadow_->isWanted());
    shadow_->want();
    work();
    EXPECT_GE(beganAt(), at);
}

TEST_F(OfASequencer, WhatIsFedAndNotReplayedIsLeftToDo) {
    EXPECT_EQ(beganAt(), 0u);
    shadow_->confirm();
    log_.grow(50);
    feed();
    shadow_->workNow();
    ASSERT_TRUE(shadow_->ready());
    EXPECT_EQ(shadow_->fedTo(), 1u);
    EXPECT_FALSE(shadow_->isWanted());
    feed();  // who did not take it after all goes on
    work();
    ASSERT_TRUE(shadow_->ready());
    expectWhole(*shadow_->take());
}

TEST_F(OfASequencer, DamageAnywhereIsFoundAndTheOlderOneTaken) {
    takeSome();
    const sim::SimulatedDisk::Image image = disk_.image();
    const std::string newest = files().back();
    const size_t bytes = image.at(newest).size();
    Position newer = 0;
    for (size_t i = 0; i < 40; i++) {
        disk_.load(image);
        if (i != 0) disk_.flipBit(newest, (i * bytes / 40) * 8 + i % 8);
        begin();
        const Position at = beganAt();
        EXPECT_GT(at, 0u) << i;
        EXPECT_EQ(shadow_->status().refused, i == 0 ? 0u : 1u) << i;
        if (i == 0) {
            newer = at;
        } else {
            EXPECT_LT(at, newer) << i;
            EXPECT_NE(shadow_->status().trouble, "");
        }
    }
}

TEST_F(OfASequencer, WhatIsOfAnotherLogIsPutAsideAndThenTheLogIsAllThereIs) {
    takeSome();
    begin();
    const Position newest = beganAt();
    shadow_->refuse("the log says another thing");
    work();
    EXPECT_LT(beganAt(), newest);
    EXPECT_EQ(shadow_->status().trouble, "the log says another thing");
    shadow_->refuse("here too");
    work();
    EXPECT_EQ(beganAt(), 0u);
    EXPECT_EQ(shadow_->status().refused, 2u);
    EXPECT_TRUE(files().empty());
    shadow_->confirm();
    feed();
    work();
    ASSERT_TRUE(shadow_->ready());
    expectWhole(*shadow_->take());
}

TEST_F(OfASequencer, AnotherDeploymentLayoutCapacityOrMarkIsRefusedByName) {
    takeSome();
    const sim::SimulatedDisk::Image image = disk_.image();
    const auto trouble = [&](auto change) {
        SequencerShadowOptions options = shadowOptions();
        change(options);
        disk_.load(image);
        begin(options);
        EXPECT_EQ(beganAt(), 0u);
        return shadow_->status().trouble;
    };
    const auto holds = [](const std::string& text, const char* what) {
        return text.find(what) != std::string::npos;
    };
    EXPECT_TRUE(holds(trouble([](auto& to) { to.deployment = "other"; }), "in deployment test"));
    EXPECT_TRUE(holds(trouble([](auto& to) { to.replay.riskShards = 3; }), "of 2 x 2"));
    EXPECT_TRUE(holds(trouble([](auto& to) { to.replay.markEvery = 64; }), "a mark every 32"));
    EXPECT_TRUE(holds(trouble([](auto& to) { to.replay.limits.maxOrders = 500; }), "of other capacities"));
}

// Such a state would have to say which refusals wait; at the next mark none does.
TEST_F(OfASequencer, WhereARefusalWaitsForItsMarkerNoneIsTaken) {
    EXPECT_EQ(beganAt(), 0u);
    shadow_->confirm();
    log_.grow(90);
    Command refused{};
    refused.type = static_cast<uint8_t>(CommandType::CancelOrder) | kCommandRefused;
    refused.account = 7;
    log_.add({refused});
    log_.grow(200);
    feed();
    work();
    ASSERT_GT(shadow_->status().position, 128u);
    EXPECT_EQ(shadow_->status().taken, 0u);
    Command marker{};
    marker.type = static_cast<uint8_t>(CommandType::SetAvailability);
    marker.side = 1;
    marker.orderType = 2;
    marker.instrument = 7 % 2;
    marker.quantity = 91;
    log_.add({marker});
    log_.grow(260);
    feed();
    work();
    EXPECT_EQ(shadow_->status().taken, 1u);
    ASSERT_TRUE(shadow_->ready());
    expectWhole(*shadow_->take());
}

TEST_F(OfASequencer, AnEntryWithoutCommandsStopsTheShadowAndNothingElse) {
    EXPECT_EQ(beganAt(), 0u);
    shadow_->confirm();
    log_.grow(20);
    feed();
    work();
    const Position sound = shadow_->status().position;
    FedEntries fed;
    fed.headers.push_back({1, sound + 1, 2, 3, 0, 0});
    fed.payloads.resize(3);
    shadow_->feed(std::move(fed));
    work();
    EXPECT_EQ(shadow_->status().position, sound);
    EXPECT_NE(shadow_->status().trouble, "");
    EXPECT_FALSE(shadow_->hungry());
    EXPECT_TRUE(shadow_->ready());  // whoever leads meets the same entry, and says so
}

}  // namespace
}  // namespace verbex::roles::test
