#include "roles/role_process.h"

#include <utility>

#include "wire/command_codec.h"

namespace verbex::roles {

RoleProcess::RoleProcess(PartKind kind, const RoleProcessOptions& options)
    : options_(options), kind_(kind), channel_(std::make_unique<Channel>()) {}

Position RoleProcess::position() const {
    return rebuild_ != nullptr ? rebuild_->position() : position_;
}

bool RoleProcess::ready() { return snapshots_ == nullptr || atBase() || snapshots_->ready(); }

void RoleProcess::attach() {
    channel_ = std::make_unique<Channel>();
    if (options_.mutant == RoleMutant::SettlementSkipped && part_ != nullptr) {
        kept_ = std::move(part_);
    }
    part_.reset();
    // A core that no sequencer has sent anything for serves the next link as well.
    if (!atBase()) {
        rebuild_ = snapshots_ == nullptr ? nullptr : snapshots_->take();
        base_ = rebuild_ == nullptr ? 0 : rebuild_->position();
    }
    begun_ = false;
    position_ = 0;
    onAttach();
    HelloBody hello;
    hello.kind = static_cast<uint32_t>(kind_);
    hello.shard = options_.shard;
    hello.riskShards = options_.riskShards;
    hello.matchingShards = options_.matchingShards;
    hello.maxOrders = options_.limits.maxOrders;
    hello.maxAccounts = options_.limits.maxAccounts;
    hello.maxInstruments = options_.limits.maxInstruments;
    hello.maxClientIds = options_.limits.maxClientIds;
    hello.position = base_;
    if (rebuild_ != nullptr) hello.hash = rebuild_->chain();
    channel_->put(MessageKind::Hello, 0, writer_.clear().put(hello).bytes());
}

Status RoleProcess::onFrame(std::span<const std::byte> frame) {
    Status status;
    const Status framed = channel_->receive(frame, [&](const RoleMessage& message) {
        status = dispatch(message);
        return status.isOk();
    });
    return framed.isOk() ? status : framed;
}

Status RoleProcess::dispatch(const RoleMessage& message) {
    switch (message.kind) {
        case MessageKind::Ping:
            channel_->put(MessageKind::Pong, message.position);
            return {};
        case MessageKind::Begin:
            if (begun_) break;
            return begin(message.position);
        case MessageKind::Follow:
            if (part_ == nullptr || !follow(message)) break;
            return {};
        case MessageKind::Disagree:
            if (part_ == nullptr || snapshots_ == nullptr) break;
            snapshots_->refuse(message.position, "the sequencer does not confirm what a snapshot says of position " +
                                                     std::to_string(message.position));
            return {};
        case MessageKind::Rebuild:
            // A whole core is made for a sequencer that sends its log, not for one that may end the link at once.
            if (!begun_ || part_ != nullptr || !rebuild(message)) break;
            channel_->put(MessageKind::Rebuilt, rebuild_->position());
            return {};
        case MessageKind::Join:
            if (!begun_ || rebuild_ == nullptr) break;
            return join(message);
        default:
            if (part_ == nullptr || !onMessage(message)) break;
            position_ = message.position;
            return {};
    }
    return Status(StatusCode::ProtocolViolation, "the sequencer's message does not fit");
}

Status RoleProcess::begin(Position from) {
    if (from != base_ && from != 0) {
        return Status(StatusCode::ProtocolViolation, "the log begins where nobody has asked for it");
    }
    begun_ = true;
    if (from == base_) {
        if (base_ != 0) rebuilds_++;
        return {};
    }
    const Status refused(StatusCode::PositionLost,
                         "the sequencer does not confirm the state of position " +
                             std::to_string(base_) +
                             ": its log says another thing, ends before, or that is not known any more");
    rebuild_.reset();
    snapshots_->refuse(std::exchange(base_, 0), refused.message());
    return refused;
}

bool RoleProcess::follow(const RoleMessage& message) {
    PayloadReader reader(message.payload);
    FollowBody body;
    return snapshots_ != nullptr && reader.get(body) &&
           snapshots_->feed(message.position, body.count, body.mark != 0, reader.rest());
}

void RoleProcess::report() {
    Position at = 0;
    FollowedBody body;
    if (part_ == nullptr || snapshots_ == nullptr || !snapshots_->report(at, body.hash)) return;
    channel_->put(MessageKind::Followed, at, writer_.clear().put(body).bytes());
}

bool RoleProcess::rebuild(const RoleMessage& message) {
    PayloadReader reader(message.payload);
    uint32_t count = 0;
    if (!reader.get(count) || !decodeBatch(reader.rest(), count, commands_)) return false;
    if (rebuild_ == nullptr) {
        rebuild_ = std::make_unique<Rebuild>(options_.limits, options_.riskShards,
                                             options_.matchingShards);
        rebuilds_++;
    }
    if (message.position != rebuild_->position() + 1) return false;
    for (const Command& command : commands_) rebuild_->replay(command);
    return true;
}

Status RoleProcess::join(const RoleMessage& message) {
    PayloadReader reader(message.payload);
    JoinBody body;
    if (!reader.get(body) || !reader.done() || message.position != rebuild_->position()) {
        return Status(StatusCode::ProtocolViolation, "joining elsewhere than where the log ends");
    }
    if (rebuild_->chain() != body.hash) {
        const Status another(StatusCode::Refused,
                             "the log gives another result here than at the sequencer: " +
                                 rebuild_->chain().hex() + ", not " + body.hash.hex());
        // It may be the snapshot's doing.
        rebuild_.reset();
        if (base_ != 0) snapshots_->refuse(std::exchange(base_, 0), another.message());
        return another;
    }
    position_ = message.position;
    part_ = rebuild_->take(kind_, options_.shard);
    if (kept_ != nullptr) part_ = std::move(kept_);
    if (options_.mutant == RoleMutant::HazardIgnored) {
        part_->core().breakRule(HazardMutant::CapturedBook);
    }
    rebuild_.reset();
    if (snapshots_ != nullptr) snapshots_->joined();
    CountsBody counts;
    std::vector<NumberedOrder> numbers;
    if (kind_ == PartKind::Risk) {
        counts.ids = part_->rememberedIds(shard());
        if (body.wantsNumbers != 0) part_->numbered(numbers);
        counts.numbers = static_cast<uint32_t>(numbers.size());
    } else {
        counts.orders = part_->openOrders();
    }
    channel_->put(MessageKind::Joined, position_,
                  writer_.clear().put(counts).rows(std::span<const NumberedOrder>(numbers)).bytes());
    return {};
}

}  // namespace verbex::roles
