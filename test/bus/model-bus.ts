// ModelBus: a stand-in for the native bus, with one stream that the test writes and states that the test sets. It lays records into a ring as
// native/addon/byte_ring.h does.
import type {
  NativeBus,
  NativeBusEvent,
  NativePeer,
  NativePublicationState,
  NativeSubscriptionState,
} from '../../src/native/types.ts';

const headerBytes = 16;

export class ModelBus implements NativeBus {
  onNews: () => void = () => undefined;
  readonly peerList: NativePeer[] = [peer({ id: 1, name: 'other' })];
  readonly offered: { position: bigint; data: Uint8Array }[] = [];
  /** Messages that are still accepted. */
  room: number = Number.POSITIVE_INFINITY;
  state: NativeSubscriptionState = { state: 'live', resumeFrom: 1n, oldest: 0n, code: '', message: '' };
  publication: NativePublicationState = {
    subscribers: 1,
    accepted: 0n,
    sent: 0n,
    oldest: 1n,
    consumedByAll: 0n,
    closed: false,
  };
  /** What a call of that name is rejected with. */
  readonly failures: Map<string, { code: string; message: string }> = new Map();
  readonly calls: unknown[][] = [];
  pending: NativeBusEvent[] = [];
  awaited = 0;
  readonly memory: ArrayBuffer;
  #produced = 0;
  #consumed = 0;

  constructor(ringBytes = 4096) {
    this.memory = new ArrayBuffer(ringBytes);
  }

  /** False: no room in the subscription's ring. */
  deliver(position: bigint, data: Uint8Array): boolean {
    const bytes = this.memory.byteLength;
    const slot = Math.ceil((headerBytes + data.length) / 16) * 16;
    let at = this.#produced % bytes;
    const left = bytes - at;
    const needed = slot <= left ? slot : left + slot;
    if (needed > bytes - (this.#produced - this.#consumed)) return false;
    const view = new DataView(this.memory);
    if (slot > left) {
      view.setUint32(at, 0xffff_ffff, true);
      at = 0;
    }
    view.setUint32(at, data.length, true);
    view.setBigUint64(at + 8, position, true);
    new Uint8Array(this.memory).set(data, at + headerBytes);
    this.#produced += needed;
    return true;
  }

  set(state: NativeSubscriptionState['state'], facts: Partial<NativeSubscriptionState> = {}): void {
    this.state = { ...this.state, ...facts, state };
    this.onNews();
  }

  listen(address: string): Promise<string> {
    return this.#answer('listen', address, address.replace(/:0$/, ':4000'));
  }
  connect(address: string, withinMs: number): Promise<number> {
    return this.#answer('connect', [address, withinMs], 1);
  }
  disconnect(id: number): Promise<void> {
    return this.#answer('disconnect', id, undefined);
  }
  peers(): Promise<NativePeer[]> {
    return this.#answer('peers', undefined, this.peerList);
  }
  events(): NativeBusEvent[] {
    return this.pending.splice(0);
  }
  counters(): Promise<Record<string, number>> {
    return this.#answer('counters', undefined, { published: this.offered.length });
  }
  fence(epoch: number): Promise<void> {
    return this.#answer('fence', epoch, undefined);
  }
  setEpoch(epoch: number): Promise<void> {
    return this.#answer('setEpoch', epoch, undefined);
  }
  publish(options: unknown, first: bigint): Promise<number> {
    this.publication = { ...this.publication, accepted: first - 1n };
    return this.#answer('publish', options, 7);
  }
  offer(_: number, bytes: Uint8Array): bigint {
    if (this.publication.closed) return -4n;
    if (bytes.length > 1000) return -6n;
    if (this.publication.subscribers === 0) return -1n;
    if (this.room === 0) return -2n;
    this.room--;
    const position = this.publication.accepted + 1n;
    this.publication = { ...this.publication, accepted: position };
    this.offered.push({ position, data: bytes.slice() });
    return position;
  }
  offerBatch(publication: number, messages: readonly Uint8Array[], from: number): number {
    let taken = 0;
    while (from + taken < messages.length && this.offer(publication, messages[from + taken]!) > 0n) taken++;
    return taken;
  }
  awaitPublication(): void {
    this.awaited++;
  }
  publicationState(): NativePublicationState {
    return this.publication;
  }
  closePublication(): Promise<void> {
    this.publication = { ...this.publication, closed: true };
    return this.#answer('closePublication', undefined, undefined);
  }
  forgetPublication(): void {
    this.calls.push(['forgetPublication']);
  }
  subscribe(
    id: number,
    options: unknown,
    position: bigint,
  ): Promise<{ readonly subscription: number; readonly memory: ArrayBuffer }> {
    return this.#answer('subscribe', [id, options, position], { subscription: 9, memory: this.memory });
  }
  next(_: number, released: number): number {
    this.#consumed += released;
    const left = this.memory.byteLength - (this.#consumed % this.memory.byteLength);
    return Math.min(this.#produced - this.#consumed, left);
  }
  awaitSubscription(): number {
    this.awaited++;
    return this.next(0, 0);
  }
  subscriptionState(): NativeSubscriptionState {
    return this.state;
  }
  closeSubscription(): Promise<void> {
    return this.#answer('closeSubscription', undefined, undefined);
  }
  close(withinMs: number): Promise<unknown> {
    this.state = { ...this.state, state: 'closed' };
    this.publication = { ...this.publication, closed: true };
    return this.#answer('close', withinMs, true);
  }

  #answer<Value>(name: string, asked: unknown, value: Value): Promise<Value> {
    this.calls.push([name, asked]);
    const failure = this.failures.get(name);
    if (failure === undefined) return Promise.resolve(value);
    return Promise.reject(Object.assign(new Error(failure.message), { code: failure.code }));
  }
}

export function peer(facts: Partial<NativePeer> = {}): NativePeer {
  return {
    id: 1,
    name: 'other',
    inbound: false,
    connected: true,
    transport: 'shm',
    epoch: 1,
    why: '',
    code: '',
    message: '',
    roundTripNs: 0,
    ...facts,
  };
}
