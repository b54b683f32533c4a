// The data directory of a node: what lies where, and the facts that it was created with.
//
//      <data>/lock        held by the running node
//      <data>/facts       the capacities and the journal's id, 64 bytes, written once
//      <data>/journal/    segments
//      <data>/snapshots/  snapshots
//      <data>/diverged    text; only after SNAPSHOT_DIVERGED, removed by the operator
//
// Purpose: capacities decide which commands are rejected, and no command carries them. A node that
// replayed its journal with other capacities would rebuild another state; so they are kept here and
// a difference refuses (LIMITS_DIFFER).
// Owner: Node; the offline functions read.
// Thread safety: one writer, under the lock of the directory.
// Invariants:
//   1. The facts exist durably before the first command is journaled, and never change.
// Requires: the directory's lock for writing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "base/status.h"
#include "core/core.h"
#include "journal/record.h"
#include "journal/storage.h"
#include "node/failure.h"

namespace verbex::node {

[[nodiscard]] std::string journalDirectory(const std::string& data);
[[nodiscard]] std::string snapshotDirectory(const std::string& data);
[[nodiscard]] std::string gatewayDirectory(const std::string& data);

struct DirectoryFacts {
    CoreLimits limits;
    journal::JournalId journalId;
};

struct FactsFile {
    uint64_t magic;
    uint32_t version;
    uint32_t maxOrders;
    uint32_t maxAccounts;
    uint32_t maxInstruments;
    uint32_t maxClientIds;
    uint32_t reserved0;
    journal::JournalId journalId;
    uint32_t reserved1[3];
    uint32_t crc;  // over the 60 bytes before it
};
static_assert(sizeof(FactsFile) == 64 && offsetof(FactsFile, journalId) == 32);
static_assert(offsetof(FactsFile, crc) == 60);

// By chance, for a journal that is made.
[[nodiscard]] journal::JournalId drawJournalId();

// None where the directory has no facts yet.
Result<std::optional<DirectoryFacts>> readFacts(journal::Storage& storage, const std::string& data);
Status writeFacts(journal::Storage& storage, const std::string& data, const DirectoryFacts& facts);

// `asked`, with each 0 replaced by what is stored, else by the default. Fails with LIMITS_DIFFER
// where something else is stored than was asked for.
Failure settleLimits(const std::optional<DirectoryFacts>& stored, CoreLimits& asked);

// A note that outlives the process: a shadow replay contradicted the live engine.
Status noteDivergence(journal::Storage& storage, const std::string& data, const std::string& text);
// The note's text, empty where there is none.
Result<std::string> readDivergence(journal::Storage& storage, const std::string& data);

}  // namespace verbex::node
