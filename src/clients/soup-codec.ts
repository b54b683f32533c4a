// SoupBinTCP 3.0: frames and log-ins, as bytes. Source: "SoupBinTCP", version 3.00, Nasdaq.
//
//     0      2      3                       2 + length
//     ┌──────┬──────┬───────────────────────┐
//     │length│ type │ payload, length − 1   │      length: big-endian, type and payload
//     └──────┴──────┴───────────────────────┘
import { InvalidRequestError } from '../errors/errors.ts';
import { shown } from '../errors/shown.ts';

/** Types of packets, as their characters' codes. */
export const packets: Readonly<
  Record<
    | 'debug'
    | 'loginAccepted'
    | 'loginRejected'
    | 'sequenced'
    | 'serverHeartbeat'
    | 'endOfSession'
    | 'loginRequest'
    | 'unsequenced'
    | 'clientHeartbeat'
    | 'logoutRequest',
    number
  >
> = {
  debug: 0x2b,
  loginAccepted: 0x41,
  loginRejected: 0x4a,
  sequenced: 0x53,
  serverHeartbeat: 0x48,
  endOfSession: 0x5a,
  loginRequest: 0x4c,
  unsequenced: 0x55,
  clientHeartbeat: 0x52,
  logoutRequest: 0x4f,
};

export const frameHeaderBytes: number = 3;
/** A frame's length field counts the type too. */
export const payloadBytesMax: number = 0xffff - 1;

export interface SoupLogin {
  readonly user: string;
  readonly password: string;
  /** '': whichever is current. */
  readonly session: string;
  /** The next message wanted, from 1 on; 0: only what comes from now on. */
  readonly sequence: number;
}

/** Text of the given width with blanks behind it, or in front of it. Throws INVALID_OPTION where it does not fit. */
function padded(field: string, text: string, width: number, side: 'left' | 'right'): string {
  if (typeof text !== 'string' || text.length > width || !/^[\x20-\x7e]*$/.test(text)) {
    throw new InvalidRequestError(
      'INVALID_OPTION',
      `${field}: expected at most ${width} printable ASCII characters, got ${field === 'password' ? 'something else' : shown(text)}`,
      { field },
    );
  }
  return side === 'left' ? text.padStart(width) : text.padEnd(width);
}

export function frame(type: number, payload: Uint8Array | string = ''): Buffer {
  const bytes = Buffer.alloc(frameHeaderBytes + payload.length);
  bytes.writeUInt16BE(payload.length + 1, 0);
  bytes[2] = type;
  if (typeof payload === 'string') bytes.write(payload, frameHeaderBytes, 'latin1');
  else bytes.set(payload, frameHeaderBytes);
  return bytes;
}

export function loginFrame({ user, password, session, sequence }: SoupLogin): Buffer {
  const payload =
    padded('user', user, 6, 'right') +
    padded('password', password, 10, 'right') +
    padded('session', session, 10, 'left') +
    padded('sequence', String(sequence), 20, 'left');
  return frame(packets.loginRequest, payload);
}

/** Undefined where it is no such payload, or a number that no session reaches. */
export function readLoginAccepted(payload: Buffer): { session: string; sequence: number } | undefined {
  if (payload.length !== 30) return undefined;
  const digits = payload.toString('latin1', 10, 30).trim();
  const sequence = Number(digits);
  if (!/^\d+$/.test(digits) || !Number.isSafeInteger(sequence)) return undefined;
  return { session: payload.toString('latin1', 0, 10).trim(), sequence };
}

/** Called for every whole frame; false: read no further. The payload is good during the call. */
export type FrameSink = (type: number, payload: Buffer) => boolean;

/** Cuts a byte stream into frames. Copies only what a chunk leaves unfinished. */
export class FrameReader {
  readonly #most: number;
  /** A frame whose end has not come; `#held` bytes of it are there. */
  #partial: Buffer = Buffer.alloc(256);
  #held = 0;

  /** `most`: payload bytes that are allowed. */
  constructor(most: number = payloadBytesMax) {
    this.#most = most;
  }

  /** Answers false where the bytes are no frames: a length of 0, or more than is allowed. */
  read(chunk: Buffer, sink: FrameSink): boolean {
    let at = 0;
    while (this.#held > 0 && at < chunk.length) {
      const bytes = this.#held < 2 ? 2 : 2 + this.#partial.readUInt16BE(0);
      at += this.#hold(chunk.subarray(at, at + bytes - this.#held), bytes);
      if (this.#held < 2) return true;
      const length = this.#partial.readUInt16BE(0);
      if (!this.#allowed(length)) return false;
      if (this.#held < 2 + length) continue;
      this.#held = 0;
      if (!sink(this.#partial[2]!, this.#partial.subarray(frameHeaderBytes, 2 + length))) return true;
    }
    while (chunk.length - at >= 2) {
      const length = chunk.readUInt16BE(at);
      if (!this.#allowed(length)) return false;
      const end = at + 2 + length;
      if (end > chunk.length) break;
      if (!sink(chunk[at + 2]!, chunk.subarray(at + frameHeaderBytes, end))) return true;
      at = end;
    }
    if (at < chunk.length) this.#hold(chunk.subarray(at), chunk.length - at);
    return true;
  }

  #allowed(length: number): boolean {
    return length >= 1 && length - 1 <= this.#most;
  }

  #hold(bytes: Buffer, whole: number): number {
    if (this.#partial.length < whole) {
      const larger = Buffer.alloc(whole);
      this.#partial.copy(larger, 0, 0, this.#held);
      this.#partial = larger;
    }
    this.#partial.set(bytes, this.#held);
    this.#held += bytes.length;
    return bytes.length;
  }
}
