/** Which ArrayBuffers are memories of WebAssembly, by what V8 reserves behind them. */
import type { Numbers } from './facts.ts';
import type { MappingRows } from './mapping_rows.ts';
import { type Claim, claimsOf } from './shares.ts';

const wasmPageBytes = 64 << 10;
/**
 * V8 reserves all that a 32-bit index and offset can reach, 8 GiB from the memory's start, so that
 * the kernel catches what is out of bounds (V8 11.3 to 14.6). Where it may not reserve so much, as
 * under RLIMIT_AS, a memory looks like any ArrayBuffer.
 */
const reachableBytes = 8 * 2 ** 30;

/** Contents of ArrayBuffers that are mappings: of WebAssembly, and others. */
export function mappedBufferClaims(rows: MappingRows, elsewhere: Numbers): Claim[] {
  const claims = claimsOf(elsewhere, 'array-buffers').map((claim) =>
    isWasmMemory(rows, claim) ? ({ ...claim, holder: 'wasm-memory' } as const) : claim,
  );
  // Views of shared memory and of files stay with these; and unmapped memory is not a buffer.
  return claims.filter(({ start }) => {
    const row = rows.rowAt(start);
    return row !== -1 && rows.isAnonymous(row) && rows.permissionsOf(row).startsWith('rw-p');
  });
}

function isWasmMemory(rows: MappingRows, { start, end }: Claim): boolean {
  if ((end - start) % wasmPageBytes !== 0) return false;
  const guard = rows.rowAt(end);
  return (
    guard !== -1 &&
    rows.startOf(guard) === end &&
    rows.isAnonymous(guard) &&
    rows.permissionsOf(guard).startsWith('---') &&
    rows.endOf(guard) - start >= reachableBytes
  );
}
