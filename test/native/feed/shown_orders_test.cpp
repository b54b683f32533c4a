// A walk sees the orders of the moment at which it began, whatever happens while it is under way.
#include "feed/shown_orders.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <vector>

namespace verbex::feed::shown_orders_test {
namespace {

struct Seen {
    OrderId order;
    uint64_t reference;
    int64_t visible;
    friend bool operator==(const Seen&, const Seen&) = default;
};

TEST(ShownOrders, AWalkIsOfOneMoment) {
    std::mt19937_64 random(1);
    ShownOrders shown;
    std::map<uint64_t, Seen> model;  // by reference
    std::map<OrderId, uint64_t> references;
    uint64_t next = 0, walks = 0, parts = 0;
    std::vector<Seen> expected, seen;
    for (uint64_t step = 1; step <= 200'000; ++step) {
        const uint32_t draw = random() % 100;
        if (draw < (step / 20'000 % 2 == 0 ? 50 : 40) || references.empty()) {
            const auto visible = static_cast<int64_t>(
                random() % 8 == 0 ? random() % (uint64_t{1} << 36) + 1 : 1 + random() % 100);
            next += ShownOrder::partsOf(visible);
            parts += ShownOrder::partsOf(visible);
            shown.add(step, 1, Side::Buy, 5, visible, next);
            model[next] = {step, next, visible};
            references[step] = next;
        } else {
            auto at = references.lower_bound(random() % step);
            if (at == references.end()) at = references.begin();
            Seen& known = model[at->second];
            ShownOrder* const order = shown.find(at->first);
            ASSERT_NE(order, nullptr);
            ASSERT_EQ(order->visible, known.visible);
            parts -= ShownOrder::partsOf(known.visible);
            if (draw < 70 && known.visible > 1) {
                known.visible = 1 + static_cast<int64_t>(random() % static_cast<uint64_t>(known.visible - 1));
                parts += ShownOrder::partsOf(known.visible);
                shown.setVisible(*order, known.visible);
            } else {
                const OrderId id = at->first;
                shown.remove(*order);
                model.erase(at->second);
                references.erase(at);
                ASSERT_EQ(shown.find(id), nullptr);
            }
        }
        ASSERT_EQ(shown.parts(), parts);
        if (!shown.walking() && random() % 200 == 0) {
            expected.clear();
            seen.clear();
            for (const auto& [reference, order] : model) expected.push_back(order);
            shown.beginWalk();
            ASSERT_EQ(shown.walking(), !expected.empty());
        }
        if (shown.walking() && random() % 3 == 0) {
            const auto visit = [&seen](const ShownOrder& order, int64_t visible) {
                seen.push_back({order.orderId, order.reference, visible});
            };
            if (shown.walk(random() % 60, visit)) {
                ASSERT_EQ(seen, expected);
                ++walks;
            }
        }
    }
    EXPECT_GT(walks, 100u);
}

}  // namespace
}  // namespace verbex::feed::shown_orders_test
