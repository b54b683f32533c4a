// ControlStore: where a cluster's configuration lies, and who decides which change came first; the same words as
// native/replication/control_store.h. Never a lock and never a timer.
//
// Revisions rise with each change; 0 means that there is no record yet. A swap takes effect at most once, and only if the record's
// revision was the expected one. `unknown` says that it may or may not have taken effect, now or later. Nothing here rejects.

export interface ControlRecord {
  readonly revision: bigint;
  readonly text: string;
}

export interface Unknown {
  readonly kind: 'unknown';
  /** A sentence for the log. */
  readonly why: string;
}

export type ReadAnswer = { readonly kind: 'read'; readonly record: ControlRecord } | Unknown;

export type SwapAnswer =
  | { readonly kind: 'swapped'; readonly record: ControlRecord }
  /** `record`: what there is instead, if known. */
  | { readonly kind: 'conflict'; readonly record?: ControlRecord }
  | Unknown;

export interface ControlStore extends AsyncDisposable {
  read(): Promise<ReadAnswer>;
  compareAndSwap(expected: bigint, text: string): Promise<SwapAnswer>;
  /** Calls with what there is, then with what it is changed to; some changes may be passed over, none is shown after a later one. Answers how to end it. */
  watch(onChange: (record: ControlRecord) => void): () => void;
  close(): Promise<void>;
}

/** The one record's text at most; a configuration of 31 members needs a few thousand bytes. */
export const controlTextMax = 65_536;

export const noRecord: ControlRecord = { revision: 0n, text: '' };

export function unknown(why: unknown): Unknown {
  return { kind: 'unknown', why: why instanceof Error ? why.message : String(why) };
}

/** `work`, or what `late` answers once the time is over; what work does then is lost, not stopped. */
export function within<T, U>(timeoutMs: number, work: Promise<T>, late: () => U): Promise<T | U> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve(late()), timeoutMs);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
