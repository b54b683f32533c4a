#include "replication/executor.h"

#include <algorithm>

#include "replication/floating_environment.h"
#include "wire/command_codec.h"

namespace verbex::replication {

Executor::Executor(const ExecutorOptions& options, Outputs& outputs)
    : options_(options), outputs_(&outputs) {
    CHECK(!options.logOnly || options.scrubNs == 0);
    if (!options.logOnly) core_ = std::make_unique<Core>(options.limits);
}

Executor::Executor(const ExecutorOptions& options, Outputs& outputs, const ExecutorMark& mark,
                   std::unique_ptr<Core> core)
    : options_(options), outputs_(&outputs), core_(std::move(core)), chain_(mark.result),
      position_(mark.position), scrubbedAt_(mark.scrubbedAt), scrubs_(mark.scrubs) {
    CHECK(core_->position() == position_);
}

void Executor::execute(const LogEntry& entry) {
    CHECK(entry.header.first == position_ + 1);
    outputs_->beginBatch(entry.header);
    if (options_.logOnly) return note(entry);
    if (!decodeBatch(entry.payload, entry.header.count, commands_)) {
        // No leader makes such an entry, but whoever wrote it, every member must do the same with it:
        // commands without a type, which the core rejects.
        commands_.assign(entry.header.count, Command{});
    }
    const Command* pointers[Core::kWarmMax];
    for (size_t i = 0; i < commands_.size(); i++) {
        if (i % Core::kWarmMax == 0) {
            const size_t count = std::min(commands_.size() - i, Core::kWarmMax);
            for (size_t k = 0; k < count; k++) pointers[k] = &commands_[i + k];
            core_->warm(pointers, count);
        }
        if (options_.mutant == Mutant::DuplicateApplied) commands_[i].id = ClientId{};
        core_->apply(commands_[i], *outputs_);
    }
    if (damageResult_ && outputs_->cursor() != outputs_->begin()) {
        damageResult_ = false;
        Event& last = *(outputs_->cursor() - 1);
        last.quantity ^= 1;
    }
    outputs_->fresh([this](const Event* first, size_t count) {
        chain_.add(first, count);
        for (size_t i = 0; i < count; i++) repeats_ += (first[i].flags & kEventDuplicate) != 0;
    });
    const Digest128 ofEvents = chain_.value();
    if (const uint64_t wrong = floatingEnvironment(); wrong != 0) [[unlikely]] {
        fold(wrong, 0);
    }
    position_ = entry.header.last();
    scrub();
    outputs_->endBatch(chain_.value(), ofEvents);
}

// What stands in the log, and nothing of what it does.
void Executor::note(const LogEntry& entry) {
    if (decodeBatch(entry.payload, entry.header.count, commands_)) {
        for (const Command& command : commands_) {
            if (CommandType(command.type) != CommandType::AdvanceTime) continue;
            time_ = std::max(time_, command.expiry);
        }
    }
    Event& noted = outputs_->claim();
    noted = Event{};
    noted.position = entry.header.last();
    noted.orderId = entry.header.epoch;
    noted.quantity = entry.header.count;
    noted.price = entry.header.payloadCrc;
    outputs_->fresh([this](const Event* first, size_t count) { chain_.add(first, count); });
    position_ = entry.header.last();
    const uint32_t every = options_.markEvery;
    if (every != 0 && position_ / every != (entry.header.first - 1) / every) {
        marks_.push_back({position_, chain_.value()});
    }
    outputs_->endBatch(chain_.value(), chain_.value());
}

const Digest128* Executor::resultAt(Position mark) const {
    const auto found = std::ranges::lower_bound(marks_, mark, {}, &Mark::at);
    return found != marks_.end() && found->at == mark ? &found->result : nullptr;
}

// Where the log's time has passed a multiple of scrubNs, the state itself is part of the result.
void Executor::scrub() {
    if (options_.scrubNs == 0) return;
    const uint64_t at = core_->time() / options_.scrubNs;
    if (at == scrubbedAt_) return;
    scrubbedAt_ = at;
    scrubs_++;
    const Digest128 state = core_->hash();
    fold(state.lo, state.hi);
}

// What is no event becomes part of the result.
void Executor::fold(uint64_t lo, uint64_t hi) {
    Event folded{};
    folded.orderId = lo;
    folded.price = static_cast<int64_t>(hi);
    chain_.add(&folded, 1);
}

bool Executor::damageState(uint64_t seed) {
    return core_ != nullptr && core_->damage(seed);
}

}  // namespace verbex::replication
