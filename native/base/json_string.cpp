#include "base/json_string.h"

namespace verbex {

std::string jsonString(std::string_view text) {
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string out = "\"";
    for (const char character : text) {
        const auto byte = static_cast<unsigned char>(character);
        if (byte < 0x20) {
            out += {'\\', 'u', '0', '0', kDigits[byte >> 4], kDigits[byte & 15]};
        } else {
            if (byte == '"' || byte == '\\') out += '\\';
            out += character;
        }
    }
    return out + "\"";
}

}  // namespace verbex
