#!/usr/bin/env node
/** `verbex`: finds the subcommand, reads its options, runs it, answers by exit code (docs/cli.md). */
import { readFileSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { exitCodeOf, exitCodes } from '../errors/exit-codes.ts';
import { backupCommand } from './backup.ts';
import { benchCommand } from './bench.ts';
import { clusterCommands } from './cluster.ts';
import { clusterFoundCommand } from './cluster-found.ts';
import { type Command, Given, helpOf, saysYes, UsageError } from './command.ts';
import { doctorCommand } from './doctor.ts';
import { drillFailoverCommand } from './drill-failover.ts';
import { drillPartitionsCommand } from './drill-partitions.ts';
import { explainCommand } from './explain.ts';
import { gatewayAuditCommand } from './gateway-audit.ts';
import { hashCommand } from './hash.ts';
import { hostCheckCommand } from './host-check.ts';
import { journalDumpCommand } from './journal-dump.ts';
import { journalRecoverCommand } from './journal-recover.ts';
import { journalVerifyCommand } from './journal-verify.ts';
import { loadCommand } from './load.ts';
import { Output, type Streams } from './output.ts';
import { replayCommand } from './replay.ts';
import { roleCommands } from './roles.ts';
import { runCommand } from './run.ts';
import { simCommand } from './sim.ts';
import { clusterBridgeCommand, siteStandbyCommand, siteSwitchCommand } from './site.ts';
import { topCommand } from './top.ts';

export const commands: readonly Command[] = [
  runCommand,
  replayCommand,
  journalVerifyCommand,
  journalDumpCommand,
  journalRecoverCommand,
  hashCommand,
  explainCommand,
  backupCommand,
  gatewayAuditCommand,
  loadCommand,
  benchCommand,
  simCommand,
  topCommand,
  doctorCommand,
  hostCheckCommand,
  ...clusterCommands,
  clusterFoundCommand,
  clusterBridgeCommand,
  ...roleCommands,
  siteSwitchCommand,
  siteStandbyCommand,
  drillFailoverCommand,
  drillPartitionsCommand,
];

export function version(): string {
  // dist/cli/main.js and src/cli/main.ts lie equally deep.
  const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
  return (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }).version;
}

function overview(): string {
  const width = Math.max(...commands.map(({ name }) => name.length));
  return [
    `verbex ${version()}: an open exchange core`,
    '',
    '  verbex COMMAND [options]',
    '',
    'Commands',
    ...commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`),
    '',
    'Every command takes --json (one object on the last line of standard output) and --help (options and examples).',
    '',
    'Exit codes',
    ...exitCodes.map(([code, what]) => `  ${String(code).padStart(3)}  ${what}`),
    '',
    'Examples',
    '  # one node with a demo market on http://127.0.0.1:8080',
    '  verbex run --demo',
    '  # a day of real orders through the engine',
    '  verbex replay bitstamp.log.xz --format bitstamp',
    '',
  ].join('\n');
}

/** `journal verify DIR` to [the command, [DIR]]. */
function find(args: readonly string[]): [Command, readonly string[]] {
  for (const words of [2, 1]) {
    const name = args.slice(0, words).join(' ');
    const command = commands.find((candidate) => candidate.name === name);
    if (command !== undefined) return [command, args.slice(words)];
  }
  const family = commands.filter(({ name }) => name.startsWith(`${args[0]} `)).map(({ name }) => name);
  if (family.length > 0) throw new UsageError(`say which: ${family.join(', ')}`);
  throw new UsageError(`there is no command "${args[0]}"; \`verbex --help\` lists them`);
}

/** Runs one command line; answers the exit code. */
export async function main(
  args: readonly string[],
  streams: Streams,
  environment: NodeJS.ProcessEnv,
): Promise<number> {
  const [first] = args;
  const json = args.includes('--json');
  try {
    if (first === '--version' || first === '-V') {
      new Output(streams, json).answer({ version: version() }, version());
      return 0;
    }
    if (first === undefined || first === '--help' || first === '-h' || first === 'help') {
      const output = new Output(streams, false);
      if (first === undefined) {
        output.say(overview());
        return 2;
      }
      await output.lines(overview());
      return 0;
    }
    const [command, rest] = find(args);
    const given = new Given(command, rest, environment);
    const output = new Output(streams, given.has('json'));
    if (given.has('help')) {
      await output.lines(helpOf(command));
      return 0;
    }
    return await command.run(given, output);
  } catch (error) {
    new Output(streams, json || saysYes(environment.VERBEX_JSON)).fail(error);
    return exitCodeOf(error);
  }
}

const program = process.argv[1];
if (program !== undefined && realpathSync(program) === fileURLToPath(import.meta.url)) {
  // Whoever reads us may stop early (`| head`): that is no failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(0);
  });
  process.exitCode = await main(
    process.argv.slice(2),
    { out: process.stdout, err: process.stderr },
    process.env,
  );
}
