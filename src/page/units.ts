/** Sizes and times as text. */

const units = ['B', 'kB', 'MB', 'GB', 'TB'];

/** In powers of 1000, as all of memdrift. */
export function bytesText(bytes: number): string {
  const power = Math.min(
    Math.floor(Math.log10(Math.max(Math.abs(bytes), 1)) / 3),
    units.length - 1,
  );
  return `${(bytes / 1000 ** power).toFixed(power === 0 ? 0 : 2)} ${units[power]}`;
}

export function secondsText(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}

export function percentText(part: number, whole: number): string {
  return whole === 0 ? '-' : `${((100 * part) / whole).toFixed(1)} %`;
}
