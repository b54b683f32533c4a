// Every byte of a small log, flipped and cut: recovery ends, and what it shows was written.
#include <random>

#include "store_fixture.h"

namespace verbex::gateway::store_test {
namespace {

struct Small {
    std::vector<Kept> records;
    std::vector<size_t> ends;  // of the records, in the first segment's file
    size_t used = 0;
};

// A log of a few records in one segment; `closed` or as a killed process leaves it.
Small writeSmall(const MessageStoreOptions& options, bool closed) {
    Small small;
    Opened opened = openStore(options);
    EXPECT_TRUE(opened.status.isOk()) << opened.status.toString();
    MessageStore& store = *opened.store;
    small.records.push_back({RecordKind::Day, 0, 0, {0, 0}, 0, ""});
    size_t at = 64 + 56 + 16;
    small.ends.push_back(at);
    for (uint32_t i = 1; i <= 6; ++i) {
        const std::string text(i * 5 % 23, static_cast<char>('a' + i));
        if (i % 3 == 0) {
            EXPECT_TRUE(store.appendIn(2, i, i, bytesOf(text)).isOk());
            small.records.push_back({RecordKind::In, 2, i, {i - 1, 0}, i, text});
        } else {
            EXPECT_TRUE(putOut(store, 1, {i, 0}, i, text, true));
            const uint32_t sequence = i - i / 3;
            small.records.push_back({RecordKind::Out, 1, sequence, {i, 0}, i, text});
        }
        at += (56 + text.size() + 7) / 8 * 8;
        small.ends.push_back(at);
    }
    small.used = at;
    if (closed) {
        EXPECT_TRUE(store.close().isOk());
    }
    return small;
}

// What is shown is a beginning of what was written.
void expectBeginning(Opened& opened, const Small& small) {
    ASSERT_LE(opened.seen.size(), small.records.size());
    if (!opened.seen.empty()) opened.seen[0].message.clear();
    for (size_t i = 0; i < opened.seen.size(); ++i) ASSERT_TRUE(opened.seen[i] == small.records[i]);
}

class Damage : public testing::TestWithParam<bool> {
protected:
    void SetUp() override {
        options_.directory = directory_.path();
        options_.segmentBytes = 1u << 17;
        options_.bootId = "one";
        small_ = writeSmall(options_, GetParam());
        log_ = readFile(segment());
        state_ = readFile(directory_.file("state"));
        ASSERT_EQ(log_.size(), 1u << 17);
    }
    [[nodiscard]] std::string segment() const { return directory_.file("messages-00000001"); }
    Opened openWith(const std::string& log, const char* boot = "one") {
        std::filesystem::remove(directory_.file("messages-00000002"));
        writeFile(segment(), log);
        writeFile(directory_.file("state"), state_);
        options_.bootId = boot;
        return openStore(options_);
    }
    const Directory directory_{"/dev/shm"};
    MessageStoreOptions options_;
    Small small_;
    std::string log_;
    std::string state_;
};

TEST_P(Damage, AFlippedByteIsNoticedOrHarmless) {
    const bool closed = GetParam();
    const std::string used = log_.substr(0, small_.used + 8);
    for (size_t at = 0; at < used.size(); ++at) {
        SCOPED_TRACE(at);
        std::string flipped = used;
        flipped[at] = static_cast<char>(flipped[at] ^ (1 << at % 8));
        Opened opened = openWith(flipped);
        const bool padding = [&] {
            for (size_t i = 0; i < small_.ends.size(); ++i) {
                const size_t begin = i == 0 ? 64 : small_.ends[i - 1];
                const size_t data = i == 0 ? 72 : 56 + small_.records[i].message.size();
                if (at >= begin + data && at < small_.ends[i]) return true;
                // The link to the session's next message is made anew.
                if (at >= begin + 32 && at < begin + 40) return true;
            }
            return at >= small_.used;
        }();
        const size_t lastRecord = small_.ends[small_.ends.size() - 2];
        if (padding) {
            ASSERT_TRUE(opened.status.isOk()) << opened.status.toString();
            ASSERT_EQ(opened.seen.size(), small_.records.size());
            expectBeginning(opened, small_);
        } else if (closed || at < lastRecord) {
            ASSERT_FALSE(opened.status.isOk());
            ASSERT_EQ(opened.status.code(), StatusCode::JournalDamaged);
            ASSERT_NE(opened.status.message().find("messages-00000001"), std::string::npos);
        } else {
            // Nothing says that the last record was ever whole.
            ASSERT_TRUE(opened.status.isOk()) << opened.status.toString();
            ASSERT_EQ(opened.seen.size(), small_.records.size() - 1);
            expectBeginning(opened, small_);
        }
        // Where the machine stopped, the log goes on from what is left.
        if (closed) continue;
        opened = {};
        Opened after = openWith(flipped, "two");
        ASSERT_TRUE(after.status.isOk()) << after.status.toString();
        expectBeginning(after, small_);
    }
}

TEST_P(Damage, ALogThatWasCutShowsNothingThatWasNotWritten) {
    for (size_t length = 0; length <= small_.used; ++length) {
        SCOPED_TRACE(length);
        Opened opened = openWith(log_.substr(0, length));
        size_t whole = 0;
        while (whole < small_.ends.size() && small_.ends[whole] <= length) ++whole;
        // Padding is zeros: a record is whole without it.
        if (opened.status.isOk()) {
            ASSERT_TRUE(opened.seen.size() == whole || opened.seen.size() == whole + 1);
            ASSERT_TRUE(!GetParam() || opened.seen.size() == small_.records.size());
            expectBeginning(opened, small_);
        } else {
            ASSERT_EQ(opened.status.code(), StatusCode::JournalDamaged);
            ASSERT_TRUE(GetParam() || length < 64);
        }
    }
}

TEST_P(Damage, AChangedStateIsRefused) {
    for (size_t at = 0; at < state_.size(); ++at) {
        std::string flipped = state_;
        flipped[at] = static_cast<char>(flipped[at] ^ 1);
        writeFile(directory_.file("state"), flipped);
        writeFile(segment(), log_);
        ASSERT_EQ(openStore(options_).status.code(), StatusCode::JournalDamaged) << at;
    }
    std::filesystem::remove(directory_.file("state"));
    ASSERT_EQ(openStore(options_).status.code(), StatusCode::JournalDamaged);
}

TEST_P(Damage, RandomBytesAreNoLog) {
    std::mt19937_64 random(8);
    for (int round = 0; round < 200; ++round) {
        std::string bytes = log_.substr(0, small_.used);
        const size_t from = random() % bytes.size();
        const size_t count = std::min<size_t>(1 + random() % 200, bytes.size() - from);
        for (size_t i = 0; i < count; ++i) bytes[from + i] = static_cast<char>(random());
        for (const char* boot : {"one", "two"}) {
            Opened opened = openWith(bytes, boot);
            if (opened.status.isOk()) expectBeginning(opened, small_);
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Ends, Damage, testing::Values(false, true),
                         [](const auto& info) { return info.param ? "Closed" : "Killed"; });

TEST(MessageStoreDamage, AMissingSegmentIsNamed) {
    const Directory directory;
    MessageStoreOptions options;
    options.directory = directory.path();
    options.segmentBytes = 1u << 17;
    {
        Opened opened = openStore(options);
        ASSERT_TRUE(opened.status.isOk());
        const std::string text(1000, 't');
        for (uint32_t i = 1; i <= 500; ++i) {
            ASSERT_TRUE(putOut(*opened.store, 1, {i, 0}, i, text, true));
        }
    }
    std::filesystem::remove(directory.file("messages-00000002"));
    const Status status = openStore(options).status;
    EXPECT_EQ(status.code(), StatusCode::JournalDamaged);
    EXPECT_NE(status.message().find("messages-00000002"), std::string::npos) << status.toString();
}

// A message that holds the bytes of a record does not become one.
TEST(MessageStoreDamage, AForgedRecordIsNone) {
    const Directory directory;
    MessageStoreOptions options;
    options.directory = directory.path();
    options.segmentBytes = 1u << 17;
    {
        Opened opened = openStore(options);
        ASSERT_TRUE(putOut(*opened.store, 1, {1, 0}, 1, "genuine", true));
    }
    const std::string genuine = readFile(directory.file("messages-00000001")).substr(64 + 72, 64);
    {
        Opened opened = openStore(options);
        ASSERT_TRUE(opened.store->appendIn(1, 1, 1, bytesOf(genuine + genuine)).isOk());
    }
    // The record around it is torn.
    std::string log = readFile(directory.file("messages-00000001"));
    log[64 + 72 + 64 + 20] ^= 1;
    writeFile(directory.file("messages-00000001"), log);
    Opened opened = openStore(options);
    ASSERT_TRUE(opened.status.isOk()) << opened.status.toString();
    EXPECT_EQ(opened.seen.size(), 2u);
}

}  // namespace
}  // namespace verbex::gateway::store_test
