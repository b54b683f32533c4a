#include "node/data_directory.h"

#include <cstring>
#include <random>
#include <span>

#include "base/crc32c.h"

namespace verbex::node {

namespace {

constexpr uint64_t kFactsMagic = 0x3130544346584256;  // "VBXFCT01" in file order
constexpr uint32_t kFactsVersion = 1;
constexpr uint64_t kNoteBytesMax = 4096;

// Complete and durable under its name, or not there.
Status placeFile(journal::Storage& storage, const std::string& data, const std::string& name,
                 std::span<const std::byte> bytes) {
    const std::string path = journal::joinPath(data, name);
    const std::string temporary = path + ".tmp";
    if (Status removed = storage.remove(temporary);
        !removed.isOk() && removed.code() != StatusCode::NotFound) {
        return removed;
    }
    {
        Result<std::unique_ptr<journal::File>> file =
            storage.create(temporary, journal::FileMode::Buffered);
        if (!file.isOk()) return file.status();
        VERBEX_RETURN_IF_FAILED(file.value()->pwrite(0, bytes));
        VERBEX_RETURN_IF_FAILED(file.value()->sync());
    }
    VERBEX_RETURN_IF_FAILED(storage.rename(temporary, path));
    return storage.syncDirectory(data);
}

// Reads up to `into.size()` bytes of a file; NotFound where there is none.
Result<size_t> readWhole(journal::Storage& storage, const std::string& path,
                         std::span<std::byte> into) {
    Result<std::unique_ptr<journal::File>> file = storage.open(path, journal::FileMode::Read);
    if (!file.isOk()) return file.status();
    return file.value()->pread(0, into);
}

std::string number(const char* name, uint32_t asked, uint32_t stored) {
    if (asked == stored) return "";
    return std::string(" ") + name + " " + std::to_string(asked) + " instead of " +
           std::to_string(stored);
}

uint32_t settle(uint32_t asked, uint32_t otherwise) { return asked != 0 ? asked : otherwise; }

}  // namespace

std::string journalDirectory(const std::string& data) { return journal::joinPath(data, "journal"); }
std::string snapshotDirectory(const std::string& data) {
    return journal::joinPath(data, "snapshots");
}

std::string gatewayDirectory(const std::string& data) {
    return journal::joinPath(data, "gateway");
}

journal::JournalId drawJournalId() {
    std::random_device device;
    const auto word = [&device] {
        return uint64_t{device()} << 32 | uint64_t{device()};
    };
    return {word(), word()};
}

Result<std::optional<DirectoryFacts>> readFacts(journal::Storage& storage,
                                                const std::string& data) {
    const std::string path = journal::joinPath(data, "facts");
    FactsFile file{};
    std::byte bytes[sizeof(FactsFile) + 1];
    Result<size_t> read = readWhole(storage, path, bytes);
    if (!read.isOk()) {
        if (read.status().code() == StatusCode::NotFound) return std::optional<DirectoryFacts>();
        return read.status();
    }
    if (read.value() != sizeof(FactsFile)) {
        return Status(StatusCode::JournalDamaged, path + " is not 64 bytes long");
    }
    std::memcpy(&file, bytes, sizeof(file));
    if (file.crc != crc32c(&file, offsetof(FactsFile, crc)) || file.magic != kFactsMagic) {
        return Status(StatusCode::JournalDamaged, path + " is damaged (checksum)");
    }
    if (file.version != kFactsVersion) {
        return Status(StatusCode::UnsupportedFormat,
                      path + " has format version " + std::to_string(file.version));
    }
    DirectoryFacts facts;
    facts.limits = {file.maxOrders, file.maxAccounts, file.maxInstruments, file.maxClientIds};
    facts.journalId = file.journalId;
    return std::optional<DirectoryFacts>(facts);
}

Status writeFacts(journal::Storage& storage, const std::string& data, const DirectoryFacts& facts) {
    FactsFile file{};
    file.magic = kFactsMagic;
    file.version = kFactsVersion;
    file.maxOrders = facts.limits.maxOrders;
    file.maxAccounts = facts.limits.maxAccounts;
    file.maxInstruments = facts.limits.maxInstruments;
    file.maxClientIds = facts.limits.maxClientIds;
    file.journalId = facts.journalId;
    file.crc = crc32c(&file, offsetof(FactsFile, crc));
    return placeFile(storage, data, "facts", std::as_bytes(std::span(&file, 1)))
        .within("writing the facts of " + data);
}

Failure settleLimits(const std::optional<DirectoryFacts>& stored, CoreLimits& asked) {
    const CoreLimits other = stored.has_value() ? stored->limits : CoreLimits{};
    asked.maxOrders = settle(asked.maxOrders, other.maxOrders);
    asked.maxAccounts = settle(asked.maxAccounts, other.maxAccounts);
    asked.maxInstruments = settle(asked.maxInstruments, other.maxInstruments);
    asked.maxClientIds = settle(asked.maxClientIds, other.maxClientIds);
    if (!stored.has_value()) return {};
    const std::string differences =
        number("maxOrders", asked.maxOrders, other.maxOrders) +
        number("maxAccounts", asked.maxAccounts, other.maxAccounts) +
        number("maxInstruments", asked.maxInstruments, other.maxInstruments) +
        number("maxClientIds", asked.maxClientIds, other.maxClientIds);
    if (differences.empty()) return {};
    return Failure(kCodeLimitsDiffer,
                   "the data directory was created with other limits:" + differences);
}

Status noteDivergence(journal::Storage& storage, const std::string& data, const std::string& text) {
    const std::string note = text.substr(0, kNoteBytesMax);
    return placeFile(storage, data, "diverged", std::as_bytes(std::span(note)));
}

Result<std::string> readDivergence(journal::Storage& storage, const std::string& data) {
    std::string note(kNoteBytesMax, '\0');
    Result<size_t> read = readWhole(storage, journal::joinPath(data, "diverged"),
                                    std::as_writable_bytes(std::span(note)));
    if (!read.isOk()) {
        if (read.status().code() == StatusCode::NotFound) return std::string();
        return read.status();
    }
    note.resize(read.value());
    return note;
}

}  // namespace verbex::node
