// SoupBinTCP's frames: whatever the bytes, only whole and allowed frames are told, and nothing
// behind the bytes
// is looked at.
#include "session/soup.h"

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <string>
#include <vector>

namespace verbex::session::soup_test {
namespace {

using Bytes = std::vector<std::byte>;

constexpr size_t kMost = 200;
constexpr Packet kClientTypes[] = {Packet::Debug, Packet::LoginRequest, Packet::Unsequenced,
                                   Packet::ClientHeartbeat, Packet::LogoutRequest};
constexpr Packet kServerTypes[] = {Packet::Debug,     Packet::LoginAccepted,
                                   Packet::LoginRejected, Packet::Sequenced,
                                   Packet::ServerHeartbeat, Packet::EndOfSession};

// What a frame is by the standard's table, said a second time.
FrameState expectedState(const Bytes& bytes, size_t most, Sender sender) {
    if (bytes.size() < 2) return FrameState::Partial;
    const size_t length =
        std::to_integer<size_t>(bytes[0]) * 256 + std::to_integer<size_t>(bytes[1]);
    if (length == 0 || length > most + 1) return FrameState::Malformed;
    if (bytes.size() == 2) return FrameState::Partial;
    const std::string types = sender == Sender::Client ? "+LURO" : "+AJSHZ";
    if (types.find(static_cast<char>(bytes[2])) == std::string::npos) return FrameState::Malformed;
    return bytes.size() < length + 2 ? FrameState::Partial : FrameState::Whole;
}

// From memory of exactly that size: a sanitizer sees a byte too many.
Frame readCopy(const Bytes& bytes, Sender sender, size_t most = kMost) {
    const auto copy = std::make_unique<std::byte[]>(bytes.size());
    std::copy(bytes.begin(), bytes.end(), copy.get());
    Frame frame = readFrame({copy.get(), bytes.size()}, most, sender);
    if (frame.state == FrameState::Whole) {
        EXPECT_EQ(frame.payload.data(), copy.get() + kFrameHeaderBytes);
        EXPECT_EQ(frame.payload.size() + kFrameHeaderBytes, frame.bytes);
    }
    frame.payload = {};
    return frame;
}

Bytes frameOf(Packet type, size_t payload, std::mt19937_64& random) {
    Bytes bytes(kFrameHeaderBytes + payload);
    for (std::byte& b : bytes) b = static_cast<std::byte>(random());
    writeFrameHeader(bytes.data(), type, payload);
    return bytes;
}

TEST(Soup, EverySplitOfAStreamGivesTheSameFrames) {
    std::mt19937_64 random(1);
    for (int round = 0; round < 400; ++round) {
        Bytes stream;
        std::vector<Bytes> sent;
        for (int i = 0; i < 30; ++i) {
            sent.push_back(frameOf(kClientTypes[random() % 5], random() % (kMost + 1), random));
            stream.insert(stream.end(), sent.back().begin(), sent.back().end());
        }
        Bytes held;
        size_t seen = 0;
        for (size_t at = 0; at < stream.size();) {
            const size_t piece = std::min<size_t>(1 + random() % 97, stream.size() - at);
            held.insert(held.end(), stream.begin() + static_cast<ptrdiff_t>(at),
                        stream.begin() + static_cast<ptrdiff_t>(at + piece));
            at += piece;
            for (;;) {
                const Frame frame = readFrame(held, kMost, Sender::Client);
                ASSERT_NE(frame.state, FrameState::Malformed);
                if (frame.state == FrameState::Partial) break;
                ASSERT_LT(seen, sent.size());
                ASSERT_EQ(Bytes(held.begin(), held.begin() + static_cast<ptrdiff_t>(frame.bytes)),
                    sent[seen]);
                ASSERT_EQ(static_cast<std::byte>(frame.type), sent[seen][2]);
                ++seen;
                held.erase(held.begin(), held.begin() + static_cast<ptrdiff_t>(frame.bytes));
            }
        }
        ASSERT_EQ(seen, sent.size());
        ASSERT_TRUE(held.empty());
    }
}

TEST(Soup, EveryTruncationIsPartialAndEveryFlippedBitIsWhatTheTableSays) {
    std::mt19937_64 random(2);
    for (const Sender sender : {Sender::Client, Sender::Server}) {
        const std::span<const Packet> types =
            sender == Sender::Client ? std::span<const Packet>(kClientTypes)
                                     : std::span<const Packet>(kServerTypes);
        for (const Packet type : types) {
            for (const size_t payload : {size_t{0}, size_t{1}, size_t{46}, kMost}) {
                const Bytes whole = frameOf(type, payload, random);
                ASSERT_EQ(readCopy(whole, sender).state, FrameState::Whole);
                for (size_t cut = 0; cut < whole.size(); ++cut) {
                    const Bytes part(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(cut));
                    ASSERT_EQ(readCopy(part, sender).state, FrameState::Partial);
                }
                for (size_t bit = 0; bit < whole.size() * 8; ++bit) {
                    Bytes flipped = whole;
                    flipped[bit / 8] ^= static_cast<std::byte>(1u << bit % 8);
                    ASSERT_EQ(readCopy(flipped, sender).state, expectedState(flipped, kMost,
                        sender)) << bit;
                }
            }
        }
    }
}

TEST(Soup, OversizedAndEmptyFramesAreRefusedAtTwoBytesForeignTypesAtThree) {
    for (unsigned length = 0; length <= UINT16_MAX; ++length) {
        const Bytes two{static_cast<std::byte>(length >> 8), static_cast<std::byte>(length)};
        const bool allowed = length >= 1 && length <= kMost + 1;
        ASSERT_EQ(readCopy(two, Sender::Client).state,
            allowed ? FrameState::Partial : FrameState::Malformed);
    }
    for (unsigned type = 0; type < 256; ++type) {
        const Bytes three{std::byte{0}, std::byte{100}, static_cast<std::byte>(type)};
        for (const Sender sender : {Sender::Client, Sender::Server}) {
            ASSERT_EQ(readCopy(three, sender).state, expectedState(three, kMost, sender)) << type;
        }
    }
}

TEST(Soup, ANearlyMillionRandomFramesAreWhatTheTableSays) {
    std::mt19937_64 random(3);
    for (int i = 0; i < 900'000; ++i) {
        const uint64_t dice = random();
        Bytes bytes(dice % 24);
        for (std::byte& b : bytes) b = static_cast<std::byte>(random());
        // Mostly near to what is allowed: pure noise dies at its first byte.
        if (bytes.size() > 0 && dice & 1 << 8) bytes[0] = std::byte{0};
        if (bytes.size() > 1 && dice & 1 << 9) bytes[1] = static_cast<std::byte>(dice >> 32 & 31);
        if (bytes.size() > 2 && dice & 1 << 10) {
            bytes[2] = static_cast<std::byte>("+LUROAJSHZ"[(dice >> 40) % 10]);
        }
        const Sender sender = dice & 1 << 11 ? Sender::Client : Sender::Server;
        ASSERT_EQ(readCopy(bytes, sender).state, expectedState(bytes, kMost, sender));
    }
}

TEST(Soup, LoginsAreReadAsTheyWereWritten) {
    std::mt19937_64 random(4);
    for (int i = 0; i < 20'000; ++i) {
        LoginRequest login;
        const std::string user = std::string("Trader").substr(0, random() % 7);
        const std::string password = std::string("se cret123").substr(0, 2 + random() % 9);
        login.user = user;
        // A blank at its end can't be told from filling.
        login.password =
            password.back() == ' ' ? std::string_view("se") : std::string_view(password);
        login.anySession = random() % 2 == 0;
        login.session = {'0', '0', '0', '0', '0', '0', '0', '0', '4', '2'};
        login.sequence = random() >> random() % 64;
        std::byte frame[kFrameHeaderBytes + kLoginRequestBytes];
        ASSERT_EQ(writeLogin(frame, login), sizeof frame);
        const Frame read = readFrame(frame, kLoginRequestBytes, Sender::Client);
        ASSERT_EQ(read.state, FrameState::Whole);
        LoginRequest again;
        ASSERT_TRUE(readLogin(read.payload, again));
        ASSERT_EQ(again.user, login.user);
        ASSERT_EQ(again.password, login.password);
        ASSERT_EQ(again.anySession, login.anySession);
        if (!login.anySession) {
            ASSERT_EQ(again.session, login.session);
        }
        ASSERT_EQ(again.sequence, login.sequence);

        std::byte accepted[kFrameHeaderBytes + kLoginAcceptedBytes];
        writeLoginAccepted(accepted, login.session, login.sequence);
        SessionName session{};
        uint64_t sequence = 0;
        ASSERT_TRUE(readLoginAccepted(std::span(accepted).subspan(3), session, sequence));
        ASSERT_EQ(session, login.session);
        ASSERT_EQ(sequence, login.sequence);
    }
}

TEST(Soup, ASequenceThatIsNoNumberIsNoLogin) {
    const auto read = [](std::string_view sequence, size_t size = kLoginRequestBytes) {
        std::string text(26, ' ');
        text += sequence;
        text.resize(size, ' ');
        LoginRequest login;
        const bool is = readLogin(std::as_bytes(std::span(text)), login);
        return is ? std::to_string(login.sequence) : std::string("no");
    };
    EXPECT_EQ(read("                   7"), "7");
    EXPECT_EQ(read("00000000000000000007"), "7");
    EXPECT_EQ(read("7"), "7");
    EXPECT_EQ(read(""), "0");
    EXPECT_EQ(read("18446744073709551615"), "18446744073709551615");
    for (const char* wrong : {"18446744073709551616", "99999999999999999999", "-1", "+1", "1 2",
        "0x1", "one", "1\t"}) {
        EXPECT_EQ(read(wrong), "no") << wrong;
    }
    EXPECT_EQ(read("1", kLoginRequestBytes - 1), "no");
    EXPECT_EQ(read("1", kLoginRequestBytes + 1), "no");
}

}  // namespace
}  // namespace verbex::session::soup_test
