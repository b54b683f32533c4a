#include "addon/member_list.h"

#include <functional>
#include <sstream>

#include "addon/arguments.h"

namespace verbex::addon {

namespace {

void forEachLine(const std::string& text,
                 const std::function<void(uint32_t, const std::string&, const std::string&)>& see) {
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        std::istringstream fields(line);
        uint32_t id = 0;
        std::string address;
        std::string kind;
        if (!(fields >> id >> address) || id == 0 || id > replication::kMembersMax) {
            throwArgument("members: a member has an id and an address");
        }
        fields >> kind;
        see(id, address, kind);
    }
}

}  // namespace

std::vector<replication::MemberAddress> membersIn(const std::string& text) {
    std::vector<replication::MemberAddress> members;
    forEachLine(text, [&](uint32_t id, const std::string& address, const std::string&) {
        Result<transport::Address> parsed = transport::Address::parse(address);
        if (!parsed.isOk()) throwArgument("members: " + parsed.status().message());
        members.push_back({id, parsed.take()});
    });
    if (members.empty()) throwArgument("members must not be empty");
    return members;
}

std::vector<replication::MemberId> warmIn(const std::string& text) {
    std::vector<replication::MemberId> warm;
    forEachLine(text, [&](uint32_t id, const std::string&, const std::string& kind) {
        if (kind == "warm") warm.push_back(id);
    });
    return warm;
}

transport::TransportWish transportIn(const std::string& text) {
    if (text == "auto") return transport::TransportWish::Auto;
    if (text == "tcp") return transport::TransportWish::Tcp;
    if (text == "shm") return transport::TransportWish::Shm;
    if (text == "verbs") return transport::TransportWish::Verbs;
    throwArgument("transport must be auto, tcp, shm or verbs");
}

std::vector<std::byte> keyIn(const std::string& text) {
    const std::span<const char> letters(text.data(), text.size());
    const std::span<const std::byte> bytes = std::as_bytes(letters);
    return {bytes.begin(), bytes.end()};
}

}  // namespace verbex::addon
