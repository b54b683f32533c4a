// The gateways' options, as JavaScript passes them, and what it is told of them.
//
// Purpose: the one place where flat objects and lines of text become GatewayHostOptions.
// src/api/gateways.ts has said in the caller's words what is wrong before; what gets through is refused here
// all the same.
// Owner: nobody. Thread safety: the JS thread.
// Invariants: what is answered keeps the rooms' own requirements.
// Requires: a handle scope.
#pragma once

#include "addon/arguments.h"
#include "node/gateway_host.h"

namespace verbex::addon {

node::GatewayHostOptions gatewayOptionsOf(const Arguments& arguments, napi_value object);
napi_value makeGatewayAddresses(napi_env env, const node::GatewayAddresses& addresses);
napi_value makeGatewayStats(napi_env env, const node::GatewayHostStats& stats);

}  // namespace verbex::addon
