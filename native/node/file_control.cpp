#include "node/file_control.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>

namespace verbex::node {

using replication::ControlAnswer;
using replication::ControlRecord;

namespace {

constexpr std::string_view kPrefix = "configuration.";
constexpr size_t kRecordBytesMax = 64u << 10;

Status failedTo(const std::string& what) {
    return Status(StatusCode::IoError, what + ": " + std::strerror(errno));
}

bool revisionOf(std::string_view name, uint64_t& revision) {
    if (!name.starts_with(kPrefix)) return false;
    name.remove_prefix(kPrefix.size());
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), revision);
    return error == std::errc() && end == name.data() + name.size() && revision != 0;
}

std::string pathOf(const std::string& directory, uint64_t revision) {
    return directory + "/" + std::string(kPrefix) + std::to_string(revision);
}

class OpenFile {
public:
    OpenFile(const std::string& path, int flags) : number_(::open(path.c_str(), flags, 0644)) {}
    ~OpenFile() {
        if (number_ >= 0) ::close(number_);
    }
    OpenFile(const OpenFile&) = delete;
    OpenFile& operator=(const OpenFile&) = delete;
    [[nodiscard]] int number() const { return number_; }

private:
    const int number_;
};

Status syncDirectory(const std::string& directory) {
    const OpenFile opened(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (opened.number() < 0 || ::fsync(opened.number()) != 0) return failedTo("syncing " + directory);
    return {};
}

}  // namespace

Status FileControl::findHighest() {
    std::error_code error;
    if (highest_ == 0) {
        for (const auto& entry : std::filesystem::directory_iterator(directory_, error)) {
            uint64_t revision = 0;
            if (revisionOf(entry.path().filename().string(), revision)) {
                highest_ = std::max(highest_, revision);
            }
        }
        if (error) return Status(StatusCode::IoError, directory_ + ": " + error.message());
    }
    const uint64_t known = synced_;
    while (std::filesystem::exists(pathOf(directory_, highest_ + 1), error)) highest_++;
    if (error) return Status(StatusCode::IoError, directory_ + ": " + error.message());
    // Whoever wrote it may not have come to this: nobody acts on a record that a power cut takes away.
    if (highest_ != known) VERBEX_RETURN_IF_FAILED(syncDirectory(directory_));
    synced_ = highest_;
    return {};
}

Status FileControl::newest(ControlRecord& record) {
    VERBEX_RETURN_IF_FAILED(findHighest());
    record = {};
    if (highest_ == 0) return {};
    const std::string path = pathOf(directory_, highest_);
    const OpenFile file(path, O_RDONLY | O_CLOEXEC);
    if (file.number() < 0) return failedTo("opening " + path);
    std::string text(kRecordBytesMax, '\0');
    const ssize_t bytes = ::pread(file.number(), text.data(), text.size(), 0);
    if (bytes < 0) return failedTo("reading " + path);
    text.resize(static_cast<size_t>(bytes));
    record = {highest_, std::move(text)};
    return {};
}

Status FileControl::place(uint64_t revision, const std::string& text, bool& taken) {
    std::error_code error;
    std::filesystem::create_directories(directory_, error);
    const std::string temporary = directory_ + "/temporary." + std::to_string(::getpid()) + "." +
                                  std::to_string(reinterpret_cast<uintptr_t>(this)) + "." +
                                  std::to_string(++temporaries_);
    {
        const OpenFile file(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC);
        if (file.number() < 0) return failedTo("making " + temporary);
        const ssize_t bytes = ::pwrite(file.number(), text.data(), text.size(), 0);
        if (bytes != static_cast<ssize_t>(text.size()) || ::fsync(file.number()) != 0) {
            const Status failed = failedTo("writing " + temporary);
            ::unlink(temporary.c_str());
            return failed;
        }
    }
    const std::string path = pathOf(directory_, revision);
    const bool linked = ::link(temporary.c_str(), path.c_str()) == 0;
    const int why = errno;
    ::unlink(temporary.c_str());
    taken = !linked && why == EEXIST;
    if (taken) return {};
    errno = why;
    if (!linked) return failedTo("naming " + path);
    return syncDirectory(directory_);
}

void FileControl::read(uint64_t request) {
    ControlAnswer answer;
    answer.request = request;
    std::error_code error;
    std::filesystem::create_directories(directory_, error);
    if (newest(answer.record).isOk()) answer.kind = ControlAnswer::Kind::Read;
    answers_.push_back(std::move(answer));
}

void FileControl::compareAndSwap(uint64_t request, uint64_t expected, const std::string& text) {
    ControlAnswer answer;
    answer.request = request;
    ControlRecord now;
    std::error_code error;
    std::filesystem::create_directories(directory_, error);
    bool taken = false;
    if (text.size() > kRecordBytesMax || !newest(now).isOk()) {
        answer.kind = ControlAnswer::Kind::Unknown;
    } else if (now.revision != expected) {
        answer.kind = ControlAnswer::Kind::Conflict;
        answer.record = std::move(now);
    } else if (Status status = place(expected + 1, text, taken); !status.isOk()) {
        // It may be there: the name was given, or is not known to have been.
        answer.kind = ControlAnswer::Kind::Unknown;
    } else if (taken) {
        answer.kind = ControlAnswer::Kind::Conflict;
        if (!newest(answer.record).isOk()) answer.record = {};
    } else {
        answer.kind = ControlAnswer::Kind::Swapped;
        answer.record = {expected + 1, text};
    }
    answers_.push_back(std::move(answer));
}

bool FileControl::poll(ControlAnswer& answer) {
    if (answers_.empty()) return false;
    answer = std::move(answers_.front());
    answers_.pop_front();
    return true;
}

}  // namespace verbex::node
