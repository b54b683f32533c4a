// libFuzzer entry: whatever a logged-in client sends, the clearing gateway neither crashes nor grows, and what
// reaches the engine is a command about the client's own subtree.
//
// The input is a conversation: a byte that chooses the session, a length, a message, again and again. Names are
// short, so that the fuzzer finds them.
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/check.h"
#include "gateway/clearing/clearing.h"
#include "gateway/clearing/clearing_gateway.h"

namespace {

using namespace verbex;
using namespace verbex::gateway;

struct Port final : CommandPort {
    Command cell{};
    std::vector<Command> entered;
    bool claimed = false;
    uint32_t claims = 0;
    Command* claim() override {
        CHECK(!claimed);
        if (++claims % 5 == 0) return nullptr;
        claimed = true;
        cell = Command{};
        return &cell;
    }
    void enter() override {
        CHECK(claimed);
        claimed = false;
        entered.push_back(cell);
    }
    void flush() override {}
    [[nodiscard]] bool isClosed() const override { return false; }
};

struct Questions final : QuestionPort {
    std::vector<std::pair<Question, Answer>> asked;
    Status ask(const Question& question, Answer answer) override {
        if (asked.size() == 8) return Status(StatusCode::Refused, "too many wait");
        asked.emplace_back(question, std::move(answer));
        return {};
    }
};

// Keeps nothing but numbers: a whole store a run would be most of the run.
struct Store final : MessageStore, private session::Outbound {
    std::byte bytes_[256];
    uint32_t next[1u << 2] = {1, 1, 1, 1};
    bool claimed = false;
    static size_t slot(uint16_t session) {
        CHECK(session == kClearingStreams + 1 || session == kClearingStreams + 2);
        return session & 3;
    }
    void visitDay(const std::function<void(const StoredRecord&)>&) const override {}
    std::byte* claimOut(uint16_t session, size_t bytes, const EventPlace&, uint64_t) override {
        CHECK(!claimed && bytes <= sizeof(bytes_));
        claimed = true;
        ++next[slot(session)];
        return bytes_;
    }
    void commit(bool) override {
        CHECK(claimed);
        claimed = false;
    }
    Status appendIn(uint16_t session, uint32_t, uint64_t, std::span<const std::byte>) override {
        static_cast<void>(slot(session));
        return {};
    }
    Status beginDay(Position) override { return {}; }
    session::Outbound& outbound(uint16_t) override { return *this; }
    bool seek(uint16_t, uint32_t, session::OutboundCursor&) override { return true; }
    uint32_t nextSequence(uint16_t session) const override { return next[slot(session)]; }
    Position dayStart() const override { return 0; }
    session::SessionName sessionName() const override { return {}; }
    EventPlace delivered() const override { return {}; }
    void noteDelivered(const EventPlace&) override {}
    Status sync() override { return {}; }
    Status close() override { return {}; }
    Status status() const override { return {}; }
    uint64_t bytes() const override { return 0; }
    size_t gather(const session::OutboundCursor&, std::span<iovec>) override { return 0; }
    void advance(session::OutboundCursor&, size_t) override {}
    uint64_t lag(const session::OutboundCursor&) const override { return 0; }
};

// 1 a, 2 b, 3 c below a; the asset is U, the instrument I.
MarketState market() {
    MarketState state;
    state.assets = {{1, nameOf("U"), 2}};
    state.instruments = {{1, nameOf("I"), TradingState::Open}};
    state.accounts = {{1, 0, nameOf("a"), false}, {2, 0, nameOf("b"), false}, {3, 1, nameOf("c"), false}};
    return state;
}

User user(const char* name, uint16_t session, bool administers) {
    User made;
    made.name = name;
    made.password = "p";
    made.session = session;
    made.account = "a";
    made.mayClear = true;
    made.mayAdminister = administers;
    return made;
}

template <typename Message>
void decodeOne(std::span<const std::byte> bytes) {
    Message message;
    if (clearing::decode(bytes, message) != clearing::Decoded::Yes) return;
    std::byte again[Message::kBytes];
    clearing::encode(again, message);
    Message back;
    CHECK(clearing::decode(again, back) == clearing::Decoded::Yes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size > 4096) return 0;
    const auto all = std::as_bytes(std::span(data, size));
#define VERBEX_X(Message) decodeOne<clearing::Message>(all);
    VERBEX_CLEARING_REQUESTS(VERBEX_X)
    VERBEX_CLEARING_RESPONSES(VERBEX_X)
#undef VERBEX_X

    Port port;
    Questions questions;
    Directory directory;
    directory.begin(market());
    EventRouter router;
    const Users users = Users::from({user("x", 1, false), user("y", 2, true)}).take();
    Store store;
    const auto gateway =
        ClearingGateway::create({}, port, questions, store, directory, router, users);
    router.setOutlet(1, gateway.get());
    gateway->begin();
    uint32_t generation = 0;
    session::ConnectionId connections[2];
    const auto login = [&](uint32_t which) {
        connections[which] = {which, ++generation};
        session::LoginRequest request;
        request.user = which == 0 ? "x" : "y";
        request.password = "p";
        CHECK(gateway->login(connections[which], request).rejected == session::LoginReject::None);
    };
    login(0);
    login(1);
    Position position = 0;
    for (auto rest = all; rest.size() > 2;) {
        const uint32_t which = static_cast<uint8_t>(rest[0]) & 1;
        const size_t length = std::min<size_t>(static_cast<uint8_t>(rest[1]), rest.size() - 2);
        const auto message = rest.subspan(2, length);
        rest = rest.subspan(2 + length);
        if (gateway->received(connections[which], message) == session::Taken::Close) {
            gateway->closed(connections[which], session::CloseReason::Handler);
            login(which);
        }
        gateway->work(0);
        for (const Command& command : port.entered) {
            CHECK(command.account == 1 || command.account == 3);
            CHECK(command.type == static_cast<uint8_t>(CommandType::Transfer)
                      ? command.toAccount == 1 || command.toAccount == 3
                      : true);
            CHECK(GatewayToken::is(command.token) && GatewayToken::of(command.token).outlet == 1);
            Event event{};
            event.type = static_cast<uint8_t>(EventType::Rejected);
            event.flags = kEventLast;
            event.kind = command.type;
            event.code = 1;
            event.account = command.account;
            event.token = command.token;
            event.position = ++position;
            directory.take(event);
            router.route(event);
        }
        port.entered.clear();
        if (questions.asked.size() == 8) {
            for (const auto& [question, answer] : questions.asked) {
                CHECK(question.account == 1 || question.account == 3);
                answer({}, AccountStatement{});
            }
            questions.asked.clear();
        }
    }
    return 0;
}
