// NativeCore: the pure core alone, for tests, fuzzing and offline explanations.
#include <cstring>
#include <memory>
#include <vector>

#include "addon/addon.h"
#include "wire/command_codec.h"

namespace verbex::addon {

namespace {

// Keeps every event of one call, however many.
class GrowingEvents final : public EventWriter {
public:
    GrowingEvents() { restart(); }
    ~GrowingEvents() = default;

    void restart() {
        if (chunks_.empty()) chunks_.push_back(makeChunk());
        chunks_.resize(1);
        setRegion(chunks_[0].get(), chunks_[0].get() + kChunkEvents);
    }
    [[nodiscard]] size_t count() const {
        return (chunks_.size() - 1) * kChunkEvents + static_cast<size_t>(cursor() - begin());
    }
    void copyTo(std::byte* into) const {
        for (size_t i = 0; i < chunks_.size(); i++) {
            const size_t events =
                i + 1 < chunks_.size() ? kChunkEvents : static_cast<size_t>(cursor() - begin());
            std::memcpy(into, chunks_[i].get(), events * sizeof(Event));
            into += events * sizeof(Event);
        }
    }

private:
    static constexpr size_t kChunkEvents = 1024;
    static std::unique_ptr<Event[]> makeChunk() {
        return std::unique_ptr<Event[]>(new Event[kChunkEvents]());
    }
    void drain() override {
        chunks_.push_back(makeChunk());
        setRegion(chunks_.back().get(), chunks_.back().get() + kChunkEvents);
    }
    std::vector<std::unique_ptr<Event[]>> chunks_;
};

class MemorySource final : public ByteSource {
public:
    explicit MemorySource(std::span<const std::byte> bytes) : rest_(bytes) {}
    [[nodiscard]] bool read(void* bytes, size_t size) override {
        if (size > rest_.size()) return false;
        if (size != 0) std::memcpy(bytes, rest_.data(), size);
        rest_ = rest_.subspan(size);
        return true;
    }
    [[nodiscard]] bool atEnd() const { return rest_.empty(); }

private:
    std::span<const std::byte> rest_;
};

class MemorySink final : public ByteSink {
public:
    void write(const void* bytes, size_t size) override {
        const auto* from = static_cast<const std::byte*>(bytes);
        content.insert(content.end(), from, from + size);
    }
    std::vector<std::byte> content;
};

}  // namespace

struct CoreHandle {
    static constexpr const char* kClassName = "NativeCore";
    static constexpr napi_type_tag kTypeTag = {0x766572626578'0001, 0x9d1f0c5ae2b34a11};

    explicit CoreHandle(const CoreLimits& limits) : core(limits) {}
    Core core;
    GrowingEvents events;
};

namespace {

napi_value construct(const Arguments& arguments) {
    const napi_env env = arguments.env();
    if (!arguments.constructing()) throwArgument("NativeCore needs new");
    AddonState& state = stateOf(env);
    std::unique_ptr<CoreHandle> handle;
    if (state.constructing != nullptr) {
        handle = std::move(*static_cast<std::unique_ptr<CoreHandle>*>(state.constructing));
        state.constructing = nullptr;
    } else {
        const CoreLimits limits = limitsOf(arguments, arguments.object(0, "limits"));
        handle = std::make_unique<CoreHandle>(withDefaults(limits));
    }
    return arguments.wrap(std::move(handle));
}

napi_value apply(const Arguments& arguments) {
    auto& handle = arguments.unwrap<CoreHandle>();
    const std::span<const std::byte> bytes = arguments.bytes(0, "commands");
    const uint64_t count = arguments.number(1, "count", 0, bytes.size() / sizeof(Command));
    handle.events.restart();
    for (uint64_t i = 0; i < count; i++) {
        Command command;
        loadCommand(bytes.data() + i * sizeof(Command), command);
        handle.core.apply(command, handle.events);
    }
    const size_t size = handle.events.count() * sizeof(Event);
    void* memory = nullptr;
    napi_value buffer;
    const napi_env env = arguments.env();
    check(env, napi_create_arraybuffer(env, size, &memory, &buffer));
    if (size != 0) handle.events.copyTo(static_cast<std::byte*>(memory));
    napi_value array;
    check(env, napi_create_typedarray(env, napi_uint8_array, size, buffer, 0, &array));
    return array;
}

napi_value explain(const Arguments& arguments) {
    std::string out;
    arguments.unwrap<CoreHandle>().core.explain(out);
    return makeText(arguments.env(), out);
}

napi_value hash(const Arguments& arguments) {
    return makeText(arguments.env(), arguments.unwrap<CoreHandle>().core.hash().hex());
}

napi_value position(const Arguments& arguments) {
    return makeBigint(arguments.env(), arguments.unwrap<CoreHandle>().core.position());
}

napi_value query(const Arguments& arguments) {
    const Core& core = arguments.unwrap<CoreHandle>().core;
    return makeText(arguments.env(), questionOf(arguments)(core));
}

napi_value save(const Arguments& arguments) {
    MemorySink sink;
    arguments.unwrap<CoreHandle>().core.save(sink);
    return makeBytes(arguments.env(), sink.content.data(), sink.content.size());
}

napi_value load(const Arguments& arguments) {
    const napi_env env = arguments.env();
    const CoreLimits limits = limitsOf(arguments, arguments.object(1, "limits"));
    MemorySource source(arguments.bytes(0, "bytes"));
    auto handle = std::make_unique<CoreHandle>(withDefaults(limits));
    if (!handle->core.load(source) || !source.atEnd()) {
        throw ThrownFailure{
            node::Failure("STATE_INVALID", "these bytes are no state that fits these limits"),
            false};
    }
    AddonState& state = stateOf(env);
    napi_value constructor;
    check(env, napi_get_reference_value(env, state.coreConstructor, &constructor));
    napi_value made = nullptr;
    state.constructing = &handle;  // construct() takes it
    const napi_status status = napi_new_instance(env, constructor, 0, nullptr, &made);
    state.constructing = nullptr;
    check(env, status);
    return made;
}

}  // namespace

void defineNativeCore(napi_env env, napi_value exports) {
    const napi_value made = defineClass(env, CoreHandle::kClassName, entry<construct>,
                                        {{"apply", entry<apply>},
                                         {"explain", entry<explain>},
                                         {"hash", entry<hash>},
                                         {"position", entry<position>},
                                         {"query", entry<query>},
                                         {"save", entry<save>},
                                         {"load", entry<load>, true}});
    check(env, napi_create_reference(env, made, 1, &stateOf(env).coreConstructor));
    setProperty(env, exports, CoreHandle::kClassName, made);
}

}  // namespace verbex::addon
