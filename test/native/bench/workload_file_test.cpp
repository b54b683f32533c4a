// The workload file that engines in other languages read: its bytes are where bench/peers/README.md says.
#include "../../../bench/native/workload_file.h"

#include <array>
#include <gtest/gtest.h>
#include <unistd.h>

namespace verbex::bench {
namespace {

class WorkloadFile : public testing::Test {
protected:
    void TearDown() override { std::remove(path_.c_str()); }

    std::vector<uint8_t> bytes() const {
        std::vector<uint8_t> all;
        const File file(std::fopen(path_.c_str(), "rb"));
        std::array<uint8_t, 4096> part;
        for (size_t count; (count = std::fread(part.data(), 1, part.size(), file.get())) > 0;) {
            all.insert(all.end(), part.begin(), part.begin() + static_cast<ptrdiff_t>(count));
        }
        return all;
    }

    static uint64_t number(const std::vector<uint8_t>& from, size_t at, size_t size) {
        uint64_t value = 0;
        for (size_t i = size; i-- > 0;) value = value << 8 | from[at + i];
        return value;
    }

    std::string path_ = testing::TempDir() + "verbex-workload-" + std::to_string(getpid());
};

TEST_F(WorkloadFile, EveryFieldLiesWhereItIsDocumented) {
    Workload work{"common", 1, 7, 2, 5, 900, {}, {}};
    work.prefill.push_back(Step{StepKind::New, true, 0, 0, 3, 700, 12});
    work.steps.push_back(Step{StepKind::Ioc, false, 0, 1, 7, 701, 5});
    work.steps.push_back(Step{StepKind::Reduce, true, 0, 0, 3, 0, 2});
    ASSERT_TRUE(writeWorkload(path_, work, 42));
    const std::vector<uint8_t> file = bytes();
    ASSERT_EQ(file.size(), 64u + 3 * 32u);
    EXPECT_EQ(std::string(file.begin(), file.begin() + 8), "VBXFLOW1");
    EXPECT_EQ(std::string(file.begin() + 8, file.begin() + 14), "common");
    const std::array<std::array<uint64_t, 3>, 9> head{{{16, 4, 32},
                                                       {20, 4, 1},
                                                       {24, 4, 7},
                                                       {28, 4, 2},
                                                       {32, 4, 1},
                                                       {36, 4, 2},
                                                       {40, 8, 5},
                                                       {48, 8, 900},
                                                       {56, 8, 42}}};
    for (const auto& [at, size, value] : head)
        EXPECT_EQ(number(file, at, size), value) << "at " << at;
    const size_t ioc = 64 + 32;
    EXPECT_EQ(file[ioc], 1);      // op
    EXPECT_EQ(file[ioc + 1], 0);  // buy
    const std::array<std::array<uint64_t, 3>, 5> record{
        {{4, 4, 0}, {8, 4, 1}, {12, 4, 7}, {16, 8, 701}, {24, 8, 5}}};
    for (const auto& [at, size, value] : record) {
        EXPECT_EQ(number(file, ioc + at, size), value) << "at " << at;
    }
    EXPECT_EQ(file[ioc + 32], 5);      // op
    EXPECT_EQ(file[ioc + 32 + 1], 1);  // sell
}

TEST_F(WorkloadFile, WhatIsReadIsWhatWasGenerated) {
    const Workload work = makeEc("ec1k", 200, 50, 3000, 9);
    ASSERT_TRUE(writeWorkload(path_, work, 9));
    Workload read{};
    std::string name;
    ASSERT_TRUE(readWorkload(path_, read, name));
    EXPECT_STREQ(read.name, "ec1k");
    EXPECT_EQ(read.symbols, work.symbols);
    EXPECT_EQ(read.accounts, work.accounts);
    EXPECT_EQ(read.orders, work.orders);
    EXPECT_EQ(read.priceMin, work.priceMin);
    EXPECT_EQ(read.priceMax, work.priceMax);
    const auto same = [](const Step& a, const Step& b) {
        return a.kind == b.kind && a.sell == b.sell && a.symbol == b.symbol && a.order == b.order &&
               a.account == b.account && a.price == b.price && a.quantity == b.quantity;
    };
    EXPECT_TRUE(std::equal(read.prefill.begin(), read.prefill.end(), work.prefill.begin(),
                           work.prefill.end(), same));
    EXPECT_TRUE(std::equal(read.steps.begin(), read.steps.end(), work.steps.begin(),
                           work.steps.end(), same));
}

TEST_F(WorkloadFile, OneThatIsCutShortIsRefused) {
    const Workload work = makeW("W1k", 1, 100, 16, 500, 3);
    ASSERT_TRUE(writeWorkload(path_, work, 3));
    ASSERT_EQ(truncate(path_.c_str(), static_cast<off_t>(bytes().size() - 1)), 0);
    Workload read{};
    std::string name;
    EXPECT_FALSE(readWorkload(path_, read, name));
}

TEST(CommonMix, HasNewOrdersAndCancelsOfOpenOnesAlone) {
    const Workload work = makeW("common", 1, 500, 80, 20'000, 5, Mix::Common);
    BareBooks books(work, work.orders + 1);
    Position position = 0;
    size_t cancels = 0;
    for (const Step& step : work.prefill) books.run(step, ++position);
    for (const Step& step : work.steps) {
        ASSERT_TRUE(step.kind == StepKind::New || step.kind == StepKind::Cancel);
        if (step.kind == StepKind::Cancel) {
            ++cancels;
            const OrderSlot slot = books.slotOf(step.order);
            ASSERT_NE(slot, 0u);
            ASSERT_EQ(books.slab()[slot].entry, step.order) << "the order is not open any more";
        }
        books.run(step, ++position);
    }
    EXPECT_GT(cancels, work.steps.size() / 4);
    EXPECT_GT(books.trades(), work.steps.size() / 10);
}

}  // namespace
}  // namespace verbex::bench
