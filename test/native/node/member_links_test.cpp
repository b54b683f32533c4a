// Whom a member dials, and when: two members' links in one thread, over memory, under a clock that the test moves.
#include "node/member_links.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "transport/rings/memory_network.h"

namespace verbex::node::dialling {

namespace {

using replication::MemberId;

constexpr uint64_t kMs = 1'000'000;

class Dialler {
public:
    Dialler(transport::MemoryHub& hub, MemberId self,
            const std::vector<replication::MemberAddress>& members)
        : network_(hub, {}),
          links_(network_, "dialling", self, members,
                 {.onFrame = [](auto, auto) {},
                  .onClosed = [](auto) {},
                  .onStale = [this] { stale_++; },
                  .epoch = [] { return replication::Epoch{1}; },
                  .onOther = {}}) {
        EXPECT_TRUE(links_.listen(members[self - 1].address).isOk());
    }
    void poll(uint64_t nowNs) { links_.poll(nowNs); }
    void fence(uint64_t epoch) { links_.fence(epoch); }
    [[nodiscard]] uint64_t refused() const { return network_.counters().refused; }
    [[nodiscard]] uint64_t linked() const { return network_.counters().links; }
    [[nodiscard]] uint64_t stale() const { return stale_; }

private:
    transport::MemoryNetwork network_;
    uint64_t stale_ = 0;
    MemberLinks links_;
};

// Member 1 is watched; member 2 comes and goes.
class MemberLinksDial : public testing::Test {
protected:
    void away() { peer_.reset(); }
    void back() { peer_ = std::make_unique<Dialler>(hub_, 2, members_); }
    void poll() {
        now_ += kMs;
        self_.poll(now_);
        if (peer_ != nullptr) peer_->poll(now_);
    }
    // The milliseconds from each dial's end in vain to the end of the next one. A dial takes one of them.
    std::vector<uint64_t> pauses(size_t count) {
        std::vector<uint64_t> found;
        uint64_t last = 0;
        const uint64_t until = now_ + 5000 * kMs;
        for (uint64_t refused = self_.refused(); found.size() < count && now_ < until;) {
            poll();
            if (self_.refused() == refused) continue;
            EXPECT_EQ(self_.refused(), refused + 1);
            refused = self_.refused();
            if (last != 0) found.push_back((now_ - last) / kMs - 1);
            last = now_;
        }
        return found;
    }
    void untilLinked() {
        for (int i = 0; i < 1000 && self_.linked() == 0; i++) poll();
        ASSERT_EQ(self_.linked(), 1u);
        ASSERT_EQ(peer_->linked(), 1u);
    }

    transport::MemoryHub hub_;
    const std::vector<replication::MemberAddress> members_ = {{1, {"one", 1}}, {2, {"two", 2}}};
    Dialler self_{hub_, 1, members_};
    std::unique_ptr<Dialler> peer_;
    uint64_t now_ = 1000 * kMs;
};

const std::vector<uint64_t> kGrowing = {20, 40, 80, 160, 160, 160};

TEST_F(MemberLinksDial, AMemberThatIsAwayIsDialledLessAndLessOften) {
    EXPECT_EQ(pauses(kGrowing.size()), kGrowing);
}

TEST_F(MemberLinksDial, AfterALinkThatStoodThePausesBeginAnew) {
    EXPECT_EQ(pauses(kGrowing.size()), kGrowing);
    back();
    untilLinked();
    const uint64_t refused = self_.refused();
    for (int i = 0; i < 1000; i++) poll();
    EXPECT_EQ(self_.refused(), refused) << "who has a link is not dialled";
    away();
    EXPECT_EQ(pauses(kGrowing.size()), kGrowing);
}

// It is there, and takes a link as soon as this member knows of the epoch: it is not kept waiting.
TEST_F(MemberLinksDial, WhoRefusesAnOldEpochIsAskedAgainSoon) {
    EXPECT_EQ(pauses(4), std::vector<uint64_t>(kGrowing.begin(), kGrowing.begin() + 4));
    back();
    peer_->fence(5);
    EXPECT_EQ(pauses(4), (std::vector<uint64_t>{20, 20, 20, 20}));
    EXPECT_EQ(self_.stale(), 5u);
}

}  // namespace

}  // namespace verbex::node::dialling
