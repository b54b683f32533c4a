#include "gateway/ouch/ouch.h"

namespace verbex::gateway::ouch {
namespace {

struct Shape {
    uint8_t fixed = 0;  // 0: no such type
    Appendage appendage = Appendage::None;
};
using Shapes = std::array<Shape, 128>;  // by type letter

template <typename... Layouts>
constexpr Shapes shapesOf() {
    Shapes shapes{};
    ((shapes[static_cast<size_t>(Layouts::kType)] = {sizeof(Layouts), Layouts::kAppendage}), ...);
    return shapes;
}

constexpr Shapes kInbound = shapesOf<EnterOrder, ReplaceOrder, CancelOrder, ModifyOrder, MassCancel,
                                     DisableEntry, EnableEntry, AccountQuery>();
constexpr Shapes kOutbound =
    shapesOf<SystemEvent, Accepted, Replaced, Canceled, AiqCanceled, Executed, BrokenTrade, Rejected,
             CancelPending, CancelReject, PriorityUpdate, Modified, Restated, MassCancelResponse,
             DisableResponse, EnableResponse, AccountQueryResponse>();

// Bytes of a value, by tag.
constexpr std::array<uint8_t, kTagMax + 1> kTagBytes = [] {
    std::array<uint8_t, kTagMax + 1> bytes{};
    const auto set = [&](Tag tag, uint8_t count) { bytes[static_cast<size_t>(tag)] = count; };
    set(Tag::SecondaryOrdRefNum, 8);
    set(Tag::Firm, 4);
    set(Tag::MinQty, 4);
    set(Tag::CustomerType, 1);
    set(Tag::MaxFloor, 4);
    set(Tag::PriceType, 1);
    set(Tag::PegOffset, 4);
    set(Tag::DiscretionPrice, 8);
    set(Tag::DiscretionPriceType, 1);
    set(Tag::DiscretionPegOffset, 4);
    set(Tag::PostOnly, 1);
    set(Tag::RandomReserves, 4);
    set(Tag::Route, 4);
    set(Tag::ExpireTime, 4);
    set(Tag::TradeNow, 1);
    set(Tag::HandleInst, 1);
    set(Tag::BboWeightIndicator, 1);
    set(Tag::DisplayQuantity, 4);
    set(Tag::DisplayPrice, 8);
    set(Tag::GroupId, 2);
    set(Tag::SharesLocated, 1);
    set(Tag::LocateBroker, 4);
    set(Tag::Side, 1);
    set(Tag::UserRefIdx, 1);
    set(Tag::AiqStrategy, 1);
    set(Tag::AiqGroupId, 2);
    return bytes;
}();

// Every element has a tag and ends where the next one begins or the appendage ends.
bool elementsAreWhole(std::span<const std::byte> appendage) {
    size_t at = 0;
    while (at < appendage.size()) {
        const auto length = static_cast<size_t>(appendage[at]);
        if (length == 0 || length > appendage.size() - at - 1) return false;
        at += 1 + length;
    }
    return true;
}

Message read(std::span<const std::byte> payload, const Shapes& shapes) {
    if (payload.empty()) return {};
    const auto type = static_cast<uint8_t>(payload[0]);
    if (type >= shapes.size()) return {};
    const Shape shape = shapes[type];
    if (shape.fixed == 0 || payload.size() < shape.fixed) return {};
    Message message{static_cast<char>(type), payload.data(), {}, payload.size()};
    if (payload.size() == shape.fixed) {
        return shape.appendage == Appendage::Required ? Message{} : message;
    }
    if (shape.appendage == Appendage::None || payload.size() < size_t{shape.fixed} + 2) return {};
    const size_t length = *reinterpret_cast<const Big16*>(payload.data() + shape.fixed);
    if (length != payload.size() - shape.fixed - 2) return {};
    message.appendage = payload.subspan(size_t{shape.fixed} + 2);
    return elementsAreWhole(message.appendage) ? message : Message{};
}

}  // namespace

size_t tagBytes(uint8_t tag) { return tag <= kTagMax ? kTagBytes[tag] : 0; }

Message readInbound(std::span<const std::byte> payload) { return read(payload, kInbound); }
Message readOutbound(std::span<const std::byte> payload) { return read(payload, kOutbound); }

OptionFault readOptions(std::span<const std::byte> appendage, Options& options) {
    size_t at = 0;
    while (at < appendage.size()) {
        const auto length = static_cast<size_t>(appendage[at]);
        const auto tag = static_cast<uint8_t>(appendage[at + 1]);
        const size_t bytes = tagBytes(tag);
        if (bytes == 0) return OptionFault::UnknownTag;
        if (length != bytes + 1) return OptionFault::WrongLength;
        if (options.has(static_cast<Tag>(tag))) return OptionFault::Repeated;
        uint64_t value = 0;
        for (size_t i = 0; i < bytes; ++i) {
            value = value << 8 | static_cast<uint64_t>(appendage[at + 2 + i]);
        }
        options.set(static_cast<Tag>(tag), value);
        at += 1 + length;
    }
    return OptionFault::None;
}

size_t optionBytes(const Options& options) {
    size_t bytes = 0;
    for (uint32_t left = options.present(); left != 0; left &= left - 1) {
        bytes += 2 + kTagBytes[static_cast<size_t>(std::countr_zero(left))];
    }
    return bytes;
}

size_t writeOptions(std::byte* behindFixed, size_t fixedBytes, const Options& options) {
    std::byte* to = behindFixed + 2;
    for (uint32_t left = options.present(); left != 0; left &= left - 1) {
        const auto tag = static_cast<uint8_t>(std::countr_zero(left));
        const size_t bytes = kTagBytes[tag];
        uint64_t value = options.of(static_cast<Tag>(tag));
        *to++ = static_cast<std::byte>(bytes + 1);
        *to++ = static_cast<std::byte>(tag);
        for (size_t i = bytes; i-- > 0; value >>= 8) to[i] = static_cast<std::byte>(value);
        to += bytes;
    }
    const auto length = static_cast<uint16_t>(to - behindFixed - 2);
    *reinterpret_cast<Big16*>(behindFixed) = length;
    return fixedBytes + 2 + length;
}

}  // namespace verbex::gateway::ouch
