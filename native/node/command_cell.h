// CommandCell: a command and what the stages find out about it, in one cell of the pipeline's ring.
//
//      ┌──────────────── 128 bytes ───────────────┬──────── 64 ────────┐
//      │ command: filled by offer(), never changed │ decision: by stages │
//      └──────────────────────────────────────────┴────────────────────┘
//
// Owner: the ring; pipeline.h says which stage may touch what, and when.
// Thread safety: the cursors order all accesses.
#pragma once

#include "core/decision.h"
#include "pipeline/ring.h"
#include "wire/command.h"

namespace verbex::node {

struct CommandCell {
    Command command;
    Decision decision;
};
static_assert(sizeof(CommandCell) == 192 && alignof(CommandCell) == 64);

// Two may claim: whoever offers, and the engine for a tick of the clock when nobody does.
using CommandRing = pipeline::MultiProducerRing<CommandCell>;

}  // namespace verbex::node
