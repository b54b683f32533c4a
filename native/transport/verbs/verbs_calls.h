// The entry points of libibverbs, as they are called. Only .cpp files of this room include it.
//
// Purpose: the one place that asks whether the RDMA headers are there, and the one that names them.
// Owner: verbs_library.cpp fills it; see there for the versions.
// Thread safety: constant once filled.
// Invariants: nothing here may be called through the header's own names, since those would have to
// be linked. What is inline in the header goes through the context and needs no symbol.
// Requires: VERBEX_HAVE_VERBS; -DVERBEX_NO_VERBS=1 builds as if the headers were missing.
#pragma once

#include <cstdlib>  // tells which C library it is: versions of symbols are asked for in glibc's way

#if !defined(VERBEX_NO_VERBS) && defined(__GLIBC__) && __has_include(<infiniband/verbs.h>)
#define VERBEX_HAVE_VERBS 1

#include <infiniband/verbs.h>
#include <string>

#include "transport/verbs/verbs_library.h"

namespace verbex::transport {

struct VerbsLibrary {
    decltype(&::ibv_fork_init) forkInit = nullptr;
    decltype(&::ibv_get_device_list) getDeviceList = nullptr;
    decltype(&::ibv_free_device_list) freeDeviceList = nullptr;
    decltype(&::ibv_get_device_name) getDeviceName = nullptr;
    decltype(&::ibv_open_device) openDevice = nullptr;
    decltype(&::ibv_close_device) closeDevice = nullptr;
    decltype(&::ibv_query_device) queryDevice = nullptr;
    decltype(&::ibv_query_port) queryPortShort = nullptr;
    decltype(&::ibv_query_gid) queryGid = nullptr;
    decltype(&::ibv_alloc_pd) allocateDomain = nullptr;
    decltype(&::ibv_dealloc_pd) freeDomain = nullptr;
    decltype(&::ibv_reg_mr) registerMemory = nullptr;
    decltype(&::ibv_dereg_mr) deregisterMemory = nullptr;
    decltype(&::ibv_create_comp_channel) createChannel = nullptr;
    decltype(&::ibv_destroy_comp_channel) destroyChannel = nullptr;
    decltype(&::ibv_create_cq) createCompletions = nullptr;
    decltype(&::ibv_destroy_cq) destroyCompletions = nullptr;
    decltype(&::ibv_get_cq_event) getCompletionEvent = nullptr;
    decltype(&::ibv_ack_cq_events) acknowledgeCompletionEvents = nullptr;
    decltype(&::ibv_create_qp) createQueuePair = nullptr;
    decltype(&::ibv_modify_qp) modifyQueuePair = nullptr;
    decltype(&::ibv_destroy_qp) destroyQueuePair = nullptr;
    decltype(&::ibv_get_async_event) getAsyncEvent = nullptr;
    decltype(&::ibv_ack_async_event) acknowledgeAsyncEvent = nullptr;
    decltype(&::ibv_wc_status_str) completionText = nullptr;

    // What ibv_fork_init said when the library was loaded; 0 where all is well.
    int forkError = 0;

    // The header's ibv_query_port is a macro over an inline function that would have to be linked:
    // the provider's own call where it has one, which fills the whole structure.
    int queryPort(ibv_context* context, uint8_t port, ibv_port_attr* attributes) const {
        *attributes = {};
        verbs_context* extended = verbs_get_ctx_op(context, query_port);
        if (extended != nullptr)
            return extended->query_port(context, port, attributes, sizeof(*attributes));
        return queryPortShort(context, port,
                              reinterpret_cast<struct _compat_ibv_port_attr*>(attributes));
    }

    // The device of that name, opened; nullptr with errno (ENODEV where no device is called so).
    ibv_context* openDeviceNamed(const char* name) const;
};

// Why that device could not be opened: the library's errno tells only of its last attempt.
std::string verbsRefusal(const ibv_device& device, int error);

}  // namespace verbex::transport

#endif
