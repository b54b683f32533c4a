// Bus: what a user of the package holds in hand. One native agent thread a bus; JavaScript talks to it through rings and promises.
import { BusClosedError, UnknownNameError } from '../errors/errors.ts';
import { shown } from '../errors/shown.ts';
import type { NativeBus, NativeBusOptions, NativePeer } from '../native/types.ts';
import { busError, busFailure } from './failures.ts';
import {
  busOptions,
  address as checkedAddress,
  epoch as checkedEpoch,
  keyOf,
  milliseconds,
  publishOptions,
  subscribeOptions,
} from './options.ts';
import { Publication } from './publication.ts';
import { Signal } from './signal.ts';
import { Subscription } from './subscription.ts';
import type {
  BusCounters,
  BusEvent,
  BusOptions,
  CloseOptions,
  ConnectOptions,
  Peer,
  PublishOptions,
  SubscribeOptions,
} from './types.ts';

/** @internal */
export type OpenNativeBus = (
  options: NativeBusOptions,
  onNews: () => void,
  key: Uint8Array | null,
) => Promise<NativeBus>;

const openNative: OpenNativeBus = async (options, onNews, key) => {
  const { NativeBus } = await import('../native/binding.ts');
  return await NativeBus.open(options, onNews, key);
};

export class Bus implements AsyncDisposable {
  readonly name: string;
  readonly #native: NativeBus;
  readonly #payloadMax: number;
  /** One for all streams: whoever was woken looks at its own. */
  readonly #signal: Signal;
  readonly #listeners = new Set<(event: BusEvent) => void>();
  readonly #addresses: string[] = [];
  #closing: Promise<void> | undefined;

  private constructor(native: NativeBus, name: string, payloadMax: number, signal: Signal) {
    this.#native = native;
    this.name = name;
    this.#payloadMax = payloadMax;
    this.#signal = signal;
  }

  /** A bus with a link to a listener at "host:port". Rejects with BusRefusedError where there is none in time. */
  static async connect(address: string, options: BusOptions & ConnectOptions = {}): Promise<Bus> {
    return await Bus.#openAnd(options, (bus) => bus.connect(address, options));
  }

  /** A bus that takes links at "host:port"; port 0 is any free one, `bus.address` says which. */
  static async listen(address: string, options: BusOptions = {}): Promise<Bus> {
    return await Bus.#openAnd(options, (bus) => bus.listen(address));
  }

  /** A bus without links yet: `bus.listen()` and `bus.connect()` make them. */
  static open(options: BusOptions = {}): Promise<Bus> {
    return Bus.openOver(openNative, options);
  }

  /** @internal For tests, which bring a native bus of their own. */
  static async openOver(open: OpenNativeBus, options: BusOptions = {}): Promise<Bus> {
    const { native: nativeOptions, payloadMax, key } = busOptions(options);
    const bytes = await keyOf(key);
    const signal = new Signal();
    let onNews = (): void => undefined;
    try {
      const native = await open(nativeOptions, () => onNews(), bytes);
      const bus = new Bus(native, nativeOptions.name, payloadMax, signal);
      onNews = () => bus.#onNews();
      return bus;
    } catch (error) {
      throw busError(error);
    }
  }

  static async #openAnd(options: BusOptions, begin: (bus: Bus) => Promise<unknown>): Promise<Bus> {
    const bus = await Bus.open(options);
    try {
      await begin(bus);
      return bus;
    } catch (error) {
      await bus.close();
      throw error;
    }
  }

  /** Where it listens. */
  get addresses(): readonly string[] {
    return this.#addresses;
  }

  /** Where it listens first. Throws where it does not. */
  get address(): string {
    const [first] = this.#addresses;
    if (first === undefined) throw new UnknownNameError('UNKNOWN_PEER', 'this bus does not listen');
    return first;
  }

  /** Takes links there too; answers the address with the port that was taken. */
  async listen(address: string): Promise<string> {
    const bound = await this.#ask(() => this.#native.listen(checkedAddress(address)));
    this.#addresses.push(bound);
    return bound;
  }

  /** Keeps a link to there, reconnecting until `disconnect` or `close`. Resolves with the peer's id once the link is up. */
  async connect(address: string, options: ConnectOptions = {}): Promise<number> {
    const withinMs = milliseconds('withinMs', options.withinMs ?? 5000);
    return await this.#ask(() => this.#native.connect(checkedAddress(address), withinMs));
  }

  async disconnect(peer: number | string): Promise<void> {
    const id = await this.#peerId(peer);
    await this.#ask(() => this.#native.disconnect(id));
  }

  async publish(stream: string, options: PublishOptions = {}): Promise<Publication> {
    const { native, first, payloadMax } = publishOptions(stream, options, this.#payloadMax);
    const number = await this.#ask(() => this.#native.publish(native, first));
    return new Publication({ native: this.#native, number, stream, payloadMax, signal: this.#signal });
  }

  async subscribe(stream: string, options: SubscribeOptions = {}): Promise<Subscription> {
    const { native, position } = subscribeOptions(stream, options, this.#payloadMax);
    const peer = await this.#peerId(options.peer);
    const { subscription, memory } = await this.#ask(() => this.#native.subscribe(peer, native, position));
    return new Subscription({
      native: this.#native,
      number: subscription,
      memory,
      stream,
      peer,
      from: position,
      signal: this.#signal,
    });
  }

  async peers(): Promise<Peer[]> {
    return (await this.#ask(() => this.#native.peers())).map(peerOf);
  }

  async counters(): Promise<BusCounters> {
    return (await this.#ask(() => this.#native.counters())) as unknown as BusCounters;
  }

  /** Cuts off every link of epochs up to `epoch`; once it has resolved, nothing more of theirs reaches a subscription. */
  async fence(epoch: number): Promise<void> {
    checkedEpoch(epoch);
    await this.#ask(() => this.#native.fence(epoch));
  }

  /** For links from now on; links of earlier epochs stay until they are fenced. */
  async setEpoch(epoch: number): Promise<void> {
    checkedEpoch(epoch);
    await this.#ask(() => this.#native.setEpoch(epoch));
  }

  /** Calls back with what happens to peers and subscribers; answers a function that ends it. */
  onEvent(listener: (event: BusEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /**
   * Accepts nothing more, sends what was accepted, waits for its consumption at most `withinMs`, says goodbye and ends. Iterations end.
   * Again: the same promise.
   */
  close(options: CloseOptions = {}): Promise<void> {
    const withinMs = milliseconds('withinMs', options.withinMs ?? 5000, 0);
    this.#closing ??= this.#native.close(withinMs).then(
      () => {
        this.#onNews();
        this.#signal.notify();
      },
      (error: unknown) => {
        throw busError(error);
      },
    );
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #ask<Value>(work: () => Promise<Value>): Promise<Value> {
    if (this.#closing !== undefined) throw new BusClosedError('BUS_CLOSED', 'the bus is closing or closed');
    try {
      return await work();
    } catch (error) {
      throw busError(error);
    }
  }

  async #peerId(peer: number | string | undefined): Promise<number> {
    const peers = await this.#ask(() => this.#native.peers());
    const fitting = peers.filter(
      ({ id, name }) => peer === undefined || (typeof peer === 'number' ? id === peer : name === peer),
    );
    const [one] = fitting;
    if (one !== undefined && fitting.length === 1) return one.id;
    const known = peers.map(({ id, name }) => `${id} ${name}`).join(', ');
    throw new UnknownNameError(
      'UNKNOWN_PEER',
      peer === undefined
        ? `say which peer: ${known === '' ? 'there is none yet' : known}`
        : `${fitting.length === 0 ? 'there is no' : 'there are several'} peer ${shown(peer)}: ${known}`,
    );
  }

  #onNews(): void {
    this.#signal.notify();
    for (const { kind, peer: native, stream, position } of this.#native.events()) {
      const peer = peerOf(native);
      const event: BusEvent =
        kind === 'peer'
          ? { type: peer.connected ? 'peer-connected' : 'peer-lost', peer }
          : kind === 'subscriber'
            ? { type: 'subscriber-joined', stream, peer, from: position }
            : { type: 'subscriber-cut-off', stream, peer, resumeFrom: position };
      for (const listener of this.#listeners) guarded(() => listener(event));
    }
  }
}

function peerOf({ code, message, ...facts }: NativePeer): Peer {
  const peer = facts as Omit<Peer, 'error'>;
  return code === '' ? peer : { ...peer, error: busFailure(code, message) };
}

/** An error in one listener must neither keep events from the others nor be lost: it surfaces as an uncaught exception. */
function guarded(call: () => void): void {
  try {
    call();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
