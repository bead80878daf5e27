/** What `util.inspect`, and so console.log, shows of a store and its objects. */

/** `util.inspect.custom`, without node:util in the types of this package. */
export const inspectCustom: unique symbol = Symbol.for('nodejs.util.inspect.custom') as never;

/** `48 bytes`, `4.00 MB` of 10^6 bytes. */
export function sizeText(bytes: number): string {
  return bytes < 1e6 ? `${bytes} bytes` : `${(bytes / 1e6).toFixed(2)} MB`;
}
