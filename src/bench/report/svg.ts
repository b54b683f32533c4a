// SVG, drawn as text: elements, scales, and how numbers are written on an axis.

type Attributes = Readonly<Record<string, string | number>>;

export function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}

/** `<name …>inside</name>`; `inside` is markup already. */
export function element(name: string, attributes: Attributes, inside = ''): string {
  const written = Object.entries(attributes)
    .map(
      ([key, value]) => ` ${key}="${typeof value === 'number' ? Number(value.toFixed(2)) : escaped(value)}"`,
    )
    .join('');
  return inside === '' ? `<${name}${written}/>` : `<${name}${written}>${inside}</${name}>`;
}

export function label(x: number, y: number, text: string, attributes: Attributes = {}): string {
  return element('text', { x, y, ...attributes }, escaped(text));
}

/** A drawing that scales with the page; `title` is read out in its place. */
export function drawing(width: number, height: number, title: string, inside: readonly string[]): string {
  return element(
    'svg',
    {
      xmlns: 'http://www.w3.org/2000/svg',
      viewBox: `0 0 ${width} ${height}`,
      width,
      height,
      role: 'img',
      'aria-label': title,
      'font-family': 'system-ui, sans-serif',
      'font-size': 12,
    },
    `\n${inside.join('\n')}\n`,
  );
}

/** Told apart with any colour vision (Okabe and Ito). */
export const colours: readonly string[] = [
  '#0072b2',
  '#d55e00',
  '#009e73',
  '#cc79a7',
  '#e69f00',
  '#56b4e9',
  '#000000',
  '#8a8a00',
];

export function colourOf(index: number): string {
  return colours[index % colours.length]!;
}

/** From a value to a place between `from` and `to`. */
export interface Scale {
  readonly at: (value: number) => number;
  readonly ticks: readonly number[];
}

const factors = [1, 2, 5] as const;

/** From one to another of 1, 2, 5, 10, 20 … around all values, which must be greater than 0; wide ones are marked at powers of ten only. */
export function logScale(values: readonly number[], from: number, to: number): Scale {
  const good = values.filter((value) => Number.isFinite(value) && value > 0);
  const [least, most] = good.length === 0 ? [1, 10] : [Math.min(...good), Math.max(...good)];
  const round: number[] = [];
  for (let power = Math.floor(Math.log10(least)) - 1; power <= Math.ceil(Math.log10(most)); power++) {
    for (const factor of factors) round.push(Number(`${factor}e${power}`));
  }
  const low = round.findLast((value) => value <= least)!;
  const high = round.find((value) => value >= most && value > low)!;
  const span = Math.log10(high / low);
  const inside = round.filter((value) => value >= low && value <= high);
  const ticks = span > 2.5 ? inside.filter((value) => Number.isInteger(Math.log10(value))) : inside;
  return { at: (value) => from + (Math.log10(value / low) / span) * (to - from), ticks };
}

/** From 0 to a round number above all values. */
export function linearScale(values: readonly number[], from: number, to: number): Scale {
  const most = Math.max(0, ...values.filter(Number.isFinite));
  const step = roundStep(most === 0 ? 1 : most / 4);
  const count = Math.max(1, Math.ceil(most / step));
  const ticks = Array.from({ length: count + 1 }, (_, index) => index * step);
  return { at: (value) => from + (value / (count * step)) * (to - from), ticks };
}

/** 1, 2 or 5 times a power of ten, not below `step`. */
function roundStep(step: number): number {
  const power = 10 ** Math.floor(Math.log10(step));
  return power * ([1, 2, 5, 10].find((factor) => factor * power >= step * 0.999) ?? 10);
}

/** 1234567 to "1.23 M". */
export function shortNumber(value: number): string {
  for (const [size, unit] of [
    [1e9, ' G'],
    [1e6, ' M'],
    [1e3, ' k'],
  ] as const) {
    if (Math.abs(value) >= size) return `${threeDigits(value / size)}${unit}`;
  }
  return threeDigits(value);
}

/** Nanoseconds to "850 ns", "12.3 µs", "4.5 ms", "1.2 s". */
export function duration(ns: number): string {
  if (ns < 1e3) return `${threeDigits(ns)} ns`;
  if (ns < 1e6) return `${threeDigits(ns / 1e3)} µs`;
  return ns < 1e9 ? `${threeDigits(ns / 1e6)} ms` : `${threeDigits(ns / 1e9)} s`;
}

function threeDigits(value: number): string {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return String(Number(value.toFixed(digits)));
}
