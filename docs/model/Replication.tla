---------------------------------------------------- MODULE Replication ----------------------------------------------------
(* The replication protocol of Verbex (docs/replication.md, native/replication/README.md) without its bytes.                *)
(*                                                                                                                          *)
(* Messages are facts: what a leader has sent (its log), what a member has acknowledged to it, what a member has reported   *)
(* to a candidate, which cuts it has been told. Once said, a fact may arrive at any time later, any number of times, in any *)
(* order, or never: a network that loses, doubles, delays and reorders everything. A process that restarts with its log     *)
(* intact is one that does nothing for a while and leads no more. Results and votes are left out: they hold releases back   *)
(* and change nothing else.                                                                                                 *)
(*                                                                                                                          *)
(* `Broken` names a rule that is left out ("": none); each of them must give a counterexample (docs/model/README.md).       *)
(* test/native/model tells the same protocol in C++ and visits every state in npm test; this one is for readers and TLC.    *)
EXTENDS Naturals, FiniteSets, Sequences, TLC

CONSTANTS Members,       \* all of them; those that are not in the first sync set are warm
          SyncSize,      \* members of the first sync set
          MaxEpoch, MaxPosition, MaxLosses, MaxChanges,
          Durable,       \* acknowledged is what is durable; a power cut leaves the incarnation
          Broken         \* a rule that is left out

VARIABLES record,     \* the control store's: epoch, reserved (0: none), sync: Members -> 0 (not in it) or 1 + incarnation
          inc,        \* incarnation of each member
          promised,   \* the highest epoch that it has promised
          floor,      \* frames of epochs below this are refused (= promised, but for a broken rule)
          durable,    \* length of its log that outlives a power cut
          log,        \* sequence of entries
          lost,       \* the log that the incarnation before had
          term,       \* of each epoch: who leads it, and all that has been said in its name
          committed,  \* by anybody, ever
          losses, changes

vars == <<record, inc, promised, floor, durable, log, lost, term, committed, losses, changes>>

Epochs == 1 .. MaxEpoch
Nobody == [m \in Members |-> 0]

\* An entry is the epoch that made it, and in which start of its leader (only the broken rule LeadAgain needs that).
EpochOf(entry) == entry % 10

---------------------------------------------------------------------------------------------------------------------------
\* Sets with incarnations, logs

In(set) == {m \in Members : set[m] # 0}
Quorum(set) == Cardinality(In(set)) \div 2 + 1
\* So many must be fenced that no quorum is left without them.
FenceCount(set) == Cardinality(In(set)) - Quorum(set) + 1
Holds(set, m) == set[m] = inc[m] + 1

Max(a, b) == IF a > b THEN a ELSE b
Min(a, b) == IF a < b THEN a ELSE b
EpochAt(l, p) == IF p = 0 \/ p > Len(l) THEN 0 ELSE EpochOf(l[p])
Prefix(l, n) == SubSeq(l, 1, n)
BeginsWith(l, other) == Len(other) <= Len(l) /\ Prefix(l, Len(other)) = other
\* The last position that two logs have in common, by the epochs in which they say their entries are.
Common(a, b) == CHOOSE p \in 0 .. Min(Len(a), Len(b)) :
                   /\ p = 0 \/ EpochAt(a, p) = EpochAt(b, p)
                   /\ \A q \in p + 1 .. Min(Len(a), Len(b)) : EpochAt(a, q) # EpochAt(b, q)
\* A log ends where the other one has an entry of the same epoch: the other's next entry follows.
Fits(l, leaders) == Len(l) <= Len(leaders) /\ EpochAt(l, Len(l)) = EpochAt(leaders, Len(l))
Higher(a, b) == \/ EpochAt(a, Len(a)) > EpochAt(b, Len(b))
                \/ EpochAt(a, Len(a)) = EpochAt(b, Len(b)) /\ Len(a) > Len(b)

NoTerm == [phase |-> "none", who |-> CHOOSE m \in Members : TRUE, adopted |-> 0, commit |-> 0, answered |-> {},
           reports |-> [m \in Members |-> <<>>], log |-> <<>>, config |-> Nobody, pending |-> Nobody, swap |-> "none",
           acked |-> [m \in Members |-> [i \in 0 .. MaxLosses |-> 0]], cuts |-> [m \in Members |-> {}]]

Alive(e) == term[e].phase \in {"fencing", "adopted", "active"}

\* What a member has acknowledged to the leader of e, as one that the set names.
AckedBy(e, set, m) ==
    IF m = term[e].who /\ Holds(set, m)
    THEN IF Durable /\ Broken # "AckBeforeStore" THEN durable[m] ELSE Len(log[m])
    ELSE IF Broken = "CountAnyIncarnation"
         THEN LET all == {term[e].acked[m][i] : i \in 0 .. MaxLosses} IN CHOOSE p \in all : \A q \in all : q <= p
         ELSE term[e].acked[m][set[m] - 1]
HeldBy(e, set, p) == Cardinality({m \in In(set) : AckedBy(e, set, m) >= p}) >= Quorum(set)

\* `terms` after member m leads nothing below epoch e any more.
Left(terms, m, e) == [f \in Epochs |-> IF f < e /\ terms[f].phase # "none" /\ terms[f].who = m
                                       THEN [terms[f] EXCEPT !.phase = "over"] ELSE terms[f]]
Promised(terms, m, e) == IF promised[m] >= e THEN terms ELSE Left(terms, m, e)
\* `terms` after member m, whose log is l then, has acknowledged to the leader of e.
Acked(terms, e, m, l, d) ==
    LET upTo == Min(Len(l), Len(terms[e].log))
        p == IF Durable /\ Broken # "AckBeforeStore" THEN Min(upTo, d) ELSE upTo
    IN [terms EXCEPT ![e].acked[m][inc[m]] = Max(@, p)]

---------------------------------------------------------------------------------------------------------------------------
\* Epoch 1 is led by somebody, with nothing in any log.

Init ==
    \E sync \in {s \in SUBSET Members : Cardinality(s) = SyncSize} : \E first \in sync :
        LET set == [m \in Members |-> IF m \in sync THEN 1 ELSE 0]
        IN /\ record = [epoch |-> 1, reserved |-> 0, sync |-> set]
           /\ inc = [m \in Members |-> 0]
           /\ promised = [m \in Members |-> set[m]]
           /\ floor = promised
           /\ durable = [m \in Members |-> 0]
           /\ log = [m \in Members |-> <<>>]
           /\ lost = log
           /\ term = [e \in Epochs |-> IF e = 1 THEN [NoTerm EXCEPT !.phase = "active", !.who = first, !.config = set] ELSE NoTerm]
           /\ committed = <<>>
           /\ losses = 0
           /\ changes = 0

---------------------------------------------------------------------------------------------------------------------------
\* The leader

MakeEntry(e) ==
    LET t == term[e]
        entry == e + (IF Broken = "LeadAgain" THEN 10 * losses ELSE 0)
        longer == t.log \o <<entry>>
    IN /\ t.phase = "active" /\ Len(t.log) < MaxPosition
       /\ term' = [term EXCEPT ![e].log = longer]
       /\ log' = [log EXCEPT ![t.who] = longer]
       /\ UNCHANGED <<record, inc, promised, floor, durable, lost, committed, losses, changes>>

\* Commit: at W of the sync set, of the leader's own epoch, and in both sets while a change is asked for.
Commit(e, p) ==
    LET t == term[e] IN
    /\ t.phase = "active" /\ p > t.commit /\ p <= Len(t.log)
    /\ EpochAt(t.log, p) = e \/ Broken = "CommitOldEpoch"
    /\ IF Broken = "ShrinkWithoutSwap" /\ t.swap # "none" THEN HeldBy(e, t.pending, p)
       ELSE /\ HeldBy(e, t.config, p)
            /\ t.swap = "none" \/ Broken = "ChangeCountedOnceOnly" \/ HeldBy(e, t.pending, p)
    /\ Assert(BeginsWith(Prefix(t.log, p), committed) \/ BeginsWith(committed, Prefix(t.log, p)),
              "two leaders have committed different entries at one position")
    /\ committed' = IF p > Len(committed) THEN Prefix(t.log, p) ELSE committed
    /\ term' = [term EXCEPT ![e].commit = p]
    /\ UNCHANGED <<record, inc, promised, floor, durable, log, lost, losses, changes>>

\* A change is asked for only when what may be committed is committed in the new set too: what this leader has committed,
\* and what it took over.
Ask(e, m, i) ==
    LET t == term[e]
        grows == t.config[m] = 0
        wanted == [t.config EXCEPT ![m] = IF grows THEN i + 1 ELSE 0]
        base == IF Broken = "ChangeByCommitOnly" THEN t.commit ELSE Max(t.commit, t.adopted)
    IN /\ t.phase = "active" /\ t.swap = "none" /\ changes < MaxChanges /\ m # t.who
       /\ i \in (IF grows THEN 0 .. inc[m] ELSE {0})
       /\ HeldBy(e, wanted, base) \/ (grows /\ Broken = "GrowBeforeAck")
       /\ term' = [term EXCEPT ![e].pending = wanted, ![e].swap = "asked"]
       /\ changes' = changes + 1
       /\ UNCHANGED <<record, inc, promised, floor, durable, log, lost, committed, losses>>

CanApply(e) == /\ term[e].swap = "asked" /\ record.epoch = e /\ record.reserved = 0 /\ record.sync = term[e].config

\* The compare-and-swap takes effect, perhaps long after who asked for it is gone.
Apply(e) ==
    /\ CanApply(e)
    /\ record' = [record EXCEPT !.sync = term[e].pending]
    /\ term' = [term EXCEPT ![e].swap = "applied"]
    /\ UNCHANGED <<inc, promised, floor, durable, log, lost, committed, losses, changes>>

Learn(e) ==
    /\ term[e].phase = "active" /\ term[e].swap = "applied"
    /\ term' = [term EXCEPT ![e].config = term[e].pending, ![e].pending = Nobody, ![e].swap = "none"]
    /\ UNCHANGED <<record, inc, promised, floor, durable, log, lost, committed, losses, changes>>

---------------------------------------------------------------------------------------------------------------------------
\* Taking over

Reserve(e, m) ==
    /\ e = Max(record.epoch, record.reserved) + 1
    /\ Holds(record.sync, m)
    /\ record' = [record EXCEPT !.reserved = e]
    /\ term' = [Left(term, m, e) EXCEPT ![e] = [NoTerm EXCEPT !.phase = "fencing", !.who = m, !.config = record.sync]]
    /\ UNCHANGED <<inc, promised, floor, durable, log, lost, committed, losses, changes>>

\* A member promises, takes nothing older any more, and only then reports.
Fence(e, m) ==
    LET t == term[e]
        promises == m = t.who \/ Broken # "FenceWithoutPromise"
        shorter == IF Broken = "TruncateWhenFenced" /\ m # t.who THEN <<>> ELSE log[m]
        terms == IF promises THEN Promised(term, m, e) ELSE term
    IN /\ t.phase \in {"fencing", "adopted"} /\ m \notin t.answered /\ promised[m] <= e
       /\ IF Broken = "FenceAnyIncarnation" THEN t.config[m] # 0 ELSE Holds(t.config, m)
       /\ promised' = IF promises THEN [promised EXCEPT ![m] = e] ELSE promised
       /\ floor' = IF promises /\ (Broken # "FenceBeforeDead" \/ m = t.who) THEN [floor EXCEPT ![m] = e] ELSE floor
       /\ log' = [log EXCEPT ![m] = shorter]
       /\ term' = [terms EXCEPT ![e].answered = @ \cup {m},
                                ![e].reports[m] = IF t.phase = "fencing" THEN shorter ELSE @]
       /\ UNCHANGED <<record, inc, durable, lost, committed, losses, changes>>

Enough(e) == /\ term[e].phase = "fencing" /\ term[e].who \in term[e].answered
             /\ Cardinality(term[e].answered) >= FenceCount(term[e].config) - (IF Broken = "FenceTooFew" THEN 1 ELSE 0)

\* The highest (last epoch, last position) of those who answered; it is fetched, so it must still be there.
Adopt(e, best) ==
    LET t == term[e]
        adopted == t.reports[best]
    IN /\ Enough(e) /\ best \in t.answered
       /\ IF Broken = "AdoptShorterLog" THEN best = t.who ELSE \A m \in t.answered : ~Higher(t.reports[m], adopted)
       /\ BeginsWith(log[best], adopted)
       /\ durable' = [durable EXCEPT ![t.who] = Min(@, Common(log[t.who], adopted))]
       /\ log' = [log EXCEPT ![t.who] = adopted]
       /\ term' = [term EXCEPT ![e].phase = "adopted", ![e].log = adopted, ![e].adopted = Len(adopted)]
       /\ UNCHANGED <<record, inc, promised, floor, lost, committed, losses, changes>>

Activate(e) ==
    LET t == term[e]
        wanted == IF Cardinality(t.answered) >= Quorum(t.config) THEN t.config
                  ELSE [m \in Members |-> IF m \in t.answered THEN t.config[m] ELSE 0]
    IN /\ t.phase = "adopted" /\ record.reserved = e
       /\ HeldBy(e, wanted, t.adopted) \/ Broken = "ActivateBeforeSync"
       /\ Assert(BeginsWith(t.log, committed), "a leader has not what an earlier one has committed")
       /\ record' = [epoch |-> e, reserved |-> 0, sync |-> wanted]
       /\ term' = [term EXCEPT ![e].phase = "active", ![e].config = wanted]
       /\ UNCHANGED <<inc, promised, floor, durable, log, lost, committed, losses, changes>>

---------------------------------------------------------------------------------------------------------------------------
\* What arrives at a member of a leader or candidate, which may be over by then

Sent(e) == term[e].phase \in {"adopted", "active", "over"}
Hears(e, m) == /\ Sent(e) /\ m # term[e].who /\ floor[m] <= e
TermsHeard(e, m) == IF Broken = "PromiseOnlyWhenFenced" THEN Left(term, m, e) ELSE Promised(term, m, e)
PromiseHeard(e, m) ==
    IF Broken = "PromiseOnlyWhenFenced" THEN UNCHANGED <<promised, floor>>
    ELSE /\ promised' = [promised EXCEPT ![m] = Max(@, e)]
         /\ floor' = [floor EXCEPT ![m] = IF promised[m] < e THEN e ELSE @]

\* An entry that follows: it is taken and acknowledged.
Take(e, m) ==
    LET longer == log[m] \o <<term[e].log[Len(log[m]) + 1]>> IN
    /\ Hears(e, m) /\ Fits(log[m], term[e].log) /\ Len(log[m]) < Len(term[e].log)
    /\ PromiseHeard(e, m)
    /\ log' = [log EXCEPT ![m] = longer]
    /\ term' = Acked(TermsHeard(e, m), e, m, longer, durable[m])
    /\ UNCHANGED <<record, inc, durable, lost, committed, losses, changes>>

\* A heartbeat: acknowledged where the logs are seen to be equal.
Hear(e, m) ==
    /\ Hears(e, m)
    /\ PromiseHeard(e, m)
    /\ term' = IF Fits(log[m], term[e].log) \/ Broken = "AckUnverified"
               THEN Acked(TermsHeard(e, m), e, m, log[m], durable[m]) ELSE TermsHeard(e, m)
    /\ UNCHANGED <<record, inc, durable, log, lost, committed, losses, changes>>

\* A log that goes on otherwise is told how much of it stays, and which epoch the leader's next entry has.
SendCut(e, m) ==
    LET t == term[e]
        early == Broken = "CutWhileAdopting" /\ Enough(e) /\ m \in t.answered
        leaders == IF early THEN log[t.who] ELSE t.log
        to == Common(log[m], leaders)
    IN /\ (t.phase \in {"adopted", "active"} /\ promised[m] = e) \/ early
       /\ m # t.who /\ ~Fits(log[m], leaders)
       /\ term' = [term EXCEPT ![e].cuts[m] = @ \cup {<<to, EpochAt(leaders, to + 1)>>}]
       /\ UNCHANGED <<record, inc, promised, floor, durable, log, lost, committed, losses, changes>>

\* A cut that comes late, when that entry, or one that this leader made, has been taken, does nothing.
Cut(e, m, frame) ==
    LET mine == EpochAt(log[m], frame[1] + 1)
        to == IF Broken = "TruncateByCommit" THEN 0 ELSE frame[1]
    IN /\ floor[m] <= e /\ frame \in term[e].cuts[m] /\ frame[1] < Len(log[m])
       /\ Broken = "TruncateStale" \/ (mine # frame[2] /\ mine < e)
       /\ Assert(to >= Common(log[m], committed), "a committed entry has been cut")
       /\ log' = [log EXCEPT ![m] = Prefix(@, to)]
       /\ durable' = [durable EXCEPT ![m] = Min(@, to)]
       /\ promised' = [promised EXCEPT ![m] = Max(@, e)]
       /\ floor' = [floor EXCEPT ![m] = IF promised[m] < e THEN e ELSE @]
       /\ term' = Promised(term, m, e)
       /\ UNCHANGED <<record, inc, lost, committed, losses, changes>>

---------------------------------------------------------------------------------------------------------------------------
\* Restarts

\* The machine stops. Memory mode: any tail is lost, and the member counts its incarnation up. Durable mode: what was not
\* durable is lost, and the member vouches for the rest.
Lose(m, k) ==
    LET counts == ~Durable /\ Broken # "VouchAfterRestart" IN
    /\ losses < MaxLosses /\ k < Len(log[m]) /\ (Durable => k >= durable[m])
    /\ losses' = losses + 1
    /\ inc' = IF counts THEN [inc EXCEPT ![m] = @ + 1] ELSE inc
    /\ lost' = IF counts THEN [lost EXCEPT ![m] = log[m]] ELSE lost
    /\ log' = [log EXCEPT ![m] = Prefix(@, k)]
    /\ durable' = [durable EXCEPT ![m] = Min(@, k)]
    /\ term' = Left(term, m, MaxEpoch + 1)
    /\ UNCHANGED <<record, promised, floor, committed, changes>>

Store(m) ==
    /\ Durable /\ durable[m] < Len(log[m])
    /\ durable' = [durable EXCEPT ![m] = Len(log[m])]
    /\ UNCHANGED <<record, inc, promised, floor, log, lost, term, committed, losses, changes>>

\* Broken rules of a restart that loses nothing.
Forget(m) ==
    /\ Broken = "ForgetPromise" /\ promised[m] # 0
    /\ promised' = [promised EXCEPT ![m] = 0]
    /\ floor' = [floor EXCEPT ![m] = 0]
    /\ term' = Left(term, m, MaxEpoch + 1)
    /\ UNCHANGED <<record, inc, durable, log, lost, committed, losses, changes>>

LeadAgain(m) ==
    LET e == record.epoch IN
    /\ Broken = "LeadAgain" /\ term[e].phase = "over" /\ term[e].who = m /\ promised[m] <= e
    /\ term' = [term EXCEPT ![e] = [NoTerm EXCEPT !.phase = "active", !.who = m, !.log = log[m], !.adopted = Len(log[m]),
                                                  !.config = record.sync]]
    /\ UNCHANGED <<record, inc, promised, floor, durable, log, lost, committed, losses, changes>>

Next ==
    \/ \E e \in Epochs :
          \/ MakeEntry(e) \/ Apply(e) \/ Learn(e) \/ Activate(e)
          \/ \E p \in 1 .. MaxPosition : Commit(e, p)
          \/ \E m \in Members :
                \/ Reserve(e, m) \/ Fence(e, m) \/ Adopt(e, m) \/ Take(e, m) \/ Hear(e, m) \/ SendCut(e, m)
                \/ \E i \in 0 .. MaxLosses : Ask(e, m, i)
                \/ \E frame \in term[e].cuts[m] : Cut(e, m, frame)
    \/ \E m \in Members :
          \/ Store(m) \/ Forget(m) \/ LeadAgain(m)
          \/ \E k \in 0 .. MaxPosition - 1 : Lose(m, k)

Spec == Init /\ [][Next]_vars

---------------------------------------------------------------------------------------------------------------------------
\* What may never happen (and, as assertions above: two leaders commit different entries;
\* a leader lacks what was committed; a committed entry is cut)

\* In the record's sync set, W members have everything committed, as those that the record names.
CommittedAtQuorum ==
    Cardinality({m \in In(record.sync) : \/ Holds(record.sync, m) /\ BeginsWith(log[m], committed)
                                         \/ record.sync[m] = inc[m] /\ BeginsWith(lost[m], committed)})
        >= Quorum(record.sync)

\* Two logs that hold an entry of the same epoch at the same position are equal up to there.
LogsAgree == \A a, b \in Members : LET p == Common(log[a], log[b]) IN Prefix(log[a], p) = Prefix(log[b], p)

---------------------------------------------------------------------------------------------------------------------------
\* States that differ only in what can have no effect any more are one.

TermView(e) ==
    LET t == term[e]
        heard == \E m \in Members \ {t.who} : floor[m] <= e
        asked == CanApply(e)
    IN IF t.phase = "none" THEN <<"none">>
       ELSE IF t.phase = "over"
       THEN <<"over", IF heard \/ e = record.epoch THEN {t.who} ELSE {}, IF heard THEN t.log ELSE <<>>,
              IF asked THEN <<t.config, t.pending>> ELSE <<>>, [m \in Members |-> IF floor[m] <= e THEN t.cuts[m] ELSE {}]>>
       ELSE <<t.phase, t.who, t.adopted, t.commit, IF t.phase = "active" THEN {} ELSE t.answered,
              IF t.phase = "fencing" THEN t.reports ELSE <<>>, t.log, t.config, t.pending, t.swap, t.acked,
              [m \in Members |-> IF floor[m] <= e THEN t.cuts[m] ELSE {}]>>

Named(m) == \/ record.sync[m] = inc[m]
            \/ \E e \in Epochs : Alive(e) /\ (term[e].config[m] = inc[m] \/ term[e].pending[m] = inc[m]
                                               \/ \E i \in 0 .. MaxLosses : i < inc[m] /\ term[e].acked[m][i] > 0)
            \/ \E e \in Epochs : CanApply(e) /\ term[e].pending[m] = inc[m]

View == <<record, inc, promised, floor, durable, log, [m \in Members |-> IF Named(m) THEN lost[m] ELSE <<>>],
          [e \in Epochs |-> TermView(e)], committed, losses, changes>>

Symmetry == Permutations(Members)
===========================================================================================================================
