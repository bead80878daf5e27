/** Checks of arguments that segments, flags and stores share. The native side only asserts them. */
import { MemdriftError } from '../errors.ts';

/**
 * Longest ArrayBuffer of this Node. V8 of Node 20 ends the process, or throws without saying why,
 * beyond 4 GiB.
 */
export const maxBufferBytes =
  Number(process.versions.node.split('.')[0]) < 22 ? 2 ** 32 : Number.MAX_SAFE_INTEGER;

/** @throws MemdriftError ERR_INVALID unless `name` is 1 to 200 of A-Z a-z 0-9 . _ - */
export function checkName(what: string, name: unknown): asserts name is string {
  if (typeof name === 'string' && /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}$/.test(name)) return;
  throw new MemdriftError(
    'ERR_INVALID',
    `${what} name ${JSON.stringify(name)} is not allowed: use 1 to 200 of A-Z a-z 0-9 . _ - ` +
      'and no dot at the start',
    { name },
  );
}

/** @throws MemdriftError ERR_INVALID unless `bytes` is a whole number from `least` up. */
export function checkSize(what: string, bytes: unknown, least: 0 | 1): asserts bytes is number {
  if (Number.isSafeInteger(bytes) && (bytes as number) >= least) return;
  throw new MemdriftError(
    'ERR_INVALID',
    `${what} is ${String(bytes)}: a whole number of bytes from ${least} up is needed`,
    { [what]: bytes },
  );
}

/** @throws MemdriftError ERR_TOO_LARGE if this Node has no ArrayBuffer of that length. */
export function checkBufferSize(what: string, bytes: number): void {
  if (bytes <= maxBufferBytes) return;
  throw new MemdriftError(
    'ERR_TOO_LARGE',
    `${what} is ${bytes} bytes, but an ArrayBuffer of Node ${process.version} ends at ` +
      `${maxBufferBytes}; ` +
      'split it, or use Node 22 or later',
    { bytes, maxBufferBytes },
  );
}

/** @throws MemdriftError ERR_INVALID unless `id` can be an object's. */
export function checkId(id: unknown): asserts id is number {
  if (Number.isSafeInteger(id) && (id as number) >= 0) return;
  throw new MemdriftError(
    'ERR_INVALID',
    `${String(id)} is no object id: ids are whole numbers that create(), put() or list() gave`,
    { id },
  );
}

/** A timer takes no more, and it is as good as for ever: eleven days. */
export const maxTimeoutMs = 1e9;

/** @throws MemdriftError ERR_INVALID unless `timeoutMs` is 0 or more; Infinity is for ever. */
export function checkTimeout(timeoutMs: unknown): asserts timeoutMs is number {
  if (typeof timeoutMs === 'number' && timeoutMs >= 0) return;
  throw new MemdriftError('ERR_INVALID', `timeoutMs is ${timeoutMs}: 0 or more is needed`, {
    timeoutMs,
  });
}
