// The bus's options, as JavaScript passes them: flat objects, milliseconds, whole numbers.
//
// Purpose: the one place where they become those of network, bus and streams. src/bus/options.ts has
// said in the caller's words what is wrong before; what gets through is refused here all the same.
// Owner: nobody. Thread safety: the JS thread.
// Invariants: what is answered keeps the rooms' own requirements.
// Requires: a handle scope.
#pragma once

#include "addon/arguments.h"
#include "addon/bus_thread.h"

namespace verbex::addon {

inline constexpr uint64_t kBusPayloadMax = 1u << 24;
inline constexpr uint64_t kBusBufferBytesMax = 1u << 30;
inline constexpr uint32_t kBusRecordBytes = 32;  // what the bus keeps beside each message

BusThreadOptions busOptionsOf(const Arguments& arguments, napi_value object);
bus::PublicationOptions publicationOptionsOf(const Arguments& arguments, napi_value object);
bus::SubscriptionOptions subscriptionOptionsOf(const Arguments& arguments, napi_value object);
// "bufferBytes": the ring between JavaScript and the agent.
size_t bufferBytesOf(const Arguments& arguments, napi_value object, size_t payloadMax);

}  // namespace verbex::addon
