/** The store's log: a line a second, as Ray's monitor writes, with what that one leaves out. */

/** What a line is made of; the store's own numbers. */
export interface StoreLogNumbers {
  /** Bytes of the objects that exist. */
  readonly liveBytes: number;
  readonly capacityBytes: number;
  /** Pages that the store really has in memory. */
  readonly residentBytes: number;
  readonly arenaBytes: number;
  readonly objects: number;
}

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;

/**
 * One line without its end, for example
 * `2026-01-31T10:20:30.456Z 953.67MiB/9.31GiB object_store_memory, 954.00MiB resident, …`.
 */
export function storeLogLine(now: Date, numbers: StoreLogNumbers): string {
  const { liveBytes, capacityBytes, residentBytes, arenaBytes, objects } = numbers;
  return (
    `${now.toISOString()} ${binarySize(liveBytes)}/${binarySize(capacityBytes)} ` +
    `object_store_memory, ${binarySize(residentBytes)} resident, ${binarySize(arenaBytes)} ` +
    `in extents, ${objects} ${objects === 1 ? 'object' : 'objects'}`
  );
}

/** Ray's way to write a size: powers of 1024, two decimals, no space; bytes are whole. */
function binarySize(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return unit === 0 ? `${value}B` : `${value.toFixed(2)}${units[unit]}`;
}
