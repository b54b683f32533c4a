// A capture without privileges: relays keep the bytes of both directions as a pcap file would have them; and tshark, which reads it.
// The format: "PCAP Capture File Format", IETF draft-ietf-opsawg-pcap; link type 101, raw IPv4.
import { execFileSync } from 'node:child_process';
import { createSocket, type RemoteInfo } from 'node:dgram';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectTo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const segmentBytes = 1400;
const protocolTcp = 6;
const protocolUdp = 17;

function ipv4(protocol: number, body: Buffer): Buffer {
  const header = Buffer.alloc(20);
  header[0] = 0x45;
  header.writeUInt16BE(20 + body.length, 2);
  header[8] = 64;
  header[9] = protocol;
  header.set([127, 0, 0, 1, 127, 0, 0, 1], 12);
  return Buffer.concat([header, body]);
}

export class Capture {
  readonly #records: Buffer[] = [];

  datagram(from: number, to: number, payload: Buffer): void {
    const header = Buffer.alloc(8);
    header.writeUInt16BE(from, 0);
    header.writeUInt16BE(to, 2);
    header.writeUInt16BE(8 + payload.length, 4);
    this.#record(ipv4(protocolUdp, Buffer.concat([header, payload])));
  }

  /** Bytes of a connection, `at` behind its beginning in their direction. */
  segments(from: number, to: number, at: number, bytes: Buffer): void {
    for (let done = 0; done < bytes.length; done += segmentBytes) {
      const header = Buffer.alloc(20);
      header.writeUInt16BE(from, 0);
      header.writeUInt16BE(to, 2);
      header.writeUInt32BE(1 + at + done, 4);
      header.writeUInt32BE(1, 8);
      header[12] = 0x50;
      header[13] = 0x10;
      header.writeUInt16BE(0xffff, 14);
      this.#record(ipv4(protocolTcp, Buffer.concat([header, bytes.subarray(done, done + segmentBytes)])));
    }
  }

  file(): Buffer {
    const header = Buffer.alloc(24);
    header.writeUInt32LE(0xa1b2c3d4, 0);
    header.writeUInt16LE(2, 4);
    header.writeUInt16LE(4, 6);
    header.writeUInt32LE(0xffff, 16);
    header.writeUInt32LE(101, 20);
    return Buffer.concat([header, ...this.#records]);
  }

  #record(packet: Buffer): void {
    const header = Buffer.alloc(16);
    const number = this.#records.length;
    header.writeUInt32LE(1_700_000_000 + Math.floor(number / 1000), 0);
    header.writeUInt32LE((number % 1000) * 1000, 4);
    header.writeUInt32LE(packet.length, 8);
    header.writeUInt32LE(packet.length, 12);
    this.#records.push(header, packet);
  }
}

export interface Relay {
  readonly port: number;
  /** Bytes of both directions. */
  readonly counts: { toServer: number; toClient: number };
  close(): void;
}

/** Listens where a client may connect, and hands on to a server what it captures. */
export async function tcpRelay(capture: Capture, target: string): Promise<Relay> {
  const [host = '', to] = target.split(':');
  const counts = { toServer: 0, toClient: 0 };
  const server = createServer((inside) => {
    const outside = connectTo(Number(to), host);
    const client = inside.remotePort!;
    let [up, down] = [0, 0];
    inside.on('data', (chunk) => {
      capture.segments(client, port, up, chunk);
      up += chunk.length;
      counts.toServer += chunk.length;
      outside.write(chunk);
    });
    outside.on('data', (chunk) => {
      capture.segments(port, client, down, chunk);
      down += chunk.length;
      counts.toClient += chunk.length;
      inside.write(chunk);
    });
    for (const [one, other] of [
      [inside, outside],
      [outside, inside],
    ] as const) {
      one.on('end', () => other.end());
      one.on('error', () => other.destroy());
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  return { port, counts, close: () => server.close() };
}

/** For datagrams one way, and for questions and their answers. `passes`: which datagrams are handed on; all of them are captured. */
export async function udpRelay(
  capture: Capture,
  target: string,
  passes: (datagram: Buffer) => boolean = () => true,
): Promise<Relay> {
  const [host = '', to] = target.split(':');
  const counts = { toServer: 0, toClient: 0 };
  const front = createSocket('udp4');
  const back = createSocket('udp4');
  let asker: RemoteInfo | undefined;
  front.on('message', (datagram, from) => {
    asker = from;
    capture.datagram(from.port, Number(to), datagram);
    counts.toServer++;
    if (passes(datagram)) back.send(datagram, Number(to), host);
  });
  back.on('message', (datagram) => {
    capture.datagram(Number(to), asker!.port, datagram);
    counts.toClient++;
    front.send(datagram, asker!.port, asker!.address);
  });
  await new Promise<void>((resolve) => front.bind(0, '127.0.0.1', resolve));
  return {
    port: front.address().port,
    counts,
    close: () => {
      front.close();
      back.close();
    },
  };
}

export function hasTshark(): boolean {
  try {
    execFileSync('tshark', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** One row a packet of the file, one column a field; several values of a field have commas between them. */
export function tshark(
  capture: Capture,
  decodeAs: readonly string[],
  fields: readonly string[],
  filter = '',
): string[][] {
  const folder = mkdtempSync(join(tmpdir(), 'verbex-capture-'));
  try {
    const path = join(folder, 'session.pcap');
    writeFileSync(path, capture.file());
    const text = execFileSync(
      'tshark',
      [
        ...['-r', path, '--disable-heuristic', 'ouch_soupbintcp', '-T', 'fields'],
        ...decodeAs.flatMap((rule) => ['-d', rule]),
        ...fields.flatMap((field) => ['-e', field]),
        ...(filter === '' ? [] : ['-Y', filter]),
      ],
      { encoding: 'utf8', maxBuffer: 1 << 28, stdio: ['ignore', 'pipe', 'ignore'] },
    );
    return text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => line.split('\t'));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
