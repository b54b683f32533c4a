// ClusterAdmin: all members of a cluster by their admin ports, wherever they run.
import { setTimeout as sleep } from 'node:timers/promises';
import { ClusterError } from '../errors/errors.ts';
import type { OperatorWord } from '../native/cluster-types.ts';
import { AdminClient } from './admin.ts';
import { type ClusterDescription, memberOf, secretOf } from './description.ts';
import { leaderOf, type MemberStatus } from './member-status.ts';

const lookMs = 20;
const refusedMsMax = 3000;
const forceMsMax = 10_000;
const forceTakesMs = 2000;
const foundMsMax = 10_000;

export class ClusterAdmin {
  readonly description: ClusterDescription;
  readonly #clients: ReadonlyMap<number, AdminClient>;

  constructor(description: ClusterDescription) {
    this.description = description;
    const { adminTokenFile, members } = description;
    const token = adminTokenFile === undefined ? undefined : secretOf(adminTokenFile);
    this.#clients = new Map(members.map((member) => [member.id, new AdminClient(member, token)]));
  }

  get ids(): readonly number[] {
    return [...this.#clients.keys()];
  }

  /** Undefined: it does not answer. */
  async statusOf(id: number, timeoutMs = 300): Promise<MemberStatus | undefined> {
    return await this.#clients
      .get(id)!
      .status(timeoutMs)
      .catch(() => undefined);
  }

  /** Of those that answer. */
  async statuses(timeoutMs = 300): Promise<MemberStatus[]> {
    const found = await Promise.all(this.ids.map((id) => this.statusOf(id, timeoutMs)));
    return found.filter((status) => status !== undefined);
  }

  /** Undefined: nobody that answers says that it leads. */
  async leader(timeoutMs = 300): Promise<number | undefined> {
    return leaderOf(await this.statuses(timeoutMs))?.id;
  }

  /** To the member itself. Throws OPERATOR_REFUSED and MEMBER_UNREACHABLE. */
  async tell(id: number, word: OperatorWord, about = 0): Promise<void> {
    memberOf(this.description, id);
    await this.#clients.get(id)!.operator(word, about);
  }

  /** Whoever leads, or will in a moment: a takeover is no reason to send somebody away. Throws NO_LEADER. */
  async someLeader(withinMs = 5000): Promise<number> {
    for (const until = performance.now() + withinMs; performance.now() < until; await sleep(lookMs)) {
      const leader = await this.leader();
      if (leader !== undefined) return leader;
    }
    throw new ClusterError('NO_LEADER', `nobody leads ${this.description.name} at the moment`);
  }

  /**
   * To whoever leads; answers who that was. A word that is refused is said again for a while: another change of the record, or a takeover, may
   * be under way. Throws NO_LEADER, and OPERATOR_REFUSED with the last reason.
   */
  async tellLeader(word: OperatorWord, about: number): Promise<number> {
    memberOf(this.description, about);
    for (const until = performance.now() + refusedMsMax; ; await sleep(lookMs)) {
      const leader = await this.someLeader();
      try {
        await this.tell(leader, word, about);
        return leader;
      } catch (error) {
        const { code, details } = error as ClusterError;
        const mayPass = code === 'OPERATOR_REFUSED' && details?.reason === 'REFUSED';
        if (!mayPass || performance.now() > until) throw error;
      }
    }
  }
  /**
   * The word `force`, to the member itself until it leads; answers its number. A member that tries to take over again and again takes the word
   * between two attempts. One that has taken it, but asks the control store for a change of a record that somebody else has just changed,
   * forgets it: so it is said again after `takesMs`. Throws MEMBER_UNREACHABLE, and OPERATOR_REFUSED where it led already or does not within
   * `withinMs`.
   */
  async force(id: number, within: { takesMs?: number; withinMs?: number } = {}): Promise<number> {
    const { takesMs = forceTakesMs, withinMs = forceMsMax } = within;
    let taken = false;
    for (const until = performance.now() + withinMs; ; await sleep(lookMs)) {
      try {
        await this.tell(id, 'force');
        taken = true;
      } catch (error) {
        if ((error as ClusterError).code !== 'OPERATOR_REFUSED') throw error;
        // It may have begun to lead since it was last looked at: whoever leads refuses the word.
        const leads = await this.#leads(id);
        if (leads && taken) return id;
        if (leads || performance.now() > until) throw error;
        continue;
      }
      for (const soon = performance.now() + takesMs; performance.now() < soon; await sleep(lookMs)) {
        if (await this.#leads(id)) return id;
      }
      if (performance.now() > until)
        throw new ClusterError(
          'OPERATOR_REFUSED',
          `member ${id} took the word, and does not lead: see its status`,
        );
    }
  }

  /**
   * The word `found`, to the member itself until it leads. Throws CLUSTER_EXISTS where there is a record, of whomever; MEMBER_UNREACHABLE, and
   * OPERATOR_REFUSED where it has nothing to begin with, or the control store does not answer within `withinMs`.
   */
  async found(id: number, withinMs: number = foundMsMax): Promise<MemberStatus> {
    let taken = false;
    for (const until = performance.now() + withinMs; ; await sleep(lookMs)) {
      try {
        if (!taken) await this.tell(id, 'found');
        taken = true;
      } catch (error) {
        const { code, details, message } = error as ClusterError;
        if (code === 'OPERATOR_REFUSED' && details?.reason === 'CLUSTER_EXISTS')
          throw new ClusterError('CLUSTER_EXISTS', message, { details: { id } });
        if (code !== 'OPERATOR_REFUSED' || performance.now() > until) throw error;
        continue;
      }
      const status = await this.statusOf(id);
      if (status?.role === 'leader') return status;
      const { revision = '0', sync = [] } = status ?? {};
      if (BigInt(revision) > 0n && (sync.length !== 1 || sync[0] !== id))
        throw new ClusterError('CLUSTER_EXISTS', `member ${id} took the word, and somebody was before it`, {
          details: { id },
        });
      if (performance.now() > until)
        throw new ClusterError(
          'OPERATOR_REFUSED',
          `member ${id} took the word, and does not lead: see its status`,
        );
    }
  }

  async #leads(id: number): Promise<boolean> {
    return (await this.statusOf(id))?.role === 'leader';
  }
}
