/** What options are given as text. */
import { MemdriftError } from '../errors.ts';

export function isPid(text: string): boolean {
  return /^[1-9]\d{0,9}$/.test(text);
}

/** @throws MemdriftError ERR_INVALID */
export function pidOf(text: string): number {
  if (isPid(text)) return Number(text);
  throw new MemdriftError('ERR_INVALID', `"${text}" is not a process id. Pass whole numbers.`, {
    pid: text,
  });
}

/** Null: the option is not given. @throws MemdriftError ERR_INVALID */
export function numberOf(
  option: string,
  text: string | undefined,
  [least, most]: readonly [number, number],
): number | null {
  if (text === undefined) return null;
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  const message = `${option} is "${text}"; it must be a number from ${least} to ${most}.`;
  throw new MemdriftError('ERR_INVALID', message, { [option]: text });
}

const units = ['', 'K', 'M', 'G', 'T', 'P'];

/** `1073741824`, `1G`, `1GiB`, `0.5G`: units of 1024, as schedulers have them. */
export function bytesOf(option: string, text: string): number {
  const [, digits, unit = ''] = /^(\d+(?:\.\d+)?)([KMGTP]?)(?:i?B)?$/i.exec(text) ?? [];
  const bytes = Math.round(Number(digits) * 1024 ** units.indexOf(unit.toUpperCase()));
  if (digits !== undefined && bytes > 0) return bytes;
  const message = `${option} is "${text}"; it must be a size, such as 16G or 500000000.`;
  throw new MemdriftError('ERR_INVALID', message, { [option]: text });
}
