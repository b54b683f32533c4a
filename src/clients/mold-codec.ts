// MoldUDP64: datagrams as bytes. Source: "MoldUDP64 Protocol Specification", version 1.00, Nasdaq.
//
//     0         10         18      20
//     ┌─────────┬──────────┬───────┬──────────────────────────────
//     │ session │ sequence │ count │ count × (length, 2, message)       big-endian
//     └─────────┴──────────┴───────┴──────────────────────────────
//
// A request is the first twenty bytes alone.
import { GatewayError } from '../errors/errors.ts';

export const moldHeaderBytes: number = 20;
export const moldEndOfSession: number = 0xffff;

export interface MoldHeader {
  readonly session: string;
  /** Of the first message; where there is none, of the next one that will come. */
  readonly sequence: number;
  /** 0: a heartbeat; 65,535: end of session. */
  readonly count: number;
}

/** Undefined where the bytes are no such datagram, or its sequence number is beyond what any session reaches. */
export function readMoldHeader(datagram: Buffer): MoldHeader | undefined {
  if (datagram.length < moldHeaderBytes) return undefined;
  const high = datagram.readUInt32BE(10);
  if (high >= 0x200000) return undefined;
  return {
    session: datagram.toString('latin1', 0, 10).trim(),
    sequence: high * 0x100000000 + datagram.readUInt32BE(14),
    count: datagram.readUInt16BE(18),
  };
}

/** The messages where they lie; undefined where they do not fill the datagram exactly. */
export function readMoldMessages(datagram: Buffer, count: number): Buffer[] | undefined {
  const messages: Buffer[] = [];
  let at = moldHeaderBytes;
  for (let index = 0; index < count; index++) {
    if (at + 2 > datagram.length) return undefined;
    const end = at + 2 + datagram.readUInt16BE(at);
    if (end > datagram.length) return undefined;
    messages.push(datagram.subarray(at + 2, end));
    at = end;
  }
  return at === datagram.length ? messages : undefined;
}

/** Twenty bytes: a request, a heartbeat, an end of session; or the head of a datagram. */
export function moldHeader({ session, sequence, count }: MoldHeader): Buffer {
  if (session.length > 10)
    throw new GatewayError('GATEWAY_PROTOCOL', `a session name of ${session.length} characters`);
  const bytes = Buffer.alloc(moldHeaderBytes);
  bytes.write(session.padStart(10), 0, 'latin1');
  bytes.writeBigUInt64BE(BigInt(sequence), 10);
  bytes.writeUInt16BE(count, 18);
  return bytes;
}
