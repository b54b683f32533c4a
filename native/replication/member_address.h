// Where a member of a cluster is found. A plain value.
#pragma once

#include "replication/configuration.h"
#include "transport/network.h"

namespace verbex::replication {

struct MemberAddress {
    MemberId id = 0;
    transport::Address address;
};

}  // namespace verbex::replication
