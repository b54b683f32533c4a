#include "gateway/store_recovery.h"

#include <unistd.h>

#include <cerrno>

#include "gateway/store_state.h"

namespace verbex::gateway::store {

namespace {

// How far whole records reach.
struct Reach {
    RecordId complete = 0;   // behind the last record whose event is complete
    RecordId dayRecord = 0;  // the last one before `complete`
};

class Recovery {
public:
    Recovery(const RecoveryOptions& options, const std::deque<uint32_t>& numbers)
        : options_(options), numbers_(numbers) {}

    Result<RecoveredLog> run() {
        VERBEX_RETURN_IF_FAILED(mapLast());
        while (!log_.segments.empty()) {
            const RecordId begin = log_.segments.back().header().dayRecord;
            Result<bool> mapped = mapFrom(segmentOf(begin));
            if (!mapped.isOk()) return mapped.status();
            if (!mapped.value()) continue;
            Reach reach;
            VERBEX_RETURN_IF_FAILED(scan(begin, reach));
            if (options_.cleanEnd != 0 && reach.complete != options_.cleanEnd) {
                return endsElsewhere(reach.complete);
            }
            if (reach.dayRecord != 0) {
                VERBEX_RETURN_IF_FAILED(cutAt(reach.complete));
                log_.dayRecord = reach.dayRecord;
                break;
            }
            // Even the day's beginning is lost: the day before goes on, where there was one.
            const bool earlier = log_.segments.front().header().dayRecord < begin;
            VERBEX_RETURN_IF_FAILED(cutAt(earlier ? begin : recordId(segmentOf(begin), 0)));
        }
        if (options_.cleanEnd != 0 && log_.segments.empty()) return endsElsewhere(0);
        return std::move(log_);
    }

private:
    [[nodiscard]] Status endsElsewhere(RecordId end) const {
        return Status(StatusCode::JournalDamaged,
                      options_.directory + "/" + segmentName(segmentOf(options_.cleanEnd)) +
                          ": the log was closed at offset " +
                          std::to_string(offsetOf(options_.cleanEnd)) + ", but ends in segment " +
                          std::to_string(segmentOf(end)) + " at offset " +
                          std::to_string(offsetOf(end)));
    }

    // The last segment whose header is there.
    Status mapLast() {
        while (!numbers_.empty()) {
            Result<Segment> segment = Segment::map(options_.directory, numbers_.back());
            if (segment.isOk()) {
                log_.segments.push_back(segment.take());
                return {};
            }
            const StatusCode code = segment.status().code();
            const bool begun = code != StatusCode::NotFound;
            if (begun && !(code == StatusCode::JournalDamaged && options_.machineStopped)) {
                return segment.status();
            }
            VERBEX_RETURN_IF_FAILED(drop());
        }
        return {};
    }

    // All from segment `from` on, in which the day begins. False: one of them is lost, since the machine
    // stopped, and now the log ends before it.
    Result<bool> mapFrom(uint32_t from) {
        for (uint32_t number = log_.segments.front().header().number; number > from; --number) {
            const size_t index = numbers_.size() - log_.segments.size();
            const bool there = index > 0 && numbers_[index - 1] == number - 1;
            Result<Segment> segment = there ? Segment::map(options_.directory, number - 1)
                                            : Result<Segment>(missing(number - 1));
            if (segment.isOk()) {
                segment.value().finish();
                log_.segments.push_front(segment.take());
                continue;
            }
            const StatusCode code = segment.status().code();
            const bool lost = code == StatusCode::NotFound || code == StatusCode::JournalDamaged;
            if (!lost) return segment.status();
            if (!options_.machineStopped) {
                return Status(StatusCode::JournalDamaged,
                              segment.status().message() + ", and there are segments behind it");
            }
            while (!log_.segments.empty()) VERBEX_RETURN_IF_FAILED(drop());
            VERBEX_RETURN_IF_FAILED(mapLast());
            return false;
        }
        return true;
    }

    [[nodiscard]] Status missing(uint32_t number) const {
        return Status(StatusCode::NotFound, options_.directory + "/" + segmentName(number) +
                                                ", offset 0: the segment is missing");
    }

    Status scan(RecordId begin, Reach& reach) {
        reach.complete = begin;
        bool open = false;
        bool holds = false;  // an event that is whole, as far as is known
        EventPlace held;
        uint64_t offset = offsetOf(begin);
        for (size_t i = 0; i < log_.segments.size(); ++i) {
            const Segment& segment = log_.segments[i];
            const uint32_t number = segment.header().number;
            while (isRecordAt(segment, offset)) {
                const RecordHeader* record = segment.record(offset);
                const auto kind = static_cast<RecordKind>(record->kind);
                const RecordId place = recordId(number, offset);
                offset += paddedBytes(record->length);
                const EventPlace cause{record->position, record->index};
                const bool ofEvent = kind == RecordKind::Out && cause.index != kOwnIndex;
                if (holds && (!ofEvent || cause != held)) {
                    reach.complete = place;
                    holds = false;
                }
                if (kind == RecordKind::Day) reach.dayRecord = place;
                if (kind == RecordKind::Out) open = (record->flags & kRecordLast) == 0;
                if (open) {
                    holds = false;
                } else if (ofEvent && options_.eventsShared && options_.cleanEnd == 0) {
                    holds = true;
                    held = cause;
                } else {
                    reach.complete = recordId(number, offset);
                }
            }
            const bool last = i + 1 == log_.segments.size();
            if (!last && log_.segments[i + 1].header().previousEnd == offset) {
                offset = sizeof(SegmentHeader);
                continue;
            }
            if (options_.machineStopped) return {};
            if (!last || hasRecordBehind(segment, offset)) return damageAt(segment, offset);
        }
        return {};
    }

    static bool isRecordAt(const Segment& segment, uint64_t offset) {
        if (offset >= segment.bytes()) return false;
        return isRecord(segment.record(offset), segment.bytes() - offset,
                        recordId(segment.header().number, offset), segment.header().salt);
    }

    static bool hasRecordBehind(const Segment& segment, uint64_t offset) {
        for (offset += kRecordAlignment; offset + sizeof(RecordHeader) <= segment.dataEnd();
             offset += kRecordAlignment) {
            if (segment.record(offset)->length != 0 && isRecordAt(segment, offset)) return true;
        }
        return false;
    }

    static Status damageAt(const Segment& segment, uint64_t offset) {
        return Status(StatusCode::JournalDamaged, segment.path() + ", offset " +
                                                      std::to_string(offset) +
                                                      ": no whole record lies here");
    }

    // Files behind the end go first, the last one before the others: whatever interrupts this leaves a log
    // without a gap.
    Status cutAt(RecordId end) {
        while (!log_.segments.empty() && log_.segments.back().header().number > segmentOf(end)) {
            VERBEX_RETURN_IF_FAILED(drop());
        }
        if (log_.segments.empty()) return {};
        if (offsetOf(end) < sizeof(SegmentHeader)) return drop();
        log_.end = offsetOf(end);
        // Its file was closed if it was not the last one before.
        const uint32_t number = log_.segments.back().header().number;
        Result<Segment> last = Segment::map(options_.directory, number);
        if (!last.isOk()) return last.status();
        VERBEX_RETURN_IF_FAILED(last.value().cut(log_.end));
        log_.segments.back() = last.take();
        return {};
    }

    Status drop() {
        if (!log_.segments.empty()) log_.segments.pop_back();
        const std::string path = options_.directory + "/" + segmentName(numbers_.back());
        numbers_.pop_back();
        if (::unlink(path.c_str()) != 0) return systemFailure(errno, "unlink", path);
        return syncDirectory(options_.directory);
    }

    const RecoveryOptions& options_;
    std::deque<uint32_t> numbers_;
    RecoveredLog log_;
};

}  // namespace

Result<RecoveredLog> recoverLog(const RecoveryOptions& options,
                                const std::deque<uint32_t>& numbers) {
    return Recovery(options, numbers).run();
}

}  // namespace verbex::gateway::store
