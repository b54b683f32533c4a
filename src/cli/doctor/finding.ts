/** What `verbex doctor` has to say about a machine, each with what to change. */
export interface Finding {
  /** bad: a node does not run; advice: it runs, less well than it could; option: nothing is wrong, there could be more. */
  readonly kind: 'bad' | 'advice' | 'option';
  readonly what: string;
  readonly change: string;
}

/** A row of the table: what, and how it is here. */
export type Row = readonly [string, string];

/** Collects findings whose condition holds. */
export class Findings {
  readonly list: Finding[] = [];

  say(kind: Finding['kind'], when: boolean, what: string, change: string): void {
    if (when) this.list.push({ kind, what, change });
  }
}
