/** `verbex cluster member`: one member as a process, in the foreground; what `cluster up` and service units start. */
import type { Command } from './command.ts';

export const clusterMemberCommand: Command = {
  name: 'cluster member',
  summary: 'run one member of a cluster, in the foreground',
  options: [
    {
      name: 'config',
      value: 'FILE',
      fallback: './cluster.json',
      help: 'what the cluster is (docs/cluster.md)',
    },
    { name: 'id', value: 'N', range: [1, 31], help: 'which of its members this one is' },
  ],
  notes: [
    'Lines on standard output say what it does. SIGTERM and Ctrl-C end it cleanly: everything is made durable and noted, so that it vouches for its log at the next start. A second one ends it at once.',
  ],
  examples: [['verbex cluster member --config /etc/verbex/cluster.json --id 2', 'the second member, here']],
  async run(given, output) {
    const { readDescription } = await import('../cluster/description.ts');
    const { MemberProcess } = await import('../cluster/member-process.ts');
    const { exitCodeOf, exitForced } = await import('../errors/exit-codes.ts');
    const description = readDescription(given.need('config'));
    const id = Number(given.need('id'));
    const { NativeMember } = await import('../native/binding.ts');
    // Standard output is a file or a pipe that lives as long as we do.
    const log = (sentence: string): void => {
      process.stdout.write(`${new Date().toISOString()} ${sentence}\n`);
    };
    let stopping = false;
    const stopped = new Promise<'signal'>((resolve) => {
      for (const signal of ['SIGTERM', 'SIGINT'] as const) {
        process.on(signal, () => {
          if (stopping) process.exit(exitForced);
          stopping = true;
          resolve('signal');
        });
      }
    });
    const member = await MemberProcess.start(NativeMember, description, id, log);
    const why = await Promise.race([stopped, member.failed]);
    const { position } = member.status();
    if (why !== 'signal') {
      log(`failed: ${why.code}: ${why.message}`);
      await member.close().catch(() => undefined);
      output.fail(why);
      return exitCodeOf(why);
    }
    await member.close();
    output.answer(
      { id, position: Number(position) },
      `${new Date().toISOString()} closed at position ${position}`,
    );
    return 0;
  },
};
