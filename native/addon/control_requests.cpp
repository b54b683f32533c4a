#include "addon/control_requests.h"

namespace verbex::addon {

namespace {

constexpr size_t kRecordBytesMax = 1u << 16;

}  // namespace

using replication::ControlAnswer;

napi_value takeRequests(napi_env env, node::ControlBridge& bridge) {
    napi_value list;
    check(env, napi_create_array(env, &list));
    uint32_t count = 0;
    for (const node::ControlRequest& request : bridge.take()) {
        napi_value object;
        check(env, napi_create_object(env, &object));
        setProperty(env, object, "request", makeBigint(env, request.request));
        setProperty(env, object, "kind", makeText(env, request.swap ? "swap" : "read"));
        setProperty(env, object, "expected", makeBigint(env, request.expected));
        setProperty(env, object, "text", makeText(env, request.text));
        check(env, napi_set_element(env, list, count++, object));
    }
    return list;
}

ControlAnswer controlAnswerIn(const Arguments& arguments) {
    ControlAnswer answer;
    answer.request = arguments.bigint(0, "request");
    const std::string kind = arguments.text(1, "kind", 16);
    if (kind == "read") answer.kind = ControlAnswer::Kind::Read;
    else if (kind == "swapped") answer.kind = ControlAnswer::Kind::Swapped;
    else if (kind == "conflict") answer.kind = ControlAnswer::Kind::Conflict;
    else if (kind == "changed") answer.kind = ControlAnswer::Kind::Changed;
    else if (kind == "unknown") answer.kind = ControlAnswer::Kind::Unknown;
    else throwArgument("kind must be read, swapped, conflict, unknown or changed");
    answer.record.revision = arguments.bigint(2, "revision");
    answer.record.text = arguments.text(3, "text", kRecordBytesMax);
    return answer;
}

}  // namespace verbex::addon
