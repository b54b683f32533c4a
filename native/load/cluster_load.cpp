#include "load/cluster_load.h"

#include <algorithm>
#include <deque>
#include <mutex>
#include <unordered_map>
#include <unordered_set>

#include "pipeline/steady_clock.h"
#include "replication/executor.h"
#include "wire/command_codec.h"
#include "wire/event_digest.h"

namespace verbex::load {

using pipeline::steadyNs;
using replication::Answered;
using replication::ClusterClient;
using replication::EntriesFrame;
using replication::EventsFrame;
using replication::MemberId;
using replication::SubmittedFrame;

namespace {

// Tokens of the commands that set the market up lie above all orders'.
constexpr uint64_t kSetUpToken = uint64_t{1} << 62;
constexpr int64_t kMiddle = 10'000;
constexpr uint64_t kWaitNs = 500'000;

// The finaliser of MurmurHash3 (Austin Appleby): every bit of the number reaches every other.
uint64_t mix(uint64_t number) {
    number ^= number >> 33;
    number *= 0xff51afd7ed558ccd;
    number ^= number >> 33;
    number *= 0xc4ceb9fe1a85ec53;
    return number ^ number >> 33;
}

// Sixteen hexadecimal digits: text, as client ids may be.
ClientId idOf(uint64_t number) {
    char digits[16];
    for (int i = 15; i >= 0; i--, number >>= 4) digits[i] = "0123456789abcdef"[number & 15];
    ClientId id;
    std::memcpy(&id, digits, sizeof(id));
    return id;
}

Name nameOf(const std::string& text) {
    Name name{};
    std::memcpy(&name, text.data(), std::min(text.size(), sizeof(name)));
    return name;
}

std::vector<Command> marketOf(const ClusterLoadOptions& options) {
    std::vector<Command> commands;
    const auto add = [&](CommandType type, const std::string& name) -> Command& {
        Command& command = commands.emplace_back(Command{});
        command.type = static_cast<uint8_t>(type);
        command.id = nameOf(name);
        command.token = kSetUpToken + commands.size();
        return command;
    };
    add(CommandType::AddAsset, "BASE");
    add(CommandType::AddAsset, "QUOTE");
    for (uint32_t i = 0; i < options.instruments; i++) {
        Command& instrument = add(CommandType::AddInstrument, "I" + std::to_string(i));
        instrument.flags = kCommandExtended;
        instrument.base = 1;
        instrument.quote = 2;
        instrument.price = instrument.quantity = 1;
        instrument.priceMin = instrument.quantityMin = 1;
        instrument.priceMax = 4 * kMiddle;
        instrument.quantityMax = 1'000'000;
    }
    for (uint32_t i = 1; i <= options.accounts; i++) {
        add(CommandType::AddAccount, "A" + std::to_string(i));
    }
    for (uint32_t i = 1; i <= options.accounts; i++) {
        for (AssetId asset = 1; asset <= 2; asset++) {
            Command& deposit = add(CommandType::Deposit, "d" + std::to_string(asset));
            deposit.account = i;
            deposit.instrument = asset;
            deposit.amount = Amount{1} << 80;
        }
    }
    return commands;
}

Command orderOf(uint64_t number, const ClusterLoadOptions& options) {
    const uint64_t random = mix(options.idsBehind + number);
    Command order{};
    order.type = static_cast<uint8_t>(CommandType::NewOrder);
    order.orderType = static_cast<uint8_t>(OrderType::Limit);
    const bool buys = (random & 1) != 0;
    order.side = static_cast<uint8_t>(buys ? Side::Buy : Side::Sell);
    // A third crosses at once or goes; the rest meets before long: the books stay small.
    order.timeInForce = static_cast<uint8_t>((random >> 1) % 3 == 0 ? TimeInForce::Ioc : TimeInForce::Gtc);
    order.selfTrade = static_cast<uint8_t>(SelfTrade::CancelOldest);
    order.account = 1 + static_cast<uint32_t>((random >> 8) % options.accounts);
    order.instrument = 1 + static_cast<uint32_t>((random >> 24) % options.instruments);
    order.id = idOf(options.idsBehind + number);
    order.price = kMiddle + static_cast<int64_t>((random >> 40) % 11) - 5;
    order.quantity = 1 + static_cast<int64_t>((random >> 48) % 10);
    order.token = number;
    if ((random >> 56) % 100 < options.marketPercent) {
        order.orderType = static_cast<uint8_t>(OrderType::Market);
        order.timeInForce = static_cast<uint8_t>(TimeInForce::Ioc);
        order.price = 0;
    }
    return order;
}

}  // namespace

struct ClusterLoad::Parts final : replication::ClusterClientEvents {
    explicit Parts(const ClusterLoadOptions& given) : options(given) {}

    // ---- what is sent

    struct Sent {
        uint64_t at = 0;      // first sending, ns
        uint8_t times = 0;    // accepted
        bool answered = false;
    };

    [[nodiscard]] Sent& sent(uint64_t number) { return orders[number - 1]; }

    void submit(uint64_t now) {
        if (!client->connected()) return;
        if (!isSetUp) {
            if (setUpAt != 0 && now - setUpAt < options.resendNs) return;
            setUpAt = now;
            const std::vector<Command> market = marketOf(options);
            for (const Command& command : market) setUpOpen.insert(command.token);
            size_t at = 0;
            while (at < market.size()) {
                const size_t count = std::min<size_t>(market.size() - at, 256);
                send(std::span(market).subspan(at, count));
                at += count;
            }
            return;
        }
        if (resend) again(now);
        while (true) {
            const uint64_t inFlight = nextOrder - 1 - answered;
            if (inFlight >= options.window || (options.orders != 0 && nextOrder > options.orders)) break;
            uint64_t count = std::min<uint64_t>(options.batch, options.window - inFlight);
            if (options.orders != 0) count = std::min(count, options.orders - nextOrder + 1);
            if (options.ordersPerSecond != 0) {
                // What came since `now` was read may have begun it all.
                if (now <= beganAt) break;
                const uint64_t due = static_cast<uint64_t>(
                    static_cast<unsigned __int128>(now - beganAt) * options.ordersPerSecond / 1'000'000'000);
                if (due < nextOrder) break;
                count = std::min(count, due - nextOrder + 1);
            }
            if (stopping) break;
            // Saturated: submissions of a fair size, not one for every answer.
            if (options.ordersPerSecond == 0 && count < options.batch && inFlight > options.window / 2) break;
            commands.clear();
            for (uint64_t i = 0; i < count; i++) {
                orders.push_back({now, 0, false});
                commands.push_back(orderOf(nextOrder++, options));
            }
            if (!send(commands)) {
                resend = true;
                break;
            }
        }
    }

    // What has no answer, in order; some at a time, so that a leader without room is not kept from having any.
    void again(uint64_t now) {
        constexpr uint32_t kAgainMax = 4096;
        uint32_t count = 0;
        resend = false;
        resentAt = now;
        commands.clear();
        for (uint64_t number = firstOpen; number < nextOrder; number++) {
            if (sent(number).answered) continue;
            if (++count > kAgainMax) break;
            commands.push_back(orderOf(number, options));
            resentCount++;
            if (commands.size() < options.batch) continue;
            if (!send(commands)) return;
            commands.clear();
        }
        if (!commands.empty()) (void)send(commands);
    }

    bool send(std::span<const Command> some) {
        payload.clear();
        encodeBatch(some, payload);
        return client->submit(some.front().token, payload, static_cast<uint32_t>(some.size()));
    }

    // ---- what comes

    void onEvents(const EventsFrame& batch, std::span<const Event> events) override {
        const uint64_t now = steadyNs();
        if (batch.index == 0) {
            digest = EventDigest();
            batchAnswers = 0;
        }
        digest.add(events.data(), events.size());
        for (const Event& event : events) see(event, now);
        if ((batch.header.flags & replication::kEventsMore) == 0 && options.keepsBatches) {
            batches.push_back({batch.last, batchAnswers, digest.value()});
        }
    }

    void see(const Event& event, uint64_t now) {
        if (event.type == static_cast<uint8_t>(EventType::Trade)) {
            trades++;
            if (options.keepsBatches &&
                !tradeIds.insert(uint64_t{event.instrument} << 32 | event.tradeId).second) {
                tradesTwice++;
            }
        }
        if (event.token >= kSetUpToken) {
            if ((event.flags & kEventLast) == 0) return;
            setUpOpen.erase(event.token);
            if (setUpOpen.empty() && !isSetUp) {
                isSetUp = true;
                beganAt = lastAnswerAt = now;
            }
            return;
        }
        if (event.token == 0 || event.token >= nextOrder) return;
        Sent& order = sent(event.token);
        if (event.type == static_cast<uint8_t>(EventType::Accepted) && (event.flags & kEventDuplicate) == 0) {
            accepted++;
            if (++order.times > 1) acceptedTwice++;
        }
        if ((event.flags & kEventLast) == 0 || order.answered) return;
        order.answered = true;
        answered++;
        batchAnswers++;
        if (now - beganAt >= options.warmUpNs && answered > options.warmUpOrders && !stopping) {
            if (measured == 0) measuredFrom = now;
            measured++;
            measuredTo = now;
            latency.add(now - order.at);
        }
        uint64_t longest = longestGap.load(std::memory_order_relaxed);
        const uint64_t gap = now - lastAnswerAt.load(std::memory_order_relaxed);
        if (gap > longest) longestGap.store(gap, std::memory_order_relaxed);
        lastAnswerAt.store(now, std::memory_order_relaxed);
        while (firstOpen < nextOrder && sent(firstOpen).answered) firstOpen++;
    }

    void onEntry(const EntriesFrame& entry, std::span<const std::byte> bytes) override {
        if (executor == nullptr) return;
        executor->execute({entry.entry, bytes});
        outputs->release(entry.entry.last());
        const replication::OutputBatch* batch = outputs->find(entry.entry.first);
        EventDigest replayed;
        for (const replication::OutputBatch::Piece& piece : batch->pieces) {
            replayed.add(piece.events, piece.count);
            for (uint32_t i = 0; i < piece.count; i++) {
                const Event& event = piece.events[i];
                if (event.type == static_cast<uint8_t>(EventType::Accepted) &&
                    (event.flags & kEventDuplicate) == 0 && event.token < kSetUpToken &&
                    event.token != 0 && event.token < nextOrder && ++replayTimes[event.token] > 1) {
                    verdict.appliedTwice++;
                }
            }
        }
        while (compared < batches.size() && batches[compared].last < entry.entry.last()) {
            verdict.acknowledgedLost += batches[compared++].answers;  // no such batch in the log
        }
        if (compared < batches.size() && batches[compared].last == entry.entry.last()) {
            const Batch& seen = batches[compared++];
            verdict.batches++;
            if (!(seen.digest == replayed.value())) verdict.acknowledgedLost += seen.answers;
        }
    }

    void onSubmitted(const SubmittedFrame& answer) override {
        if (answer.answer == Answered::Busy) busy = true;
    }
    void onConnected(MemberId) override {
        connects++;
        resend = true;
        setUpAt = 0;
    }
    void onDisconnected(const std::string&) override {}
    void onEnded(Answered, Position) override { endedSubscriptions++; }

    [[nodiscard]] ClusterLoadProgress counts() const {
        ClusterLoadProgress now;
        now.sent = nextOrder - 1;
        now.acknowledged = answered;
        now.accepted = accepted;
        now.trades = trades;
        now.acceptedTwice = acceptedTwice;
        now.tradesTwice = tradesTwice;
        now.resent = resentCount;
        now.connects = connects;
        now.endedSubscriptions = endedSubscriptions;
        now.position = client == nullptr || client->next() == 0 ? 0 : client->next() - 1;
        return now;
    }

    struct Batch {
        Position last;
        uint32_t answers;
        Digest128 digest;
    };

    const ClusterLoadOptions options;
    std::unique_ptr<transport::HostNetwork> network;
    std::unique_ptr<ClusterClient> client;
    std::vector<Command> commands;
    std::vector<std::byte> payload;
    std::deque<Sent> orders;
    uint64_t nextOrder = 1;
    uint64_t firstOpen = 1;
    uint64_t answered = 0;
    uint64_t accepted = 0;
    uint64_t acceptedTwice = 0;
    uint64_t trades = 0;
    uint64_t tradesTwice = 0;
    uint64_t resentCount = 0;
    uint64_t connects = 0;
    uint64_t endedSubscriptions = 0;
    std::unordered_set<uint64_t> tradeIds;
    std::unordered_set<uint64_t> setUpOpen;
    bool isSetUp = false;
    bool resend = false;
    bool busy = false;
    bool stopping = false;
    uint64_t setUpAt = 0;
    uint64_t resentAt = 0;
    uint64_t beganAt = 0;
    uint64_t measured = 0;
    uint64_t measuredFrom = 0;
    uint64_t measuredTo = 0;
    LatencyHistogram latency;
    EventDigest digest;
    uint32_t batchAnswers = 0;
    std::vector<Batch> batches;
    std::atomic<uint64_t> longestGap{0};
    std::atomic<uint64_t> lastAnswerAt{0};
    mutable std::mutex mutex;
    ClusterLoadProgress shown;

    // verify()
    std::unique_ptr<replication::Outputs> outputs;
    std::unique_ptr<replication::Executor> executor;
    std::unordered_map<uint64_t, uint32_t> replayTimes;
    size_t compared = 0;
    ClusterVerdict verdict;
};

ClusterLoad::ClusterLoad(const ClusterLoadOptions& options)
    : parts_(std::make_unique<Parts>(options)) {}
ClusterLoad::~ClusterLoad() = default;

Result<ClusterLoadResult> ClusterLoad::run() {
    Parts& all = *parts_;
    transport::NetworkOptions network = all.options.network;
    network.ringBytes = std::max(network.ringBytes, 1u << 22);
    network.payloadMax = std::max(network.payloadMax, replication::kFrameBytesMax);
    Result<std::unique_ptr<transport::HostNetwork>> opened =
        transport::HostNetwork::open(std::move(network));
    if (!opened.isOk()) return opened.status();
    all.network = opened.take();
    replication::ClusterClientEvents& events = all;
    all.client = std::make_unique<ClusterClient>(*all.network, all.options.cluster, events);
    all.client->subscribeEvents(all.options.idsBehind == 0 ? 1 : 0);
    uint64_t shownAt = 0;
    uint64_t stoppedAt = 0;
    while (true) {
        const uint64_t now = steadyNs();
        const bool came = all.client->poll(now);
        if (!all.stopping && stop_.load(std::memory_order_acquire)) {
            all.stopping = true;
            stoppedAt = now;
        }
        const bool open = all.answered != all.nextOrder - 1;
        const bool over = all.options.orders != 0 && all.nextOrder > all.options.orders;
        if ((all.stopping || (all.isSetUp && over)) && !open) break;
        if (all.stopping && now - stoppedAt > all.options.drainNs) break;
        // The last answer may be younger than `now`.
        const uint64_t heard = all.lastAnswerAt.load(std::memory_order_relaxed);
        if (open && now > std::max(all.resentAt, heard) + all.options.resendNs) all.resend = true;
        if (all.busy && now - all.resentAt > all.options.resendNs / 4) {
            all.busy = false;
            all.resend = true;
        }
        all.submit(now);
        all.client->flush();
        if (now - shownAt > 5'000'000) {
            shownAt = now;
            const std::lock_guard guard(all.mutex);
            all.shown = all.counts();
        }
        if (!came) all.network->wait(kWaitNs);
    }
    ClusterLoadResult result;
    result.counts = all.counts();
    result.unanswered = all.nextOrder - 1 - all.answered;
    result.measured = all.measured;
    result.measuredNs = all.measuredTo - all.measuredFrom;
    result.latency = all.latency;
    const std::lock_guard guard(all.mutex);
    all.shown = result.counts;
    return result;
}

Result<ClusterVerdict> ClusterLoad::verify() {
    Parts& all = *parts_;
    const Position to = all.batches.empty() ? 0 : all.batches.back().last;
    all.outputs = std::make_unique<replication::Outputs>(1024);
    replication::ExecutorOptions options;
    options.limits = all.options.limits;
    all.executor = std::make_unique<replication::Executor>(options, *all.outputs);
    all.client->subscribeEntries(1);
    uint64_t cameAt = steadyNs();
    while (all.executor->position() < to) {
        const uint64_t now = steadyNs();
        if (all.client->poll(now)) cameAt = now;
        if (now - cameAt > all.options.drainNs) {
            return Status(StatusCode::TimedOut, "nobody serves the log behind position " +
                                                    std::to_string(all.executor->position()));
        }
        all.client->flush();
        all.network->wait(kWaitNs);
    }
    all.verdict.stateHash = all.executor->core().hash();
    all.verdict.position = all.executor->position();
    return all.verdict;
}

ClusterLoadProgress ClusterLoad::progress() const {
    const std::lock_guard guard(parts_->mutex);
    return parts_->shown;
}

uint64_t ClusterLoad::gap() {
    const uint64_t last = parts_->lastAnswerAt.load(std::memory_order_relaxed);
    const uint64_t open = last == 0 ? 0 : steadyNs() - last;
    return std::max(open, parts_->longestGap.exchange(0, std::memory_order_relaxed));
}

}  // namespace verbex::load
