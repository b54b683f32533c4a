#include "transport/verbs/verbs_library.h"

#include <gtest/gtest.h>
#include <set>
#include <string>

#include "transport/verbs/verbs_queue.h"

namespace verbex::transport {
namespace {

TEST(VerbsLibrary, EveryObstacleHasItsNameAndSaysWhatToDo) {
    std::set<std::string> names;
    std::set<std::string> sentences;
    for (const VerbsObstacle obstacle :
         {VerbsObstacle::BuiltWithoutHeaders, VerbsObstacle::LibraryMissing,
          VerbsObstacle::NoKernelSupport, VerbsObstacle::NoDevice, VerbsObstacle::NoPermission}) {
        const Status status = verbsObstacleStatus(obstacle, "what the system said");
        EXPECT_FALSE(status.isOk());
        EXPECT_NE(status.message().find("what the system said"), std::string::npos);
        EXPECT_GT(status.message().size(), 60u) << status.message();
        names.emplace(verbsObstacleName(obstacle));
        sentences.insert(status.message());
    }
    EXPECT_EQ(names.size(), 5u);
    EXPECT_EQ(sentences.size(), 5u);
    EXPECT_TRUE(verbsObstacleStatus(VerbsObstacle::None, "").isOk());
}

TEST(VerbsLibrary, ALibraryThatIsNotThereOrIsSomethingElseIsNamed) {
    for (const char* name : {"libverbex-no-such-file.so.1", "libm.so.6"}) {
        const Result<const VerbsLibrary*> library = openVerbsLibrary(name);
        ASSERT_FALSE(library.isOk());
        const VerbsAvailability availability = verbsAvailability(library);
        EXPECT_FALSE(availability.status.isOk());
        EXPECT_TRUE(availability.devices.empty());
        if (!builtWithVerbs()) continue;
        EXPECT_EQ(availability.obstacle, VerbsObstacle::LibraryMissing);
        EXPECT_NE(availability.status.message().find(name), std::string::npos)
            << availability.status.toString();
    }
}

TEST(VerbsLibrary, AvailabilityAnswersAlikeTwiceAndQueuesAgree) {
    const VerbsAvailability first = verbsAvailability();
    const VerbsAvailability second = verbsAvailability();
    EXPECT_EQ(first.obstacle, second.obstacle);
    EXPECT_EQ(first.devices, second.devices);
    EXPECT_EQ(first.status.isOk(), first.obstacle == VerbsObstacle::None);
    EXPECT_EQ(first.devices.empty(), first.obstacle != VerbsObstacle::None);
    if (!builtWithVerbs()) {
        EXPECT_EQ(first.obstacle, VerbsObstacle::BuiltWithoutHeaders);
    }
    const Result<std::vector<VerbsDevice>> devices = describeVerbsDevices();
    if (first.obstacle == VerbsObstacle::None) {
        EXPECT_TRUE(devices.isOk()) << devices.status().toString();
    } else if (first.obstacle != VerbsObstacle::NoPermission) {
        ASSERT_FALSE(devices.isOk());
        EXPECT_EQ(devices.status().message(), first.status.message());
        alignas(4096) static std::byte receive[4096];
        alignas(4096) static std::byte send[4096];
        const auto queue = VerbsQueue::open({}, {receive, sizeof(receive)}, {send, sizeof(send)});
        ASSERT_FALSE(queue.isOk());
        EXPECT_EQ(queue.status().message(), first.status.message());
    }
}

TEST(VerbsLibrary, RegionsAreCheckedBeforeADeviceIsLookedFor) {
    alignas(4096) static std::byte memory[3 * 4096];
    const VerbsRegion good = {memory, 4096};
    const auto code = [](VerbsRegion receive, VerbsRegion send) {
        return VerbsQueue::open({}, receive, send).status().code();
    };
    EXPECT_EQ(code({memory + 64, 4096}, {memory + 8192, 4096}), StatusCode::InvalidArgument);
    EXPECT_EQ(code({nullptr, 4096}, good), StatusCode::InvalidArgument);
    EXPECT_EQ(code(good, {memory + 4096, 0}), StatusCode::InvalidArgument);
    EXPECT_EQ(code(good, {memory + 4096, 100}), StatusCode::InvalidArgument);
    EXPECT_EQ(code({memory, 8192}, {memory + 4096, 4096}), StatusCode::InvalidArgument);
    VerbsOptions options;
    options.retries = 7;
    EXPECT_EQ(VerbsQueue::open(options, good, {memory + 4096, 4096}).status().code(),
              StatusCode::InvalidArgument);
}

}  // namespace
}  // namespace verbex::transport
