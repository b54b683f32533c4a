// The message store against a plain model: random sessions, sizes, days, readers and reopenings.
#include <map>
#include <random>

#include "store_fixture.h"

namespace verbex::gateway::store_test {
namespace {

constexpr uint16_t kSessions = 20;

struct Reader {
    uint16_t session = 0;
    session::OutboundCursor cursor;
    std::string read;  // since the day's first byte
};

class World {
public:
    World(uint64_t seed, const std::string& directory) : random_(seed) {
        options_.directory = directory;
        options_.segmentBytes = 1u << 17;
        options_.sessionsMax = kSessions;
        options_.startPosition = 5;
        options_.bootId = "first";
        records_.push_back({RecordKind::Day, 0, 0, {5, 0}, 0, ""});
        delivered_ = {5, kOwnIndex};
        open();
    }

    void step() {
        switch (random_() % 40) {
            case 0: reopen(); break;
            case 1: if (random_() % 8 == 0) beginDay(); break;
            case 2: case 3: case 4: case 5: in(); break;
            case 6: noteDelivered(); break;
            case 7: own(); break;
            default: event(random_() % 64 == 0); break;
        }
        for (Reader& reader : readers_) {
            if (random_() % 4 == 0) read(reader);
        }
        if (random_() % 8 == 0) login(readers_[random_() % readers_.size()]);
    }

    void check() {
        ASSERT_TRUE(store_->status().isOk());
        ASSERT_EQ(store_->delivered(), delivered_);
        ASSERT_EQ(store_->dayStart(), dayStart_);
        for (uint16_t session = 1; session <= kSessions; ++session) {
            ASSERT_EQ(store_->nextSequence(session), messages_[session].size() + 1);
        }
    }

    void checkEverySequence() {
        for (uint16_t session = 1; session <= kSessions; ++session) {
            const std::vector<std::string>& all = messages_[session];
            session::OutboundCursor cursor;
            ASSERT_FALSE(store_->seek(session, 0, cursor));
            ASSERT_FALSE(store_->seek(session, static_cast<uint32_t>(all.size()) + 2, cursor));
            std::string rest;
            for (size_t next = all.size() + 1; next >= 1; --next) {
                if (next <= all.size()) rest = framed(all[next - 1]) + rest;
                if (next % 50 != 1 && next + 3 < all.size()) continue;
                ASSERT_TRUE(store_->seek(session, static_cast<uint32_t>(next), cursor));
                ASSERT_EQ(store_->outbound(session).lag(cursor), rest.size());
                ASSERT_TRUE(readAll(store_->outbound(session), cursor) == rest);
                ASSERT_EQ(store_->outbound(session).lag(cursor), 0u);
            }
        }
    }

private:
    std::string message() {
        const size_t sizes[] = {0, 1, 7, 8, 40, 64, 100, 300, 3000};
        std::string text(sizes[random_() % std::size(sizes)], '\0');
        for (char& letter : text) letter = static_cast<char>(random_());
        return text;
    }
    uint16_t session() {
        // Some sessions have much more than others.
        return static_cast<uint16_t>(1 + random_() % (random_() % 3 == 0 ? kSessions : 3));
    }
    void put(uint16_t session, const EventPlace& place, bool last, bool counts = true) {
        const std::string text = message();
        time_ += random_() % 1000;
        ASSERT_TRUE(putOut(*store_, session, place, time_, text, last));
        if (!counts) return;
        messages_[session].push_back(text);
        stream_[session] += framed(text);
        const auto sequence = static_cast<uint32_t>(messages_[session].size());
        records_.push_back({RecordKind::Out, session, sequence, place, time_, text});
    }
    EventPlace nextPlace() {
        if (random_() % 3 == 0) return {place_.position, ++place_.index};
        return place_ = {place_.position + 1 + random_() % 3, 0};
    }
    void event(bool torn) {
        const EventPlace place = nextPlace();
        const size_t count = 1 + random_() % 3;
        for (size_t i = 0; i < count; ++i) put(session(), place, !torn && i + 1 == count, !torn);
        // What has no last message was never sent: only a new opening follows it.
        if (torn) {
            open();
            return;
        }
        delivered_ = place;
    }
    void own() { put(session(), {place_.position, kOwnIndex}, true); }
    void in() {
        const std::string text = message();
        const auto reference = static_cast<uint32_t>(random_());
        const uint16_t from = session();
        ASSERT_TRUE(store_->appendIn(from, reference, ++time_, bytesOf(text)).isOk());
        records_.push_back({RecordKind::In, from, reference, delivered_, time_, text});
        noted_ = false;
    }
    void noteDelivered() {
        store_->noteDelivered(delivered_ = nextPlace());
        noted_ = true;
    }
    void beginDay() {
        dayStart_ = place_.position;
        ASSERT_TRUE(store_->beginDay(dayStart_).isOk());
        records_.assign(1, {RecordKind::Day, 0, 0, {dayStart_, 0}, 0, ""});
        messages_.clear();
        stream_.clear();
        for (Reader& reader : readers_) login(reader);
    }
    void reopen() {
        in();  // so that the place is on record
        const int how = static_cast<int>(random_() % 4);
        ASSERT_TRUE(how != 0 || store_->close().isOk());
        ASSERT_TRUE(how != 1 || store_->sync().isOk());
        if (how == 2) {
            options_.bootId += "+";
            ++generation_;
        }
        open();
    }
    void open() {
        store_.reset();
        Opened opened = openStore(options_);
        ASSERT_TRUE(opened.status.isOk()) << opened.status.toString();
        store_ = std::move(opened.store);
        if (!opened.seen.empty()) {
            ASSERT_EQ(opened.seen.size(), records_.size());
            opened.seen[0].message.clear();
            for (size_t i = 0; i < records_.size(); ++i) {
                ASSERT_TRUE(opened.seen[i] == records_[i]) << "record " << i;
            }
        }
        const session::SessionName name = store_->sessionName();
        ASSERT_EQ(name[9], 'A' + generation_ % 26);
        // An event that caused nothing is delivered again where nothing was written behind it.
        if (noted_) delivered_ = store_->delivered();
        noted_ = false;
        for (Reader& reader : readers_) login(reader);
    }
    void login(Reader& reader) {
        reader.session = session();
        const std::vector<std::string>& all = messages_[reader.session];
        const uint64_t next = 1 + random_() % (all.size() + 1);
        ASSERT_TRUE(store_->seek(reader.session, static_cast<uint32_t>(next), reader.cursor));
        reader.read.clear();
        for (uint64_t i = 0; i + 1 < next; ++i) reader.read += framed(all[i]);
    }
    void read(Reader& reader) {
        session::Outbound& outbound = store_->outbound(reader.session);
        ASSERT_EQ(outbound.lag(reader.cursor), stream_[reader.session].size() - reader.read.size());
        iovec pieces[7];
        const auto room = std::span(pieces).first(1 + random_() % 7);
        const size_t count = outbound.gather(reader.cursor, room);
        ASSERT_EQ(count == 0, reader.read.size() == stream_[reader.session].size());
        std::string shown;
        for (size_t i = 0; i < count; ++i) {
            shown.append(static_cast<const char*>(pieces[i].iov_base), pieces[i].iov_len);
        }
        shown.resize(shown.size() - (random_() % 2 == 0 ? 0 : random_() % (shown.size() + 1)));
        ASSERT_EQ(stream_[reader.session].compare(reader.read.size(), shown.size(), shown), 0);
        outbound.advance(reader.cursor, shown.size());
        reader.read += shown;
    }

    std::mt19937_64 random_;
    MessageStoreOptions options_;
    std::unique_ptr<MessageStore> store_;
    std::vector<Kept> records_;
    std::map<uint16_t, std::vector<std::string>> messages_;
    std::map<uint16_t, std::string> stream_;
    std::vector<Reader> readers_ = std::vector<Reader>(6);
    EventPlace place_{5, 0};
    EventPlace delivered_;
    Position dayStart_ = 5;
    uint64_t time_ = 1'000'000;
    uint32_t generation_ = 0;
    bool noted_ = false;
};

TEST(MessageStoreModel, HoldsWhatWasPutInThroughReopeningsAndDays) {
    for (uint64_t seed = 1; seed <= 6; ++seed) {
        SCOPED_TRACE(seed);
        const Directory directory;
        World world(seed, directory.path());
        for (int step = 0; step < 2500 && !testing::Test::HasFatalFailure(); ++step) {
            world.step();
            world.check();
        }
        world.checkEverySequence();
        if (testing::Test::HasFatalFailure()) return;
    }
}

TEST(MessageStoreModel, InMemoryItDropsTheOldestAndSaysSo) {
    MessageStoreOptions options;
    options.segmentBytes = 1u << 17;
    options.keepBytes = 4u << 17;
    options.sessionsMax = 3;
    Opened opened = openStore(options);
    ASSERT_TRUE(opened.status.isOk());
    MessageStore& store = *opened.store;
    std::mt19937_64 random(3);
    session::OutboundCursor slow;
    session::OutboundCursor quiet;
    ASSERT_TRUE(putOut(store, 3, {1, 0}, 1, "first of three", true));
    ASSERT_TRUE(store.seek(3, 2, quiet));
    ASSERT_TRUE(store.seek(1, 1, slow));
    std::vector<std::string> sent;
    for (uint32_t i = 0; i < 20'000; ++i) {
        std::string text = "message " + std::to_string(i) + std::string(random() % 200, 'x');
        ASSERT_TRUE(putOut(store, 1, {i + 2, 0}, i, text, true));
        sent.push_back(std::move(text));
        if (i % 500 != 0) continue;
        // What is there is right, up to the end; what is not is the beginning.
        bool there = false;
        for (uint32_t sequence = 1; sequence <= sent.size(); sequence += 97) {
            session::OutboundCursor cursor;
            const bool found = store.seek(1, sequence, cursor);
            ASSERT_TRUE(found || !there);
            there = there || found;
            if (!found) continue;
            iovec piece;
            ASSERT_EQ(store.outbound(1).gather(cursor, {&piece, 1}), 1u);
            ASSERT_EQ(std::string(static_cast<const char*>(piece.iov_base), piece.iov_len),
                      framed(sent[sequence - 1]));
        }
        session::OutboundCursor recent;
        ASSERT_TRUE(store.seek(1, static_cast<uint32_t>(sent.size() > 300 ? sent.size() - 300 : 1),
                               recent));
    }
    session::OutboundCursor cursor;
    EXPECT_FALSE(store.seek(1, 1, cursor));
    EXPECT_FALSE(store.seek(3, 1, cursor));
    // A reader whose next message is gone gets nothing any more, and is known to be too slow.
    iovec piece;
    EXPECT_EQ(store.outbound(1).gather(slow, {&piece, 1}), 0u);
    EXPECT_EQ(store.outbound(1).lag(slow), UINT64_MAX);
    // One that had everything goes on, though its place is gone.
    EXPECT_EQ(store.outbound(3).lag(quiet), 0u);
    ASSERT_TRUE(putOut(store, 3, {99'999, 0}, 1, "second", true));
    EXPECT_EQ(store.outbound(3).lag(quiet), 9u);
    EXPECT_EQ(readAll(store.outbound(3), quiet, 2), framed("second"));
    ASSERT_TRUE(store.seek(3, 2, cursor));
    EXPECT_EQ(readAll(store.outbound(3), cursor), framed("second"));
}

TEST(MessageStoreModel, PastDaysGoFirstAndOnlyThey) {
    const Directory directory;
    MessageStoreOptions options;
    options.directory = directory.path();
    options.segmentBytes = 1u << 17;
    options.keepBytes = 3u << 17;
    Opened opened = openStore(options);
    ASSERT_TRUE(opened.status.isOk()) << opened.status.toString();
    const std::string text(1000, 'x');
    const auto files = [&] {
        size_t count = 0;
        for (const auto& entry : std::filesystem::directory_iterator(directory.path())) {
            count += entry.path().filename().string().starts_with("messages-") ? 1 : 0;
        }
        return count;
    };
    for (uint32_t i = 1; i <= 1000; ++i) {
        ASSERT_TRUE(putOut(*opened.store, 1, {i, 0}, i, text, true));
    }
    EXPECT_GT(files(), 6u);  // all of today
    ASSERT_TRUE(opened.store->beginDay(1000).isOk());
    EXPECT_EQ(files(), 3u);
    EXPECT_EQ(opened.store->nextSequence(1), 1u);
    for (uint32_t i = 1; i <= 200; ++i) {
        ASSERT_TRUE(putOut(*opened.store, 1, {1000 + i, 0}, i, text, true));
    }
    opened = {};
    opened = openStore(options);
    ASSERT_TRUE(opened.status.isOk()) << opened.status.toString();
    EXPECT_EQ(opened.seen.size(), 201u);
    EXPECT_EQ(opened.store->nextSequence(1), 201u);
}

}  // namespace
}  // namespace verbex::gateway::store_test
