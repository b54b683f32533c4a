#include "roles/sequencer_shadow.h"

#include <span>
#include <utility>

#include "roles/sequencer_state.h"

namespace verbex::roles {

using replication::LogEntry;

namespace {

// What is fed and not replayed: so much is left to do when it is taken, at most.
constexpr Position kShadowLag = 1u << 15;

}  // namespace

Result<std::unique_ptr<SequencerShadow>> SequencerShadow::open(
    journal::Storage& storage, const SequencerShadowOptions& options) {
    if (options.deployment.size() > kDeploymentBytesMax) {
        return Status(StatusCode::InvalidArgument, "the deployment's name is too long");
    }
    std::unique_ptr<SequencerShadow> shadow(new SequencerShadow(options));
    if (options.everyCommands == 0) return shadow;
    Result<std::unique_ptr<SnapshotFolder>> folder =
        SnapshotFolder::open(storage, options.directory);
    if (!folder.isOk()) return folder.status();
    shadow->folder_ = folder.take();
    return shadow;
}

// ---- the member's thread

bool SequencerShadow::began(Position& at, Digest128& log) const {
    const std::lock_guard guard(mutex_);
    if (state_ != State::Began) return false;
    at = at_;
    log = log_;
    return true;
}

void SequencerShadow::confirm() {
    const std::lock_guard guard(mutex_);
    CHECK(state_ == State::Began);
    state_ = State::Confirmed;
    fedTo_ = at_;
}

void SequencerShadow::refuse(const std::string& why) {
    const std::lock_guard guard(mutex_);
    CHECK(state_ == State::Began && folder_ != nullptr);
    replay_.reset();
    aside_ = std::exchange(at_, 0);
    state_ = State::Wanted;
    folder_->note(why);
}

bool SequencerShadow::hungry() const {
    const std::lock_guard guard(mutex_);
    return state_ == State::Confirmed && !stuck_ && fedTo_ - at_ < kShadowLag;
}

Position SequencerShadow::fedTo() const {
    const std::lock_guard guard(mutex_);
    return fedTo_;
}

void SequencerShadow::feed(FedEntries entries) {
    const std::lock_guard guard(mutex_);
    CHECK(state_ == State::Confirmed && entries.first() == fedTo_ + 1);
    fedTo_ = entries.last();
    queue_.push_back(std::move(entries));
}

bool SequencerShadow::ready() {
    const std::lock_guard guard(mutex_);
    if (state_ != State::Confirmed) return false;
    queue_.clear();
    fedTo_ = busy_ ? inHand_ : at_;
    if (!busy_) return true;
    giveUp_.store(true, std::memory_order_release);
    return false;
}

std::unique_ptr<LogReplay> SequencerShadow::take() {
    const std::lock_guard guard(mutex_);
    CHECK(state_ == State::Confirmed && !busy_);
    queue_.clear();
    state_ = State::Taken;
    at_ = fedTo_ = 0;
    return std::move(replay_);
}

void SequencerShadow::want() {
    const std::lock_guard guard(mutex_);
    if (state_ == State::Taken) state_ = State::Wanted;
}

// ---- the worker

bool SequencerShadow::isWanted() const {
    const std::lock_guard guard(mutex_);
    return !busy_ && (state_ == State::Wanted || !queue_.empty());
}

void SequencerShadow::workNow() {
    FedEntries fed;
    bool begins = false;
    {
        const std::lock_guard guard(mutex_);
        begins = state_ == State::Wanted;
        if (!begins) {
            if (queue_.empty()) return;
            fed = std::move(queue_.front());
            queue_.pop_front();
            inHand_ = fed.last();
        }
        busy_ = true;
        giveUp_.store(false, std::memory_order_release);
    }
    Status status;
    if (begins) {
        begin();
    } else {
        status = replay(fed);
    }
    const std::lock_guard guard(mutex_);
    busy_ = false;
    at_ = replay_->position();
    if (begins) {
        state_ = State::Began;
        stuck_ = false;
    }
    if (status.isOk()) return;
    // An entry that holds no commands: who is to lead says so of its log. Nothing behind it is replayed.
    status_.trouble = status.toString();
    stuck_ = true;
    queue_.clear();
    fedTo_ = at_;
}

void SequencerShadow::begin() {
    Position aside = 0;
    {
        const std::lock_guard guard(mutex_);
        aside = std::exchange(aside_, 0);
    }
    replay_.reset();
    log_ = {};
    Position newest = 0;
    if (folder_ != nullptr) {
        if (aside != 0) folder_->putAside(aside);
        newest = folder_->load([this](journal::SnapshotReader& reader) -> Status {
            Result<SequencerSnapshot> read =
                readSequencerState(reader, options_.deployment, options_.replay);
            if (!read.isOk()) return read.status();
            SequencerSnapshot snapshot = read.take();
            replay_ = std::move(snapshot.replay);
            log_ = snapshot.log;
            return {};
        });
    }
    if (replay_ == nullptr) replay_ = std::make_unique<LogReplay>(options_.replay);
    const std::lock_guard guard(mutex_);
    status_.newest = newest;
}

Status SequencerShadow::replay(const FedEntries& entries) {
    std::span<const std::byte> rest = entries.payloads;
    for (const replication::EntryHeader& header : entries.headers) {
        const LogEntry entry{header, rest.first(header.payloadBytes)};
        rest = rest.subspan(header.payloadBytes);
        VERBEX_RETURN_IF_FAILED(replay_->replay(entry));
    }
    if (folder_ != nullptr && entries.mark.has_value()) snapshot(*entries.mark);
    return {};
}

void SequencerShadow::snapshot(const Digest128& log) {
    Position newest = 0;
    {
        const std::lock_guard guard(mutex_);
        newest = status_.newest;
    }
    if (replay_->position() < newest + options_.everyCommands || !mayBeSaved(*replay_)) return;
    const Status status =
        folder_->write(replay_->part().core(), [this, &log](journal::SnapshotWriter& writer) {
            return writeSequencerState(
                writer, *replay_, log, options_.deployment, options_.replay, [this] {
                    return giveUp_.load(std::memory_order_acquire) ||
                           stopped_.load(std::memory_order_acquire);
                });
        });
    if (status.code() == StatusCode::Closed) return;
    folder_->note(status.isOk() ? std::string() : status.toString());
    if (!status.isOk()) return;
    const std::lock_guard guard(mutex_);
    status_.newest = replay_->position();
    status_.taken++;
}

SequencerShadowStatus SequencerShadow::status() const {
    SequencerShadowStatus status;
    {
        const std::lock_guard guard(mutex_);
        status = status_;
        status.here = state_ == State::Confirmed;
        status.position = at_;
    }
    if (folder_ != nullptr) {
        status.refused = folder_->putAsideCount();
        if (status.trouble.empty()) status.trouble = folder_->trouble();
    }
    return status;
}

}  // namespace verbex::roles
