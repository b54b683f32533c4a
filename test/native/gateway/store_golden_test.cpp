// A log of every released format version opens for ever: test/golden/gateway-store holds them, without the
// zeros behind. VERBEX_WRITE_GOLDEN=1 writes that of this version, once per version, never over an old one.
#include <cstdlib>

#include "store_fixture.h"

namespace verbex::gateway::store_test {
namespace {

#ifdef VERBEX_GOLDEN_DIR
const std::filesystem::path kGolden = std::filesystem::path(VERBEX_GOLDEN_DIR) / "gateway-store/v1";
#else
const std::filesystem::path kGolden =
    std::filesystem::path(__FILE__).parent_path() / "../../golden/gateway-store/v1";
#endif
constexpr const char* kSegment = "messages-00000001";

MessageStoreOptions optionsIn(const Directory& directory) {
    MessageStoreOptions options;
    options.directory = directory.path();
    options.segmentBytes = 1u << 17;
    options.startPosition = 41;
    options.bootId = "golden";
    options.salt = 0x0123'4567'89ab'cdef;
    return options;
}

// As OUCH has it: type, time, the order's reference.
std::string answer(char type, uint8_t reference) {
    return std::string(1, type) + std::string(8, '\0') + std::string(3, '\0') +
           std::string(1, static_cast<char>(reference)) + "rest";
}

constexpr uint64_t kTime = 1'700'000'000'000'000'000;

void write(MessageStore& store) {
    ASSERT_TRUE(putOut(store, 7, {41, kOwnIndex}, kTime, "S\1\2\3\4\5\6\7\10S", true));
    ASSERT_TRUE(store.appendIn(7, 5, kTime + 1, bytesOf("Oa message that came in")).isOk());
    ASSERT_TRUE(putOut(store, 7, {42, 0}, kTime + 2, answer('A', 5), true));
    ASSERT_TRUE(store.appendIn(300, 9, kTime + 3, bytesOf("O")).isOk());
    // One event, two sessions.
    ASSERT_TRUE(putOut(store, 300, {43, 1}, kTime + 4, answer('E', 9), false));
    ASSERT_TRUE(putOut(store, 7, {43, 1}, kTime + 4, answer('E', 5), true));
    ASSERT_TRUE(store.beginDay(44).isOk());
    ASSERT_TRUE(putOut(store, 7, {45, 0}, kTime + 5, answer('C', 6), true));
}

TEST(MessageStoreGolden, IsWrittenByteForByte) {
    const Directory directory;
    Opened opened = openStore(optionsIn(directory));
    ASSERT_TRUE(opened.status.isOk()) << opened.status.toString();
    write(*opened.store);
    ASSERT_TRUE(opened.store->close().isOk());
    opened = {};
    const std::string segment = readFile(directory.file(kSegment));
    const std::string state = readFile(directory.file("state"));
    const size_t used = segment.find_last_not_of('\0') + 1;
    if (std::getenv("VERBEX_WRITE_GOLDEN") != nullptr && !std::filesystem::exists(kGolden)) {
        std::filesystem::create_directories(kGolden);
        writeFile(kGolden / kSegment, segment.substr(0, used));
        writeFile(kGolden / "state", state);
    }
    EXPECT_TRUE(segment.substr(0, used) == readFile(kGolden / kSegment));
    EXPECT_EQ(state, readFile(kGolden / "state"));
}

TEST(MessageStoreGolden, OpensAndGoesOn) {
    const Directory directory;
    std::filesystem::create_directories(directory.path());
    for (const char* name : {kSegment, "state"}) {
        std::filesystem::copy_file(kGolden / name, directory.file(name));
    }
    Opened opened = openStore(optionsIn(directory));
    ASSERT_TRUE(opened.status.isOk()) << opened.status.toString();
    ASSERT_EQ(opened.seen.size(), 2u);
    const Kept last{RecordKind::Out, 7, 1, {45, 0}, kTime + 5, answer('C', 6)};
    EXPECT_TRUE(opened.seen[1] == last);
    EXPECT_EQ(opened.store->dayStart(), 44u);
    EXPECT_EQ(opened.store->delivered(), (EventPlace{45, 0}));
    EXPECT_EQ(opened.store->nextSequence(7), 2u);
    ASSERT_TRUE(putOut(*opened.store, 7, {46, 0}, kTime + 6, answer('A', 7), true));
    session::OutboundCursor cursor;
    ASSERT_TRUE(opened.store->seek(7, 1, cursor));
    EXPECT_EQ(readAll(opened.store->outbound(7), cursor),
              framed(answer('C', 6)) + framed(answer('A', 7)));
}

}  // namespace
}  // namespace verbex::gateway::store_test
