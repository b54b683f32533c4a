// A file descriptor that closes itself.
//
// Purpose: sockets, epoll and event descriptors change hands between set-up and link; whoever holds
// one closes it.
// Owner: whoever holds it.
// Thread safety: a value; none.
// Invariants: a descriptor is closed once; -1 is none.
// Requires: nothing.
#pragma once

#include <unistd.h>
#include <utility>

namespace verbex::transport {

class Descriptor {
public:
    Descriptor() = default;
    explicit Descriptor(int number) : number_(number) {}
    Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
    Descriptor& operator=(Descriptor&& other) noexcept {
        if (this != &other) {
            reset();
            number_ = std::exchange(other.number_, -1);
        }
        return *this;
    }
    ~Descriptor() { reset(); }

    void reset() {
        if (number_ >= 0) ::close(number_);
        number_ = -1;
    }
    [[nodiscard]] int number() const { return number_; }
    [[nodiscard]] bool isOpen() const { return number_ >= 0; }

private:
    int number_ = -1;
};

}  // namespace verbex::transport
