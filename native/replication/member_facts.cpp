#include "replication/member_facts.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "base/crc32c.h"
#include "journal/record.h"

namespace verbex::replication {

namespace {

constexpr std::string_view kFileName = "member";
constexpr std::string_view kTemporaryName = "member.tmp";
constexpr uint64_t kFactsMagic = 0x31524D454D584256;  // "VBXMEMR1" in file order
constexpr uint32_t kFactsVersion = 1;
constexpr uint32_t kClosed = 1;
constexpr uint32_t kDurable = 2;

struct FactsFile {
    uint64_t magic = kFactsMagic;
    uint32_t version = kFactsVersion;
    uint32_t bytes = 128;
    uint32_t id = 0;
    uint32_t flags = 0;
    uint64_t incarnation = 0;
    uint64_t promised = 0;
    uint64_t cluster = 0;
    uint64_t boot = 0;
    uint64_t scrubNs = 0;
    uint32_t capacities[4] = {};
    uint8_t reserved[44] = {};
    uint32_t crc = 0;  // over the 124 bytes before it
};
static_assert(sizeof(FactsFile) == 128 && offsetof(FactsFile, incarnation) == 24);
static_assert(offsetof(FactsFile, scrubNs) == 56 && offsetof(FactsFile, capacities) == 64);
static_assert(offsetof(FactsFile, boot) == 48 && offsetof(FactsFile, crc) == 124);

constexpr size_t kCrcBytes = offsetof(FactsFile, crc);

FactsFile fileOf(const MemberFacts& facts) {
    FactsFile file;
    file.id = facts.id;
    file.flags = (facts.closed ? kClosed : 0) | (facts.durable ? kDurable : 0);
    file.incarnation = facts.incarnation;
    file.promised = facts.promised;
    file.cluster = facts.cluster;
    file.boot = facts.boot;
    file.scrubNs = facts.scrubNs;
    std::copy(facts.capacities.begin(), facts.capacities.end(), file.capacities);
    file.crc = crc32c(&file, kCrcBytes);
    return file;
}

MemberFacts factsOf(const FactsFile& file) {
    MemberFacts facts;
    facts.id = file.id;
    facts.incarnation = file.incarnation;
    facts.promised = file.promised;
    facts.cluster = file.cluster;
    facts.boot = file.boot;
    facts.scrubNs = file.scrubNs;
    std::copy(std::begin(file.capacities), std::end(file.capacities), facts.capacities.begin());
    facts.closed = (file.flags & kClosed) != 0;
    facts.durable = (file.flags & kDurable) != 0;
    return facts;
}

// Names what is wrong with it, or nullptr.
const char* factsFault(const FactsFile& file) {
    if (file.magic != kFactsMagic) return "its magic is wrong";
    if (file.crc != crc32c(&file, kCrcBytes)) return "its checksum is wrong";
    if (file.version != kFactsVersion) return nullptr;  // another version's fields are not ours to judge
    if (file.bytes != sizeof(file) || (file.flags & ~(kClosed | kDurable)) != 0 ||
        !journal::isAllZero(std::as_bytes(std::span(file.reserved)))) {
        return "a field is wrong";
    }
    return nullptr;
}

}  // namespace

Result<std::optional<MemberFacts>> loadMemberFacts(journal::Storage& storage,
                                                   const std::string& data) {
    const std::string path = journal::joinPath(data, std::string(kFileName));
    Result<std::unique_ptr<journal::File>> file = storage.open(path, journal::FileMode::Read);
    if (!file.isOk()) {
        if (file.status().code() == StatusCode::NotFound) return std::optional<MemberFacts>();
        return file.status();
    }
    const auto damaged = [&path](const std::string& what) {
        return Status(StatusCode::JournalDamaged, "the member's facts in " + path +
                                                      " are damaged: " + what);
    };
    Result<uint64_t> size = file.value()->size();
    if (!size.isOk()) return size.status();
    FactsFile found;
    if (size.value() != sizeof(found)) {
        return damaged("it has " + std::to_string(size.value()) + " bytes instead of " +
                       std::to_string(sizeof(found)));
    }
    Result<size_t> read =
        file.value()->pread(0, std::as_writable_bytes(std::span(&found, 1)));
    if (!read.isOk()) return read.status();
    if (read.value() != sizeof(found)) return damaged("it became shorter while it was read");
    if (const char* fault = factsFault(found)) return damaged(fault);
    if (found.version != kFactsVersion) {
        return Status(StatusCode::UnsupportedFormat,
                      "the member's facts in " + path + " have format version " +
                          std::to_string(found.version) + "; this program reads version " +
                          std::to_string(kFactsVersion));
    }
    // A file that was named just before a crash is visible but perhaps not yet durable, and whoever reads
    // it will act on it.
    VERBEX_RETURN_IF_FAILED(storage.syncDirectory(data));
    return std::optional<MemberFacts>(factsOf(found));
}

Status storeMemberFacts(journal::Storage& storage, const std::string& data,
                        const MemberFacts& facts) {
    const std::string temporary = journal::joinPath(data, std::string(kTemporaryName));
    // A store that a crash stopped may have left one.
    if (Status removed = storage.remove(temporary);
        !removed.isOk() && removed.code() != StatusCode::NotFound) {
        return removed.within("storing the member's facts");
    }
    const FactsFile content = fileOf(facts);
    Status status;
    {
        Result<std::unique_ptr<journal::File>> file =
            storage.create(temporary, journal::FileMode::Buffered);
        if (!file.isOk()) return file.status().within("storing the member's facts");
        status = file.value()->pwrite(0, std::as_bytes(std::span(&content, 1)));
        if (status.isOk()) status = file.value()->sync();
    }
    if (status.isOk()) {
        status = storage.rename(temporary, journal::joinPath(data, std::string(kFileName)));
    }
    if (status.isOk()) status = storage.syncDirectory(data);
    return status.within("storing the member's facts");
}

}  // namespace verbex::replication
