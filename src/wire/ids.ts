// Ids and names: 16 bytes in a cell, text outside.
//
// Text of 1 to 16 printable ASCII characters (0x21 to 0x7e: no blanks) lies in the cell as it is, padded with zeros. A UUID (RFC 9562) lies there
// as its 16 bytes. The two cannot collide: byte 8 of such a UUID has its top bit set, which no ASCII character has. All zeros means none.
// A UUID comes back in lower case, whatever case it went in with.
import { InvalidRequestError } from '../errors/errors.ts';
import { shown } from '../errors/shown.ts';

export const idBytes = 16;
const uuidLength = 36;
const uuidShape = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** The text of every byte as a character: cheaper to look up than to make. */
const textOfChar: readonly string[] = Array.from({ length: 256 }, (_, char) => String.fromCharCode(char));
/** The value of every hexadecimal digit, by character. */
const digitOfChar: readonly number[] = Array.from({ length: 128 }, (_, char) => {
  const digit = Number.parseInt(String.fromCharCode(char), 16);
  return Number.isNaN(digit) ? -1 : digit;
});
const hyphen = 0x2d;

const hexOfByte: readonly string[] = Array.from({ length: 256 }, (_, byte) =>
  byte.toString(16).padStart(2, '0'),
);

/** Writes an id over 16 bytes that are zero already. Throws INVALID_ID. */
export function writeId(bytes: Uint8Array, offset: number, id: string, field = 'id'): void {
  if (typeof id !== 'string') throw invalidId(id, field);
  const length = id.length;
  if (length === uuidLength) {
    writeUuid(bytes, offset, id, field);
    return;
  }
  if (length === 0 || length > idBytes) throw invalidId(id, field);
  for (let i = 0; i < length; i++) {
    const char = id.charCodeAt(i);
    if (char < 0x21 || char > 0x7e) throw invalidId(id, field);
    bytes[offset + i] = char;
  }
}

/** Writes a name over 16 bytes that are zero already: text only. Throws INVALID_NAME. */
export function writeName(bytes: Uint8Array, offset: number, name: string, field: string): void {
  if (!isName(name)) {
    throw new InvalidRequestError(
      'INVALID_NAME',
      `${field}: ${shown(name)} is not 1 to 16 printable ASCII characters`,
      { field },
    );
  }
  for (let i = 0; i < name.length; i++) bytes[offset + i] = name.charCodeAt(i);
}

/** Whether it can be the name of an asset, an instrument or an account. */
export function isName(name: unknown): name is string {
  return typeof name === 'string' && /^[\x21-\x7e]{1,16}$/.test(name);
}

/** Whether it can be an order id or a transaction id. */
export function isId(id: unknown): id is string {
  return isName(id) || (typeof id === 'string' && uuidShape.test(id) && uuidVariant(id));
}

/** The id's 16 bytes. Throws INVALID_ID. */
export function idToBytes(id: string, field = 'id'): Uint8Array {
  const bytes = new Uint8Array(idBytes);
  writeId(bytes, 0, id, field);
  return bytes;
}

/** The text of an id or a name; '' for none. */
export function readId(bytes: Uint8Array, offset: number): string {
  if (bytes[offset + 8]! >= 0x80) return readUuid(bytes, offset);
  let text = '';
  for (let i = offset; i < offset + idBytes; i++) {
    const char = bytes[i]!;
    if (char === 0) break;
    text += textOfChar[char]!;
  }
  return text;
}

/** The text of an id as the engine's JSON writes it: as it is, or binary bytes as 0x and 32 hex digits. */
export function idFromJson(text: string): string {
  return text.length === 34 && text.startsWith('0x') ? hyphenate(text.slice(2)) : text;
}

/** The 16 bytes of an id as the engine's JSON writes it, whatever they are. */
export function idBytesFromJson(text: string): Uint8Array {
  const bytes = new Uint8Array(idBytes);
  bytes.set(Buffer.from(text, 'latin1').subarray(0, idBytes));
  if (text.length === 34 && text.startsWith('0x')) bytes.set(Buffer.from(text.slice(2), 'hex'));
  return bytes;
}

function writeUuid(bytes: Uint8Array, offset: number, id: string, field: string): void {
  for (let i = 0, char = 0; i < idBytes; i++, char += 2) {
    if (i === 4 || i === 6 || i === 8 || i === 10) {
      if (id.charCodeAt(char) !== hyphen) throw invalidId(id, field);
      char++;
    }
    const high = hexDigit(id.charCodeAt(char));
    const low = hexDigit(id.charCodeAt(char + 1));
    if (high < 0 || low < 0) throw invalidId(id, field);
    bytes[offset + i] = (high << 4) | low;
  }
  if (bytes[offset + 8]! < 0x80) throw invalidId(id, field);
}

function readUuid(bytes: Uint8Array, offset: number): string {
  let hex = '';
  for (let i = offset; i < offset + idBytes; i++) hex += hexOfByte[bytes[i]!]!;
  return hyphenate(hex);
}

function hyphenate(hex: string): string {
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** The top bit of byte 8, character 19: what sets a UUID of RFC 9562 apart from text. */
function uuidVariant(id: string): boolean {
  return hexDigit(id.charCodeAt(19)) >= 8;
}

/** -1 for what is none. */
function hexDigit(char: number): number {
  return char < 128 ? digitOfChar[char]! : -1;
}

function invalidId(id: unknown, field: string): InvalidRequestError {
  return new InvalidRequestError(
    'INVALID_ID',
    `${field}: ${shown(id)} is neither 1 to 16 printable ASCII characters nor a UUID of RFC 9562`,
    {
      field,
    },
  );
}
