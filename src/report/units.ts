/** Numbers as text, the same way in every report. What is not known is `unknown`, never 0. */

export const unknown = 'unknown';

/** Megabytes of 10^6 bytes with two decimals and without the unit, as in `3104.45`. */
export function megabytes(bytes: number | null): string {
  return bytes === null ? unknown : (bytes / 1e6).toFixed(2);
}

/** The same with its unit: `3104.45 MB`. */
export function megabytesWithUnit(bytes: number | null): string {
  return bytes === null ? unknown : `${megabytes(bytes)} MB`;
}

/** A size that may be small: `65536 bytes`, `100.00 MB`. */
export function sizeWithUnit(bytes: number): string {
  return bytes < 1e6 ? `${bytes} bytes` : megabytesWithUnit(bytes);
}

/** A change in megabytes, always with its sign: `+12.00`. */
export function signedMegabytes(bytes: number): string {
  const text = megabytes(Math.abs(bytes));
  return `${bytes < 0 ? '-' : '+'}${text}`;
}

/** After a figure that lost records may have made too large or too small. */
export function lostText(records: number): string {
  const count = records === 1 ? '1 record was' : `${records.toLocaleString('en-US')} records were`;
  return `more or less: ${count} lost`;
}

/**
 * Returns the part of a title that reports what `--tail` left out of each capture, whatever kinds
 * are shown; empty without `--tail`.
 */
export function leftOutText(bytes: readonly number[], tailPercent: number | undefined): string {
  if (tailPercent === undefined) return '';
  const sums = bytes.map(megabytesWithUnit).join(' and ');
  return `, without ${sums} of all kinds allocated in the last ${tailPercent} %`;
}

/**
 * Returns the part of a title that gives a peak's bounds; empty where both show as the same number.
 * The peak is between bounds because mappings are read only a few times a second.
 */
export function boundsText([low, high]: readonly [number, number]): string {
  if (megabytes(low) === megabytes(high)) return '';
  return `, between ${megabytes(low)} and ${megabytesWithUnit(high)}`;
}

/** `21.50 s`. */
export function seconds(ms: number | null): string {
  return ms === null ? unknown : `${(ms / 1000).toFixed(2)} s`;
}

/** A power of two in its unit: `0`, `512 B`, `4 KiB`, `2 MiB`. */
export function binarySize(bytes: number): string {
  if (bytes === 0) return '0';
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];
  const unit = Math.min(Math.floor(Math.log2(bytes) / 10), units.length - 1);
  return `${bytes / 1024 ** unit} ${units[unit]}`;
}

/** A part of a whole in percent with one decimal, as in `12.5`; of nothing it is nothing. */
export function percent(part: number, whole: number): string {
  return (whole === 0 ? 0 : (100 * part) / whole).toFixed(1);
}

/** How often `part` goes into `whole`: `3.02`; unknown when one of them is, or part is nothing. */
export function times(whole: number | null, part: number | null): string {
  if (whole === null || part === null || part === 0) return unknown;
  return (whole / part).toFixed(2);
}

/** `1 look`, `3 looks`, `2 processes`. */
export function counted(count: number, noun: string): string {
  if (count === 1) return `1 ${noun}`;
  return `${count} ${noun}${noun.endsWith('s') ? 'es' : 's'}`;
}

/** A time span in its largest unit: `0.4 s`, `59 s`, `12 min`, `3 h`, `2 d`. */
export function age(ms: number | null): string {
  if (ms === null) return unknown;
  const s = ms / 1000;
  if (s < 10) return `${s.toFixed(1)} s`;
  if (s < 120) return `${Math.floor(s)} s`;
  if (s < 7200) return `${Math.floor(s / 60)} min`;
  if (s < 172_800) return `${Math.floor(s / 3600)} h`;
  return `${Math.floor(s / 86_400)} d`;
}
