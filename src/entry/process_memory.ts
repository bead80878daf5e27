/** Reads the memory of another process, which may change or be unmapped meanwhile. */
import { closeSync, openSync, readSync } from 'node:fs';

/** Bytes as a Buffer has them: the package's types must not need those of Node. */
export interface MemoryBytes {
  readInt32LE(at: number): number;
  readBigUInt64LE(at: number): bigint;
}

export interface ProcessMemory {
  /** Reads `length` bytes. @throws Error when not all of them can be read. */
  read(address: number, length: number): MemoryBytes;
  close(): void;
}

/**
 * Opens the memory of `pid`. @throws the error of open(2): EACCES or EPERM where ptrace is denied.
 */
export function openMemory(pid: number): ProcessMemory {
  const file = openSync(`/proc/${pid}/mem`, 'r');
  return {
    read(address, length) {
      const bytes = Buffer.alloc(length);
      const read = readSync(file, bytes, 0, length, BigInt(address));
      if (read !== length) throw new RangeError('the memory ends before the last byte');
      return bytes;
    },
    close: () => closeSync(file),
  };
}
