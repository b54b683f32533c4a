#include "bus/publication.h"

#include "transport/frame.h"

namespace verbex::bus {

namespace {

constexpr uint64_t kNoLimit = UINT64_MAX;
// A closed stream waits this many times livenessNs for a subscriber whose link was lost.
constexpr uint64_t kLingerTimes = 10;

}  // namespace

StreamPublication::StreamPublication(Context& context, const PublicationOptions& options)
    : context_(context), options_(options), history_(options.historyBytes, options.first) {
    if (options.store != nullptr) {
        storeCopy_ = std::make_unique_for_overwrite<std::byte[]>(options.payloadMax);
    }
    refreshLimit();
}

int64_t StreamPublication::offer(std::span<const std::byte> payload, uint8_t flags) {
    if (closed_) [[unlikely]]
        return kClosed;
    if (payload.size() > options_.payloadMax) [[unlikely]]
        return kTooLarge;
    const uint64_t cost = costOf(payload.size());
    if (history_.end() + cost > limit_) [[unlikely]] {
        if (cursors_.empty()) {
            ++context_.counters.notConnected;
            return kNotConnected;
        }
        ++context_.counters.backPressured;
        return kBackPressured;
    }
    const Position position = history_.next();
    if (position > kPositionMax) [[unlikely]]
        return kMaxPositionExceeded;
    flags &= transport::kFrameFlagMask;
    history_.append(payload, flags);
    ++context_.counters.published;
    context_.counters.publishedBytes += payload.size();
    for (Cursor* cursor : cursors_) {
        if (cursor->next != position) continue;
        if (!sendAppended(*cursor, cost, payload, flags)) ++behind_;
    }
    return static_cast<int64_t>(position);
}

bool StreamPublication::sendAppended(Cursor& cursor, uint64_t cost,
                                     std::span<const std::byte> payload, uint8_t flags) {
    if (!cursor.hasRoom(cost)) return false;
    if (!cursor.channel->send(MessageKind::Data, cursor.handle, cursor.next, payload, flags)) {
        return false;
    }
    ++cursor.next;
    cursor.sentCost += cost;
    return true;
}

Position StreamPublication::oldest() const {
    if (options_.store != nullptr) {
        const Position stored = options_.store->oldest(options_.stream);
        if (stored != 0) return std::min(stored, history_.oldest());
    }
    return history_.oldest();
}

Position StreamPublication::consumedByAll() const {
    Position least = position();
    for (const Cursor* cursor : cursors_) least = std::min(least, cursor->consumed);
    return least;
}

void StreamPublication::close() {
    closed_ = true;
    behind_ = cursors_.size();
}

bool StreamPublication::isDone() const {
    if (!closed_ || !cursors_.empty()) return false;
    return lastLeft_ == 0 || context_.now - lastLeft_ > kLingerTimes * context_.options.livenessNs;
}

Status StreamPublication::admit(Cursor& cursor, From from, Position position, uint32_t window) {
    const uint32_t granted =
        static_cast<uint32_t>(std::min<uint64_t>(window, history_.capacity() / 2));
    if (costOf(options_.payloadMax) > granted / 4) {
        return Status(StatusCode::InvalidArgument,
                      "a message of stream " + options_.stream + " may have " +
                          std::to_string(options_.payloadMax) +
                          " bytes: subscribe with a buffer of " + "at least " +
                          std::to_string(8 * costOf(options_.payloadMax)));
    }
    if (options_.payloadMax > cursor.channel->payloadMax()) {
        return Status(StatusCode::InvalidArgument,
                      "the link takes payloads of at most " +
                          std::to_string(cursor.channel->payloadMax()) + " bytes, stream " +
                          options_.stream + " has up to " + std::to_string(options_.payloadMax));
    }
    const Position oldestNow = oldest();
    Position first = history_.next();
    if (from == From::Oldest) first = oldestNow;
    if (from == From::Position) first = position;
    if (first < oldestNow || first > history_.next()) {
        return Status(StatusCode::PositionLost, "stream " + options_.stream + " has positions " +
                                                    std::to_string(oldestNow) + " to " +
                                                    std::to_string(history_.next() - 1) +
                                                    ", asked from " + std::to_string(first));
    }
    cursor.publication = this;
    cursor.state = Cursor::State::Live;
    cursor.first = cursor.next = first;
    cursor.consumed = first - 1;
    cursor.window = granted;
    cursor.replaying = first < history_.oldest();
    cursors_.push_back(&cursor);
    if (first != history_.next() || closed_) ++behind_;
    refreshLimit();
    return {};
}

void StreamPublication::remove(Cursor& cursor, Position arrived) {
    cursors_.erase(std::find(cursors_.begin(), cursors_.end(), &cursor));
    cursor.publication = nullptr;
    if (arrived + 1 < history_.next()) lastLeft_ = context_.now;
    refreshLimit();
}

bool StreamPublication::onConsumed(Cursor& cursor, Position position, uint64_t cost) {
    if (position >= cursor.next || cost > cursor.sentCost) return false;
    if (position <= cursor.consumed || cost < cursor.consumedCost) return true;  // an old word
    cursor.consumed = position;
    cursor.consumedCost = cost;
    refreshLimit();
    return true;
}

void StreamPublication::refreshLimit() {
    if (cursors_.empty()) {
        limit_ = options_.retain ? kNoLimit : 0;
        return;
    }
    bool found = false;
    Position furthest = 0;
    for (const Cursor* cursor : cursors_) {
        if (cursor->consumed + 1 < history_.oldest()) continue;
        furthest = std::max(furthest, cursor->consumed);
        found = true;
    }
    limit_ = found ? history_.offsetOf(furthest + 1) + history_.capacity() / 2 : kNoLimit;
}

size_t StreamPublication::pump(uint32_t limit) {
    if (behind_ == 0) return 0;
    behind_ = 0;
    size_t sent = 0;
    // Backward, since a cursor that is over leaves the list.
    for (size_t i = cursors_.size(); i-- > 0;) {
        Cursor& cursor = *cursors_[i];
        if (cursor.state == Cursor::State::Live) sent += pumpCursor(cursor, limit);
        if (cursor.state == Cursor::State::CutOff) {
            cursors_.erase(cursors_.begin() + static_cast<std::ptrdiff_t>(i));
            cursor.publication = nullptr;
            refreshLimit();
        } else if (cursor.state == Cursor::State::Live &&
                   (cursor.next != history_.next() || closed_)) {
            ++behind_;
        }
    }
    return sent;
}

size_t StreamPublication::pumpCursor(Cursor& cursor, uint32_t limit) {
    size_t sent = 0;
    while (sent < limit && cursor.next != history_.next()) {
        History::Entry entry;
        if (history_.has(cursor.next)) {
            entry = history_.at(cursor.next);
            cursor.replaying = cursor.replaying && !hasCaughtUp(cursor);
        } else {
            if (!cursor.replaying || options_.store == nullptr) {
                cutOff(cursor);
                return sent;
            }
            // The store keeps payloads; a publisher's flags are gone with the history.
            ++context_.counters.storeReads;
            entry.payload = options_.store->read(options_.stream, cursor.next,
                                                 {storeCopy_.get(), options_.payloadMax});
            if (entry.payload.data() == nullptr) {
                cutOff(cursor);
                return sent;
            }
        }
        if (!sendAppended(cursor, costOf(entry.payload.size()), entry.payload, entry.flags)) break;
        ++sent;
    }
    if (closed_ && cursor.next == history_.next()) {
        cursor.state = Cursor::State::Ended;
        tellEnd(cursor);
    }
    return sent;
}

// Not as soon as the history has its next message: at the history's edge it would be cut off at
// once.
bool StreamPublication::hasCaughtUp(const Cursor& cursor) const {
    return history_.end() - history_.offsetOf(cursor.next) <= history_.capacity() / 2;
}

void StreamPublication::cutOff(Cursor& cursor) {
    cursor.state = Cursor::State::CutOff;
    ++context_.counters.cutOff;
    tellEnd(cursor);
    if (context_.events != nullptr) {
        context_.events->onCutOff(options_.stream, cursor.peer, cursor.next);
    }
}

void StreamPublication::tellEnd(Cursor& cursor) {
    if (cursor.state == Cursor::State::CutOff) {
        cursor.told = cursor.channel->send(MessageKind::CutOff, cursor.handle, cursor.next);
    } else if (cursor.state == Cursor::State::Ended) {
        cursor.told = cursor.channel->send(MessageKind::Ended, cursor.handle, cursor.next - 1);
    }
}

void StreamPublication::onHeartbeat() {
    for (const Cursor* cursor : cursors_) {
        if (cursor->consumed + 1 == cursor->next) continue;
        cursor->channel->send(MessageKind::Sent, cursor->handle, cursor->next - 1);
    }
}

}  // namespace verbex::bus
