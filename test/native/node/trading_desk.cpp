#include "trading_desk.h"

#include <algorithm>
#include <cstring>

#include "cluster_world.h"
#include "node_fixture.h"
#include "wire/command_codec.h"
#include "wire/reject.h"

namespace verbex::node::cluster_world {

using linearizability::Asked;
using linearizability::BookOperation;
using linearizability::Said;
using linearizability::Timed;

namespace {

constexpr int64_t kPrice = 100;
constexpr uint64_t kDrainNs = 20'000'000'000;

// An order's number as its client id, and back.
ClientId idOf(uint64_t order) {
    char digits[17];
    std::snprintf(digits, sizeof(digits), "%016llx", static_cast<unsigned long long>(order));
    ClientId id;
    std::memcpy(&id, digits, sizeof(id));
    return id;
}
uint64_t orderOf(const ClientId& id) {
    char digits[17] = {};
    std::memcpy(digits, &id, sizeof(id));
    return std::strtoull(digits, nullptr, 16);
}

std::string bookName(uint32_t book) { return "BOOK" + std::to_string(book); }

bool isName(const ClientId& id, const std::string& name) {
    const Name wanted = text(name);
    return std::memcmp(&id, &wanted, sizeof(wanted)) == 0;
}

}  // namespace

TradingDesk::TradingDesk(DeskOptions options)
    : options_(std::move(options)),
      random_(options_.number),
      nextOrder_(uint64_t{options_.number} << 40) {
    transport::NetworkOptions network;
    network.node = "desk-" + std::to_string(options_.number);
    network.transport = transport::TransportWish::Tcp;
    network.ringBytes = 1u << 22;
    network.payloadMax = kFrameBytesMax;
    network.setUpTimeoutMs = 300;
    network_ = transport::HostNetwork::open(network).take();
    ClusterClientEvents& events = *this;
    client_ = std::make_unique<ClusterClient>(*network_, options_.cluster, events);
    client_->subscribeEvents(1);
    for (uint32_t i = 0; i < 2 * options_.books; i++) {
        traders_.push_back({.buys = i % 2 == 0, .book = i / 2});
    }
    thread_ = std::thread([this] { run(); });
}

void TradingDesk::stop() {
    stopping_.store(true, std::memory_order_release);
    if (thread_.joinable()) thread_.join();
}

uint64_t TradingDesk::longestGap() {
    const uint64_t last = answeredAt_.load(std::memory_order_relaxed);
    const uint64_t open = last == 0 ? 0 : steadyNs() - last;
    return std::max(open, gap_.exchange(0, std::memory_order_relaxed));
}

void TradingDesk::run() {
    uint64_t stoppedAt = 0;
    while (true) {
        const uint64_t now = steadyNs();
        const bool came = client_->poll(now);
        if (stopping_.load(std::memory_order_acquire)) {
            if (stoppedAt == 0) stoppedAt = now;
            if (open_.empty() || now - stoppedAt > kDrainNs) break;
        }
        const bool ready = std::all_of(traders_.begin(), traders_.end(),
                                       [](const Trader& each) { return each.isReady(); });
        if (!ready) {
            setUp(now);
        } else if (stoppedAt == 0) {
            for (size_t i = 0; i < traders_.size(); i++) {
                if (!traders_[i].waits && now >= traders_[i].nextAt) ask(now, i);
            }
        }
        again(now);
        client_->flush();
        if (!came) network_->wait(1'000'000);
    }
    for (auto& [token, open] : open_) forget(open);
}

// Of an answer that came in part nothing is known.
void TradingDesk::forget(Open& open) {
    BookOperation& operation = history_[open.at].operation;
    operation.said = Said::Nothing;
    operation.fills.clear();
    operation.lots = 0;
}

bool TradingDesk::send(const Command& command) {
    if (!client_->connected()) return false;
    payload_.clear();
    encodeBatch({&command, 1}, payload_);
    return client_->submit(++sequence_, payload_, 1);
}

// ---- the market: what is there already is rejected, and its event has been seen

void TradingDesk::setUp(uint64_t now) {
    if (!client_->connected() || (setUpAt_ != 0 && now - setUpAt_ < options_.resendNs)) return;
    setUpAt_ = now;
    std::vector<Command> commands;
    const auto add = [&](CommandType type, const std::string& name) -> Command& {
        Command& command = commands.emplace_back(Command{});
        command.type = static_cast<uint8_t>(type);
        command.id = text(name);
        command.token = kDeskToken;
        return command;
    };
    add(CommandType::AddAsset, "BASE");
    add(CommandType::AddAsset, "QUOTE");
    for (uint32_t i = 0; i < options_.books; i++) {
        Command& book = add(CommandType::AddInstrument, bookName(i));
        book.flags = kCommandExtended;
        book.base = 1;
        book.quote = 2;
        book.price = book.quantity = 1;
        book.priceMin = book.quantityMin = 1;
        book.priceMax = book.quantityMax = 1'000'000;
    }
    const std::string desk = "desk" + std::to_string(options_.number) + "-";
    for (size_t i = 0; i < traders_.size(); i++) {
        const AccountId account = traders_[i].account;
        if (account == 0) add(CommandType::AddAccount, desk + std::to_string(i));
        for (AssetId asset = 1; asset <= 2 && account != 0; asset++) {
            Command& deposit = add(CommandType::Deposit, "d" + std::to_string(asset));
            deposit.account = account;
            deposit.instrument = asset;
            deposit.amount = Amount{1} << 80;
        }
    }
    for (const Command& command : commands) (void)send(command);
}

// ---- questions

void TradingDesk::ask(uint64_t now, size_t trader) {
    if (!client_->connected()) return;
    Trader& who = traders_[trader];
    Timed<BookOperation> timed;
    BookOperation& operation = timed.operation;
    Command command{};
    const uint64_t drawn = random_() % 100;
    operation.asked = drawn < 45   ? Asked::Limit
                      : drawn < 60 ? Asked::Ioc
                      : drawn < 80 ? Asked::Cancel
                                   : Asked::Replace;
    if (who.orders.empty() && operation.asked >= Asked::Cancel) operation.asked = Asked::Limit;
    operation.buys = who.buys;
    operation.instrument = who.book;
    operation.quantity = 1 + static_cast<int64_t>(random_() % 9);
    command.account = who.account;
    if (operation.asked <= Asked::Ioc) {
        operation.order = ++nextOrder_;
        command.type = static_cast<uint8_t>(CommandType::NewOrder);
        command.orderType = static_cast<uint8_t>(OrderType::Limit);
        command.timeInForce = static_cast<uint8_t>(
            operation.asked == Asked::Ioc ? TimeInForce::Ioc : TimeInForce::Gtc);
        command.side = static_cast<uint8_t>(who.buys ? Side::Buy : Side::Sell);
        command.instrument = books_.at(bookName(who.book));
        command.price = kPrice;
        command.quantity = operation.quantity;
    } else {
        // Often one that has traded long ago: then the answer must say so.
        const size_t at = random_() % who.orders.size();
        operation.order = who.orders[at];
        who.orders.erase(who.orders.begin() + static_cast<ptrdiff_t>(at));
        if (operation.asked == Asked::Cancel) {
            operation.quantity = 0;
            command.type = static_cast<uint8_t>(CommandType::CancelOrder);
        } else {
            operation.newOrder = ++nextOrder_;
            command.type = static_cast<uint8_t>(CommandType::ReplaceOrder);
            command.flags = kCommandExtended;
            command.newId = idOf(operation.newOrder);
            command.price = kPrice;
            command.quantity = operation.quantity;
        }
    }
    command.id = idOf(operation.order);
    command.token = kDeskToken | uint64_t{options_.number} << 40 | (history_.size() + 1);
    timed.call = now;
    Open& open = open_[command.token];
    open = {trader, history_.size(), command, now, random_() % 100 < options_.leaveOfHundred};
    history_.push_back(timed);
    who.waits = true;
    if (!send(command)) open.sentAt = 0;
}

// Asked again, or left without ever knowing.
void TradingDesk::again(uint64_t now) {
    for (auto at = open_.begin(); at != open_.end();) {
        Open& open = at->second;
        if (open.leaves) {
            if (now - history_[open.at].call > options_.patienceNs) {
                gone_++;
                forget(open);
                traders_[open.trader].waits = false;
                at = open_.erase(at);
                continue;
            }
        } else if (open.sentAt == 0 || now - open.sentAt > options_.resendNs) {
            open.sentAt = send(open.command) ? now : 0;
        }
        ++at;
    }
}

void TradingDesk::onConnected(MemberId) {
    setUpAt_ = 0;
    for (auto& [token, open] : open_) open.sentAt = 0;
}

// ---- answers

void TradingDesk::onEvents(const EventsFrame&, std::span<const Event> events) {
    const std::string desk = "desk" + std::to_string(options_.number) + "-";
    for (const Event& event : events) {
        const auto type = static_cast<EventType>(event.type);
        if (type == EventType::InstrumentAdded) {
            for (uint32_t i = 0; i < options_.books; i++) {
                if (isName(event.id, bookName(i))) books_[bookName(i)] = event.instrument;
            }
        }
        if (event.account != 0 && (type == EventType::AccountAdded || type == EventType::BalanceChanged)) {
            for (size_t i = 0; i < traders_.size(); i++) {
                if (type == EventType::AccountAdded && isName(event.id, desk + std::to_string(i))) {
                    traders_[i].account = event.account;
                    setUpAt_ = 0;
                }
                if (type == EventType::BalanceChanged && event.account == traders_[i].account) {
                    traders_[i].funds |= event.instrument;
                }
            }
        }
        const auto found = open_.find(event.token);
        if (found == open_.end()) continue;
        answer(found->second, event);
        if ((event.flags & kEventLast) == 0) continue;
        Timed<BookOperation>& timed = history_[found->second.at];
        Trader& who = traders_[found->second.trader];
        const uint64_t now = steadyNs();
        timed.end = now;
        const BookOperation& operation = timed.operation;
        if (operation.asked == Asked::Limit && operation.lots > 0) who.orders.push_back(operation.order);
        if (operation.asked == Asked::Replace && operation.said == Said::Done) {
            who.orders.push_back(operation.newOrder);
        }
        who.waits = false;
        who.nextAt = now + options_.paceNs / 2 + random_() % options_.paceNs;
        open_.erase(found);
        const uint64_t last = answeredAt_.exchange(now, std::memory_order_relaxed);
        if (last != 0 && now - last > gap_.load(std::memory_order_relaxed)) gap_ = now - last;
        answered_.fetch_add(1, std::memory_order_release);
    }
}

void TradingDesk::answer(Open& open, const Event& event) {
    BookOperation& operation = history_[open.at].operation;
    switch (static_cast<EventType>(event.type)) {
        case EventType::Accepted:
        case EventType::Booked:
        case EventType::Replaced:
            operation.said = Said::Done;
            operation.lots = event.leaves;
            break;
        case EventType::Trade:
            operation.fills.push_back({orderOf(event.id2), event.quantity});
            operation.lots = event.leaves;
            break;
        case EventType::Cancelled:
            operation.said = Said::Done;
            operation.lots = event.quantity;
            break;
        case EventType::Rejected:
            operation.said = event.code == static_cast<uint16_t>(Reject::UNKNOWN_ORDER) ? Said::UnknownOrder
                             : event.code == static_cast<uint16_t>(Reject::ORDER_CLOSED)
                                 ? Said::OrderClosed
                                 : Said::Else;
            break;
        default: operation.said = Said::Else; break;
    }
}

}  // namespace verbex::node::cluster_world
