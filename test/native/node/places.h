// Places: network namespaces in this process, each with threads of its own, all on one switch whose wires can be cut.
//
//      place 1 ──┐            ┌── place 3        10.213.9.<number>; nftables in each place says whom it
//      place 2 ──┤── bridge ──┤── place 4        does not hear, so a wire may be cut one way only
//
// Purpose: a network that really loses packets, for clusters whose members run in one process.
// Owner: a test.
// Thread safety: one thread calls; what run() is given runs in the place.
// Invariants:
//   1. Namespaces have no name: they are gone with the process, however it ends.
//   2. A thread that is started inside run(), and every socket it opens, stays in that place.
// Requires: root; ip (iproute2), nft (nftables). why() says what is missing.
#pragma once

#include <sys/types.h>

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace verbex::node::cluster_world {

// A thread with a network namespace of its own.
class Place {
public:
    Place();
    ~Place();
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

    [[nodiscard]] bool isThere() const { return thread_ != 0; }
    // The thread's number, by which its namespace is found.
    [[nodiscard]] pid_t thread() const { return thread_; }
    // Begins `what` there; wait() waits for its end.
    void begin(std::function<void()> what);
    void wait();
    void run(std::function<void()> what) {
        begin(std::move(what));
        wait();
    }

private:
    void serve();

    std::mutex mutex_;
    std::condition_variable changed_;
    std::function<void()> work_;
    bool busy_ = true;
    bool over_ = false;
    pid_t thread_ = 0;
    std::thread server_;
};

class Places {
public:
    // Places 1 … count.
    explicit Places(uint32_t count);

    // Why it can't be; empty: it can.
    [[nodiscard]] const std::string& why() const { return why_; }
    [[nodiscard]] Place& at(uint32_t number) { return *places_[number - 1]; }
    [[nodiscard]] static std::string host(uint32_t number);

    // What `from` sends does not reach `to`; takes effect with apply().
    void deafen(uint32_t to, uint32_t from) { deaf_.insert({to, from}); }
    void cut(uint32_t one, uint32_t other) {
        deafen(one, other);
        deafen(other, one);
    }
    void mend() { deaf_.clear(); }
    // All of it, in all places at once, as far as a machine can. False: nft has failed.
    [[nodiscard]] bool apply();

private:
    std::vector<std::unique_ptr<Place>> places_;
    Place switch_;
    std::set<std::pair<uint32_t, uint32_t>> deaf_;
    std::string why_;
};

}  // namespace verbex::node::cluster_world
