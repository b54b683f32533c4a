// Catalogue: every bench with its sentence, its picture and its workload; printed by --explain, repeated in docs/benchmarks.md (a test compares them).

export interface BenchEntry {
  /** As typed: verbex bench NAME. */
  readonly name: string;
  readonly sentence: string;
  /** The topology. */
  readonly picture: string;
  readonly workload: string;
  /** Options of `verbex bench` that it takes. */
  readonly options: readonly string[];
  /** Values that --case takes; empty: any, or none. */
  readonly cases: readonly string[];
}

export const catalogue: readonly BenchEntry[] = [
  {
    name: 'core',
    sentence: 'One thread matches, alone and with risk on.',
    picture: [
      'workload (memory) ──▶ [ book ] ──▶ events (a small ring, discarded)                          risk off',
      'workload (memory) ──▶ [ ids · accounts · holds ─▶ book ─▶ settlement, fees ] ──▶ events      risk on',
    ].join('\n'),
    workload:
      'W: 55% new (a tenth crossing), 10% IOC, 25% cancel, 10% move; W1k rests 1,000 orders, W50k 51,000, W100s 500 on each of 100 symbols. ' +
      "ec1k: exchange-core's generator with 1,000 resting orders. Three million operations, the median of five runs; service times from a further run.",
    options: ['case', 'operations', 'runs', 'seed'],
    cases: ['W1k', 'W50k', 'W100s', 'ec1k'],
  },
  {
    name: 'node',
    sentence: 'A whole node takes orders: as fast as it can, at a given rate, one at a time.',
    picture: [
      'producer and consumer, one thread          threads of the plan                                        beside them',
      'commands ──▶ [ command ring ] ──▶ 1 receive ▶ 2 append ▶ 3 execute ▶ 4 store ▶ 5 publish',
      'looked at ◀── [ event ring ] ◀──────────┘                                                             segment, sync',
    ].join('\n'),
    workload:
      'ec1k, two million commands, risk on, 2,000 accounts, a fresh node for every run, tables touched beforehand; journal off, async, durable. ' +
      'whole: commands a second at saturation, and the latencies of an open loop at --rate; load: the open loop at each of --rates; closed: one command at a time.',
    options: ['case', 'plan', 'journal', 'rate', 'rates', 'operations', 'runs', 'seconds', 'seed', 'dir'],
    cases: ['all', 'whole', 'load', 'closed'],
  },
  {
    name: 'ring',
    sentence: 'Cells are handed from thread to thread.',
    picture: [
      'P ──▶ [ ring ] ──▶ C                       1→1',
      'P ──▶ [ ring ] ──▶ S1 ──▶ S2 ──▶ S3        1→3, a chain: each sees a cell after the one before',
      'P1 P2 P3 ──▶ [ ring ] ──▶ C                3→1',
      'A ──▶ [ ring ] ──▶ B ──▶ [ ring ] ──▶ A    there and back, one cell under way',
    ].join('\n'),
    workload:
      'Cells of 128 and of 64 bytes, written by the producer and read by every stage; nothing is pinned.',
    options: ['case', 'operations', 'runs', 'seed', 'batch'],
    cases: [],
  },
  {
    name: 'api',
    sentence: 'TypeScript offers orders in batches and takes their events.',
    picture: [
      'JavaScript thread                                              engine thread',
      'rows ──▶ batch of 1, 16, 256, 4096 ── offer ──▶ [ command ring ] ──▶ execute, risk on',
      'callback ◀── history ◀────────────────────────── [ event ring ] ◀──────┘',
    ].join('\n'),
    workload:
      'One instrument with some 1,000 resting orders, 100 accounts, in memory: new 50%, cancel 45%, IOC 5%. Lane cells: integers in, cells out; lane objects: texts in, ' +
      'decoded events out. saturated: orders a second, and the latencies of an open loop at --rate, due batch by batch; closed: one batch at a time.',
    options: ['lane', 'batches', 'rate', 'operations', 'runs', 'seed'],
    cases: [],
  },
  {
    name: 'edges',
    sentence: 'Signed orders come over HTTP, and the WebSocket stream shows them.',
    picture: [
      'client process                               node process (verbex run)',
      'sign ──▶ [ 32 connections ] ── HTTP ──▶ check ▶ Exchange.submit ▶ engine ▶ answer ──▶ 201',
      '[ stream, channel orders ] ◀── WebSocket ──────────────────────────┘',
    ].join('\n'),
    workload:
      'New limit orders that rest on 1,000 prices a side, 8 accounts with a key each, over loopback without TLS. closed: each connection sends when it was answered; load: orders due at ' +
      'each of --rates; stream: the same until the owner has seen the order on the WebSocket. Orders cannot be entered over the WebSocket.',
    options: ['rates', 'connections', 'seconds', 'journal', 'dir'],
    cases: [],
  },
  {
    name: 'bus',
    sentence: 'Messages go between two processes over each transport, with the bus and without.',
    picture: [
      'process A                                          process B',
      'Publication ──▶ history ──▶ [ link ] ──▶ Subscription ┐           bus: positions, windows, resume',
      'Subscription ◀───────────── [ link ] ◀── Publication ◀┘           link: the transport alone, checked frames',
      '[ bare ring | bare socket | ib_write_lat, ib_write_bw ]           reference, in the same run',
    ].join('\n'),
    workload:
      'Messages of 64, 256 and 1,024 bytes over shm, tcp and verbs; both ends look without sleeping. A round trip with one message under way, then --messages one way in batches of 64. ' +
      'Reference, link and bus take turns; the ratio is that of the median round trips (perftest reports half of one: doubled). Without an RDMA device, verbs and its reference run in the emulated soft-RoCE machine.',
    options: ['transport', 'bytes', 'rounds', 'messages', 'runs'],
    cases: [],
  },
  {
    name: 'gateway',
    sentence: 'Clients of OUCH 5.0 send orders over TCP, beside a bare epoll echo server.',
    picture: [
      'client process                 this process',
      'N sessions ──▶ TCP ──▶ [ gateways: epoll, OUCH, store ] ──▶ [ command ring ] ──▶ engine: risk on, journal async',
      'N sessions ◀── TCP ◀── [          writev             ] ◀── [ event ring   ] ◀──┘',
      'N sockets  ◀─▶ TCP ◀─▶ [ epoll, recv, send ]             reference, messages of the same size, in the same run',
    ].join('\n'),
    workload:
      'New day orders of one instrument, both sides at five prices around a middle, so that most of them trade, and a tenth as many cancels; one account a session. saturated: every connection keeps --window orders in flight; ' +
      'at a rate: planned times, the round trip from the plan to the Accepted; half of them stalled: by half of the connections, while the others have sent --window orders and stopped reading. shared: the gateways on the engine’s thread; own: on a thread of their own; busy: it never sleeps. offeredPerSecond 0: as much as it takes. ' +
      'syscallsPerOrder counts every system call of the gateways’ thread; cases and the reference take turns, a figure is the median of the runs.',
    options: ['connections', 'rate', 'window', 'seconds', 'runs', 'dir'],
    cases: [],
  },
  {
    name: 'fanout',
    sentence: 'Events are routed to gateways in other processes: what one more of them costs the engine.',
    picture: [
      'orders of 64 sessions ──▶ events ──▶ EventRouter ──▶ BusOutlet ──▶ shm ──▶ gateway 1 (a process)',
      '                                             └───▶ BusOutlet ──▶ shm ──▶ gateway 2 …',
    ].join('\n'),
    workload:
      'Sessions spread over 1, 2, 4 and 8 gateways; an order is accepted, every tenth trades with an order of any other session. ' +
      "Processor time of the engine's thread in batches of 256 orders: routing, writing to the outlets, one round of the bus; waiting for gateways is not counted. Counts of gateways take turns.",
    options: ['operations', 'runs', 'seed'],
    cases: [],
  },
  {
    name: 'cluster',
    sentence:
      'A cluster of 1, 2 and 3 members takes orders, loses its leader, and opens its directory again.',
    picture: [
      'client ──Submit──▶ leader ──Append──▶ member 2, member 3     every member: journal, risk, matching, result hash',
      '   ◀──Events──  THE PUBLISH BARRIER ◀──Ack, hash──',
    ].join('\n'),
    workload:
      'Members are threads with links between them as between processes; the client is one more. Orders of 64 accounts on four instruments around a middle price, each counted when the last event of its command is back: stored, executed, committed by a majority, voted. ordersPerSecond: --window in flight, without the first quarter, which touches memory for the first time; p50Us and the rest: at --rate, from the first sending. ofOneMember compares with one member in the same run. takeoverMs: the longest time without an answer when the leader stops where it stands; recoveryMs: to open its directory again. logRecoveryMs and logJoinMs: to open a log of --orders orders again, and to bring a member with an empty directory level with it; snapshotRecoveryMs and snapshotJoinMs: the same with a snapshot at every eighth of it, and the log pruned behind them; logCommands: how long that log is. Cases take turns; a figure is the median of the runs. --transport verbs has to be asked for: without an RDMA device it runs in the emulated soft-RoCE machine, with few orders and without --rate, takeover and recovery unless the options say otherwise.',
    options: ['orders', 'rate', 'window', 'runs', 'members', 'acknowledge', 'transport', 'dir'],
    cases: [],
  },
  {
    name: 'warm',
    sentence:
      'A warm member of a cluster stops, is away, and comes back, under load; then it takes the place of a hot one.',
    picture: [
      'client ──Submit──▶ leader ──Append──▶ hot member     their acknowledgements count',
      '   ◀──Events──        │',
      '                      └────Append──▶ warm member     never counted: here, away, coming back, in turns',
    ].join('\n'),
    workload:
      'Two hot members and a warm one, threads with links between them as between processes, over tcp; orders as of bench cluster, at --rate, each counted when the last event of its command is back. A run is four phases of --seconds each: the warm member is there, is stopped, has been started again at the beginning of the phase and catches up, and is there again. Figures are medians of the phases of one kind; p50OfHere and p99OfHere compare a phase with the first of its run, so those of the last phase say how far apart two equal phases are; load is the one-minute load average when they ended. Threads of the idle class keep all processors awake: they sleep the deeper the less there is to do, so that a member less would seem to make the others slower; with --processors sleepy they may. Members wait five seconds for a silent one meanwhile, or a pause of the machine would make the warm one hot. In the end, in a cluster with the usual times, the hot member that does not lead is stopped where it stands: replacedMs is how long it takes until the warm one is in the sync set instead, silentMs the longest time without an answer meanwhile. --seconds 60 is a minute away.',
    options: ['rate', 'seconds', 'runs', 'processors', 'dir'],
    cases: [],
  },
  {
    name: 'roles',
    sentence: 'Risk and matching as processes of their own take the orders of one process.',
    picture: [
      'client ──Submit──▶ sequencer ──Validate──▶ risk    ──Match──▶ matching     one process: a member alone, one core',
      '   ◀──Events──                ◀──Decided──         ◀──Matched──',
    ].join('\n'),
    workload:
      'One sequencer with 1 risk and 1 matching process, and with 2 of each, against one process, over tcp and shm. Every role is a thread with links between them as between processes, and, in the cases called processes, a process of its own with the hosts that `verbex role` starts; the client is one more, with --window orders in flight, each counted when the last event of its command is back; with --market so many of a hundred are market orders, for each of which the line stands still; with --snapshots every process keeps snapshots. ofOneProcess compares with one process over the same transport in the same run. On fewer cores than roles it shows what the hops cost, not what the shards win. Cases take turns; a figure is the median of the runs.',
    options: ['orders', 'window', 'market', 'snapshots', 'runs', 'dir'],
    cases: [],
  },
  {
    name: 'sequencer',
    sentence:
      'The sequencer of a pair that leads is lost; and everybody starts anew: how long does nobody trade?',
    picture: [
      'client ──Submit──▶ sequencer 1 ──▶ risk, matching     filled: a log of so many orders',
      '                   sequencer 2 (has the log)          takeover: 1 stops where it stands ─▶ 2 takes orders',
      '                                                      start: all of them are opened again ─▶ one takes orders',
    ].join('\n'),
    workload:
      'Two sequencers, one risk and one matching process, threads of one process with links between them as between processes, over tcp, every one with snapshots each --snapshots commands. The log grows to a quarter of --orders, half of them, all, and every 250,000 of them a day ends, so that client ids are forgotten; each time the sequencer that leads is stopped where it stands, and then all are closed and opened again. takeoverMs and startMs: until a sequencer takes orders, the 120 ms that a silent one is given among them; verifiedMs: of the start, until both have read and checked their journals; Replayed: the commands of its log that the one that led then had still to replay; snapshotBytes: of the newest snapshot before. All share the processors of one machine: a start on hosts of their own costs less. Medians of the runs.',
    options: ['orders', 'snapshots', 'runs', 'dir'],
    cases: [],
  },
  {
    name: 'journal',
    sentence: "The journal's writer stores batches.",
    picture:
      'encoded commands ──▶ append(): checksum, chain, copy ──▶ [ staging ] ──▶ commit(): one write ──▶ segment, zeroed ahead',
    workload:
      'Batches of 1, 16, 256, 1,024 commands of 64 bytes, the next one when the last one is stored; async: the operating system has it, durable: the disk has it.',
    options: ['journal', 'operations', 'seconds', 'dir'],
    cases: [],
  },
  {
    name: 'snapshot',
    sentence: 'A snapshot of a million resting orders is made beside the engine.',
    picture: [
      'producer and consumer     engine thread                        snapshot thread, niceness 10',
      'commands ──▶ [ ring ] ──▶ steps, each looked at ──▶ mark ──▶ replays into a shadow core ▶ compares ▶ writes ▶ reads back',
    ].join('\n'),
    workload:
      'A node with --orders resting orders, async, under --rate commands a second; windows with and without a snapshot take turns. The longest step of a window, median and worst.',
    options: ['orders', 'rate', 'runs', 'seed', 'dir'],
    cases: [],
  },
  {
    name: 'recovery',
    sentence:
      'A folder is recovered from its journal alone, from a snapshot, and anew from a journal elsewhere.',
    picture: [
      'segments (page cache) ──▶ verify ▶ decode ▶ [ core, risk on ] ──▶ state                journal alone',
      'snapshot ──▶ [ core ] ◀── the journal behind it                                        snapshot at nine tenths',
      'segments elsewhere ──▶ verify ▶ read, compare ──▶ [ core ], a new journal              one source, or two',
    ].join('\n'),
    workload:
      'A million commands of one instrument, journaled async, the node stopped as a crash leaves it. What is made anew ends durable.',
    options: ['operations', 'runs', 'seed', 'dir'],
    cases: [],
  },
  {
    name: 'scale',
    sentence: 'More orders, accounts and instruments: what a command costs then, and what memory each takes.',
    picture: 'workload (memory) ──▶ [ core, risk on, of a given size ] ──▶ events (a small ring, discarded)',
    workload:
      'One size grows, the others stay: 1,000 to 1,000,000 resting orders, 1,000 to 1,000,000 accounts, 1 to 10,000 instruments. New 50%, cancel 45%, IOC 5%, spread evenly. ' +
      'Memory: what the process has resident after filling less what it had before, a resting order with its book and id tables, an account with two balances.',
    options: ['case', 'operations', 'runs', 'seed', 'largest'],
    cases: ['all', 'orders', 'accounts', 'instruments', 'memory'],
  },
  {
    name: 'presets',
    sentence: "The core takes the presets of exchange-core's generator, as far as memory allows.",
    picture: 'generator (memory) ──▶ [ core, risk on ] ──▶ events (a small ring, discarded)',
    workload:
      'single 3M commands / 1k resting orders / 2k accounts / 1 symbol, peak 3M/10k/10k/100, medium 3M/1M/3.3M/10k, large 3M/3M/10M/50k, huge 10M/30M/33M/100k. What does not fit into memory is ' +
      'made smaller, all counts by the same share, and each case says what was left out.',
    options: ['case', 'operations', 'runs', 'seed', 'memory'],
    cases: ['all', 'single', 'peak', 'medium', 'large', 'huge'],
  },
];

export function entryOf(name: string): BenchEntry | undefined {
  return catalogue.find((entry) => entry.name === name);
}

/** What --explain prints. */
export function explained({ name, sentence, picture, workload, cases }: BenchEntry): string {
  const only = cases.length === 0 ? '' : `\n\n--case: ${cases.join(', ')}`;
  return `${name}: ${sentence}\n\n${picture
    .split('\n')
    .map((line) => `  ${line}`)
    .join('\n')}\n\nWorkload. ${workload}${only}`;
}
