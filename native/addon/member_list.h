// What several classes of the addon read of a cluster's description.
//
// Purpose: lists of members, transports and keys as JavaScript hands them over.
// Owner: the call. Thread safety: the JS thread. Invariants: garbage throws INVALID_ARGUMENT.
#pragma once

#include <string>
#include <vector>

#include "replication/member_address.h"
#include "transport/network.h"

namespace verbex::addon {

inline constexpr size_t kMemberListBytesMax = 1u << 16;

// A line a member, with tabs: id, "host:port", and words that are not looked at here.
std::vector<replication::MemberAddress> membersIn(const std::string& text);
// The ids of those whose third word is "warm".
std::vector<replication::MemberId> warmIn(const std::string& text);
transport::TransportWish transportIn(const std::string& text);
std::vector<std::byte> keyIn(const std::string& text);

}  // namespace verbex::addon
