#include "bus/merge.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace verbex::bus {

LineArbiter::LineArbiter(const LineArbiterOptions& options, StreamReceiver& receiver)
    : options_(options),
      receiver_(receiver),
      slots_(options.ahead),
      bytes_(
          std::make_unique_for_overwrite<std::byte[]>(size_t{options.ahead} * options.payloadMax)),
      next_(options.first) {
    CHECK(std::has_single_bit(options.ahead) && options.first > 0);
    counters_.first.assign(options.lines, 0);
}

bool LineArbiter::push(uint32_t line, const StreamMessage& message, Nanoseconds now) {
    CHECK(line < counters_.first.size());
    const Position position = message.position;
    if (position < next_ || slots_[slotOf(position)].position == position) {
        ++counters_.duplicates;
        return true;
    }
    if (position == next_) {
        if (!receiver_.onMessage(message)) {
            since_ = now;  // not missing: not wanted yet
            return false;
        }
        ++counters_.first[line];
        advance(now);
        drain(now);
        return true;
    }
    if (position - next_ >= slots_.size()) return refuse(position, now);
    if (message.payload.size() > options_.payloadMax) {
        // It cannot wait; it can be taken when it is due.
        ++counters_.oversized;
        return refuse(position, now);
    }
    if (waiting_++ == 0 && beyond_ == 0) since_ = now;
    ++counters_.first[line];
    slots_[slotOf(position)] = {position, static_cast<uint32_t>(message.payload.size()),
                                message.flags};
    if (!message.payload.empty()) {
        std::memcpy(bytes_.get() + slotOf(position) * options_.payloadMax, message.payload.data(),
                    message.payload.size());
    }
    return true;
}

// That it is there shows that what is due is missing, though it has no room here.
bool LineArbiter::refuse(Position position, Nanoseconds now) {
    if (waiting_ == 0 && beyond_ == 0) since_ = now;
    beyond_ = beyond_ == 0 ? position : std::min(beyond_, position);
    return false;
}

void LineArbiter::advance(Nanoseconds now) {
    Slot& slot = slots_[slotOf(next_)];
    if (slot.position == next_) {
        slot.position = 0;
        --waiting_;
    }
    ++next_;
    if (beyond_ <= next_) beyond_ = 0;
    since_ = now;
}

void LineArbiter::drain(Nanoseconds now) {
    while (waiting_ > 0) {
        const Slot& slot = slots_[slotOf(next_)];
        if (slot.position != next_) return;
        const std::byte* at = bytes_.get() + slotOf(next_) * options_.payloadMax;
        if (!receiver_.onMessage({next_, slot.flags, {at, slot.size}})) return;
        advance(now);
    }
}

std::optional<Gap> LineArbiter::poll(Nanoseconds now) {
    drain(now);
    if (waiting_ == 0 && beyond_ == 0) return std::nullopt;
    if (slots_[slotOf(next_)].position == next_ || now - since_ < options_.waitNs) {
        return std::nullopt;
    }
    for (Position there = next_ + 1; there < next_ + slots_.size(); ++there) {
        if (slots_[slotOf(there)].position == there || there == beyond_) {
            return Gap{next_, there - 1};
        }
    }
    return Gap{next_, beyond_ - 1};
}

void LineArbiter::skipTo(Position position, Nanoseconds now) {
    while (next_ < position) {
        // What waits before it goes, too: the caller has it from elsewhere.
        ++counters_.skipped;
        if (waiting_ == 0) {
            counters_.skipped += position - next_ - 1;
            next_ = position - 1;
        }
        advance(now);
    }
    drain(now);
}

OrderRecorder::OrderRecorder(size_t entriesMax) : entriesMax_(entriesMax) {
    CHECK(entriesMax > 0);
    entries_.reserve(entriesMax);
}

OrderedMerge::OrderedMerge(const OrderedMergeOptions& options, MergeReceiver& receiver)
    : options_(options), receiver_(receiver), order_(options.entriesMax), merged_(options.merged) {
    CHECK(!options.first.empty() && options.entriesMax > 0);
    CHECK(costOf(options.payloadMax) <= options.bufferBytes / 8);
    sources_.reserve(options.first.size());
    for (const Position first : options.first) {
        sources_.push_back({History(options.bufferBytes, first), first, first});
    }
}

Pushed OrderedMerge::pushOrder(std::span<const std::byte> batch) {
    if (batch.empty() || batch.size() % sizeof(OrderEntry) != 0) return Pushed::Refused;
    const size_t count = batch.size() / sizeof(OrderEntry);
    const auto entryAt = [&](size_t i) {
        OrderEntry entry;
        std::memcpy(&entry, batch.data() + i * sizeof entry, sizeof entry);
        return entry;
    };
    for (size_t i = 0; i < count; ++i) {
        const OrderEntry entry = entryAt(i);
        if (entry.source >= sources_.size() || entry.count == 0) return Pushed::Refused;
    }
    if (count > order_.size()) return Pushed::Refused;
    if (orderEnd_ - orderBegin_ + count > order_.size()) return Pushed::Full;
    for (size_t i = 0; i < count; ++i) order_[orderEnd_++ % order_.size()] = entryAt(i);
    return Pushed::Taken;
}

Pushed OrderedMerge::push(uint32_t index, const StreamMessage& message) {
    if (index >= sources_.size()) return Pushed::Refused;
    Source& source = sources_[index];
    if (message.position != source.expected || message.payload.size() > options_.payloadMax) {
        return Pushed::Refused;
    }
    // Its turn, and nothing waits before it: no copy.
    if (source.cost == 0 && orderBegin_ != orderEnd_ && head().source == index &&
        deliver(index, message)) {
        ++source.expected;
        return Pushed::Taken;
    }
    const uint64_t cost = costOf(message.payload.size());
    if (source.cost + cost > options_.bufferBytes / 2) return Pushed::Full;
    if (source.cost == 0) source.waiting.restart(source.expected);
    source.waiting.append(message.payload, message.flags);
    source.cost += cost;
    ++source.expected;
    return Pushed::Taken;
}

bool OrderedMerge::deliver(uint32_t source, const StreamMessage& message) {
    if (!receiver_.onMerged(source, merged_, message)) return false;
    ++merged_;
    ++sources_[source].due;
    if (++doneOfHead_ == head().count) {
        ++orderBegin_;
        doneOfHead_ = 0;
    }
    return true;
}

size_t OrderedMerge::poll(Nanoseconds now, size_t limit) {
    size_t count = 0;
    while (count < limit && orderBegin_ != orderEnd_) {
        const uint32_t index = head().source;
        Source& source = sources_[index];
        if (source.cost == 0) break;
        const History::Entry entry = source.waiting.at(source.due);
        if (!deliver(index, {source.due, entry.flags, entry.payload})) break;
        source.cost -= costOf(entry.payload.size());
        ++count;
    }
    const std::optional<Stalled> lacking = missing();
    if (!lacking || missingAt_ != merged_) {
        missingAt_ = lacking ? merged_ : 0;
        since_ = now;
    }
    stalled_ = lacking && now - since_ >= options_.waitNs ? lacking : std::nullopt;
    return count;
}

std::optional<Stalled> OrderedMerge::missing() const {
    if (orderBegin_ != orderEnd_) {
        const Source& source = sources_[head().source];
        if (source.cost > 0) return std::nullopt;
        return Stalled{head().source, source.due};
    }
    for (const Source& source : sources_) {
        if (source.cost > 0) return Stalled{Stalled::kOrder, merged_};
    }
    return std::nullopt;
}

}  // namespace verbex::bus
