#include "addon/arguments.h"

#include <cmath>

namespace verbex::addon {

void check(napi_env env, napi_status status) {
    if (status == napi_ok) return;
    bool pending = false;
    if (napi_is_exception_pending(env, &pending) == napi_ok && pending) throw PendingException{};
    const napi_extended_error_info* info = nullptr;
    std::string message = "a call into Node-API failed";
    if (napi_get_last_error_info(env, &info) == napi_ok && info->error_message != nullptr) {
        message = info->error_message;
    }
    throw ThrownFailure{node::Failure("NODE_API", message), false};
}

napi_value makeText(napi_env env, const std::string& text) {
    napi_value value;
    check(env, napi_create_string_utf8(env, text.data(), text.size(), &value));
    return value;
}

napi_value makeError(napi_env env, const ThrownFailure& thrown) {
    const node::Failure& failure = thrown.failure;
    const napi_value code = makeText(env, failure.code);
    const napi_value message =
        makeText(env, failure.message.empty() ? failure.code : failure.message);
    napi_value error;
    check(env, thrown.argument ? napi_create_type_error(env, code, message, &error)
                               : napi_create_error(env, code, message, &error));
    if (!failure.place.has_value()) return error;
    napi_value place;
    check(env, napi_create_object(env, &place));
    const auto set = [env, place](const char* name, napi_value value) {
        check(env, napi_set_named_property(env, place, name, value));
    };
    napi_value offset;
    check(env, napi_create_double(env, static_cast<double>(failure.place->offset), &offset));
    napi_value position;
    check(env, napi_create_bigint_uint64(env, failure.place->expectedPosition, &position));
    set("file", makeText(env, failure.place->file));
    set("offset", offset);
    set("position", position);
    set("what", makeText(env, failure.place->what));
    check(env, napi_set_named_property(env, error, "place", place));
    return error;
}

void throwInto(napi_env env, const ThrownFailure& thrown) {
    try {
        check(env, napi_throw(env, makeError(env, thrown)));
    } catch (const PendingException&) {
        // Another exception is on its way already, and says enough.
    } catch (const ThrownFailure&) {
        // The environment is being torn down: no JavaScript is left to see an error.
    }
}

uint64_t Arguments::toNumber(napi_value value, const char* name, uint64_t least,
                             uint64_t most) const {
    napi_valuetype type;
    check(env_, napi_typeof(env_, value, &type));
    double number = -1;
    if (type == napi_number) check(env_, napi_get_value_double(env_, value, &number));
    // Compared as doubles first: a cast of what is outside would be undefined.
    if (!(number >= static_cast<double>(least) && number <= static_cast<double>(most)) ||
        number != std::floor(number)) {
        throwArgument(std::string(name) + " must be a whole number from " + std::to_string(least) +
                      " to " + std::to_string(most));
    }
    return static_cast<uint64_t>(number);
}

uint64_t Arguments::bigint(size_t index, const char* name) const {
    napi_valuetype type;
    check(env_, napi_typeof(env_, at(index), &type));
    bool lossless = false;
    uint64_t number = 0;
    if (type == napi_bigint) {
        check(env_, napi_get_value_bigint_uint64(env_, at(index), &number, &lossless));
    }
    if (!lossless) throwArgument(std::string(name) + " must be a bigint from 0 to 2^64 - 1");
    return number;
}

std::string Arguments::toText(napi_value value, const char* name, size_t bytesMax) const {
    napi_valuetype type;
    check(env_, napi_typeof(env_, value, &type));
    if (type != napi_string) throwArgument(std::string(name) + " must be a string");
    size_t size = 0;
    check(env_, napi_get_value_string_utf8(env_, value, nullptr, 0, &size));
    if (size > bytesMax) {
        throwArgument(std::string(name) + " must be at most " + std::to_string(bytesMax) +
                      " bytes long");
    }
    std::string text(size, '\0');
    check(env_, napi_get_value_string_utf8(env_, value, text.data(), size + 1, &size));
    if (text.find('\0') != std::string::npos) {
        throwArgument(std::string(name) + " must not hold a zero character");
    }
    return text;
}

napi_value Arguments::function(size_t index, const char* name) const {
    napi_valuetype type;
    check(env_, napi_typeof(env_, at(index), &type));
    if (type != napi_function) throwArgument(std::string(name) + " must be a function");
    return at(index);
}

napi_value Arguments::object(size_t index, const char* name) const {
    napi_valuetype type;
    check(env_, napi_typeof(env_, at(index), &type));
    if (type != napi_object) throwArgument(std::string(name) + " must be an object");
    return at(index);
}

bool Arguments::isNullish(size_t index) const {
    napi_valuetype type;
    check(env_, napi_typeof(env_, at(index), &type));
    return type == napi_null || type == napi_undefined;
}

std::span<const std::byte> Arguments::toBytes(napi_value value, const char* name) const {
    bool typed = false;
    check(env_, napi_is_typedarray(env_, value, &typed));
    napi_typedarray_type type = napi_int8_array;
    size_t length = 0;
    void* data = nullptr;
    if (typed) {
        check(env_, napi_get_typedarray_info(env_, value, &type, &length, &data, nullptr,
                                             nullptr));
    }
    if (!typed || type != napi_uint8_array) {
        throwArgument(std::string(name) + " must be a Uint8Array");
    }
    if (data == nullptr) return {};  // empty or detached
    return {static_cast<const std::byte*>(data), length};
}

napi_value Arguments::property(napi_value object, const char* name, napi_valuetype& type) const {
    napi_value value;
    check(env_, napi_get_named_property(env_, object, name, &value));
    check(env_, napi_typeof(env_, value, &type));
    return value;
}

uint64_t Arguments::numberOf(napi_value object, const char* name, uint64_t least, uint64_t most,
                             uint64_t otherwise) const {
    napi_valuetype type;
    const napi_value value = property(object, name, type);
    return type == napi_undefined ? otherwise : toNumber(value, name, least, most);
}

napi_value Arguments::objectOf(napi_value object, const char* name) const {
    napi_valuetype type;
    const napi_value value = property(object, name, type);
    if (type == napi_undefined) return nullptr;
    if (type != napi_object) throwArgument(std::string(name) + " must be an object");
    return value;
}

bool Arguments::flagOf(napi_value object, const char* name, bool otherwise) const {
    napi_valuetype type;
    const napi_value value = property(object, name, type);
    if (type == napi_undefined) return otherwise;
    if (type != napi_boolean) throwArgument(std::string(name) + " must be true or false");
    bool flag = false;
    check(env_, napi_get_value_bool(env_, value, &flag));
    return flag;
}

std::string Arguments::textOf(napi_value object, const char* name, size_t bytesMax) const {
    napi_valuetype type;
    return toText(property(object, name, type), name, bytesMax);
}

std::string Arguments::textOf(napi_value object, const char* name, size_t bytesMax,
                              const char* otherwise) const {
    napi_valuetype type;
    const napi_value value = property(object, name, type);
    return type == napi_undefined ? otherwise : toText(value, name, bytesMax);
}

}  // namespace verbex::addon
