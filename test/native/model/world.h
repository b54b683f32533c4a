// World: the replication protocol without its bytes, so small that all its states can be visited.
//
// Purpose: three or four members, a handful of epochs, two or three entries. What
// native/replication/README.md says is here one action a rule; rules can be broken one by one
// (Broken), and then some state must be wrong.
// Owner: a value.
// Thread safety: a value.
// Invariants: a state is plain bytes, all of them meaningful, so that equal states are equal bytes.
// Requires: nothing of native/replication: this is a second telling of the protocol, not a test of
// its code.
//
// What has been left out, and why nothing is lost by it:
//   - Messages are facts. What a leader has sent (its log), what a member has acknowledged to it,
//     what a member has reported to a candidate, which cuts it has been told: once said it may
//     arrive at any time later, any number of times, in any order, or never. That is a network that
//     loses, doubles, delays and reorders everything.
//   - A process that restarts with its log intact is one that does nothing for a while and leads no
//     more.
//   - Asking who would follow before an epoch is reserved: here anybody reserves at any moment, so
//     the worlds hold whatever is asked and answered, and where nobody is asked.
//   - Results and votes: they hold releases back and change nothing else. docs/replication.md
//     argues them.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

namespace verbex::model {

inline constexpr uint8_t kMembers = 4;    // at most; a world may have fewer
inline constexpr uint8_t kEpochs = 4;     // 1 … kEpochs; a world may stop earlier
inline constexpr uint8_t kPositions = 3;  // at most
inline constexpr uint8_t kLives = 2;      // incarnations of a member: 0, 1

// An entry is the epoch that made it, and in which start of its leader (only a broken rule needs
// that).
using Entry = uint8_t;
constexpr uint8_t epochOf(Entry entry) { return entry & 15; }

struct Log {
    uint8_t size = 0;
    std::array<Entry, kPositions> entries{};
    [[nodiscard]] uint8_t epochAt(uint8_t position) const;  // 0 for position 0
    [[nodiscard]] uint8_t lastEpoch() const { return epochAt(size); }
    [[nodiscard]] bool beginsWith(const Log& other) const;
    void push(Entry entry) { entries[size++] = entry; }
    void cut(uint8_t to);
    friend bool operator==(const Log&, const Log&) = default;
};

// Members with incarnations: 0: not in it; else 1 + incarnation.
using Set = std::array<uint8_t, kMembers>;

struct Record {  // the control store's
    uint8_t epoch = 0;
    uint8_t reserved = 0;
    Set sync{};
};

struct Member {
    uint8_t incarnation = 0;
    uint8_t promised = 0;
    uint8_t lax = 0;      // frames from this epoch on are taken (= promised, if no rule is broken)
    uint8_t durable = 0;  // entries that outlive a power cut
    Log log;
    Log lost;             // what the incarnation before had, for who still counts it
};

enum class Phase : uint8_t { None, Fencing, Adopted, Active, Over };

// An epoch: who leads it, and all that has been said in its name.
struct Term {
    Phase phase = Phase::None;
    uint8_t who = 0;
    uint8_t adopted = 0;   // length of the log that the takeover took over
    uint8_t commit = 0;
    uint8_t answered = 0;  // bit a member: has promised and reported
    uint8_t swap = 0;      // of `pending`: 1: asked, 2: has taken effect, not answered
    uint16_t unused = 0;
    Log log;               // the leader's; what it has sent, or will
    Set config{};          // as the leader knows it
    Set pending{};
    std::array<Log, kMembers> reports;
    std::array<std::array<uint8_t, kLives>, kMembers> acked{};
    std::array<uint16_t, kMembers> cuts{};  // Truncate: bit to * 4 + the leader's next epoch
};

struct State {
    Record record;
    uint8_t losses = 0;   // that have happened
    uint8_t changes = 0;
    std::array<uint8_t, 2> unused{};
    Log committed;        // by anybody, ever
    std::array<Member, kMembers> members;
    std::array<Term, kEpochs> terms;  // of epoch i + 1
    [[nodiscard]] Term& term(uint8_t epoch) { return terms[epoch - 1]; }
    [[nodiscard]] const Term& term(uint8_t epoch) const { return terms[epoch - 1]; }
};
static_assert(std::has_unique_object_representations_v<State>);

// Rules, broken one at a time. The names of native/replication/mutants.h where it has them.
enum class Broken : uint8_t {
    None,
    FenceBeforeDead,       // a fence is answered while older epochs' entries are still taken
    FenceWithoutPromise,   // … and nothing is promised at all
    FenceTooFew,           // a takeover is content with one member less
    FenceAnyIncarnation,   // a takeover counts members that are not what the record names
    ForgetPromise,         // a promise does not outlive a restart
    AdoptShorterLog,       // a takeover takes its own log
    ActivateBeforeSync,    // … and leads before a quorum has it (matters in a set of four)
    CommitOldEpoch,        // an entry of an older epoch is committed directly
    AckUnverified,         // acknowledged to a leader without comparing with its log
    AckBeforeStore,        // durable worlds: acknowledged when taken
    VouchAfterRestart,     // a member that has lost its tail keeps its incarnation
    CountAnyIncarnation,   // a leader counts acknowledgements whatever incarnation sent them
    LeadAgain,             // a leader that restarts goes on in its epoch
    TruncateByCommit,      // told to cut, a member cuts at the commit position that it knows
    TruncateWhenFenced,    // … and does so already before it reports
    TruncateStale,         // a cut is done whenever it arrives, whatever has been taken since
    GrowBeforeAck,         // a joiner is added before it has everything
    ShrinkWithoutSwap,     // while a change is asked for, commit holds in the new set only
    ChangeCountedOnceOnly, // … in the old set only
    ChangeByCommitOnly,    // a change does not look after what was taken over
    CutWhileAdopting,      // a candidate has logs cut before it has the one that it adopts
    PromiseOnlyWhenFenced, // a member takes a later leader's entries without promising its epoch
};

struct WorldOptions {
    const char* name = "";
    uint8_t members = 3;   // those that are not in the sync set are warm
    uint8_t sync = 3;      // the first so many, when it begins
    uint8_t epochs = 3;
    uint8_t positions = 2;
    uint8_t losses = 0;    // lossy restarts, or power cuts in durable worlds
    uint8_t changes = 0;   // of the sync set by a leader
    bool durable = false;  // acknowledged is what is durable; a power cut leaves the incarnation
    Broken broken = Broken::None;
    // Only what clients would see is wrong: two contents at one position, or a leader without what
    // was committed. (Else also what must lead there: committed entries cut, or at fewer than a
    // quorum.)
    bool seenOnly = false;
};

enum class Act : uint8_t {
    Append, Take, Hear, SendCut, Cut, Reserve, Fence, Adopt, Activate, Commit,
    Ask, Apply, Learn, Lose, Store, Restart,
};
inline constexpr size_t kActs = 16;

struct Step {
    Act act = Act::Append;
    uint8_t epoch = 0;
    uint8_t member = 0;
    uint8_t detail = 0;
};

struct Next {
    State state;
    Step step;
    // The normal form gives members new names: renamed[old] is the new one.
    std::array<uint8_t, kMembers> renamed{};
    const char* wrong = nullptr;  // what may never happen, and has
};

class World {
public:
    explicit World(const WorldOptions& options) : options_(options) {}
    [[nodiscard]] State first() const;
    // All that may happen next, each state in its normal form.
    void next(const State& state, std::vector<Next>& into) const;
    // The step in words, with the names that members had in the beginning.
    static std::string describe(const Step& step, const std::array<uint8_t, kMembers>& names);

private:
    [[nodiscard]] bool is(Broken broken) const { return options_.broken == broken; }
    [[nodiscard]] bool holds(const State& state, const Set& set, uint8_t position,
                             const Term& term) const;
    [[nodiscard]] uint8_t ackedBy(const State& state, const Term& term, const Set& set,
                                  uint8_t member) const;
    void leave(State& state, uint8_t member, uint8_t below) const;
    void promise(State& state, uint8_t member, uint8_t epoch) const;
    void acknowledge(State& state, uint8_t epoch, uint8_t member) const;
    const char* commit(State& state, uint8_t position, const Log& log) const;
    const char* cut(State& state, uint8_t member, uint8_t to) const;
    const char* check(const State& state) const;
    void tidy(State& state) const;
    void emit(std::vector<Next>& into, State&& state, Step step, const char* wrong) const;

    void leaderActs(const State& state, uint8_t epoch, std::vector<Next>& into) const;
    void candidateActs(const State& state, uint8_t epoch, std::vector<Next>& into) const;
    void frames(const State& state, uint8_t epoch, uint8_t member, std::vector<Next>& into) const;
    void sendCut(const State& state, uint8_t epoch, uint8_t member, const Log& leaders,
                 std::vector<Next>& into) const;
    void cuts(const State& state, uint8_t epoch, uint8_t member, std::vector<Next>& into) const;
    void memberActs(const State& state, uint8_t member, std::vector<Next>& into) const;

    WorldOptions options_;
};

}  // namespace verbex::model
