// The machine itself: whether the device that the environment names is there and ready. When this fails, look at
// docker/soft-roce; when only other verbs tests fail, at the transport.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <string>
#include <sys/resource.h>

namespace {

namespace fs = std::filesystem;

std::string environment(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
}

/// The first line of a file, empty where there is none.
std::string lineOf(const fs::path& path) {
    std::ifstream file(path);
    std::string line;
    std::getline(file, line);
    return line;
}

class VerbsMachine : public ::testing::Test {
protected:
    void SetUp() override {
        const bool required = environment("VERBEX_REQUIRE_VERBS") == "1";
        const std::string device = environment("VERBEX_RDMA_DEVICE");
        if (!required && device.empty()) {
            GTEST_SKIP() << "VERBEX_RDMA_DEVICE names no device; docker/soft-roce/run has one";
        }
        ASSERT_FALSE(device.empty()) << "VERBEX_REQUIRE_VERBS=1, and VERBEX_RDMA_DEVICE is not set";
        port_ = fs::path("/sys/class/infiniband") / device / "ports/1";
        ASSERT_TRUE(fs::is_directory(port_)) << port_ << " is not there";
    }

    fs::path port_;
};

TEST_F(VerbsMachine, HasADeviceWithAnActivePort) {
    EXPECT_EQ(lineOf(port_ / "state"), "4: ACTIVE");
}

TEST_F(VerbsMachine, HasTheNamedGid) {
    const std::string index = environment("VERBEX_RDMA_GID_INDEX");
    if (index.empty()) GTEST_SKIP() << "a device that was there before: no GID is named";
    const std::string gid = lineOf(port_ / "gids" / index);
    EXPECT_EQ(gid.size(), std::string("0000:0000:0000:0000:0000:ffff:c612:4d01").size());
    EXPECT_NE(gid, "0000:0000:0000:0000:0000:0000:0000:0000");
    EXPECT_EQ(lineOf(port_ / "gid_attrs/types" / index), "RoCE v2");
}

TEST_F(VerbsMachine, MayLockMemory) {
    constexpr rlim_t leastBytes = 8 << 20;
    rlimit limit{};
    ASSERT_EQ(getrlimit(RLIMIT_MEMLOCK, &limit), 0);
    EXPECT_GE(limit.rlim_cur, leastBytes) << "ulimit -l unlimited";
}

}  // namespace
