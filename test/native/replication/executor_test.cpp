// What an executor counts beside what it computes.
#include "replication/executor.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "sim/small_market.h"
#include "wire/command_codec.h"

namespace verbex::replication::executor_test {

namespace {

ClientId nameOf(uint32_t number) {
    ClientId id{};
    std::memcpy(static_cast<void*>(&id), &number, sizeof(number));
    return id;
}

Command order(uint32_t number, int64_t quantity = 1) {
    Command command{};
    command.type = static_cast<uint8_t>(CommandType::NewOrder);
    command.account = 1;
    command.instrument = 1;
    command.id = nameOf(number);
    command.side = static_cast<uint8_t>(Side::Buy);
    command.orderType = static_cast<uint8_t>(OrderType::Limit);
    command.timeInForce = static_cast<uint8_t>(TimeInForce::Gtc);
    command.price = 100;
    command.quantity = quantity;
    return command;
}

class ExecutorTest : public testing::Test {
protected:
    ExecutorTest() { execute(sim::smallMarket({})); }
    void execute(const std::vector<Command>& commands) {
        std::vector<std::byte> payload;
        encodeBatch(commands, payload);
        LogEntry entry;
        entry.header.epoch = 1;
        entry.header.first = executor_.position() + 1;
        entry.header.count = static_cast<uint32_t>(commands.size());
        entry.payload = payload;
        executor_.execute(entry);
    }

    Outputs outputs_{1u << 16};
    Executor executor_{{.limits = {1u << 10, 16, 4, 1u << 10}}, outputs_};
};

TEST_F(ExecutorTest, CountsWhatIsSentAgain) {
    execute({order(1), order(2)});
    EXPECT_EQ(executor_.repeats(), 0u);
    execute({order(1)});
    EXPECT_EQ(executor_.repeats(), 1u);
    // In the entry of the first one too.
    execute({order(3), order(3), order(3), order(2)});
    EXPECT_EQ(executor_.repeats(), 4u);
    // The same name for another order is no repeat: it is refused for what it is.
    execute({order(1, 2)});
    EXPECT_EQ(executor_.repeats(), 4u);
}

}  // namespace

}  // namespace verbex::replication::executor_test
