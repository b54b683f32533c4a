#include "sim/disk.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace verbex::sim {

using journal::File;
using journal::FileMode;
using journal::kSectorBytes;

struct SimulatedDisk::Inode {
    Contents current;
    Contents durable;
    std::set<uint64_t> dirty;  // sectors that a sync would keep
    std::set<uint64_t> lost;   // sectors that a failed sync gave up
};

// `to` empty: a removal. `from` empty: a creation.
struct SimulatedDisk::NameChange {
    std::string from;
    std::string to;
    std::shared_ptr<Inode> inode;
};

namespace {

// SplitMix64 (Steele, Lea, Flood): enough to choose what a power cut keeps.
class Choice {
public:
    explicit Choice(uint64_t seed) : state_(seed) {}
    uint64_t next() {
        state_ += 0x9e3779b97f4a7c15;
        uint64_t z = state_;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        return z ^ (z >> 31);
    }
    bool coin() { return (next() & 1) != 0; }

private:
    uint64_t state_;
};

std::string directoryOf(const std::string& path) {
    const size_t slash = path.rfind('/');
    return slash == std::string::npos ? std::string() : path.substr(0, slash);
}

Status stopped() { return Status(StatusCode::IoError, "the simulated machine has stopped"); }

uint64_t sectorsTouched(uint64_t offset, uint64_t size) {
    if (size == 0) return 0;
    return (offset + size - 1) / kSectorBytes - offset / kSectorBytes + 1;
}

}  // namespace

class SimulatedDisk::OpenFile final : public File {
public:
    OpenFile(SimulatedDisk& disk, std::string path, std::shared_ptr<Inode> inode, FileMode mode)
        : disk_(disk), path_(std::move(path)), inode_(std::move(inode)), mode_(mode),
          generation_(disk.generation_) {}

    Status pwrite(uint64_t offset, std::span<const std::byte> bytes) override {
        const std::lock_guard guard(disk_.mutex_);
        if (dead()) return stopped();
        CHECK(mode_ != FileMode::Read);
        if (direct()) checkAligned(offset, bytes.data(), bytes.size());
        return disk_.writeSectors(*inode_, path_, DiskCallKind::Write, offset, bytes.data(),
                                  bytes.size(), durableWrites());
    }

    Result<size_t> pread(uint64_t offset, std::span<std::byte> into) override {
        const std::lock_guard guard(disk_.mutex_);
        if (dead()) return stopped();
        if (direct()) checkAligned(offset, into.data(), into.size());
        if (++disk_.reads_ == disk_.faultRead_) {
            return Status(StatusCode::IoError, "simulated read error on " + path_);
        }
        if (offset >= inode_->current.size()) return size_t{0};
        const size_t size = std::min<uint64_t>(into.size(), inode_->current.size() - offset);
        if (size > 0) std::memcpy(into.data(), inode_->current.data() + offset, size);
        return size;
    }

    Status preallocate(uint64_t bytes) override {
        const std::lock_guard guard(disk_.mutex_);
        if (dead()) return stopped();
        CHECK(mode_ != FileMode::Read);
        const Contents zeros(bytes);
        return disk_.writeSectors(*inode_, path_, DiskCallKind::Preallocate, 0, zeros.data(), bytes,
                                  true);
    }

    Status sync() override {
        const std::lock_guard guard(disk_.mutex_);
        if (dead()) return stopped();
        Status status;
        bool effect = false;
        const Course course = disk_.enter(DiskCallKind::Sync, path_, 0, effect, status);
        if (effect) persist(*inode_);
        if (course == Course::Fail) {
            inode_->lost.insert(inode_->dirty.begin(), inode_->dirty.end());
            inode_->dirty.clear();
        }
        return status;
    }

    Result<uint64_t> size() override {
        const std::lock_guard guard(disk_.mutex_);
        if (dead()) return stopped();
        return uint64_t{inode_->current.size()};
    }

    bool durableWrites() const override { return mode_ == FileMode::Durable; }
    // Durable files demand aligned transfers here, so that tests prove that the writer makes them.
    bool direct() const override { return mode_ == FileMode::Durable; }

private:
    bool dead() const { return disk_.crashed_ || generation_ != disk_.generation_; }
    static void checkAligned(uint64_t offset, const void* memory, uint64_t size) {
        CHECK(offset % journal::kBlockBytes == 0 && size % journal::kBlockBytes == 0);
        CHECK(reinterpret_cast<uintptr_t>(memory) % journal::kBlockBytes == 0);
    }

    SimulatedDisk& disk_;
    const std::string path_;
    const std::shared_ptr<Inode> inode_;
    const FileMode mode_;
    const uint64_t generation_;
};

class SimulatedDisk::HeldLock final : public journal::DirectoryLock {
public:
    HeldLock(SimulatedDisk& disk, std::string directory)
        : disk_(disk), directory_(std::move(directory)), generation_(disk.generation_) {}
    ~HeldLock() override {
        const std::lock_guard guard(disk_.mutex_);
        if (generation_ == disk_.generation_) disk_.locked_.erase(directory_);
    }

private:
    SimulatedDisk& disk_;
    const std::string directory_;
    const uint64_t generation_;
};

SimulatedDisk::SimulatedDisk() = default;
SimulatedDisk::~SimulatedDisk() = default;

SimulatedDisk::Course SimulatedDisk::enter(DiskCallKind kind, const std::string& path,
                                           uint64_t sectors, bool& effect, Status& status) {
    trace_.push_back({kind, path, sectors});
    const uint64_t call = trace_.size();
    if (call == crashCall_) {
        crashed_ = true;
        effect = crashMoment_ == CrashMoment::After;
        status = stopped();
        return Course::Stop;
    }
    if (call == faultCall_) {
        effect = false;
        status = fault_ == DiskFault::NoSpace
                     ? Status(StatusCode::NoSpace, "simulated ENOSPC on " + path)
                     : Status(StatusCode::IoError, "simulated EIO on " + path);
        return Course::Fail;
    }
    effect = true;
    return Course::Proceed;
}

void SimulatedDisk::applySectors(Inode& inode, uint64_t offset, const std::byte* bytes,
                                 uint64_t size, uint64_t firstSector, uint64_t endSector) {
    const uint64_t base = offset / kSectorBytes;
    for (uint64_t i = firstSector; i < endSector; ++i) {
        const uint64_t sector = base + i;
        const uint64_t from = std::max(offset, sector * kSectorBytes);
        const uint64_t to = std::min(offset + size, (sector + 1) * kSectorBytes);
        if (inode.current.size() < to) inode.current.resize(to);
        std::memcpy(inode.current.data() + from, bytes + (from - offset), to - from);
        inode.dirty.insert(sector);
        inode.lost.erase(sector);
    }
}

Status SimulatedDisk::writeSectors(Inode& inode, const std::string& path, DiskCallKind kind,
                                   uint64_t offset, const std::byte* bytes, uint64_t size,
                                   bool durable) {
    const uint64_t sectors = sectorsTouched(offset, size);
    Status status;
    bool effect = false;
    const Course course = enter(kind, path, sectors, effect, status);
    uint64_t first = 0;
    uint64_t end = effect ? sectors : 0;
    if (course == Course::Stop && crashMoment_ == CrashMoment::TornHead) {
        end = std::min(crashSectors_, sectors);
    } else if (course == Course::Stop && crashMoment_ == CrashMoment::TornTail) {
        first = std::min(crashSectors_, sectors);
        end = sectors;
    } else if (course == Course::Fail) {
        end = sectors / 2;
    }
    applySectors(inode, offset, bytes, size, first, end);
    if (effect && durable) {
        // Only this range: a synchronous write says nothing about what others left behind.
        if (inode.durable.size() < inode.current.size()) inode.durable.resize(inode.current.size());
        for (uint64_t i = first; i < end; ++i) {
            const uint64_t sector = offset / kSectorBytes + i;
            const uint64_t from = sector * kSectorBytes;
            const uint64_t to = std::min<uint64_t>(inode.current.size(), from + kSectorBytes);
            std::memcpy(inode.durable.data() + from, inode.current.data() + from, to - from);
            inode.dirty.erase(sector);
        }
    }
    return status;
}

void SimulatedDisk::persist(Inode& inode) {
    inode.durable.resize(inode.current.size());
    for (const uint64_t sector : inode.dirty) {
        const uint64_t from = sector * kSectorBytes;
        if (from >= inode.current.size()) continue;
        const uint64_t to = std::min<uint64_t>(inode.current.size(), from + kSectorBytes);
        std::memcpy(inode.durable.data() + from, inode.current.data() + from, to - from);
    }
    inode.dirty.clear();
}

void SimulatedDisk::applyName(std::map<std::string, std::shared_ptr<Inode>>& names,
                              const NameChange& change) {
    if (!change.from.empty()) names.erase(change.from);
    if (!change.to.empty()) names[change.to] = change.inode;
}

Status SimulatedDisk::changeNames(DiskCallKind kind, NameChange change) {
    Status status;
    bool effect = false;
    (void)enter(kind, change.from.empty() ? change.to : change.from, 0, effect, status);
    if (effect) {
        applyName(names_, change);
        pendingNames_.push_back(std::move(change));
    }
    return status;
}

Result<std::unique_ptr<File>> SimulatedDisk::create(const std::string& path, FileMode mode) {
    const std::lock_guard guard(mutex_);
    if (crashed_) return stopped();
    if (names_.contains(path)) return Status(StatusCode::AlreadyExists, path + " exists");
    auto inode = std::make_shared<Inode>();
    if (Status status = changeNames(DiskCallKind::Create, {"", path, inode}); !status.isOk()) {
        return status;
    }
    return std::unique_ptr<File>(new OpenFile(*this, path, std::move(inode), mode));
}

Result<std::unique_ptr<File>> SimulatedDisk::open(const std::string& path, FileMode mode) {
    const std::lock_guard guard(mutex_);
    if (crashed_) return stopped();
    const auto found = names_.find(path);
    if (found == names_.end()) return Status(StatusCode::NotFound, "no file " + path);
    return std::unique_ptr<File>(new OpenFile(*this, path, found->second, mode));
}

Status SimulatedDisk::rename(const std::string& from, const std::string& to) {
    const std::lock_guard guard(mutex_);
    if (crashed_) return stopped();
    const auto found = names_.find(from);
    if (found == names_.end()) return Status(StatusCode::NotFound, "no file " + from);
    return changeNames(DiskCallKind::Rename, {from, to, found->second});
}

Status SimulatedDisk::remove(const std::string& path) {
    const std::lock_guard guard(mutex_);
    if (crashed_) return stopped();
    if (!names_.contains(path)) return Status(StatusCode::NotFound, "no file " + path);
    return changeNames(DiskCallKind::Remove, {path, "", nullptr});
}

Status SimulatedDisk::createDirectory(const std::string& directory) {
    const std::lock_guard guard(mutex_);
    if (crashed_) return stopped();
    directories_.insert(directory);
    return {};
}

Status SimulatedDisk::syncDirectory(const std::string& directory) {
    const std::lock_guard guard(mutex_);
    if (crashed_) return stopped();
    Status status;
    bool effect = false;
    (void)enter(DiskCallKind::SyncDirectory, directory, 0, effect, status);
    if (!effect) return status;
    std::vector<NameChange> others;
    for (NameChange& change : pendingNames_) {
        const std::string& path = change.to.empty() ? change.from : change.to;
        if (directoryOf(path) == directory) {
            applyName(durableNames_, change);
        } else {
            others.push_back(std::move(change));
        }
    }
    pendingNames_ = std::move(others);
    return status;
}

Result<std::vector<std::string>> SimulatedDisk::list(const std::string& directory) {
    const std::lock_guard guard(mutex_);
    if (crashed_) return stopped();
    std::vector<std::string> found;
    for (const auto& [path, inode] : names_) {
        if (directoryOf(path) == directory) found.push_back(path.substr(directory.size() + 1));
    }
    if (found.empty() && !directories_.contains(directory)) {
        return Status(StatusCode::NotFound, "no directory " + directory);
    }
    return found;
}

Result<std::unique_ptr<journal::DirectoryLock>> SimulatedDisk::lockDirectory(
    const std::string& directory) {
    const std::lock_guard guard(mutex_);
    if (crashed_) return stopped();
    if (!locked_.insert(directory).second) {
        return Status(StatusCode::DataDirectoryInUse,
                      "another process writes to the data directory " + directory);
    }
    return std::unique_ptr<journal::DirectoryLock>(new HeldLock(*this, directory));
}

uint64_t SimulatedDisk::calls() const {
    const std::lock_guard guard(mutex_);
    return trace_.size();
}

uint64_t SimulatedDisk::reads() const {
    const std::lock_guard guard(mutex_);
    return reads_;
}

std::vector<DiskCall> SimulatedDisk::trace() const {
    const std::lock_guard guard(mutex_);
    return trace_;
}

void SimulatedDisk::crashAt(uint64_t call, CrashMoment moment, uint64_t sectors) {
    const std::lock_guard guard(mutex_);
    crashCall_ = call;
    crashMoment_ = moment;
    crashSectors_ = sectors;
}

void SimulatedDisk::failAt(uint64_t call, DiskFault fault) {
    const std::lock_guard guard(mutex_);
    faultCall_ = call;
    fault_ = fault;
}

void SimulatedDisk::failReadAt(uint64_t read) {
    const std::lock_guard guard(mutex_);
    faultRead_ = read;
}

bool SimulatedDisk::crashed() const {
    const std::lock_guard guard(mutex_);
    return crashed_;
}

void SimulatedDisk::restart(RestartMode mode, uint64_t seed) {
    const std::lock_guard guard(mutex_);
    crashed_ = false;
    crashCall_ = faultCall_ = faultRead_ = 0;
    ++generation_;
    locked_.clear();
    if (mode == RestartMode::ProcessCrash) return;

    Choice choice(seed);
    for (const NameChange& change : pendingNames_) {
        // A rename or removal needs the name it starts from; else any subset may have been kept.
        const bool possible = change.from.empty() || durableNames_.contains(change.from);
        if (possible && choice.coin()) applyName(durableNames_, change);
    }
    pendingNames_.clear();
    names_ = durableNames_;
    for (auto& [path, inode] : names_) {
        Contents after = inode->durable;
        if (inode->current.size() > after.size() && choice.coin()) {
            after.resize(inode->current.size());
        }
        for (const uint64_t sector : inode->dirty) {
            if (!choice.coin()) continue;
            const uint64_t from = sector * kSectorBytes;
            const uint64_t to =
                std::min<uint64_t>({from + kSectorBytes, inode->current.size(), after.size()});
            if (from < to) {
                std::memcpy(after.data() + from, inode->current.data() + from, to - from);
            }
        }
        inode->dirty.clear();
        inode->lost.clear();
        inode->durable = after;
        inode->current = std::move(after);
    }
}

SimulatedDisk::Inode& SimulatedDisk::find(const std::string& path) const {
    const auto found = names_.find(path);
    CHECK(found != names_.end());
    return *found->second;
}

void SimulatedDisk::flipBit(const std::string& path, uint64_t bit) {
    const std::lock_guard guard(mutex_);
    Inode& inode = find(path);
    CHECK(bit / 8 < inode.current.size());
    const auto mask = static_cast<std::byte>(1u << (bit % 8));
    inode.current[bit / 8] ^= mask;
    if (bit / 8 < inode.durable.size()) inode.durable[bit / 8] ^= mask;
}

void SimulatedDisk::truncate(const std::string& path, uint64_t bytes) {
    const std::lock_guard guard(mutex_);
    Inode& inode = find(path);
    inode.current.resize(bytes);
    inode.durable = inode.current;
}

SimulatedDisk::Contents SimulatedDisk::contents(const std::string& path) const {
    const std::lock_guard guard(mutex_);
    return find(path).current;
}

void SimulatedDisk::place(const std::string& path, Contents contents) {
    const std::lock_guard guard(mutex_);
    auto inode = std::make_shared<Inode>();
    inode->durable = contents;
    inode->current = std::move(contents);
    names_[path] = inode;
    durableNames_[path] = std::move(inode);
    directories_.insert(directoryOf(path));
}

SimulatedDisk::Image SimulatedDisk::image() const {
    const std::lock_guard guard(mutex_);
    Image image;
    for (const auto& [path, inode] : names_) image[path] = inode->current;
    return image;
}

void SimulatedDisk::load(const Image& image) {
    {
        const std::lock_guard guard(mutex_);
        names_.clear();
        durableNames_.clear();
        pendingNames_.clear();
        locked_.clear();
        ++generation_;
        crashed_ = false;
    }
    for (const auto& [path, contents] : image) place(path, contents);
}

}  // namespace verbex::sim
