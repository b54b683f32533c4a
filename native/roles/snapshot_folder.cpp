#include "roles/snapshot_folder.h"

#include <utility>
#include <vector>

namespace verbex::roles {

namespace {

constexpr char kAsideName[] = "refused";

bool isOfNoUse(StatusCode code) {
    return code == StatusCode::SnapshotDamaged || code == StatusCode::UnsupportedFormat;
}

}  // namespace

Result<std::unique_ptr<SnapshotFolder>> SnapshotFolder::open(journal::Storage& storage,
                                                             const std::string& directory) {
    std::unique_ptr<SnapshotFolder> folder(new SnapshotFolder(storage, directory));
    VERBEX_RETURN_IF_FAILED(storage.createDirectory(directory));
    Result<std::unique_ptr<journal::DirectoryLock>> lock = storage.lockDirectory(directory);
    if (!lock.isOk()) return lock.status();
    folder->lock_ = lock.take();
    Result<std::unique_ptr<journal::SnapshotStore>> store =
        journal::SnapshotStore::open(storage, *folder->lock_, directory);
    if (!store.isOk()) return store.status();
    folder->store_ = store.take();
    return folder;
}

Position SnapshotFolder::load(const Read& read) {
    Result<std::vector<journal::SnapshotListing>> listed = store_->list();
    if (!listed.isOk()) {
        note(listed.status().toString());
        return 0;
    }
    for (const journal::SnapshotListing& each : listed.value()) {
        Result<std::unique_ptr<journal::SnapshotReader>> reader = store_->read(each.name);
        const Status status = reader.isOk() ? read(*reader.value()) : reader.status();
        if (status.isOk()) return each.position;
        note(status.toString());
        if (isOfNoUse(status.code())) putAside(each.position);
    }
    return 0;
}

void SnapshotFolder::putAside(Position position) {
    if (const Status status = moveAside(position); !status.isOk()) note(status.toString());
}

Status SnapshotFolder::moveAside(Position position) {
    const std::string name = journal::snapshotFileName(position);
    const Status moved = storage_.rename(journal::joinPath(directory_, name),
                                         journal::joinPath(directory_, kAsideName));
    if (moved.code() == StatusCode::NotFound) return {};  // what was refused had no file yet
    VERBEX_RETURN_IF_FAILED(moved);
    aside_.fetch_add(1, std::memory_order_relaxed);
    return storage_.syncDirectory(directory_);
}

Status SnapshotFolder::write(const Core& core, const Write& content) {
    journal::SnapshotFacts facts;
    facts.position = core.position();
    Result<std::unique_ptr<journal::SnapshotWriter>> begun = store_->begin(facts);
    if (begun.status().code() == StatusCode::AlreadyExists) return {};
    if (!begun.isOk()) return begun.status();
    std::unique_ptr<journal::SnapshotWriter> writer = begun.take();
    if (const Status written = content(*writer); !written.isOk()) {
        (void)store_->discard(std::move(writer));  // the first failure is the answer
        return written;
    }
    return store_->publish(std::move(writer), core.hash());
}

std::string SnapshotFolder::trouble() const {
    const std::lock_guard guard(mutex_);
    return trouble_;
}

void SnapshotFolder::note(const std::string& trouble) {
    const std::lock_guard guard(mutex_);
    trouble_ = trouble;
}

}  // namespace verbex::roles
