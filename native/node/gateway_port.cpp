#include "node/gateway_port.h"

#include <utility>

namespace verbex::node {

GatewayPort::GatewayPort(Engine& engine, CommandEntry& entry, std::function<void()> wake)
    : engine_(engine), entry_(entry), mailbox_(std::make_shared<Mailbox>()) {
    mailbox_->wake = std::move(wake);
}

GatewayPort::~GatewayPort() {
    const std::lock_guard guard(mailbox_->mutex);
    mailbox_->wake = nullptr;
}

Status GatewayPort::ask(const gateway::Question& question, gateway::Answer answer) {
    const Failure refused = engine_.query(
        [mailbox = mailbox_, question, answer = std::move(answer)](const Core* core,
                                                                   const Failure& failure) {
            Answered answered{answer, {}, {}};
            if (core != nullptr) {
                core->accountStatement(question.account, question.orders, answered.statement);
            } else {
                answered.failure =
                    Status(StatusCode::Closed, failure.code + ": " + failure.message);
            }
            const std::lock_guard guard(mailbox->mutex);
            mailbox->answers.push_back(std::move(answered));
            if (mailbox->wake) mailbox->wake();
        });
    if (refused.isOk()) return {};
    return Status(StatusCode::Refused, refused.code + ": " + refused.message);
}

bool GatewayPort::hasAnswers() const {
    const std::lock_guard guard(mailbox_->mutex);
    return !mailbox_->answers.empty();
}

bool GatewayPort::answer() {
    std::vector<Answered> answers;
    {
        const std::lock_guard guard(mailbox_->mutex);
        answers.swap(mailbox_->answers);
    }
    for (const Answered& one : answers) one.answer(one.failure, one.statement);
    return !answers.empty();
}

}  // namespace verbex::node
