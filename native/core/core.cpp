#include "core/core.h"

#include <algorithm>

#include "core/state.h"

namespace verbex {

namespace {

std::vector<std::unique_ptr<OrderSlab>> makeSlabs(OrderMemory& memory, const CoreShards& shards,
                                                  uint32_t maxOrders) {
    CHECK(shards.matching >= 1 && shards.matching <= CoreShards::kMax);
    std::vector<std::unique_ptr<OrderSlab>> slabs;
    for (uint32_t i = 0; i < shards.matching; ++i) {
        slabs.push_back(shards.apart ? std::make_unique<OrderSlab>(memory, i, maxOrders)
                                     : std::make_unique<OrderSlab>(memory));
    }
    return slabs;
}

std::vector<std::unique_ptr<RiskShard>> makeShards(const CoreLimits& limits, uint32_t count) {
    CHECK(count >= 1 && count <= CoreShards::kMax);
    std::vector<std::unique_ptr<RiskShard>> shards;
    for (uint32_t i = 0; i < count; ++i) {
        shards.push_back(std::make_unique<RiskShard>(static_cast<uint8_t>(i), limits.maxClientIds,
                                                     limits.warm, count > 1));
    }
    return shards;
}

}  // namespace

Core::State::State(const CoreLimits& coreLimits, const CoreShards& coreShards)
    : capacity(coreLimits),
      orderMemory(coreLimits.maxOrders, coreShards.matching, coreLimits.warm),
      slabs(makeSlabs(orderMemory, coreShards, coreLimits.maxOrders)),
      slab(*slabs[0]),
      lanes(coreShards.matching),
      shards(makeShards(coreLimits, coreShards.risk)),
      only(coreShards.risk == 1 ? shards[0].get() : nullptr),
      assets(1),
      instruments(1),
      books(1),
      accounts(coreLimits.maxAccounts, coreShards.risk),
      transactionIds(kTransactionIdsMax),
      assetNames(coreLimits.maxInstruments),
      instrumentNames(coreLimits.maxInstruments),
      accountNames(coreLimits.maxAccounts) {
    CHECK(coreLimits.maxInstruments < ClientIdEntry::kInstrumentsMax);
}

uint32_t Core::State::sumOfOrders() const {
    uint32_t live = 0;
    for (const auto& each : slabs) live += each->live();
    return live;
}

uint32_t Core::State::sumOfIds() const {
    uint32_t ids = 0;
    for (const auto& shard : shards) ids += shard->orderIds.size();
    return ids;
}

Amount Core::State::feesCollected(AssetId asset) const {
    Amount fees = 0;
    for (const auto& shard : shards) fees += shard->fees[asset];
    return fees;
}

uint32_t Core::State::schedulesInUse(InstrumentId instrument) const {
    if (facts != nullptr) return facts->schedules;
    uint32_t inUse = 0;
    for (const auto& shard : shards) {
        for (uint32_t slot = 0; slot < Instrument::kSchedules; ++slot) {
            if (shard->scheduleOrders[instrument][slot] != 0) inUse |= 1u << slot;
        }
    }
    return inUse;
}

void Core::State::makeAsset(const Asset& asset) {
    assets.push_back(asset);
    for (const auto& shard : shards) shard->fees.push_back(0);
}

void Core::State::makeInstrument(const Instrument& instrument) {
    const auto id = static_cast<InstrumentId>(instruments.size());
    instruments.push_back(instrument);
    books.push_back(std::make_unique<Book>(id, *slabs[laneOf(id)], instrument.terms.priceMin,
                                           instrument.terms.priceMax));
    for (const auto& shard : shards) shard->scheduleOrders.emplace_back();
}

Core::Core(const CoreLimits& limits, const CoreShards& shards)
    : state_(std::make_unique<State>(limits, shards)) {}
Core::~Core() = default;

Position Core::position() const { return state_->position; }
uint64_t Core::time() const { return state_->time; }

void Core::State::reject(const Command& command, Reject code, const CommandContext& context) {
    Event& event = context.emit(EventType::Rejected, command.instrument);
    event.kind = command.type;
    event.code = static_cast<uint16_t>(code);
    event.account = command.account;
    event.id = command.id;
}

void Core::apply(const Command& command, EventWriter& events) {
    State& state = *state_;
    const CommandContext context{events, ++state.position, command.token};
    state.begin(command, events);
    if (state.refuses(command)) [[unlikely]] {
        state.reject(command, Reject::RISK_UNAVAILABLE, context);
        events.cursor()[-1].flags |= kEventLast;
        return;
    }
    switch (CommandType(command.type)) {
        case CommandType::NewOrder:
        case CommandType::CancelOrder:
        case CommandType::ReduceOrder:
        case CommandType::ReplaceOrder: state.order(command, context); break;
        case CommandType::MassCancel: state.massCancel(command, context); break;
        case CommandType::KillSwitch: state.killSwitch(command, context); break;
        case CommandType::Deposit: state.deposit(command, context); break;
        case CommandType::Withdraw: state.withdraw(command, context); break;
        case CommandType::Transfer: state.transfer(command, context); break;
        case CommandType::AddAsset: state.addAsset(command, context); break;
        case CommandType::AddInstrument: state.addInstrument(command, context); break;
        case CommandType::ChangeInstrument: state.changeInstrument(command, context); break;
        case CommandType::SetTradingState: state.setTradingState(command, context); break;
        case CommandType::AddAccount: state.addAccount(command, context); break;
        case CommandType::SetRights: state.setRights(command, context); break;
        case CommandType::SetInstrumentRight: state.setInstrumentRight(command, context); break;
        case CommandType::SetLimit: state.setLimit(command, context); break;
        case CommandType::AdvanceTime: state.advanceTime(command, context); break;
        case CommandType::DayEnd: state.dayEnd(context); break;
        case CommandType::SetAvailability: state.setAvailability(command, context); break;
        case CommandType::None:
        default:
            if (Command asked = command; isRefused(command)) {
                asked.type &= static_cast<uint8_t>(~kCommandRefused);
                state.reject(asked, Reject::RISK_UNAVAILABLE, context);
                break;
            }
            state.reject(command, Reject::UNKNOWN_COMMAND, context);
            break;
    }
    // The last event is still in the region: a drain happens only when a further cell is claimed.
    events.cursor()[-1].flags |= kEventLast;
}

// An order's way through the stages, one thread doing them all.
void Core::State::order(const Command& command, const CommandContext& context) {
    Decision decision;
    CHECK(validate(decides(command), command, context.position, Certainty::Whole, decision));
    match(command, decision, context);
    settle();
}

// ---- stages

namespace {

bool isOrderCommand(const Command& command) {
    static_assert(static_cast<uint8_t>(CommandType::NewOrder) == 1 &&
                  static_cast<uint8_t>(CommandType::ReplaceOrder) == 4);
    return command.type >= 1 && command.type <= 4;
}

}  // namespace

uint32_t Core::riskProcesses() const { return state_->riskProcesses; }
uint32_t Core::riskProcessesAway() const { return state_->riskProcessesAway; }
uint32_t Core::riskShards() const { return static_cast<uint32_t>(state_->shards.size()); }
uint32_t Core::matchingShards() const { return static_cast<uint32_t>(state_->slabs.size()); }

bool Core::runsAlone(const Command& command) const {
    // A limit of the venue itself counts what all shards do.
    return !isOrderCommand(command) ||
           (state_->shards.size() > 1 && state_->accounts[0].limits > 0);
}

uint64_t Core::orderRoom() const {
    const State& state = *state_;
    return std::min(state.capacity.maxOrders - state.liveOrders(),
                    state.capacity.maxClientIds - state.rememberedIds());
}

uint32_t Core::decidingShard(const Command& command) const {
    return state_->decides(command).number;
}

bool Core::validate(const Command& command, Position at, bool settled, Decision& decision) {
    return state_->validate(state_->decides(command), command, at,
                            settled ? Certainty::Settled : Certainty::Ahead, decision);
}

void Core::match(const Command& command, Position at, Decision& decision, EventWriter& events) {
    state_->match(command, decision, CommandContext{events, at, command.token});
    events.cursor()[-1].flags |= kEventLast;
}

void Core::settle(uint32_t shard, const Command& command, const Decision& decision, Event* from,
                  Event* to, bool first) {
    state_->settle(*state_->shards[shard], command, decision, from, to, first);
}

void Core::complete(Event& event) { event.schedules = 0; }

void Core::reached(Position at) {
    CHECK(at >= state_->position);
    state_->position = at;
}

void Core::breakRule(HazardMutant mutant) { state_->mutant = mutant; }

bool Core::damage(uint64_t seed) {
    const uint64_t accounts = state_->accounts.count();
    const uint64_t assets = state_->assets.size();
    for (uint64_t i = 0; i < accounts * assets; i++) {
        const uint64_t pair = (seed + i) % (accounts * assets);
        const auto account = static_cast<AccountId>(pair / assets);
        Balance* balance =
            state_->riskOf(account).ledger.findBalance(account, static_cast<AssetId>(pair % assets));
        if (balance == nullptr) continue;
        balance->total ^= Amount{1} << (seed % 8);
        return true;
    }
    return false;
}

namespace {

// Below so many, a table lies in the second-level cache anyway and warming it costs more than it saves.
constexpr uint32_t kWarmFromOrders = 8192;  // 512 KiB of orders
constexpr uint32_t kWarmFromIds = 8192;
constexpr size_t kWarmFromBalances = 8192;

bool names(const Command& command) {
    return command.type >= static_cast<uint8_t>(CommandType::CancelOrder) &&
           command.type <= static_cast<uint8_t>(CommandType::ReplaceOrder);
}

bool enters(const Command& command) {
    return command.type == static_cast<uint8_t>(CommandType::NewOrder);
}

}  // namespace

void Core::warm(const Command* const* commands, size_t count) const {
    const State& state = *state_;
    count = std::min(count, kWarmMax);
    if (state.rememberedIds() < kWarmFromIds) return;
    // What a command names may be anything: unknown accounts are looked for where the venue is.
    const auto shardOf = [&state](const Command& command) -> const RiskShard& {
        return state.riskOf(state.accounts.exists(command.account) ? command.account : 0);
    };
    // Rounds over the batch, each asking for what the round before has brought: index → entry → order →
    // its surroundings. Within a round all loads are independent, so that they overlap.
    for (size_t i = 0; i < count; ++i) {
        if (enters(*commands[i]) || names(*commands[i])) {
            shardOf(*commands[i]).orderIds.warm(commands[i]->account, commands[i]->id);
        }
    }
    const bool manyOrders = state.liveOrders() >= kWarmFromOrders;
    const bool manyBalances = state.shards[0]->ledger.balances().size() >= kWarmFromBalances;
    if (manyOrders || manyBalances) {
        for (size_t i = 0; i < count; ++i) {
            const Command& command = *commands[i];
            if (!enters(command) || !state.knows(command.instrument)) continue;
            const Instrument& instrument = state.instruments[command.instrument];
            state.accounts.warm(command.account);
            shardOf(command).ledger.warm(command.account,
                                         command.side == 2 ? instrument.base : instrument.quote,
                                         command.instrument);
            state.books[command.instrument]->warm(command.price);
        }
    }
    uint32_t entries[kWarmMax];
    for (size_t i = 0; i < count; ++i) {
        entries[i] = names(*commands[i])
                         ? shardOf(*commands[i])
                               .orderIds.warmEntry(commands[i]->account, commands[i]->id)
                         : 0;
    }
    if (!manyOrders) return;
    OrderSlot slots[kWarmMax];
    for (size_t i = 0; i < count; ++i) {
        slots[i] = 0;
        if (entries[i] == 0) continue;
        const ClientIdEntry& entry = shardOf(*commands[i]).orderIds[entries[i]];
        if (entry.live()) slots[i] = entry.slot();
        touch(&state.slab[slots[i]]);
    }
    for (size_t i = 0; i < count; ++i) {
        if (slots[i] == 0) continue;
        const Order& order = state.slab[slots[i]];
        const Instrument& instrument = state.instruments[order.instrument];
        const Book& book = *state.books[order.instrument];
        book.warmAround(order);
        if (manyBalances) {
            state.riskOf(order.account)
                .ledger.warm(order.account, order.sell() ? instrument.base : instrument.quote,
                             order.instrument);
        }
        if (commands[i]->type == static_cast<uint8_t>(CommandType::ReplaceOrder)) {
            book.warm(commands[i]->price);
        }
    }
}

}  // namespace verbex
