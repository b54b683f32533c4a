// Which device, port, GID and MTU a queue pair uses.
//
// Purpose: what the operator says wins; otherwise the choice that works without being told:
// InfiniBand before Ethernet, on InfiniBand the LID with GID index 0, on Ethernet a RoCE v2 GID of
// the wanted address family that other networks can reach.
// Owner: plain values and functions; the surroundings are the caller's.
// Thread safety: values; describeVerbsDevices() from any thread.
// Invariants:
//   1. selectVerbs() is a pure function of what it is given, and of one list makes one choice,
//      whatever the order of the list.
//   2. GIDs and ports come up some time after the device: the wait for them is bounded, in steps
//      that the surroundings take, so that tests need no clock. Nothing else is waited for.
// Requires: nothing; without RDMA headers there are no devices, and the answer says why.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"

namespace verbex::transport {

// A device's GID is as long as an IPv6 address, and on Ethernet it is one.
using VerbsGid = std::array<uint8_t, 16>;

struct VerbsOptions {
    std::string device;        // empty: chosen
    uint8_t port = 0;          // 0: chosen
    int gidIndex = -1;         // -1: chosen
    uint32_t mtu = 0;          // 0: the port's; the connection has the smaller of both ends
    bool preferIpv6 = false;   // on Ethernet; both ends must be of one family
    uint32_t appearMs = 2000;  // how long ports and GIDs may take to come up

    uint32_t sendEntries = 256;  // writes and wakes in flight
    uint32_t wakeEntries = 16;   // wakes that may arrive before somebody looks
    uint32_t inlineBytes = 220;  // at most; less where the device has less
    uint8_t ackTimeout = 14;     // 4.096 µs × 2^this; less fails falsely on busy machines
    uint8_t retries = 6;         // 7 would mean for ever on some devices
    uint8_t serviceLevel = 0;    // of InfiniBand, and the priority on Ethernet
    uint8_t trafficClass = 0;    // of RoCE packets: DSCP × 4
};

Status checkVerbsOptions(const VerbsOptions& options);

enum class VerbsLinkLayer : uint8_t { Infiniband = 1, Ethernet = 2 };

enum class VerbsGidType : uint8_t { Unknown = 0, InfinibandOrRoceV1 = 1, RoceV2 = 2 };

struct VerbsGidEntry {
    uint32_t index = 0;
    VerbsGid gid{};
    VerbsGidType type = VerbsGidType::Unknown;
};

struct VerbsPort {
    uint8_t number = 1;
    bool active = false;
    VerbsLinkLayer linkLayer = VerbsLinkLayer::Ethernet;
    uint16_t lid = 0;
    uint32_t activeMtu = 1024;
    uint32_t gidTableEntries = 0;
    std::vector<VerbsGidEntry> gids;  // those that are set
};

struct VerbsDevice {
    std::string name;
    Status usable;  // not ok: it may not be opened, or cannot do what is needed; it has no ports
    std::vector<VerbsPort> ports;
};

struct VerbsChoice {
    std::string device;
    uint8_t port = 1;
    uint32_t gidIndex = 0;
    VerbsGid gid{};
    uint16_t lid = 0;
    uint32_t mtu = 1024;
    VerbsLinkLayer linkLayer = VerbsLinkLayer::Ethernet;
};

// Patient: rather none than one of the other address family. Final: the other family will do.
enum class VerbsPatience : uint8_t { Patient, Final };

struct VerbsSelection {
    std::optional<VerbsChoice> choice;
    Status status;           // ok exactly where there is a choice
    bool mayAppear = false;  // another look may find what is missing
};

VerbsSelection selectVerbs(const VerbsOptions& options, std::span<const VerbsDevice> devices,
                           VerbsPatience patience);

struct VerbsSurroundings {
    std::function<Result<std::vector<VerbsDevice>>()> describe;
    std::function<void(uint32_t milliseconds)> sleep;
};

VerbsSurroundings systemVerbsSurroundings();

// selectVerbs(), again and again while what is missing may still appear.
Result<VerbsChoice> chooseVerbs(const VerbsOptions& options, const VerbsSurroundings& surroundings);

// What the system has now.
Result<std::vector<VerbsDevice>> describeVerbsDevices(const std::string& sysfs = "/sys");

// One line a device, for error messages and reports.
std::string verbsDevicesText(std::span<const VerbsDevice> devices);
std::string verbsGidText(const VerbsGid& gid);

// From /sys/class/infiniband/<device>/ports/<port>/gid_attrs/types/<index>.
VerbsGidType readVerbsGidType(const std::string& sysfs, const std::string& device, uint8_t port,
                              uint32_t index);

// 256, 512, 1024, 2048 or 4096.
bool isVerbsMtu(uint32_t bytes);

}  // namespace verbex::transport
