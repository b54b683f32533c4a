// ClusterAdmin: all members of a cluster by their admin ports, wherever they run.
import { setTimeout as sleep } from 'node:timers/promises';
import { ClusterError } from '../errors/errors.ts';
import type { OperatorWord } from '../native/cluster-types.ts';
import { AdminClient } from './admin.ts';
import { type ClusterDescription, memberOf, secretOf } from './description.ts';
import { leaderOf, type MemberStatus } from './member-status.ts';

const lookMs = 20;
const refusedMsMax = 3000;

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
}
