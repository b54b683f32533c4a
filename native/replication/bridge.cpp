#include "replication/bridge.h"

#include <algorithm>
#include <cstring>

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

void Bridge::relay(const EntryHeader& header, std::span<const std::byte> payload) {
    if (isProbing_) return;
    bytes_.resize(sizeof(header) + payload.size());
    std::memcpy(bytes_.data(), static_cast<const void*>(&header), sizeof(header));
    std::memcpy(bytes_.data() + sizeof(header), payload.data(), payload.size());
    if (!target_.submitEntry(++sequence_, bytes_)) {
        isProbing_ = true;
        return;
    }
    underWay_++;
    askedAt_ = now_;
    progress_.entries++;
    progress_.source = header.last();
}

void Bridge::answered(const SubmittedFrame& answer) {
    const bool isProbe = answer.sequence == probe_;
    if (answer.sequence < probe_) return;  // of what was under way before the last question
    if (answer.answer != Answered::Taken) {
        progress_.trouble = answer.answer == Answered::Busy ? "the target takes no entries now"
                                                            : "the target refuses entries";
        isProbing_ = true;
        return;
    }
    progress_.relayed = answer.next == 0 ? 0 : answer.next - 1;
    progress_.trouble.clear();
    if (!isProbe) {
        if (underWay_ != 0) underWay_--;
        return;
    }
    isProbing_ = false;
    underWay_ = 0;
    source_.subscribeEntries(answer.next);
}

void Bridge::lost(Position oldest) {
    progress_.trouble = "POSITION_LOST: the source no longer has what the target needs; its oldest is " +
                        std::to_string(oldest);
    isProbing_ = true;
}

}  // namespace verbex::replication
