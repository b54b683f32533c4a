#include "roles/role_snapshots.h"

#include <utility>

#include "wire/command_codec.h"

namespace verbex::roles {

Result<std::unique_ptr<RoleSnapshots>> RoleSnapshots::open(journal::Storage& storage,
                                                           const RoleSnapshotOptions& options) {
    if (options.everyCommands == 0 || options.whose.deployment.size() > kDeploymentBytesMax) {
        return Status(StatusCode::InvalidArgument, "snapshots: how often, and whose");
    }
    std::unique_ptr<RoleSnapshots> snapshots(new RoleSnapshots(options));
    Result<std::unique_ptr<SnapshotFolder>> folder =
        SnapshotFolder::open(storage, options.directory);
    if (!folder.isOk()) return folder.status();
    snapshots->folder_ = folder.take();
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
    folder_->note(why);
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
    if (aside != 0) folder_->putAside(aside);
    const Position newest = folder_->load([this](journal::SnapshotReader& reader) -> Status {
        Result<std::unique_ptr<Rebuild>> core = readRoleState(reader, options_.whose);
        if (!core.isOk()) return core.status();
        shadow_ = core.take();
        return {};
    });
    const std::lock_guard guard(mutex_);
    status_.newest = newest;
}

void RoleSnapshots::execute(const Fed& fed) {
    if (shadow_ == nullptr) {
        const RoleIdentity& whose = options_.whose;
        shadow_ = std::make_unique<Rebuild>(whose.limits, whose.riskShards, whose.matchingShards);
    }
    CHECK(fed.first == shadow_->position() + 1);
    if (!decodeBatch(fed.commands, fed.count, commands_)) {
        // The channel's checksum held: the sequencer has sent something else than commands.
        folder_->note("what was fed for a snapshot holds no commands");
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
    const Status status =
        folder_->write(shadow_->part().core(), [this](journal::SnapshotWriter& writer) {
            return writeRoleState(writer, *shadow_, options_.whose, [this] {
                return giveUp_.load(std::memory_order_acquire) ||
                       stopped_.load(std::memory_order_acquire);
            });
        });
    if (status.code() == StatusCode::Closed) return;
    folder_->note(status.isOk() ? std::string() : status.toString());
    if (!status.isOk()) return;
    const std::lock_guard guard(mutex_);
    status_.newest = shadow_->position();
    status_.taken++;
}

RoleSnapshotStatus RoleSnapshots::status() const {
    RoleSnapshotStatus status;
    {
        const std::lock_guard guard(mutex_);
        status = status_;
    }
    status.refused = folder_->putAsideCount();
    status.trouble = folder_->trouble();
    return status;
}

}  // namespace verbex::roles
