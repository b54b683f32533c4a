#include "transport/verbs/verbs_link.h"

#include <sys/mman.h>

#include <cerrno>

namespace verbex::transport {
namespace {

// Looks at a frame that is not whole before the link is given up: a second or more.
constexpr uint32_t kPatience = 1u << 22;
// Polls without a frame before the adapter is asked how it is.
constexpr uint32_t kQuietPollsMax = 64;
// Room for credits in flight, each in a place of its own.
constexpr uint32_t kCreditWriteBytes = 16;
constexpr uint32_t kCreditSlots = kCreditBytes / kCreditWriteBytes;

}  // namespace

VerbsLink::VerbsLink(const NetworkOptions& options, const Session& session,
                     SetUpConnection& connection)
    : options_(options.verbs),
      connection_(connection),
      sendSeal_(sealOf(session, session.sendKey, session.sendSalt)),
      receiveSeal_(sealOf(session, session.receiveKey, session.receiveSalt)),
      pieces_(std::make_unique<Piece[]>(options.verbs.sendEntries)) {
    info_ = linkInfoOf(session, false);
}

VerbsLink::~VerbsLink() {
    queue_.reset();
    if (memory_ != nullptr) munmap(memory_, memoryBytes_);
}

Status VerbsLink::prepare(std::span<const std::byte>) {
    const size_t stride = regionStride(info_.ringBytes);
    memoryBytes_ = 2 * stride;
    void* mapped = mmap(nullptr, memoryBytes_, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (mapped == MAP_FAILED) {
        return Status(StatusCode::NoSpace,
                      std::string("memory for the rings of a verbs link: ") + std::strerror(errno));
    }
    memory_ = static_cast<std::byte*>(mapped);
    staging_ = memory_ + stride;
    auto opened = VerbsQueue::open(options_, {memory_, stride}, {staging_, stride});
    if (!opened.isOk()) return opened.status();
    queue_ = opened.take();
    ownEndpoint_ = encodeVerbsEndpoint(queue_->local());
    attach(memory_, staging_ + kCreditBytes, sendSeal_, receiveSeal_, kPatience);
    return {};
}

Status VerbsLink::establish(std::span<const std::byte> peerOffer) {
    auto peer = decodeVerbsEndpoint(peerOffer);
    if (!peer.isOk()) return peer.status();
    if (peer.value().size != regionStride(info_.ringBytes)) {
        return Status(StatusCode::ProtocolViolation, "the peer's region is not of the agreed size");
    }
    return queue_->connect(peer.value());
}

size_t VerbsLink::poll(Receiver& receiver, size_t limit) noexcept {
    const size_t delivered = RingLink::poll(receiver, limit);
    if (delivered == 0 && ++quietPolls_ >= kQuietPollsMax) reap();
    return delivered;
}

void VerbsLink::reap() noexcept {
    quietPolls_ = 0;
    if (isOver()) return;
    queue_->poll();
    const uint64_t done = queue_->completedWrites();
    while (piecesHead_ != piecesTail_) {
        const Piece& oldest = pieces_[piecesHead_ % options_.sendEntries];
        if (oldest.write > done) break;
        completed_ = oldest.upTo;
        ++piecesHead_;
    }
}

bool VerbsLink::post(size_t localOffset, size_t remoteOffset, size_t length) noexcept {
    if (queue_->postWrite(localOffset, remoteOffset, length)) {
        ++posted_;
        ++counters_.writes;
        return true;
    }
    reap();
    if (!queue_->postWrite(localOffset, remoteOffset, length)) return false;
    ++posted_;
    ++counters_.writes;
    return true;
}

void VerbsLink::flush() noexcept {
    if (isOver() || !isAttached()) return;
    const uint64_t produced = writer().produced();
    const size_t ring = info_.ringBytes;
    bool rang = false;
    while (flushed_ != produced && piecesTail_ - piecesHead_ < options_.sendEntries) {
        const size_t at = flushed_ & (ring - 1);
        const size_t length = std::min<size_t>(produced - flushed_, ring - at);
        if (!post(kCreditBytes + at, kCreditBytes + at, length)) break;
        flushed_ += length;
        pieces_[piecesTail_++ % options_.sendEntries] = {posted_, flushed_};
        rang = true;
    }
    if (creditsDue_) sendCredits();
    if (wakeDue_ && queue_->postWake()) {
        wakeDue_ = false;
        rang = true;
    }
    // Much that is unreported keeps the staging ring from being used again.
    const bool mustReport = produced - completed_ > ring / 2 || state_ == LinkState::Closing;
    if (mustReport && reported_ != posted_) {
        reported_ = posted_;
        queue_->ring(VerbsReport::Everything);
    } else if (rang) {
        queue_->ring();
    }
    wakeIfNeeded();
}

void VerbsLink::progress() noexcept {
    if (!isOver() && isAttached()) {
        if (piecesHead_ != piecesTail_) {
            reap();
            flush();
        } else if (flushed_ != writer().produced() || creditsDue_ || wakeDue_) {
            flush();
        }
    }
    RingLink::progress();
}

void VerbsLink::sendCredits() noexcept {
    creditSlot_ = (creditSlot_ + 1) % kCreditSlots;
    const size_t at = creditSlot_ * kCreditWriteBytes;
    const uint64_t words[2] = {credit_, asleep_ ? uint64_t{1} : 0};
    static_assert(sizeof words == kCreditWriteBytes);
    std::memcpy(staging_ + at, words, sizeof words);
    creditsDue_ = !post(at, 0, kCreditWriteBytes);
    if (!creditsDue_) queue_->ring();
}

void VerbsLink::giveCredit(uint64_t consumed) noexcept {
    credit_ = consumed;
    sendCredits();
}

// Two sides that fall asleep at once, one with frames under way, must not both miss it. Each lets its
// writes arrive first: the sleeper's word before it looks at its ring a last time, the sender's frames
// before it looks at the sleeper's word a last time. Whichever arrives later is seen by the other.
void VerbsLink::setAsleep(bool asleep) noexcept {
    if (isOver()) return;
    restless_ = false;
    // Awake is not said at once: the peer forgets by itself, and the next credit carries it.
    if (asleep_ = asleep; !asleep) return;
    sendCredits();
    restless_ = !settle() || !queue_->armWake().isOk();
    wakeIfNeeded();
}

bool VerbsLink::settle() noexcept {
    constexpr uint32_t looksMax = 5000;
    flush();
    queue_->ring(VerbsReport::Everything);
    reported_ = posted_;
    for (uint32_t looks = 0; looks < looksMax; ++looks) {
        if (queue_->completedWrites() == posted_) break;
        reap();
    }
    return !creditsDue_ && !wakeDue_ && flushed_ == writer().produced() &&
           queue_->completedWrites() == posted_;
}

// Restless: as if something were there, so that nobody sleeps and the next try follows.
bool VerbsLink::hasIncoming() const noexcept {
    return restless_ || RingLink::hasIncoming();
}

int VerbsLink::wakeDescriptor() const noexcept {
    return queue_ == nullptr ? -1 : queue_->wakeDescriptor();
}

void VerbsLink::onWoken() noexcept {
    if (queue_ != nullptr) queue_->drainWakes();
    reap();
}

void VerbsLink::disconnect() noexcept {
    // What destroy() cannot do it says, and the queue pair stays dead: nothing more is posted.
    if (queue_ == nullptr) return;
    const Status destroyed = queue_->destroy();
    if (!destroyed.isOk()) fail(destroyed.within("cutting the peer off"));
}

bool VerbsLink::hasLeft() const noexcept {
    return flushed_ == writer().produced() && piecesHead_ == piecesTail_;
}

void VerbsLink::goodbye() noexcept {
    connection_.sayGoodbye();
}

Status VerbsLink::transportFailure() const {
    const Status status = queue_->status();
    if (status.isOk()) return {};
    return Status(StatusCode::PeerLost, status.message());
}

void VerbsLink::wakePeer() noexcept {
    wakeDue_ = !queue_->postWake();
    if (!wakeDue_) queue_->ring();
}

uint64_t VerbsLink::usableCredit(uint64_t credit) noexcept {
    if (completed_ < credit) reap();
    return std::min(credit, completed_);
}

std::unique_ptr<HostLink> makeVerbsLink(const NetworkOptions& options, const Session& session,
                                        bool, SetUpConnection& connection) {
    return std::make_unique<VerbsLink>(options, session, connection);
}

}  // namespace verbex::transport
