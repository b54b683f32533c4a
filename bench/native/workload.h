// The workloads of the core benchmark, made from a seed, before any clock runs.
//
// Purpose: W (new 55% of which about a tenth cross, IOC 10%, cancel 25%, move by ±1–3 ticks 10%) and ec (the
// order generator of exchange-core, rebuilt from its published facts). A workload is a list of steps
// that name orders by the step that made them, so that a bare book and a whole core can run the same.
// The maker of the list follows a book of its own, so that cancels and moves name orders that are open.
// Owner: core_bench. Thread safety: none. Not part of the engine: floating point is used freely.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <vector>

#include "book/book.h"

namespace verbex::bench {

enum class StepKind : uint8_t { New, Ioc, Fok, Cancel, Move, Reduce };

struct Step {
    StepKind kind;
    bool sell;
    uint32_t symbol;
    uint32_t order;    // New, Ioc, Fok: its own number; otherwise the order meant
    uint32_t account;  // 1 …
    int32_t price;
    int32_t quantity;  // Reduce: by how much
};
static_assert(sizeof(Step) == 24);

struct Workload {
    const char* name;
    uint32_t symbols;
    uint32_t accounts;
    uint32_t orders;  // numbers used
    int64_t priceMin, priceMax;
    std::vector<Step> prefill;
    std::vector<Step> steps;
};

// xorshift64* (Vigna 2016).
class Random {
public:
    explicit Random(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15ULL + 1) {}
    uint64_t next() {
        state_ ^= state_ >> 12;
        state_ ^= state_ << 25;
        state_ ^= state_ >> 27;
        return state_ * 0x2545f4914f6cdd1dULL;
    }
    uint32_t below(uint32_t n) {
        return static_cast<uint32_t>(((next() >> 32) * uint64_t{n}) >> 32);
    }
    double unit() { return static_cast<double>(next() >> 11) * 0x1p-53; }

private:
    uint64_t state_;
};

// Events that go nowhere: the region is used again and again, as a ring's would be.
class Discard final : public EventWriter {
public:
    Discard() : cells_(zeroedArray<Event>(kCells)) { setRegion(cells_.get(), cells_.get() + kCells); }
    static constexpr size_t kCells = 2048;  // 256 KiB: stays in the second-level cache
    uint64_t count() const { return drained_ + static_cast<uint64_t>(cursor() - begin()); }
    // The event of that number, of the latest kCells.
    const Event& at(uint64_t number) const { return cells_[number % kCells]; }

private:
    void drain() override {
        drained_ += kCells;
        setRegion(cells_.get(), cells_.get() + kCells);
    }
    ZeroedArray<Event> cells_;
    uint64_t drained_ = 0;
};

// A bare book per symbol: matching without risk, driven by steps.
class BareBooks {
public:
    // `orders`: numbers of orders that steps may name.
    explicit BareBooks(uint32_t orders)
        : memory_(orders, 1, false), slab_(memory_), slots_(zeroedArray<OrderSlot>(size_t{orders} + 1)) {}
    BareBooks(const Workload& shape, uint32_t orders) : BareBooks(orders) {
        for (uint32_t i = 0; i < shape.symbols; ++i) addBook(shape.priceMin, shape.priceMax);
    }
    void addBook(int64_t priceMin, int64_t priceMax) {
        const auto instrument = static_cast<InstrumentId>(books_.size() + 1);
        books_.push_back(std::make_unique<Book>(instrument, slab_, priceMin, priceMax));
    }

    void run(const Step& step, Position position) {
        Book& book = *books_[step.symbol];
        const CommandContext context{events_, position, 0};
        switch (step.kind) {
            case StepKind::New:
            case StepKind::Ioc:
            case StepKind::Fok: {
                const auto timeInForce = step.kind == StepKind::New   ? TimeInForce::Gtc
                                         : step.kind == StepKind::Ioc ? TimeInForce::Ioc
                                                                      : TimeInForce::Fok;
                const OrderSlot slot = slab_.claim();
                Order& order = slab_[slot];
                order.price = step.price;
                order.open = step.quantity;
                order.visible = 0;
                order.next = order.prev = 0;
                order.orderId = position;
                order.account = step.account;
                order.firm = 1;
                order.instrument = step.symbol + 1u;
                order.entry = step.order;
                order.flags = (step.sell ? kOrderSell : 0) | 1u << kOrderTypeShift |
                              static_cast<uint32_t>(timeInForce) << kOrderTimeInForceShift |
                              (step.kind == StepKind::New ? 0 : kOrderImmediate);
                order.extra = 0;
                Event& head = context.emit(EventType::Accepted, step.symbol + 1u);
                describeOrder(head, order);
                head.quantity = head.leaves = step.quantity;
                slots_[step.order] = book.enter(slot, 0, head, context) ? slot : 0;
                break;
            }
            case StepKind::Cancel: book.cancel(slots_[step.order], Cause::Requested, context); break;
            case StepKind::Reduce:
                book.reduce(slots_[step.order], step.quantity, Cause::Requested, context);
                break;
            case StepKind::Move: {
                const OrderSlot slot = slots_[step.order];
                Order& order = slab_[slot];
                book.withdraw(slot);
                order.price = step.price;
                Event& head = context.emit(EventType::Replaced, step.symbol + 1u);
                describeOrder(head, order);
                head.quantity = head.leaves = order.open;
                slots_[step.order] = book.enter(slot, 0, head, context) ? slot : 0;
                break;
            }
        }
    }

    // Brings close what the next steps will touch, as Core::warm does for commands.
    void warm(const Step* steps, size_t count) const {
        if (slab_.live() < 8192) return;
        for (size_t i = 0; i < count; ++i) {
            if (steps[i].kind >= StepKind::Cancel) {
                touch(&slots_[steps[i].order]);
            } else {
                books_[steps[i].symbol]->warm(steps[i].price);
            }
        }
        for (size_t i = 0; i < count; ++i) {
            if (steps[i].kind >= StepKind::Cancel) touch(&slab_[slots_[steps[i].order]]);
        }
        for (size_t i = 0; i < count; ++i) {
            if (steps[i].kind < StepKind::Cancel) continue;
            const Book& book = *books_[steps[i].symbol];
            book.warmAround(slab_[slots_[steps[i].order]]);
            if (steps[i].kind == StepKind::Move) book.warm(steps[i].price);
        }
    }

    Book& book(uint32_t symbol) { return *books_[symbol]; }
    OrderSlab& slab() { return slab_; }
    OrderSlot slotOf(uint32_t order) const { return slots_[order]; }
    uint64_t events() const { return events_.count(); }
    const Discard& discarded() const { return events_; }
    uint64_t trades() const {
        uint64_t sum = 0;
        for (const auto& book : books_) sum += book->trades();
        return sum;
    }

private:
    OrderMemory memory_;
    OrderSlab slab_;
    ZeroedArray<OrderSlot> slots_;
    std::vector<std::unique_ptr<Book>> books_;
    Discard events_;
};

// Which orders are open, with their age: what the makers of workloads choose victims from.
class OpenOrders {
public:
    void add(uint32_t order) {
        at_.resize(std::max<size_t>(at_.size(), size_t{order} + 1));
        at_[order] = static_cast<uint32_t>(list_.size());
        list_.push_back(order);
    }
    void remove(uint32_t order) {
        const uint32_t at = at_[order];
        list_[at] = list_.back();
        at_[list_[at]] = at;
        list_.pop_back();
    }
    bool empty() const { return list_.empty(); }
    size_t size() const { return list_.size(); }
    template <typename Alive, typename Bury>
    void dropDead(Alive alive, Bury bury) {
        for (size_t i = list_.size(); i-- > 0;) {
            const uint32_t order = list_[i];
            if (!alive(order)) bury(order);
        }
    }
    uint32_t any(Random& random) const {
        return list_[random.below(static_cast<uint32_t>(list_.size()))];
    }

private:
    std::vector<uint32_t> list_;
    std::vector<uint32_t> at_;
};

// Which of its operations a workload has.
enum class Mix : uint8_t {
    All,
    Common,  // what every engine has: immediate orders are good till cancelled, moves and reduces are cancels
};

inline StepKind inMix(StepKind kind, Mix mix) {
    if (mix == Mix::All) return kind;
    return kind <= StepKind::Fok ? StepKind::New : StepKind::Cancel;
}

// W: `resting` orders a symbol on about `levels` price levels.
inline Workload makeW(const char* name, uint32_t symbols, uint32_t resting, uint32_t levels,
                      uint32_t operations, uint64_t seed, Mix mix = Mix::All) {
    Workload work{name, symbols, 1000, 0, 1, 0, {}, {}};
    const int32_t middle = 1 << 16;
    work.priceMax = 1 << 17;
    Random random(seed);
    const uint32_t total = symbols * resting;
    BareBooks books(work, total * 4 + 4096);
    // The books above are sized for open orders; the numbers of all orders ever go on counting here.
    std::vector<OpenOrders> open(symbols);
    std::vector<uint32_t> place;  // order number → number in `books`, which reuses them
    std::vector<uint32_t> freePlaces;
    uint32_t places = 0;
    const auto half = static_cast<int32_t>(levels / 2);
    std::vector<int32_t> mid(symbols, middle);

    const auto resolve = [&](Step step) {
        step.order = place[step.order];
        return step;
    };
    const auto alive = [&](uint32_t order, OrderId id) {
        const OrderSlot slot = books.slotOf(place[order]);
        return slot != 0 && books.slab()[slot].orderId == id;
    };
    std::vector<OrderId> ids;
    Position position = 0;
    const auto run = [&](const Step& step) {
        if (step.kind <= StepKind::Fok) {
            uint32_t p;
            if (freePlaces.empty()) {
                p = ++places;
            } else {
                p = freePlaces.back();
                freePlaces.pop_back();
            }
            place.push_back(p);
            ids.push_back(++position);
        } else {
            ++position;
        }
        books.run(resolve(step), position);
    };
    const auto bury = [&](uint32_t symbol, uint32_t order) {
        open[symbol].remove(order);
        freePlaces.push_back(place[order]);
    };
    const auto victim = [&](uint32_t symbol) -> int64_t {
        while (!open[symbol].empty()) {
            const uint32_t order = open[symbol].any(random);
            if (alive(order, ids[order])) return order;
            bury(symbol, order);
        }
        return -1;
    };
    const auto passive = [&](uint32_t symbol, bool sell) {
        const int32_t away = 1 + static_cast<int32_t>(random.below(static_cast<uint32_t>(half)));
        return sell ? mid[symbol] + away : mid[symbol] - away;
    };
    const auto record = [&](std::vector<Step>& out, Step step) {
        step.kind = inMix(step.kind, mix);
        if (step.kind <= StepKind::Fok) step.order = work.orders++;
        run(step);
        out.push_back(step);
        if (step.kind == StepKind::New) {
            if (alive(step.order, ids[step.order])) {
                open[step.symbol].add(step.order);
            } else {
                freePlaces.push_back(place[step.order]);
            }
        } else if (step.kind == StepKind::Ioc || step.kind == StepKind::Fok) {
            freePlaces.push_back(place[step.order]);
        } else if (step.kind == StepKind::Cancel) {
            bury(step.symbol, step.order);
        }
    };
    const auto account = [&] { return 1 + random.below(work.accounts); };
    for (uint32_t i = 0; i < total; ++i) {
        const uint32_t symbol = i % symbols;
        const bool sell = random.below(2) != 0;
        record(work.prefill, Step{StepKind::New, sell, symbol, 0, account(), passive(symbol, sell),
                                  static_cast<int32_t>(1 + random.below(10))});
    }
    while (work.steps.size() < operations) {
        const uint32_t symbol = random.below(symbols);
        const uint32_t draw = random.below(1000);
        const bool sell = random.below(2) != 0;
        // The list of the open keeps the dead until somebody looks.
        if (open[symbol].size() > resting + resting / 32) {
            open[symbol].dropDead([&](uint32_t order) { return alive(order, ids[order]); },
                                  [&](uint32_t order) { bury(symbol, order); });
        }
        const bool crowded = open[symbol].size() > resting;
        if (random.below(64) == 0) mid[symbol] += static_cast<int32_t>(random.below(3)) - 1;
        mid[symbol] = std::clamp(mid[symbol], middle / 2, middle + middle / 2);
        const auto takerQuantity = static_cast<int32_t>((crowded ? 8 : 3) + random.below(crowded ? 16 : 8));
        if (draw < 550) {
            const bool cross = random.below(10) == 0;
            const Book& book = books.book(symbol);
            int32_t price = passive(symbol, sell);
            int32_t quantity = static_cast<int32_t>(1 + random.below(10));
            const int64_t best = book.bestOpposite(sell);
            if (cross && best != 0) {
                price = static_cast<int32_t>(best) + (sell ? -half / 2 : half / 2);
                quantity = takerQuantity;
            }
            record(work.steps, Step{StepKind::New, sell, symbol, 0, account(), price, quantity});
        } else if (draw < 650) {
            const int64_t best = books.book(symbol).bestOpposite(sell);
            const int32_t price =
                best == 0 ? mid[symbol] : static_cast<int32_t>(best) + (sell ? -half / 2 : half / 2);
            record(work.steps, Step{StepKind::Ioc, sell, symbol, 0, account(), price, takerQuantity});
        } else {
            const int64_t order = victim(symbol);
            if (order < 0) continue;
            const auto number = static_cast<uint32_t>(order);
            const Order& now = books.slab()[books.slotOf(place[number])];
            if (draw < 900) {
                record(work.steps, Step{StepKind::Cancel, now.sell(), symbol, number, now.account, 0, 0});
            } else {
                const auto ticks = static_cast<int32_t>(1 + random.below(3));
                record(work.steps,
                       Step{StepKind::Move, now.sell(), symbol, number, now.account,
                            static_cast<int32_t>(now.price) + (random.below(2) != 0 ? ticks : -ticks),
                            static_cast<int32_t>(now.open)});
            }
        }
    }
    return work;
}

// exchange-core's generator for one symbol with `target` resting orders. Orders are numbered by the order of their
// making over all symbols; whoever calls remembers what prices and accounts are left to it.
class EcSymbol {
public:
    // Draws the start price, opens the symbol's book. `accounts`: how many, from `firstAccount` on.
    EcSymbol(BareBooks& books, uint32_t symbol, uint32_t target, AccountId firstAccount,
             uint32_t accounts, Random& random)
        : books_(books), symbol_(symbol), half_(target / 2), fast_(std::min(512u, half_ * 3 / 4)),
          every_(std::min(512u, target + 1)), firstAccount_(firstAccount), accounts_(accounts) {
        last_ = static_cast<int32_t>(
            std::pow(10.0, 3.3 + 1.5 * random.unit() + 1.5 * random.unit()));
        deviation_ = std::min(static_cast<int32_t>(0.05 * last_), 10000);
        low_ = std::max(1, last_ - 5 * deviation_);
        high_ = last_ + 5 * deviation_;
        books_.addBook(low_, high_);
    }

    [[nodiscard]] int32_t low() const { return low_; }
    [[nodiscard]] int32_t high() const { return high_; }

    // One of the first `target` orders, sides by turns. record(step) numbers and runs it (see ran()).
    template <typename Record>
    void prefill(bool sell, Random& random, Record record) {
        record(gtc(sell, random));
    }

    // One command of the mix.
    template <typename Record>
    void next(Random& random, Record record) {
        if (steps_++ % every_ == 0) refresh();
        const bool sell = random.below(2) != 0;
        const int64_t lack = int64_t{half_} - counts_[sell ? 1 : 0];
        const bool grow = lack > 0;
        if (!grow) reached_[sell ? 1 : 0] = true;
        const bool quick = !reached_[sell ? 1 : 0] || lack > fast_;
        const uint32_t q = random.below(grow ? (quick ? 2 : 10) : 40);
        const int64_t order = q < 2 ? -1 : victim(random);
        if (order < 0) {
            record(grow ? gtc(sell, random) : immediate(sell, random));
            return;
        }
        record(change(static_cast<uint32_t>(order), q, random));
    }

    // What the step came to, once the books have run it.
    void ran(const Step& step, OrderId id) {
        if (step.kind == StepKind::New && alive({step.order, id})) live_.push_back({step.order, id});
        const int64_t price = books_.book(symbol_).lastPrice();
        if (price != 0) last_ = std::clamp(static_cast<int32_t>(price), low_, high_);
    }

private:
    struct Entered {
        uint32_t order;
        OrderId id;
    };

    [[nodiscard]] bool alive(const Entered& one) const {
        const OrderSlot slot = books_.slotOf(one.order);
        return slot != 0 && books_.slab()[slot].orderId == one.id;
    }

    void refresh() {
        counts_[0] = counts_[1] = 0;
        std::vector<Entered> still;
        for (size_t i = oldest_; i < live_.size(); ++i) {
            if (!alive(live_[i])) continue;
            still.push_back(live_[i]);
            ++counts_[books_.slab()[books_.slotOf(live_[i].order)].sell() ? 1 : 0];
        }
        live_.swap(still);
        oldest_ = 0;
    }

    Step gtc(bool sell, Random& random) {
        const double u = random.unit();
        const auto d = static_cast<uint32_t>(1 + static_cast<int32_t>(u * u * deviation_));
        const auto sum = static_cast<int32_t>(random.below(d) + random.below(d) + random.below(d) +
                                              random.below(d));
        const int32_t offset = std::abs(sum / 4 * 2 - static_cast<int32_t>(d));
        const int32_t price = std::clamp(sell ? last_ + offset : last_ - offset, low_, high_);
        const auto size =
            static_cast<int32_t>(1 + random.below(6) * random.below(6) * random.below(6));
        return Step{StepKind::New, sell, symbol_, 0, firstAccount_ + random.below(accounts_), price,
                    size};
    }

    Step immediate(bool sell, Random& random) {
        Step step = gtc(sell, random);
        step.price = sell ? low_ : high_;
        step.kind = StepKind::Ioc;
        if (random.below(32) == 0) {
            // The budget of the original is a limit price here: the far end of the range.
            const uint32_t r = random.below(8);
            step.kind = StepKind::Fok;
            step.quantity = static_cast<int32_t>(1 + r * r * r);
        }
        return step;
    }

    // Uniform among the oldest 512 that are still open; -1: none found.
    int64_t victim(Random& random) {
        for (int tries = 0; tries < 64 && oldest_ < live_.size(); ++tries) {
            while (oldest_ < live_.size() && !alive(live_[oldest_])) ++oldest_;
            if (oldest_ == live_.size()) break;
            const auto span = static_cast<uint32_t>(std::min<size_t>(512, live_.size() - oldest_));
            const Entered& candidate = live_[oldest_ + random.below(span)];
            if (alive(candidate)) return candidate.order;
        }
        return -1;
    }

    Step change(uint32_t number, uint32_t q, Random& random) {
        const Order& now = books_.slab()[books_.slotOf(number)];
        Step step{StepKind::Cancel, now.sell(), symbol_, number, now.account, 0, 0};
        if (q == 3) {
            const auto by = static_cast<int32_t>(1 + random.below(static_cast<uint32_t>(now.open)));
            if (by < now.open) {
                step.kind = StepKind::Reduce;
                step.quantity = by;
            }
        } else if (q != 2) {
            const double delta = (last_ - static_cast<double>(now.price)) * 0.01;
            auto ticks = static_cast<int32_t>(delta < 0 ? std::floor(delta) : std::ceil(delta));
            if (ticks == 0) ticks = random.below(2) != 0 ? 1 : -1;
            step.kind = StepKind::Move;
            step.price = std::clamp(static_cast<int32_t>(now.price) + ticks, low_, high_);
            step.quantity = static_cast<int32_t>(now.open);
        }
        return step;
    }

    BareBooks& books_;
    const uint32_t symbol_;
    const uint32_t half_;
    const uint32_t fast_;
    const uint32_t every_;
    const AccountId firstAccount_;
    const uint32_t accounts_;
    int32_t last_ = 0;  // latest trade price within the range
    int32_t deviation_ = 0, low_ = 0, high_ = 0;
    std::vector<Entered> live_;  // by age; the dead are dropped when they are met
    size_t oldest_ = 0;
    uint64_t steps_ = 0;
    uint32_t counts_[2] = {0, 0};  // buys, sells; refreshed now and then
    bool reached_[2] = {false, false};
};

// ec: exchange-core's generator for one symbol, `target` resting orders.
inline Workload makeEc(const char* name, uint32_t target, uint32_t accounts, uint32_t operations,
                       uint64_t seed) {
    Workload work{name, 1, accounts, 0, 1, 0, {}, {}};
    Random random(seed);
    BareBooks books(target + operations + 1024);
    EcSymbol symbol(books, 0, target, 1, accounts, random);
    work.priceMin = symbol.low();
    work.priceMax = symbol.high();
    Position position = 0;
    const auto recordInto = [&](std::vector<Step>& out) {
        return [&work, &books, &symbol, &position, &out](Step step) {
            if (step.kind <= StepKind::Fok) step.order = work.orders++;
            books.run(step, ++position);
            symbol.ran(step, position);
            out.push_back(step);
        };
    };
    for (uint32_t i = 0; i < target; ++i) {
        symbol.prefill((i & 1) != 0, random, recordInto(work.prefill));
    }
    while (work.steps.size() < operations) symbol.next(random, recordInto(work.steps));
    return work;
}

}  // namespace verbex::bench
