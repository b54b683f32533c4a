// JSON as the edges write and read it.
import { jsonDepthMax } from './limits.ts';
import { RequestError } from './request-error.ts';

/** Nanoseconds do not fit a JSON number; positions, order ids and counts do. */
const textFields = new Set(['time', 'expiry']);

/** Positions and order ids as JSON numbers, nanoseconds since 1970 as text. */
export function toJson(value: unknown): string {
  return JSON.stringify(value, (name, field: unknown) => {
    if (typeof field !== 'bigint') return field;
    if (textFields.has(name)) return field.toString();
    const number = Number(field);
    if (!Number.isSafeInteger(number)) throw new RangeError(`${name} ${field} does not fit a JSON number`);
    return number;
  });
}

/** One JSON object, not nested deeper than anything that is understood here. */
export function parseObject(text: string): Record<string, unknown> {
  if (depth(text) > jsonDepthMax)
    throw new RequestError(400, 'MALFORMED_JSON', 'the JSON is nested too deeply');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new RequestError(
      400,
      'MALFORMED_JSON',
      `the body is not JSON: ${(error as Error).message.slice(0, 120)}`,
    );
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new RequestError(400, 'MALFORMED_JSON', 'the body must be a JSON object');
  }
  return value as Record<string, unknown>;
}

/** An upper bound of the nesting: brackets inside of texts count too, which is harmless. */
function depth(text: string): number {
  let open = 0;
  let most = 0;
  for (let at = 0; at < text.length; at++) {
    const character = text.charCodeAt(at);
    if (character === 0x7b || character === 0x5b) most = Math.max(most, ++open);
    else if (character === 0x7d || character === 0x5d) open--;
  }
  return most;
}
