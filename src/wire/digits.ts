// Integers as ids: their decimal digits as text, four digits at a time, written as the words in which they lie in the cell (little-endian).

/** The four ASCII digits of 0 to 9999, the first one in the lowest byte. */
const fourDigits: Uint32Array = Uint32Array.from({ length: 10_000 }, (_, value) => {
  const text = String(value).padStart(4, '0');
  return (
    text.charCodeAt(0) | (text.charCodeAt(1) << 8) | (text.charCodeAt(2) << 16) | (text.charCodeAt(3) << 24)
  );
});

/** Writes the digits of a safe integer that is not negative over four words, the rest zeros. */
export function writeDigits(words: Uint32Array, at: number, value: number): void {
  if (value < 10_000) {
    words[at] = leading(value);
    words[at + 1] = words[at + 2] = words[at + 3] = 0;
    return;
  }
  // Below 2^31 an integer division, which is a multiplication to the machine.
  const high = value <= 0x7fffffff ? ((value | 0) / 10_000) | 0 : Math.floor(value / 10_000);
  const last = fourDigits[value - high * 10_000]!;
  if (high < 10_000) {
    const bits = lengthOf(high) << 3;
    words[at] = leading(high) | shiftedUp(last, bits);
    words[at + 1] = shiftedDown(last, bits);
    words[at + 2] = words[at + 3] = 0;
    return;
  }
  const higher = high <= 0x7fffffff ? ((high | 0) / 10_000) | 0 : Math.floor(high / 10_000);
  const third = fourDigits[high - higher * 10_000]!;
  if (higher < 10_000) {
    const bits = lengthOf(higher) << 3;
    words[at] = leading(higher) | shiftedUp(third, bits);
    words[at + 1] = shiftedDown(third, bits) | shiftedUp(last, bits);
    words[at + 2] = shiftedDown(last, bits);
    words[at + 3] = 0;
    return;
  }
  const top = Math.floor(higher / 10_000);
  const second = fourDigits[higher - top * 10_000]!;
  const bits = lengthOf(top) << 3;
  words[at] = leading(top) | shiftedUp(second, bits);
  words[at + 1] = shiftedDown(second, bits) | shiftedUp(third, bits);
  words[at + 2] = shiftedDown(third, bits) | shiftedUp(last, bits);
  words[at + 3] = shiftedDown(last, bits);
}

function lengthOf(value: number): number {
  return value < 100 ? (value < 10 ? 1 : 2) : value < 1000 ? 3 : 4;
}

/** The digits of 0 to 9999 without leading zeros. */
function leading(value: number): number {
  return fourDigits[value]! >>> ((4 - lengthOf(value)) << 3);
}

// A shift by 32 is one by 0 here: four digits in front of a word leave nothing of it, and everything for the next.
function shiftedUp(digits: number, bits: number): number {
  return bits === 32 ? 0 : digits << bits;
}

function shiftedDown(digits: number, bits: number): number {
  return bits === 32 ? digits : digits >>> (32 - bits);
}
