// Sessions, and messages about orders that are there. New orders: order_entry.cpp; events: order_events.cpp.
#include <algorithm>

#include "base/check.h"
#include "gateway/ouch/order_gateway_parts.h"

namespace verbex::gateway {

std::unique_ptr<OrderGateway> OrderGateway::create(const OrderGatewayOptions& options,
                                                   CommandPort& port, MessageStore& store,
                                                   Directory& directory, const Users& users) {
    return std::make_unique<ouch::OuchGateway>(options, port, store, directory, users);
}

}  // namespace verbex::gateway

namespace verbex::gateway::ouch {

using session::CloseReason;
using session::ConnectionId;
using session::LoginAnswer;
using session::LoginReject;
using session::Taken;

namespace {
// Offered in one round, so that a session with many orders does not hold the others up.
constexpr int kCancelsPerRound = 256;

// One more than the highest number.
size_t sessionsOf(const Users& users) {
    size_t count = 1;
    for (const User& user : users.all()) count = std::max(count, size_t{user.session} + 1);
    return count;
}
}  // namespace

OuchGateway::OuchGateway(const OrderGatewayOptions& options, CommandPort& port, MessageStore& store,
                         Directory& directory, const Users& users)
    : options_(options), port_(port), store_(store), directory_(directory), users_(users),
      sessions_(sessionsOf(users)), orders_(options.ordersMax, sessions_.size()) {
    for (const FirmThrottle& firm : options.firms) {
        firms_.emplace_back(firm.firm,
                            session::TokenBucket(firm.ordersPerSecond, firm.ordersBurst));
    }
    for (uint32_t number = 0; number < sessions_.size(); number++) {
        sessions_[number].number = static_cast<uint16_t>(number);
    }
    for (const User& user : users.all()) {
        Session& session = sessions_[user.session];
        session.user = &user;
        session.bucket = session::TokenBucket(user.ordersPerSecond, user.ordersBurst);
    }
    cancelling_.reserve(users.all().size());
}

// ---- sessions

OuchGateway::Session* OuchGateway::sessionOf(ConnectionId connection) {
    if (connection.slot >= byConnection_.size()) return nullptr;
    Session& session = sessions_[byConnection_[connection.slot]];
    return session.connection == connection ? &session : nullptr;
}

LoginAnswer OuchGateway::login(ConnectionId connection, const session::LoginRequest& request) {
    LoginAnswer answer;
    const User* const user = users_.authenticate(request.user, request.password);
    if (user == nullptr || !user->mayTrade) return answer;
    const uint32_t account = directory_.account(user->account);
    if (account == UINT32_MAX || account == 0) return answer;
    Session& session = sessions_[user->session];
    answer.rejected = LoginReject::SessionNotAvailable;
    if (!request.anySession && request.session != store_.sessionName()) return answer;
    if (store_.nextSequence(session.number) == 1) startDay(session);
    const uint32_t next = store_.nextSequence(session.number);
    if (!store_.status().isOk()) return answer;
    if (request.sequence > next) return answer;
    const uint32_t sequence = request.sequence == 0 ? next : static_cast<uint32_t>(request.sequence);
    if (!store_.seek(session.number, sequence, answer.cursor)) return answer;

    if (session.connection.generation != 0) {
        const ConnectionId before = session.connection;
        session.connection = {};
        server_->close(before, CloseReason::Replaced);
    }
    if (byConnection_.size() <= connection.slot) byConnection_.resize(connection.slot + 256);
    byConnection_[connection.slot] = session.number;
    session.connection = connection;
    session.account = account;
    session.rejectsInRow = 0;
    session.firm = nullptr;
    const std::string_view firm = directory_.accountName(directory_.firm(account));
    for (auto& [name, bucket] : firms_) {
        if (name == firm) session.firm = &bucket;
    }
    answer.rejected = LoginReject::None;
    answer.session = store_.sessionName();
    answer.sequence = sequence;
    answer.outbound = &store_.outbound(session.number);
    return answer;
}

void OuchGateway::closed(ConnectionId connection, CloseReason) {
    Session* const session = sessionOf(connection);
    // Replaced: whoever took its place goes on with its orders.
    if (session == nullptr) return;
    session->connection = {};
    if (session->user->cancelOnDisconnect) beginCancelling(*session);
}

void OuchGateway::beginCancelling(Session& session) {
    if (session.cancelling || orders_.first(session.number) == 0) return;
    session.cancelling = true;
    cancelling_.push_back(session.number);
}

bool OuchGateway::work(uint64_t nowNs) {
    nowNs_ = nowNs;
    if (cancelling_.empty()) return false;
    size_t kept = 0;
    for (const uint16_t number : cancelling_) {
        Session& session = sessions_[number];
        if (cancelOpen(session)) {
            session.cancelling = false;
        } else {
            cancelling_[kept++] = number;
        }
    }
    const bool done = kept != cancelling_.size();
    cancelling_.resize(kept);
    return done;
}

// True: a cancel of every open order of the session has been entered; each leaves the table with its answer.
bool OuchGateway::cancelOpen(Session& session) {
    int asked = 0;
    for (uint32_t reference = orders_.first(session.number); reference != 0;
         reference = orders_.after(session.number, reference)) {
        OpenOrder* const order = orders_.find(session.number, reference);
        if (order->cancelAsked) continue;
        if (asked++ == kCancelsPerRound) return false;
        Command* const command = port_.claim();
        if (command == nullptr) return false;
        fillCommand(*command, CommandType::CancelOrder, session, reference, 0);
        command->id = writeSessionOrderId({session.number, order->day, reference});
        port_.enter();
        counters_.cancelsOnDisconnect++;
        order->cancelAsked = true;
    }
    return true;
}

void OuchGateway::touch(const Session& session) {
    if (session.connection.generation != 0 && server_ != nullptr) {
        server_->touch(session.connection);
    }
}

void OuchGateway::fillCommand(Command& command, CommandType type, const Session& session,
                              uint32_t reference, uint32_t tokenReference) const {
    command.type = static_cast<uint8_t>(type);
    command.account = session.account;
    command.id = writeSessionOrderId(
        {session.number, static_cast<uint32_t>(store_.dayStart()), reference});
    command.token = GatewayToken{options_.outlet, session.number, tokenReference}.pack();
}

// ---- messages

Taken OuchGateway::received(ConnectionId connection, std::span<const std::byte> bytes) {
    Session* const session = sessionOf(connection);
    CHECK(session != nullptr);
    if (session->cancelling) return Taken::NotNow;  // of the connection before: first that
    const Message message = readInbound(bytes);
    if (message.malformed()) {
        counters_.malformed++;
        return Taken::Close;
    }
    Taken taken = Taken::Close;
    switch (message.type) {
        case EnterOrder::kType: taken = enter(*session, message); break;
        case ReplaceOrder::kType: taken = replace(*session, message); break;
        case CancelOrder::kType: taken = cancel(*session, message); break;
        case ModifyOrder::kType: taken = cancel(*session, message); break;
        case MassCancel::kType: taken = massCancel(*session, message); break;
        case DisableEntry::kType:
        case EnableEntry::kType: taken = switchEntry(*session, message); break;
        case AccountQuery::kType: taken = accountQuery(*session, message); break;
        default: break;
    }
    if (taken == Taken::Yes) counters_.messages++;
    if (taken == Taken::NotNow) counters_.waits++;
    if (!store_.status().isOk()) return Taken::Close;
    return taken;
}

Taken OuchGateway::cancel(Session& session, const Message& message) {
    const std::span<const std::byte> bytes{message.at, message.bytes()};
    Options options;
    if (readAllowed(message.appendage, 0, options) != Reason::None) {
        const uint32_t reference = message.type == ModifyOrder::kType
                                       ? message.as<ModifyOrder>().userRefNum
                                       : message.as<CancelOrder>().userRefNum;
        return refuseCancel(session, reference, bytes);
    }
    if (message.type == ModifyOrder::kType) {
        const auto& modify = message.as<ModifyOrder>();
        const OpenOrder* const order = orders_.find(session.number, modify.userRefNum);
        // Sides don't change here: there are no short sales.
        const bool known = order != nullptr && order->side == modify.side;
        return reduce(session, modify.userRefNum, known ? uint32_t{modify.quantity} : UINT32_MAX,
                      true, bytes);
    }
    const auto& cancel = message.as<CancelOrder>();
    return reduce(session, cancel.userRefNum, cancel.quantity, false, bytes);
}

// To `quantity` lots in all, the executed part included; 0: everything that is open. What is taken off is the
// difference between two wishes of the client, so executions under way can't make it too much or too little.
Taken OuchGateway::reduce(Session& session, uint32_t reference, uint32_t quantity, bool modify,
                          std::span<const std::byte> bytes) {
    OpenOrder* const order = orders_.find(session.number, reference);
    // How much there is to take off is not known before the answer that is under way.
    const bool unsure = order != nullptr && (order->reducing != 0 ||
                                             (order->replacement && order->orderId == 0));
    if (unsure && quantity != 0) return Taken::NotNow;
    if (order == nullptr || quantity >= order->intended) {
        return refuseCancel(session, reference, bytes);
    }
    Command* const command = port_.claim();
    if (command == nullptr) return Taken::NotNow;
    if (!keep(session, reference, bytes)) return Taken::Close;
    fillCommand(*command, quantity == 0 ? CommandType::CancelOrder : CommandType::ReduceOrder,
                session, reference, reference);
    command->id = writeSessionOrderId({session.number, order->day, reference});
    if (quantity != 0) {
        command->quantity = order->reducing = order->intended - quantity;
        if (modify) command->token |= kModifyBit;
    }
    port_.enter();
    counters_.cancels++;
    return Taken::Yes;
}

Taken OuchGateway::refuseCancel(Session& session, uint32_t reference,
                                std::span<const std::byte> bytes) {
    if (!store_.appendIn(session.number, reference, directory_.timeNs(), bytes).isOk()) {
        return Taken::Close;
    }
    CancelReject* const reject = ownMessage<CancelReject>(session);
    if (reject == nullptr) return Taken::Close;
    reject->userRefNum = reference;
    commit(session, true);
    counters_.rejectedHere++;
    return Taken::Yes;
}

bool OuchGateway::keep(const Session& session, uint32_t reference,
                       std::span<const std::byte> bytes) {
    if (store_.appendIn(session.number, reference, directory_.timeNs(), bytes).isOk()) return true;
    // The cell is claimed, and the engine waits at it.
    port_.enter();
    return false;
}

void OuchGateway::startDay(const Session& session) {
    std::byte* const at =
        store_.claimOut(session.number, kBytes<SystemEvent>, ownPlace(), directory_.timeNs());
    if (at == nullptr) return;
    SystemEvent& started = ouch::begin<SystemEvent>(at);
    started.timestamp = nsOfDay(directory_.timeNs());
    started.event = kStartOfDay;
    commit(session, true);
}

// The client's own switch: no new orders and replaces of this session until it says otherwise.
Taken OuchGateway::switchEntry(Session& session, const Message& message) {
    const bool disable = message.type == DisableEntry::kType;
    const uint32_t reference = disable ? message.as<DisableEntry>().userRefNum
                                       : message.as<EnableEntry>().userRefNum;
    const FirmCode firm = disable ? message.as<DisableEntry>().firm : message.as<EnableEntry>().firm;
    if (reference < session.nextReference) {
        counters_.duplicates++;
        return Taken::Yes;
    }
    const std::span<const std::byte> bytes{message.at, message.bytes()};
    Options options;
    Reason reason = readAllowed(message.appendage, 0, options);
    if (firm != kNoFirm) reason = Reason::FirmNotAuthorized;
    if (reason != Reason::None) return refuse(session, reference, reason, kNoClOrdId, bytes);
    if (!store_.appendIn(session.number, reference, directory_.timeNs(), bytes).isOk()) {
        return Taken::Close;
    }
    use(session, reference);
    session.disabled = disable;
    if (disable) {
        DisableResponse* const response = ownMessage<DisableResponse>(session);
        if (response == nullptr) return Taken::Close;
        response->userRefNum = reference;
        response->firm = firm;
    } else {
        EnableResponse* const response = ownMessage<EnableResponse>(session);
        if (response == nullptr) return Taken::Close;
        response->userRefNum = reference;
        response->firm = firm;
    }
    commit(session, true);
    return Taken::Yes;
}

Taken OuchGateway::accountQuery(Session& session, const Message& message) {
    Options options;
    const Reason reason = readAllowed(message.appendage, 0, options);
    if (reason != Reason::None) {
        Rejected* const rejected = ownMessage<Rejected>(session);
        if (rejected == nullptr) return Taken::Close;
        rejected->reason = static_cast<uint16_t>(reason);
        rejected->clOrdId = kNoClOrdId;
        commit(session, true);
        counters_.rejectedHere++;
        return Taken::Yes;
    }
    AccountQueryResponse* const response = ownMessage<AccountQueryResponse>(session);
    if (response == nullptr) return Taken::Close;
    response->nextUserRefNum =
        static_cast<uint32_t>(std::min<uint64_t>(session.nextReference, UINT32_MAX));
    commit(session, true);
    return Taken::Yes;
}

}  // namespace verbex::gateway::ouch
