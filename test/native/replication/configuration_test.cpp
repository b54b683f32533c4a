// The cluster's record as text: what was written is read, and nothing else is read as it.
#include "replication/configuration.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace verbex::replication::test {
namespace {

class Random {  // SplitMix64
public:
    explicit Random(uint64_t seed) : state_(seed) {}
    uint64_t next() {
        state_ += 0x9e3779b97f4a7c15;
        uint64_t z = state_;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        return z ^ (z >> 31);
    }
    uint64_t below(uint64_t limit) { return next() % limit; }
    // Small ones, large ones, and the ends of the range.
    uint64_t number() {
        switch (below(4)) {
            case 0: return below(20);
            case 1: return UINT64_MAX - below(3);
            default: return next() >> below(64);
        }
    }

private:
    uint64_t state_;
};

Configuration randomConfiguration(Random& random) {
    Configuration record;
    record.epoch = random.number();
    record.leader = static_cast<MemberId>(random.below(kMembersMax + 1));
    for (MemberId id = 1; id <= kMembersMax; ++id) {
        const uint64_t place = random.below(random.below(2) == 0 ? 3 : 12);
        if (place == 0) record.sync.push_back({id, random.number()});
        if (place == 1) {
            record.evicted.push_back({id,
                                      random.number(),
                                      {random.number(), random.number()},
                                      {random.number(), random.number()}});
        }
    }
    // In the order in which they were put out.
    for (size_t i = record.evicted.size(); i > 1; --i) {
        std::swap(record.evicted[i - 1], record.evicted[random.below(i)]);
    }
    if (random.below(2) == 0 && record.epoch < UINT64_MAX) {
        record.reservedEpoch = record.epoch + 1 + random.below(UINT64_MAX - record.epoch);
        record.candidate = static_cast<MemberId>(random.below(kMembersMax + 1));
    }
    record.dataLossEpochs = random.number();
    record.site = static_cast<Site>(random.below(3));
    record.writer = static_cast<MemberId>(random.below(kMembersMax + 1));
    record.writerNonce = random.number();
    return record;
}

TEST(Configuration, WhatWasWrittenIsRead) {
    Random random(1);
    for (unsigned i = 0; i < 5000; ++i) {
        const Configuration record = randomConfiguration(random);
        const Result<Configuration> read = Configuration::parse(record.text());
        ASSERT_TRUE(read.isOk()) << read.status().toString() << "\n" << record.text();
        ASSERT_EQ(read.value(), record) << record.text();
    }
    ASSERT_EQ(Configuration::parse(Configuration().text()).value(), Configuration());
}

// Another text is another record, or none: so that a compare of texts is a compare of records.
void judgeMutation(const std::string& text, const std::string& mutated) {
    if (mutated == text) return;
    const Result<Configuration> read = Configuration::parse(mutated);
    if (!read.isOk()) {
        ASSERT_TRUE(read.status().message().starts_with("the cluster's record, line "))
            << read.status().toString();
        return;
    }
    ASSERT_EQ(read.value().text(), mutated) << "another spelling was taken";
    ASSERT_FALSE(read.value() == Configuration::parse(text).value());
}

TEST(Configuration, EveryMutationOfAByteIsRefusedOrAnotherRecord) {
    Random random(2);
    for (unsigned i = 0; i < 3; ++i) {
        const std::string text = randomConfiguration(random).text();
        for (size_t at = 0; at < text.size(); ++at) {
            for (unsigned byte = 0; byte < 256; ++byte) {
                std::string mutated = text;
                mutated[at] = static_cast<char>(byte);
                ASSERT_NO_FATAL_FAILURE(judgeMutation(text, mutated));
            }
        }
    }
}

TEST(Configuration, BytesAndLinesLeftOutPutInOrMoved) {
    Random random(3);
    for (unsigned i = 0; i < 20; ++i) {
        const std::string text = randomConfiguration(random).text();
        for (size_t at = 0; at <= text.size(); ++at) {
            ASSERT_FALSE(at < text.size() && Configuration::parse(text.substr(0, at)).isOk());
            ASSERT_NO_FATAL_FAILURE(judgeMutation(text, text.substr(0, at) + text.substr(at)));
            if (at < text.size()) {
                ASSERT_NO_FATAL_FAILURE(
                    judgeMutation(text, text.substr(0, at) + text.substr(at + 1)));
            }
            for (const char added : {'0', '1', ' ', '\n', '\r', '\0', 'a', '-', '+'}) {
                ASSERT_NO_FATAL_FAILURE(
                    judgeMutation(text, text.substr(0, at) + added + text.substr(at)));
            }
        }
        std::vector<std::string> lines;
        for (size_t from = 0; from < text.size();) {
            const size_t end = text.find('\n', from) + 1;
            lines.push_back(text.substr(from, end - from));
            from = end;
        }
        for (size_t a = 0; a < lines.size(); ++a) {
            for (size_t b = 0; b < lines.size(); ++b) {
                std::vector<std::string> moved = lines;
                std::swap(moved[a], moved[b]);
                std::string joined;
                std::string doubled;
                for (size_t k = 0; k < lines.size(); ++k) {
                    joined += moved[k];
                    doubled += lines[k];
                    if (k == b) doubled += lines[a];
                }
                ASSERT_NO_FATAL_FAILURE(judgeMutation(text, joined));
                ASSERT_NO_FATAL_FAILURE(judgeMutation(text, doubled));
            }
        }
    }
}

TEST(Configuration, RefusalsSayWhereAndWhat) {
    Configuration record;
    record.epoch = 7;
    record.leader = 2;
    record.sync = {{1, 3}, {2, 1}};
    record.reservedEpoch = 8;
    record.candidate = 1;
    record.evicted = {{3, 1234, {1, 2}, {3, 4}}};
    record.writer = 2;
    record.writerNonce = 17;
    const std::string text =
        "verbex-cluster 1\n"
        "epoch 7\n"
        "leader 2\n"
        "sync 1 incarnation 3\n"
        "sync 2 incarnation 1\n"
        "reserved 8 candidate 1\n"
        "evicted 3 position 1234 expected 00000000000000010000000000000002 found "
        "00000000000000030000000000000004\n"
        "data-loss-epochs 0\n"
        "site active\n"
        "writer 2 nonce 17\n";
    ASSERT_EQ(record.text(), text);
    const auto refusal = [&](const std::string& from, const std::string& to) {
        std::string changed = text;
        changed.replace(changed.find(from), from.size(), to);
        const Result<Configuration> read = Configuration::parse(changed);
        return read.isOk() ? "taken" : read.status().toString();
    };
    const std::string where = "INVALID_ARGUMENT: the cluster's record, line ";
    EXPECT_EQ(refusal("cluster 1", "cluster 2"),
              "UNSUPPORTED_FORMAT: the cluster's record, line 1: version \"2\"; this program reads "
              "version 1");
    EXPECT_EQ(refusal("epoch 7", "epoch x"), where + "2: a number is expected, not \"x\"");
    EXPECT_EQ(refusal("epoch 7", "epoch 18446744073709551616"),
              where + "2: a number is expected, not \"18446744073709551616\"");
    EXPECT_EQ(refusal("leader 2", "leader 32"), where + "3: a member from 1 to 31 is expected, not 32");
    EXPECT_EQ(refusal("leader 2\n", ""),
              where + "3: \"leader\" is expected, not \"sync 1 incarnation 3\"");
    EXPECT_EQ(refusal("sync 2 i", "sync 1 i"),
              where + "5: the sync set must be sorted by member, each of them once");
    EXPECT_EQ(refusal("reserved 8", "reserved 7"),
              where + "6: the reserved epoch must be above epoch 7");
    EXPECT_EQ(refusal("evicted 3", "evicted 1"),
              where + "7: member 1 is in the sync set, or evicted already");
    EXPECT_EQ(refusal("found 0", "found g"),
              where + "7: a hash of 32 hexadecimal digits is expected, not "
                      "\"g0000000000000030000000000000004\"");
    EXPECT_EQ(refusal("site active", "site maybe"), where + "9: active, standby or fenced is expected, not \"maybe\"");
    EXPECT_EQ(refusal("17\n", "17"),
              where + "10: \"writer\" is expected, not \"writer 2 nonce 17\", the end of the text");
    EXPECT_EQ(refusal("17\n", "17\nmore\n"),
              where + "11: the text should end here, not go on with \"more\"");
    EXPECT_EQ(Configuration::parse("").status().toString(),
              where + "1: \"verbex-cluster\" is expected, not \"\", the end of the text");
}

TEST(Configuration, QuorumAndFenceCount) {
    Configuration record;
    const uint32_t quorums[] = {0, 1, 2, 2, 3, 3};
    for (MemberId id = 1; id <= 5; ++id) {
        record.sync.push_back({id, id * 10});
        EXPECT_EQ(record.quorum(), quorums[id]);
        // One of those that are fenced is in each quorum.
        EXPECT_EQ(record.fenceCount() + record.quorum(), id + 1);
        EXPECT_TRUE(record.holds(id, id * 10));
        EXPECT_FALSE(record.holds(id, id * 10 + 1));
    }
    EXPECT_EQ(record.member(6), nullptr);
    EXPECT_FALSE(record.holds(6, 0));
}

}  // namespace
}  // namespace verbex::replication::test
