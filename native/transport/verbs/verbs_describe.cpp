// The devices as libibverbs and sysfs describe them.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

#include "transport/verbs/verbs_calls.h"
#include "transport/verbs/verbs_device.h"
#include "transport/verbs/verbs_library.h"

namespace verbex::transport {

#if defined(VERBEX_HAVE_VERBS)

namespace {

std::vector<VerbsGidEntry> describeGids(const VerbsLibrary& library, ibv_context* context,
                                        const std::string& sysfs, const std::string& device,
                                        uint8_t port, int entries) {
    std::vector<VerbsGidEntry> gids;
    for (int index = 0; index < entries; ++index) {
        ibv_gid raw{};
        if (library.queryGid(context, port, index, &raw) != 0) continue;
        VerbsGidEntry entry;
        entry.index = static_cast<uint32_t>(index);
        std::copy(std::begin(raw.raw), std::end(raw.raw), entry.gid.begin());
        if (entry.gid == VerbsGid{}) continue;
        entry.type = readVerbsGidType(sysfs, device, port, entry.index);
        gids.push_back(entry);
    }
    return gids;
}

VerbsDevice describeDevice(const VerbsLibrary& library, ibv_device* device,
                           const std::string& sysfs) {
    VerbsDevice description;
    description.name = library.getDeviceName(device);
    if (device->transport_type != IBV_TRANSPORT_IB) {
        description.usable =
            Status(StatusCode::UnsupportedFormat,
                   "speaks neither InfiniBand nor RoCE: use another transport on it");
        return description;
    }
    errno = 0;
    ibv_context* context = library.openDevice(device);
    if (context == nullptr) {
        description.usable =
            verbsObstacleStatus(VerbsObstacle::NoPermission, verbsRefusal(*device, errno));
        return description;
    }
    ibv_device_attr attributes{};
    const int error = library.queryDevice(context, &attributes);
    if (error != 0) {
        description.usable =
            Status(StatusCode::IoError, std::string("ibv_query_device: ") + std::strerror(error));
    }
    for (unsigned number = 1; number <= attributes.phys_port_cnt; ++number) {
        ibv_port_attr port{};
        if (library.queryPort(context, static_cast<uint8_t>(number), &port) != 0) continue;
        VerbsPort& described = description.ports.emplace_back();
        described.number = static_cast<uint8_t>(number);
        described.active = port.state == IBV_PORT_ACTIVE;
        described.linkLayer = port.link_layer == IBV_LINK_LAYER_ETHERNET
                                  ? VerbsLinkLayer::Ethernet
                                  : VerbsLinkLayer::Infiniband;
        described.lid = port.lid;
        described.activeMtu = 128u << port.active_mtu;
        described.gidTableEntries = static_cast<uint32_t>(std::max(0, port.gid_tbl_len));
        described.gids = describeGids(library, context, sysfs, description.name, described.number,
                                      port.gid_tbl_len);
    }
    library.closeDevice(context);
    return description;
}

}  // namespace

Result<std::vector<VerbsDevice>> describeVerbsDevices(const std::string& sysfs) {
    const Result<const VerbsLibrary*> loaded = verbsLibrary();
    if (!loaded.isOk()) return loaded.status();
    const VerbsLibrary& library = *loaded.value();
    int count = 0;
    ibv_device** list = library.getDeviceList(&count);
    if (list == nullptr || count == 0) {
        if (list != nullptr) library.freeDeviceList(list);
        // Says which of the reasons it is.
        const VerbsAvailability availability = verbsAvailability(loaded);
        if (!availability.status.isOk()) return availability.status;
        return std::vector<VerbsDevice>{};
    }
    std::vector<VerbsDevice> devices;
    for (int i = 0; i < count; ++i) devices.push_back(describeDevice(library, list[i], sysfs));
    library.freeDeviceList(list);
    return devices;
}

#else

Result<std::vector<VerbsDevice>> describeVerbsDevices(const std::string&) {
    return verbsLibrary().status();
}

#endif

}  // namespace verbex::transport
