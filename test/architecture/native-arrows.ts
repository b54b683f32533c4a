// Which native room may know which, and what a room may reach outside of native/.
import { codeOnly, findCycle, type SourceFile } from './files.ts';

const belowNode = [
  ...['base', 'wire', 'book', 'risk', 'core', 'pipeline', 'journal'],
  ...['transport', 'bus', 'replication', 'roles', 'session', 'gateway', 'feed'],
];

/** The arrows of the design. A room may always know itself. */
export const nativeArrows: Readonly<Record<string, readonly string[]>> = {
  // Numbers, checks, containers: the ground.
  base: [],
  // The bytes of commands and events.
  wire: ['base'],
  // Books and holds do not know each other: the core brings them together.
  book: ['base', 'wire'],
  risk: ['base', 'wire'],
  core: ['base', 'wire', 'book', 'risk'],
  // These three move or keep bytes whose meaning is not their business.
  pipeline: ['base'],
  journal: ['base'],
  transport: ['base'],
  // One interface over the transports.
  bus: ['base', 'transport'],
  // The core as a state machine, the journal as its log, frames to peers as an interface.
  replication: ['base', 'wire', 'core', 'journal', 'transport', 'bus'],
  // A core in parts, each driven by frames, and the log of a member as their journal.
  roles: ['base', 'wire', 'core', 'journal', 'replication'],
  // A client's connection, whatever it talks about.
  session: ['base', 'transport'],
  // What comes in and goes out in native protocols.
  gateway: ['base', 'wire', 'transport', 'session', 'bus'],
  feed: ['base', 'wire', 'transport', 'session'],
  // The other side: clients that drive a gateway or a cluster and keep a ledger.
  load: ['base', 'wire', 'core', 'pipeline', 'transport', 'session', 'gateway', 'replication'],
  // Runs everything below the node in simulated surroundings.
  sim: belowNode.filter((room) => room !== 'roles'),
  // Wires the real surroundings.
  node: belowNode,
  // The only place that knows Node.
  addon: [...belowNode, 'load', 'sim', 'node'],
};

/** Rooms that are a pure function: no socket, file, thread, clock, random number or floating point. */
const pureRooms = ['base', 'wire', 'book', 'risk', 'core'];
const exactRooms = [...pureRooms, 'journal'];

/** What a pure room may use all the same, file by file. */
const exceptions: Readonly<Record<string, string>> = {
  // Asks whether the processor has CRC instructions: picks the way to the result, never the result.
  'native/base/crc32c.cpp': 'sys/auxv.h',
  // Asks for zeroed memory in huge pages: where bytes lie, never what they say.
  'native/base/zeroed_array.h': 'sys/mman.h',
};

const nodeHeaders = /^(node_api|js_native_api|node_api_types|napi|napi-inl|node|uv|v8)\.h$/;
const impureHeaders =
  /^(iostream|fstream|thread|chrono|random|mutex|condition_variable|future|filesystem|locale|ctime|cmath|time\.h|math\.h|unistd\.h|fcntl\.h|pthread\.h|netdb\.h|poll\.h|sys\/.*|netinet\/.*|arpa\/.*)$/;
const impureWords = /\b(?:std::)?(?:rand|srand|random_device|getrandom|clock_gettime|gettimeofday)\s*\(/;
const floatingPoint = /\b(?:float|double)\b/;

interface Include {
  readonly target: string;
  readonly quoted: boolean;
  readonly line: number;
}

export function includesOf(text: string): Include[] {
  return text.split('\n').flatMap((line, index) => {
    const match = /^\s*#\s*include\s*(["<])([^">]+)[">]/.exec(line);
    return match === null ? [] : [{ target: match[2] ?? '', quoted: match[1] === '"', line: index + 1 }];
  });
}

/** Everything that is wrong in the given files, one sentence each. */
export function checkNative(files: readonly SourceFile[]): string[] {
  const paths = new Set(files.map(({ path }) => path));
  const wrong: string[] = [];
  const graph = new Map<string, string[]>();
  for (const { path, text } of files) {
    const room = path.split('/')[1] ?? '';
    const allowed = nativeArrows[room];
    if (allowed === undefined) {
      wrong.push(`${path}: ${room} is not a room of the design`);
      continue;
    }
    const targets: string[] = [];
    graph.set(path, targets);
    for (const { target, quoted, line } of includesOf(text)) {
      const at = `${path}:${line}`;
      if (!quoted) {
        if (nodeHeaders.test(target) && room !== 'addon')
          wrong.push(`${at}: only addon knows Node: <${target}>`);
        if (impureHeaders.test(target) && pureRooms.includes(room) && exceptions[path] !== target) {
          wrong.push(`${at}: ${room} is a pure room and may not use <${target}>`);
        }
        continue;
      }
      const other = target.split('/')[0] ?? '';
      if (!paths.has(`native/${target}`)) wrong.push(`${at}: there is no native/${target}`);
      else if (other !== room && !allowed.includes(other))
        wrong.push(`${at}: ${room} may not know ${other}: ${target}`);
      targets.push(`native/${target}`);
    }
    for (const [index, line] of codeOnly(text).split('\n').entries()) {
      const at = `${path}:${index + 1}`;
      if (pureRooms.includes(room) && impureWords.test(line))
        wrong.push(`${at}: a clock or random number in ${room}`);
      if (exactRooms.includes(room) && floatingPoint.test(line))
        wrong.push(`${at}: floating point in ${room}`);
    }
  }
  const cycle = findCycle(graph);
  if (cycle !== undefined) wrong.push(`includes run in a circle: ${cycle.join(' → ')}`);
  return wrong;
}

/** The rooms as native/CMakeLists.txt links them: `verbex_room(book base wire)`. */
export function roomsOfCMake(text: string): Record<string, string[]> {
  const calls = [...text.matchAll(/^verbex_room\(([^)]*)\)/gm)].map(([, words]) =>
    (words ?? '').split(/\s+/),
  );
  return Object.fromEntries(calls.map(([room, ...others]) => [room, others]));
}
