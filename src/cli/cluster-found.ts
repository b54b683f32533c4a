/** `verbex cluster found`: a cluster that begins with a copy: its first record, written at an operator's word. */
import type { Command } from './command.ts';
import { describe, placeNote } from './site.ts';

export const clusterFoundCommand: Command = {
  name: 'cluster found',
  summary: 'begin a cluster with the log of this member, where there is none yet',
  positionals: [{ name: 'MEMBER', help: 'its number' }],
  options: [{ name: 'at', value: 'CLUSTER', fallback: './cluster', help: 'the cluster that is to begin' }],
  notes: [
    placeNote,
    'The member runs alone, in a folder that `journal recover --from` has made, or with a copy of a member’s folder. All that its log holds counts as committed. Start the others with empty folders when it leads, not before: an empty member writes the first record of a cluster that has nothing.',
    'Where the control store has a record this is refused with CLUSTER_EXISTS, and nothing is changed. Standby or active: as `standby` in cluster.json says.',
  ],
  examples: [
    ['verbex cluster found 1 --at /etc/verbex/there.json', 'the second site, from a copy of the first one'],
  ],
  async run(given, output) {
    const { ClusterAdmin } = await import('../cluster/cluster-admin.ts');
    const { memberOf } = await import('../cluster/description.ts');
    const { invalidOption } = await import('../errors/checks.ts');
    const description = await describe(given.need('at'));
    const name = given.positionals[0] ?? '';
    if (!/^\d+$/.test(name)) throw invalidOption('MEMBER', name, 'a member’s number');
    const { id } = memberOf(description, Number(name));
    const { site, epoch, position, resultHash } = await new ClusterAdmin(description).found(id);
    output.answer(
      { member: id, site, epoch, position, resultHash },
      `member ${id} leads ${description.name}, ${site}, in epoch ${epoch}, from position ${position} on`,
    );
    return 0;
  },
};
