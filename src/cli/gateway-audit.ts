/** `verbex gateway audit`: from a client's message to its journal position, one line a message. */
import { readStore, referencesOf, type StoredRecord } from '../gateway/store-reader.ts';
import type { Command } from './command.ts';
import { jsonText } from './output.ts';

const linesAWrite = 1024;

export const gatewayAuditCommand: Command = {
  name: 'gateway audit',
  summary: 'print the messages that gateways got and sent, with their journal positions',
  positionals: [{ name: 'DIR', help: 'folder of the message store' }],
  options: [
    { name: 'session', value: 'N', range: [1, 65_535], help: 'only this session' },
    {
      name: 'reference',
      value: 'N',
      range: [0, 2 ** 32 - 1],
      help: 'only messages about the order with this UserRefNum',
    },
  ],
  notes: [
    'A line: time of the core (UTC), session, in with the client’s reference or out with its sequence number, type and bytes of the message, and the position and index of the event that caused it; ' +
      'for a message that came in, those of the last event before it. "own" is what the gateway answered by itself. With --json a line is an object, and the last one says how many there were.',
    'It only reads, and may be used while a gateway runs.',
  ],
  examples: [
    ['verbex gateway audit ./data/gateway', 'everything'],
    [
      'verbex gateway audit ./data/gateway --session 7 --reference 120',
      'one order of one session, from the client to the journal',
    ],
    ['verbex gateway audit ./data/gateway --json | tail -1', 'how many messages there are'],
  ],
  async run(given, output) {
    const session = given.integer('session');
    const reference = given.integer('reference');
    let printed = 0;
    let lines: string[] = [];
    const flush = async (): Promise<void> => {
      if (lines.length > 0) await output.lines(`${lines.join('\n')}\n`);
      lines = [];
    };
    try {
      for (const record of readStore(given.positionals[0] ?? '')) {
        if (!isWanted(record, session, reference)) continue;
        lines.push(output.json ? jsonText(factsOf(record)) : lineOf(record));
        if (record.kind !== 'day') printed += 1;
        if (lines.length === linesAWrite) await flush();
      }
    } finally {
      // What was whole before the damage is part of the answer.
      await flush();
    }
    if (output.json) output.answer({ messages: printed }, '');
    return 0;
  },
};

function isWanted(record: StoredRecord, session?: number, reference?: number): boolean {
  if (record.kind === 'day') return reference === undefined;
  if (session !== undefined && record.session !== session) return false;
  return reference === undefined || referencesOf(record).includes(reference);
}

/** The message's first character, as protocols have it; bytes that can't be printed in hexadecimal. */
function typeOf({ payload }: StoredRecord): string {
  const [first] = payload;
  if (first === undefined) return '';
  return first > 0x20 && first < 0x7f
    ? String.fromCharCode(first)
    : `0x${first.toString(16).padStart(2, '0')}`;
}

function timeOf(timeNs: bigint): string {
  const time = new Date(Number(timeNs / 1_000_000n));
  const seconds = Number.isNaN(time.getTime()) ? String(timeNs) : time.toISOString().slice(0, 19);
  return `${seconds}.${(timeNs % 1_000_000_000n).toString().padStart(9, '0')}Z`;
}

function factsOf(record: StoredRecord): Record<string, unknown> {
  const { kind, session, sequence, position, index } = record;
  if (kind === 'day') return { kind, position };
  const references = referencesOf(record);
  return {
    kind,
    time: timeOf(record.timeNs),
    session,
    ...(kind === 'out' && { sequence }),
    ...(references.length > 0 && { reference: references.at(-1) }),
    type: typeOf(record),
    bytes: record.payload.length,
    position,
    ...(index === undefined ? { own: true } : { index }),
  };
}

function lineOf(record: StoredRecord): string {
  const { kind, session, sequence, position, index } = record;
  if (kind === 'day') return `day at position ${position}`;
  const reference = referencesOf(record).at(-1);
  return [
    timeOf(record.timeNs),
    `session ${session}`,
    kind === 'in' ? `in   ref ${sequence}` : `out  seq ${sequence}`,
    ...(kind === 'out' && reference !== undefined ? [`ref ${reference}`] : []),
    `${typeOf(record)} ${record.payload.length} bytes`,
    kind === 'in'
      ? `after ${position}`
      : index === undefined
        ? `own, after ${position}`
        : `position ${position}.${index}`,
  ].join('  ');
}
