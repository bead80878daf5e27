/** Sizes for what `util.inspect` shows. */

/** `48 bytes`, `4.00 MB` of 10^6 bytes. */
export function sizeText(bytes: number): string {
  return bytes < 1e6 ? `${bytes} bytes` : `${(bytes / 1e6).toFixed(2)} MB`;
}
