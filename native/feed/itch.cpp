// Where the fields lie: docs/itch.md.
#include "feed/itch.h"

namespace verbex::feed::itch {

namespace {

// R: what the standard asks of a share and an instrument here does not have. Behind the symbol, at 19.
constexpr char kDirectoryRest[] = {
    ' ',                 // market category: not available
    ' ',                 // financial status: not available
    0, 0, 0, 1,          // round lot: 1
    'N',                 // round lots only: no
    'Q',                 // issue classification: other securities
    'Z', ' ',            // issue sub-type: not applicable
    'P',                 // authenticity: production
    ' ',                 // short sale threshold: not available
    ' ',                 // IPO flag: not available
    ' ',                 // price tier: not available
    ' ',                 // exchange traded product: not available
    0, 0, 0, 0,          // its leverage
    'N',                 // inverse: no
};
static_assert(sizeof(kDirectoryRest) == 20);

void putSymbol(std::byte* to, Symbol symbol) { std::memcpy(to, &symbol, sizeof(symbol)); }

Symbol getSymbol(const std::byte* from) {
    Symbol symbol;
    std::memcpy(&symbol, from, sizeof(symbol));
    return symbol;
}

char getChar(const std::byte* from) { return static_cast<char>(*from); }

// Twenty digits, blanks to the left, as SoupBinTCP writes numbers.
void putDecimal(std::byte* to, uint64_t value) {
    size_t at = 20;
    do {
        to[--at] = static_cast<std::byte>('0' + value % 10);
        value /= 10;
    } while (value != 0);
    while (at > 0) to[--at] = std::byte{' '};
}

bool getDecimal(const std::byte* from, uint64_t& value) {
    size_t at = 0;
    while (at < 19 && getChar(from + at) == ' ') ++at;
    if (at < 19 && getChar(from + at) == '0') return false;  // one way to write a number
    value = 0;
    for (; at < 20; ++at) {
        const char digit = getChar(from + at);
        if (digit < '0' || digit > '9') return false;
        if (__builtin_mul_overflow(value, uint64_t{10}, &value) ||
            __builtin_add_overflow(value, static_cast<uint64_t>(digit - '0'), &value)) {
            return false;
        }
    }
    return true;
}

bool isSide(char code) { return code == kBuy || code == kSell; }

}  // namespace

size_t write(std::byte* to, const Message& message) {
    const size_t bytes = bytesOf(message.type);
    to[0] = static_cast<std::byte>(message.type);
    if (message.type == Type::EndOfSnapshot) {
        putDecimal(to + 1, message.sequence);
        return bytes;
    }
    put16(to + 1, message.locate);
    put16(to + 3, message.tracking);
    put48(to + 5, message.timeNs);
    std::byte* const at = to + kHeaderBytes;
    switch (message.type) {
        case Type::SystemEvent: at[0] = static_cast<std::byte>(message.code); break;
        case Type::Directory:
            putSymbol(at, message.symbol);
            std::memcpy(at + 8, kDirectoryRest, sizeof(kDirectoryRest));
            break;
        case Type::TradingAction:
            putSymbol(at, message.symbol);
            at[8] = static_cast<std::byte>(message.code);
            at[9] = std::byte{' '};
            std::memcpy(at + 10, message.reason, sizeof(message.reason));
            break;
        case Type::Add:
            put64(at, message.reference);
            at[8] = static_cast<std::byte>(message.code);
            put32(at + 9, message.shares);
            putSymbol(at + 13, message.symbol);
            put32(at + 21, message.price);
            break;
        case Type::Executed:
            put64(at, message.reference);
            put32(at + 8, message.shares);
            put64(at + 12, message.match);
            break;
        case Type::ExecutedWithPrice:
            put64(at, message.reference);
            put32(at + 8, message.shares);
            put64(at + 12, message.match);
            at[20] = static_cast<std::byte>(message.code);
            put32(at + 21, message.price);
            break;
        case Type::Cancel:
            put64(at, message.reference);
            put32(at + 8, message.shares);
            break;
        case Type::Delete: put64(at, message.reference); break;
        case Type::Replace:
            put64(at, message.reference);
            put64(at + 8, message.newReference);
            put32(at + 16, message.shares);
            put32(at + 20, message.price);
            break;
        case Type::Trade:
            put64(at, message.reference);
            at[8] = static_cast<std::byte>(message.code);
            put32(at + 9, message.shares);
            putSymbol(at + 13, message.symbol);
            put32(at + 21, message.price);
            put64(at + 25, message.match);
            break;
        case Type::EndOfSnapshot: break;
    }
    return bytes;
}

bool read(std::span<const std::byte> bytes, Message& message) {
    message = Message{};
    if (bytes.empty()) return false;
    message.type = static_cast<Type>(bytes[0]);
    const size_t expected = bytesOf(message.type);
    if (expected == 0 || bytes.size() != expected) return false;
    if (message.type == Type::EndOfSnapshot) return getDecimal(&bytes[1], message.sequence);
    message.locate = get16(&bytes[1]);
    message.tracking = get16(&bytes[3]);
    message.timeNs = get48(&bytes[5]);
    const std::byte* const at = &bytes[kHeaderBytes];
    switch (message.type) {
        case Type::SystemEvent: message.code = getChar(at); return true;
        case Type::Directory: message.symbol = getSymbol(at); return true;
        case Type::TradingAction:
            message.symbol = getSymbol(at);
            message.code = getChar(at + 8);
            std::memcpy(message.reason, at + 10, sizeof(message.reason));
            return true;
        case Type::Add:
        case Type::Trade:
            message.reference = get64(at);
            message.code = getChar(at + 8);
            message.shares = get32(at + 9);
            message.symbol = getSymbol(at + 13);
            message.price = get32(at + 21);
            if (message.type == Type::Trade) message.match = get64(at + 25);
            return isSide(message.code);
        case Type::ExecutedWithPrice:
            message.code = getChar(at + 20);
            message.price = get32(at + 21);
            [[fallthrough]];
        case Type::Executed:
            message.reference = get64(at);
            message.shares = get32(at + 8);
            message.match = get64(at + 12);
            return true;
        case Type::Cancel:
            message.reference = get64(at);
            message.shares = get32(at + 8);
            return true;
        case Type::Delete: message.reference = get64(at); return true;
        case Type::Replace:
            message.reference = get64(at);
            message.newReference = get64(at + 8);
            message.shares = get32(at + 16);
            message.price = get32(at + 20);
            return true;
        case Type::EndOfSnapshot: break;
    }
    return false;
}

}  // namespace verbex::feed::itch
