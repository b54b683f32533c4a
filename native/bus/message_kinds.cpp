#include "bus/message_kinds.h"

#include <algorithm>

namespace verbex::bus {

namespace {

std::string_view textAt(std::span<const std::byte> bytes, size_t from) {
    return {reinterpret_cast<const char*>(bytes.data()) + from, bytes.size() - from};
}

}  // namespace

std::optional<SubscribeRequest> decodeSubscribe(Position position,
                                                std::span<const std::byte> bytes) {
    if (bytes.size() < sizeof(SubscribeBody)) return std::nullopt;
    const auto body = decodeBody<SubscribeBody>(bytes.first(sizeof(SubscribeBody)));
    const std::string_view name = textAt(bytes, sizeof(SubscribeBody));
    if (body->nameLength != name.size() || !isStreamName(name)) return std::nullopt;
    if (body->from > static_cast<uint8_t>(From::Position) || body->reserved != 0) {
        return std::nullopt;
    }
    const auto from = static_cast<From>(body->from);
    if (position > kPositionMax || (from != From::Position && position != 0)) return std::nullopt;
    if (body->window == 0) return std::nullopt;
    return SubscribeRequest{from, position, body->window, name};
}

std::optional<SubscribedBody> decodeSubscribed(Position position,
                                               std::span<const std::byte> bytes) {
    const auto body = decodeBody<SubscribedBody>(bytes);
    if (!body || position > kPositionMax) return std::nullopt;
    if (body->window == 0 || costOf(body->payloadMax) > body->window) return std::nullopt;
    return body;
}

std::optional<Refusal> decodeRefused(Position position, std::span<const std::byte> bytes) {
    if (bytes.size() < sizeof(RefusedBody)) return std::nullopt;
    const auto body = decodeBody<RefusedBody>(bytes.first(sizeof(RefusedBody)));
    const std::string_view text = textAt(bytes, sizeof(RefusedBody));
    if (body->textLength != text.size() || text.size() > kReasonMax || !isPrintable(text)) {
        return std::nullopt;
    }
    const auto code = static_cast<StatusCode>(body->code);
    if (code == StatusCode::Ok || statusCodeName(code) == "UNKNOWN" || body->reserved != 0) {
        return std::nullopt;
    }
    return Refusal{code, position, text};
}

std::span<const std::byte> encodeSubscribe(const SubscribeRequest& request, ControlBuffer& into) {
    const SubscribeBody body{
        .from = static_cast<uint8_t>(request.from),
        .nameLength = static_cast<uint8_t>(request.stream.size()),
        .reserved = 0,
        .window = request.window,
    };
    std::memcpy(into.data(), &body, sizeof body);
    std::memcpy(into.data() + sizeof body, request.stream.data(), request.stream.size());
    return std::span(into).first(sizeof body + request.stream.size());
}

std::span<const std::byte> encodeRefused(const Refusal& refusal, ControlBuffer& into) {
    const size_t length = std::min(refusal.text.size(), kReasonMax);
    const RefusedBody body{
        .code = static_cast<uint8_t>(refusal.code),
        .textLength = static_cast<uint8_t>(length),
        .reserved = 0,
    };
    std::memcpy(into.data(), &body, sizeof body);
    std::memcpy(into.data() + sizeof body, refusal.text.data(), length);
    return std::span(into).first(sizeof body + length);
}

}  // namespace verbex::bus
