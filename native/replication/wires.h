// Wires: frames to nodes, as replication sees a network.
//
// Purpose: the protocol needs no more than "send this frame there, perhaps". Links (shm, verbs, tcp) carry
// frames in order and lose only tails; the simulator also loses, doubles, delays and reorders single
// frames, and the protocol bears that.
// Owner: the surroundings.
// Thread safety: the member's thread.
// Invariants:
//   1. send() answers at once; false: no way there now, or no room. Nothing is owed then.
//   2. After fence(e) frames of links made for epochs up to e are not delivered any more.
// Requires: frames of at most kFrameBytesMax.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace verbex::replication {

// Members are known by their MemberId; clients by numbers from kFirstClient on, one a connection.
using NodeId = uint32_t;
inline constexpr NodeId kFirstClient = 1000;

// Where links carry the frames: the kind of such a message, and what whoever dials asks for at set-up, each
// followed by the cluster's name. A client's link belongs to no epoch that a takeover fences.
inline constexpr uint8_t kFrameMessage = 1;
inline constexpr std::string_view kClientService = "client:";
inline constexpr std::string_view kMemberService = "member:";
inline constexpr uint32_t kClientEpoch = UINT32_MAX;

class Wires {
public:
    virtual bool send(NodeId to, std::span<const std::byte> frame) = 0;
    virtual void fence(uint64_t epoch) = 0;
    // Ends a client's connection.
    virtual void close(NodeId client) = 0;

protected:
    ~Wires() = default;
};

}  // namespace verbex::replication
