// switchSite: the active site is fenced, the standby gets everything that the fenced one has released, and is activated.
//
//   A active ──fenceSite──▶ A fenced, its last position and result known
//                              │ bridge
//   B standby ────────────── until B has released the same position with the same result ──activateSite──▶ B active
//
// Each step may be repeated: whoever is interrupted runs it again. Never are both active: B is told only after A has said that it is fenced,
// but where an operator says that A is lost.
import { setTimeout as sleep } from 'node:timers/promises';
import { ClusterError } from '../errors/errors.ts';
import type { OperatorWord } from '../native/cluster-types.ts';
import type { ClusterAdmin } from './cluster-admin.ts';
import { leaderOf, type MemberStatus } from './member-status.ts';

const lookMs = 20;
const sayMs = 1000;

export interface SwitchPlan {
  /** For each of the steps. */
  readonly timeoutMs: number;
  readonly say: (sentence: string) => void;
}

export interface SwitchResult {
  /** The last position that is common to both; of a lost source: the last that the target has. */
  readonly position: string;
  readonly resultHash: string;
  readonly leader: number;
  readonly epoch: string;
  readonly lost: boolean;
  /** From the fence to a site that serves. */
  readonly tookMs: number;
}

type Site = MemberStatus['site'];

/** What the latest record says that anybody who answers has seen. */
function siteOf(statuses: readonly MemberStatus[]): Site | undefined {
  return statuses.reduce<MemberStatus | undefined>(
    (most, one) => (most === undefined || BigInt(one.revision) > BigInt(most.revision) ? one : most),
    undefined,
  )?.site;
}

/** Tells it to the leader, or where nobody leads to whoever takes it, until the record says so. */
export async function becomeSite(
  cluster: ClusterAdmin,
  site: Site,
  timeoutMs: number,
): Promise<MemberStatus[]> {
  const words: Record<Site, OperatorWord> = {
    active: 'activateSite',
    standby: 'standbySite',
    fenced: 'fenceSite',
  };
  let refused: unknown = new ClusterError('NO_LEADER', `nobody of ${cluster.description.name} answers`);
  for (const until = performance.now() + timeoutMs; performance.now() < until; await sleep(lookMs)) {
    const statuses = await cluster.statuses();
    if (siteOf(statuses) === site) return statuses;
    const told = leaderOf(statuses) ?? statuses.find(({ halted }) => halted === '') ?? statuses[0];
    if (told === undefined) continue;
    try {
      await cluster.tell(told.id, words[site]);
    } catch (error) {
      // Commands under way, another leader by now: the next look says.
      refused = error;
    }
  }
  throw refused;
}

/** Without a source, which cannot be asked, the target goes on from what it has. */
export async function switchSite(
  source: ClusterAdmin | undefined,
  target: ClusterAdmin,
  { timeoutMs, say }: SwitchPlan,
): Promise<SwitchResult> {
  const started = performance.now();
  const before = siteOf(await target.statuses());
  if (before === undefined)
    throw new ClusterError('NO_LEADER', `nobody of ${target.description.name} answers`);
  const last = source === undefined ? undefined : await fence(source, timeoutMs);
  if (last !== undefined) say(`${source?.description.name} is fenced at position ${last.position}`);
  const caught = before === 'active' ? undefined : await catchUp(target, last, timeoutMs, say);
  await becomeSite(target, 'active', timeoutMs);
  const leader = await serving(target, timeoutMs);
  const end = last ?? caught ?? leader;
  return {
    position: end.position,
    resultHash: end.resultHash,
    leader: leader.id,
    epoch: leader.epoch,
    lost: source === undefined,
    tookMs: Math.round(performance.now() - started),
  };
}

/** Answers where the source ended. Throws NO_LEADER where nobody leads it that could say. */
async function fence(source: ClusterAdmin, timeoutMs: number): Promise<MemberStatus> {
  const first = await source.statuses();
  if (siteOf(first) !== 'fenced' && leaderOf(first) === undefined)
    throw new ClusterError(
      'NO_LEADER',
      `nobody leads ${source.description.name}: bring it back, or switch with --lost to go on from what the other site has`,
    );
  await becomeSite(source, 'fenced', timeoutMs);
  let statuses: MemberStatus[] = [];
  for (const until = performance.now() + timeoutMs; performance.now() < until; await sleep(lookMs)) {
    statuses = await source.statuses();
    // Nobody leads any more, so positions stand; the one that has released most was the leader, or is as far.
    if (siteOf(statuses) !== 'fenced' || leaderOf(statuses) !== undefined) continue;
    const most = statuses.reduce((one, two) => (BigInt(two.released) > BigInt(one.released) ? two : one));
    if (most.released === most.position) return most;
  }
  const said = statuses.map(
    ({ id, released, position }) => `member ${id} at ${position}, released ${released}`,
  );
  throw new ClusterError(
    'SITE_BEHIND',
    `the fenced site has entries that nobody released: ${said.join('; ')}`,
  );
}

async function catchUp(
  target: ClusterAdmin,
  last: MemberStatus | undefined,
  timeoutMs: number,
  say: (sentence: string) => void,
): Promise<MemberStatus> {
  let saidAt = 0;
  let at = '0';
  for (const until = performance.now() + timeoutMs; performance.now() < until; await sleep(lookMs)) {
    const leader = leaderOf(await target.statuses());
    if (leader === undefined) continue;
    at = leader.released;
    // What it has taken over, and nothing of its own epoch behind it, is at a quorum: the activation commits it.
    const takenOver = leader.lastEpoch !== leader.epoch;
    if (takenOver) at = leader.position;
    const whole = at === leader.position;
    if (last === undefined) {
      if (whole) return leader;
    } else if (BigInt(at) > BigInt(last.position) || (whole && at === last.position)) {
      if (at === last.position && leader.resultHash === last.resultHash) return leader;
      throw new ClusterError(
        'SITES_DIFFER',
        `position ${last.position} has the result ${last.resultHash} at ${source(last)}, ${leader.resultHash} at position ${at} of the other site`,
      );
    }
    if (performance.now() - saidAt > sayMs) {
      say(
        `${target.description.name} is at position ${at}${last === undefined ? '' : ` of ${last.position}`}`,
      );
      saidAt = performance.now();
    }
  }
  throw new ClusterError(
    'SITE_BEHIND',
    `${target.description.name} is at position ${at}${last === undefined ? '' : ` of ${last.position}`}: is the bridge running? Run this again, nothing is lost meanwhile`,
  );
}

function source({ id }: MemberStatus): string {
  return `member ${id} of the fenced site`;
}

/** Somebody leads the active site. */
async function serving(target: ClusterAdmin, timeoutMs: number): Promise<MemberStatus> {
  for (const until = performance.now() + timeoutMs; performance.now() < until; await sleep(lookMs)) {
    const leader = leaderOf(await target.statuses());
    if (leader?.site === 'active') return leader;
  }
  throw new ClusterError('NO_LEADER', `nobody leads ${target.description.name} after it was activated`);
}
