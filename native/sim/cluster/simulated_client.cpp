#include "sim/cluster/simulated_client.h"

#include <algorithm>
#include <cstring>

#include "wire/command_codec.h"

namespace verbex::sim {

using replication::Answered;
using replication::FrameBuffer;
using replication::FrameKind;

namespace {

constexpr uint64_t kTickNs = 2 * kMillis;

ClientId clientIdOf(uint32_t client, uint64_t number) {
    const std::string text = "c" + std::to_string(client) + "-" + std::to_string(number);
    ClientId id{};
    std::memcpy(static_cast<void*>(&id), text.data(), std::min(text.size(), sizeof(id)));
    return id;
}

}  // namespace

SimulatedClient::SimulatedClient(const ClientPlan& plan, uint32_t members, Timeline& timeline,
                                 Random random, Network& network, const Oracle& oracle,
                                 Accepts accepts, Oracle::OnProblem onProblem)
    : plan_(plan), members_(members), timeline_(timeline), random_(random), network_(network),
      oracle_(oracle), accepts_(std::move(accepts)), onProblem_(std::move(onProblem)) {}

void SimulatedClient::problem(const std::string& text) {
    onProblem_("client " + std::to_string(plan_.id) + ": " + text);
}

void SimulatedClient::start() {
    started_ = true;
    target_ = static_cast<MemberId>(random_.between(1, members_));
    for (const Command& prepared : plan_.prepared) {
        Command command = prepared;
        command.token = uint64_t{plan_.id + 1} << 32 | ++sent_;
        waiting_[command.token] = {command, 0};
    }
    tick();
}

bool SimulatedClient::isDone() const {
    const bool all = sent_ >= std::max<uint64_t>(plan_.commands, plan_.prepared.size());
    return started_ && waiting_.empty() && (enough_ || all);
}

// ---- sending

void SimulatedClient::tick() {
    const uint64_t now = timeline_.now();
    if (connection_ == 0 && now >= connectAt_) connect(target_);
    const bool trades = plan_.commands > 0;
    const bool hasRoom = waiting_.size() < plan_.window;
    if (trades && !enough_ && hasRoom && sent_ < plan_.commands &&
        random_.below(plan_.paceNs) < kTickNs) {
        Command command = order();
        command.token = uint64_t{plan_.id + 1} << 32 | ++sent_;
        waiting_[command.token] = {command, 0};
    }
    if (connection_ != 0) {
        bool silent = false;
        const bool again = againAt_ != 0 && now >= againAt_;
        if (again) againAt_ = 0;
        for (auto& [token, each] : waiting_) {
            if (each.sentAt == 0) continue;
            silent |= now - std::max(each.sentAt, heardAt_) > plan_.patienceNs;
            // Whoever took it may have lost and regained the lead meanwhile.
            if (again || now - each.sentAt > 2 * plan_.patienceNs) each.sentAt = 0;
        }
        // A watcher looks elsewhere now and then, whether or not it has to.
        silent |= waiting_.empty() && now - heardAt_ > 3 * plan_.patienceNs;
        if (silent) {
            leave(0);
        } else {
            sendWaiting();
        }
    }
    timeline_.after(kTickNs, [this] { tick(); });
}

void SimulatedClient::connect(MemberId member) {
    connection_ = network_.connect(plan_.id, member, accepts_(member));
    heardAt_ = timeline_.now();
    partOf_ = 0;
    part_.clear();
    for (auto& [token, each] : waiting_) each.sentAt = 0;
    replication::SubscribeFrame frame;
    frame.header.flags = plan_.entries ? replication::kSubscribeEntries : 0;
    frame.from = next_;
    if (plan_.filtered) frame.accountFirst = frame.accountLast = plan_.account;
    cursorBatch_ = next_;
    cursorEvent_ = 0;
    FrameBuffer buffer;
    network_.sendToMember(connection_, buffer.make(frame));
}

void SimulatedClient::leave(MemberId next) {
    if (connection_ != 0) network_.closeByClient(connection_);
    connection_ = 0;
    target_ = next != 0 && next <= members_ && next != target_ ? next : target_ % members_ + 1;
    connectAt_ = timeline_.now() + random_.between(kMillis, 20 * kMillis);
}

// Everything that has not been sent over this connection, some of it together.
void SimulatedClient::sendWaiting() {
    std::vector<Command> commands;
    for (auto& [token, each] : waiting_) {
        if (each.sentAt != 0) continue;
        each.sentAt = timeline_.now();
        commands.push_back(each.command);
    }
    if (commands.empty()) return;
    resent_ += commands.size();
    std::vector<std::byte> payload;
    encodeBatch(commands, payload);
    replication::SubmitFrame frame;
    frame.sequence = ++sequence_;
    frame.count = static_cast<uint32_t>(commands.size());
    frame.payloadBytes = static_cast<uint32_t>(payload.size());
    FrameBuffer buffer;
    network_.sendToMember(connection_, buffer.make(frame, payload));
}

Command SimulatedClient::order() {
    Command command{};
    command.account = plan_.account;
    command.instrument = 1;
    const uint64_t draw = random_.below(100);
    if (draw < 70 || ids_.empty()) {
        command.type = static_cast<uint8_t>(CommandType::NewOrder);
        command.id = clientIdOf(plan_.id, sent_ + 1);
        command.side = static_cast<uint8_t>(random_.between(1, 2));
        command.orderType = static_cast<uint8_t>(OrderType::Limit);
        command.timeInForce = static_cast<uint8_t>(random_.below(4) == 0 ? TimeInForce::Ioc : TimeInForce::Gtc);
        command.price = static_cast<int64_t>(random_.between(95, 105));
        command.quantity = static_cast<int64_t>(random_.between(1, 20));
        ids_.push_back(command.id);
        return command;
    }
    command.id = ids_[random_.below(ids_.size())];
    if (draw < 88) {
        command.type = static_cast<uint8_t>(CommandType::CancelOrder);
        return command;
    }
    command.type = static_cast<uint8_t>(CommandType::ReplaceOrder);
    command.flags = kCommandExtended;
    command.newId = clientIdOf(plan_.id, sent_ + 1);
    command.price = static_cast<int64_t>(random_.between(95, 105));
    command.quantity = static_cast<int64_t>(random_.between(1, 20));
    ids_.push_back(command.newId);
    return command;
}

// ---- hearing

void SimulatedClient::onClosed(NodeId connection) {
    if (connection == connection_) {
        connection_ = 0;
        leave(0);
    }
}

void SimulatedClient::onFrame(NodeId connection, const Network::Frame& frame) {
    if (connection != connection_) return;
    heardAt_ = timeline_.now();
    std::span<const std::byte> payload;
    switch (replication::kindOf(*frame)) {
        case FrameKind::Submitted:
            if (replication::SubmittedFrame head; replication::readFrame(*frame, head)) {
                onSubmitted(head);
                return;
            }
            break;
        case FrameKind::Events:
            if (replication::EventsFrame head; replication::readHead(*frame, head, payload)) {
                onEvents(head, payload);
                return;
            }
            break;
        case FrameKind::Entries:
            if (replication::EntriesFrame head; replication::readHead(*frame, head, payload)) {
                onEntries(head, payload);
                return;
            }
            break;
        case FrameKind::Refused:
            if (replication::RefusedFrame head; replication::readFrame(*frame, head)) {
                if (head.why == Answered::Malformed) problem("its subscription is called malformed");
                if (head.why == Answered::PositionLost && head.resume <= next_) {
                    problem("position " + std::to_string(next_) + " is not kept any more");
                }
                if (head.why == Answered::PositionLost && head.resume > next_) lost(head.resume);
                leave(head.leader);
                return;
            }
            break;
        default: break;
    }
    problem("it is sent a frame that is none");
}

// Members keep events and entries for a while only. When all of them have said so it goes on behind the gap; what
// became of its commands there it hears when it sends them again.
void SimulatedClient::lost(Position resume) {
    if (++refusals_ < 3 * members_) return;
    refusals_ = 0;
    gaps_.emplace_back(next_, resume);
    next_ = cursorBatch_ = resume;
    cursorEvent_ = 0;
    part_.clear();
    partOf_ = 0;
}

void SimulatedClient::lose(Position kept) {
    std::erase_if(effects_, [kept](const auto& each) { return each.second > kept; });
    if (next_ <= kept + 1 && cursorBatch_ <= kept + 1 && (partOf_ == 0 || partLast_ <= kept)) return;
    if (next_ > kept + 1) {
        // Its ledger begins anew: it holds executions that never were.
        gaps_ = {{1, kept + 1}};
        fills_ = 0;
        bought_ = sold_ = 0;
        next_ = kept + 1;
    }
    part_.clear();
    partOf_ = 0;
    cursorBatch_ = next_;
    cursorEvent_ = 0;
    leave(0);
}

void SimulatedClient::onSubmitted(const replication::SubmittedFrame& frame) {
    switch (frame.answer) {
        case Answered::Taken: break;
        case Answered::Busy:
            // Which of them were taken, the output says; what is not there soon is sent again.
            againAt_ = timeline_.now() + 5 * kMillis;
            break;
        case Answered::NotLeader:
        case Answered::Halted: leave(frame.leader); break;
        default: problem("its commands are called malformed");
    }
}

bool SimulatedClient::concerns(const Event& event) const {
    return !plan_.filtered || event.account == plan_.account || event.account2 == plan_.account;
}

// The next event that it is to be told, as one core alone gave it.
const Event* SimulatedClient::expected() {
    for (const ReleasedBatch* batch = oracle_.batchAt(cursorBatch_); batch != nullptr;
         batch = oracle_.batchAt(cursorBatch_)) {
        while (cursorEvent_ < batch->events.size()) {
            const Event& event = batch->events[cursorEvent_++];
            if (event.position >= next_ && concerns(event)) return &event;
        }
        cursorBatch_ = batch->entry.last() + 1;
        cursorEvent_ = 0;
    }
    return nullptr;
}

void SimulatedClient::onEvents(const replication::EventsFrame& frame,
                               std::span<const std::byte> payload) {
    if (payload.size() != size_t{frame.count} * sizeof(Event)) {
        problem("it is sent events that are none");
        return;
    }
    if (frame.last > oracle_.released()) {
        problem("it is told of position " + std::to_string(frame.last) + ", which nobody has released");
        return;
    }
    if (partOf_ != 0 && partOf_ != frame.first) batchEnds();
    if (frame.last < next_ || (!plan_.filtered && frame.first > next_)) {
        problem("it waits for position " + std::to_string(next_) + " and is told of " +
                std::to_string(frame.first) + " to " + std::to_string(frame.last));
        return;
    }
    partOf_ = frame.first;
    partLast_ = frame.last;
    for (uint32_t i = 0; i < frame.count; i++) {
        Event event;
        std::memcpy(static_cast<void*>(&event), payload.data() + i * sizeof(Event), sizeof(Event));
        const Event* known = expected();
        if (known == nullptr || std::memcmp(known, &event, sizeof(Event)) != 0) {
            problem("it is told of an event at position " + std::to_string(event.position) +
                    " that one core alone does not give there");
            return;
        }
        part_.push_back(event);
    }
    if ((frame.header.flags & replication::kEventsMore) == 0) batchEnds();
}

void SimulatedClient::batchEnds() {
    for (const Event& event : part_) take(event);
    part_.clear();
    partOf_ = 0;
    refusals_ = 0;
    next_ = partLast_ + 1;
}

void SimulatedClient::take(const Event& event) {
    if (event.type == static_cast<uint8_t>(EventType::Trade) && plan_.account != 0) {
        const bool takerBuys = event.side == static_cast<uint8_t>(Side::Buy);
        if (event.account == plan_.account) (takerBuys ? bought_ : sold_) += event.quantity;
        if (event.account2 == plan_.account) (takerBuys ? sold_ : bought_) += event.quantity;
        if (event.account == plan_.account || event.account2 == plan_.account) fills_++;
    }
    if (event.token >> 32 != plan_.id + 1) return;
    const bool accepts = event.type == static_cast<uint8_t>(EventType::Accepted) ||
                         event.type == static_cast<uint8_t>(EventType::Replaced) ||
                         event.type == static_cast<uint8_t>(EventType::BalanceChanged);
    if (accepts && (event.flags & kEventDuplicate) == 0 &&
        !effects_.try_emplace(event.token, event.position).second) {
        problem("its command " + std::to_string(event.token & UINT32_MAX) + " takes effect twice");
    }
    if (plan_.account != 0 && event.account != plan_.account) return;
    waiting_.erase(event.token);
}

void SimulatedClient::onEntries(const replication::EntriesFrame& frame,
                                std::span<const std::byte> payload) {
    const Position first = frame.entry.first;
    if (frame.entry.count == 0) {
        // How far there is something to read.
        if (first > oracle_.released() + 1) problem("it is told of positions that nobody has released");
        return;
    }
    const ReleasedBatch* known = oracle_.batchAt(first);
    if (first != next_) {
        problem("it waits for the entry at position " + std::to_string(next_) + " and is sent " +
                std::to_string(first));
        return;
    }
    if (known == nullptr || known->entry.first != first || known->entry.last() != frame.entry.last() ||
        known->payload != hash128(payload.data(), payload.size(), frame.entry.count) ||
        (known->result != frame.hash && frame.hash != Digest128{})) {
        problem("it is sent another entry at position " + std::to_string(first) + " than was released");
        return;
    }
    refusals_ = 0;
    next_ = frame.entry.last() + 1;
}

void SimulatedClient::lookAtEnd() {
    if (plan_.account == 0 || plan_.entries) return;
    uint64_t fills = 0;
    int64_t bought = 0;
    int64_t sold = 0;
    for (const ReleasedBatch& batch : oracle_.batches()) {
        if (batch.entry.first >= next_) break;
        const bool missed = std::any_of(gaps_.begin(), gaps_.end(), [&batch](const auto& gap) {
            return batch.entry.last() >= gap.first && batch.entry.last() < gap.second;
        });
        if (missed) continue;
        for (const Event& event : batch.events) {
            const bool mine = event.account == plan_.account || event.account2 == plan_.account;
            if (event.type != static_cast<uint8_t>(EventType::Trade) || !mine) continue;
            const bool takerBuys = event.side == static_cast<uint8_t>(Side::Buy);
            if (event.account == plan_.account) (takerBuys ? bought : sold) += event.quantity;
            if (event.account2 == plan_.account) (takerBuys ? sold : bought) += event.quantity;
            fills++;
        }
    }
    if (fills != fills_ || bought != bought_ || sold != sold_) {
        problem("its ledger has " + std::to_string(fills_) + " executions, the log gives " +
                std::to_string(fills));
    }
}

}  // namespace verbex::sim
