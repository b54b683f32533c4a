#include "journal/position_name.h"

namespace verbex::journal {

std::string positionFileName(uint64_t position, std::string_view suffix) {
    const std::string digits = std::to_string(position);
    return std::string(kPositionDigits - digits.size(), '0') + digits + std::string(suffix);
}

std::optional<uint64_t> parsePositionFileName(std::string_view name, std::string_view suffix) {
    if (name.size() != kPositionDigits + suffix.size() || !name.ends_with(suffix)) {
        return std::nullopt;
    }
    uint64_t position = 0;
    for (const char digit : name.substr(0, kPositionDigits)) {
        if (digit < '0' || digit > '9') return std::nullopt;
        if (__builtin_mul_overflow(position, uint64_t{10}, &position) ||
            __builtin_add_overflow(position, static_cast<uint64_t>(digit - '0'), &position)) {
            return std::nullopt;
        }
    }
    return position;
}

}  // namespace verbex::journal
