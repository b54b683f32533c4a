// MoldRequests: the retransmission server.
//
// Purpose: a reader that noticed a gap asks for it by UDP and gets a datagram of what fits.
// Owner: the market feed; a source of the event loop.
// Thread safety: none.
// Invariants:
//   1. A round answers at most kBatch × kBatchesPerRound requests, and an address at most requestsPerSecond.
//   2. Whatever comes in, the answer is a datagram of this session or none; refused ones are counted.
//   3. Nothing here waits, and nothing is allocated after open().
// Requires: flush() behind every poll.
#pragma once

#include <memory>

#include <sys/socket.h>

#include "base/status.h"
#include "feed/feed_history.h"
#include "feed/market_feed.h"
#include "feed/mold.h"
#include "feed/request_throttle.h"
#include "session/event_loop.h"
#include "transport/sockets/descriptor.h"

namespace verbex::feed {

class MoldRequests final : public session::EventLoop::Source {
public:
    static constexpr uint32_t kBatch = 16;
    static constexpr uint32_t kBatchesPerRound = 4;

    static Result<std::unique_ptr<MoldRequests>> open(session::EventLoop& loop,
                                                      const MarketFeedOptions& options,
                                                      const FeedHistory& history,
                                                      const session::SessionName& session,
                                                      MarketFeedCounters& counters);
    ~MoldRequests();

    void ready(uint32_t events) override;
    // Answers what has come; false: there was nothing.
    bool flush();
    [[nodiscard]] bool busy() const { return waiting_; }
    [[nodiscard]] transport::Address address() const { return address_; }

private:
    MoldRequests(session::EventLoop& loop, const MarketFeedOptions& options,
                 const FeedHistory& history, const session::SessionName& session,
                 MarketFeedCounters& counters);
    uint32_t receive();
    void answer(uint32_t count);
    void send(uint32_t count);

    session::EventLoop& loop_;
    const FeedHistory& history_;
    session::SessionName session_;
    MarketFeedCounters& counters_;
    RequestThrottle throttle_;
    size_t datagramBytes_;
    transport::Descriptor socket_;
    transport::Address address_;
    bool waiting_ = false;  // there may be more to read

    // One byte more than a request: a longer one shows.
    std::byte requests_[kBatch][kMoldHeaderBytes + 1];
    sockaddr_storage from_[kBatch];
    iovec requestParts_[kBatch];
    mmsghdr received_[kBatch];
    std::unique_ptr<std::byte[]> answers_;
    iovec answerParts_[kBatch];
    mmsghdr sending_[kBatch];
};

}  // namespace verbex::feed
