// BridgeHost: a bridge between two sites, on a thread of its own.
//
// Purpose: gives replication::Bridge networks and time.
// Owner: the addon, a test.
// Thread safety: any thread.
// Invariants: those of bridge.h.
// Requires: nothing.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <thread>

#include "replication/bridge.h"
#include "transport/host/host_network.h"

namespace verbex::node {

struct BridgeHostOptions {
    replication::BridgeOptions bridge;
    transport::NetworkOptions source;
    transport::NetworkOptions target;  // between the sites: tcp, with a key, with TLS where it is configured
};

class BridgeHost {
public:
    static Result<std::unique_ptr<BridgeHost>> open(const BridgeHostOptions& options);
    ~BridgeHost() { stop(); }
    BridgeHost(const BridgeHost&) = delete;
    BridgeHost& operator=(const BridgeHost&) = delete;

    [[nodiscard]] replication::BridgeProgress progress() const;
    void stop();

private:
    BridgeHost() = default;
    void run();

    std::unique_ptr<transport::HostNetwork> source_;
    std::unique_ptr<transport::HostNetwork> target_;
    std::unique_ptr<replication::Bridge> bridge_;
    std::atomic<bool> stop_{false};
    mutable std::mutex mutex_;
    replication::BridgeProgress progress_;
    std::thread thread_;
};

}  // namespace verbex::node
