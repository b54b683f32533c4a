// The offline functions: verify, read, recover, explain. They read only and take no lock, so no
// node may run on the directory meanwhile; but journalRead() may, up to a position that the node
// has published. recoverFrom() makes a new directory out of sources that it only reads.
#include <algorithm>
#include <chrono>
#include <memory>
#include <string_view>
#include <vector>

#include "addon/addon.h"
#include "addon/member_list.h"
#include "base/json_string.h"
#include "journal/posix_storage.h"
#include "journal/reader.h"
#include "journal/segment.h"
#include "journal/snapshots.h"
#include "node/data_directory.h"
#include "node/log_source.h"
#include "node/source_recovery.h"
#include "node/state_recovery.h"
#include "wire/command_codec.h"

namespace verbex::addon {

namespace {

constexpr size_t kPathBytesMax = 4096;
constexpr uint64_t kReadCommandsMax = 1u << 20;

// One JSON object, field by field.
class JsonObject {
public:
    JsonObject& raw(const char* name, const std::string& json) {
        out_ += (out_.empty() ? "{" : ",") + jsonString(name) + ":" + json;
        return *this;
    }
    JsonObject& number(const char* name, uint64_t value) {
        return raw(name, std::to_string(value));
    }
    JsonObject& text(const char* name, const std::string& value) {
        return raw(name, jsonString(value));
    }
    JsonObject& flag(const char* name, bool value) { return raw(name, value ? "true" : "false"); }
    [[nodiscard]] std::string done() const { return out_.empty() ? "{}" : out_ + "}"; }

private:
    std::string out_;
};

std::string listed(const std::vector<std::string>& values) {
    std::string out = "[";
    for (const std::string& value : values) out += (out.size() > 1 ? "," : "") + value;
    return out + "]";
}

std::string placeText(const std::optional<journal::JournalPlace>& place) {
    if (!place.has_value()) return "null";
    return JsonObject()
        .text("file", place->file)
        .number("offset", place->offset)
        .number("position", place->expectedPosition)
        .text("what", place->what)
        .done();
}

node::Failure failureOf(const journal::RecoveryReport& report) {
    node::Failure failure(report.status);
    failure.place = report.damage;
    return failure;
}

// A directory without a journal is a mistake of the caller, not an empty exchange.
node::Failure requireJournal(journal::Storage& storage, const std::string& data) {
    Result<std::vector<journal::SegmentName>> segments =
        journal::listSegments(storage, node::journalDirectory(data));
    if (!segments.isOk()) return segments.status();
    if (!segments.value().empty()) return {};
    return Status(StatusCode::NotFound, "there is no journal in " + data);
}

WorkOutcome verify(const std::string& data) {
    journal::PosixStorage storage;
    if (node::Failure none = requireJournal(storage, data); !none.isOk()) return {none, {}};
    const journal::RecoveryReport report =
        journal::verifyJournal(storage, node::journalDirectory(data));
    if (!report.status.isOk()) return {failureOf(report), {}};
    std::vector<std::string> snapshots;
    bool snapshotsGood = true;
    const std::string directory = node::snapshotDirectory(data);
    Result<std::vector<journal::SnapshotListing>> found =
        journal::listSnapshots(storage, directory);
    if (!found.isOk() && found.status().code() != StatusCode::NotFound) return {found.status(), {}};
    if (found.isOk()) {
        for (const journal::SnapshotListing& snapshot : found.value()) {
            Result<journal::SnapshotFacts> facts =
                journal::verifySnapshot(storage, directory, snapshot.name);
            snapshotsGood = snapshotsGood && facts.isOk();
            JsonObject one;
            one.text("file", snapshot.name).number("position", snapshot.position);
            one.number("bytes", snapshot.bytes).flag("ok", facts.isOk());
            one.text("stateHash", facts.isOk() ? facts.value().stateHash.hex() : "");
            one.text("what", facts.isOk() ? "" : facts.status().toString());
            snapshots.push_back(one.done());
        }
    }
    JsonObject json;
    json.flag("ok", snapshotsGood)
        .number("segments", report.segments)
        .number("records", report.records)
        .number("commands", report.commands)
        .number("firstPosition", report.firstPosition)
        .number("lastPosition", report.lastPosition)
        .number("firstEpoch", report.firstEpoch)
        .number("lastEpoch", report.lastEpoch)
        .number("durableMark", report.durableMark)
        .number("bytes", report.bytes)
        .flag("cleanlyClosed", report.cleanlyClosed)
        .number("tornBytes", report.tornBytes)
        .number("droppedRecords", report.droppedRecords)
        .raw("torn", placeText(report.torn))
        .raw("snapshots", listed(snapshots));
    return textOutcome(json.done());
}

struct ReadCommands {
    uint64_t next = 0;
    std::vector<Command> commands;
    std::vector<uint64_t> positions;
    std::vector<uint64_t> epochs;
};

WorkOutcome read(const std::string& data, uint64_t from, uint64_t most, Position upTo) {
    journal::PosixStorage storage;
    if (node::Failure none = requireJournal(storage, data); !none.isOk()) return {none, {}};
    const std::string directory = node::journalDirectory(data);
    Result<std::unique_ptr<journal::JournalReader>> opened =
        journal::JournalReader::open(storage, directory, from);
    if (!opened.isOk()) return {opened.status(), {}};
    journal::JournalReader& reader = *opened.value();
    auto found = std::make_shared<ReadCommands>();
    found->next = from;
    std::vector<Command> decoded;
    const Status enough(StatusCode::Closed, "enough was read");
    Status status = reader.readUpTo(upTo, [&](const journal::RecordView& record) -> Status {
        if (record.count == 0) return {};
        if (!decodeBatch(record.payload, record.count, decoded)) {
            return Status(StatusCode::JournalDamaged,
                          "the record at position " + std::to_string(record.position) +
                              " does not hold the commands that it names");
        }
        for (size_t i = 0; i < decoded.size(); i++) {
            const uint64_t position = record.position + i;
            if (position < found->next) continue;
            if (found->commands.size() == most) return enough;
            found->commands.push_back(decoded[i]);
            found->positions.push_back(position);
            found->epochs.push_back(record.epoch);
            found->next = position + 1;
        }
        return found->commands.size() == most ? enough : Status();
    });
    // A reader that was not told where to end finds no record there. Whether that is the end or
    // damage, the whole verification knows; what was read before it is good in either case, and
    // comes first.
    if (!status.isOk() && status.code() != enough.code() && found->commands.empty()) {
        const journal::RecoveryReport report = journal::verifyJournal(storage, directory);
        if (!report.status.isOk()) return {failureOf(report), {}};
        if (report.lastPosition >= reader.nextPosition()) return {status, {}};
    }
    return {{}, [found](napi_env env) {
                napi_value result;
                check(env, napi_create_object(env, &result));
                setProperty(env, result, "next", makeBigint(env, found->next));
                setProperty(env, result, "commands",
                            makeBytes(env, found->commands.data(),
                                      found->commands.size() * sizeof(Command)));
                const auto numbers = [env](const std::vector<uint64_t>& values) {
                    napi_value bytes = makeBytes(env, values.data(), values.size() * 8);
                    napi_value buffer;
                    check(env, napi_get_typedarray_info(env, bytes, nullptr, nullptr, nullptr,
                                                        &buffer, nullptr));
                    napi_value array;
                    check(env, napi_create_typedarray(env, napi_biguint64_array, values.size(),
                                                      buffer, 0, &array));
                    return array;
                };
                setProperty(env, result, "positions", numbers(found->positions));
                setProperty(env, result, "epochs", numbers(found->epochs));
                return result;
            }};
}

// The limits that the directory was created with; the asked ones must be the same or absent.
node::Failure limitsFor(journal::Storage& storage, const std::string& data, CoreLimits& limits) {
    if (node::Failure none = requireJournal(storage, data); !none.isOk()) return none;
    Result<std::optional<node::DirectoryFacts>> facts = node::readFacts(storage, data);
    if (!facts.isOk()) return facts.status();
    if (!facts.value().has_value()) {
        // A member's directory.
        Result<std::optional<CoreLimits>> members = node::memberLimits(storage, data);
        if (!members.isOk()) return members.status();
        if (members.value().has_value()) facts = std::optional(node::DirectoryFacts{*members.value(), {}});
    }
    return node::settleLimits(facts.value(), limits);
}

WorkOutcome rebuild(const std::string& data, CoreLimits limits, Position upTo, bool both) {
    journal::PosixStorage storage;
    if (node::Failure wrong = limitsFor(storage, data, limits); !wrong.isOk()) return {wrong, {}};
    // Both: from as far back as the folder reaches, which is not the first command where the journal was pruned.
    node::RecoveredState journal =
        node::recoverState(storage, nullptr, data, limits, upTo,
                           both ? node::StateSource::Oldest : node::StateSource::Genesis);
    if (!journal.failure.isOk()) return {journal.failure, {}};
    const std::string hash = journal.core->hash().hex();
    const Position position = journal.core->position();
    journal.core.reset();  // room for the second one
    JsonObject json;
    json.number("position", position).text("stateHash", hash);
    std::vector<std::string> refused;
    if (both) {
        node::RecoveredState snapshot = node::recoverState(storage, nullptr, data, limits, upTo,
                                                           node::StateSource::Newest);
        if (!snapshot.failure.isOk()) return {snapshot.failure, {}};
        const std::string other = snapshot.core->hash().hex();
        if (other != hash || snapshot.core->position() != position) {
            return {node::Failure(node::kCodeSourcesDisagree,
                                  "at position " + std::to_string(position) + " the journal " +
                                      (journal.snapshotPosition == 0
                                           ? "alone gives "
                                           : "behind the snapshot at " +
                                                 std::to_string(journal.snapshotPosition) +
                                                 " gives ") +
                                      hash + ", the snapshot at " +
                                      std::to_string(snapshot.snapshotPosition) +
                                      " and the journal behind it give " + other),
                    {}};
        }
        json.number("snapshotPosition", snapshot.snapshotPosition);
        for (const std::string& one : journal.refusedSnapshots) {
            if (std::ranges::find(snapshot.refusedSnapshots, one) ==
                snapshot.refusedSnapshots.end()) {
                refused.push_back(jsonString(one));
            }
        }
        for (const std::string& one : snapshot.refusedSnapshots) refused.push_back(jsonString(one));
    } else {
        json.number("snapshotPosition", 0);
    }
    json.number("oldestPosition", journal.snapshotPosition)
        .number("replayed", journal.replayed)
        .number("elapsedMs", journal.elapsedNs / 1'000'000)
        .number("commandsPerSecond",
                journal.elapsedNs == 0 ? 0 : journal.replayed * 1'000'000'000 / journal.elapsedNs)
        .number("tornBytes", journal.journal.tornBytes)
        .raw("refusedSnapshots", listed(refused));
    return textOutcome(json.done());
}

struct SourceWords {
    std::vector<std::string> from;  // "dir:PATH" or "member:HOST:PORT"
    node::MemberSourceOptions member;
    node::SourceRecoveryOptions recovery;
};

node::OpenedSource openSource(journal::Storage& storage, const std::string& from,
                              node::MemberSourceOptions member, const std::string& scratch) {
    static constexpr std::string_view kMember = "member:";
    static constexpr std::string_view kDirectory = "dir:";
    if (from.starts_with(kDirectory)) {
        return node::openDirectorySource(storage, from.substr(kDirectory.size()));
    }
    Result<transport::Address> address =
        transport::Address::parse(std::string_view(from).substr(kMember.size()));
    if (!address.isOk()) return {address.status(), nullptr};
    member.scratch = scratch;
    return node::openMemberSource(storage, address.value(), member);
}

WorkOutcome rebuildFrom(const SourceWords& words) {
    journal::PosixStorage storage;
    const auto started = std::chrono::steady_clock::now();
    std::vector<std::unique_ptr<node::LogSource>> opened;
    std::vector<node::LogSource*> sources;
    std::vector<std::string> texts;
    for (const std::string& from : words.from) {
        // Of each its own, within what is made: on the disk that has the room.
        const std::string scratch = journal::joinPath(
            words.recovery.data, "fetched-" + std::to_string(opened.size() + 1) + ".recovering");
        node::OpenedSource source = openSource(storage, from, words.member, scratch);
        if (!source.failure.isOk()) return {source.failure, {}};
        texts.push_back(JsonObject()
                            .text("from", source.source->name())
                            .number("firstPosition", source.source->first())
                            .number("lastPosition", source.source->last())
                            .number("tornBytes", source.source->tornBytes())
                            .done());
        sources.push_back(source.source.get());
        opened.push_back(std::move(source.source));
    }
    const node::SourceRecovery recovered =
        node::recoverFromSources(storage, sources, words.recovery);
    if (!recovered.failure.isOk()) return {recovered.failure, {}};
    const auto elapsed = static_cast<uint64_t>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() -
                                                             started)
            .count());
    const Position replayed = recovered.position - recovered.snapshotPosition;
    std::vector<std::string> refused;
    for (const std::string& one : recovered.refusedSnapshots) refused.push_back(jsonString(one));
    JsonObject json;
    json.number("position", recovered.position)
        .text("stateHash", recovered.stateHash.hex())
        .number("snapshotPosition", recovered.snapshotPosition)
        .number("replayed", replayed)
        .number("compared", recovered.compared)
        .number("comparedStates", recovered.comparedStates)
        .number("elapsedMs", elapsed / 1'000'000)
        .number("commandsPerSecond", elapsed == 0 ? 0 : replayed * 1'000'000'000 / elapsed)
        .raw("sources", listed(texts))
        .raw("refusedSnapshots", listed(refused));
    return textOutcome(json.done());
}

WorkOutcome explain(const std::string& data, CoreLimits limits, Position upTo) {
    journal::PosixStorage storage;
    if (node::Failure wrong = limitsFor(storage, data, limits); !wrong.isOk()) return {wrong, {}};
    const node::RecoveredState state = node::recoverState(storage, nullptr, data, limits, upTo,
                                                          node::StateSource::Newest);
    if (!state.failure.isOk()) return {state.failure, {}};
    std::string out;
    state.core->explain(out);
    return textOutcome(std::move(out));
}

Position upToOf(const Arguments& arguments, size_t index) {
    const uint64_t upTo = arguments.bigint(index, "upTo");
    return upTo == 0 ? UINT64_MAX : upTo;
}

napi_value journalVerify(const Arguments& arguments) {
    const std::string data = arguments.text(0, "dir", kPathBytesMax);
    return runWork(arguments.env(), "verbex.verify", [data] { return verify(data); });
}

napi_value journalRead(const Arguments& arguments) {
    const std::string data = arguments.text(0, "dir", kPathBytesMax);
    const uint64_t from = arguments.bigint(1, "from");
    if (from == 0) throwArgument("from must be a position: 1 or more");
    const uint64_t most = arguments.number(2, "maxCommands", 1, kReadCommandsMax);
    const Position upTo = arguments.isNullish(3) ? UINT64_MAX : upToOf(arguments, 3);
    return runWork(arguments.env(), "verbex.read",
                   [data, from, most, upTo] { return read(data, from, most, upTo); });
}

napi_value recover(const Arguments& arguments) {
    const std::string data = arguments.text(0, "dir", kPathBytesMax);
    const CoreLimits limits = limitsOf(arguments, arguments.object(1, "limits"));
    const Position upTo = upToOf(arguments, 2);
    const std::string source = arguments.text(3, "source", 16);
    if (source != "both" && source != "journal") throwArgument("source must be both or journal");
    return runWork(arguments.env(), "verbex.recover", [data, limits, upTo, source] {
        return rebuild(data, limits, upTo, source == "both");
    });
}

napi_value recoverFrom(const Arguments& arguments) {
    SourceWords words;
    const napi_value asked = arguments.object(0, "sources");
    for (const char* name : {"first", "second"}) {
        std::string from = arguments.textOf(asked, name, kPathBytesMax, "");
        if (from.empty()) continue;
        if (!from.starts_with("dir:") && !from.starts_with("member:")) {
            throwArgument(std::string(name) + " must begin with dir: or member:");
        }
        words.from.push_back(std::move(from));
    }
    if (words.from.empty()) throwArgument("there is no source");
    words.member.cluster = arguments.textOf(asked, "cluster", 32, "verbex");
    words.member.key = keyIn(arguments.textOf(asked, "key", 1024, ""));
    words.recovery.data = arguments.text(1, "dir", kPathBytesMax);
    words.recovery.limits = limitsOf(arguments, arguments.object(2, "limits"));
    words.recovery.upTo = upToOf(arguments, 3);
    return runWork(arguments.env(), "verbex.recoverFrom", [words] { return rebuildFrom(words); });
}

napi_value explainAt(const Arguments& arguments) {
    const std::string data = arguments.text(0, "dir", kPathBytesMax);
    const CoreLimits limits = limitsOf(arguments, arguments.object(1, "limits"));
    const Position upTo = upToOf(arguments, 2);
    return runWork(arguments.env(), "verbex.explain",
                   [data, limits, upTo] { return explain(data, limits, upTo); });
}

}  // namespace

void defineJournalFunctions(napi_env env, napi_value exports) {
    defineFunction(env, exports, "journalVerify", entry<journalVerify>);
    defineFunction(env, exports, "journalRead", entry<journalRead>);
    defineFunction(env, exports, "recover", entry<recover>);
    defineFunction(env, exports, "recoverFrom", entry<recoverFrom>);
    defineFunction(env, exports, "explainAt", entry<explainAt>);
}

}  // namespace verbex::addon
