#include "transport/host/link_maker.h"

#include <pthread.h>

namespace verbex::transport {

LinkMaker::LinkMaker(std::function<void()> onDone, std::function<void()> before)
    : onDone_(std::move(onDone)), before_(std::move(before)) {}

LinkMaker::~LinkMaker() {
    {
        const std::lock_guard guard(mutex_);
        stop_ = true;
    }
    work_.notify_one();
    if (thread_.joinable()) thread_.join();
}

bool LinkMaker::isWantedFor(TransportKind kind) const {
    return kind == TransportKind::Verbs || (before_ && kind == TransportKind::Shm);
}

void LinkMaker::startThread() {
    if (thread_.joinable()) return;
    thread_ = std::thread([this] { run(); });
    pthread_setname_np(thread_.native_handle(), "vbx-links");
}

void LinkMaker::start(std::shared_ptr<LinkStep> step) {
    startThread();
    {
        const std::lock_guard guard(mutex_);
        steps_.push_back(std::move(step));
    }
    work_.notify_one();
}

void LinkMaker::giveBack(std::unique_ptr<HostLink> link) {
    if (link == nullptr) return;
    startThread();
    {
        const std::lock_guard guard(mutex_);
        unwanted_.push_back(std::move(link));
    }
    work_.notify_one();
}

void LinkMaker::run() {
    std::unique_lock lock(mutex_);
    for (;;) {
        work_.wait(lock, [this] { return stop_ || !steps_.empty() || !unwanted_.empty(); });
        if (stop_) return;  // what is left goes with the queues
        if (steps_.empty()) {
            std::unique_ptr<HostLink> link = std::move(unwanted_.front());
            unwanted_.pop_front();
            lock.unlock();
            link.reset();
            lock.lock();
            continue;
        }
        std::shared_ptr<LinkStep> step = std::move(steps_.front());
        steps_.pop_front();
        lock.unlock();
        // The other owner is who waits for it.
        if (step.use_count() > 1) {
            if (before_) before_();
            step->status = step->kind == LinkStep::Kind::Prepare
                               ? step->link->prepare(step->peerOffer)
                               : step->link->establish(step->peerOffer);
            step->isDone.store(true, std::memory_order_release);
            hasDone_.store(true, std::memory_order_release);
            onDone_();
        }
        step.reset();
        lock.lock();
    }
}

}  // namespace verbex::transport
