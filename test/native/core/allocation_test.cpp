// The hot path allocates nothing: once warm, a stream of orders, cancels, replaces and trades asks the
// allocator for no memory: neither through operator new, which this binary counts, nor through malloc.
#include <gtest/gtest.h>
#include <malloc.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <random>
#include <vector>

#include "core/core.h"

namespace {
std::atomic<uint64_t> allocations{0};
}

// Inlined, this delete looks to gcc as if it belonged to another new.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#endif

void* operator new(size_t size) {
    ++allocations;
    if (void* memory = std::malloc(size)) return memory;
    throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace verbex::allocation_test {
namespace {

class Discard final : public EventWriter {
public:
    Discard() : cells_(1024) { drain(); }

private:
    void drain() override { setRegion(cells_.data(), cells_.data() + cells_.size()); }
    std::vector<Event> cells_;
};

TEST(Allocation, NoneOnTheHotPath) {
    Core core(CoreLimits{10'000, 100, 16, 1'000'000, true});
    Discard events;
    const auto apply = [&](const Command& command) { core.apply(command, events); };
    for (uint64_t i = 1; i <= 2; ++i) {
        Command asset{};
        asset.type = static_cast<uint8_t>(CommandType::AddAsset);
        asset.id = ClientId{i, 0};
        apply(asset);
    }
    Command instrument{};
    instrument.type = static_cast<uint8_t>(CommandType::AddInstrument);
    instrument.flags = kCommandExtended;
    instrument.id = ClientId{1, 0};
    instrument.price = instrument.quantity = instrument.priceMin = instrument.quantityMin = 1;
    instrument.priceMax = instrument.quantityMax = 2000;
    instrument.makerFee = -10;
    instrument.takerFee = 20;
    instrument.base = 1;
    instrument.quote = 2;
    apply(instrument);
    for (uint64_t i = 1; i <= 50; ++i) {
        Command account{};
        account.type = static_cast<uint8_t>(CommandType::AddAccount);
        account.id = ClientId{i, 0};
        apply(account);
        for (uint32_t asset = 1; asset <= 2; ++asset) {
            Command deposit{};
            deposit.type = static_cast<uint8_t>(CommandType::Deposit);
            deposit.account = static_cast<AccountId>(i);
            deposit.instrument = asset;
            deposit.id = ClientId{asset, 0};
            deposit.amount = 1'000'000'000;
            apply(deposit);
        }
    }
    std::mt19937_64 random(1);
    uint64_t next = 0;
    const auto flow = [&](int commands) {
        for (int i = 0; i < commands; ++i) {
            Command command{};
            const uint64_t draw = random() % 10;
            command.account = static_cast<AccountId>(1 + random() % 50);
            command.instrument = 1;
            command.price = static_cast<int64_t>(950 + random() % 100);
            command.quantity = static_cast<int64_t>(1 + random() % 20);
            if (draw < 6) {
                command.type = static_cast<uint8_t>(CommandType::NewOrder);
                command.id = ClientId{++next, 1};
                command.side = static_cast<uint8_t>(1 + random() % 2);
                command.orderType = 1;
                command.timeInForce = static_cast<uint8_t>(draw == 0 ? TimeInForce::Ioc : TimeInForce::Gtc);
            } else {
                command.id = ClientId{1 + random() % (next + 1), 1};
                command.type = static_cast<uint8_t>(draw < 8 ? CommandType::CancelOrder
                                                             : CommandType::ReplaceOrder);
            }
            apply(command);
        }
    };
    flow(50'000);
    const uint64_t before = allocations;
    const size_t inUse = mallinfo2().uordblks;
    flow(300'000);
    EXPECT_EQ(allocations - before, 0u);
    EXPECT_EQ(mallinfo2().uordblks, inUse);
}

}  // namespace
}  // namespace verbex::allocation_test
