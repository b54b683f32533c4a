#include "gateway/event_router.h"

#include <bit>

#include "base/check.h"
#include "wire/session_order_id.h"

namespace verbex::gateway {

namespace {

// What an event type's fields mean to the router.
enum Field : uint8_t {
    kEverybody = 1,
    kAccount = 2,   // `account` owns what happened
    kAccount2 = 4,  // so does `account2`
    kId = 8,        // `id` may be an order's
    kId2 = 16,
};

constexpr std::array<uint8_t, 256> fieldsByType() {
    std::array<uint8_t, 256> fields{};
    const auto set = [&](EventType type, int value) {
        fields[static_cast<size_t>(type)] = static_cast<uint8_t>(value);
    };
    set(EventType::Accepted, kAccount | kId);
    set(EventType::Rejected, kAccount | kId);
    set(EventType::Trade, kAccount | kAccount2 | kId | kId2);
    set(EventType::Booked, kAccount | kId);
    set(EventType::Triggered, kAccount | kId);
    set(EventType::Cancelled, kAccount | kId);
    set(EventType::Reduced, kAccount | kId);
    set(EventType::Replaced, kAccount | kId | kId2);
    set(EventType::MassCancelled, kAccount);
    set(EventType::KillSwitchSet, kEverybody);
    set(EventType::BalanceChanged, kAccount | kAccount2);
    set(EventType::AssetAdded, kEverybody);
    set(EventType::InstrumentAdded, kEverybody);
    set(EventType::InstrumentChanged, kEverybody);
    set(EventType::TradingStateSet, kEverybody);
    set(EventType::AccountAdded, kEverybody);
    set(EventType::RightsSet, kAccount);
    set(EventType::InstrumentRightSet, kAccount);
    set(EventType::LimitSet, kAccount);
    set(EventType::TimeAdvanced, kEverybody);
    set(EventType::DayEnded, kEverybody);
    return fields;
}
constexpr std::array<uint8_t, 256> kFields = fieldsByType();

constexpr uint32_t kSessions = 1u << 16;

}  // namespace

EventRouter::EventRouter() : sessions_(kSessions, kNobody) {}

void EventRouter::setOutlet(uint8_t number, Outlet* outlet) {
    CHECK(number < kOutletsMax);
    outlets_[number] = outlet;
    const uint32_t bit = uint32_t{1} << number;
    present_ = outlet == nullptr ? present_ & ~bit : present_ | bit;
}

void EventRouter::assignSession(uint16_t session, uint8_t outlet) {
    CHECK(session != 0 && outlet < kOutletsMax);
    sessions_[session] = outlet;
}

void EventRouter::watchAccount(AccountId account, uint8_t outlet) {
    CHECK(outlet < kOutletsMax);
    if (account >= watched_.size()) watched_.resize(size_t{account} + 1, 0);
    watched_[account] |= uint32_t{1} << outlet;
    watching_ = true;
}

uint32_t EventRouter::ofSession(const ClientId& id) const {
    // Any other id reads as session 0, which is nobody's.
    const uint8_t outlet = sessions_[readSessionOrderId(id).session];
    return outlet == kNobody ? 0 : uint32_t{1} << outlet;
}

uint32_t EventRouter::concerned(const Event& event) const {
    const uint8_t fields = kFields[event.type];
    if ((fields & kEverybody) != 0) return present_;
    uint32_t mask = 0;
    if (GatewayToken::is(event.token)) {
        const uint8_t outlet = GatewayToken::of(event.token).outlet;
        if (outlet < kOutletsMax) mask |= uint32_t{1} << outlet;
    }
    if ((fields & kId) != 0) mask |= ofSession(event.id);
    if ((fields & kId2) != 0) mask |= ofSession(event.id2);
    if (watching_) {
        if ((fields & kAccount) != 0) mask |= ofAccount(event.account);
        if ((fields & kAccount2) != 0) mask |= ofAccount(event.account2);
    }
    return mask & present_;
}

void EventRouter::pass(const Event& event) {
    if (event.position != next_.position) next_ = {event.position, 0};
    ++next_.index;
}

void EventRouter::route(const Event& event) {
    if (event.position != next_.position) next_ = {event.position, 0};
    for (uint32_t mask = concerned(event); mask != 0; mask &= mask - 1) {
        outlets_[static_cast<size_t>(std::countr_zero(mask))]->deliver(event, next_);
    }
    ++next_.index;
}

}  // namespace verbex::gateway
