#include "replication/bridge.h"

#include <algorithm>

namespace verbex::replication {

Bridge::Bridge(transport::Network& sourceNetwork, transport::Network& targetNetwork,
               const BridgeOptions& options)
    : options_(options), source_(sourceNetwork, options.source, fromSource_),
      target_(targetNetwork, options.target, fromTarget_) {}

bool Bridge::poll(uint64_t nowNs) {
    now_ = nowNs;
    bool came = target_.poll(nowNs);
    // A source that is not read stops sending: the bridge throttles itself.
    if (isProbing_ || underWay_ < options_.window) came |= source_.poll(nowNs);
    if (target_.connected() && (isProbing_ || underWay_ != 0) &&
        nowNs - askedAt_ > options_.probeNs) {
        probe();
    }
    source_.flush();
    target_.flush();
    progress_.sourceConnected = source_.connected();
    progress_.targetConnected = target_.connected();
    return came;
}

// Asks the target what it wants next. What was under way may have arrived or not: its answer says.
void Bridge::probe() {
    isProbing_ = true;
    askedAt_ = now_;
    progress_.probes++;
    probe_ = ++sequence_;
    (void)target_.submitEntry(probe_, {});
}

void Bridge::relay(const EntriesFrame& entry, std::span<const std::byte> payload) {
    if (isProbing_) return;
    if (!isProving_) {
        if (pass(entry, payload, 0)) {
            progress_.entries++;
            progress_.source = entry.entry.last();
        }
        return;
    }
    // What comes behind it waits for its answer, and is asked for again then.
    if (proof_ == 0 && pass(entry, payload, kSubmitResult)) proof_ = sequence_;
}

bool Bridge::pass(const EntriesFrame& entry, std::span<const std::byte> payload, uint8_t flags) {
    const auto put = [this](const void* from, size_t size) {
        const auto* bytes = static_cast<const std::byte*>(from);
        bytes_.insert(bytes_.end(), bytes, bytes + size);
    };
    bytes_.clear();
    put(&entry.entry, sizeof(entry.entry));
    const Digest128 result = options_.comparesResults ? entry.hash : Digest128{};
    if ((flags & kSubmitResult) != 0) put(&result, sizeof(result));
    put(payload.data(), payload.size());
    if (!target_.submitEntry(++sequence_, bytes_, flags)) {
        isProbing_ = true;
        return false;
    }
    underWay_++;
    askedAt_ = now_;
    return true;
}

void Bridge::answered(const SubmittedFrame& answer) {
    const bool isProbe = answer.sequence == probe_;
    if (answer.sequence < probe_) return;  // of what was under way before the last question
    if (answer.answer == Answered::Differs) {
        progress_.trouble = "SITES_DIFFER: what the target has before position " +
                            std::to_string(answer.next) +
                            " is not what the source has there; nothing is relayed";
        isProbing_ = true;
        return;
    }
    if (answer.answer != Answered::Taken) {
        progress_.trouble = answer.answer == Answered::Busy ? "the target takes no entries now"
                                                            : "the target refuses entries";
        isProbing_ = true;
        return;
    }
    progress_.relayed = answer.next == 0 ? 0 : answer.next - 1;
    if (isProbe) {
        isProbing_ = false;
        underWay_ = 0;
        proof_ = 0;
        isProving_ = answer.next > 1;
        if (isProving_) {
            source_.subscribeEntries(answer.next - 1, true);
            return;
        }
    } else if (underWay_ != 0) {
        underWay_--;
    }
    if (isProving_ && answer.sequence != proof_) return;
    progress_.trouble.clear();
    if (!isProbe && !isProving_) return;
    isProving_ = false;
    source_.subscribeEntries(answer.next);
}

void Bridge::lost(Position oldest) {
    progress_.trouble = "POSITION_LOST: the source no longer has what the target needs; its oldest is " +
                        std::to_string(oldest);
    isProbing_ = true;
}

}  // namespace verbex::replication
