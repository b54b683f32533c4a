#include "bus/counter_file.h"

#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <map>
#include <sys/stat.h>
#include <unistd.h>

#include "bus_fixture.h"

namespace verbex::bus {
namespace {

// As another process reads it.
struct Reading {
    CounterFileHeader header{};
    std::map<std::string, std::pair<uint64_t, CounterKind>> records;

    explicit Reading(const std::string& path) {
        std::ifstream file(path, std::ios::binary);
        file.read(reinterpret_cast<char*>(&header), sizeof header);
        for (uint32_t i = 0; i < header.records; ++i) {
            CounterRecord record;
            file.read(reinterpret_cast<char*>(&record), sizeof record);
            records[record.label] = {record.value, static_cast<CounterKind>(record.kind)};
        }
        EXPECT_TRUE(file.good());
    }
};

TEST(CounterFileTest, ShowsBusNetworkAndEveryLink) {
    World world;
    World::Node& here = world.add("here");
    World::Node& there = world.add("far/away");
    const Address address = here.bus->listen({"127.0.0.1", 0}).value();
    there.bus->connect(address);
    Publication* publication = here.bus->publish({.stream = "s", .retain = true}).value();
    world.runFor(100 * kMillisecond);

    auto made = CounterFile::open({.name = "here", .startedMs = 1234});
    ASSERT_TRUE(made.isOk()) << made.status().toString();
    std::unique_ptr<CounterFile> file = made.take();
    EXPECT_EQ(file->path(), "/dev/shm/verbex-" + std::to_string(getpid()) + ".counters");
    struct stat status {};
    ASSERT_EQ(stat(file->path().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u);
    EXPECT_EQ(status.st_size, 128 + 128 * 1024);

    publication->offer({});
    file->update(*here.bus, here.memory.counters(), world.now);
    const Reading first(file->path());
    EXPECT_EQ(std::string(first.header.magic.data(), 4), "VXCT");
    EXPECT_EQ(first.header.version, 1u);
    EXPECT_EQ(first.header.pid, static_cast<uint32_t>(getpid()));
    EXPECT_EQ(first.header.processStart, processStart(static_cast<uint32_t>(getpid())));
    EXPECT_NE(first.header.processStart, 0u);
    EXPECT_EQ(first.header.startedMs, 1234u);
    EXPECT_EQ(first.header.generation, 2u);
    EXPECT_EQ(first.header.updatedNs, world.now);
    EXPECT_STREQ(first.header.name, "here");
    EXPECT_EQ(first.records.size(), 24u + 17u);
    EXPECT_EQ(first.records.at("bus/published").first, 1u);
    EXPECT_EQ(first.records.at("bus/published").second, CounterKind::Counter);
    EXPECT_EQ(first.records.at("network/links").first, 1u);
    EXPECT_EQ(first.records.at("network/links").second, CounterKind::Gauge);
    EXPECT_GT(first.records.at("link/1/memory/framesReceived/far/away").first, 3u);
    EXPECT_GT(first.records.at("link/1/memory/roundTripNs/far/away").first, 0u);

    // Not before its time, and the link goes with its peer.
    publication->offer({});
    file->update(*here.bus, here.memory.counters(), world.now + kMillisecond);
    EXPECT_EQ(Reading(file->path()).records.at("bus/published").first, 1u);
    here.faulty.cutAll();
    world.round();
    file->update(*here.bus, here.memory.counters(), world.now + 100 * kMillisecond);
    const Reading last(file->path());
    EXPECT_EQ(last.records.at("bus/published").first, 2u);
    EXPECT_EQ(last.records.size(), 24u);
    EXPECT_EQ(last.header.generation, 4u);

    const std::string path = file->path();
    file.reset();
    EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(CounterFileTest, WhatHasNoRoomIsCounted) {
    World world;
    World::Node& here = world.add("here");
    const std::string path = testing::TempDir() + "verbex-small.counters";
    auto file = CounterFile::open({.path = path, .capacity = 5});
    ASSERT_TRUE(file.isOk());
    file.value()->update(*here.bus, here.memory.counters(), world.now);
    const Reading reading(path);
    EXPECT_EQ(reading.header.records, 5u);
    EXPECT_EQ(reading.header.leftOut, 19u);
}

TEST(CounterFileTest, WhatLiesInTheWayIsReplacedAndAPlaceThatIsNotThereIsSaid) {
    const std::string path = testing::TempDir() + "verbex-way.counters";
    const std::string precious = testing::TempDir() + "verbex-precious";
    std::ofstream(precious) << "precious";
    std::filesystem::remove(path);
    std::filesystem::create_symlink(precious, path);
    ASSERT_TRUE(CounterFile::open({.path = path}).isOk());
    EXPECT_EQ(std::filesystem::file_size(precious), 8u);
    std::filesystem::remove(precious);

    auto nowhere = CounterFile::open({.path = "/dev/shm/no/such/place"});
    ASSERT_FALSE(nowhere.isOk());
    EXPECT_EQ(nowhere.status().code(), StatusCode::IoError);
    EXPECT_NE(nowhere.status().message().find("/dev/shm/no/such/place"), std::string::npos);
    EXPECT_EQ(processStart(0x7fffffff), 0u);
}

}  // namespace
}  // namespace verbex::bus
