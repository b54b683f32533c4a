// A control store's work as JavaScript sees it: requests out, answers in.
//
// Purpose: members and sequencers ask by a node::ControlBridge; who answers is TypeScript.
// Owner: whoever holds the bridge.
// Thread safety: the JS thread.
// Invariants: none.
// Requires: a handle scope.
#pragma once

#include "addon/addon.h"
#include "node/control_bridge.h"

namespace verbex::addon {

// A list of { request, kind, expected, text }, oldest first; they wait no longer.
[[nodiscard]] napi_value takeRequests(napi_env env, node::ControlBridge& bridge);
// The arguments of answerControl(request, kind, revision, text). Throws INVALID_ARGUMENT.
[[nodiscard]] replication::ControlAnswer controlAnswerIn(const Arguments& arguments);

}  // namespace verbex::addon
