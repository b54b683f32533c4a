// Properties of the whole core on random streams. What exactly each command must do is the oracle's
// business (test/oracle); here: no input crashes it, its invariants hold, and its state can be carried over.
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "core/core.h"
#include "core/random_commands.h"
#include "wire/reject.h"

namespace verbex::core_test {
namespace {

constexpr CoreLimits kSmall{1000, 100, 16, 100000};

// Keeps every event; the region is tiny, so that drains happen in the middle of commands.
class Keep final : public EventWriter {
public:
    explicit Keep(size_t cells) : cells_(cells) { setRegion(cells_.data(), cells_.data() + cells); }
    std::vector<Event> take() {
        drain();
        return std::move(kept_);
    }

private:
    void drain() override {
        kept_.insert(kept_.end(), begin(), cursor());
        setRegion(cells_.data(), cells_.data() + cells_.size());
    }
    std::vector<Event> cells_;
    std::vector<Event> kept_;
};

class Bytes final : public ByteSink, public ByteSource {
public:
    void write(const void* bytes, size_t size) override {
        data.append(static_cast<const char*>(bytes), size);
    }
    bool read(void* bytes, size_t size) override {
        if (data.size() - at < size) return false;
        data.copy(static_cast<char*>(bytes), size, at);
        at += size;
        return true;
    }
    std::string data;
    size_t at = 0;
};

uint64_t seed() {
    const char* text = std::getenv("VERBEX_SEED");
    return text == nullptr ? 1 : std::strtoull(text, nullptr, 10);
}

std::string explain(const Core& core) {
    std::string out;
    core.explain(out);
    return out;
}

TEST(Core, EveryCommandEndsWithOneLastEventWhateverTheRegion) {
    for (uint64_t s = seed(); s < seed() + 20; ++s) {
        SCOPED_TRACE(s);
        Core wide(kSmall), narrow(kSmall);
        Keep many(4096), few(2);
        test::RandomCommands commands(s);
        for (int i = 0; i < 3000; ++i) {
            const Command command = commands.next();
            wide.apply(command, many);
            narrow.apply(command, few);
            const std::vector<Event> a = many.take(), b = few.take();
            ASSERT_FALSE(a.empty());
            ASSERT_EQ(a.size(), b.size());
            ASSERT_EQ(std::memcmp(a.data(), b.data(), a.size() * sizeof(Event)), 0);
            for (const Event& event : a) {
                ASSERT_EQ(event.position, wide.position());
                ASSERT_EQ(event.token, command.token);
                ASSERT_EQ(event.schedules, 0);
                ASSERT_EQ((event.flags & kEventLast) != 0, &event == &a.back());
            }
        }
        ASSERT_EQ(wide.hash(), narrow.hash());
    }
}

// load() checks that holds, exposures, ids and totals agree with the orders, so a state that loads is one
// whose invariants hold.
TEST(Core, SavedStatesLoadAndGoOnAlike) {
    for (uint64_t s = seed(); s < seed() + 20; ++s) {
        SCOPED_TRACE(s);
        auto core = std::make_unique<Core>(kSmall);
        Keep events(4096);
        test::RandomCommands commands(s + 1000);
        for (int round = 0; round < 30; ++round) {
            Bytes saved;
            core->save(saved);
            auto copy = std::make_unique<Core>(kSmall);
            ASSERT_TRUE(copy->load(saved)) << explain(*core);
            ASSERT_EQ(saved.at, saved.data.size());
            ASSERT_TRUE(explain(*copy) == explain(*core)) << explain(*copy) << '\n' << explain(*core);
            Bytes again;
            copy->save(again);
            size_t same = 0;
            while (same < saved.data.size() && again.data[same] == saved.data[same]) ++same;
            ASSERT_EQ(same, saved.data.size()) << "first different byte";
            ASSERT_EQ(copy->hash(), core->hash());
            Keep copyEvents(4096);
            for (int i = 0; i < 100; ++i) {
                const Command command = commands.next();
                core->apply(command, events);
                copy->apply(command, copyEvents);
                const std::vector<Event> a = events.take(), b = copyEvents.take();
                ASSERT_EQ(a.size(), b.size());
                ASSERT_EQ(std::memcmp(a.data(), b.data(), a.size() * sizeof(Event)), 0);
            }
            ASSERT_EQ(copy->hash(), core->hash());
            if (round % 2 == 0) core = std::move(copy);
        }
    }
}

TEST(Core, DamagedStatesAreRefusedWithoutACrash) {
    Core core(kSmall);
    Keep events(4096);
    test::RandomCommands commands(seed());
    for (int i = 0; i < 600; ++i) core.apply(commands.next(), events);
    Bytes saved;
    core.save(saved);
    const Digest128 hash = core.hash();
    for (size_t length = 0; length < saved.data.size(); length += 7) {
        Bytes cut;
        cut.data = saved.data.substr(0, length);
        Core copy(kSmall);
        ASSERT_FALSE(copy.load(cut)) << length;
    }
    // A flipped bit is refused, or at least seen in the hash; files have checksums on top.
    for (size_t at = 0; at < saved.data.size(); at += 3) {
        Bytes flipped;
        flipped.data = saved.data;
        flipped.data[at] = static_cast<char>(flipped.data[at] ^ (1 << (at % 8)));
        Core copy(kSmall);
        if (!copy.load(flipped)) continue;
        ASSERT_NE(copy.hash(), hash) << at;
        // Whatever passed for a state can be worked with.
        test::RandomCommands more(at);
        for (int i = 0; i < 60; ++i) copy.apply(more.next(), events);
        events.take();
    }
}

// More limits on one account than 16 bits count: none of them is forgotten.
TEST(Core, AnAccountMayHaveALimitOfEachKindOnEverySubject) {
    constexpr uint32_t kAssets = 1u << 15;
    Core core(CoreLimits{10, 10, kAssets, 100});
    Keep events(64);
    const auto code = [&](const Command& command) {
        core.apply(command, events);
        const std::vector<Event> all = events.take();
        return EventType(all[0].type) == EventType::Rejected ? Reject(all[0].code) : Reject::NONE;
    };
    uint64_t names = 0;
    const auto command = [&names](CommandType type) {
        Command made{};
        made.type = static_cast<uint8_t>(type);
        made.id = ClientId{++names, 0};
        return made;
    };
    for (uint32_t i = 0; i < kAssets; ++i) {
        ASSERT_EQ(code(command(CommandType::AddAsset)), Reject::NONE);
    }
    Command add = command(CommandType::AddInstrument);
    add.flags = kCommandExtended;
    add.price = add.quantity = add.priceMin = add.quantityMin = 1;
    add.priceMax = add.quantityMax = 100;
    add.base = 1;
    add.quote = 2;
    ASSERT_EQ(code(add), Reject::NONE);
    ASSERT_EQ(code(command(CommandType::AddAccount)), Reject::NONE);
    Command deposit = command(CommandType::Deposit);
    deposit.account = 1;
    deposit.instrument = 2;
    deposit.amount = 1000;
    ASSERT_EQ(code(deposit), Reject::NONE);
    for (uint32_t i = 0; i < 2 * kAssets; ++i) {
        Command limit = command(CommandType::SetLimit);
        limit.account = 1;
        limit.orderType = static_cast<uint8_t>(i % 2 == 0 ? LimitKind::OrderValue : LimitKind::OpenValue);
        limit.instrument = 1 + i / 2;
        limit.amount = 10;
        ASSERT_EQ(code(limit), Reject::NONE);
    }
    Command order = command(CommandType::NewOrder);
    order.account = order.instrument = 1;
    order.side = order.orderType = order.timeInForce = 1;
    order.price = 11;
    order.quantity = 1;
    ASSERT_EQ(code(order), Reject::ORDER_VALUE_LIMIT);
}

TEST(Core, FullPoolsRejectOrdersAndStillCancel) {
    Core core(CoreLimits{4, 100, 16, 40});
    Keep events(4096);
    test::RandomCommands commands(seed());
    for (int i = 0; i < 29; ++i) core.apply(commands.next(), events);
    events.take();
    Command order{};
    order.type = static_cast<uint8_t>(CommandType::NewOrder);
    order.side = order.orderType = order.timeInForce = 1;
    order.account = order.instrument = 1;
    order.price = 100;
    order.quantity = 1;
    const auto code = [&](uint64_t id) {
        order.id = ClientId{id, 0};
        core.apply(order, events);
        return Reject(events.take()[0].code);
    };
    for (uint64_t id = 1; id <= 4; ++id) ASSERT_EQ(code(id), Reject::NONE);
    ASSERT_EQ(code(5), Reject::CAPACITY_ORDERS);
    Command cancel{};
    cancel.type = static_cast<uint8_t>(CommandType::CancelOrder);
    cancel.account = 1;
    cancel.id = ClientId{1, 0};
    core.apply(cancel, events);
    ASSERT_EQ(EventType(events.take()[0].type), EventType::Cancelled);
    ASSERT_EQ(code(6), Reject::NONE);
    for (uint64_t id = 7; id <= 40; ++id) ASSERT_EQ(code(id), Reject::CAPACITY_ORDERS);
    ASSERT_EQ(code(41), Reject::CAPACITY_CLIENT_IDS);
    ASSERT_EQ(code(7), Reject::CAPACITY_ORDERS);  // remembered
}

}  // namespace
}  // namespace verbex::core_test
