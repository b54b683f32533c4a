// MessageLog: the MessageStore as one log in mapped segments.
//
// Purpose: the implementation behind message_store.h: records one behind the other (store_record.h), a chain
// and a sparse index by session, recovery.
// Owner, thread safety, invariants: message_store.h.
// Requires: one thread.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "gateway/message_store.h"
#include "gateway/store_segments.h"
#include "transport/sockets/descriptor.h"

namespace verbex::gateway {

class MessageLog final : public MessageStore {
public:
    // Every so manieth message of a session is found at once, the others from there.
    static constexpr uint32_t kIndexEvery = 256;

    explicit MessageLog(const MessageStoreOptions& options);
    ~MessageLog() override;
    Status recover();
    void visitDay(const std::function<void(const StoredRecord&)>& visit) const override;

    std::byte* claimOut(uint16_t session, size_t payloadBytes, const EventPlace& place,
                        uint64_t timeNs) override;
    void commit(bool last) override;
    Status appendIn(uint16_t session, uint32_t reference, uint64_t timeNs,
                    std::span<const std::byte> message) override;
    Status beginDay(Position position) override;

    session::Outbound& outbound(uint16_t session) override { return stream(session); }
    bool seek(uint16_t session, uint32_t sequence, session::OutboundCursor& cursor) override;
    uint32_t nextSequence(uint16_t session) const override;
    Position dayStart() const override { return dayStart_; }
    session::SessionName sessionName() const override;
    EventPlace delivered() const override { return delivered_; }
    void noteDelivered(const EventPlace& place) override {
        if (delivered_ < place) delivered_ = place;
    }
    Status sync() override { return segments_.sync(); }
    Status close() override;
    Status status() const override { return status_; }
    uint64_t bytes() const override { return bytes_; }

private:
    struct Stream final : public session::Outbound {
        explicit Stream(MessageLog& owner) : log(owner) {}
        size_t gather(const session::OutboundCursor& cursor, std::span<iovec> into) override;
        void advance(session::OutboundCursor& cursor, size_t bytes) override;
        uint64_t lag(const session::OutboundCursor& cursor) const override;
        // Where the cursor really is: {record, bytes of it that are sent}; record 0: nothing is there yet.
        [[nodiscard]] session::OutboundCursor resolve(const session::OutboundCursor& cursor) const;

        MessageLog& log;
        uint32_t next = 1;       // sequence
        uint64_t first = 0;      // place of the first record that is kept
        uint64_t last = 0;
        uint64_t bytes = 0;      // of all frames
        std::vector<uint64_t> index;  // place of messages 1, 1 + kIndexEvery …
    };

    Stream& stream(uint16_t session);
    StoreRecord& record(uint64_t place) const {
        return *reinterpret_cast<StoreRecord*>(segments_.at(place));
    }
    // A place for a record of so many bytes; 0: no room, status_ says why.
    uint64_t room(uint64_t bytes);
    void finish(StoreRecord& record);
    void chain(Stream& to, StoreRecord& record, uint64_t place);
    void forgetFirst();

    Status lock();
    Status readState(bool& machineStopped);
    Status writeState(bool clean);
    // Where the log ends, everything before it checked.
    Result<uint64_t> findEnd(bool tornMayBe) const;
    Status index(uint64_t end);
    // each(record, place) for every record up to `end`; false ends it.
    template <typename Each>
    void eachRecord(uint64_t end, Each each) const;
    // Takes what lies behind `place` away.
    Status cut(uint64_t place);

    const MessageStoreOptions options_;
    StoreSegments segments_;
    transport::Descriptor lock_;
    std::vector<std::unique_ptr<Stream>> streams_;  // by session
    uint64_t end_ = 0;       // place behind the last record
    uint64_t claimed_ = 0;   // place of the claim under way; 0: none
    Position dayStart_ = 0;
    uint32_t generation_ = 0;
    EventPlace delivered_;
    uint64_t bytes_ = 0;
    bool closed_ = false;
    Status status_;
};

}  // namespace verbex::gateway
