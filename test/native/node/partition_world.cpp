#include "partition_world.h"

namespace verbex::node::cluster_world {

namespace {

constexpr uint16_t kPort = 9200;

std::string at(MemberId id, Position position) {
    return "member " + std::to_string(id) + " at position " + std::to_string(position) + ": ";
}

}  // namespace

PartitionWorld::PartitionWorld(Places& places, uint32_t members, Mutant mutant)
    : places_(places), members_(members) {
    ClusterOptions options;
    options.members = options.hot = members;
    options.mutant = mutant;
    for (uint32_t i = 1; i <= members; i++) options.addresses.push_back({Places::host(i), kPort});
    options.inPlace = [this](MemberId id, const std::function<void()>& open) {
        places_.at(id).run(open);
    };
    cluster_ = std::make_unique<Cluster>(options);
    watchers_.resize(members);
}

PartitionWorld::~PartitionWorld() {
    for (const std::unique_ptr<TradingDesk>& desk : desks_) desk->stop();
    stopLoad();
    watchers_.clear();
    cluster_.reset();
    places_.mend();
    EXPECT_TRUE(places_.apply());
}

bool PartitionWorld::begin() {
    const bool settled = until([this] {
        const MemberId leads = cluster_->leader();
        if (leads == 0) return false;
        const MemberStatus status = cluster_->host(leads)->status();
        return status.configuration.sync.size() == members_ && status.released > 0;
    });
    if (!settled) return false;
    for (MemberId id = 1; id <= members_; id++) watch(id);
    // The load's market first: it counts on the first numbers of accounts and instruments.
    startLoad();
    if (!until([this] { return load_->progress().acknowledged > 0; })) return false;
    for (uint32_t number = 1; number <= 2; number++) {
        places_.at(deskPlace(number)).run([&] {
            DeskOptions options;
            options.cluster = cluster_->clientOptions();
            options.number = number;
            desks_.push_back(std::make_unique<TradingDesk>(options));
        });
    }
    return true;
}

void PartitionWorld::watch(MemberId id) {
    places_.at(id).run([&] {
        watchers_[id - 1] = std::make_unique<ReleaseWatcher>(cluster_->addresses()[id - 1]);
    });
}

void PartitionWorld::startLoad() {
    load::ClusterLoadOptions options;
    options.cluster = cluster_->clientOptions();
    options.network.node = "load";
    options.network.transport = transport::TransportWish::Tcp;
    options.network.setUpTimeoutMs = 300;
    options.ordersPerSecond = 1000;
    options.limits = {1u << 14, 1u << 10, 1u << 6, 1u << 16};
    load_ = std::make_unique<load::ClusterLoad>(options);
    // Its thread is started in the place, and with it every socket of it.
    places_.at(deskPlace(1)).run([this] {
        loadThread_ = std::thread([this] {
            Result<load::ClusterLoadResult> ran = load_->run();
            if (ran.isOk()) loaded_ = ran.take();
        });
    });
}

void PartitionWorld::stopLoad() {
    if (load_ != nullptr) load_->stop();
    if (loadThread_.joinable()) loadThread_.join();
}

// ---- while it runs

void PartitionWorld::look() {
    for (MemberId id = 1; id <= members_; id++) {
        if (cluster_->host(id) == nullptr) continue;
        const MemberStatus status = cluster_->host(id)->status();
        if (status.role != Role::Leader) continue;
        Led& led = led_[status.configuration.epoch];
        led.by.insert(id);
        led.released = std::max(led.released, status.released);
        led.commit = std::max(led.commit, status.commit);
    }
}

bool PartitionWorld::until(const std::function<bool()>& is) {
    return eventually([&] {
        look();
        return is();
    });
}

bool PartitionWorld::answers(const std::vector<uint32_t>& desks, uint64_t count) {
    std::vector<uint64_t> wanted;
    for (const uint32_t number : desks) wanted.push_back(desk(number).answered() + count);
    const uint64_t loadWanted = load_->progress().acknowledged + count;
    return until([&] {
        for (size_t i = 0; i < desks.size(); i++) {
            if (desk(desks[i]).answered() < wanted[i]) return false;
        }
        return load_->progress().acknowledged >= loadWanted;
    });
}

void PartitionWorld::passes(std::chrono::milliseconds time) {
    const auto end = std::chrono::steady_clock::now() + time;
    (void)until([&] { return std::chrono::steady_clock::now() >= end; });
}

void PartitionWorld::killAndStart(MemberId id) {
    cluster_->kill(id);
    passes(std::chrono::milliseconds(300));
    cluster_->start(id);
}

// ---- afterwards

bool PartitionWorld::finish() {
    for (const std::unique_ptr<TradingDesk>& desk : desks_) desk->stop();
    stopLoad();
    if (!loaded_.has_value()) return false;
    bool verified = false;
    places_.at(deskPlace(1)).run([&] {
        Result<load::ClusterVerdict> verdict = load_->verify();
        verified = verdict.isOk();
        if (verified) verdict_ = verdict.take();
    });
    if (!verified) return false;
    // All that anybody has let out so far, everybody lets out.
    for (const std::unique_ptr<ReleaseWatcher>& watcher : watchers_) {
        end_ = std::max(end_, watcher->next() - 1);
    }
    const bool level = until([this] {
        return std::all_of(watchers_.begin(), watchers_.end(),
                           [this](const auto& each) { return each->next() > end_; });
    });
    stopWatching();
    return level;
}

void PartitionWorld::stopWatching() {
    for (const std::unique_ptr<ReleaseWatcher>& watcher : watchers_) watcher->stop();
}

// Position for position, under the same leader's epoch.
std::vector<std::string> PartitionWorld::findDifferences() const {
    std::vector<std::string> problems;
    const Released& all = watchers_[0]->seen();
    Epoch before = 0;
    for (const auto& [last, batch] : all) {
        if (batch.epoch < before) problems.push_back(at(1, last) + "an epoch that was over");
        before = batch.epoch;
    }
    for (MemberId id = 1; id <= members_; id++) {
        const ReleaseWatcher& watcher = *watchers_[id - 1];
        if (watcher.ended()) problems.push_back(at(id, watcher.next()) + "a gap");
        const Position end = std::min(watcher.next(), watchers_[0]->next()) - 1;
        Position next = 1;
        for (const auto& [last, batch] : watcher.seen()) {
            if (last > end) break;
            if (batch.first != next) problems.push_back(at(id, last) + "begins elsewhere");
            next = last + 1;
            const auto other = all.find(last);
            if (other == all.end() || !(other->second == batch)) {
                problems.push_back(at(id, last) + "releases something else than member 1");
                break;
            }
        }
    }
    return problems;
}

std::vector<std::string> PartitionWorld::findProblems() const {
    std::vector<std::string> problems = findDifferences();
    const Released& all = watchers_[0]->seen();
    // An epoch has one leader, and nobody lets out, or calls committed, what another had replaced.
    for (const auto& [epoch, led] : led_) {
        const std::string term = "epoch " + std::to_string(epoch) + ": ";
        if (led.by.size() != 1) problems.push_back(term + "two members lead it");
        for (const Position position : {led.released, led.commit}) {
            const auto batch = all.lower_bound(position);
            if (position == 0 || batch == all.end()) continue;
            if (batch->second.epoch > epoch) {
                problems.push_back(term + "its leader has let out " + std::to_string(position) +
                                   ", which is of epoch " + std::to_string(batch->second.epoch));
            }
        }
    }
    // Every member's log, executed by a core of its own, gives what was let out.
    Seen seen;
    for (const auto& [last, batch] : all) seen[last] = batch.events;
    for (MemberId id = 1; id <= members_; id++) {
        const uint64_t differ = differences(*cluster_, id, end_, seen);
        if (differ != 0) {
            problems.push_back(at(id, end_) + std::to_string(differ) + " batches of its log differ");
        }
    }
    // The ledger.
    const load::ClusterLoadProgress& counts = loaded_->counts;
    const auto none = [&](uint64_t count, const char* what) {
        if (count != 0) problems.push_back(std::to_string(count) + " " + what);
    };
    none(verdict_.acknowledgedLost, "acknowledged orders lost");
    none(verdict_.appliedTwice, "orders applied twice");
    none(counts.acceptedTwice, "orders accepted twice");
    none(counts.tradesTwice, "trades told twice");
    none(counts.endedSubscriptions, "subscriptions ended");
    none(loaded_->unanswered, "orders of the load without an answer");
    for (const std::unique_ptr<TradingDesk>& desk : desks_) none(desk->open(), "questions without an answer");
    return problems;
}

linearizability::BookHistory PartitionWorld::history() const {
    linearizability::BookHistory all;
    for (const std::unique_ptr<TradingDesk>& desk : desks_) {
        all.insert(all.end(), desk->history().begin(), desk->history().end());
    }
    return all;
}

std::string PartitionWorld::summary() const {
    std::string text = std::to_string(verdict_.batches) + " batches to position " + std::to_string(end_) +
                       ", " + std::to_string(loaded_->counts.acknowledged) + " orders of the load, led by";
    for (const auto& [epoch, led] : led_) {
        for (const MemberId id : led.by) text += " " + std::to_string(id);
    }
    return text;
}

}  // namespace verbex::node::cluster_world
