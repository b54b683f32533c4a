// Figures as a person reads them.

export function thousands(value: number | bigint): string {
  return value.toString().replace(/\B(?=(\d{3})+(?!\d))/g, ',');
}

/** A decimal text with thousands set apart and exactly `decimals` digits after the point. */
export function price(text: string, decimals: number): string {
  const [whole = '', fraction = ''] = text.split('.');
  const shown = thousands(BigInt(whole));
  return decimals === 0 ? shown : `${shown}.${fraction.padEnd(decimals, '0').slice(0, decimals)}`;
}

/** Digits after the point of a step such as "0.01". */
export function decimalsOf(step: string): number {
  const point = step.indexOf('.');
  return point < 0 ? 0 : step.length - point - 1;
}

export function bytes(count: number | bigint): string {
  let value = Number(count);
  for (const unit of ['B', 'KiB', 'MiB', 'GiB']) {
    if (value < 1024) return `${unit === 'B' ? value : value.toFixed(1)} ${unit}`;
    value /= 1024;
  }
  return `${value.toFixed(1)} TiB`;
}

export function duration(milliseconds: number): string {
  const seconds = Math.floor(milliseconds / 1000);
  const two = (value: number): string => String(value).padStart(2, '0');
  const days = Math.floor(seconds / 86_400);
  const clock = `${two(Math.floor(seconds / 3600) % 24)}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  return days > 0 ? `${days}d ${clock}` : clock;
}

export function nanoseconds(value: number): string {
  if (value < 1_000) return `${Math.round(value)} ns`;
  if (value < 1_000_000) return `${(value / 1_000).toFixed(value < 10_000 ? 1 : 0)} µs`;
  if (value < 1_000_000_000) return `${(value / 1_000_000).toFixed(value < 10_000_000 ? 1 : 0)} ms`;
  return `${(value / 1_000_000_000).toFixed(1)} s`;
}

export function elapsed(milliseconds: number): string {
  return nanoseconds(milliseconds * 1e6);
}
