#include <algorithm>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <string>
#include <vector>

#include "transport/verbs/verbs_device.h"

namespace verbex::transport {
namespace {

VerbsGid ipv4(uint8_t a, uint8_t b, uint8_t c, uint8_t d) {
    return {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d};
}

VerbsGid ipv6(uint8_t first, uint8_t second, uint8_t last) {
    VerbsGid gid{};
    gid[0] = first;
    gid[1] = second;
    gid[15] = last;
    return gid;
}

VerbsPort roce(std::vector<VerbsGidEntry> gids, uint8_t number = 1) {
    VerbsPort port;
    port.number = number;
    port.active = true;
    port.linkLayer = VerbsLinkLayer::Ethernet;
    port.activeMtu = 1024;
    port.gidTableEntries = 16;
    port.gids = std::move(gids);
    return port;
}

VerbsPort infiniband(uint16_t lid) {
    VerbsPort port = roce({{0, ipv6(0xfe, 0x80, 9), VerbsGidType::InfinibandOrRoceV1}});
    port.linkLayer = VerbsLinkLayer::Infiniband;
    port.lid = lid;
    port.activeMtu = 4096;
    return port;
}

VerbsDevice device(std::string name, std::vector<VerbsPort> ports) {
    return {std::move(name), {}, std::move(ports)};
}

// As a RoCE adapter shows itself: the same address as v1 and as v2, link-local first.
std::vector<VerbsGidEntry> usualGids() {
    return {{0, ipv6(0xfe, 0x80, 1), VerbsGidType::InfinibandOrRoceV1},
            {1, ipv6(0xfe, 0x80, 1), VerbsGidType::RoceV2},
            {2, ipv4(10, 0, 0, 1), VerbsGidType::InfinibandOrRoceV1},
            {3, ipv4(10, 0, 0, 1), VerbsGidType::RoceV2},
            {4, ipv6(0x20, 0x01, 1), VerbsGidType::RoceV2}};
}

VerbsSelection select(const VerbsOptions& options, const std::vector<VerbsDevice>& devices,
                      VerbsPatience patience = VerbsPatience::Patient) {
    VerbsSelection selection = selectVerbs(options, devices, patience);
    EXPECT_EQ(selection.choice.has_value(), selection.status.isOk());
    return selection;
}

TEST(VerbsSelection, TakesTheRoutableRoceV2AddressOfTheWantedFamily) {
    VerbsOptions options;
    const std::vector<VerbsDevice> devices = {device("mlx5_0", {roce(usualGids())})};
    VerbsSelection selection = select(options, devices);
    ASSERT_TRUE(selection.choice.has_value()) << selection.status.toString();
    EXPECT_EQ(selection.choice->gidIndex, 3u);
    EXPECT_EQ(selection.choice->gid, ipv4(10, 0, 0, 1));
    EXPECT_EQ(selection.choice->mtu, 1024u);
    EXPECT_EQ(selection.choice->linkLayer, VerbsLinkLayer::Ethernet);
    options.preferIpv6 = true;
    selection = select(options, devices);
    ASSERT_TRUE(selection.choice.has_value());
    EXPECT_EQ(selection.choice->gidIndex, 4u);
}

TEST(VerbsSelection, WaitsForTheWantedFamilyBeforeItTakesTheOther) {
    const std::vector<VerbsDevice> devices = {
        device("rxe0", {roce({{2, ipv6(0x20, 0x01, 1), VerbsGidType::RoceV2}})})};
    VerbsSelection selection = select({}, devices);
    EXPECT_FALSE(selection.choice.has_value());
    EXPECT_TRUE(selection.mayAppear);
    selection = select({}, devices, VerbsPatience::Final);
    ASSERT_TRUE(selection.choice.has_value());
    EXPECT_EQ(selection.choice->gidIndex, 2u);
}

TEST(VerbsSelection, LinkLocalAndUnknownAddressesAreOnlyTakenWhenNamed) {
    const std::vector<VerbsDevice> devices = {
        device("rxe0", {roce({{0, ipv6(0xfe, 0x80, 1), VerbsGidType::RoceV2},
                              {1, ipv6(0xfe, 0xbf, 1), VerbsGidType::RoceV2},
                              {2, ipv4(169, 254, 3, 4), VerbsGidType::RoceV2},
                              {3, ipv4(10, 0, 0, 1), VerbsGidType::Unknown}})})};
    for (const VerbsPatience patience : {VerbsPatience::Patient, VerbsPatience::Final}) {
        const VerbsSelection selection = select({}, devices, patience);
        EXPECT_FALSE(selection.choice.has_value());
        EXPECT_NE(selection.status.message().find("fe80::1"), std::string::npos)
            << selection.status.toString();
    }
    for (int index = 0; index < 4; ++index) {
        VerbsOptions options;
        options.gidIndex = index;
        const VerbsSelection selection = select(options, devices);
        ASSERT_TRUE(selection.choice.has_value());
        EXPECT_EQ(selection.choice->gidIndex, static_cast<uint32_t>(index));
    }
}

TEST(VerbsSelection, AnExplicitIndexThatIsEmptyMayAppearAndOneBeyondTheTableMayNot) {
    const std::vector<VerbsDevice> devices = {device("rxe0", {roce(usualGids())})};
    VerbsOptions options;
    options.gidIndex = 15;
    VerbsSelection selection = select(options, devices, VerbsPatience::Final);
    EXPECT_EQ(selection.status.code(), StatusCode::NotFound);
    EXPECT_TRUE(selection.mayAppear);
    options.gidIndex = 16;
    selection = select(options, devices);
    EXPECT_EQ(selection.status.code(), StatusCode::InvalidArgument);
    EXPECT_FALSE(selection.mayAppear);
}

TEST(VerbsSelection, InfinibandGoesByLidAndFirstGid) {
    const std::vector<VerbsDevice> devices = {device("a_roce", {roce(usualGids())}),
                                              device("mlx5_1", {infiniband(7)})};
    const VerbsSelection selection = select({}, devices);
    ASSERT_TRUE(selection.choice.has_value());
    EXPECT_EQ(selection.choice->device, "mlx5_1");
    EXPECT_EQ(selection.choice->lid, 7u);
    EXPECT_EQ(selection.choice->gidIndex, 0u);
    EXPECT_EQ(selection.choice->mtu, 4096u);
    EXPECT_EQ(selection.choice->linkLayer, VerbsLinkLayer::Infiniband);
}

TEST(VerbsSelection, OneListHasOneAnswerInWhateverOrder) {
    std::vector<VerbsDevice> devices = {
        device("mlx5_0", {roce(usualGids(), 2), roce(usualGids(), 1)}),
        device("bnxt_re0", {roce(usualGids(), 2)}), device("rxe0", {roce(usualGids())})};
    std::sort(devices.begin(), devices.end(),
              [](const VerbsDevice& a, const VerbsDevice& b) { return a.name < b.name; });
    do {
        VerbsSelection selection = select({}, devices);
        ASSERT_TRUE(selection.choice.has_value());
        EXPECT_EQ(selection.choice->device, "bnxt_re0");
        VerbsOptions options;
        options.device = "mlx5_0";
        selection = select(options, devices);
        ASSERT_TRUE(selection.choice.has_value());
        EXPECT_EQ(selection.choice->port, 1u);
        options.port = 2;
        selection = select(options, devices);
        ASSERT_TRUE(selection.choice.has_value());
        EXPECT_EQ(selection.choice->port, 2u);
        EXPECT_EQ(selection.choice->device, "mlx5_0");
    } while (std::next_permutation(
        devices.begin(), devices.end(),
        [](const VerbsDevice& a, const VerbsDevice& b) { return a.name < b.name; }));
}

TEST(VerbsSelection, PassesOverPortsThatAreDown) {
    VerbsPort down = roce(usualGids(), 1);
    down.active = false;
    VerbsSelection selection = select({}, {device("mlx5_0", {down, roce(usualGids(), 2)})});
    ASSERT_TRUE(selection.choice.has_value());
    EXPECT_EQ(selection.choice->port, 2u);
    selection = select({}, {device("mlx5_0", {down})});
    EXPECT_TRUE(selection.mayAppear) << "a cable may be plugged in";
    EXPECT_EQ(selection.status.code(), StatusCode::NotFound);
}

TEST(VerbsSelection, SaysWhatIsThereWhenWhatWasAskedForIsNot) {
    const std::vector<VerbsDevice> devices = {device("rxe0", {roce(usualGids())})};
    VerbsOptions options;
    options.device = "mlx5_0";
    VerbsSelection selection = select(options, devices);
    EXPECT_EQ(selection.status.code(), StatusCode::NotFound);
    EXPECT_FALSE(selection.mayAppear);
    EXPECT_NE(selection.status.message().find("mlx5_0"), std::string::npos);
    EXPECT_NE(selection.status.message().find("rxe0 port 1 Ethernet, active, MTU 1024"),
              std::string::npos)
        << selection.status.toString();
    EXPECT_NE(selection.status.message().find("::ffff:10.0.0.1 (RoCE v2)"), std::string::npos);
    options = {};
    options.port = 9;
    EXPECT_EQ(select(options, devices).status.code(), StatusCode::NotFound);
    EXPECT_EQ(select({}, {}).status.code(), StatusCode::NotFound);
}

TEST(VerbsSelection, ADeviceThatCannotBeUsedIsPassedOverUnlessItIsTheOnlyOne) {
    const VerbsDevice locked = {"mlx5_0", Status(StatusCode::IoError, "not allowed"), {}};
    VerbsSelection selection = select({}, {locked, device("rxe0", {roce(usualGids())})});
    ASSERT_TRUE(selection.choice.has_value());
    EXPECT_EQ(selection.choice->device, "rxe0");
    selection = select({}, {locked});
    EXPECT_EQ(selection.status.message(), "mlx5_0: not allowed");
    VerbsOptions options;
    options.device = "mlx5_0";
    selection = select(options, {locked, device("rxe0", {roce(usualGids())})});
    EXPECT_EQ(selection.status.message(), "mlx5_0: not allowed");
}

TEST(VerbsSelection, TheMtuMayBeLessThanThePortsButNotMore) {
    const std::vector<VerbsDevice> devices = {device("rxe0", {roce(usualGids())})};
    VerbsOptions options;
    options.mtu = 512;
    VerbsSelection selection = select(options, devices);
    ASSERT_TRUE(selection.choice.has_value());
    EXPECT_EQ(selection.choice->mtu, 512u);
    options.mtu = 2048;
    selection = select(options, devices);
    EXPECT_EQ(selection.status.code(), StatusCode::InvalidArgument);
    EXPECT_FALSE(selection.mayAppear);
    options.mtu = 1500;
    EXPECT_EQ(select(options, devices).status.code(), StatusCode::InvalidArgument);
}

TEST(VerbsSelection, RefusesOptionsThatWouldNotWork) {
    const auto refuses = [](auto change) {
        VerbsOptions options;
        change(options);
        return checkVerbsOptions(options).code() == StatusCode::InvalidArgument;
    };
    EXPECT_TRUE(checkVerbsOptions({}).isOk());
    EXPECT_TRUE(refuses([](VerbsOptions& o) { o.retries = 7; }));
    EXPECT_TRUE(refuses([](VerbsOptions& o) { o.ackTimeout = 13; }));
    EXPECT_TRUE(refuses([](VerbsOptions& o) { o.ackTimeout = 0; }));
    EXPECT_TRUE(refuses([](VerbsOptions& o) { o.ackTimeout = 32; }));
    EXPECT_TRUE(refuses([](VerbsOptions& o) { o.gidIndex = -2; }));
    EXPECT_TRUE(refuses([](VerbsOptions& o) { o.sendEntries = 3; }));
    EXPECT_TRUE(refuses([](VerbsOptions& o) { o.sendEntries = 1 << 20; }));
    EXPECT_TRUE(refuses([](VerbsOptions& o) { o.wakeEntries = 0; }));
    EXPECT_TRUE(refuses([](VerbsOptions& o) { o.inlineBytes = 4096; }));
    EXPECT_TRUE(refuses([](VerbsOptions& o) { o.serviceLevel = 16; }));
}

// A system whose GIDs come up as time passes, with the time taken note of.
struct Boot {
    uint32_t sleptMs = 0;
    uint32_t looks = 0;
    std::function<std::vector<VerbsDevice>(uint32_t sleptMs)> at;

    VerbsSurroundings surroundings() {
        return {[this]() -> Result<std::vector<VerbsDevice>> {
                    ++looks;
                    return at(sleptMs);
                },
                [this](uint32_t milliseconds) { sleptMs += milliseconds; }};
    }
};

TEST(VerbsSelection, WaitsForAnAddressThatComesUpLater) {
    Boot boot;
    boot.at = [](uint32_t sleptMs) {
        return std::vector<VerbsDevice>{
            device("rxe0", {roce(sleptMs < 300 ? std::vector<VerbsGidEntry>{} : usualGids())})};
    };
    const Result<VerbsChoice> choice = chooseVerbs({}, boot.surroundings());
    ASSERT_TRUE(choice.isOk()) << choice.status().toString();
    EXPECT_EQ(choice.value().gidIndex, 3u);
    EXPECT_EQ(boot.sleptMs, 300u);
}

TEST(VerbsSelection, TheWaitIsBoundedAndEndsWithTheOtherFamily) {
    Boot boot;
    boot.at = [](uint32_t) {
        return std::vector<VerbsDevice>{
            device("rxe0", {roce({{2, ipv6(0x20, 0x01, 1), VerbsGidType::RoceV2}})})};
    };
    VerbsOptions options;
    options.appearMs = 120;
    const Result<VerbsChoice> choice = chooseVerbs(options, boot.surroundings());
    ASSERT_TRUE(choice.isOk());
    EXPECT_EQ(boot.sleptMs, 120u);
    EXPECT_EQ(boot.looks, 4u);
}

TEST(VerbsSelection, DoesNotWaitForWhatCannotAppear) {
    Boot boot;
    boot.at = [](uint32_t) {
        return std::vector<VerbsDevice>{device("rxe0", {roce(usualGids())})};
    };
    VerbsOptions options;
    options.device = "mlx5_0";
    EXPECT_EQ(chooseVerbs(options, boot.surroundings()).status().code(), StatusCode::NotFound);
    EXPECT_EQ(boot.sleptMs, 0u);
    options = {};
    options.retries = 7;
    EXPECT_EQ(chooseVerbs(options, boot.surroundings()).status().code(),
              StatusCode::InvalidArgument);
    const VerbsSurroundings broken = {
        [] { return Result<std::vector<VerbsDevice>>(Status(StatusCode::NotFound, "none")); },
        [](uint32_t) { FAIL() << "nothing to wait for"; }};
    EXPECT_EQ(chooseVerbs({}, broken).status().message(), "none");
}

TEST(VerbsSelection, ReadsTheTypeOfAGidFromTheSystemsFiles) {
    char folder[] = "/tmp/verbex-gids-XXXXXX";
    ASSERT_NE(::mkdtemp(folder), nullptr);
    const std::filesystem::path types =
        std::filesystem::path(folder) / "class/infiniband/mlx5_0/ports/2/gid_attrs/types";
    std::filesystem::create_directories(types);
    std::ofstream(types / "0") << "IB/RoCE v1\n";
    std::ofstream(types / "1") << "RoCE v2\n";
    std::ofstream(types / "2") << "something new\n";
    std::ofstream(types / "3").flush();
    EXPECT_EQ(readVerbsGidType(folder, "mlx5_0", 2, 0), VerbsGidType::InfinibandOrRoceV1);
    EXPECT_EQ(readVerbsGidType(folder, "mlx5_0", 2, 1), VerbsGidType::RoceV2);
    EXPECT_EQ(readVerbsGidType(folder, "mlx5_0", 2, 2), VerbsGidType::Unknown);
    EXPECT_EQ(readVerbsGidType(folder, "mlx5_0", 2, 3), VerbsGidType::Unknown);
    EXPECT_EQ(readVerbsGidType(folder, "mlx5_0", 2, 4), VerbsGidType::Unknown);
    EXPECT_EQ(readVerbsGidType(folder, "mlx5_0", 1, 1), VerbsGidType::Unknown);
    std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace verbex::transport
