// Images in the making and their readers: see snapshots.h.
#include "feed/snapshots.h"

#include <algorithm>

#include "session/soup.h"

namespace verbex::feed {

namespace {

constexpr size_t framed(itch::Type type) { return session::kFrameHeaderBytes + itch::bytesOf(type); }

}  // namespace

SnapshotImage* Snapshots::acquire() {
    if (newest_ != nullptr && newest_->continueFrom >= history_.oldest() &&
        (newest_ == making_ || newest_->continueFrom + kFreshMessages >= history_.next())) {
        ++newest_->readers;
        return newest_;
    }
    if (making_ == nullptr) {
        for (SnapshotImage& image : images_) {
            if (image.inUse()) continue;
            begin(image);
            ++image.readers;
            return &image;
        }
    }
    // All are being read. The newest will do, if what follows it is still to be had.
    if (newest_ == nullptr || newest_->continueFrom < history_.oldest()) return nullptr;
    ++newest_->readers;
    return newest_;
}

void Snapshots::release(SnapshotImage& image) {
    CHECK(image.readers > 0);
    --image.readers;
    // The newest stays for whoever comes next; others give their memory back.
    if (!image.inUse() && &image != newest_) image = SnapshotImage{};
}

void Snapshots::begin(SnapshotImage& image) {
    if (newest_ != nullptr && newest_ != &image && !newest_->inUse()) *newest_ = SnapshotImage{};
    image = SnapshotImage{};
    image.continueFrom = history_.next();
    image.room = builder_.listed() *
                     (framed(itch::Type::Directory) + framed(itch::Type::TradingAction)) +
                 builder_.shown().parts() * framed(itch::Type::Add) +
                 framed(itch::Type::EndOfSnapshot);
    image.memory = zeroedArray<std::byte>(image.room);
    newest_ = making_ = &image;
    builder_.shown().beginWalk();
    timeNs_ = builder_.timeOfDay();
    builder_.writeDirectory([this](const itch::Message& message) { write(message); });
}

void Snapshots::write(const itch::Message& message) {
    itch::Message stamped = message;
    stamped.timeNs = timeNs_;
    stamped.tracking = static_cast<uint16_t>(making_->continueFrom);
    std::byte* const to = &making_->memory[making_->bytes];
    CHECK(making_->bytes + framed(message.type) <= making_->room);
    const size_t bytes = itch::write(to + session::kFrameHeaderBytes, stamped);
    session::writeFrameHeader(to, session::Packet::Sequenced, bytes);
    making_->bytes += session::kFrameHeaderBytes + bytes;
}

bool Snapshots::work() {
    if (making_ == nullptr) return false;
    const size_t until = making_->bytes + kBytesPerRound;
    bool over = false;
    while (!over && making_->bytes < until) {
        over = builder_.shown().walk(1, [this](const ShownOrder& order, int64_t visible) {
            builder_.writeShown(order, visible,
                                [this](const itch::Message& message) { write(message); });
        });
    }
    if (over) finish();
    return true;
}

void Snapshots::finish() {
    itch::Message end;
    end.type = itch::Type::EndOfSnapshot;
    end.sequence = making_->continueFrom;
    write(end);
    making_->whole = true;
    making_ = nullptr;
}

// A cursor's record is where a frame begins, plus one.
size_t SnapshotReader::gather(const session::OutboundCursor& cursor, std::span<iovec> into) {
    const size_t begin = cursor.record - 1;
    shown_ = 0;
    wantsMore_ = false;
    if (image == nullptr || begin >= image->bytes || into.empty()) return 0;
    const std::byte* const memory = image->memory.get();
    size_t end = begin;
    while (end < image->bytes && end - begin < kGatherMax) end += 2 + size_t{get16(memory + end)};
    shown_ = end - begin - cursor.offset;
    into[0] = {&image->memory[begin + cursor.offset], shown_};
    return 1;
}

void SnapshotReader::advance(session::OutboundCursor& cursor, size_t bytes) {
    if (image == nullptr) return;
    const std::byte* const memory = image->memory.get();
    size_t at = cursor.record - 1;
    size_t left = cursor.offset + bytes;
    while (left != 0) {
        const size_t frame = 2 + size_t{get16(memory + at)};
        if (left < frame) break;
        left -= frame;
        at += frame;
    }
    cursor = {at + 1, static_cast<uint32_t>(left)};
    wantsMore_ = bytes == shown_ && at != image->bytes;
    done_ = image->whole && at == image->bytes;
}

uint64_t SnapshotReader::lag(const session::OutboundCursor& cursor) const {
    return image == nullptr ? 0 : image->bytes - (cursor.record - 1) - cursor.offset;
}

}  // namespace verbex::feed
