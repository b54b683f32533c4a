// GatewayPort: how the gateways reach the engine of their own process, and, at an edge, the cluster behind it.
//
// Purpose: CommandPort over a command ring, in place; QuestionPort over the engine's queries, answered on
// the gateways' thread.
// Owner: GatewayHost.
// Thread safety: the gateways' thread; the engine's thread only puts answers into the mailbox.
// Invariants: those of gateway/command_port.h; an answer is given once, also when the engine ends.
// Requires: engine and entry outlive it.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "gateway/command_port.h"
#include "node/engine.h"

namespace verbex::node {

class GatewayPort final : public gateway::CommandPort, public gateway::QuestionPort {
public:
    // Called from the engine's thread when an answer waits.
    GatewayPort(Engine& engine, CommandEntry& entry, std::function<void()> wake);

    Command* claim() override {
        cell_ = entry_.claimCell();
        return cell_.command;
    }
    void enter() override {
        entry_.enterCell(cell_);
        entered_ = true;
    }
    void flush() override {
        if (!entered_) return;
        entered_ = false;
        entry_.flushCells();
    }
    [[nodiscard]] bool isClosed() const override {
        return !entry_.takesCommands();
    }

    Status ask(const gateway::Question& question, gateway::Answer answer) override;
    // Gives the answers that have come; false where there was none.
    bool answer();
    [[nodiscard]] bool hasAnswers() const;

private:
    struct Answered {
        gateway::Answer answer;
        Status failure;
        AccountStatement statement;
    };
    // Shared with queries under way, which may outlive the port.
    struct Mailbox {
        mutable std::mutex mutex;
        std::vector<Answered> answers;
        std::function<void()> wake;  // empty once the port is gone
    };

public:
    ~GatewayPort();

private:
    Engine& engine_;
    CommandEntry& entry_;
    CommandEntry::CellClaim cell_;
    bool entered_ = false;
    const std::shared_ptr<Mailbox> mailbox_;
};

}  // namespace verbex::node
