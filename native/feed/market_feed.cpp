// The feed on an event loop: builder, history, datagrams, retransmission, stream and snapshots together.
#include "feed/market_feed.h"

#include <algorithm>
#include <cctype>

#include "feed/feed_builder.h"
#include "feed/feed_history.h"
#include "feed/mold_publisher.h"
#include "feed/mold_requests.h"
#include "feed/snapshot_port.h"
#include "feed/stream_port.h"

namespace verbex::feed {

namespace {

Status checked(const MarketFeedOptions& options) {
    const std::string& name = options.sessionName;
    if (name.empty() || name.size() > session::kSessionBytes ||
        !std::all_of(name.begin(), name.end(),
                     [](unsigned char letter) { return std::isalnum(letter) != 0; })) {
        return Status(StatusCode::InvalidArgument,
                      "sessionName must be 1 to 10 letters and digits, not \"" + name + "\"");
    }
    if (options.datagramBytes < 200 || options.datagramBytes > 65'000) {
        return Status(StatusCode::InvalidArgument, "datagramBytes must be 200 to 65,000");
    }
    if (options.heartbeatMs == 0) {
        return Status(StatusCode::InvalidArgument, "heartbeatMs must be at least 1");
    }
    return {};
}

class EventLoopFeed final : public MarketFeed {
public:
    EventLoopFeed(session::EventLoop& loop, const MarketFeedOptions& options)
        : loop_(loop),
          options_(options),
          session_(sessionNameOf(options.sessionName)),
          history_(options.historyBytes),
          builder_(history_) {}

    Status start(const session::Authenticator& users) {
        Result<std::unique_ptr<MoldPublisher>> publisher =
            MoldPublisher::open(options_, session_, counters_, loop_.calls().writes);
        if (!publisher.isOk()) return publisher.status().within("the feed's datagrams");
        publisher_ = publisher.take();
        if (options_.retransmission.has_value()) {
            Result<std::unique_ptr<MoldRequests>> requests =
                MoldRequests::open(loop_, options_, history_, session_, counters_);
            if (!requests.isOk()) return requests.status();
            requests_ = requests.take();
        }
        session::SessionServerOptions port;
        port.connectionsMax = options_.connectionsMax;
        port.messageBytesMax = 64;
        port.heartbeatMs = options_.heartbeatMs;
        // What a reader lags lies in the history anyway; only who falls out of it is cut off.
        port.lagBytesMax = uint64_t{1} << 62;
        if (options_.stream.has_value()) {
            port.address = *options_.stream;
            Result<std::unique_ptr<StreamPort>> stream =
                StreamPort::open(loop_, users, port, history_, session_);
            if (!stream.isOk()) return stream.status();
            stream_ = stream.take();
        }
        if (options_.snapshot.has_value()) {
            port.address = *options_.snapshot;
            Result<std::unique_ptr<SnapshotPort>> snapshot =
                SnapshotPort::open(loop_, users, port, builder_, history_, session_);
            if (!snapshot.isOk()) return snapshot.status();
            snapshot_ = snapshot.take();
        }
        return {};
    }

    void begin(const MarketState& state) override {
        CHECK(!begun_);
        begun_ = true;
        builder_.begin(state);
        if (stream_ != nullptr) stream_->begin();
        if (snapshot_ != nullptr) snapshot_->begin();
    }

    void deliver(const Event& event) override {
        CHECK(begun_);
        if (!ended_) builder_.take(event);
    }

    bool flush() override {
        if (ended_) return false;
        bool worked = publisher_->flush(history_);
        if (requests_ != nullptr) worked |= requests_->flush();
        if (stream_ != nullptr) {
            stream_->grown();
            worked |= stream_->server().flush();
        }
        if (snapshot_ != nullptr) {
            worked |= snapshot_->work();
            worked |= snapshot_->server().flush();
        }
        return worked;
    }

    void tick(uint64_t nowNs) override {
        if (ended_) return;
        if (begun_) publisher_->tick(history_, nowNs);
        if (stream_ != nullptr) stream_->server().tick(nowNs);
        if (snapshot_ != nullptr) {
            snapshot_->server().tick(nowNs);
            snapshot_->tick(nowNs);
        }
    }

    void end() override {
        if (ended_) return;
        if (begun_) builder_.end();
        if (stream_ != nullptr) stream_->showAll();
        flush();
        ended_ = true;
        if (begun_) publisher_->end(history_);
        if (stream_ != nullptr) stream_->server().endSession();
        if (snapshot_ != nullptr) snapshot_->server().endSession();
        requests_.reset();
    }

    std::optional<transport::Address> streamAddress() const override {
        if (stream_ == nullptr) return std::nullopt;
        return stream_->server().address();
    }
    std::optional<transport::Address> snapshotAddress() const override {
        if (snapshot_ == nullptr) return std::nullopt;
        return snapshot_->server().address();
    }
    std::optional<transport::Address> retransmissionAddress() const override {
        if (requests_ == nullptr) return std::nullopt;
        return requests_->address();
    }

    const MarketFeedCounters& counters() const override {
        counters_.messages = history_.next() - 1;
        counters_.shown = builder_.shown().parts();
        counters_.snapshots = snapshot_ == nullptr ? 0 : snapshot_->given();
        counters_.ordersLeftOut = builder_.counters().ordersLeftOut;
        counters_.instrumentsLeftOut = builder_.counters().instrumentsLeftOut;
        return counters_;
    }

    bool busy() const override {
        if (ended_) return false;
        return publisher_->behind(history_) || (requests_ != nullptr && requests_->busy()) ||
               (stream_ != nullptr && stream_->busy()) ||
               (snapshot_ != nullptr && snapshot_->busy());
    }

private:
    session::EventLoop& loop_;
    MarketFeedOptions options_;
    session::SessionName session_;
    FeedHistory history_;
    FeedBuilder builder_;
    mutable MarketFeedCounters counters_;
    std::unique_ptr<MoldPublisher> publisher_;
    std::unique_ptr<MoldRequests> requests_;
    std::unique_ptr<StreamPort> stream_;
    std::unique_ptr<SnapshotPort> snapshot_;
    bool begun_ = false;
    bool ended_ = false;
};

}  // namespace

Result<std::unique_ptr<MarketFeed>> MarketFeed::open(session::EventLoop& loop,
                                                     const session::Authenticator& users,
                                                     const MarketFeedOptions& options) {
    VERBEX_RETURN_IF_FAILED(checked(options));
    auto feed = std::make_unique<EventLoopFeed>(loop, options);
    VERBEX_RETURN_IF_FAILED(feed->start(users));
    return std::unique_ptr<MarketFeed>(std::move(feed));
}

}  // namespace verbex::feed
