// The clearing gateway beside a real core and a real router, on random markets, killed at random moments: what its
// clients end with is what the journal holds, whatever was lost on the way.
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "core/core.h"
#include "gateway/clearing/requests.h"
#include "gateway/clearing_fixture.h"

namespace verbex::gateway::clearing_test {
namespace {

using namespace clearing;

// Keeps every event of every command: what the journal would give again.
class Journal final : public EventWriter {
public:
    Journal() : cells_(256) { setRegion(cells_.data(), cells_.data() + cells_.size()); }
    std::vector<Event> take() {
        drain();
        return std::move(kept_);
    }

private:
    void drain() override {
        kept_.insert(kept_.end(), begin(), cursor());
        setRegion(cells_.data(), cells_.data() + cells_.size());
    }
    std::vector<Event> cells_;
    std::vector<Event> kept_;
};

// A second gateway that tells of trades in the same store, before the clearing gateway does.
struct Other final : Outlet {
    MessageStore* store = nullptr;
    void deliver(const Event& event, const EventPlace& place) override {
        if (event.type != static_cast<uint8_t>(EventType::Trade) || place <= resumed) return;
        std::byte* to = store->claimOut(1, 8, place, 0);
        if (to == nullptr) return;
        std::memcpy(to, &event.position, 8);
        store->commit(true);
    }
    EventPlace resumed;
};

const char* const kNames[] = {"VENUE", "acme", "bolt", "desk", "cora", "fay"};
constexpr AccountId kParents[] = {0, 0, 0, 1, 3, 2};
constexpr AccountId kAccounts = 6;

bool below(AccountId account, AccountId root) {
    while (account > root) account = kParents[account];
    return account == root;
}

class World {
public:
    explicit World(uint64_t seed) : random_(seed), core_({1000, 100, 16, 100000}) {
        begin(std::make_unique<Store>());
        Command asset{};
        asset.type = static_cast<uint8_t>(CommandType::AddAsset);
        for (const char* name : {"BTC", "USD"}) {
            asset.id = idOf(name);
            asset.orderType = 2;
            apply(asset);
        }
        Command instrument{};
        instrument.type = static_cast<uint8_t>(CommandType::AddInstrument);
        instrument.flags = kCommandExtended;
        instrument.id = idOf("BTC-USD");
        instrument.base = 1;
        instrument.quote = 2;
        instrument.price = instrument.quantity = 1;
        instrument.priceMin = 1;
        instrument.priceMax = 1000;
        instrument.quantityMin = 1;
        instrument.quantityMax = 1000;
        instrument.makerFee = -100;
        instrument.takerFee = 5000;
        apply(instrument);
        for (AccountId id = 1; id < kAccounts; ++id) {
            Command account{};
            account.type = static_cast<uint8_t>(CommandType::AddAccount);
            account.account = kParents[id];
            account.id = idOf(kNames[id]);
            apply(account);
        }
        for (AccountId id = 1; id < kAccounts; ++id) {
            for (const char* name : {"BTC", "USD"}) {
                ask(0, Deposit{++reference_[0], idOf(kNames[id]), idOf(name), transaction(), 100'000});
            }
        }
        enterAll();
    }

    void step() {
        stepped_ = store_->records().size();
        switch (random_() % 12) {
            case 0:
            case 1:
            case 2:
            case 3:
            case 4: order(); break;
            case 5: enterAll(); break;
            case 6: answerAll(); break;
            default: request(); break;
        }
    }

    // Killed somewhere in the last step: what the store holds up to there is left, what was entered and not
    // applied is gone, and what was asked is forgotten.
    void kill() {
        const size_t now = store_->records().size();
        const size_t at = stepped_ + random_() % (now - stepped_ + 1);
        port_.entered.clear();
        questions_.waiting.clear();
        gateway_.reset();
        begin(std::make_unique<Store>(*store_, at));
        stepped_ = store_->records().size();
    }

    void finish() {
        port_.room = SIZE_MAX;
        gateway_->work(0);
        enterAll();
        answerAll();
        begin(std::make_unique<Store>(*store_, store_->records().size()));
        for (uint32_t user = 0; user < kUsers; ++user) login(user);
    }

    void check() {
        checkPushes();
        checkAnswers();
        checkMoney();
    }

    uint64_t executions = 0, pushes = 0, lost = 0, acknowledged = 0, duplicates = 0, refused = 0;

private:
    static constexpr uint32_t kUsers = 4;
    static constexpr AccountId kRoots[kUsers] = {0, 1, 3, 2};

    static Users makeUsers() {
        return Users::from({user("boss", 1, "VENUE", true), user("adam", 2, "acme", true),
                            user("dora", 3, "desk", false), user("bob", 4, "bolt", true)})
            .take();
    }

    void begin(std::unique_ptr<Store> store) {
        store_ = std::move(store);
        // References that were lost with a record are free again: the client, who knows nothing of it, goes on.
        router_ = EventRouter();
        directory_.begin(MarketState{});
        gateway_ = ClearingGateway::create({}, port_, questions_, *store_, directory_, router_, users_);
        router_.setOutlet(0, &other_);
        router_.setOutlet(1, gateway_.get());
        other_.store = store_.get();
        other_.resumed = store_->delivered();
        for (AccountId id = 0; id < kAccounts; ++id) router_.watchAccount(id, 0);
        store_->visitDay([this](const StoredRecord& record) { gateway_->restore(record); });
        const Position from = store_->delivered().position;
        size_t i = 0;
        for (; i < events_.size() && events_[i].position < from; ++i) directory_.take(events_[i]);
        gateway_->begin();
        for (; i < events_.size(); ++i) {
            directory_.take(events_[i]);
            router_.route(events_[i]);
        }
        if (!events_.empty()) store_->noteDelivered(places_.back());
        for (uint32_t user = 0; user < kUsers; ++user) connections_[user] = {};
    }

    void login(uint32_t user) {
        connections_[user] = {nextSlot_++ % 16, ++generation_};
        ASSERT_EQ(gateway_->login(connections_[user], loginOf(users_.all()[user].name, "pw")).rejected,
                  session::LoginReject::None);
    }

    template <typename Message>
    void ask(uint32_t user, const Message& message) {
        if (connections_[user].generation == 0) login(user);
        const auto bytes = bytesOf(message);
        const session::Taken taken = gateway_->received(connections_[user], bytes);
        ASSERT_NE(taken, session::Taken::Close);
        if (taken == session::Taken::NotNow) {
            --reference_[user];  // not consumed: the next one may have it
            return;
        }
        // The same again, as after a reconnect: nothing comes of it.
        const size_t entered = port_.entered.size(), records = store_->records().size();
        ASSERT_EQ(gateway_->received(connections_[user], bytes), session::Taken::Yes);
        ASSERT_EQ(port_.entered.size(), entered);
        ASSERT_EQ(store_->records().size(), records);
    }

    void request() {
        const auto user = static_cast<uint32_t>(random_() % kUsers);
        const uint32_t reference = ++reference_[user];
        const auto name = [&] { return idOf(kNames[random_() % kAccounts]); };
        const auto asset = [&] { return idOf(random_() % 2 == 0 ? "BTC" : "USD"); };
        const Amount amount = 1 + static_cast<Amount>(random_() % 500);
        port_.room = random_() % 4 == 0 ? 0 : SIZE_MAX;
        switch (random_() % 10) {
            case 0:
                repeated_ = {reference, name(), asset(), transaction(), amount};
                ask(user, repeated_);
                break;
            case 1:  // as a client does that has heard nothing of it
                repeated_.reference = reference;
                ask(user, repeated_);
                break;
            case 2: ask(user, Withdraw{reference, name(), asset(), transaction(), amount}); break;
            case 3:
            case 4: ask(user, Transfer{reference, name(), asset(), transaction(), amount, name()}); break;
            case 5: ask(user, SetLimit{reference, name(), 3, Name{}, 20}); break;
            case 6:
                ask(user, clearing::KillSwitch{reference, name(),
                                               static_cast<uint8_t>(random_() % 3 == 0 ? 1 : 2)});
                break;
            case 7: ask(user, clearing::MassCancel{reference, name(), Name{}, 0}); break;
            default:
                ask(user, Query{reference, name(), static_cast<uint8_t>(1 + random_() % 5), 0});
                break;
        }
        port_.room = SIZE_MAX;
        if (random_() % 2 == 0) gateway_->work(0);
    }

    // Often one that was used before, for other money too.
    ClientId transaction() { return idOf("t" + std::to_string(random_() % 400)); }

    void order() {
        Command command{};
        command.type = static_cast<uint8_t>(CommandType::NewOrder);
        command.account = 1 + static_cast<AccountId>(random_() % (kAccounts - 1));
        command.instrument = 1;
        command.id = idOf("o" + std::to_string(++orders_));
        command.side = static_cast<uint8_t>(1 + random_() % 2);
        command.orderType = static_cast<uint8_t>(OrderType::Limit);
        command.timeInForce = static_cast<uint8_t>(TimeInForce::Gtc);
        command.price = 95 + static_cast<int64_t>(random_() % 10);
        command.quantity = 1 + static_cast<int64_t>(random_() % 20);
        apply(command);
    }

    void enterAll() {
        gateway_->work(0);
        std::vector<Command> commands;
        commands.swap(port_.entered);
        for (const Command& command : commands) apply(command);
    }

    void answerAll() {
        for (; !questions_.waiting.empty(); questions_.waiting.pop_front()) {
            const auto& [question, answer] = questions_.waiting.front();
            AccountStatement statement;
            core_.accountStatement(question.account, question.orders, statement);
            answer({}, statement);
        }
    }

    void apply(const Command& command) {
        core_.apply(command, journal_);
        uint32_t index = 0;
        for (const Event& event : journal_.take()) {
            events_.push_back(event);
            places_.push_back({event.position, index++});
            directory_.take(event);
            router_.route(event);
        }
        store_->noteDelivered(places_.back());
    }

    // Exactly once and in order: what each user was pushed is what the events say, and nothing else.
    void checkPushes() {
        for (uint32_t user = 0; user < kUsers; ++user) {
            const AccountId root = kRoots[user];
            std::vector<std::string> expected, told;
            for (size_t i = 0; i < events_.size(); ++i) {
                const Event& event = events_[i];
                const std::string place = std::to_string(places_[i].position) + "." +
                                          std::to_string(places_[i].index);
                const auto execution = [&](AccountId account, AccountId other, uint64_t side,
                                           char liquidity, OrderId id, int32_t fee, int64_t leaves) {
                    if (!below(account, root)) return;
                    ++executions;
                    expected.push_back(place + " E " + kNames[account] + " " + std::to_string(side) +
                                       liquidity + std::to_string(id) + " fee " + std::to_string(fee) +
                                       " leaves " + std::to_string(leaves) + " " +
                                       (below(other, root) ? kNames[other] : ""));
                };
                switch (static_cast<EventType>(event.type)) {
                    case EventType::Trade:
                        execution(event.account, event.account2, event.side, 'R', event.orderId,
                                  event.fee, event.leaves);
                        execution(event.account2, event.account, 3 - event.side, 'A',
                                  event.orderId2, event.fee2, event.leaves2);
                        break;
                    case EventType::BalanceChanged:
                        if (below(event.account, root) && (event.flags & kEventDuplicate) == 0)
                            expected.push_back(place + " B " + kNames[event.account]);
                        break;
                    case EventType::LimitSet:
                        if (below(event.account, root))
                            expected.push_back(place + " X " + kNames[event.account]);
                        break;
                    case EventType::KillSwitchSet:
                        if (below(event.account, root) || below(root, event.account))
                            expected.push_back(place + " K " + kNames[event.account]);
                        break;
                    default: break;
                }
            }
            const auto text = [](const Name& name) { return std::string(textOf(name)); };
            for (const auto& bytes : store_->stream(users_.all()[user].session)) {
                const auto place = [](const auto& m) {
                    return std::to_string(m.position) + "." + std::to_string(m.index);
                };
                if (const auto e = as<Execution>(bytes)) {
                    told.push_back(place(*e) + " E " + text(e->account) + " " +
                                   std::to_string(e->side) + static_cast<char>(e->liquidity) +
                                   std::to_string(e->orderId) + " fee " + std::to_string(e->fee) +
                                   " leaves " + std::to_string(e->leaves) + " " +
                                   text(e->counterparty));
                } else if (const auto b = as<clearing::BalanceChanged>(bytes)) {
                    told.push_back(place(*b) + " B " + text(b->account));
                } else if (const auto x = as<clearing::LimitSet>(bytes)) {
                    told.push_back(place(*x) + " X " + text(x->account));
                } else if (const auto k = as<clearing::KillSwitchSet>(bytes)) {
                    told.push_back(place(*k) + " K " + text(k->account));
                }
            }
            pushes += told.size();
            ASSERT_EQ(expected, told) << users_.all()[user].name;
        }
    }

    // Every reference that the store knows is answered once; what is acknowledged is in the journal, what is
    // rejected without a position is not.
    void checkAnswers() {
        for (uint32_t user = 0; user < kUsers; ++user) {
            const uint16_t number = users_.all()[user].session;
            std::map<uint32_t, int> answers;
            std::map<uint32_t, bool> journaled;
            for (const Event& event : events_) {
                const GatewayToken token = GatewayToken::of(event.token);
                if (GatewayToken::is(event.token) && token.session == number)
                    journaled[token.reference] = true;
            }
            for (const auto& bytes : store_->stream(number)) {
                if (const auto a = as<Acknowledged>(bytes)) {
                    ++answers[a->reference];
                    ++acknowledged;
                    duplicates += a->duplicate;
                    EXPECT_TRUE(journaled[a->reference]);
                } else if (const auto j = as<Rejected>(bytes)) {
                    ++answers[j->reference];
                    ++refused;
                    lost += j->reason == static_cast<uint16_t>(Reason::NOT_CARRIED_OUT) ? 1 : 0;
                    EXPECT_EQ(journaled[j->reference], j->position != 0) << j->reference;
                } else if (const auto z = as<AnswerEnd>(bytes)) {
                    ++answers[z->reference];
                }
            }
            for (const Record& record : store_->records()) {
                if (record.kind == RecordKind::In && record.session == (kClearingStreams | number)) {
                    EXPECT_EQ(answers[record.sequence], 1) << record.sequence;
                }
            }
            for (const auto& [reference, count] : answers) EXPECT_EQ(count, 1) << reference;
        }
    }

    // A book kept from the pushes alone, with what trades moved, is the core's; and no money came or went.
    void checkMoney() {
        std::map<std::pair<AccountId, AssetId>, Amount> books;
        Amount issued[3] = {}, fees = 0;
        std::set<std::pair<AccountId, std::string>> transactions;
        for (const auto& bytes : store_->stream(1)) {
            if (const auto b = as<clearing::BalanceChanged>(bytes)) {
                const AccountId account = directory_.account(textOf(b->account));
                const AssetId asset = directory_.asset(textOf(b->asset));
                Amount& total = books[{account, asset}];
                total += b->change;
                ASSERT_TRUE(total == b->total) << "a total that its changes do not add up to";
                if (b->cause != static_cast<uint8_t>(CommandType::Transfer)) {
                    issued[asset] += b->change;
                }
                // Once per paying account and transaction id, however often it was sent.
                if (b->cause != static_cast<uint8_t>(CommandType::Transfer) || b->change < 0) {
                    EXPECT_TRUE(transactions.emplace(account, std::string(textOf(b->transaction))).second);
                }
            } else if (const auto e = as<Execution>(bytes)) {
                const AccountId account = directory_.account(textOf(e->account));
                const Amount value = Amount{e->price} * e->quantity;
                const Amount fee = millionthsOf(value, e->fee);
                const int sign = e->side == 1 ? 1 : -1;
                books[{account, 1}] += sign * e->quantity;
                books[{account, 2}] -= sign * value + fee;
                fees += fee;
            }
        }
        Amount sums[3] = {};
        for (AccountId account = 0; account < kAccounts; ++account) {
            AccountStatement statement;
            core_.accountStatement(account, {}, statement);
            for (const auto& balance : statement.balances) {
                ASSERT_TRUE((books[{account, balance.asset}] == balance.total)) << kNames[account];
                sums[balance.asset] += balance.total;
            }
        }
        EXPECT_TRUE(sums[1] == issued[1]);
        EXPECT_TRUE(sums[2] + fees == issued[2]);
    }

    std::mt19937_64 random_;
    Core core_;
    Journal journal_;
    std::vector<Event> events_;
    std::vector<EventPlace> places_;
    Users users_ = makeUsers();
    Port port_;
    Questions questions_;
    Directory directory_;
    EventRouter router_;
    Other other_;
    std::unique_ptr<Store> store_;
    std::unique_ptr<ClearingGateway> gateway_;
    session::ConnectionId connections_[kUsers];
    uint32_t nextSlot_ = 0, generation_ = 0;
    uint32_t reference_[kUsers] = {};
    uint64_t orders_ = 0;
    Deposit repeated_{};
    size_t stepped_ = 0;
};

TEST(ClearingCore, EveryKillAndRestartEndsWithWhatTheJournalHolds) {
    uint64_t executions = 0, pushes = 0, lost = 0, acknowledged = 0, duplicates = 0, refused = 0;
    for (uint64_t seed = 1; seed <= 30; ++seed) {
        SCOPED_TRACE(seed);
        World world(seed);
        std::mt19937_64 random(seed * 7919);
        for (int i = 0; i < 600; ++i) {
            world.step();
            if (random() % 25 == 0) world.kill();
        }
        world.finish();
        world.check();
        if (testing::Test::HasFailure()) return;
        executions += world.executions;
        pushes += world.pushes;
        lost += world.lost;
        acknowledged += world.acknowledged;
        duplicates += world.duplicates;
        refused += world.refused;
    }
    EXPECT_GT(executions, 5000u);
    EXPECT_GT(pushes, 5000u);
    EXPECT_GT(lost, 100u);
    EXPECT_GT(acknowledged, 1000u);
    EXPECT_GT(duplicates, 5u);
    EXPECT_GT(refused, 1000u);
}

}  // namespace
}  // namespace verbex::gateway::clearing_test
