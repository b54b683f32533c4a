// The clearing gateway: log-ins and requests in, answers and pushes out.
#include "gateway/clearing/clearing_gateway.h"

#include <deque>
#include <vector>

#include "gateway/clearing/answer_rows.h"
#include "gateway/clearing/clearing.h"
#include "gateway/clearing/reach.h"
#include "gateway/clearing/requests.h"
#include "gateway/clearing/sessions.h"

namespace verbex::gateway::clearing {

namespace {

// Kills of one session that are not answered: they need no room among the requests that wait.
constexpr uint32_t kKillsMax = 64;
constexpr uint64_t kDayNs = 86'400ull * 1'000'000'000;

// The request that a command of this type came from.
char requestOf(uint8_t commandType) {
    switch (static_cast<CommandType>(commandType)) {
        case CommandType::Deposit: return Deposit::kType;
        case CommandType::Withdraw: return Withdraw::kType;
        case CommandType::Transfer: return Transfer::kType;
        case CommandType::SetLimit: return SetLimit::kType;
        case CommandType::SetRights: return SetRights::kType;
        case CommandType::SetInstrumentRight: return SetInstrumentRight::kType;
        case CommandType::KillSwitch: return clearing::KillSwitch::kType;
        case CommandType::MassCancel: return MassCancel::kType;
        default: return ' ';
    }
}

uint64_t sinceMidnight(uint64_t ns) { return ns % kDayNs; }

class Gateway final : public ClearingGateway {
public:
    Gateway(const ClearingGatewayOptions& options, CommandPort& port, QuestionPort& questions,
            MessageStore& store, Directory& directory, EventRouter& router, const Users& users)
        : options_(options),
          port_(port),
          questions_(questions),
          store_(store),
          directory_(directory),
          router_(router),
          users_(users),
          reach_(directory),
          sessions_(users) {}

    void restore(const StoredRecord& record) override;
    void begin() override;
    void attach(session::SessionServer& server) override { server_ = &server; }
    void detach() override { server_ = nullptr; }
    bool work(uint64_t nowNs) override;
    [[nodiscard]] bool busy() const override { return !kills_.empty(); }
    [[nodiscard]] const ClearingGatewayCounters& counters() const override { return counters_; }

    session::LoginAnswer login(session::ConnectionId connection,
                               const session::LoginRequest& request) override;
    session::Taken received(session::ConnectionId connection,
                            std::span<const std::byte> message) override;
    void closed(session::ConnectionId connection, session::CloseReason) override {
        sessions_.disconnect(connection);
    }
    void deliver(const Event& event, const EventPlace& place) override;

private:
    using Taken = session::Taken;

    // What an event makes of a session's stream.
    enum class Effect : uint8_t { Push, MakerPush, Answer };
    struct Planned {
        uint32_t session;
        Effect effect;
    };
    struct WaitingKill {
        uint32_t session;
        Command command;
    };

    // ---- in
    template <typename Request>
    Taken take(uint32_t index, std::span<const std::byte> message);
    template <typename Request>
    Taken enter(uint32_t index, const Request& request, const Command& command,
                std::span<const std::byte> message);
    Taken ask(uint32_t index, const clearing::Query& query, std::span<const std::byte> message);
    Taken tellReference(uint32_t index, std::span<const std::byte> message);
    [[nodiscard]] bool hasRoom(const Session& session) const {
        return sessions_.waiting() < options_.requestsMax &&
               session.waiting.size() < std::max(1u, options_.requestsMax / 8);
    }
    bool note(Session& session, uint32_t reference, std::span<const std::byte> message);
    void refuse(Session& session, uint32_t reference, char request, uint16_t reason,
                uint64_t position, const EventPlace& place, bool last);
    void rejectWhatWasLost();

    // ---- out
    template <typename Message>
    bool send(Session& session, const Message& message, const EventPlace& place, bool last);
    void answer(uint32_t index, uint32_t reference, const clearing::Query& query,
                const Status& failure, const AccountStatement& statement);
    void plan(const Event& event);
    void carryOut(const Planned& planned, const Event& event, const EventPlace& place, bool last);
    void push(Session& session, const Event& event, const EventPlace& place, bool maker, bool last);
    void acknowledge(Session& session, uint32_t reference, const Event& event,
                     const EventPlace& place, bool last);
    void accountAdded(AccountId account);
    void root(uint32_t index, AccountId account);
    void endDay();

    [[nodiscard]] Name account(AccountId id) const {
        return id == 0 ? nameOf("VENUE") : nameOf(directory_.accountName(id));
    }
    [[nodiscard]] Name accountIfReached(const Session& session, AccountId id) const {
        if (session.authority.root == kNoAccount) return Name{};
        return directory_.isBelow(id, session.authority.root) ? account(id) : Name{};
    }
    // Of messages that no event caused.
    [[nodiscard]] EventPlace ownPlace() const { return {store_.delivered().position, kOwnIndex}; }

    const ClearingGatewayOptions options_;
    CommandPort& port_;
    QuestionPort& questions_;
    MessageStore& store_;
    Directory& directory_;
    EventRouter& router_;
    const Users& users_;
    session::SessionServer* server_ = nullptr;
    Reach reach_;
    Sessions sessions_;
    std::deque<WaitingKill> kills_;  // for room; at most one a session
    std::vector<Planned> plan_;
    EventPlace resumed_;         // events up to here are in the store
    bool lost_ = true;           // what a stopped gateway swallowed is not rejected yet
    bool failed_ = false;        // the store takes nothing more: neither does this
    ClearingGatewayCounters counters_;
    // Answers that come when this is gone find it gone.
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

// ---- beginning

void Gateway::restore(const StoredRecord& record) {
    if (record.kind == RecordKind::Day) {
        for (uint32_t i = 0; i < sessions_.count(); ++i) {
            Session& session = sessions_[i];
            session.lastReference = 0;
            sessions_.forgetRestored(session);
        }
        return;
    }
    if (record.session < kClearingStreams || record.message.empty()) return;
    const uint32_t index =
        sessions_.numbered(static_cast<uint16_t>(record.session - kClearingStreams));
    if (index == Sessions::kNone) return;
    Session& session = sessions_[index];
    if (record.kind == RecordKind::In) {
        session.lastReference = std::max(session.lastReference, record.sequence);
        sessions_.wait(session, {record.sequence, static_cast<uint8_t>(record.message[0]), true,
                                 kNoAccount});
        return;
    }
    Acknowledged acknowledged;
    Rejected rejected;
    AnswerEnd end;
    if (decode(record.message, acknowledged) == Decoded::Yes) {
        sessions_.answered(session, acknowledged.reference);
    } else if (decode(record.message, rejected) == Decoded::Yes) {
        sessions_.answered(session, rejected.reference);
    } else if (decode(record.message, end) == Decoded::Yes) {
        sessions_.answered(session, end.reference);
    }
}

void Gateway::begin() {
    resumed_ = store_.delivered();
    reach_.clear();
    for (uint32_t i = 0; i < sessions_.count(); ++i) {
        const uint32_t account = directory_.account(sessions_[i].user->account);
        if (account != kNoAccount) root(i, account);
    }
    for (AccountId id = 0; id < directory_.accounts(); ++id) {
        if (reach_.any(id)) router_.watchAccount(id, options_.outlet);
    }
}

void Gateway::root(uint32_t index, AccountId account) {
    sessions_[index].authority.root = account;
    reach_.add(account, index);
}

// A user's account may come to exist after its user did.
void Gateway::accountAdded(AccountId id) {
    const std::string_view name = directory_.accountName(id);
    for (uint32_t i = 0; i < sessions_.count(); ++i) {
        const Session& session = sessions_[i];
        if (session.authority.root == kNoAccount && session.user->account == name) root(i, id);
    }
    if (reach_.any(id)) router_.watchAccount(id, options_.outlet);
}

// Events behind the store's place have been delivered when the server opens, so what still waits of the
// requests that a stopped gateway left never got to the journal.
void Gateway::rejectWhatWasLost() {
    if (!lost_) return;
    lost_ = false;
    for (uint32_t i = 0; i < sessions_.count(); ++i) {
        Session& session = sessions_[i];
        const std::vector<WaitingRequest> waiting = session.waiting;
        for (const WaitingRequest& each : waiting) {
            if (!each.restored) continue;
            sessions_.answered(session, each.reference);
            refuse(session, each.reference, static_cast<char>(each.request),
                   static_cast<uint16_t>(Reason::NOT_CARRIED_OUT), 0, ownPlace(), true);
        }
    }
}

// ---- in

session::LoginAnswer Gateway::login(session::ConnectionId connection,
                                    const session::LoginRequest& request) {
    session::LoginAnswer answer;
    const User* user = users_.authenticate(request.user, request.password);
    if (user == nullptr) return answer;
    const uint32_t index = sessions_.numbered(user->session);
    if (index == Sessions::kNone) return answer;  // may neither clear nor administer
    rejectWhatWasLost();
    answer.rejected = session::LoginReject::SessionNotAvailable;
    if (failed_) return answer;
    if (!request.anySession && request.session != store_.sessionName()) return answer;
    Session& session = sessions_[index];
    answer.sequence = request.sequence == 0 ? store_.nextSequence(session.stream) : request.sequence;
    // Sequence numbers are 20 digits in the log-in, 32 bits in the store.
    if (answer.sequence > store_.nextSequence(session.stream)) return answer;
    if (!store_.seek(session.stream, static_cast<uint32_t>(answer.sequence), answer.cursor))
        return answer;
    if (session.connection.generation != 0 && server_ != nullptr)
        server_->close(session.connection, session::CloseReason::Replaced);
    sessions_.disconnect(session.connection);
    sessions_.connect(index, connection);
    answer.rejected = session::LoginReject::None;
    answer.session = store_.sessionName();
    answer.outbound = &store_.outbound(session.stream);
    return answer;
}

session::Taken Gateway::received(session::ConnectionId connection,
                                 std::span<const std::byte> message) {
    const uint32_t index = sessions_.connected(connection);
    if (index == Sessions::kNone || failed_) return Taken::Close;
    switch (message.empty() ? 0 : static_cast<char>(message[0])) {
#define VERBEX_X(Request) \
    case clearing::Request::kType: return take<clearing::Request>(index, message);
        VERBEX_CLEARING_REQUESTS(VERBEX_X)
#undef VERBEX_X
        case ReferenceQuery::kType: return tellReference(index, message);
        default: break;
    }
    ++counters_.malformed;
    return Taken::Close;
}

session::Taken Gateway::tellReference(uint32_t index, std::span<const std::byte> message) {
    Session& session = sessions_[index];
    ReferenceQuery query;
    if (decode(message, query) != Decoded::Yes) {
        ++counters_.malformed;
        return Taken::Close;
    }
    if (session.killWaits) return Taken::NotNow;
    ++counters_.messages;
    const bool sent = send(session,
                           ReferenceAnswer{sinceMidnight(directory_.timeNs()), query.tag,
                                           session.lastReference},
                           ownPlace(), true);
    return sent ? Taken::Yes : Taken::Close;
}

template <typename Request>
session::Taken Gateway::take(uint32_t index, std::span<const std::byte> message) {
    Session& session = sessions_[index];
    Request request;
    const Decoded decoded = decode(message, request);
    if (decoded == Decoded::NotThis) {
        ++counters_.malformed;
        return Taken::Close;
    }
    if (request.reference <= session.lastReference) {
        ++counters_.messages;
        ++counters_.duplicates;
        return Taken::Yes;
    }
    if (session.killWaits) return Taken::NotNow;
    Command command{};
    uint16_t why = static_cast<uint16_t>(Reason::MALFORMED_FIELD);
    if (decoded == Decoded::Yes) {
        if constexpr (Request::kType == clearing::Query::kType) {
            if (request.kind >= 1 && request.kind <= kQueryKindMax)
                return ask(index, request, message);
        } else {
            why = toCommand(directory_, session.authority, request, command);
            if (why == 0) return enter(index, request, command, message);
        }
    }
    if (!note(session, request.reference, message)) return Taken::Close;
    ++counters_.refusedHere;
    refuse(session, request.reference, Request::kType, why, 0, ownPlace(), true);
    return failed_ ? Taken::Close : Taken::Yes;
}

template <typename Request>
session::Taken Gateway::enter(uint32_t index, const Request& request, const Command& command,
                              std::span<const std::byte> message) {
    Session& session = sessions_[index];
    bool kills = false;
    if constexpr (Request::kType == clearing::KillSwitch::kType) kills = request.state == 1;
    if (!kills && !hasRoom(session)) return Taken::NotNow;
    if (kills && session.killsAsked() >= kKillsMax) {
        if (!note(session, request.reference, message)) return Taken::Close;
        ++counters_.refusedHere;
        refuse(session, request.reference, Request::kType,
               static_cast<uint16_t>(Reason::TOO_MANY_REQUESTS), 0, ownPlace(), true);
        return failed_ ? Taken::Close : Taken::Yes;
    }
    // Whatever is asked waits behind kills that wait.
    Command* cell = kills_.empty() ? port_.claim() : nullptr;
    if (cell == nullptr && !kills) return Taken::NotNow;
    if (!note(session, request.reference, message)) return Taken::Close;
    // From here on orders of this account are refused, whatever its command's place in the queue.
    if (kills) directory_.setKilled(command.account, true);
    Command entered = command;
    entered.token = GatewayToken{options_.outlet, session.number, request.reference}.pack();
    sessions_.wait(session, {request.reference, static_cast<uint8_t>(Request::kType), false,
                             kills ? command.account : kNoAccount});
    if (kills) ++counters_.kills;
    if (cell == nullptr) {
        kills_.push_back({index, entered});
        session.killWaits = true;
        return Taken::Yes;
    }
    *cell = entered;
    port_.enter();
    port_.flush();
    ++counters_.commands;
    return Taken::Yes;
}

session::Taken Gateway::ask(uint32_t index, const clearing::Query& query,
                            std::span<const std::byte> message) {
    Session& session = sessions_[index];
    if (!hasRoom(session)) return Taken::NotNow;
    if (!note(session, query.reference, message)) return Taken::Close;
    const uint32_t account = accountWithin(directory_, session.authority, query.account);
    auto why = static_cast<uint16_t>(Reason::NOT_BELOW_YOUR_ACCOUNT);
    if (account != kNoAccount) {
        const Question question{account, ordersOf(static_cast<QueryKind>(query.kind), query.after)};
        const Status asked = questions_.ask(
            question, [this, alive = std::weak_ptr<bool>(alive_), index, query](
                          const Status& failure, const AccountStatement& statement) {
                if (!alive.expired()) answer(index, query.reference, query, failure, statement);
            });
        if (asked.isOk()) {
            sessions_.wait(session, {query.reference, clearing::Query::kType, false, kNoAccount});
            ++counters_.questions;
            return Taken::Yes;
        }
        why = static_cast<uint16_t>(Reason::TOO_MANY_REQUESTS);
    }
    ++counters_.refusedHere;
    refuse(session, query.reference, clearing::Query::kType, why, 0, ownPlace(), true);
    return failed_ ? Taken::Close : Taken::Yes;
}

bool Gateway::note(Session& session, uint32_t reference, std::span<const std::byte> message) {
    if (!store_.appendIn(session.stream, reference, directory_.timeNs(), message).isOk()) {
        failed_ = true;
        return false;
    }
    session.lastReference = reference;
    ++counters_.messages;
    return true;
}

bool Gateway::work(uint64_t) {
    bool worked = false;
    while (!kills_.empty()) {
        Command* cell = port_.claim();
        if (cell == nullptr) break;
        *cell = kills_.front().command;
        port_.enter();
        ++counters_.commands;
        sessions_[kills_.front().session].killWaits = false;
        kills_.pop_front();
        worked = true;
    }
    if (worked) port_.flush();
    return worked;
}

// ---- out

template <typename Message>
bool Gateway::send(Session& session, const Message& message, const EventPlace& place, bool last) {
    std::byte* to = failed_ ? nullptr
                            : store_.claimOut(session.stream, Message::kBytes, place,
                                              directory_.timeNs());
    if (to == nullptr) {
        failed_ = true;
        return false;
    }
    encode(to, message);
    store_.commit(last);
    if (session.connection.generation != 0 && server_ != nullptr) server_->touch(session.connection);
    return true;
}

void Gateway::refuse(Session& session, uint32_t reference, char request, uint16_t reason,
                     uint64_t position, const EventPlace& place, bool last) {
    send(session,
         Rejected{sinceMidnight(directory_.timeNs()), reference, static_cast<uint8_t>(request),
                  position, reason, reasonText(reason)},
         place, last);
}

void Gateway::answer(uint32_t index, uint32_t reference, const clearing::Query& query,
                     const Status& failure, const AccountStatement& statement) {
    Session& session = sessions_[index];
    if (!sessions_.answered(session, reference)) return;
    const EventPlace place = ownPlace();
    if (!failure.isOk() || !statement.exists) {
        refuse(session, reference, clearing::Query::kType,
               static_cast<uint16_t>(Reason::NO_ANSWER), 0, place, true);
        return;
    }
    const auto kind = static_cast<QueryKind>(query.kind);
    uint32_t found = 0;
    eachRow(statement, kind, directory_, [&](uint64_t number, const auto&) {
        if (number > query.after) ++found;
    });
    const uint32_t rows = std::min(found, kAnswerRowsMax);
    const uint64_t time = sinceMidnight(directory_.timeNs());
    send(session,
         AnswerBegin{time, reference, query.kind, query.account, statement.position, rows}, place,
         false);
    uint32_t sent = 0;
    uint64_t lastNumber = 0;
    eachRow(statement, kind, directory_, [&](uint64_t number, auto row) {
        if (number <= query.after || sent == rows) return;
        row.time = time;
        row.reference = reference;
        send(session, row, place, false);
        lastNumber = number;
        ++sent;
    });
    send(session,
         AnswerEnd{time, reference, statement.position, statement.openOrders,
                   found > rows ? lastNumber : 0},
         place, true);
}

void Gateway::deliver(const Event& event, const EventPlace& place) {
    // Also where its messages are stored: the directory may have begun before it.
    if (event.type == static_cast<uint8_t>(EventType::AccountAdded)) accountAdded(event.account);
    if (failed_ || place <= resumed_) return;
    plan_.clear();
    plan(event);
    for (size_t i = 0; i < plan_.size(); ++i)
        carryOut(plan_[i], event, place, i + 1 == plan_.size());
    if (event.type == static_cast<uint8_t>(EventType::DayEnded)) endDay();
}

// Which sessions get what: pushes first, the answer behind them.
void Gateway::plan(const Event& event) {
    const auto pushTo = [this](AccountId id, Effect effect) {
        reach_.each(id, [&](uint32_t session) { plan_.push_back({session, effect}); });
    };
    switch (static_cast<EventType>(event.type)) {
        case EventType::Trade:
            pushTo(event.account, Effect::Push);
            pushTo(event.account2, Effect::MakerPush);
            break;
        case EventType::BalanceChanged:
            if ((event.flags & kEventDuplicate) == 0) pushTo(event.account, Effect::Push);
            break;
        case EventType::LimitSet: pushTo(event.account, Effect::Push); break;
        case EventType::KillSwitchSet:
            // Those above it, and those whom it stops.
            for (uint32_t i = 0; i < sessions_.count(); ++i) {
                const Session& session = sessions_[i];
                const uint32_t root = session.authority.root;
                if (root == kNoAccount) continue;
                if (directory_.isBelow(event.account, root) ||
                    directory_.isBelow(root, event.account))
                    plan_.push_back({i, Effect::Push});
                // It was asked to be on after it was asked to be off: still ahead of the queue.
                if (event.side != 2) continue;
                for (const WaitingRequest& each : session.waiting)
                    if (each.kills == event.account && each.reference != 0 &&
                        GatewayToken{options_.outlet, session.number, each.reference}.pack() !=
                            event.token)
                        directory_.setKilled(event.account, true);
            }
            break;
        default: break;
    }
    if (!GatewayToken::is(event.token)) return;
    const GatewayToken token = GatewayToken::of(event.token);
    if (token.outlet != options_.outlet) return;
    const uint32_t index = sessions_.numbered(token.session);
    if (index == Sessions::kNone) return;
    const auto type = static_cast<EventType>(event.type);
    // A transfer's first event is the payer's, who asked.
    const bool answers =
        type == EventType::Rejected || type == EventType::LimitSet ||
        type == EventType::KillSwitchSet || type == EventType::MassCancelled ||
        type == EventType::RightsSet || type == EventType::InstrumentRightSet ||
        (type == EventType::BalanceChanged &&
         (event.kind != static_cast<uint8_t>(CommandType::Transfer) ||
          (event.flags & kEventDuplicate) != 0 || (event.flags & kEventLast) == 0));
    if (answers) plan_.push_back({index, Effect::Answer});
}

void Gateway::carryOut(const Planned& planned, const Event& event, const EventPlace& place,
                       bool last) {
    Session& session = sessions_[planned.session];
    if (planned.effect != Effect::Answer) {
        push(session, event, place, planned.effect == Effect::MakerPush, last);
        return;
    }
    const uint32_t reference = GatewayToken::of(event.token).reference;
    sessions_.answered(session, reference);
    if (event.type == static_cast<uint8_t>(EventType::Rejected)) {
        refuse(session, reference, requestOf(event.kind), event.code, event.position, place, last);
    } else {
        acknowledge(session, reference, event, place, last);
    }
}

void Gateway::push(Session& session, const Event& event, const EventPlace& place, bool maker,
                   bool last) {
    const uint64_t time = sinceMidnight(directory_.timeNs());
    const Name owner = account(event.account);
    switch (static_cast<EventType>(event.type)) {
        case EventType::Trade: {
            ++counters_.executions;
            const uint8_t side = maker ? static_cast<uint8_t>(3 - event.side) : event.side;
            send(session,
                 Execution{time, place.position, place.index,
                           nameOf(directory_.instrumentName(event.instrument)),
                           account(maker ? event.account2 : event.account), side,
                           static_cast<uint8_t>(maker ? 'A' : 'R'),
                           maker ? event.orderId2 : event.orderId, maker ? event.id2 : event.id,
                           event.price, event.quantity, maker ? event.leaves2 : event.leaves,
                           maker ? event.fee2 : event.fee, event.tradeId,
                           accountIfReached(session, maker ? event.account : event.account2)},
                 place, last);
            break;
        }
        case EventType::BalanceChanged: {
            const bool transfer = event.kind == static_cast<uint8_t>(CommandType::Transfer);
            const auto change = static_cast<Amount>(
                UnsignedAmount{static_cast<uint64_t>(event.quantity)} << 64 |
                static_cast<uint64_t>(event.price));
            send(session,
                 clearing::BalanceChanged{
                     time, place.position, place.index, owner,
                     nameOf(directory_.assetName(event.instrument)), event.kind, change,
                     event.amount, event.id,
                     transfer ? accountIfReached(session, event.account2) : Name{}},
                 place, last);
            break;
        }
        case EventType::LimitSet:
            send(session,
                 clearing::LimitSet{time, place.position, place.index, owner, event.kind,
                                    subjectName(directory_, static_cast<LimitKind>(event.kind),
                                                event.instrument),
                                    event.amount},
                 place, last);
            break;
        case EventType::KillSwitchSet:
            send(session,
                 clearing::KillSwitchSet{time, place.position, place.index, owner, event.side,
                                         static_cast<uint64_t>(event.quantity)},
                 place, last);
            break;
        default: break;
    }
}

void Gateway::acknowledge(Session& session, uint32_t reference, const Event& event,
                          const EventPlace& place, bool last) {
    const bool duplicate = (event.flags & kEventDuplicate) != 0;
    Acknowledged message{};
    message.time = sinceMidnight(directory_.timeNs());
    message.reference = reference;
    message.position = duplicate ? event.orderId : event.position;
    message.duplicate = duplicate ? 1 : 0;
    message.account = account(event.account);
    switch (static_cast<EventType>(event.type)) {
        case EventType::BalanceChanged:
            message.request = static_cast<uint8_t>(requestOf(event.kind));
            message.subject = nameOf(directory_.assetName(event.instrument));
            message.value = event.amount;
            break;
        case EventType::LimitSet:
            message.request = static_cast<uint8_t>(SetLimit::kType);
            message.subject = subjectName(directory_, static_cast<LimitKind>(event.kind),
                                          event.instrument);
            message.value = event.amount;
            break;
        case EventType::KillSwitchSet:
            message.request = static_cast<uint8_t>(clearing::KillSwitch::kType);
            message.value = event.quantity;
            break;
        case EventType::MassCancelled:
            message.request = static_cast<uint8_t>(MassCancel::kType);
            message.subject = nameOf(directory_.instrumentName(event.instrument));
            message.value = event.quantity;
            break;
        case EventType::RightsSet:
            message.request = static_cast<uint8_t>(SetRights::kType);
            break;
        case EventType::InstrumentRightSet:
            message.request = static_cast<uint8_t>(SetInstrumentRight::kType);
            message.subject = nameOf(directory_.instrumentName(event.instrument));
            break;
        default: break;
    }
    send(session, message, place, last);
}

// References begin again. What waits for its answer gets it on the new day; what a stopped gateway left on the old
// one is not told any more.
void Gateway::endDay() {
    for (uint32_t i = 0; i < sessions_.count(); ++i) {
        Session& session = sessions_[i];
        session.lastReference = 0;
        sessions_.forgetRestored(session);
    }
}

}  // namespace

}  // namespace verbex::gateway::clearing

namespace verbex::gateway {

std::unique_ptr<ClearingGateway> ClearingGateway::create(
    const ClearingGatewayOptions& options, CommandPort& port, QuestionPort& questions,
    MessageStore& store, Directory& directory, EventRouter& router, const Users& users) {
    return std::make_unique<clearing::Gateway>(options, port, questions, store, directory, router,
                                               users);
}

}  // namespace verbex::gateway
