// EtcdControlStore: the control store of a cluster over several machines: one key of an etcd, 3.4 or later.
//
// The record's revision is the key's mod_revision, which etcd never gives out twice. A swap is one transaction that compares it, and the
// only call that is never repeated once a byte of it may have been sent.
import { setTimeout as sleep } from 'node:timers/promises';
import { invalidOption } from '../errors/checks.ts';
import {
  type ControlRecord,
  type ControlStore,
  controlTextMax,
  noRecord,
  type ReadAnswer,
  type SwapAnswer,
  unknown,
} from './control-store.ts';
import { EtcdGateway, type EtcdOptions } from './etcd-gateway.ts';

const againMs = 200;

interface KeyValue {
  readonly mod_revision?: string;
  readonly value?: string;
}

const encoded = (text: string): string => Buffer.from(text, 'utf8').toString('base64');

/** etcd leaves out what is empty, zero or false. */
function recordOf(kv: KeyValue | undefined): ControlRecord {
  if (kv === undefined) return noRecord;
  return {
    revision: BigInt(kv.mod_revision ?? '0'),
    text: Buffer.from(kv.value ?? '', 'base64').toString('utf8'),
  };
}

export interface EtcdControlStoreOptions extends EtcdOptions {
  readonly cluster: string;
}

export class EtcdControlStore implements ControlStore {
  readonly key: string;
  readonly #gateway: EtcdGateway;
  readonly #ending = new AbortController();

  constructor(options: EtcdControlStoreOptions) {
    if (options.endpoints.length === 0)
      throw invalidOption('endpoints', options.endpoints, 'at least one URL');
    for (const endpoint of options.endpoints) {
      if (!URL.canParse(endpoint) || !/^https?:\/\//.test(endpoint))
        throw invalidOption('endpoints', endpoint, 'http:// or https:// URLs');
    }
    this.key = `/verbex/${options.cluster}/configuration`;
    this.#gateway = new EtcdGateway(options);
  }

  async read(): Promise<ReadAnswer> {
    const found = await this.#look();
    return found.kind === 'found' ? { kind: 'read', record: found.record } : found;
  }

  async compareAndSwap(expected: bigint, text: string): Promise<SwapAnswer> {
    if (Buffer.byteLength(text) > controlTextMax)
      throw invalidOption('text', `${text.length} characters`, `at most ${controlTextMax} bytes`);
    if (this.#ending.signal.aborted) return unknown('the control store is closed');
    const key = encoded(this.key);
    const answer = await this.#gateway.call(
      '/v3/kv/txn',
      {
        // A key that is not there has mod_revision 0.
        compare: [{ key, target: 'MOD', result: 'EQUAL', mod_revision: expected.toString() }],
        success: [{ request_put: { key, value: encoded(text) } }],
        failure: [{ request_range: { key } }],
      },
      { repeatable: false },
    );
    if (answer.kind === 'failed') return unknown(answer.why);
    const { succeeded, header, responses } = answer.body as {
      succeeded?: boolean;
      header?: { revision?: string };
      responses?: { response_range?: { kvs?: KeyValue[] } }[];
    };
    if (header?.revision === undefined || responses === undefined)
      return unknown('etcd answered something else than a transaction’s result');
    if (succeeded === true) return { kind: 'swapped', record: { revision: BigInt(header.revision), text } };
    return { kind: 'conflict', record: recordOf(responses[0]?.response_range?.kvs?.[0]) };
  }

  watch(onChange: (record: ControlRecord) => void): () => void {
    const ending = new AbortController();
    const signal = AbortSignal.any([ending.signal, this.#ending.signal]);
    void this.#follow(onChange, signal);
    return () => ending.abort();
  }

  async close(): Promise<void> {
    this.#ending.abort();
    this.#gateway.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #look(): Promise<
    | { readonly kind: 'found'; readonly record: ControlRecord; readonly revision: bigint }
    | ReturnType<typeof unknown>
  > {
    if (this.#ending.signal.aborted) return unknown('the control store is closed');
    const answer = await this.#gateway.call('/v3/kv/range', { key: encoded(this.key) }, { repeatable: true });
    if (answer.kind === 'failed') return unknown(answer.why);
    const { header, kvs } = answer.body as { header?: { revision?: string }; kvs?: KeyValue[] };
    if (header?.revision === undefined) return unknown('etcd answered something else than a range');
    return { kind: 'found', record: recordOf(kvs?.[0]), revision: BigInt(header.revision) };
  }

  async #follow(onChange: (record: ControlRecord) => void, signal: AbortSignal): Promise<void> {
    let seen = 0n;
    const show = (record: ControlRecord): void => {
      if (signal.aborted || record.revision <= seen) return;
      seen = record.revision;
      onChange(record);
    };
    while (!signal.aborted) {
      // Whatever a broken stream has missed; from etcd's revision on, since older ones may be compacted.
      const found = await this.#look();
      if (found.kind === 'found') {
        show(found.record);
        const create_request = { key: encoded(this.key), start_revision: (found.revision + 1n).toString() };
        const why = await this.#gateway.stream('/v3/watch', { create_request }, signal, (message) => {
          const { result } = message as { result?: { events?: { type?: string; kv?: KeyValue }[] } };
          for (const { type, kv } of result?.events ?? []) if (type !== 'DELETE') show(recordOf(kv));
        });
        if (why === 'silent') continue;
      }
      await sleep(againMs, undefined, { signal }).catch(() => undefined);
    }
  }
}
