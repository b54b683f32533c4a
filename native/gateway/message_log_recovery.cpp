// Opening the log: what was there, what a crash left of it. The rest: message_log.cpp.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/check.h"
#include "base/crc32c.h"
#include "gateway/message_log.h"

namespace verbex::gateway {

namespace {

// Behind the end a record may lie that was never finished: as long as one can be.
constexpr uint64_t kRecordBytesMax =
    sizeof(StoreRecord) + session::kFrameHeaderBytes + UINT16_MAX + 8;

Status systemError(const std::string& doing) {
    return Status(errno == ENOSPC ? StatusCode::NoSpace : StatusCode::IoError,
                  doing + ": " + std::strerror(errno));
}

std::string readText(const std::string& path) {
    std::string text;
    FILE* const file = std::fopen(path.c_str(), "re");
    if (file == nullptr) return text;
    char buffer[256];
    const size_t count = std::fread(buffer, 1, sizeof(buffer), file);
    text.assign(buffer, count);
    std::fclose(file);
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text;
}

// Another one after every start of the machine.
std::string bootOfMachine() { return readText("/proc/sys/kernel/random/boot_id"); }

size_t contentBytes(const StoreRecord& record) {
    return record.kind == static_cast<uint8_t>(RecordKind::Out)
               ? session::kFrameHeaderBytes + record.payloadBytes
               : record.payloadBytes;
}

// Is what lies here a whole record, within `most` bytes?
bool whole(const StoreRecord& record, uint64_t most) {
    if (record.bytes < sizeof(StoreRecord) || record.bytes > most || record.bytes % 8 != 0) {
        return false;
    }
    const bool known = record.kind >= static_cast<uint8_t>(RecordKind::In) &&
                       record.kind <= static_cast<uint8_t>(RecordKind::Day);
    if (!known || record.payloadBytes > UINT16_MAX ||
        ((contentBytes(record) + 7) & ~size_t{7}) != record.bytes - sizeof(StoreRecord)) {
        return false;
    }
    const uint32_t crc =
        crc32c(&record.kind, offsetof(StoreRecord, next) - offsetof(StoreRecord, kind));
    return crc32c(record.content(), contentBytes(record), crc) == record.crc;
}

}  // namespace

Result<std::unique_ptr<MessageStore>> MessageStore::open(const MessageStoreOptions& options) {
    if (options.segmentBytes == 0 || options.segmentBytes > 1ull << 30) {
        return Status(StatusCode::InvalidArgument, "segmentBytes must be from 1 to 1 GiB");
    }
    auto log = std::make_unique<MessageLog>(options);
    if (Status status = log->recover(); !status.isOk()) {
        return status.within("the gateway's messages");
    }
    return std::unique_ptr<MessageStore>(std::move(log));
}

Status MessageLog::lock() {
    if (::mkdir(options_.directory.c_str(), 0750) != 0 && errno != EEXIST) {
        return systemError("making " + options_.directory);
    }
    const std::string path = options_.directory + "/lock";
    lock_ = transport::Descriptor(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640));
    if (!lock_.isOpen()) return systemError("opening " + path);
    if (::flock(lock_.number(), LOCK_EX | LOCK_NB) != 0) {
        return Status(StatusCode::DataDirectoryInUse, path + " is held by another process");
    }
    return {};
}

// One line: the boot in which it was written, "open" or "clean", the generation.
Status MessageLog::readState(bool& machineStopped) {
    machineStopped = false;
    const std::string text = readText(options_.directory + "/state");
    if (text.empty()) return {};
    char boot[64] = {};
    char how[16] = {};
    unsigned generation = 0;
    if (std::sscanf(text.c_str(), "%63s %15s %u", boot, how, &generation) != 3) {
        return Status(StatusCode::JournalDamaged, options_.directory + "/state is not readable");
    }
    generation_ = generation;
    const std::string now = options_.bootId.empty() ? bootOfMachine() : options_.bootId;
    machineStopped = std::strcmp(how, "clean") != 0 && now != boot;
    return {};
}

Status MessageLog::writeState(bool clean) {
    const std::string path = options_.directory + "/state";
    const std::string beside = path + ".new";
    const std::string boot = options_.bootId.empty() ? bootOfMachine() : options_.bootId;
    const std::string text =
        boot + (clean ? " clean " : " open ") + std::to_string(generation_) + "\n";
    transport::Descriptor file(
        ::open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640));
    if (!file.isOpen() ||
        ::write(file.number(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
        ::fsync(file.number()) != 0 || ::rename(beside.c_str(), path.c_str()) != 0) {
        return systemError("writing " + path);
    }
    return {};
}

Status MessageLog::recover() {
    bool machineStopped = false;
    if (!options_.directory.empty()) {
        if (Status status = lock(); !status.isOk()) return status;
        if (Status status = readState(machineStopped); !status.isOk()) return status;
        if (Status status = segments_.openExisting(); !status.isOk()) return status;
    }
    if (segments_.isEmpty()) {
        delivered_ = {options_.startPosition, kOwnIndex};
        if (Status status = beginDay(options_.startPosition); !status.isOk()) return status;
    } else {
        dayStart_ = segments_.header(segments_.last()).dayStart;
        Result<uint64_t> end = findEnd(machineStopped);
        if (!end.isOk()) return end.status();
        if (Status status = index(end.value()); !status.isOk()) return status;
        if (Status status = cut(end.value()); !status.isOk()) return status;
    }
    if (options_.directory.empty()) return {};
    if (machineStopped) generation_++;
    return writeState(false);
}

template <typename Each>
void MessageLog::eachRecord(uint64_t end, Each each) const {
    for (uint64_t number = segments_.first(); number <= segments_.last(); number++) {
        const uint64_t limit = (number + 1) * segments_.segmentBytes();
        uint64_t at = segments_.begin(number);
        while (at + sizeof(StoreRecord) <= limit && at < end) {
            StoreRecord& record = this->record(at);
            if (record.bytes == 0) break;
            if (!each(record, at)) return;
            at += record.bytes;
        }
    }
}

Result<uint64_t> MessageLog::findEnd(bool tornMayBe) const {
    // Messages of an event that was not finished are no part of the log.
    uint64_t end = segments_.begin(segments_.first());
    Status damaged;
    eachRecord(UINT64_MAX, [&](const StoreRecord& record, uint64_t at) {
        const uint64_t size = segments_.segmentBytes();
        if (!whole(record, size - at % size)) {
            damaged = Status(StatusCode::JournalDamaged,
                             segments_.path(at / size) + ": a damaged record at offset " +
                                 std::to_string(at % size));
            return false;
        }
        if ((record.flags & StoreRecord::kLast) != 0) end = at + record.bytes;
        return true;
    });
    // Pages of a machine that stopped reach the disk in any order: what lies behind the first gap is of no
    // use. A process that was killed leaves none.
    if (!damaged.isOk() && !tornMayBe) return damaged;
    return end;
}

Status MessageLog::index(uint64_t end) {
    Status damaged;
    eachRecord(end, [&](StoreRecord& record, uint64_t at) {
        if (record.kind == static_cast<uint8_t>(RecordKind::Out)) {
            record.next = 0;
            Stream& to = stream(record.session);
            if (record.sequence != to.next || record.before != to.bytes) {
                const uint64_t size = segments_.segmentBytes();
                damaged = Status(StatusCode::JournalDamaged,
                                 segments_.path(at / size) + ": a message out of order at offset " +
                                     std::to_string(at % size));
                return false;
            }
            chain(to, record, at);
        }
        noteDelivered({record.position, record.index});
        return true;
    });
    return damaged;
}

void MessageLog::visitDay(const std::function<void(const StoredRecord&)>& visit) const {
    eachRecord(end_, [&](const StoreRecord& record, uint64_t) {
        const bool own = (record.flags & StoreRecord::kOwn) != 0;
        const size_t frame = record.kind == static_cast<uint8_t>(RecordKind::Out)
                                 ? session::kFrameHeaderBytes
                                 : 0;
        visit({static_cast<RecordKind>(record.kind), record.session, record.sequence,
               {record.position, own ? kOwnIndex : record.index}, record.timeNs,
               {record.content() + frame, record.payloadBytes}});
        return true;
    });
}

Status MessageLog::cut(uint64_t place) {
    const uint64_t size = segments_.segmentBytes();
    // The end of a segment that is full to the last byte belongs to it, not to the next one.
    const uint64_t number = (place - 1) / size;
    if (Status status = segments_.dropBehind(number); !status.isOk()) return status;
    end_ = place;
    segments_.written(place);
    // What a record that was not finished has left.
    const uint64_t limit = (number + 1) * size;
    const uint64_t wanted = std::min(limit, place + kRecordBytesMax);
    if (Status status = segments_.reserve(wanted); !status.isOk()) return status;
    std::memset(segments_.at(number * size) + (place - number * size), 0, wanted - place);
    // And what lies further on: there it is where a machine stopped.
    return segments_.clear(wanted, limit);
}

Status MessageLog::close() {
    if (closed_ || options_.directory.empty()) return {};
    closed_ = true;
    if (Status status = segments_.sync(); !status.isOk()) return status;
    return writeState(true);
}

}  // namespace verbex::gateway
