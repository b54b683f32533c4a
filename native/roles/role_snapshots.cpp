#include "roles/role_snapshots.h"

#include <utility>

#include "wire/command_codec.h"

namespace verbex::roles {

namespace {

constexpr char kAside[] = "refused";

bool isDamage(StatusCode code) {
    return code == StatusCode::SnapshotDamaged || code == StatusCode::UnsupportedFormat;
}

}  // namespace

Result<std::unique_ptr<RoleSnapshots>> RoleSnapshots::open(journal::Storage& storage,
                                                           const RoleSnapshotOptions& options) {
    if (options.everyCommands == 0 || options.whose.deployment.size() > kDeploymentBytesMax) {
        return Status(StatusCode::InvalidArgument, "snapshots: how often, and whose");
    }
    std::unique_ptr<RoleSnapshots> snapshots(new RoleSnapshots(storage, options));
    VERBEX_RETURN_IF_FAILED(storage.createDirectory(options.directory));
    Result<std::unique_ptr<journal::DirectoryLock>> lock = storage.lockDirectory(options.directory);
    if (!lock.isOk()) return lock.status();
    snapshots->lock_ = lock.take();
    Result<std::unique_ptr<journal::SnapshotStore>> store =
        journal::SnapshotStore::open(storage, *snapshots->lock_, options.directory);
    if (!store.isOk()) return store.status();
    snapshots->store_ = store.take();
    snapshots->shadowHash_ = EventDigest().value();
    return snapshots;
}

// ---- the process's thread

bool RoleSnapshots::ready() {
    const std::lock_guard guard(mutex_);
    queue_.clear();
    if (state_ == Shadow::Taken) state_ = Shadow::Wanted;
    if (busy_) giveUp_.store(true, std::memory_order_release);
    return !busy_ && state_ == Shadow::Here;
}

std::unique_ptr<Rebuild> RoleSnapshots::take() {
    const std::lock_guard guard(mutex_);
    queue_.clear();
    reported_.reset();
    if (busy_ || state_ != Shadow::Here) return nullptr;
    state_ = Shadow::Taken;
    return std::move(shadow_);
}

void RoleSnapshots::joined() {
    const std::lock_guard guard(mutex_);
    if (state_ == Shadow::Taken) state_ = Shadow::Wanted;
}

void RoleSnapshots::refuse(Position position, const std::string& why) {
    const std::lock_guard guard(mutex_);
    queue_.clear();
    reported_.reset();
    dropped_ = busy_;
    if (!busy_) shadow_.reset();
    aside_ = position;
    state_ = Shadow::Wanted;
    status_.trouble = why;
}

bool RoleSnapshots::feed(Position first, uint32_t count, bool mark,
                         std::span<const std::byte> commands) {
    const std::lock_guard guard(mutex_);
    if (!reported_.has_value()) return true;  // of a shadow that is not wanted any more
    if (first != fedTo_ + 1 || count == 0) return false;
    fedTo_ += count;
    queue_.push_back({first, count, mark, {commands.begin(), commands.end()}});
    return true;
}

bool RoleSnapshots::report(Position& at, Digest128& hash) {
    const std::lock_guard guard(mutex_);
    if (state_ != Shadow::Here || dropped_ || reported_ == shadowAt_) return false;
    if (!reported_.has_value()) fedTo_ = shadowAt_;
    reported_ = shadowAt_;
    at = shadowAt_;
    hash = shadowHash_;
    return true;
}

// ---- the worker

bool RoleSnapshots::isWanted() const {
    const std::lock_guard guard(mutex_);
    return !busy_ && (state_ == Shadow::Wanted || !queue_.empty());
}

void RoleSnapshots::workNow() {
    bool loading = false;
    Fed fed;
    {
        const std::lock_guard guard(mutex_);
        loading = state_ == Shadow::Wanted;
        if (!loading) {
            if (queue_.empty()) return;
            fed = std::move(queue_.front());
            queue_.pop_front();
        }
        busy_ = true;
        giveUp_.store(false, std::memory_order_release);
    }
    if (loading) {
        load();
    } else {
        execute(fed);
    }
    const std::lock_guard guard(mutex_);
    busy_ = false;
    if (std::exchange(dropped_, false)) {
        shadow_.reset();
        return;
    }
    state_ = Shadow::Here;
    shadowAt_ = shadow_ == nullptr ? 0 : shadow_->position();
    shadowHash_ = shadow_ == nullptr ? EventDigest().value() : shadow_->chain();
    status_.shadow = shadowAt_;
}

void RoleSnapshots::load() {
    Position aside = 0;
    {
        const std::lock_guard guard(mutex_);
        aside = std::exchange(aside_, 0);
    }
    shadow_.reset();  // one that nobody wants
    if (aside != 0) {
        if (const Status status = putAside(aside); !status.isOk()) note(status.toString());
    }
    Position newest = 0;
    Result<std::vector<journal::SnapshotListing>> listed = store_->list();
    if (!listed.isOk()) note(listed.status().toString());
    for (size_t i = 0; listed.isOk() && i < listed.value().size(); i++) {
        const journal::SnapshotListing& each = listed.value()[i];
        Result<std::unique_ptr<journal::SnapshotReader>> reader = store_->read(each.name);
        Result<std::unique_ptr<Rebuild>> core =
            reader.isOk() ? readRoleState(*reader.value(), options_.whose)
                          : Result<std::unique_ptr<Rebuild>>(reader.status());
        if (core.isOk()) {
            shadow_ = core.take();
            newest = each.position;
            break;
        }
        note(core.status().toString());
        // An error of the disk is no statement about the snapshot: it stays where it is.
        if (!isDamage(core.status().code())) continue;
        if (const Status status = putAside(each.position); !status.isOk()) note(status.toString());
    }
    const std::lock_guard guard(mutex_);
    status_.newest = newest;
}

Status RoleSnapshots::putAside(Position position) {
    const std::string name = journal::snapshotFileName(position);
    const Status moved = storage_.rename(journal::joinPath(options_.directory, name),
                                         journal::joinPath(options_.directory, kAside));
    if (moved.code() == StatusCode::NotFound) return {};  // what was refused had no file yet
    VERBEX_RETURN_IF_FAILED(moved);
    {
        const std::lock_guard guard(mutex_);
        status_.refused++;
    }
    return storage_.syncDirectory(options_.directory);
}

void RoleSnapshots::execute(const Fed& fed) {
    if (shadow_ == nullptr) {
        const RoleIdentity& whose = options_.whose;
        shadow_ = std::make_unique<Rebuild>(whose.limits, whose.riskShards, whose.matchingShards);
    }
    CHECK(fed.first == shadow_->position() + 1);
    if (!decodeBatch(fed.commands, fed.count, commands_)) {
        // The channel's checksum held: the sequencer has sent something else than commands.
        note("what was fed for a snapshot holds no commands");
        const std::lock_guard guard(mutex_);
        dropped_ = true;
        queue_.clear();
        reported_.reset();
        state_ = Shadow::Wanted;
        return;
    }
    for (const Command& command : commands_) shadow_->replay(command);
    Position newest = 0;
    {
        const std::lock_guard guard(mutex_);
        newest = status_.newest;
    }
    if (!fed.mark || shadow_->position() < newest + options_.everyCommands) return;
    const Status status = write(*shadow_);
    const std::lock_guard guard(mutex_);
    if (status.code() == StatusCode::Closed) return;
    status_.trouble = status.isOk() ? std::string() : status.toString();
    if (!status.isOk()) return;
    status_.newest = shadow_->position();
    status_.taken++;
}

Status RoleSnapshots::write(const Rebuild& core) {
    journal::SnapshotFacts facts;
    facts.position = core.position();
    Result<std::unique_ptr<journal::SnapshotWriter>> begun = store_->begin(facts);
    if (begun.status().code() == StatusCode::AlreadyExists) return {};
    if (!begun.isOk()) return begun.status();
    std::unique_ptr<journal::SnapshotWriter> writer = begun.take();
    const Status written = writeRoleState(*writer, core, options_.whose, [this] {
        return giveUp_.load(std::memory_order_acquire) || stopped_.load(std::memory_order_acquire);
    });
    if (!written.isOk()) {
        (void)store_->discard(std::move(writer));  // the first failure is the answer
        return written;
    }
    return store_->publish(std::move(writer), core.part().core().hash());
}

void RoleSnapshots::note(const std::string& trouble) {
    const std::lock_guard guard(mutex_);
    status_.trouble = trouble;
}

RoleSnapshotStatus RoleSnapshots::status() const {
    const std::lock_guard guard(mutex_);
    return status_;
}

}  // namespace verbex::roles
