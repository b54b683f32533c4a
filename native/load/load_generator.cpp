#include "load/load_generator.h"

#include <cinttypes>
#include <cstdio>
#include <cstring>

#include "base/check.h"
#include "gateway/ouch/ouch.h"
#include "session/soup_client.h"

namespace verbex::load {

namespace {

namespace ouch = gateway::ouch;

constexpr uint64_t kLoginNs = 30'000'000'000;
constexpr uint64_t kTickNs = 100'000'000;
constexpr uint32_t kInFlight = 4096;  // planned times that are remembered of a connection
constexpr uint32_t kOwnOrders = 64;   // of which one may be cancelled

}  // namespace

class LoadGenerator::Run final : public session::SoupClientEvents {
    // xorshift64* (G. Marsaglia, S. Vigna): reproducible on every machine.
    class Random {
    public:
        explicit Random(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15ULL | 1) {}
        uint64_t next() {
            state_ ^= state_ >> 12;
            state_ ^= state_ << 25;
            state_ ^= state_ >> 27;
            return state_ * 0x2545f4914f6cdd1dULL;
        }
        uint32_t below(uint32_t bound) {
            return static_cast<uint32_t>((next() >> 32) * bound >> 32);
        }

    private:
        uint64_t state_;
    };

public:
    explicit Run(LoadGenerator& owner)
        : owner_(owner), options_(owner.options_), random_(options_.seed) {}

    Result<LoadResult> run(const std::function<void(bool)>& counting) {
        Result<std::unique_ptr<session::EventLoop>> loop = session::EventLoop::create();
        if (!loop.isOk()) return loop.status();
        loop_ = loop.take();
        if (Status status = connectAll(); !status.isOk()) return status;
        stallSome();
        const uint64_t began = loop_->refreshTime();
        drive(began, began + options_.warmUpNs);
        startCounting();
        if (counting) counting(true);
        const uint64_t counted = loop_->refreshTime();
        drive(counted, counted + options_.durationNs);
        result_.elapsedNs = loop_->refreshTime() - counted;
        result_.answeredInTime = result_.answered;
        if (counting) counting(false);
        settle();
        finish();
        return std::move(result_);
    }

private:
    struct Client {
        std::unique_ptr<session::SoupClient> soup;
        uint32_t nextReference = 1;
        uint32_t answered = 0;   // references up to here have their answer
        uint32_t firstCounted = 0;
        uint64_t back = 0;       // when to connect again; 0: not lost
        bool waits = false;      // for the answer about the next reference
        bool known = false;      // was logged in, and has read what its session held already
        // The number of the answer that said which reference is the next; 0: not yet. Such an answer is a
        // message of its session like all others, and a session may hold older ones, with references that
        // are used: so the first login asks for nothing that was before, and a second one reads that.
        uint64_t historyTo = 0;
        uint64_t heardFrom = 0;   // the first message that came
        bool readsAgain = false;  // the second login is due
        bool dirty = false;
        std::vector<uint64_t> planned;  // by reference
        uint32_t own[kOwnOrders] = {};
    };

    Status connectAll() {
        clients_.resize(options_.users.size());
        result_.ledger.resize(options_.users.size());
        for (size_t i = 0; i < clients_.size(); i++) {
            clients_[i].soup = std::make_unique<session::SoupClient>(*loop_, *this, i);
            clients_[i].planned.resize(kInFlight);
            const Status status = login(i, nullptr, 0);
            if (!status.isOk()) return status;
            // Not all in one go: the server's backlog is finite.
            if (i % 64 == 63) (void)loop_->poll();
        }
        const uint64_t began = loop_->refreshTime();
        while (ready_ != clients_.size()) {
            if (stopped()) return Status(StatusCode::Closed, "stopped");
            if (!failure_.isOk()) return failure_;
            if (loop_->nowNs() - began > kLoginNs) {
                return Status(StatusCode::TimedOut, std::to_string(clients_.size() - ready_) +
                                                        " sessions could not log in");
            }
            (void)loop_->sleep(1'000'000, [] { return false; });
            for (size_t i = 0; i < clients_.size(); i++) {
                if (!clients_[i].readsAgain) continue;
                clients_[i].readsAgain = false;
                const session::SessionName name = clients_[i].soup->session();
                if (Status status = login(i, &name, 1); !status.isOk()) return status;
            }
            flush();
        }
        return {};
    }

    Status login(size_t at, const session::SessionName* session, uint64_t nextSequence) {
        const LoadUser& user = options_.users[at];
        return clients_[at].soup->connect(options_.server, user.name, user.password, session,
                                          nextSequence);
    }

    void stallSome() {
        active_ = clients_.size() - options_.stalled;
        for (size_t i = active_; i < clients_.size(); i++) {
            for (uint32_t sent = 0; sent < options_.window; sent++) order(i, loop_->nowNs());
        }
        flush();
        for (size_t i = active_; i < clients_.size(); i++) clients_[i].soup->stall(true);
    }

    // ---- sending

    void drive(uint64_t from, uint64_t until) {
        uint64_t sent = 0;
        while (!stopped()) {
            const uint64_t now = loop_->nowNs();
            if (now >= until) break;
            if (options_.ordersPerSecond == 0) {
                fillWindows(now);
            } else {
                for (;;) {
                    const uint64_t due = from + sent * 1'000'000'000 / options_.ordersPerSecond;
                    if (due > now) break;
                    if (now - due > result_.latestSendNs) result_.latestSendNs = now - due;
                    order(turn_, due);
                    turn_ = turn_ + 1 == active_ ? 0 : turn_ + 1;
                    sent++;
                }
            }
            flush();
            pause(options_.ordersPerSecond == 0
                      ? 1'000'000
                      : from + sent * 1'000'000'000 / options_.ordersPerSecond - now);
            tick();
        }
    }

    void fillWindows(uint64_t now) {
        for (size_t i = 0; i < active_; i++) {
            Client& client = clients_[i];
            const uint32_t inFlight = client.nextReference - 1 - client.answered;
            // A batch at a time: what a client of a busy server does.
            if (inFlight > options_.window / 2) continue;
            for (uint32_t more = options_.window - inFlight; more != 0; more--) order(i, now);
        }
    }

    void order(size_t at, uint64_t planned) {
        Client& client = clients_[at];
        if (!client.soup->isLoggedIn() || client.waits) return;
        if (random_.below(1000) < options_.cancelsPerMille) cancel(client);
        std::byte bytes[ouch::kBytes<ouch::EnterOrder>];
        auto& enter = ouch::begin<ouch::EnterOrder>(bytes);
        const uint32_t reference = client.nextReference;
        enter.userRefNum = reference;
        enter.side = random_.below(2) == 0 ? ouch::kBuy : ouch::kSell;
        enter.quantity = 1 + random_.below(options_.quantityMax);
        enter.symbol = options_.symbols[random_.below(static_cast<uint32_t>(options_.symbols.size()))];
        enter.price = options_.midPrice - options_.halfWidth + random_.below(2 * options_.halfWidth + 1);
        enter.timeInForce = ouch::kDay;
        enter.display = ouch::kVisible;
        enter.capacity = 'A';
        enter.sweep = 'N';
        enter.crossType = 'N';
        enter.clOrdId.fill(' ');
        if (!client.soup->send(bytes)) return;
        client.nextReference++;
        client.planned[reference % kInFlight] = planned;
        client.own[reference % kOwnOrders] = reference;
        markDirty(at);
        result_.ledger[at].entered++;
        if (counting_) result_.entered++;
        owner_.entered_.fetch_add(1, std::memory_order_relaxed);
    }

    void cancel(Client& client) {
        const uint32_t reference = client.own[random_.below(kOwnOrders)];
        if (reference == 0) return;
        std::byte bytes[ouch::kBytes<ouch::CancelOrder>];
        ouch::begin<ouch::CancelOrder>(bytes).userRefNum = reference;
        if (client.soup->send(bytes) && counting_) result_.cancels++;
    }

    void markDirty(size_t at) {
        if (clients_[at].dirty) return;
        clients_[at].dirty = true;
        dirty_.push_back(at);
    }

    void flush() {
        for (const size_t at : dirty_) {
            clients_[at].dirty = false;
            clients_[at].soup->flush();
        }
        dirty_.clear();
    }

    void pause(uint64_t forNs) {
        if (options_.spin || forNs == 0) {
            (void)loop_->poll();
        } else {
            // epoll counts milliseconds: below one it would round up, and be late.
            if (forNs < 1'000'000) {
                (void)loop_->poll();
            } else {
                (void)loop_->sleep(forNs - 1'000'000 + 1, [] { return false; });
            }
        }
    }

    void tick() {
        const uint64_t now = loop_->nowNs();
        if (now - tickedNs_ < kTickNs) return;
        tickedNs_ = now;
        for (size_t i = 0; i < clients_.size(); i++) {
            Client& client = clients_[i];
            client.soup->tick(now);
            if (client.back == 0 || client.back > now) continue;
            client.back = now + 10 * kTickNs;
            const session::SessionName name = client.soup->session();
            (void)login(i, &name, client.soup->nextSequence());
        }
    }

    // ---- answers

    void loggedIn(uint64_t at, const session::SessionName&, uint64_t nextSequence) override {
        Client& client = clients_[at];
        client.back = 0;
        if (!client.known) client.heardFrom = nextSequence;
        if (!client.known && client.historyTo != 0) return;  // it knows its references already
        // Which reference is the next: the server knows, whoever used this session before.
        std::byte bytes[ouch::kBytes<ouch::AccountQuery>];
        (void)ouch::begin<ouch::AccountQuery>(bytes);
        client.waits = true;
        (void)client.soup->send(bytes);
        markDirty(at);
    }

    void message(uint64_t at, uint64_t sequence, std::span<const std::byte> payload) override {
        const ouch::Message message = ouch::readOutbound(payload);
        Client& client = clients_[at];
        if (message.type == ouch::AccountQueryResponse::kType && client.waits) {
            takePlace(client, message.as<ouch::AccountQueryResponse>().nextUserRefNum, sequence);
        }
        // All that comes now comes again, with what was before.
        if (!client.known && client.heardFrom != 1) return;
        LedgerRow& row = result_.ledger[at];
        row.sequence = sequence;
        switch (message.type) {
            case ouch::Accepted::kType:
                row.accepted++;
                answer(client, message.as<ouch::Accepted>().userRefNum, true);
                break;
            case ouch::Rejected::kType:
                row.rejected++;
                answer(client, message.as<ouch::Rejected>().userRefNum, false);
                break;
            case ouch::Canceled::kType: row.canceled++; break;
            case ouch::Executed::kType:
                row.executions++;
                row.executedQuantity += message.as<ouch::Executed>().quantity;
                if (counting_) result_.executions++;
                owner_.executions_.fetch_add(1, std::memory_order_relaxed);
                break;
            default: break;
        }
        if (client.known || client.historyTo == 0 || sequence < client.historyTo) return;
        client.known = true;
        ready_++;
        owner_.loggedIn_.fetch_add(1, std::memory_order_relaxed);
    }

    void takePlace(Client& client, uint32_t nextReference, uint64_t sequence) {
        client.waits = false;
        if (client.nextReference < nextReference) {
            client.nextReference = nextReference;
            client.answered = nextReference - 1;
            client.firstCounted = nextReference;
        }
        if (client.known) return;
        client.historyTo = sequence;
        client.readsAgain = client.heardFrom != 1;
    }

    void answer(Client& client, uint32_t reference, bool accepted) {
        if (reference <= client.answered || reference >= client.nextReference) return;
        client.answered = reference;
        owner_.answered_.fetch_add(1, std::memory_order_relaxed);
        if (!counting_ || reference < client.firstCounted) return;
        result_.answered++;
        if (accepted) {
            result_.accepted++;
        } else {
            result_.rejected++;
        }
        const uint64_t planned = client.planned[reference % kInFlight];
        const uint64_t now = loop_->refreshTime();
        result_.roundTrips.add(now > planned ? now - planned : 0);
    }

    void endOfSession(uint64_t) override {}

    void closed(uint64_t at, session::LoginReject rejected) override {
        Client& client = clients_[at];
        if (!client.known) {
            const char* const why = rejected == session::LoginReject::None ? "the connection ended"
                                                                           : "the login was rejected";
            failure_ = Status(rejected == session::LoginReject::None ? StatusCode::PeerLost
                                                                     : StatusCode::AuthenticationFailed,
                              options_.users[at].name + ": " + why);
            return;
        }
        result_.lost++;
        if (options_.reconnect && !ending_) client.back = loop_->nowNs() + kTickNs;
    }

    // ---- the end

    void startCounting() {
        for (Client& client : clients_) client.firstCounted = client.nextReference;
        result_.latestSendNs = 0;
        counting_ = true;
        owner_.counting_.store(true, std::memory_order_relaxed);
    }

    [[nodiscard]] uint64_t unanswered() const {
        uint64_t count = 0;
        for (size_t i = 0; i < active_; i++) {
            count += clients_[i].nextReference - 1 - clients_[i].answered;
        }
        return count;
    }

    // Also what the answers have caused at others: a quiet stretch says that nothing more comes.
    void settle() {
        const uint64_t began = loop_->refreshTime();
        uint64_t heard = began;
        while (loop_->nowNs() - began < options_.settleNs) {
            if (loop_->sleep(1'000'000, [] { return false; })) heard = loop_->nowNs();
            tick();
            flush();
            if (unanswered() == 0 && loop_->nowNs() - heard > 50'000'000) break;
        }
    }

    void finish() {
        ending_ = true;
        result_.unanswered = unanswered();
        for (Client& client : clients_) client.soup->logout();
        if (options_.ledgerFile.empty()) return;
        FILE* const file = std::fopen(options_.ledgerFile.c_str(), "we");
        if (file == nullptr) return;
        for (size_t i = 0; i < clients_.size(); i++) {
            const LedgerRow& row = result_.ledger[i];
            std::fprintf(file,
                         "{\"user\":\"%s\",\"session\":\"%.10s\",\"sequence\":%" PRIu64
                         ",\"entered\":%" PRIu64 ",\"accepted\":%" PRIu64 ",\"rejected\":%" PRIu64
                         ",\"canceled\":%" PRIu64 ",\"executions\":%" PRIu64
                         ",\"executedQuantity\":%" PRIu64 "}\n",
                         options_.users[i].name.c_str(), clients_[i].soup->session().data(),
                         row.sequence, row.entered, row.accepted, row.rejected, row.canceled,
                         row.executions, row.executedQuantity);
        }
        std::fclose(file);
    }

    [[nodiscard]] bool stopped() const { return owner_.stop_.load(std::memory_order_acquire); }

    LoadGenerator& owner_;
    const LoadOptions& options_;
    Random random_;
    std::unique_ptr<session::EventLoop> loop_;
    std::vector<Client> clients_;
    std::vector<size_t> dirty_;
    size_t ready_ = 0;
    size_t active_ = 0;  // the others don't read
    size_t turn_ = 0;
    uint64_t tickedNs_ = 0;
    bool counting_ = false;
    bool ending_ = false;
    Status failure_;
    LoadResult result_;
};

LoadGenerator::LoadGenerator(const LoadOptions& options) : options_(options) {}
LoadGenerator::~LoadGenerator() = default;

Result<LoadResult> LoadGenerator::run(const std::function<void(bool)>& counting) {
    if (options_.users.empty() || options_.symbols.empty() || options_.window == 0 ||
        options_.window > kInFlight / 4 || options_.quantityMax == 0 ||
        options_.stalled >= options_.users.size() || options_.halfWidth >= options_.midPrice) {
        return Status(StatusCode::InvalidArgument,
                      "a load needs users, symbols, a window from 1 to 1,024 and positive prices");
    }
    return std::make_unique<Run>(*this)->run(counting);
}

LoadProgress LoadGenerator::progress() const {
    return {loggedIn_.load(std::memory_order_relaxed), entered_.load(std::memory_order_relaxed),
            answered_.load(std::memory_order_relaxed), executions_.load(std::memory_order_relaxed),
            counting_.load(std::memory_order_relaxed)};
}

}  // namespace verbex::load
