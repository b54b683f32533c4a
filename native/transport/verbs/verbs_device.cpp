#include "transport/verbs/verbs_device.h"

#include <algorithm>
#include <arpa/inet.h>
#include <chrono>
#include <fstream>
#include <thread>
#include <utility>

namespace verbex::transport {

namespace {

constexpr uint32_t kLookAgainMs = 50;
constexpr VerbsGid kNoGid{};

bool isIpv4(const VerbsGid& gid) {
    return std::all_of(gid.begin(), gid.begin() + 10, [](uint8_t byte) { return byte == 0; }) &&
           gid[10] == 0xff && gid[11] == 0xff;
}

// fe80::/10, and 169.254.0.0/16 in its IPv6 clothes.
bool isLinkLocal(const VerbsGid& gid) {
    if (isIpv4(gid)) return gid[12] == 169 && gid[13] == 254;
    return gid[0] == 0xfe && (gid[1] & 0xc0) == 0x80;
}

const VerbsGidEntry* gidAt(const VerbsPort& port, uint32_t index) {
    for (const VerbsGidEntry& entry : port.gids)
        if (entry.index == index && entry.gid != kNoGid) return &entry;
    return nullptr;
}

const VerbsGidEntry* routableGid(const VerbsPort& port, bool ipv6) {
    const VerbsGidEntry* found = nullptr;
    for (const VerbsGidEntry& entry : port.gids) {
        if (entry.type != VerbsGidType::RoceV2 || entry.gid == kNoGid) continue;
        if (isLinkLocal(entry.gid) || isIpv4(entry.gid) == ipv6) continue;
        if (found == nullptr || entry.index < found->index) found = &entry;
    }
    return found;
}

struct Candidate {
    const VerbsDevice* device;
    const VerbsPort* port;
};

std::string portName(const Candidate& candidate) {
    return candidate.device->name + " port " + std::to_string(candidate.port->number);
}

// The GID that the port would be used with; nullptr where it has none yet.
const VerbsGidEntry* gidFor(const VerbsOptions& options, const VerbsPort& port,
                            VerbsPatience patience) {
    if (options.gidIndex >= 0) return gidAt(port, static_cast<uint32_t>(options.gidIndex));
    if (port.linkLayer == VerbsLinkLayer::Infiniband) return gidAt(port, 0);
    const VerbsGidEntry* wanted = routableGid(port, options.preferIpv6);
    if (wanted == nullptr && patience == VerbsPatience::Final)
        wanted = routableGid(port, !options.preferIpv6);
    return wanted;
}

VerbsSelection noDevice(StatusCode code, std::string text, std::span<const VerbsDevice> devices,
                      bool mayAppear) {
    return {std::nullopt, Status(code, std::move(text) + "; here: " + verbsDevicesText(devices)),
            mayAppear};
}

}  // namespace

bool isVerbsMtu(uint32_t bytes) {
    return bytes == 256 || bytes == 512 || bytes == 1024 || bytes == 2048 || bytes == 4096;
}

Status checkVerbsOptions(const VerbsOptions& options) {
    const auto wrong = [](const char* text) { return Status(StatusCode::InvalidArgument, text); };
    if (options.mtu != 0 && !isVerbsMtu(options.mtu))
        return wrong("verbs mtu: give 256, 512, 1024, 2048 or 4096, or 0 for the port's own");
    if (options.gidIndex < -1)
        return wrong("verbs gidIndex: give an index, or -1 to have one chosen");
    if (options.sendEntries < 4 || options.sendEntries > 16384)
        return wrong("verbs sendEntries: give 4 to 16384");
    if (options.wakeEntries < 1 || options.wakeEntries > 1024)
        return wrong("verbs wakeEntries: give 1 to 1024");
    if (options.inlineBytes > 1024) return wrong("verbs inlineBytes: give 0 to 1024");
    if (options.ackTimeout < 14 || options.ackTimeout > 31)
        return wrong("verbs ackTimeout: give 14 to 31; less reports living peers as dead");
    if (options.retries > 6)
        return wrong("verbs retries: give 0 to 6; 7 never ends on some devices");
    if (options.serviceLevel > 15) return wrong("verbs serviceLevel: give 0 to 15");
    return {};
}

std::string verbsGidText(const VerbsGid& gid) {
    char text[INET6_ADDRSTRLEN] = {};
    ::inet_ntop(AF_INET6, gid.data(), text, sizeof(text));
    return text;
}

std::string verbsDevicesText(std::span<const VerbsDevice> devices) {
    if (devices.empty()) return "no device";
    std::string text;
    for (const VerbsDevice& device : devices) {
        if (!text.empty()) text += "\n";
        text += device.name;
        if (!device.usable.isOk()) text += " (" + device.usable.message() + ")";
        for (const VerbsPort& port : device.ports) {
            text += " port " + std::to_string(port.number);
            text += port.linkLayer == VerbsLinkLayer::Infiniband ? " InfiniBand" : " Ethernet";
            text +=
                port.active ? ", active, MTU " + std::to_string(port.activeMtu) : ", not active";
            for (const VerbsGidEntry& entry : port.gids) {
                text += ", GID " + std::to_string(entry.index) + " " + verbsGidText(entry.gid);
                if (entry.type == VerbsGidType::RoceV2) text += " (RoCE v2)";
            }
        }
    }
    return text;
}

VerbsSelection selectVerbs(const VerbsOptions& options, std::span<const VerbsDevice> devices,
                           VerbsPatience patience) {
    if (Status status = checkVerbsOptions(options); !status.isOk())
        return {std::nullopt, std::move(status), false};

    std::vector<Candidate> ports;
    bool named = false;
    Status unusable;
    for (const VerbsDevice& device : devices) {
        if (!options.device.empty() && device.name != options.device) continue;
        named = true;
        if (!device.usable.isOk() && unusable.isOk()) unusable = device.usable.within(device.name);
        for (const VerbsPort& port : device.ports)
            if (options.port == 0 || port.number == options.port) ports.push_back({&device, &port});
    }
    if (ports.empty()) {
        if (!unusable.isOk()) return {std::nullopt, std::move(unusable), false};
        if (!named && !options.device.empty())
            return noDevice(StatusCode::NotFound, "there is no RDMA device " + options.device,
                          devices, false);
        return noDevice(StatusCode::NotFound,
                      options.port == 0
                          ? "there is no RDMA device with a port"
                          : "no RDMA device has a port " + std::to_string(options.port),
                      devices, false);
    }

    std::erase_if(ports, [](const Candidate& candidate) { return !candidate.port->active; });
    if (ports.empty())
        return noDevice(StatusCode::NotFound,
                      "no RDMA port is active: plug in the cable, set the interface up, on "
                      "InfiniBand start a subnet manager",
                      devices, true);

    std::sort(ports.begin(), ports.end(), [](const Candidate& a, const Candidate& b) {
        if (a.port->linkLayer != b.port->linkLayer) return a.port->linkLayer < b.port->linkLayer;
        if (a.device->name != b.device->name) return a.device->name < b.device->name;
        return a.port->number < b.port->number;
    });
    for (const Candidate& candidate : ports) {
        const VerbsPort& port = *candidate.port;
        const VerbsGidEntry* entry = gidFor(options, port, patience);
        if (entry == nullptr) continue;
        if (options.mtu > port.activeMtu)
            return noDevice(StatusCode::InvalidArgument,
                          "verbs mtu " + std::to_string(options.mtu) + " is more than " +
                              portName(candidate) + " carries (" + std::to_string(port.activeMtu) +
                              "): raise the interface's MTU or ask for less",
                          devices, false);
        return {VerbsChoice{candidate.device->name, port.number, entry->index, entry->gid, port.lid,
                            options.mtu == 0 ? port.activeMtu : options.mtu, port.linkLayer},
                {},
                false};
    }
    if (options.gidIndex < 0)
        return noDevice(
            StatusCode::NotFound,
            "no active RDMA port has a RoCE v2 GID that is not link-local: give its network "
            "interface an address, or say which GID index to use",
            devices, true);
    const auto index = static_cast<uint32_t>(options.gidIndex);
    const bool inTable = std::any_of(
        ports.begin(), ports.end(),
        [index](const Candidate& candidate) { return index < candidate.port->gidTableEntries; });
    return noDevice(inTable ? StatusCode::NotFound : StatusCode::InvalidArgument,
                  "no active RDMA port has a GID at index " + std::to_string(index), devices,
                  inTable);
}

Result<VerbsChoice> chooseVerbs(const VerbsOptions& options,
                                const VerbsSurroundings& surroundings) {
    VERBEX_RETURN_IF_FAILED(checkVerbsOptions(options));
    for (uint32_t waitedMs = 0;;) {
        Result<std::vector<VerbsDevice>> devices = surroundings.describe();
        if (!devices.isOk()) return devices.status();
        const bool last = waitedMs >= options.appearMs;
        VerbsSelection selection = selectVerbs(
            options, devices.value(), last ? VerbsPatience::Final : VerbsPatience::Patient);
        if (selection.choice.has_value()) return std::move(*selection.choice);
        if (last || !selection.mayAppear) return selection.status;
        const uint32_t step = std::min(kLookAgainMs, options.appearMs - waitedMs);
        surroundings.sleep(step);
        waitedMs += step;
    }
}

VerbsSurroundings systemVerbsSurroundings() {
    return {[] { return describeVerbsDevices(); },
            [](uint32_t milliseconds) {
                std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
            }};
}

VerbsGidType readVerbsGidType(const std::string& sysfs, const std::string& device, uint8_t port,
                              uint32_t index) {
    std::ifstream file(sysfs + "/class/infiniband/" + device + "/ports/" + std::to_string(port) +
                       "/gid_attrs/types/" + std::to_string(index));
    std::string type;
    if (!std::getline(file, type)) return VerbsGidType::Unknown;
    if (type == "RoCE v2") return VerbsGidType::RoceV2;
    if (type == "IB/RoCE v1") return VerbsGidType::InfinibandOrRoceV1;
    return VerbsGidType::Unknown;
}

}  // namespace verbex::transport
