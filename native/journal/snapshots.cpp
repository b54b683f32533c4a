#include "journal/snapshots.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include "base/check.h"
#include "journal/position_name.h"

namespace verbex::journal {

namespace {

constexpr std::string_view kSuffix = ".snapshot";
constexpr std::string_view kTemporarySuffix = ".snapshot.tmp";

Result<std::unique_ptr<SnapshotReader>> openSnapshot(Storage& storage, const std::string& directory,
                                                     const std::string& name) {
    Result<std::unique_ptr<File>> file = storage.open(joinPath(directory, name), FileMode::Read);
    if (!file.isOk()) return file.status();
    Result<std::unique_ptr<SnapshotReader>> reader = SnapshotReader::open(file.take(), name);
    if (!reader.isOk()) return reader;
    if (parsePositionFileName(name, kSuffix) != reader.value()->facts().position) {
        return Status(StatusCode::SnapshotDamaged,
                      "snapshot of position " +
                          std::to_string(reader.value()->facts().position) +
                          " under another one's name at " + name + "+" +
                          std::to_string(offsetof(SnapshotHeader, position)));
    }
    return reader;
}

bool isDamage(StatusCode code) {
    return code == StatusCode::SnapshotDamaged || code == StatusCode::UnsupportedFormat;
}

}  // namespace

std::string snapshotFileName(uint64_t position) {
    return positionFileName(position, kSuffix);
}

Result<std::vector<SnapshotListing>> listSnapshots(Storage& storage, const std::string& directory) {
    std::vector<SnapshotListing> found;
    Result<std::vector<std::string>> names = storage.list(directory);
    if (!names.isOk()) {
        if (names.status().code() == StatusCode::NotFound) return found;
        return names.status();
    }
    for (const std::string& name : names.value()) {
        const std::optional<uint64_t> position = parsePositionFileName(name, kSuffix);
        if (!position) continue;
        Result<std::unique_ptr<File>> file =
            storage.open(joinPath(directory, name), FileMode::Read);
        if (!file.isOk()) return file.status();
        Result<uint64_t> size = file.value()->size();
        if (!size.isOk()) return size.status();
        found.push_back({*position, name, size.value()});
    }
    std::reverse(found.begin(), found.end());  // names of fixed width: bytewise is by position
    return found;
}

Result<SnapshotFacts> verifySnapshot(Storage& storage, const std::string& directory,
                                     const std::string& name) {
    Result<std::unique_ptr<SnapshotReader>> reader = openSnapshot(storage, directory, name);
    if (!reader.isOk()) return reader.status();
    for (;;) {
        Result<std::span<const std::byte>> piece = reader.value()->next();
        if (!piece.isOk()) return piece.status();
        if (piece.value().empty()) return reader.value()->facts();
    }
}

SnapshotStore::SnapshotStore(Storage& storage, std::string directory)
    : storage_(storage), directory_(std::move(directory)) {}

Result<std::unique_ptr<SnapshotStore>> SnapshotStore::open(Storage& storage, const DirectoryLock&,
                                                           const std::string& directory) {
    if (Status status = storage.createDirectory(directory); !status.isOk()) return status;
    Result<std::vector<std::string>> names = storage.list(directory);
    if (!names.isOk()) return names.status();
    for (const std::string& name : names.value()) {
        if (!name.ends_with(kTemporarySuffix)) continue;
        if (Status status = storage.remove(joinPath(directory, name)); !status.isOk()) {
            return status.within("removing an unfinished snapshot");
        }
    }
    // A snapshot that was named just before a crash is visible but perhaps not yet durable; the
    // journal must not be shortened on its word.
    if (Status status = storage.syncDirectory(directory); !status.isOk()) return status;
    return std::unique_ptr<SnapshotStore>(new SnapshotStore(storage, directory));
}

Result<std::vector<SnapshotListing>> SnapshotStore::list() {
    return listSnapshots(storage_, directory_);
}

Result<std::unique_ptr<SnapshotReader>> SnapshotStore::read(const std::string& name) {
    return openSnapshot(storage_, directory_, name);
}

Status SnapshotStore::removeOthers(uint64_t keep) {
    Result<std::vector<SnapshotListing>> listed = list();
    if (!listed.isOk()) return listed.status();
    bool removed = false;
    for (const SnapshotListing& snapshot : listed.value()) {
        if (keep != 0 && snapshot.position == keep) continue;
        VERBEX_RETURN_IF_FAILED(storage_.remove(joinPath(directory_, snapshot.name)));
        removed = true;
    }
    if (removed) return storage_.syncDirectory(directory_);
    return {};
}

Result<SnapshotFacts> SnapshotStore::verify(const std::string& name) {
    return verifySnapshot(storage_, directory_, name);
}

Result<std::unique_ptr<SnapshotWriter>> SnapshotStore::begin(const SnapshotFacts& facts) {
    const std::string name = snapshotFileName(facts.position);
    Result<SnapshotFacts> present = verify(name);
    if (present.isOk()) {
        return Status(StatusCode::AlreadyExists,
                      "a good snapshot of position " + std::to_string(facts.position) + " exists");
    }
    // A damaged one may be replaced; anything else that stops us from reading it stops us here.
    const StatusCode code = present.status().code();
    if (code != StatusCode::NotFound && !isDamage(code)) return present.status();
    const std::string temporary =
        name.substr(0, kPositionDigits) + std::string(kTemporarySuffix);
    Result<std::unique_ptr<File>> file =
        storage_.create(joinPath(directory_, temporary), FileMode::Buffered);
    if (!file.isOk()) return file.status();
    return std::make_unique<SnapshotWriter>(file.take(), temporary, facts);
}

Status SnapshotStore::discard(std::unique_ptr<SnapshotWriter> writer) {
    CHECK(writer != nullptr);
    return storage_.remove(joinPath(directory_, writer->temporaryName()));
}

Status SnapshotStore::publish(std::unique_ptr<SnapshotWriter> writer, const Digest128& stateHash) {
    CHECK(writer != nullptr);
    const std::string name = snapshotFileName(writer->facts().position);
    const std::string temporary = joinPath(directory_, writer->temporaryName());
    Status status = writer->finish(stateHash);
    if (!status.isOk()) {
        // The first failure is the answer; a leftover goes at the next open.
        (void)storage_.remove(temporary);
        return status.within("writing snapshot " + name);
    }
    VERBEX_RETURN_IF_FAILED(storage_.rename(temporary, joinPath(directory_, name)));
    VERBEX_RETURN_IF_FAILED(storage_.syncDirectory(directory_));
    Result<SnapshotFacts> verified = verify(name);
    if (!verified.isOk()) return verified.status().within("reading back snapshot " + name);
    if (!(verified.value().stateHash == stateHash) ||
        verified.value().contentBytes != writer->contentBytes()) {
        return Status(StatusCode::SnapshotDamaged, "snapshot " + name + " reads back differently");
    }
    return removeOlder();
}

// Keeps the newest two good ones and whatever damaged ones are newer than the second of them.
Status SnapshotStore::removeOlder() {
    Result<std::vector<SnapshotListing>> listed = list();
    if (!listed.isOk()) return listed.status();
    size_t good = 0;
    bool removed = false;
    for (const SnapshotListing& snapshot : listed.value()) {
        if (good == kSnapshotsKept) {
            VERBEX_RETURN_IF_FAILED(storage_.remove(joinPath(directory_, snapshot.name)));
            removed = true;
            continue;
        }
        Result<SnapshotFacts> facts = verify(snapshot.name);
        if (facts.isOk()) {
            ++good;
        } else if (!isDamage(facts.status().code())) {
            return facts.status();
        }
    }
    if (removed) return storage_.syncDirectory(directory_);
    return {};
}

Result<LoadedSnapshot> SnapshotStore::loadNewest() {
    Result<std::vector<SnapshotListing>> listed = list();
    if (!listed.isOk()) return listed.status();
    if (listed.value().empty()) {
        return Status(StatusCode::NotFound, "no snapshot in " + directory_);
    }
    LoadedSnapshot loaded;
    std::string refusals;
    for (const SnapshotListing& snapshot : listed.value()) {
        // The whole file first: state must not be half loaded when a later block turns out bad.
        Result<SnapshotFacts> facts = verify(snapshot.name);
        if (facts.isOk()) {
            Result<std::unique_ptr<SnapshotReader>> reader =
                openSnapshot(storage_, directory_, snapshot.name);
            if (!reader.isOk()) return reader.status();
            loaded.reader = reader.take();
            loaded.facts = facts.value();
            loaded.name = snapshot.name;
            return loaded;
        }
        // An error of the disk is no statement about the snapshot: nothing is passed over for it.
        if (!isDamage(facts.status().code())) return facts.status();
        refusals += (refusals.empty() ? "" : "; ") + facts.status().message();
        loaded.refused.push_back(facts.status());
    }
    return Status(StatusCode::SnapshotDamaged,
                  "no snapshot in " + directory_ + " is good: " + refusals);
}

}  // namespace verbex::journal
