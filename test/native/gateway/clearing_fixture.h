// What stands in for the world around a clearing gateway: a port of chosen room, questions that wait, a store in
// memory that can be killed at any record, a server that notes what it is told.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gateway/clearing/clearing.h"
#include "gateway/clearing/clearing_gateway.h"

namespace verbex::gateway::clearing_test {

struct Port final : CommandPort {
    size_t room = SIZE_MAX;
    std::vector<Command> entered;
    size_t unflushed = 0;

    Command* claim() override {
        if (room == 0) return nullptr;
        EXPECT_FALSE(claimed_) << "a claimed cell was not entered";
        claimed_ = true;
        cell_ = Command{};
        return &cell_;
    }
    void enter() override {
        EXPECT_TRUE(claimed_);
        claimed_ = false;
        --room;
        ++unflushed;
        entered.push_back(cell_);
    }
    void flush() override { unflushed = 0; }
    [[nodiscard]] bool isClosed() const override { return false; }

private:
    Command cell_{};
    bool claimed_ = false;
};

struct Questions final : QuestionPort {
    struct Waiting {
        Question question;
        Answer answer;
    };
    size_t room = SIZE_MAX;
    std::deque<Waiting> waiting;

    Status ask(const Question& question, Answer answer) override {
        if (waiting.size() >= room) return Status(StatusCode::Refused, "too many wait");
        waiting.push_back({question, std::move(answer)});
        return {};
    }
};

struct Record {
    RecordKind kind;
    uint16_t session;
    uint32_t sequence;
    EventPlace place;
    uint64_t timeNs;
    std::vector<std::byte> bytes;
    bool last;
    EventPlace delivered;  // behind it

    [[nodiscard]] char type() const { return static_cast<char>(bytes[0]); }
};

class Store final : public MessageStore, private session::Outbound {
public:
    Store() = default;
    // What is left of a store, written to by several, whose process was killed behind so many records: of
    // the last event nobody can say that all have told of it, unless something stands behind it.
    Store(const Store& killed, size_t records) {
        records_.assign(killed.records_.begin(),
                        killed.records_.begin() + static_cast<ptrdiff_t>(records));
        while (!records_.empty() && records_.back().kind == RecordKind::Out && !records_.back().last)
            records_.pop_back();
        if (!records_.empty() && records_.back().kind == RecordKind::Out &&
            records_.back().place.index != kOwnIndex) {
            const EventPlace held = records_.back().place;
            while (!records_.empty() && records_.back().kind == RecordKind::Out &&
                   records_.back().place == held)
                records_.pop_back();
        }
        if (!records_.empty()) delivered_ = records_.back().delivered;
        for (const Record& each : records_) {
            if (each.kind == RecordKind::Out) next_[each.session] = each.sequence + 1;
            if (each.kind == RecordKind::Day) next_.clear();
        }
    }

    bool full = false;

    [[nodiscard]] const std::vector<Record>& records() const { return records_; }
    void visitDay(const std::function<void(const StoredRecord&)>& visit) const override {
        size_t first = 0;
        for (size_t i = 0; i < records_.size(); ++i)
            if (records_[i].kind == RecordKind::Day) first = i;
        for (size_t i = first; i < records_.size(); ++i) {
            const Record& each = records_[i];
            visit({each.kind, each.session, each.sequence, each.place, each.timeNs, each.bytes});
        }
    }
    // A user's clearing messages of the current day.
    [[nodiscard]] std::vector<std::vector<std::byte>> stream(uint16_t session) const {
        std::vector<std::vector<std::byte>> out;
        for (const Record& each : records_) {
            if (each.kind == RecordKind::Day) out.clear();
            if (each.kind == RecordKind::Out && each.session == (kClearingStreams | session))
                out.push_back(each.bytes);
        }
        return out;
    }

    std::byte* claimOut(uint16_t session, size_t bytes, const EventPlace& place,
                        uint64_t timeNs) override {
        EXPECT_FALSE(claimed_);
        if (full) return nullptr;
        claimed_ = true;
        claim_ = {RecordKind::Out, session, next(session), place, timeNs,
                  std::vector<std::byte>(bytes), false, {}};
        return claim_.bytes.data();
    }
    void commit(bool last) override {
        EXPECT_TRUE(claimed_);
        claimed_ = false;
        if (last && claim_.place.index != kOwnIndex) {
            EXPECT_GE(claim_.place, delivered_);  // as another gateway may have told of it
            delivered_ = claim_.place;
        }
        claim_.last = last;
        claim_.delivered = delivered_;
        next_[claim_.session] = claim_.sequence + 1;
        records_.push_back(claim_);
    }
    Status appendIn(uint16_t session, uint32_t reference, uint64_t timeNs,
                    std::span<const std::byte> message) override {
        if (full) return Status(StatusCode::NoSpace, "full");
        records_.push_back({RecordKind::In, session, reference, {delivered_.position, kOwnIndex},
                            timeNs, {message.begin(), message.end()}, true, delivered_});
        return {};
    }
    Status beginDay(Position position) override {
        next_.clear();
        dayStart_ = position;
        records_.push_back({RecordKind::Day, 0, 0, {position, kOwnIndex}, 0, {}, true, delivered_});
        return {};
    }
    [[nodiscard]] session::Outbound& outbound(uint16_t) override { return *this; }
    [[nodiscard]] bool seek(uint16_t session, uint32_t sequence,
                            session::OutboundCursor&) override {
        return sequence >= 1 && sequence <= next(session);
    }
    [[nodiscard]] uint32_t nextSequence(uint16_t session) const override { return next(session); }
    [[nodiscard]] Position dayStart() const override { return dayStart_; }
    [[nodiscard]] session::SessionName sessionName() const override {
        return {'0', '0', '0', '0', '0', '0', '0', '0', '1', 'A'};
    }
    [[nodiscard]] EventPlace delivered() const override { return delivered_; }
    void noteDelivered(const EventPlace& place) override { delivered_ = place; }
    Status sync() override { return {}; }
    Status close() override { return {}; }
    [[nodiscard]] Status status() const override { return {}; }
    [[nodiscard]] uint64_t bytes() const override { return 0; }

private:
    [[nodiscard]] uint32_t next(uint16_t session) const {
        const auto found = next_.find(session);
        return found == next_.end() ? 1 : found->second;
    }
    size_t gather(const session::OutboundCursor&, std::span<iovec>) override { return 0; }
    void advance(session::OutboundCursor&, size_t) override {}
    [[nodiscard]] uint64_t lag(const session::OutboundCursor&) const override { return 0; }

    std::vector<Record> records_;
    std::map<uint16_t, uint32_t> next_;
    EventPlace delivered_;
    Position dayStart_ = 0;
    Record claim_{};
    bool claimed_ = false;
};

class Server final : public session::SessionServer {
public:
    explicit Server(session::SessionHandler& handler) : handler_(handler) {}
    std::vector<session::ConnectionId> touched;
    std::vector<std::pair<session::ConnectionId, session::CloseReason>> closed;
    bool ended = false;

    [[nodiscard]] transport::Address address() const override { return {}; }
    void touch(session::ConnectionId connection) override { touched.push_back(connection); }
    bool flush() override { return false; }
    void tick(uint64_t) override {}
    void close(session::ConnectionId connection, session::CloseReason reason) override {
        closed.emplace_back(connection, reason);
        handler_.closed(connection, reason);
    }
    void endSession() override { ended = true; }
    [[nodiscard]] const session::SessionServerCounters& counters() const override {
        return counters_;
    }
    [[nodiscard]] bool busy() const override { return false; }

private:
    session::SessionHandler& handler_;
    session::SessionServerCounters counters_;
};

inline ClientId idOf(std::string_view text) {
    ClientId id{};
    std::memcpy(&id, text.data(), std::min<size_t>(text.size(), 16));
    return id;
}

template <typename Message>
std::vector<std::byte> bytesOf(const Message& message) {
    std::vector<std::byte> bytes(Message::kBytes);
    clearing::encode(bytes.data(), message);
    return bytes;
}

template <typename Message>
std::optional<Message> as(std::span<const std::byte> bytes) {
    Message message;
    if (clearing::decode(bytes, message) != clearing::Decoded::Yes) return std::nullopt;
    return message;
}

inline session::LoginRequest loginOf(std::string_view user, std::string_view password,
                                     uint64_t sequence = 1) {
    session::LoginRequest request;
    request.user = user;
    request.password = password;
    request.sequence = sequence;
    return request;
}

inline User user(std::string name, uint16_t session, std::string account, bool administers,
                 bool clears = true) {
    User made;
    made.name = std::move(name);
    made.password = "pw";
    made.session = session;
    made.account = std::move(account);
    made.mayClear = clears;
    made.mayAdminister = administers;
    return made;
}

}  // namespace verbex::gateway::clearing_test
