#include "node/edge_audit.h"

namespace verbex::node {

void EdgeAudit::expect(const replication::EntriesFrame& entry) {
    expected_.push_back({entry.entry, entry.hash, entry.ofEvents});
}

bool EdgeAudit::take(const Event& event) {
    if (expected_.empty()) return true;
    while (!cut_.empty() && cut_.front() < event.position) cut_.pop_front();
    if (!cut_.empty() && cut_.front() == event.position) {
        Event inCluster = event;
        inCluster.token |= edgeBits_;
        chain_.add(&inCluster, 1);
    } else {
        chain_.add(&event, 1);
    }
    const bool isLast = (event.flags & kEventLast) != 0;
    return !isLast || event.position != expected_.front().entry.last() || settle();
}

bool EdgeAudit::settle() {
    const Expected expected = expected_.front();
    expected_.pop_front();
    const bool isKnown = !(expected.hash == Digest128{});
    if (isBased_ && isKnown) {
        compared_++;
        if (!(chain_.value() == expected.ofEvents)) {
            difference_ = {expected.entry.first, expected.entry.last(), expected.entry.epoch,
                           expected.ofEvents, chain_.value()};
            return false;
        }
    }
    isBased_ = isKnown;
    if (isBased_) chain_ = EventDigest(expected.hash);
    return true;
}

}  // namespace verbex::node
