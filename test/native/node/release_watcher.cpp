#include "release_watcher.h"

#include "cluster_world.h"

namespace verbex::node::cluster_world {

ReleaseWatcher::ReleaseWatcher(const MemberAddress& member) {
    transport::NetworkOptions network;
    network.node = "watcher-" + std::to_string(member.id);
    network.transport = transport::TransportWish::Tcp;
    network.ringBytes = 1u << 22;
    network.payloadMax = kFrameBytesMax;
    network_ = transport::HostNetwork::open(network).take();
    ClusterClientOptions options;
    options.members = {member};
    options.anyMember = true;
    ClusterClientEvents& events = *this;
    client_ = std::make_unique<ClusterClient>(*network_, options, events);
    client_->subscribeEvents(1);
    thread_ = std::thread([this] { run(); });
}

void ReleaseWatcher::stop() {
    stop_.store(true, std::memory_order_release);
    if (thread_.joinable()) thread_.join();
}

void ReleaseWatcher::run() {
    while (!stop_.load(std::memory_order_acquire)) {
        if (!client_->poll(steadyNs())) network_->wait(2'000'000);
        client_->flush();
        next_.store(client_->next(), std::memory_order_release);
    }
}

void ReleaseWatcher::onEvents(const EventsFrame& batch, std::span<const Event> events) {
    if (batch.index == 0) digest_ = EventDigest();
    digest_.add(events.data(), events.size());
    if ((batch.header.flags & kEventsMore) != 0) return;
    seen_[batch.last] = {batch.first, batch.header.epoch, digest_.value()};
}

}  // namespace verbex::node::cluster_world
