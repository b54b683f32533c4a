/** `verbex doctor`: what this machine has, what is wrong with it for an exchange node, and what to change. */
import type { Command } from './command.ts';
import { folderFacts, folderFindings } from './doctor/data-folder.ts';
import { disk, diskFindings, diskRows } from './doctor/disk.ts';
import type { Finding } from './doctor/finding.ts';
import { memory, memoryFindings, memoryRows } from './doctor/memory.ts';
import { processor, processorFindings, processorRows } from './doctor/processor.ts';
import {
  addonFacts,
  addonFindings,
  automaticPlan,
  nodeFindings,
  planText,
  programVersion,
} from './doctor/program.ts';
import { rdma } from './doctor/rdma.ts';
import { rdmaFindings, rdmaRows } from './doctor/rdma-findings.ts';
import { SystemTree } from './doctor/system-tree.ts';
import { folderOption, folderPositional } from './offline.ts';
import { facts } from './output.ts';

const marks: Readonly<Record<Finding['kind'], string>> = { bad: '✗', advice: '·', option: '+' };

export const doctorCommand: Command = {
  name: 'doctor',
  summary: 'look at this machine and at a data folder, and say what to change',
  positionals: [folderPositional],
  options: [folderOption],
  notes: [
    'Each finding is marked: ✗ a node does not run, · it could run better, + nothing is wrong, there could be more.',
    'Exit code 0: a node runs here, perhaps with advice; 1: it does not; 65: the journal is damaged.',
  ],
  examples: [
    ['verbex doctor', 'this machine and ./data'],
    ['verbex doctor /var/lib/verbex --json | tail -1', 'another folder, for a program'],
  ],
  async run(given, output) {
    const folder = given.positionals[0] ?? given.need('data');
    const tree = new SystemTree();
    const cpu = processor(tree);
    const ram = memory(tree);
    const store = disk(folder, tree);
    const network = rdma(tree);
    const addon = await addonFacts();
    const state = addon.loaded
      ? await folderFacts(folder, tree)
      : ({ state: 'unreadable', detail: 'the addon is not there' } as const);
    const compiler = programVersion(process.env.CXX ?? 'c++');
    const plan = addon.loaded ? await automaticPlan() : undefined;
    const findings = [
      ...nodeFindings(),
      ...diskFindings(store),
      ...processorFindings(cpu),
      ...memoryFindings(ram),
      ...rdmaFindings(network, ram),
      ...addonFindings(addon, compiler),
      ...folderFindings(folder, state),
    ];
    const bad = findings.filter(({ kind }) => kind === 'bad');
    output.answer(
      {
        ok: bad.length === 0,
        node: process.version,
        addon,
        compiler: compiler ?? null,
        plan: plan ?? null,
        processor: cpu,
        memory: ram,
        disk: store,
        rdma: network,
        data: state,
        findings,
      },
      [
        facts([
          ['Node', process.version],
          [
            'addon',
            addon.loaded ? `${addon.version}, built by ${addon.compiler}` : `not loaded: ${addon.problem}`,
          ],
          ['compiler here', compiler ?? 'none'],
          ['thread plan', planText(plan)],
          ...processorRows(cpu),
          ...memoryRows(ram),
          ...diskRows(store),
          ...rdmaRows(network),
          [
            'data folder',
            `${folder}: ${state.state}${state.detail === undefined ? '' : `, ${state.detail}`}`,
          ],
        ]),
        '',
        findings.length === 0
          ? 'Nothing to change.'
          : findings.map(({ kind, what, change }) => `${marks[kind]} ${what}\n    ${change}`).join('\n'),
      ].join('\n'),
    );
    if (state.state === 'damaged') return 65;
    return bad.length === 0 ? 0 : 1;
  },
};
