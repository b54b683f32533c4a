#include "gateway/users.h"

#include <algorithm>
#include <unordered_set>

#include "session/soup.h"

namespace verbex::gateway {

namespace {

char lower(char letter) {
    return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
}

bool sameName(std::string_view left, std::string_view right) {
    return std::equal(left.begin(), left.end(), right.begin(), right.end(),
                      [](char a, char b) { return lower(a) == lower(b); });
}

// Looks at every character, whatever the ones before it were.
bool samePassword(std::string_view given, std::string_view right) {
    unsigned differences = static_cast<unsigned>(given.size() ^ right.size());
    for (size_t i = 0; i < given.size(); ++i) {
        const char expected = right.empty() ? '\0' : right[i % right.size()];
        differences |= static_cast<unsigned char>(lower(given[i])) ^
                       static_cast<unsigned char>(lower(expected));
    }
    return differences == 0;
}

// Blanks would be lost to the padding, and other bytes can't be typed.
bool isPrintable(std::string_view text, size_t most) {
    return !text.empty() && text.size() <= most &&
           std::all_of(text.begin(), text.end(),
                       [](char letter) { return letter >= 0x21 && letter <= 0x7e; });
}

Status checkUser(const User& user) {
    const auto wrong = [&](const std::string& why) {
        return Status(StatusCode::InvalidArgument, "user \"" + user.name + "\": " + why);
    };
    if (!isPrintable(user.name, session::kUserBytes)) {
        return wrong("a name is 1 to 6 printable characters without blanks");
    }
    if (!isPrintable(user.password, session::kPasswordBytes)) {
        return wrong("a password is 1 to 10 printable characters without blanks");
    }
    if (user.session == 0 || user.session > kSessionMax) {
        return wrong("a session number is 1 to 32767");
    }
    if (!isPrintable(user.account, sizeof(Name))) {
        return wrong("an account's name is 1 to 16 printable characters without blanks");
    }
    if (user.ordersPerSecond > 0 && user.ordersBurst == 0) {
        return wrong("a burst of 0 orders lets nothing pass");
    }
    return {};
}

}  // namespace

Result<Users> Users::from(std::vector<User> users) {
    std::unordered_set<std::string> names;
    Users made;
    for (size_t i = 0; i < users.size(); ++i) {
        const User& user = users[i];
        VERBEX_RETURN_IF_FAILED(checkUser(user));
        std::string name = user.name;
        std::transform(name.begin(), name.end(), name.begin(), lower);
        if (!names.insert(name).second) {
            return Status(StatusCode::InvalidArgument,
                          "user \"" + user.name + "\": there is another of this name");
        }
        if (made.bySession_.size() <= user.session) made.bySession_.resize(user.session + 1u, 0);
        if (made.bySession_[user.session] != 0) {
            return Status(StatusCode::InvalidArgument,
                          "user \"" + user.name + "\": session " + std::to_string(user.session) +
                              " is another user's");
        }
        made.bySession_[user.session] = static_cast<uint32_t>(i) + 1;
    }
    made.users_ = std::move(users);
    return made;
}

const User* Users::authenticate(std::string_view name, std::string_view password) const {
    const User* found = nullptr;
    for (const User& user : users_) {
        if (sameName(user.name, name)) found = &user;
    }
    // An unknown name takes as long as a wrong password.
    const std::string_view its = found == nullptr ? std::string_view() : found->password;
    const bool right = samePassword(password, its);
    return found != nullptr && right ? found : nullptr;
}

const User* Users::bySession(uint16_t session) const {
    if (session >= bySession_.size() || bySession_[session] == 0) return nullptr;
    return &users_[bySession_[session] - 1];
}

}  // namespace verbex::gateway
