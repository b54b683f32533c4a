// Commands, events and differences as people read them.

import {
  Cause,
  type Command,
  CommandType,
  type Event,
  EventFlag,
  EventType,
  Reject,
} from '../oracle/wire.ts';

function nameIn(names: Record<string, number>, code: number): string {
  return Object.keys(names).find((key) => names[key] === code) ?? String(code);
}

export function describeCommand(c: Command): string {
  return `${nameIn(CommandType, c.type)} ${fields(c, ['type', 'token'])}`;
}

export function describeEvent(e: Event): string {
  const flags = Object.entries(EventFlag).filter(([, bit]) => (e.flags & bit) !== 0);
  const code =
    e.code === 0 ? '' : ` ${e.type === EventType.Rejected ? nameIn(Reject, e.code) : nameIn(Cause, e.code)}`;
  const marks = flags.length === 0 ? '' : ` [${flags.map(([name]) => name).join()}]`;
  return `${nameIn(EventType, e.type)}${code}${marks} ${fields(e, ['type', 'flags', 'code', 'token'])}`;
}

function fields(of: object, without: readonly string[]): string {
  return Object.entries(of)
    .filter(([name, value]) => !without.includes(name) && value !== 0 && value !== 0n && value !== '')
    .map(([name, value]) => `${name}=${value}`)
    .join(' ');
}

// Where two explain() texts part.
export function describeStateDifference(expected: string, got: string): string {
  let at = 0;
  while (at < expected.length && expected[at] === got[at]) at++;
  const from = Math.max(0, at - 120);
  const part = (text: string): string => text.slice(from, at + 160);
  return `state (− the rules, + the core), from character ${at}\n  − …${part(expected)}…\n  + …${part(got)}…`;
}
