// The answer of every call that can fail.
//
// Purpose: a stable code that callers branch on and operators look up, and a message that each
// layer extends with what it was doing. Native code outside addon/ throws nothing; it returns these.
// Owner: the caller; both types are plain values.
// Thread safety: values; share them as you would share a std::string.
// Invariants:
//   1. An ok Status has no message and never allocates, so the hot path may return it freely.
//   2. A Result holds either a value or a Status that is not ok, never both.
//   3. The spelling of a code never changes once released; new ones are added at the end.
// Requires: value() only after isOk() said yes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "base/check.h"

namespace verbex {

enum class StatusCode : uint8_t {
    Ok = 0,
    InvalidArgument = 1,
    IoError = 2,
    NoSpace = 3,
    NotFound = 4,
    AlreadyExists = 5,
    DataDirectoryInUse = 6,
    JournalDamaged = 7,
    SnapshotDamaged = 8,
    RecordTooLarge = 9,
    UnsupportedFormat = 10,
    Closed = 11,
    TransportUnavailable = 12,
    AuthenticationFailed = 13,
    StaleEpoch = 14,
    Refused = 15,
    TimedOut = 16,
    PeerLost = 17,
    ProtocolViolation = 18,
    PositionLost = 19,
    ClusterExists = 20,
};

// The stable spelling that logs, TypeScript errors and the documentation use.
constexpr std::string_view statusCodeName(StatusCode code) {
    switch (code) {
        case StatusCode::Ok: return "OK";
        case StatusCode::InvalidArgument: return "INVALID_ARGUMENT";
        case StatusCode::IoError: return "IO_ERROR";
        case StatusCode::NoSpace: return "NO_SPACE";
        case StatusCode::NotFound: return "NOT_FOUND";
        case StatusCode::AlreadyExists: return "ALREADY_EXISTS";
        case StatusCode::DataDirectoryInUse: return "DATA_DIRECTORY_IN_USE";
        case StatusCode::JournalDamaged: return "JOURNAL_DAMAGED";
        case StatusCode::SnapshotDamaged: return "SNAPSHOT_DAMAGED";
        case StatusCode::RecordTooLarge: return "RECORD_TOO_LARGE";
        case StatusCode::UnsupportedFormat: return "UNSUPPORTED_FORMAT";
        case StatusCode::Closed: return "CLOSED";
        case StatusCode::TransportUnavailable: return "TRANSPORT_UNAVAILABLE";
        case StatusCode::AuthenticationFailed: return "AUTHENTICATION_FAILED";
        case StatusCode::StaleEpoch: return "STALE_EPOCH";
        case StatusCode::Refused: return "REFUSED";
        case StatusCode::TimedOut: return "TIMED_OUT";
        case StatusCode::PeerLost: return "PEER_LOST";
        case StatusCode::ProtocolViolation: return "PROTOCOL_VIOLATION";
        case StatusCode::PositionLost: return "POSITION_LOST";
        case StatusCode::ClusterExists: return "CLUSTER_EXISTS";
    }
    return "UNKNOWN";
}

class [[nodiscard]] Status {
public:
    Status() = default;
    Status(StatusCode code, std::string message) : code_(code), message_(std::move(message)) {
        CHECK(code != StatusCode::Ok);
    }

    [[nodiscard]] bool isOk() const { return code_ == StatusCode::Ok; }
    [[nodiscard]] StatusCode code() const { return code_; }
    [[nodiscard]] const std::string& message() const { return message_; }

    // The same failure, said from one layer further out: "opening the journal: EIO on …".
    [[nodiscard]] Status within(std::string_view doing) const {
        if (isOk()) return {};
        return Status(code_, std::string(doing) + ": " + message_);
    }

    [[nodiscard]] std::string toString() const {
        std::string text(statusCodeName(code_));
        if (!message_.empty()) text += ": " + message_;
        return text;
    }

private:
    StatusCode code_ = StatusCode::Ok;
    std::string message_;
};

template <typename Value>
class [[nodiscard]] Result {
public:
    Result(Value value) : content_(std::in_place_index<0>, std::move(value)) {}
    Result(Status failure) : content_(std::in_place_index<1>, std::move(failure)) {
        CHECK(!std::get<1>(content_).isOk());
    }

    [[nodiscard]] bool isOk() const { return content_.index() == 0; }
    [[nodiscard]] Status status() const { return isOk() ? Status() : std::get<1>(content_); }
    [[nodiscard]] Value& value() {
        CHECK(isOk());
        return std::get<0>(content_);
    }
    [[nodiscard]] const Value& value() const {
        CHECK(isOk());
        return std::get<0>(content_);
    }
    [[nodiscard]] Value take() {
        CHECK(isOk());
        return std::move(std::get<0>(content_));
    }

private:
    std::variant<Value, Status> content_;
};

}  // namespace verbex

// Leaves the function with the failure of `expression`, if it failed.
#define VERBEX_RETURN_IF_FAILED(expression)                           \
    do {                                                              \
        if (::verbex::Status statusOfCall_ = (expression); !statusOfCall_.isOk()) \
            return statusOfCall_;                                     \
    } while (false)
