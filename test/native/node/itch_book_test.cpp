// The book that a reader of the feed rebuilds is the core's, after every command of random streams and of the
// Bitstamp day.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "core/random_commands.h"
#include "node/itch_world.h"

namespace verbex::node::itch_book_test {
namespace {

using feed::FeedBuilder;
using feed::FeedHistory;
using feed::test::ItchReader;
using itch_world::marketState;
using itch_world::readOn;
using itch_world::sameAsCore;
using itch_world::World;

constexpr CoreLimits kLimits{4000, 100, 16, 1u << 18};

Name nameOf(InstrumentId id) { return Name{id + 2, 0}; }  // as RandomCommands gives them

// Random commands with quantities and prices moved to where messages end to be wide enough.
struct Scale {
    const char* name;
    int64_t quantity = 1;
    int64_t price = 0;
};

Command scaled(Command command, const Scale& scale) {
    const auto type = CommandType(command.type);
    if (type == CommandType::Deposit) command.amount <<= scale.quantity > 1 || scale.price > 0 ? 80 : 8;
    if (type == CommandType::AddInstrument || type == CommandType::ChangeInstrument) {
        command.quantityMax *= scale.quantity;
        command.priceMin += scale.price;
        command.priceMax += scale.price;
        return command;
    }
    if (type != CommandType::NewOrder && type != CommandType::ReduceOrder &&
        type != CommandType::ReplaceOrder) {
        return command;
    }
    // Every third one is not a multiple, so that parts differ.
    const int64_t odd = scale.quantity > 1 && command.token % 3 == 0 ? 7 : 0;
    if (command.quantity > 0 && command.quantity < 1000)
        command.quantity = command.quantity * scale.quantity + odd;
    if (command.price > 0 && command.price < 1000) command.price += scale.price;
    if (!command.extended()) return command;
    if (command.stopPrice > 0 && command.stopPrice < 1000) command.stopPrice += scale.price;
    if (command.displayQuantity > 0 && command.displayQuantity < 1000)
        command.displayQuantity *= scale.quantity;
    if (command.minQuantity > 0 && command.minQuantity < 1000) command.minQuantity *= scale.quantity;
    return command;
}

// Random streams soon kill everybody and close everything: one of these now and then opens up again.
Command repair(uint32_t step) {
    Command command{};
    const uint32_t which = step % 24;
    command.account = which % 8;
    if (which < 8) {
        command.type = static_cast<uint8_t>(CommandType::KillSwitch);
        command.side = 2;
        command.account = 7 - which;
    } else if (which < 16) {
        command.type = static_cast<uint8_t>(CommandType::SetRights);
        command.rights = kRightsAll | uint64_t{1} << 32;
    } else if (which < 18) {
        command.type = static_cast<uint8_t>(CommandType::SetTradingState);
        command.instrument = 1 + which % 2;
        command.orderType = static_cast<uint8_t>(TradingState::Open);
    } else {
        command.type = static_cast<uint8_t>(CommandType::Deposit);
        command.account = which - 17;
        command.instrument = 1 + (step / 24) % 3;
        command.id = ClientId{step, 99};
        command.amount = 1'000'000;
    }
    return command;
}

class ItchBook : public testing::TestWithParam<Scale> {};

TEST_P(ItchBook, IsTheCoresAfterEveryCommand) {
    const Scale scale = GetParam();
    uint64_t executions = 0, orders = 0, leftOut = 0, types[256] = {};
    for (uint64_t seed = 1; seed <= 250; ++seed) {
        verbex::test::RandomCommands commands(seed);
        World world(kLimits);
        FeedHistory history(1u << 20);
        FeedBuilder builder(history);
        world.deliver = [&](const Event& event) {
            builder.take(event);
            ++types[event.type];
        };
        ItchReader reader;
        FeedHistory::Reader at;
        builder.begin({});
        for (uint32_t i = 0; i < 600; ++i) {
            const uint64_t time = world.core.time();  // what expires does so before time moves
            const uint64_t messages = reader.messages();
            world.apply(scaled(i % 5 == 4 ? repair(i / 5) : commands.next(), scale));
            ASSERT_TRUE(readOn(history, at, reader));
            orders += reader.orders();
            ASSERT_TRUE(sameAsCore(reader, world.core, 1));
            ASSERT_TRUE(sameAsCore(reader, world.core, 2));
            if (reader.messages() != messages) {
                ASSERT_EQ(reader.lastTimeNs, time % 86'400'000'000'000);
            }
        }
        ASSERT_TRUE(reader.referencesAreRanks());
        ASSERT_EQ(builder.shown().parts(), reader.orders());
        executions += reader.executions;
        // A feed that begins now, as after a restart, has the same book with its own references.
        FeedHistory second(1u << 20);
        FeedBuilder restarted(second);
        restarted.begin(marketState(world.core, 2, nameOf));
        ItchReader late;
        FeedHistory::Reader from;
        ASSERT_TRUE(readOn(second, from, late));
        ASSERT_TRUE(late.sameBook(reader));
        ASSERT_EQ(late.systemCodes, "OSQ");
        world.deliver = [&](const Event& event) {
            builder.take(event);
            restarted.take(event);
        };
        for (uint32_t i = 0; i < 100; ++i) {
            world.apply(scaled(commands.next(), scale));
            ASSERT_TRUE(readOn(history, at, reader));
            ASSERT_TRUE(readOn(second, from, late));
            ASSERT_TRUE(late.sameBook(reader));
        }
        leftOut += builder.counters().ordersLeftOut;
    }
    EXPECT_EQ(leftOut > 0, scale.price > 0);
    // The streams reach what they are for.
    EXPECT_GT(executions, 5000u);
    EXPECT_GE(orders / (250 * 600), 3u);
    for (const EventType type :
         {EventType::Accepted, EventType::Trade, EventType::Booked, EventType::Triggered,
          EventType::Cancelled, EventType::Reduced, EventType::Replaced, EventType::MassCancelled,
          EventType::TradingStateSet, EventType::TimeAdvanced, EventType::DayEnded}) {
        EXPECT_GT(types[static_cast<size_t>(type)], 0u) << static_cast<int>(type);
    }
}

INSTANTIATE_TEST_SUITE_P(Scales, ItchBook,
                         testing::Values(Scale{"small"}, Scale{"hugeQuantities", int64_t{1} << 31, 0},
                                         Scale{"hugePrices", 1, int64_t{UINT32_MAX} - 100}),
                         [](const auto& of) { return std::string(of.param.name); });

// ---- the Bitstamp day

struct Line {
    std::string kind;
    uint64_t id = 0;
    bool sell = false;
    int64_t price = 0;     // cents
    int64_t quantity = 0;  // 1e-8 BTC
};

int64_t decimal(const char* text, int decimals) {
    int64_t value = 0;
    int behind = -1;
    for (; *text != '\0' && *text != '"' && behind < decimals; ++text) {
        if (*text == '.') {
            behind = 0;
            continue;
        }
        value = value * 10 + (*text - '0');
        if (behind >= 0) ++behind;
    }
    for (behind = std::max(behind, 0); behind < decimals; ++behind) value *= 10;
    return value;
}

bool parse(const char* text, Line& line) {
    char kind[32];
    if (std::sscanf(text, "%*u order_%31s", kind) != 1) return false;
    line.kind = kind;
    const char* const price = std::strstr(text, "\"price\": \"");
    const char* const amount = std::strstr(text, "\"amount\": \"");
    const char* const id = std::strstr(text, "\"id\": ");
    const char* const type = std::strstr(text, "\"order_type\": ");
    if (price == nullptr || amount == nullptr || id == nullptr || type == nullptr) return false;
    line.price = decimal(price + 10, 2);
    line.quantity = decimal(amount + 11, 8);
    line.id = std::strtoull(id + 6, nullptr, 10);
    line.sell = type[14] == '1';
    return true;
}

Command setUp(CommandType type, const char* name) {
    Command command{};
    command.type = static_cast<uint8_t>(type);
    std::memcpy(&command.id, name, std::strlen(name));
    return command;
}

std::string dayPath() {
    for (auto at = std::filesystem::current_path();; at = at.parent_path()) {
        const auto path = at / "shared" / "data" / "bitstamp-btcusd-2015-05-01.log.xz";
        if (std::filesystem::exists(path)) return path;
        if (at == at.root_path()) return {};
    }
}

TEST(ItchBookDay, OfBitstampIsTheCoresAtEveryPosition) {
    const std::string path = dayPath();
    if (path.empty()) GTEST_SKIP() << "the Bitstamp day is not there (../shared/data)";
    const std::unique_ptr<FILE, int (*)(FILE*)> file(popen(("xz -dc '" + path + "'").c_str(), "r"), pclose);
    ASSERT_NE(file, nullptr);

    World world({1u << 14, 16, 4, 1u << 18});
    FeedHistory history(1u << 20);
    FeedBuilder builder(history);
    world.deliver = [&](const Event& event) { builder.take(event); };
    ItchReader reader;
    FeedHistory::Reader at;
    builder.begin({});
    uint64_t positions = 0;
    const auto apply = [&](const Command& command) {
        world.apply(command);
        // The top of the book at every position, all of it now and then.
        return readOn(history, at, reader) &&
               sameAsCore(reader, world.core, 1, ++positions % 5 == 0 ? UINT32_MAX : 3);
    };
    Command command = setUp(CommandType::AddAsset, "BTC");
    command.orderType = 8;
    ASSERT_TRUE(apply(command));
    command = setUp(CommandType::AddAsset, "USD");
    command.orderType = 10;
    ASSERT_TRUE(apply(command));
    command = setUp(CommandType::AddInstrument, "BTC-USD");
    command.flags = kCommandExtended;
    command.price = command.quantity = 1;
    command.priceMin = command.quantityMin = 1;
    command.priceMax = command.quantityMax = int64_t{1} << 50;
    command.base = 1;
    command.quote = 2;
    ASSERT_TRUE(apply(command));
    ASSERT_TRUE(apply(setUp(CommandType::AddAccount, "replay")));
    for (AssetId asset = 1; asset <= 2; ++asset) {
        command = setUp(CommandType::Deposit, asset == 1 ? "btc" : "usd");
        command.account = 1;
        command.instrument = asset;
        command.amount = Amount{1} << 115;
        ASSERT_TRUE(apply(command));
    }
    // Orders of before the day come in when they are first heard of: enough for this test, not for a replay.
    std::map<uint64_t, int64_t> prices;
    char text[1024];
    while (std::fgets(text, sizeof(text), file.get()) != nullptr) {
        Line line;
        if (!parse(text, line)) continue;
        command = Command{};
        command.account = command.instrument = 1;
        command.id = ClientId{line.id, 1};
        const auto known = prices.find(line.id);
        if (line.kind == "created" || (line.kind == "changed" && known == prices.end())) {
            if (line.quantity == 0 || known != prices.end()) continue;
            command.type = static_cast<uint8_t>(CommandType::NewOrder);
            command.side = static_cast<uint8_t>(line.sell ? Side::Sell : Side::Buy);
            command.orderType = static_cast<uint8_t>(OrderType::Limit);
            command.timeInForce = static_cast<uint8_t>(TimeInForce::Gtc);
            command.price = line.price;
            command.quantity = line.quantity;
            prices[line.id] = line.price;
        } else if (line.kind == "changed" && known->second != line.price && line.quantity > 0) {
            command.type = static_cast<uint8_t>(CommandType::ReplaceOrder);
            command.price = known->second = line.price;
            command.quantity = line.quantity;
        } else if (line.kind == "deleted" && line.quantity > 0 && known != prices.end()) {
            command.type = static_cast<uint8_t>(CommandType::CancelOrder);
        } else {
            continue;
        }
        ASSERT_TRUE(apply(command));
    }
    EXPECT_GT(positions, 40'000u);
    EXPECT_GT(reader.executions, 400u);
    EXPECT_GT(reader.orders(), 100u);
    EXPECT_EQ(builder.counters().ordersLeftOut, 0u);
}

}  // namespace
}  // namespace verbex::node::itch_book_test
