import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { environmentName, Given, optionsOf } from '../../src/cli/command.ts';
import { commands, version } from '../../src/cli/main.ts';
import { NativeError, VerbexError } from '../../src/errors/errors.ts';
import { exitCodeOf, exitCodes } from '../../src/errors/exit-codes.ts';
import { ReplayError } from '../../src/replay/replay-error.ts';
import { root } from '../architecture/files.ts';
import { verbex } from './command-line.ts';

const manual = readFileSync(join(root, 'docs', 'cli.md'), 'utf8');

describe('the command line', () => {
  test('--version is that of package.json', async () => {
    const { version: packaged } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    expect(version()).toBe(packaged);
    expect((await verbex(['--version'])).out).toBe(`${packaged}\n`);
    expect((await verbex(['--version', '--json'])).json).toEqual({ version: packaged });
  });

  test('--help lists every command; nothing at all prints the same and is a usage error', async () => {
    const { code, out } = await verbex(['--help']);
    expect(code).toBe(0);
    for (const { name, summary } of commands) expect(out).toMatch(new RegExp(`^  ${name} +${summary}$`, 'm'));
    const nothing = await verbex([]);
    expect(nothing.code).toBe(2);
    expect(nothing.err.trim()).toBe(out.trim());
  });

  test.each(commands.map((command) => [command.name, command] as const))(
    '%s --help has options and examples',
    async (name, command) => {
      const { code, out } = await verbex([...name.split(' '), '--help']);
      expect(code).toBe(0);
      for (const option of optionsOf(command)) expect(out).toContain(`--${option.name}`);
      expect(command.examples.length).toBeGreaterThan(0);
      for (const [line] of command.examples) {
        expect(out).toContain(line);
        expect(line).toContain(`verbex ${name}`);
      }
      expect(manual).toContain(`| \`${name}`);
      expect(manual).toContain(command.summary);
    },
  );

  test.each([
    [['nonsense'], 'there is no command "nonsense"'],
    [['journal'], 'say which: journal verify, journal dump, journal recover'],
    [['run', '--port', 'http'], '--port is "http", not a whole number from 0 to 65535'],
    [['run', '--durability', 'maybe'], 'not one of async, durable'],
    [['run', '--colour'], 'Unknown option'],
    [['run', 'extra'], 'one argument too many'],
    [['replay'], 'FILE is missing'],
    [['replay', 'x.log', '--format', 'csv'], 'not one of bitstamp, lobster, jsonl'],
    [['bench', 'everything'], 'there is no bench "everything"'],
    [['explain', '.', '--account', 'a', '--order', 'a/b'], 'one at a time'],
  ])('%j is a usage error', async (args, sentence) => {
    const { code, out, err } = await verbex(args);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toMatch(/^verbex: USAGE: /);
    expect(err).toContain(sentence);
    const { json } = await verbex([...args, '--json']);
    expect(json).toMatchObject({ error: { code: 'USAGE', message: expect.stringContaining(sentence) } });
  });

  test('the environment stands for flags, and the command line wins', () => {
    const [run] = commands;
    const given = (args: string[], environment: NodeJS.ProcessEnv): Given =>
      new Given(run!, args, environment);
    expect(environmentName('admin-port')).toBe('VERBEX_ADMIN_PORT');
    expect(given([], {}).integer('port')).toBe(8080);
    expect(given([], { VERBEX_PORT: '9000' }).integer('port')).toBe(9000);
    expect(given(['--port', '9001'], { VERBEX_PORT: '9000' }).integer('port')).toBe(9001);
    expect(given([], { VERBEX_DEMO: '1' }).has('demo')).toBe(true);
    expect(given([], { VERBEX_DEMO: '0' }).has('demo')).toBe(false);
    expect(() => given([], { VERBEX_DEMO: 'perhaps' })).toThrow('neither true nor false');
    expect(() => given([], { VERBEX_PORT: 'http' })).toThrow('not a whole number');
  });

  test('exit codes are those of the manual, each error code in one place', () => {
    const codes = exitCodes.flatMap(([, , names]) => names as readonly string[]);
    expect(new Set(codes).size).toBe(codes.length);
    for (const [code, meaning, names] of exitCodes) {
      expect(manual).toContain(`| ${code} | ${meaning} | ${names.map((name) => `\`${name}\``).join(', ')} |`);
    }
    expect(exitCodeOf(new NativeError('JOURNAL_DAMAGED', ''))).toBe(65);
    expect(exitCodeOf(new VerbexError('NO_DATA_DIRECTORY', ''))).toBe(66);
    expect(exitCodeOf(new ReplayError('EXCESS_PRECISION', '', { line: 3 }))).toBe(66);
    expect(exitCodeOf(new VerbexError('SOMETHING_ELSE', ''))).toBe(1);
    expect(exitCodeOf(new Error('a bug'))).toBe(1);
  });

  test('a folder that is not there', async () => {
    for (const name of ['journal verify', 'journal dump', 'journal recover', 'hash', 'explain']) {
      const { code, json, err } = await verbex([...name.split(' '), '/nowhere/at/all', '--json']);
      expect(code).toBe(66);
      expect(json).toMatchObject({ error: { code: 'NO_DATA_DIRECTORY' } });
      expect(err).toContain('NO_DATA_DIRECTORY');
    }
  });

  test('a file that is not there', async () => {
    const { code, json } = await verbex(['replay', '/nowhere/at/all.jsonl', '--json']);
    expect(code).toBe(66);
    expect(json).toMatchObject({ error: { code: 'REPLAY_FILE_UNREADABLE' } });
  });
});
