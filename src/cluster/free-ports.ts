// Ports of this machine that nobody has at the moment, and that nobody gets by chance: the system gives connections their own ends from a
// range, and one of those could sit on a member's port while the member is down.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';

const lowest = 10_000;
const highest = 65_535;
const attemptsMax = 1000;

/** Ports below or above the system's own range, whichever are more. */
function ownRange(): readonly [from: number, to: number] {
  let [first, last] = [32_768, 60_999];
  try {
    const text = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8');
    [first = first, last = last] = text.trim().split(/\s+/).map(Number);
  } catch {
    // The kernel's default, then.
  }
  const below = first - lowest;
  const above = highest - last;
  if (Math.max(below, above) < 100) return [lowest, highest];
  return below >= above ? [lowest, first - 1] : [last + 1, highest];
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
  } catch {
    return false;
  }
  server.close();
  await once(server, 'close');
  return true;
}

export async function freePorts(count: number): Promise<number[]> {
  const [from, to] = ownRange();
  const found = new Set<number>();
  for (let attempt = 0; found.size < count && attempt < attemptsMax; attempt += 1) {
    const port = from + Math.floor(Math.random() * (to - from + 1));
    if (!found.has(port) && (await isFree(port))) found.add(port);
  }
  if (found.size < count) throw new Error(`there are no ${count} free ports from ${from} to ${to}`);
  return [...found];
}
