// The clearing protocol's bytes: one writer and one reader over the fields that each message names.
#include "gateway/clearing/clearing.h"

#include <algorithm>
#include <concepts>
#include <cstring>
#include <type_traits>

#include "base/check.h"

namespace verbex::gateway::clearing {

namespace {

using Bytes16 = std::array<uint8_t, 16>;

bool isTextByte(uint8_t byte) { return byte >= 0x21 && byte <= 0x7e; }

// Ids that come from elsewhere may be any 16 bytes: they go out as they are.
struct Spelling {
    Bytes16 bytes;
    size_t text = 0;    // characters, where it is text
    bool valid = false;  // text, a UUID, or none
};

// `pad`: what stands behind text here.
Spelling spellingOf(const Bytes16& bytes, uint8_t pad) {
    Spelling found{bytes, 0, false};
    while (found.text < 16 && isTextByte(bytes[found.text])) ++found.text;
    const bool padded = std::all_of(bytes.begin() + static_cast<ptrdiff_t>(found.text), bytes.end(),
                                    [pad](uint8_t byte) { return byte == pad; });
    // Byte 8 of a UUID has its top bit set, which no character has.
    found.valid = padded || (bytes[8] & 0xc0) == 0x80;
    if (!padded) return found;
    const uint8_t other = pad == 0 ? ' ' : 0;
    std::fill(found.bytes.begin() + static_cast<ptrdiff_t>(found.text), found.bytes.end(), other);
    return found;
}

Bytes16 bytesOf(const ClientId& id) {
    Bytes16 bytes;
    std::memcpy(bytes.data(), &id, 16);
    return bytes;
}

struct Writer {
    std::byte* at;

    template <std::unsigned_integral Integer>
    void operator()(const Integer& value) {
        for (size_t i = sizeof(Integer); i-- > 0;) *at++ = static_cast<std::byte>(value >> (8 * i));
    }
    void operator()(const int32_t& value) { (*this)(static_cast<uint32_t>(value)); }
    void operator()(const int64_t& value) { (*this)(static_cast<uint64_t>(value)); }
    void operator()(const Amount& value) {
        (*this)(static_cast<uint64_t>(static_cast<UnsignedAmount>(value) >> 64));
        (*this)(static_cast<uint64_t>(value));
    }
    void operator()(const ClientId& id) {
        const Spelling spelled = spellingOf(bytesOf(id), 0);
        std::memcpy(at, spelled.bytes.data(), 16);
        at += 16;
    }
    void operator()(const ReasonText& text) {
        std::memcpy(at, text.data(), text.size());
        at += text.size();
    }
};

struct Reader {
    const std::byte* at;
    bool valid = true;

    template <std::unsigned_integral Integer>
    void operator()(Integer& value) {
        value = 0;
        for (size_t i = 0; i < sizeof(Integer); ++i)
            value = static_cast<Integer>(uint64_t{value} << 8 | static_cast<uint8_t>(*at++));
    }
    void operator()(int32_t& value) {
        uint32_t word;
        (*this)(word);
        value = static_cast<int32_t>(word);
    }
    void operator()(int64_t& value) {
        uint64_t word;
        (*this)(word);
        value = static_cast<int64_t>(word);
    }
    void operator()(Amount& value) {
        uint64_t high, low;
        (*this)(high);
        (*this)(low);
        value = static_cast<Amount>(UnsignedAmount{high} << 64 | low);
    }
    void operator()(ClientId& id) {
        Bytes16 bytes;
        std::memcpy(bytes.data(), at, 16);
        at += 16;
        const Spelling spelled = spellingOf(bytes, ' ');
        valid = valid && spelled.valid;
        std::memcpy(&id, spelled.bytes.data(), 16);
    }
    void operator()(ReasonText& text) {
        std::memcpy(text.data(), at, text.size());
        at += text.size();
    }
};

// Only clients' ids are held to their form: the core's may come from anywhere.
template <typename Message>
constexpr bool kFromClient =
#define VERBEX_X(Request) std::is_same_v<Message, Request> ||
    VERBEX_CLEARING_REQUESTS(VERBEX_X)
#undef VERBEX_X
    false;

}  // namespace

std::string_view reasonName(uint16_t reason) {
    switch (static_cast<Reason>(reason)) {
#define VERBEX_X(number, name, sentence) \
    case Reason::name: return #name;
        VERBEX_CLEARING_REASONS(VERBEX_X)
#undef VERBEX_X
        case Reason::NONE: break;
    }
    return rejectName(static_cast<Reject>(reason));
}

ReasonText reasonText(uint16_t reason) {
    const std::string_view name = reasonName(reason);
    ReasonText text;
    text.fill(' ');
    std::copy_n(name.begin(), std::min(name.size(), text.size()), text.begin());
    return text;
}

bool isTextOrUuid(const ClientId& id) { return spellingOf(bytesOf(id), 0).valid; }

template <typename Message>
void encode(std::byte* to, const Message& message) {
    Writer writer{to + 1};
    *to = static_cast<std::byte>(Message::kType);
    const_cast<Message&>(message).each(writer);
    CHECK(writer.at == to + Message::kBytes);
}

template <typename Message>
Decoded decode(std::span<const std::byte> bytes, Message& message) {
    if (bytes.size() != Message::kBytes || bytes[0] != static_cast<std::byte>(Message::kType))
        return Decoded::NotThis;
    Reader reader{bytes.data() + 1};
    message.each(reader);
    return reader.valid || !kFromClient<Message> ? Decoded::Yes : Decoded::BadField;
}

#define VERBEX_X(Message)                             \
    template void encode(std::byte*, const Message&); \
    template Decoded decode(std::span<const std::byte>, Message&);
VERBEX_CLEARING_REQUESTS(VERBEX_X)
VERBEX_CLEARING_RESPONSES(VERBEX_X)
VERBEX_X(ReferenceQuery)
#undef VERBEX_X

}  // namespace verbex::gateway::clearing
