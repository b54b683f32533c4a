// ControlPump: carries a member's requests to the control store and the answers back. It decides nothing.
import type { ControlAnswerKind, ControlRequest, NativeMember } from '../native/cluster-types.ts';
import {
  type ControlRecord,
  type ControlStore,
  noRecord,
  type ReadAnswer,
  type SwapAnswer,
  unknown,
} from './control-store.ts';

export type PumpedMember = Pick<NativeMember, 'takeControlRequests' | 'answerControl'>;

export class ControlPump {
  readonly #member: PumpedMember;
  readonly #store: ControlStore;
  readonly #onNews: (sentence: string) => void;
  #endWatch: (() => void) | undefined;
  #stopped = false;
  #away = false;

  /** `onNews`: that the store is away, and that it is back. */
  constructor(member: PumpedMember, store: ControlStore, onNews: (sentence: string) => void) {
    this.#member = member;
    this.#store = store;
    this.#onNews = onNews;
  }

  start(): void {
    this.#endWatch = this.#store.watch((record) => this.#answer(0n, 'changed', record));
    this.take();
  }

  /** Requests wait: the member's callback. */
  take(): void {
    if (this.#stopped) return;
    for (const request of this.#member.takeControlRequests()) void this.#serve(request);
  }

  /** Answers that come later reach nobody. */
  stop(): void {
    this.#stopped = true;
    this.#endWatch?.();
  }

  async #serve(asked: ControlRequest): Promise<void> {
    const answer = await this.#ask(asked).catch(unknown);
    if (answer.kind === 'unknown') this.#say(true, `control store: away: ${answer.why}`);
    else this.#say(false, 'control store: back');
    this.#answer(asked.request, answer.kind, ('record' in answer ? answer.record : undefined) ?? noRecord);
  }

  async #ask({ kind, expected, text }: ControlRequest): Promise<ReadAnswer | SwapAnswer> {
    return kind === 'read' ? await this.#store.read() : await this.#store.compareAndSwap(expected, text);
  }

  #answer(request: bigint, kind: ControlAnswerKind, { revision, text }: ControlRecord): void {
    if (!this.#stopped) this.#member.answerControl(request, kind, revision, text);
  }

  #say(away: boolean, sentence: string): void {
    if (this.#away !== away && !this.#stopped) this.#onNews(sentence);
    this.#away = away;
  }
}
