#include "replication/configuration.h"

#include <algorithm>
#include <charconv>

namespace verbex::replication {

namespace {

constexpr std::string_view kTitle = "verbex-cluster ";
constexpr std::string_view kTextVersion = "1";
constexpr size_t kQuotedMax = 40;
constexpr size_t kHexDigits = 16;

std::string nameOf(MemberId id) { return id == 0 ? "none" : std::to_string(id); }

std::string quoted(std::string_view text) {
    std::string out = "\"";
    for (const char each : text.substr(0, kQuotedMax)) out += each < ' ' || each > '~' ? '?' : each;
    if (text.size() > kQuotedMax) out += "…";
    return out + "\"";
}

// Reads lines of words. The first thing that is wrong stays; after it everything reads as nothing.
class Lines {
public:
    explicit Lines(std::string_view text) : rest_(text) {}

    // The line begins with this word: it is taken up, and its words are read next.
    bool take(std::string_view word) {
        if (!failure_.isOk()) return false;
        const size_t end = rest_.find('\n');
        const std::string_view next = rest_.substr(0, end);
        if (end == std::string_view::npos || next.substr(0, next.find(' ')) != word) return false;
        line_ = next.size() == word.size() ? std::string_view() : next.substr(word.size() + 1);
        ended_ = next.size() == word.size();
        rest_.remove_prefix(end + 1);
        ++number_;
        return true;
    }
    void demand(std::string_view word) {
        if (take(word) || !failure_.isOk()) return;
        ++number_;
        const size_t end = rest_.find('\n');
        fail(quoted(word) + " is expected, not " + quoted(rest_.substr(0, end)) +
             (end == std::string_view::npos ? ", the end of the text" : ""));
    }
    std::string_view word() {
        if (!failure_.isOk()) return {};
        if (ended_) {
            fail("the line ends too early");
            return {};
        }
        const size_t space = line_.find(' ');
        const std::string_view found = line_.substr(0, space);
        ended_ = space == std::string_view::npos;
        line_ = ended_ ? std::string_view() : line_.substr(space + 1);
        return found;
    }
    void keyword(std::string_view expected) {
        const std::string_view found = word();
        if (failure_.isOk() && found != expected) {
            fail(quoted(expected) + " is expected, not " + quoted(found));
        }
    }
    uint64_t number() {
        const std::string_view found = word();
        uint64_t value = 0;
        const char* const end = found.data() + found.size();
        const auto [stop, error] = std::from_chars(found.data(), end, value);
        // One spelling for each number, so that one record has one text.
        if (failure_.isOk() && (error != std::errc() || stop != end || std::to_string(value) != found)) {
            fail("a number is expected, not " + quoted(found));
        }
        return value;
    }
    MemberId member(bool orNone, MemberId highest = kMembersMax) {
        if (orNone && failure_.isOk() && line_.substr(0, line_.find(' ')) == "none") {
            (void)word();
            return 0;
        }
        const uint64_t id = number();
        if (failure_.isOk() && (id == 0 || id > highest)) {
            fail("a member from 1 to " + std::to_string(highest) + " is expected, not " +
                 std::to_string(id));
        }
        return static_cast<MemberId>(id);
    }
    Digest128 digest() {
        const std::string_view found = word();
        Digest128 value;
        if (!failure_.isOk()) return value;
        if (found.size() == 2 * kHexDigits) {
            const char* const half = found.data() + kHexDigits;
            const auto low = std::from_chars(found.data(), half, value.lo, 16);
            const auto high = std::from_chars(half, half + kHexDigits, value.hi, 16);
            if (low.ptr == half && high.ptr == half + kHexDigits && value.hex() == found) return value;
        }
        fail("a hash of 32 hexadecimal digits is expected, not " + quoted(found));
        return {};
    }
    void endLine() {
        if (failure_.isOk() && !ended_) fail("nothing is expected behind it, not " + quoted(line_));
    }
    void endText() {
        if (!failure_.isOk() || rest_.empty()) return;
        ++number_;
        fail("the text should end here, not go on with " + quoted(rest_.substr(0, rest_.find('\n'))));
    }
    void fail(const std::string& what, StatusCode code = StatusCode::InvalidArgument) {
        if (!failure_.isOk()) return;
        failure_ = Status(code, "the cluster's record, line " + std::to_string(number_) + ": " + what);
    }
    [[nodiscard]] const Status& failure() const { return failure_; }

private:
    std::string_view rest_;
    std::string_view line_;
    bool ended_ = true;  // the line has no further word
    uint64_t number_ = 0;
    Status failure_;
};

}  // namespace

const char* nameOf(Site site) {
    switch (site) {
        case Site::Active: return "active";
        case Site::Standby: return "standby";
        case Site::Fenced: return "fenced";
    }
    return "active";
}

const SyncMember* Configuration::member(MemberId id) const {
    const auto found = std::ranges::find(sync, id, &SyncMember::id);
    return found == sync.end() ? nullptr : &*found;
}

bool Configuration::holds(MemberId id, Incarnation incarnation) const {
    const SyncMember* found = member(id);
    return found != nullptr && found->incarnation == incarnation;
}

const Evicted* Configuration::evictedMember(MemberId id) const {
    const auto found = std::ranges::find(evicted, id, &Evicted::id);
    return found == evicted.end() ? nullptr : &*found;
}

std::string Configuration::text() const {
    std::string out = std::string(kTitle) + std::string(kTextVersion) + "\n";
    out += "epoch " + std::to_string(epoch) + "\n";
    out += "leader " + nameOf(leader) + "\n";
    for (const SyncMember& each : sync) {
        out += "sync " + std::to_string(each.id) + " incarnation " +
               std::to_string(each.incarnation) + "\n";
    }
    if (reservedEpoch != 0) {
        out += "reserved " + std::to_string(reservedEpoch) + " candidate " + nameOf(candidate) + "\n";
    }
    for (const Evicted& each : evicted) {
        out += "evicted " + std::to_string(each.id) + " position " + std::to_string(each.position) +
               " expected " + each.expected.hex() + " found " + each.found.hex() + "\n";
    }
    out += "data-loss-epochs " + std::to_string(dataLossEpochs) + "\n";
    out += std::string("site ") + nameOf(site) + "\n";
    out += "writer " + nameOf(writer) + " nonce " + std::to_string(writerNonce) + "\n";
    return out;
}

Result<Configuration> Configuration::parse(std::string_view text) {
    Configuration record;
    Lines lines(text);
    lines.demand(kTitle.substr(0, kTitle.size() - 1));
    if (const std::string_view version = lines.word(); version != kTextVersion) {
        lines.fail("version " + quoted(version) + "; this program reads version " +
                       std::string(kTextVersion),
                   StatusCode::UnsupportedFormat);
    }
    lines.endLine();
    lines.demand("epoch");
    record.epoch = lines.number();
    lines.endLine();
    lines.demand("leader");
    record.leader = lines.member(true);
    lines.endLine();
    while (lines.take("sync")) {
        SyncMember each;
        each.id = lines.member(false);
        lines.keyword("incarnation");
        each.incarnation = lines.number();
        lines.endLine();
        if (!record.sync.empty() && record.sync.back().id >= each.id) {
            lines.fail("the sync set must be sorted by member, each of them once");
        }
        record.sync.push_back(each);
    }
    if (lines.take("reserved")) {
        record.reservedEpoch = lines.number();
        lines.keyword("candidate");
        record.candidate = lines.member(true);
        lines.endLine();
        if (record.reservedEpoch <= record.epoch) {
            lines.fail("the reserved epoch must be above epoch " + std::to_string(record.epoch));
        }
    }
    while (lines.take("evicted")) {
        Evicted each;
        each.id = lines.member(false);
        lines.keyword("position");
        each.position = lines.number();
        lines.keyword("expected");
        each.expected = lines.digest();
        lines.keyword("found");
        each.found = lines.digest();
        lines.endLine();
        if (record.evictedMember(each.id) != nullptr || record.member(each.id) != nullptr) {
            lines.fail("member " + std::to_string(each.id) +
                       " is in the sync set, or evicted already");
        }
        record.evicted.push_back(each);
    }
    lines.demand("data-loss-epochs");
    record.dataLossEpochs = lines.number();
    lines.endLine();
    lines.demand("site");
    const std::string_view site = lines.word();
    record.site = Site::Active;
    if (site == nameOf(Site::Standby)) record.site = Site::Standby;
    if (site == nameOf(Site::Fenced)) record.site = Site::Fenced;
    if (site != nameOf(record.site)) {
        lines.fail("active, standby or fenced is expected, not " + quoted(site));
    }
    lines.endLine();
    lines.demand("writer");
    record.writer = lines.member(true, UINT32_MAX);
    lines.keyword("nonce");
    record.writerNonce = lines.number();
    lines.endLine();
    lines.endText();
    if (!lines.failure().isOk()) return lines.failure();
    return record;
}

}  // namespace verbex::replication
