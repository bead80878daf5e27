/** Reads the memory of another process; a lying or changing one ends in an error, not in a loop. */
import { closeSync, openSync, readSync } from 'node:fs';

export interface ProcessMemory {
  /** @throws where the bytes cannot be read, or no longer all. */
  read(address: number, length: number): Buffer;
  close(): void;
}

/** @throws the error of open(2): EACCES or EPERM where ptrace may not attach. */
export function openMemory(pid: number): ProcessMemory {
  const file = openSync(`/proc/${pid}/mem`, 'r');
  return {
    read(address, length) {
      const bytes = Buffer.alloc(length);
      const read = readSync(file, bytes, 0, length, BigInt(address));
      if (read !== length) throw new RangeError('memory ends there');
      return bytes;
    },
    close: () => closeSync(file),
  };
}
