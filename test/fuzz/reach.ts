// How often a set of streams reaches each reject code, event type and cause: the proof that the generator
// leaves no rule out.

import { Model } from '../oracle/model.ts';
import { generate } from '../oracle/streams.ts';
import { Cause, EventFlag, EventType, Reject } from '../oracle/wire.ts';

export interface Reach {
  commands: number;
  rejects: Record<string, number>;
  events: Record<string, number>;
  causes: Record<string, number>;
  flags: Record<string, number>;
  missing: string[];
}

// The model has no risk processes: what concerns them is test/native/core/availability_test.cpp's.
const ofRiskProcesses = [
  'RISK_UNAVAILABLE',
  'INVALID_AVAILABILITY',
  'VENUE_LIMIT_NOT_POSSIBLE',
  'AvailabilitySet',
];

export function measureReach(seed: number, commands: number, streamLength: number): Reach {
  const rejects = zeros(Reject);
  const events = zeros(EventType);
  const causes = zeros(Cause);
  const flags = zeros(EventFlag);
  delete rejects.NONE;
  let done = 0;
  for (let stream = 0; done < commands; stream++) {
    const { limits, commands: list } = generate(seed + stream, streamLength);
    const model = new Model(limits);
    for (const c of list) {
      for (const e of model.apply(c)) {
        count(events, EventType, e.type);
        if (e.type === EventType.Rejected) count(rejects, Reject, e.code);
        if (e.type === EventType.Cancelled || e.type === EventType.Reduced) count(causes, Cause, e.code);
        for (const [name, bit] of Object.entries(EventFlag)) {
          if ((e.flags & bit) !== 0) flags[name] = flags[name]! + 1;
        }
      }
    }
    done += list.length;
  }
  const missing = [rejects, events, causes, flags].flatMap((table) =>
    Object.keys(table).filter((name) => table[name] === 0 && !ofRiskProcesses.includes(name)),
  );
  return { commands: done, rejects, events, causes, flags, missing };
}

type Names = Record<string, number>;

function zeros(names: Names): Record<string, number> {
  return Object.fromEntries(Object.keys(names).map((name) => [name, 0]));
}

function count(table: Record<string, number>, names: Names, code: number): void {
  const name = Object.keys(names).find((key) => names[key] === code);
  if (name === undefined) throw new Error(`a code without a name: ${code}`);
  table[name] = table[name]! + 1;
}
