// Which room of src/ may know which.
import { posix } from 'node:path';
import { findCycle, type SourceFile } from './files.ts';

const ground = ['errors', 'decimal'];
const edges = ['replay', 'edges', 'demo', 'bench'];

/** src/ from the ground up. A room may always know itself; a file directly in src/ counts as room `.`. */
export const sourceArrows: Readonly<Record<string, readonly string[]>> = {
  // One class family with stable codes, which every other room throws.
  errors: [],
  // Decimal text to units and back: knows nothing of exchanges.
  decimal: ['errors'],
  // The bytes of commands and events as native/wire lays them out.
  wire: ground,
  // The addon's loader and its functions' types.
  native: [...ground, 'wire'],
  // Exchange: what a user of the package holds in hand.
  api: [...ground, 'wire', 'native'],
  // Streams between processes: usable without an exchange, so it knows none.
  bus: [...ground, 'native'],
  // Clients of the gateways and the feed, in the field's own protocols: usable alone, so they know no engine and no addon.
  clients: ground,
  // The members of a cluster, their control store, and whoever starts and watches them: the exchange itself is native, in each member.
  cluster: [...ground, 'native'],
  // What gateways have kept, read without them.
  gateway: ground,
  // The visible book rebuilt from events alone: what any consumer of the stream can know.
  mirror: [...ground, 'api'],
  // Users of the public API, like anybody else, and strangers to each other.
  replay: [...ground, 'api', 'mirror'],
  edges: [...ground, 'api', 'mirror'],
  demo: [...ground, 'api', 'mirror'],
  bench: [...ground, 'wire', 'native', 'api'],
  // Shows all of them.
  console: [...ground, 'api', 'mirror', ...edges],
  // The command line wires them; nobody knows it.
  cli: [...ground, 'wire', 'native', 'api', 'bus', 'gateway', 'cluster', 'mirror', ...edges, 'console'],
  // src/index.ts: what the package exports.
  '.': [...ground, 'api', 'bus', 'clients', 'mirror', 'replay', 'edges'],
};

/** Relative imports, exports-from and dynamic imports; types count too, since an arrow is an arrow. */
export function importsOf(text: string): string[] {
  const statement =
    /^\s*(?:import|export)\b[^;'"]*?\bfrom\s*['"](\.[^'"]*)['"]|^\s*import\s*['"](\.[^'"]*)['"]/gm;
  const dynamic = /\bimport\(\s*['"](\.[^'"]*)['"]/g;
  return [...text.matchAll(statement), ...text.matchAll(dynamic)].map((match) => match[1] ?? match[2] ?? '');
}

function roomOf(path: string): string {
  const parts = path.split('/');
  return parts.length > 2 ? (parts[1] ?? '') : '.';
}

/** Everything that is wrong in the given files, one sentence each. */
export function checkSource(files: readonly SourceFile[]): string[] {
  const paths = new Set(files.map(({ path }) => path));
  const wrong: string[] = [];
  const graph = new Map<string, string[]>();
  for (const { path, text } of files) {
    const room = roomOf(path);
    const allowed = sourceArrows[room];
    if (allowed === undefined) {
      wrong.push(`${path}: ${room} is not a room of src/`);
      continue;
    }
    const targets: string[] = [];
    graph.set(path, targets);
    for (const target of importsOf(text)) {
      const resolved = posix.join(posix.dirname(path), target);
      const other = roomOf(resolved);
      targets.push(resolved);
      if (!resolved.startsWith('src/')) wrong.push(`${path}: leaves src/: ${target}`);
      else if (!paths.has(resolved)) wrong.push(`${path}: there is no ${resolved}`);
      else if (other !== room && !allowed.includes(other))
        wrong.push(`${path}: ${room} may not know ${other}: ${target}`);
    }
  }
  const cycle = findCycle(graph);
  if (cycle !== undefined) wrong.push(`imports run in a circle: ${cycle.join(' → ')}`);
  return wrong;
}
