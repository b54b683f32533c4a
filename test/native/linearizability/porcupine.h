// Porcupine: a checker that nobody here wrote, where Go is there to build it.
//
// Purpose: the second opinion on a history. github.com/anishathalye/porcupine comes by the Go module proxy;
// porcupine/main.go holds the book's rules once more and calls it.
// Owner: a test.
// Thread safety: one thread a process; any number of processes.
// Invariants: an empty answer means that it could not be asked, and why() says so.
// Requires: the sources of this checkout.
#pragma once

#include <string>

#include "linearizability/tiny_book.h"

namespace verbex::linearizability {

class Porcupine {
public:
    Porcupine();
    [[nodiscard]] bool isThere() const { return why_.empty(); }
    [[nodiscard]] const std::string& why() const { return why_; }
    // "linearizable", "not linearizable" or "unknown".
    [[nodiscard]] std::string judge(const BookHistory& history) const;

private:
    std::string program_;
    std::string why_;
};

}  // namespace verbex::linearizability
