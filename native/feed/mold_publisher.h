// MoldPublisher: the history as datagrams, to groups and to single hosts.
//
// Purpose: whatever the history has grown by since the last flush goes out in as few system calls as there are
// batches, the same bytes to every destination.
// Owner: the market feed.
// Thread safety: none.
// Invariants:
//   1. Nothing here waits: what the system does not take is dropped, and readers ask for it.
//   2. A flush sends at most kBatchesPerFlush × kBatch datagrams to a destination.
//   3. Where nothing was sent for heartbeatMs, a heartbeat is.
// Requires: flush() behind every round, tick() at least as often as heartbeats are due.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <sys/socket.h>

#include "base/status.h"
#include "feed/feed_history.h"
#include "feed/market_feed.h"
#include "feed/mold.h"
#include "transport/sockets/descriptor.h"

namespace verbex::feed {

class MoldPublisher {
public:
    static constexpr uint32_t kBatch = 32;
    static constexpr uint32_t kBatchesPerFlush = 4;
    static constexpr uint32_t kEndings = 3;  // of end of session, since any may get lost

    static Result<std::unique_ptr<MoldPublisher>> open(const MarketFeedOptions& options,
                                                       const session::SessionName& session,
                                                       MarketFeedCounters& counters,
                                                       uint64_t& calls);

    // True: something was sent.
    bool flush(const FeedHistory& history);
    [[nodiscard]] bool behind(const FeedHistory& history) const {
        return !sockets_.empty() && sent_.sequence() < history.next();
    }
    void tick(const FeedHistory& history, uint64_t nowNs);
    void end(const FeedHistory& history);

private:
    MoldPublisher(const MarketFeedOptions& options, const session::SessionName& session,
                  MarketFeedCounters& counters, uint64_t& calls);
    Status addDestination(const transport::Address& to, const MarketFeedOptions& options);
    void sendBatch(uint32_t count);
    void sendBare(uint64_t sequence, uint16_t count);

    session::SessionName session_;
    MarketFeedCounters& counters_;
    uint64_t& calls_;
    uint64_t heartbeatNs_;
    size_t datagramBytes_;
    std::vector<transport::Descriptor> sockets_;  // each connected to its destination
    std::unique_ptr<std::byte[]> buffers_;
    iovec parts_[kBatch];
    mmsghdr datagrams_[kBatch];
    FeedHistory::Reader sent_;
    bool sentSince_ = false;  // the last tick
    uint64_t sentNs_ = 0;
};

}  // namespace verbex::feed
