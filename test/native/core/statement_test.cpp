// accountStatement says what explainAccount says: on random streams, the lists printed as section 11 of
// docs/rules.md writes them are the JSON that explainAccount gives.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "core/core.h"
#include "core/random_commands.h"

namespace verbex::statement_test {
namespace {

class Discard final : public EventWriter {
public:
    Discard() : cells_(64) { setRegion(cells_.data(), cells_.data() + cells_.size()); }

private:
    void drain() override { setRegion(cells_.data(), cells_.data() + cells_.size()); }
    std::vector<Event> cells_;
};

std::string text(Amount value) {
    std::string digits;
    const bool negative = value < 0;
    do {
        digits.insert(digits.begin(), static_cast<char>('0' + static_cast<int>(value % 10) *
                                                                  (negative ? -1 : 1)));
        value /= 10;
    } while (value != 0);
    return '"' + (negative ? "-" : std::string()) + digits + '"';
}

std::string text(const ClientId& id) {
    std::string bytes;
    for (int i = 0; i < 16; ++i)
        bytes += static_cast<char>((i < 8 ? id.lo : id.hi) >> (8 * (i % 8)));
    const std::string shown = bytes.substr(0, bytes.find_last_not_of('\0') + 1);
    const auto printable = [](char c) { return c >= 0x21 && c <= 0x7e; };
    std::string out;
    if (std::all_of(shown.begin(), shown.end(), printable)) {
        for (const char c : shown) out += (c == '"' || c == '\\' ? "\\" : "") + std::string(1, c);
    } else {
        out = "0x";
        for (const char c : bytes) {
            out += "0123456789abcdef"[static_cast<uint8_t>(c) >> 4];
            out += "0123456789abcdef"[c & 15];
        }
    }
    return '"' + out + '"';
}

std::string row(std::initializer_list<std::string> parts) {
    std::string out;
    for (const std::string& part : parts) out += (out.empty() ? "[" : ",") + part;
    return out + "]";
}

template <typename Rows, typename Print>
std::string list(const Rows& rows, Print print) {
    std::string out;
    for (const auto& each : rows) out += (out.empty() ? "" : ",") + print(each);
    return "[" + out + "]";
}

// From "orderTypes" on: what stands before it has names.
std::string print(const AccountStatement& s) {
    const auto n = [](auto value) { return std::to_string(value); };
    return "\"killed\":" + n(int{s.killed}) + ",\"orderTypes\":" + n(s.orderTypes) +
           ",\"instrumentDefault\":" + n(int{s.instrumentDefault}) + ",\"instrumentRights\":" +
           list(s.instrumentRights,
                [&](const auto& r) { return row({n(r.instrument), n(int{r.right})}); }) +
           ",\"limits\":" +
           list(s.limits,
                [&](const auto& r) {
                    return row({n(static_cast<int>(r.kind)), n(r.subject), text(r.limit)});
                }) +
           ",\"balances\":" +
           list(s.balances,
                [&](const auto& r) { return row({n(r.asset), text(r.total), text(r.held)}); }) +
           ",\"exposures\":" +
           list(s.exposures,
                [&](const auto& r) {
                    return row({n(r.instrument), n(r.position), n(r.openBuy), n(r.openSell)});
                }) +
           ",\"orders\":" +
           list(s.orders,
                [&](const auto& o) {
                    return row({n(o.orderId), text(o.id), n(static_cast<int>(o.side)),
                                n(static_cast<int>(o.type)), n(static_cast<int>(o.timeInForce)),
                                n(o.price), n(o.stopPrice), n(o.open), n(o.display), n(o.expiry)});
                }) +
           "}";
}

TEST(AccountStatement, SaysWhatExplainAccountSays) {
    uint64_t orders = 0, limits = 0, rights = 0, waiting = 0;
    for (uint64_t seed = 1; seed <= 10; ++seed) {
        SCOPED_TRACE(seed);
        Core core({1000, 100, 16, 100000});
        Discard events;
        test::RandomCommands commands(seed);
        for (int i = 0; i < 1500; ++i) {
            core.apply(commands.next(), events);
            if (i % 37 != 0) continue;
            for (AccountId account = 0; account < 12; ++account) {
                std::string json;
                core.explainAccount(account, json);
                AccountStatement statement;
                core.accountStatement(account, {0, UINT32_MAX}, statement);
                ASSERT_EQ(statement.position, core.position());
                ASSERT_EQ(statement.exists, json != "null");
                if (!statement.exists) continue;
                ASSERT_EQ(json.substr(json.find("\"killed\":")), print(statement));
                ASSERT_EQ(statement.orders.size(), statement.openOrders);
                orders += statement.orders.size();
                limits += statement.limits.size();
                rights += statement.instrumentRights.size();
                for (const auto& order : statement.orders) waiting += order.waiting ? 1 : 0;

                // Pages put together are the whole, wherever they are cut.
                std::vector<OrderId> paged;
                AccountStatement page;
                do {
                    core.accountStatement(account, {paged.empty() ? 0 : paged.back(), 3}, page);
                    ASSERT_LE(page.orders.size(), 3u);
                    for (const auto& order : page.orders) paged.push_back(order.orderId);
                } while (!page.orders.empty());
                ASSERT_EQ(paged.size(), statement.orders.size());
                for (size_t k = 0; k < paged.size(); ++k)
                    ASSERT_EQ(paged[k], statement.orders[k].orderId);
            }
        }
    }
    EXPECT_GT(orders, 100u);
    EXPECT_GT(limits, 10u);
    EXPECT_GT(rights, 10u);
    EXPECT_GT(waiting, 10u);
}

}  // namespace
}  // namespace verbex::statement_test
