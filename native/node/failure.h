// Failure: what a node answers when it cannot, with a stable code and, for a journal, the exact
// place.
//
// Purpose: Status of the rooms below carries their codes; the node adds its own, which are texts
// here so that each layer names what it knows. docs/node.md lists them.
// Owner: the caller; a plain value.
// Thread safety: a value.
// Invariants: ok exactly when the code is empty.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "base/status.h"
#include "journal/recovery.h"

namespace verbex::node {

inline constexpr const char* kCodeSnapshotDiverged = "SNAPSHOT_DIVERGED";
inline constexpr const char* kCodeEdgeDiverged = "EDGE_DIVERGED";
inline constexpr const char* kCodeEdgeBehind = "EDGE_BEHIND";
inline constexpr const char* kCodeSourcesDisagree = "SOURCES_DISAGREE";
inline constexpr const char* kCodeRecoverySourcesDiffer = "RECOVERY_SOURCES_DIFFER";
inline constexpr const char* kCodeRecoverySourcesApart = "RECOVERY_SOURCES_APART";
inline constexpr const char* kCodeLimitsDiffer = "LIMITS_DIFFER";
inline constexpr const char* kCodeClosed = "CLOSED";
inline constexpr const char* kCodeBusy = "BUSY";
inline constexpr const char* kCodeAddressInUse = "EADDRINUSE";  // as of any other listener
inline constexpr const char* kCodeNoDataDirectory = "NO_DATA_DIRECTORY";

struct [[nodiscard]] Failure {
    std::string code;
    std::string message;
    std::optional<journal::JournalPlace> place;

    Failure() = default;
    Failure(std::string codeText, std::string messageText)
        : code(std::move(codeText)), message(std::move(messageText)) {}
    Failure(const Status& status)  // an ok Status is no failure
        : code(status.isOk() ? "" : statusCodeName(status.code())), message(status.message()) {}

    [[nodiscard]] bool isOk() const { return code.empty(); }
};

}  // namespace verbex::node
