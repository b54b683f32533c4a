// JSON of the engine, without losing an integer: those of 16 digits and more come out as text.
const stringOrLongNumber = /"(?:[^"\\]|\\.)*"|-?\d{16,}/g;

/** An integer as exact JSON holds it. */
export type ExactInteger = number | string;

/** JSON.parse, with integers that a number may not hold as strings. */
export function parseExact<T>(text: string): T {
  return JSON.parse(
    text.replace(stringOrLongNumber, (match) => (match.startsWith('"') ? match : `"${match}"`)),
  ) as T;
}
