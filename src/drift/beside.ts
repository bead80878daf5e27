/** What is shown beside the causes: attributes of the same pages, and what is not resident. */
import type { Beside } from './explain_model.ts';
import type { Holder } from './holders.ts';
import type { MappingRows } from './mapping_rows.ts';
import type { Shares } from './shares.ts';

export function besideOf(rows: MappingRows, shares: readonly Shares[]): Beside {
  const huge = new Map<Holder, number>();
  for (const [i, parts] of shares.entries()) {
    const bytes = rows.hugeOf(i);
    if (bytes === 0) continue;
    const [holder] = [...parts].sort(([, a], [, b]) => b - a)[0] ?? ['unexplained' as const];
    huge.set(holder, (huge.get(holder) ?? 0) + bytes);
  }
  return {
    anonHugePagesBytes: rows.total('anonHugePagesBytes'),
    anonHugePages: [...huge]
      .map(([holder, bytes]) => ({ holder, bytes }))
      .sort((a, b) => b.bytes - a.bytes),
    swapBytes: rows.total('swapBytes'),
    hugetlbBytes: rows.total('sharedHugetlbBytes') + rows.total('privateHugetlbBytes'),
    forkShared: forkSharedOf(rows),
  };
}

function forkSharedOf(rows: MappingRows): Beside['forkShared'] {
  let rssBytes = 0;
  let pssBytes = 0;
  for (let i = 0; i < rows.length; i++) {
    if (!rows.isAnonymous(i) || rows.permissionsOf(i)[3] === 's') continue;
    if (!(rows.pssOf(i) < rows.rssOf(i))) continue;
    rssBytes += rows.rssOf(i);
    pssBytes += rows.pssOf(i);
  }
  return { rssBytes, pssBytes };
}
