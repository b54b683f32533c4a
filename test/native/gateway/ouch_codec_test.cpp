// The bytes of OUCH 5.0: golden ones for every type, round trips of random values, and garbage.
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "gateway/ouch_fixture.h"

namespace verbex::gateway::ouch_codec_test {
namespace {

using namespace verbex::gateway::ouch;
using ouch_test::Bytes;

std::string hexOf(std::span<const std::byte> bytes) {
    std::string hex;
    for (const std::byte byte : bytes) {
        hex += "0123456789abcdef"[static_cast<uint8_t>(byte) >> 4];
        hex += "0123456789abcdef"[static_cast<uint8_t>(byte) & 15];
    }
    return hex;
}

// Every field from a counter that goes on, so that no two bytes of a message are mixed up unseen.
struct Fill {
    uint8_t next = 1;
    void operator()(char& field) { field = static_cast<char>(next++); }
    void operator()(Big16& field) { field = static_cast<uint16_t>(take(2)); }
    void operator()(Big32& field) { field = static_cast<uint32_t>(take(4)); }
    void operator()(Big64& field) { field = take(8); }
    void operator()(SymbolField& field) {
        Symbol symbol;
        char text[8];
        for (char& character : text) character = static_cast<char>(next++);
        std::memcpy(&symbol, text, sizeof(symbol));
        field = symbol;
    }
    template <size_t N>
    void operator()(std::array<char, N>& field) {
        for (char& character : field) character = static_cast<char>(next++);
    }

private:
    uint64_t take(size_t bytes) {
        uint64_t value = 0;
        for (size_t i = 0; i < bytes; ++i) value = value << 8 | next++;
        return value;
    }
};

// Fields in the order of the specification's tables: filled so, the bytes count up from 1.
template <typename Visit>
void visit(EnterOrder& m, Visit&& v) {
    v(m.userRefNum), v(m.side), v(m.quantity), v(m.symbol), v(m.price), v(m.timeInForce), v(m.display);
    v(m.capacity), v(m.sweep), v(m.crossType), v(m.clOrdId);
}
template <typename Visit>
void visit(ReplaceOrder& m, Visit&& v) {
    v(m.origUserRefNum), v(m.userRefNum), v(m.quantity), v(m.price), v(m.timeInForce), v(m.display);
    v(m.sweep), v(m.clOrdId);
}
template <typename Visit>
void visit(CancelOrder& m, Visit&& v) { v(m.userRefNum), v(m.quantity); }
template <typename Visit>
void visit(ModifyOrder& m, Visit&& v) { v(m.userRefNum), v(m.side), v(m.quantity); }
template <typename Visit>
void visit(MassCancel& m, Visit&& v) { v(m.userRefNum), v(m.firm), v(m.symbol); }
template <typename Visit>
void visit(DisableEntry& m, Visit&& v) { v(m.userRefNum), v(m.firm); }
template <typename Visit>
void visit(EnableEntry& m, Visit&& v) { v(m.userRefNum), v(m.firm); }
template <typename Visit>
void visit(AccountQuery&, Visit&&) {}
template <typename Visit>
void visit(SystemEvent& m, Visit&& v) { v(m.timestamp), v(m.event); }
template <typename Visit>
void visit(Accepted& m, Visit&& v) {
    v(m.timestamp), v(m.userRefNum), v(m.side), v(m.quantity), v(m.symbol), v(m.price);
    v(m.timeInForce), v(m.display), v(m.orderReference), v(m.capacity), v(m.sweep), v(m.crossType);
    v(m.state), v(m.clOrdId);
}
template <typename Visit>
void visit(Replaced& m, Visit&& v) {
    v(m.timestamp), v(m.origUserRefNum), v(m.userRefNum), v(m.side), v(m.quantity), v(m.symbol);
    v(m.price), v(m.timeInForce), v(m.display), v(m.orderReference), v(m.capacity), v(m.sweep);
    v(m.crossType), v(m.state), v(m.clOrdId);
}
template <typename Visit>
void visit(Canceled& m, Visit&& v) { v(m.timestamp), v(m.userRefNum), v(m.quantity), v(m.reason); }
template <typename Visit>
void visit(AiqCanceled& m, Visit&& v) {
    v(m.timestamp), v(m.userRefNum), v(m.quantity), v(m.reason), v(m.prevented), v(m.price);
    v(m.liquidity), v(m.strategy);
}
template <typename Visit>
void visit(Executed& m, Visit&& v) {
    v(m.timestamp), v(m.userRefNum), v(m.quantity), v(m.price), v(m.liquidity), v(m.matchNumber);
}
template <typename Visit>
void visit(BrokenTrade& m, Visit&& v) {
    v(m.timestamp), v(m.userRefNum), v(m.matchNumber), v(m.reason), v(m.clOrdId);
}
template <typename Visit>
void visit(Rejected& m, Visit&& v) { v(m.timestamp), v(m.userRefNum), v(m.reason), v(m.clOrdId); }
template <typename Visit>
void visit(CancelPending& m, Visit&& v) { v(m.timestamp), v(m.userRefNum); }
template <typename Visit>
void visit(CancelReject& m, Visit&& v) { v(m.timestamp), v(m.userRefNum); }
template <typename Visit>
void visit(PriorityUpdate& m, Visit&& v) {
    v(m.timestamp), v(m.userRefNum), v(m.price), v(m.display), v(m.orderReference);
}
template <typename Visit>
void visit(Modified& m, Visit&& v) { v(m.timestamp), v(m.userRefNum), v(m.side), v(m.quantity); }
template <typename Visit>
void visit(Restated& m, Visit&& v) { v(m.timestamp), v(m.userRefNum), v(m.reason); }
template <typename Visit>
void visit(MassCancelResponse& m, Visit&& v) {
    v(m.timestamp), v(m.userRefNum), v(m.firm), v(m.symbol);
}
template <typename Visit>
void visit(DisableResponse& m, Visit&& v) { v(m.timestamp), v(m.userRefNum), v(m.firm); }
template <typename Visit>
void visit(EnableResponse& m, Visit&& v) { v(m.timestamp), v(m.userRefNum), v(m.firm); }
template <typename Visit>
void visit(AccountQueryResponse& m, Visit&& v) { v(m.timestamp), v(m.nextUserRefNum); }

using Reader = Message (*)(std::span<const std::byte>);

// `bytes`: of the fixed part, as the specification's table has it.
template <typename Layout>
void check(Reader reader, char type, size_t bytes, Appendage appendage) {
    SCOPED_TRACE(std::string("type ") + type);
    ASSERT_EQ(sizeof(Layout), bytes);
    ASSERT_EQ(Layout::kType, type);
    ASSERT_EQ(Layout::kAppendage, appendage);
    Bytes buffer(bytes + 400);
    Layout& message = begin<Layout>(buffer.data());
    Fill fill;
    visit(message, fill);
    ASSERT_EQ(fill.next, bytes) << "a field is missing or has another length";
    // Golden: the type, then the bytes 1, 2, 3 … in the order of the table's fields.
    EXPECT_EQ(static_cast<char>(buffer[0]), type);
    for (size_t i = 1; i < bytes; ++i) ASSERT_EQ(static_cast<size_t>(buffer[i]), i);

    std::mt19937_64 random(static_cast<uint64_t>(type));
    for (int round = 0; round < 200; ++round) {
        Options options;
        if (appendage != Appendage::None) {
            for (int i = static_cast<int>(random() % 4); i > 0; --i) {
                const auto tag = static_cast<uint8_t>(1 + random() % kTagMax);
                const size_t wide = tagBytes(tag);
                if (wide == 0) continue;
                options.set(static_cast<Tag>(tag), wide == 8 ? random() : random() % (uint64_t{1} << (8 * wide)));
            }
        }
        size_t length = bytes;
        if constexpr (Layout::kAppendage != Appendage::None) length = finish(message, options);
        // Exactly so long on the heap, so that a sanitizer sees a look behind the end.
        const Bytes whole(buffer.begin(), buffer.begin() + static_cast<ptrdiff_t>(length));
        const Message read = reader(whole);
        ASSERT_EQ(read.type, type);
        ASSERT_EQ(std::memcmp(&read.as<Layout>(), whole.data(), bytes), 0);
        Options back;
        ASSERT_EQ(readOptions(read.appendage, back), OptionFault::None);
        ASSERT_EQ(back.present(), options.present());
        for (uint8_t tag = 1; tag <= kTagMax; ++tag) {
            ASSERT_EQ(back.of(static_cast<Tag>(tag)), options.of(static_cast<Tag>(tag)));
        }
        // Nothing shorter is a message, but the fixed part where the appendage may be absent.
        for (size_t shorter = 0; shorter < length; ++shorter) {
            const Bytes part(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(shorter));
            const bool whether = appendage == Appendage::Optional && shorter == bytes;
            ASSERT_EQ(!reader(part).malformed(), whether) << shorter;
        }
        Bytes longer = whole;
        longer.push_back(std::byte{0});
        ASSERT_TRUE(reader(longer).malformed());
    }
}

TEST(OuchCodec, EveryFieldLiesWhereTheTablesSay) {
    check<EnterOrder>(readInbound, 'O', 45, Appendage::Required);
    check<ReplaceOrder>(readInbound, 'U', 38, Appendage::Required);
    check<CancelOrder>(readInbound, 'X', 9, Appendage::Optional);
    check<ModifyOrder>(readInbound, 'M', 10, Appendage::Optional);
    check<MassCancel>(readInbound, 'C', 17, Appendage::Required);
    check<DisableEntry>(readInbound, 'D', 9, Appendage::Required);
    check<EnableEntry>(readInbound, 'E', 9, Appendage::Required);
    check<AccountQuery>(readInbound, 'Q', 1, Appendage::Optional);
    check<SystemEvent>(readOutbound, 'S', 10, Appendage::None);
    check<Accepted>(readOutbound, 'A', 62, Appendage::Required);
    check<Replaced>(readOutbound, 'U', 66, Appendage::Required);
    check<Canceled>(readOutbound, 'C', 18, Appendage::Optional);
    check<AiqCanceled>(readOutbound, 'D', 32, Appendage::Optional);
    check<Executed>(readOutbound, 'E', 34, Appendage::Required);
    check<BrokenTrade>(readOutbound, 'B', 36, Appendage::Optional);
    check<Rejected>(readOutbound, 'J', 29, Appendage::Optional);
    check<CancelPending>(readOutbound, 'P', 13, Appendage::Optional);
    check<CancelReject>(readOutbound, 'I', 13, Appendage::Optional);
    check<PriorityUpdate>(readOutbound, 'T', 30, Appendage::Optional);
    check<Modified>(readOutbound, 'M', 18, Appendage::Optional);
    check<Restated>(readOutbound, 'R', 14, Appendage::Required);
    check<MassCancelResponse>(readOutbound, 'X', 25, Appendage::Required);
    check<DisableResponse>(readOutbound, 'G', 17, Appendage::Required);
    check<EnableResponse>(readOutbound, 'K', 17, Appendage::Required);
    check<AccountQueryResponse>(readOutbound, 'Q', 13, Appendage::Optional);
}

TEST(OuchCodec, AnOrderAsBytes) {
    ouch_test::Draft<EnterOrder> order;
    order->userRefNum = 0x01020304;
    order->quantity = 500;
    order->price = 1'503'400;
    order.options.set(Tag::MinQty, 100);
    order.options.set(Tag::PostOnly, 'P');
    EXPECT_EQ(hexOf(order.bytes()),
              "4f" "01020304" "42" "000001f4" "4254432d55534420" "000000000016f0a8" "30" "59" "50" "4e"
              "4e" "4944372020202020202020202020" "0009" "050300000064" "020c50");
}

TEST(OuchCodec, OptionsThatAreNone) {
    const auto read = [](std::initializer_list<int> bytes) {
        Bytes appendage;
        for (const int byte : bytes) appendage.push_back(static_cast<std::byte>(byte));
        Options options;
        return readOptions(appendage, options);
    };
    EXPECT_EQ(read({}), OptionFault::None);
    EXPECT_EQ(read({2, 12, 'P'}), OptionFault::None);
    EXPECT_EQ(read({2, 8, 0}), OptionFault::UnknownTag);
    EXPECT_EQ(read({2, 31, 0}), OptionFault::UnknownTag);
    EXPECT_EQ(read({2, 255, 0}), OptionFault::UnknownTag);
    EXPECT_EQ(read({1, 12}), OptionFault::WrongLength);
    EXPECT_EQ(read({3, 12, 'P', 'P'}), OptionFault::WrongLength);
    EXPECT_EQ(read({2, 12, 'P', 2, 12, 'P'}), OptionFault::Repeated);
}

TEST(OuchCodec, GarbageIsMalformedOrAgreesWithItself) {
    std::mt19937_64 random(5);
    const std::string letters = "OUXMCDEQSAJ";
    for (int i = 0; i < 200'000; ++i) {
        Bytes bytes(random() % 90);
        for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
        if (!bytes.empty() && i % 2 == 0) bytes[0] = static_cast<std::byte>(letters[random() % 11]);
        for (const Reader reader : {readInbound, readOutbound}) {
            const Message message = reader(bytes);
            if (message.malformed()) continue;
            ASSERT_EQ(message.length, bytes.size());
            Options options;
            (void)readOptions(message.appendage, options);
        }
    }
}

}  // namespace
}  // namespace verbex::gateway::ouch_codec_test
