#include "bus/counter_file.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "transport/transport_kind.h"

namespace verbex::bus {

namespace {

struct BusField {
    std::string_view label;
    uint64_t BusCounters::*field;
};
constexpr BusField kBusFields[] = {
    {"bus/published", &BusCounters::published},
    {"bus/publishedBytes", &BusCounters::publishedBytes},
    {"bus/delivered", &BusCounters::delivered},
    {"bus/deliveredBytes", &BusCounters::deliveredBytes},
    {"bus/backPressured", &BusCounters::backPressured},
    {"bus/notConnected", &BusCounters::notConnected},
    {"bus/cutOff", &BusCounters::cutOff},
    {"bus/gaps", &BusCounters::gaps},
    {"bus/duplicates", &BusCounters::duplicates},
    {"bus/resumed", &BusCounters::resumed},
    {"bus/peersLost", &BusCounters::peersLost},
    {"bus/silent", &BusCounters::silent},
    {"bus/storeReads", &BusCounters::storeReads},
    {"bus/malformed", &BusCounters::malformed},
};
static_assert(sizeof(BusCounters) == std::size(kBusFields) * sizeof(uint64_t),
              "a counter of the bus is missing here");

struct NetworkField {
    std::string_view label;
    uint64_t transport::NetworkCounters::*field;
    CounterKind kind = CounterKind::Counter;
};
constexpr NetworkField kNetworkFields[] = {
    {"network/accepted", &transport::NetworkCounters::accepted},
    {"network/established", &transport::NetworkCounters::established},
    {"network/refused", &transport::NetworkCounters::refused},
    {"network/wrongKey", &transport::NetworkCounters::wrongKey},
    {"network/staleEpoch", &transport::NetworkCounters::staleEpoch},
    {"network/malformed", &transport::NetworkCounters::malformed},
    {"network/timedOut", &transport::NetworkCounters::timedOut},
    {"network/tooMany", &transport::NetworkCounters::tooMany},
    {"network/halfOpen", &transport::NetworkCounters::halfOpen, CounterKind::Gauge},
    {"network/links", &transport::NetworkCounters::links, CounterKind::Gauge},
};
static_assert(sizeof(transport::NetworkCounters) == std::size(kNetworkFields) * sizeof(uint64_t),
              "a counter of the network is missing here");

struct LinkField {
    std::string_view name;
    uint64_t transport::LinkCounters::*field;
};
constexpr LinkField kLinkFields[] = {
    {"framesSent", &transport::LinkCounters::framesSent},
    {"bytesSent", &transport::LinkCounters::bytesSent},
    {"framesReceived", &transport::LinkCounters::framesReceived},
    {"bytesReceived", &transport::LinkCounters::bytesReceived},
    {"backPressured", &transport::LinkCounters::backPressured},
    {"writes", &transport::LinkCounters::writes},
    {"credits", &transport::LinkCounters::credits},
    {"wakesSent", &transport::LinkCounters::wakesSent},
    {"tornReads", &transport::LinkCounters::tornReads},
    {"badChecksum", &transport::LinkCounters::badChecksum},
    {"badMac", &transport::LinkCounters::badMac},
    {"staleEpoch", &transport::LinkCounters::staleEpoch},
    {"replayed", &transport::LinkCounters::replayed},
    {"oversized", &transport::LinkCounters::oversized},
};
static_assert(sizeof(transport::LinkCounters) == std::size(kLinkFields) * sizeof(uint64_t),
              "a counter of a link is missing here");

void copyText(std::string_view text, char* into, size_t room) {
    const size_t length = std::min(text.size(), room - 1);
    std::memcpy(into, text.data(), length);
    std::memset(into + length, 0, room - length);
}

Status failed(const std::string& path, std::string_view doing) {
    return Status(errno == ENOSPC ? StatusCode::NoSpace : StatusCode::IoError,
                  std::string(doing) + " " + path + ": " + std::strerror(errno) +
                      "; choose another place for the counters, or none");
}

}  // namespace

uint64_t processStart(uint32_t pid) {
    const std::string path = "/proc/" + std::to_string(pid) + "/stat";
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    char text[1024];
    const ssize_t length = ::read(file, text, sizeof text);
    ::close(file);
    if (length <= 0) return 0;
    // The second field, the program's name, is in parentheses and may contain anything.
    std::string_view rest(text, static_cast<size_t>(length));
    rest.remove_prefix(std::min(rest.size(), rest.rfind(')') + 1));
    for (int field = 3; field <= 22; ++field) {
        rest.remove_prefix(std::min(rest.size(), rest.find(' ') + 1));
    }
    uint64_t start = 0;
    std::from_chars(rest.data(), rest.data() + rest.size(), start);
    return start;
}

Result<std::unique_ptr<CounterFile>> CounterFile::open(const CounterFileOptions& options) {
    if (options.capacity == 0 || options.capacity > 1u << 20) {
        return Status(StatusCode::InvalidArgument, "a counter file has from 1 to 2^20 records");
    }
    const auto pid = static_cast<uint32_t>(::getpid());
    std::string path = options.path;
    if (path.empty()) path = "/dev/shm/verbex-" + std::to_string(pid) + ".counters";
    const size_t size = sizeof(CounterFileHeader) + options.capacity * sizeof(CounterRecord);
    // Made anew, so that neither a link that somebody put there nor a file that somebody has open
    // is written to.
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) return failed(path, "removing");
    const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0) return failed(path, "making");
    const int full = ::posix_fallocate(file, 0, static_cast<off_t>(size));
    void* memory = MAP_FAILED;
    if (full == 0) {
        memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    } else {
        errno = full;
    }
    const int why = errno;
    ::close(file);
    if (memory == MAP_FAILED) {
        ::unlink(path.c_str());
        errno = why;
        return failed(path, "making room in");
    }
    std::unique_ptr<CounterFile> made(
        new CounterFile(std::move(path), static_cast<std::byte*>(memory), size, options.everyNs));
    CounterFileHeader& header = *made->header_;
    header.version = kCounterFileVersion;
    header.pid = pid;
    header.capacity = options.capacity;
    header.processStart = processStart(pid);
    header.startedMs = options.startedMs;
    copyText(options.name, header.name, sizeof header.name);
    // Last: a reader knows the file by it.
    std::atomic_thread_fence(std::memory_order_release);
    header.magic = kCounterFileMagic;
    return made;
}

CounterFile::CounterFile(std::string path, std::byte* memory, size_t size, Nanoseconds everyNs)
    : path_(std::move(path)),
      size_(size),
      everyNs_(everyNs),
      header_(reinterpret_cast<CounterFileHeader*>(memory)),
      records_(reinterpret_cast<CounterRecord*>(memory + sizeof(CounterFileHeader))) {}

CounterFile::~CounterFile() {
    ::munmap(header_, size_);
    ::unlink(path_.c_str());
}

void CounterFile::put(std::string_view label, uint64_t value, CounterKind kind) {
    if (used_ == header_->capacity) {
        ++leftOut_;
        return;
    }
    CounterRecord& record = records_[used_++];
    copyText(label, record.label, sizeof record.label);
    record.value = value;
    record.kind = static_cast<uint32_t>(kind);
    record.reserved = 0;
}

void CounterFile::copy(const Bus& bus, const transport::NetworkCounters& network, Nanoseconds now) {
    std::atomic_ref generation(header_->generation);
    const uint64_t before = generation.load(std::memory_order_relaxed);
    generation.store(before + 1, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_release);
    used_ = leftOut_ = 0;
    for (const BusField& field : kBusFields) put(field.label, bus.counters().*field.field);
    for (const NetworkField& field : kNetworkFields) {
        put(field.label, network.*field.field, field.kind);
    }
    std::string label;
    for (const PeerView& peer : bus.peers()) {
        const transport::Link* link = bus.link(peer.id);
        if (link == nullptr) continue;
        const std::string front = "link/" + std::to_string(peer.id) + "/" +
                                  std::string(transport::transportName(peer.transport)) + "/";
        const auto putOf = [&](std::string_view name, uint64_t value, CounterKind kind) {
            label.assign(front).append(name).append("/").append(peer.name);
            put(label, value, kind);
        };
        for (const LinkField& field : kLinkFields) {
            putOf(field.name, link->counters().*field.field, CounterKind::Counter);
        }
        putOf("roundTripNs", peer.roundTripNs, CounterKind::Gauge);
        putOf("unconsumed", link->unconsumed(), CounterKind::Gauge);
        putOf("epoch", peer.epoch, CounterKind::Gauge);
    }
    header_->records = used_;
    header_->leftOut = leftOut_;
    header_->updatedNs = now;
    generation.store(before + 2, std::memory_order_release);
}

}  // namespace verbex::bus
