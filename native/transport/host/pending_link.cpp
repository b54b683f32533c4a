#include "transport/host/pending_link.h"

#include <poll.h>

#include "base/check.h"
#include "transport/sockets/socket_address.h"

namespace verbex::transport {
namespace {

bool isWritable(int socket) {
    pollfd entry{.fd = socket, .events = POLLOUT, .revents = 0};
    return ::poll(&entry, 1, 0) == 1;
}

}  // namespace

PendingLink::PendingLink(const NetworkOptions& options, LinkMaker& maker,
                         std::unique_ptr<PeerChannel> channel, const ListenerOptions& listener,
                         const Nonce& nonce)
    : source{.kind = SourceKind::SetUp, .owner = this},
      options_(options),
      maker_(maker),
      channel_(std::move(channel)),
      handshake_(std::make_unique<ListenerHandshake>(listener, nonce)) {}

PendingLink::PendingLink(const NetworkOptions& options, LinkMaker& maker,
                         std::unique_ptr<PeerChannel> channel, ConnectorOptions connector,
                         const Nonce& nonce, const Address& connectingTo)
    : source{.kind = SourceKind::SetUp, .owner = this},
      options_(options),
      maker_(maker),
      channel_(std::move(channel)),
      connector_(std::move(connector)),
      address_(connectingTo),
      handshake_(std::make_unique<ConnectorHandshake>(*connector_, nonce)),
      phase_(Phase::Connecting) {}

PendingLink::~PendingLink() {
    if (isMade()) link_.link = std::move(step_->link);
    if (link_.link != nullptr && maker_.isWantedFor(link_.link->info().transport)) {
        maker_.giveBack(std::move(link_.link));
    }
}

void PendingLink::giveUp(Status why) {
    if (failure_.isOk()) failure_ = std::move(why);
    phase_ = Phase::Over;
}

bool PendingLink::connectSocket() {
    if (!isWritable(stream().socket())) return false;
    const Status failed = connectFailure(stream().socket(), *address_);
    if (failed.isOk()) {
        phase_ = Phase::Securing;
        return true;
    }
    if (failed.code() == StatusCode::TimedOut) refusal_ = RefusalCode::TimedOut;
    giveUp(failed);
    return false;
}

bool PendingLink::secure() {
    const Moved moved = stream().secure();
    if (moved == Moved::Some) {
        phase_ = Phase::Shaking;
        return true;
    }
    if (moved == Moved::NotNow) return false;
    refusal_ = moved == Moved::Ended ? RefusalCode::ConnectionClosed : RefusalCode::Malformed;
    giveUp(Status(StatusCode::AuthenticationFailed,
                  stream().failure().empty() ? "the peer left during the TLS handshake"
                                             : stream().failure()));
    return false;
}

void PendingLink::fail(RefusalCode code, std::string_view text) {
    if (phase_ == Phase::Over) return;
    if (handshake_->state() == HandshakeState::Done) {
        // Only our READY is not out yet; the peer sees the connection end.
        refusal_ = code;
        giveUp(Status(statusCodeOf(code), std::string(refusalName(code)) + ": " +
                                              std::string(refusalAdvice(code))));
        return;
    }
    const bool canTell = phase_ == Phase::Shaking;
    handshake_->fail(code, text);
    if (canTell) send();
    refusal_ = handshake_->refusal();
    std::string where = address_ ? "connecting to " + address_->toString() + ": " : "";
    giveUp(Status(statusCodeOf(refusal_), where + handshake_->failureText()));
}

void PendingLink::prepare(uint32_t epochFloor) {
    const Session& session = handshake_->session();
    epoch_ = session.epoch;
    hasAgreed_ = true;
    if (epoch_ < epochFloor) {
        handshake_->fail(RefusalCode::StaleEpoch,
                         "epoch " + std::to_string(epoch_) + " has ended here");
        return;
    }
    auto made = makeLink(options_, session, isConnecting(), *channel_);
    if (!made.isOk()) {
        onMade(LinkStep::Kind::Prepare, made.status());
        return;
    }
    link_ = made.take();
    make(LinkStep::Kind::Prepare,
         isConnecting() ? std::span<const std::byte>() : handshake_->peerOffer());
}

void PendingLink::make(LinkStep::Kind kind, std::span<const std::byte> peerOffer) {
    if (maker_.isWantedFor(handshake_->session().transport)) {
        step_ = std::make_shared<LinkStep>();
        step_->kind = kind;
        step_->link = std::move(link_.link);
        step_->peerOffer.assign(peerOffer.begin(), peerOffer.end());
        maker_.start(step_);
        return;
    }
    onMade(kind, kind == LinkStep::Kind::Prepare ? link_.link->prepare(peerOffer)
                                                 : link_.link->establish(peerOffer));
}

void PendingLink::onMade(LinkStep::Kind kind, const Status& status) {
    const bool prepared = kind == LinkStep::Kind::Prepare;
    if (!status.isOk()) {
        failure_ = status.within((prepared ? "preparing " : "connecting ") +
                                 std::string(transportName(handshake_->session().transport)));
        handshake_->fail(RefusalCode::TransportFailed, failure_.message());
    } else if (prepared) {
        handshake_->provideOffer(link_.link->ownOffer());
    } else {
        handshake_->connected();
    }
}

void PendingLink::serve(uint32_t epochFloor) {
    if (step_ != nullptr) {
        if (!isMade()) return;
        const std::shared_ptr<LinkStep> step = std::move(step_);
        link_.link = std::move(step->link);
        onMade(step->kind, step->status);
    }
    if (handshake_->state() == HandshakeState::NeedOffer) prepare(epochFloor);
    if (step_ != nullptr || handshake_->state() != HandshakeState::NeedConnect) return;
    make(LinkStep::Kind::Establish, handshake_->peerOffer());
}

bool PendingLink::send() {
    while (!handshake_->output().empty()) {
        const auto [moved, bytes] = stream().write(handshake_->output());
        if (moved != Moved::Some) return false;
        handshake_->consumeOutput(bytes);
    }
    return true;
}

PendingLink::Progress PendingLink::finish() {
    refusal_ = handshake_->refusal();
    std::string where = address_ ? "connecting to " + address_->toString() + ": " : "";
    giveUp(Status(statusCodeOf(refusal_), where + handshake_->failureText()));
    return Progress::Failed;
}

PendingLink::Progress PendingLink::lose(Moved moved) {
    // Of TLS 1.3 a connector learns with its first read whether its certificate was taken.
    if (moved == Moved::Failed && stream().isEncrypted() && !hasHeard_) {
        giveUp(Status(StatusCode::AuthenticationFailed,
                      stream().failure() + "; the peer's log says why it refused this side"));
    }
    handshake_->peerClosed();
    return finish();
}

PendingLink::Progress PendingLink::advance(uint32_t epochFloor) {
    if (phase_ == Phase::Connecting && !connectSocket()) {
        return phase_ == Phase::Over ? Progress::Failed : Progress::Waiting;
    }
    if (phase_ == Phase::Securing && !secure()) {
        return phase_ == Phase::Over ? Progress::Failed : Progress::Waiting;
    }
    if (phase_ == Phase::Over) return Progress::Failed;
    for (;;) {
        serve(epochFloor);
        const bool isAllSent = send();
        if (step_ != nullptr) return Progress::Waiting;
        if (handshake_->state() == HandshakeState::Failed) return finish();
        if (handshake_->state() == HandshakeState::Done && unread_.empty()) {
            if (!isAllSent) return Progress::Waiting;
            phase_ = Phase::Over;
            return Progress::Established;
        }
        if (unread_.empty()) {
            const auto [moved, count] = stream().read(bytes_);
            if (moved == Moved::NotNow) return Progress::Waiting;
            if (moved != Moved::Some) return lose(moved);
            hasHeard_ = true;
            unread_ = std::span(bytes_).first(count);
        }
        while (!unread_.empty() && step_ == nullptr &&
               handshake_->state() != HandshakeState::Done) {
            unread_ = unread_.subspan(handshake_->receive(unread_));
            serve(epochFloor);
        }
        if (unread_.empty() || step_ != nullptr) continue;
        const std::span<const std::byte> left = unread_;
        unread_ = {};
        // The peer is ready before us and has begun to speak.
        if (link_.tcp != nullptr) {
            link_.tcp->takeEarly(left);
        } else if (!channel_->take(left)) {
            giveUp(Status(StatusCode::ProtocolViolation, "bytes behind the set-up's end"));
            refusal_ = RefusalCode::Malformed;
            return Progress::Failed;
        }
    }
}

}  // namespace verbex::transport
