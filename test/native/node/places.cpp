#include "places.h"

#include <sched.h>
#include <unistd.h>

#include <cstdlib>

namespace verbex::node::cluster_world {

namespace {

// A child is in the namespace of the thread that made it. A user's PATH seldom leads to /usr/sbin.
bool runs(const std::string& command) {
    return std::system(("PATH=$PATH:/usr/sbin; { " + command + "; } >/dev/null 2>&1").c_str()) == 0;
}

}  // namespace

Place::Place() : server_([this] { serve(); }) { wait(); }

Place::~Place() {
    {
        const std::lock_guard guard(mutex_);
        over_ = true;
    }
    changed_.notify_all();
    server_.join();
}

void Place::begin(std::function<void()> what) {
    const std::lock_guard guard(mutex_);
    work_ = std::move(what);
    busy_ = true;
    changed_.notify_all();
}

void Place::wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !busy_; });
}

void Place::serve() {
    const bool there = unshare(CLONE_NEWNET) == 0;
    std::unique_lock lock(mutex_);
    if (there) thread_ = gettid();
    busy_ = false;
    changed_.notify_all();
    while (true) {
        changed_.wait(lock, [this] { return over_ || work_ != nullptr; });
        if (over_) return;
        const std::function<void()> work = std::exchange(work_, nullptr);
        lock.unlock();
        work();
        lock.lock();
        busy_ = false;
        changed_.notify_all();
    }
}

Places::Places(uint32_t count) {
    for (uint32_t i = 0; i < count; i++) places_.push_back(std::make_unique<Place>());
    if (!switch_.isThere()) {
        why_ = "needs the right to make network namespaces";
        return;
    }
    bool up = false;
    switch_.run([&up] { up = runs("ip link add switch type bridge && ip link set switch up"); });
    for (uint32_t i = 1; i <= count && up; i++) {
        const std::string number = std::to_string(i);
        const std::string thread = std::to_string(at(i).thread());
        switch_.run([&up, number, thread] {
            up = runs("ip link add port" + number + " type veth peer name wire netns " + thread +
                      " && ip link set port" + number + " master switch up");
        });
        if (!up) break;
        at(i).run([&up, i] {
            up = runs("ip link set lo up && ip addr add " + host(i) +
                      "/24 dev wire && ip link set wire up") &&
                 runs("nft 'add table inet cut; add set inet cut deaf { type ipv4_addr; }; "
                      "add chain inet cut in { type filter hook input priority 0; }; "
                      "add rule inet cut in ip saddr @deaf drop'");
        });
    }
    if (!up) why_ = "needs ip (iproute2) and nft (nftables)";
}

std::string Places::host(uint32_t number) { return "10.213.9." + std::to_string(number); }

bool Places::apply() {
    bool all = true;
    std::vector<char> done(places_.size(), 0);
    for (uint32_t to = 1; to <= places_.size(); to++) {
        std::string hosts;
        for (const auto& [deaf, from] : deaf_) {
            if (deaf == to) hosts += (hosts.empty() ? "" : ", ") + host(from);
        }
        std::string rules = "flush set inet cut deaf";
        if (!hosts.empty()) rules += "; add element inet cut deaf { " + hosts + " }";
        at(to).begin([&done, to, rules] { done[to - 1] = runs("nft '" + rules + "'") ? 1 : 0; });
    }
    for (uint32_t to = 1; to <= places_.size(); to++) {
        at(to).wait();
        all = all && done[to - 1] != 0;
    }
    return all;
}

}  // namespace verbex::node::cluster_world
