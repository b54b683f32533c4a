/** `verbex cluster bridge`, `verbex site …`: two sites, one of them active. */
import { existsSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { BridgeSource } from '../cluster/bridge-process.ts';
import type { ClusterDescription } from '../cluster/description.ts';
import type { Command, Option } from './command.ts';
import { facts } from './output.ts';

const fromOption = (help: string): Option => ({ name: 'from', value: 'CLUSTER', help });
const toOption = (help: string): Option => ({ name: 'to', value: 'CLUSTER', help });
export const placeNote = 'CLUSTER is a cluster.json, or the folder that has one.';

const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;

export async function describe(path: string): Promise<ClusterDescription> {
  const { readDescription } = await import('../cluster/description.ts');
  return readDescription(isFolder(path) ? join(path, 'cluster.json') : path);
}

/** A roles.json is told from a cluster.json by its name, or by what lies in the folder. */
async function describeSource(path: string): Promise<BridgeSource> {
  const file = isFolder(path) ? join(path, 'roles.json') : path;
  if (basename(file) !== 'roles.json' || !existsSync(file)) return await describe(path);
  const { readRoles } = await import('../cluster/roles-description.ts');
  return readRoles(file);
}

export const clusterBridgeCommand: Command = {
  name: 'cluster bridge',
  summary: 'relay what one cluster has committed to another one, its standby',
  options: [
    fromOption('whose entries are relayed'),
    toOption('who gets them: its leader takes nothing else'),
  ],
  notes: [
    `${placeNote} --from may also be a roles.json, or its folder: its sequencers are read.`,
    'Never part of a quorum: the first cluster does not wait for it. It resumes by position, wherever it was cut, as long as a member of the first one has the entries. SIGTERM and Ctrl-C end it.',
  ],
  examples: [
    ['verbex cluster bridge --from /etc/verbex/here.json --to /etc/verbex/there.json', 'from here to there'],
  ],
  async run(given, output) {
    const { BridgeProcess } = await import('../cluster/bridge-process.ts');
    const [source, target] = [await describeSource(given.need('from')), await describe(given.need('to'))];
    const { NativeBridge } = await import('../native/binding.ts');
    const log = (sentence: string): void => {
      process.stdout.write(`${new Date().toISOString()} ${sentence}\n`);
    };
    const stopped = new Promise<void>((resolve) => {
      process.once('SIGTERM', () => resolve());
      process.once('SIGINT', () => resolve());
    });
    const bridge = new BridgeProcess(NativeBridge, source, target, log);
    await stopped;
    const { relayed } = bridge.progress();
    bridge.stop();
    output.answer({ relayed: Number(relayed) }, `${new Date().toISOString()} ended at position ${relayed}`);
    return 0;
  },
};

export const siteSwitchCommand: Command = {
  name: 'site switch',
  summary: 'fence one site and activate the other, without gap or duplicate',
  options: [
    fromOption('the site that is active now'),
    toOption('its standby, to which a bridge relays'),
    {
      name: 'lost',
      help: 'the first one cannot be asked: activate the second with what it has, and say up to which position',
    },
    { name: 'wait', value: 'SECONDS', range: [1, 86_400], fallback: '60', help: 'for each step, at most' },
  ],
  notes: [
    `${placeNote} With --lost nobody asks --from, and it may be left out.`,
    'What is interrupted is run again; a fenced site stays so until somebody says otherwise.',
    'With --lost, switch the first site off before: two active sites would each take orders of their own, and nothing here can know.',
  ],
  examples: [
    ['verbex site switch --from here.json --to there.json', 'planned: nothing is lost'],
    [
      'verbex site switch --to there.json --lost',
      'the first site is gone, or was a deployment in roles that is stopped',
    ],
  ],
  async run(given, output) {
    const { ClusterAdmin } = await import('../cluster/cluster-admin.ts');
    const { switchSite } = await import('../cluster/site-switch.ts');
    const lost = given.has('lost');
    if (lost && given.text('from') !== undefined) await describeSource(given.need('from')); // it is one, at least
    const source = lost ? undefined : new ClusterAdmin(await describe(given.need('from')));
    const target = new ClusterAdmin(await describe(given.need('to')));
    const result = await switchSite(source, target, {
      timeoutMs: (given.integer('wait') ?? 0) * 1000,
      say: (sentence) => output.say(sentence),
    });
    output.answer(
      { ...result },
      facts([
        [lost ? 'goes on from position' : 'both sites at position', result.position],
        ['result there', result.resultHash],
        ['leader', `member ${result.leader} of ${target.description.name}, epoch ${result.epoch}`],
        ['took', `${result.tookMs} ms`],
      ]),
    );
    return 0;
  },
};

export const siteStandbyCommand: Command = {
  name: 'site standby',
  summary: 'make a fenced site the standby of the other one',
  options: [
    { name: 'at', value: 'CLUSTER', help: 'the fenced site' },
    { name: 'wait', value: 'SECONDS', range: [1, 86_400], fallback: '60', help: 'at most' },
  ],
  notes: [placeNote, 'Then a bridge the other way round keeps it in step: `verbex cluster bridge`.'],
  examples: [['verbex site standby --at here.json', 'after `verbex site switch --from here.json …`']],
  async run(given, output) {
    const { ClusterAdmin } = await import('../cluster/cluster-admin.ts');
    const { becomeSite } = await import('../cluster/site-switch.ts');
    const cluster = new ClusterAdmin(await describe(given.need('at')));
    await becomeSite(cluster, 'standby', (given.integer('wait') ?? 0) * 1000);
    output.answer({ site: 'standby' }, `${cluster.description.name} is a standby`);
    return 0;
  },
};
