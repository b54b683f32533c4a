// CommandPort: how a gateway puts commands into the engine and asks it questions.
//
// Purpose: the gateway's only way in; the node implements it over its ring, a test over an array, a remote
// gateway over a bus.
// Owner: whoever wires; it outlives the gateways.
// Thread safety: the gateway's thread.
// Invariants:
//   1. claim() gives a zeroed cell, or nullptr: full, or closed; nothing waits.
//   2. Every claimed cell is filled and entered before the next claim.
//   3. Commands enter in the order of their enter() calls.
// Requires: flush() after a batch: until then the engine may sleep on.
#pragma once

#include <cstdint>
#include <functional>

#include "base/status.h"
#include "wire/account_statement.h"
#include "wire/command.h"

namespace verbex::gateway {

class CommandPort {
public:
    // Fill it in place. nullptr: no room now (isClosed() tells for how long).
    virtual Command* claim() = 0;
    virtual void enter() = 0;
    virtual void flush() = 0;
    [[nodiscard]] virtual bool isClosed() const = 0;

protected:
    ~CommandPort() = default;
};

// Questions about the state, answered as of one position between two batches (Core::accountStatement), on the
// gateway's thread, in a later round: never during ask().
struct Question {
    AccountId account = 0;
    OrderPage orders;  // which of its open orders the answer lists; count 0: none
};
// A failure, or a statement (of an account that may not exist: AccountStatement::exists).
using Answer = std::function<void(const Status& failure, const AccountStatement& statement)>;

class QuestionPort {
public:
    // Refused where too many wait; the answer is not called then.
    virtual Status ask(const Question& question, Answer answer) = 0;

protected:
    ~QuestionPort() = default;
};

// Command::token of a gateway's command: echoed in its events, so that the answer finds its session.
//     63     62 … 56   55 … 48   47 … 32    31 … 0
//     ┌───┬──────────┬──────────┬──────────┬───────────┐
//     │ 1 │  unused  │  outlet  │ session  │ reference │
//     └───┴──────────┴──────────┴──────────┴───────────┘
// Tokens of others have a clear top bit.
struct GatewayToken {
    uint8_t outlet = 0;  // 0 … kOutletsMax − 1
    uint16_t session = 0;
    uint32_t reference = 0;

    [[nodiscard]] uint64_t pack() const {
        return uint64_t{1} << 63 | uint64_t{outlet} << 48 | uint64_t{session} << 32 | reference;
    }
    [[nodiscard]] static bool is(uint64_t token) { return token >> 63 != 0; }
    [[nodiscard]] static GatewayToken of(uint64_t token) {
        return {static_cast<uint8_t>(token >> 48), static_cast<uint16_t>(token >> 32),
                static_cast<uint32_t>(token)};
    }
};

}  // namespace verbex::gateway
