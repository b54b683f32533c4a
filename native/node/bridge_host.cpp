#include "node/bridge_host.h"

#include <pthread.h>

#include "pipeline/steady_clock.h"

namespace verbex::node {

using pipeline::steadyNs;

namespace {

// Two networks can't be slept on at once: one is, and the other is looked at so often.
constexpr uint64_t kLookNs = 1'000'000;

Result<std::unique_ptr<transport::HostNetwork>> openNetwork(transport::NetworkOptions options) {
    options.ringBytes = std::max(options.ringBytes, 1u << 22);
    options.payloadMax = std::max(options.payloadMax, replication::kFrameBytesMax);
    return transport::HostNetwork::open(std::move(options));
}

}  // namespace

Result<std::unique_ptr<BridgeHost>> BridgeHost::open(const BridgeHostOptions& options) {
    std::unique_ptr<BridgeHost> host(new BridgeHost());
    auto source = openNetwork(options.source);
    if (!source.isOk()) return source.status();
    host->source_ = source.take();
    auto target = openNetwork(options.target);
    if (!target.isOk()) return target.status();
    host->target_ = target.take();
    host->bridge_ =
        std::make_unique<replication::Bridge>(*host->source_, *host->target_, options.bridge);
    host->thread_ = std::thread([self = host.get()] { self->run(); });
    pthread_setname_np(host->thread_.native_handle(), "vbx-bridge");
    return host;
}

void BridgeHost::run() {
    while (!stop_.load(std::memory_order_acquire)) {
        const bool came = bridge_->poll(steadyNs());
        {
            const std::lock_guard guard(mutex_);
            progress_ = bridge_->progress();
        }
        if (!came) source_->wait(kLookNs);
    }
}

replication::BridgeProgress BridgeHost::progress() const {
    const std::lock_guard guard(mutex_);
    return progress_;
}

void BridgeHost::stop() {
    stop_.store(true, std::memory_order_release);
    if (thread_.joinable()) thread_.join();
}

}  // namespace verbex::node
