/** Separates the tracker's own memory within the program from the program's. */
import type { CaptureReport, RowColumns } from '../capture/capture_model.ts';
import { isOfTracker, isOwnFrame, ownFrame } from './internals.ts';
import { largestFirst, movedChanges, rowsJoinedAt } from './report_rows.ts';

/** Returns the bytes of the tracker's rows. */
export function ownBytesOf({ rows, stacks, frames }: CaptureReport): number {
  const own = frames.findIndex(isOwnFrame);
  if (own < 0) return 0;
  return rows.bytes.reduce((sum, bytes, row) => {
    const node = rows.node[row] as number;
    return node !== 0 && stacks.frame[node] === own ? sum + bytes : sum;
  }, 0);
}

/**
 * Returns the same rows with one per kind for all memory that the tracker's scripts, or what they
 * called, allocated in the program. Memory that the program takes through memdrift's API stays
 * under the program's functions. Nodes keep their numbers; a last one is added.
 */
export function withOwnRow(report: CaptureReport): CaptureReport {
  const { stacks, rows, frames, threads } = report;
  const isOwnCode = frames.map((frame) => isOfTracker(frame.file));
  const nodes = stacks.parent.length;
  const isOwn = new Uint8Array(nodes);
  // Callers come before callees.
  for (let node = 1; node < nodes; node++) {
    const caller = isOwn[stacks.parent[node] as number] as number;
    isOwn[node] = isOwnCode[stacks.frame[node] as number] ? 1 : caller;
  }
  if (!rows.node.some((node) => isOwn[node] === 1)) return report;
  const places = placesOf(rows, isOwn);
  const joined = rowsJoinedAt(rows, places);
  for (let row = 0; row < rows.node.length; row++) {
    if (isOwn[rows.node[row] as number] === 0) continue;
    joined.node[places[row] as number] = nodes;
    joined.thread[places[row] as number] = threads.length;
  }
  return largestFirst({
    ...report,
    frames: [...frames, ownFrame],
    stacks: {
      parent: appended(stacks.parent, 0),
      frame: appended(stacks.frame, frames.length),
    },
    threads: [...threads, ''],
    rows: joined,
    changes: movedChanges(report, places),
  });
}

function appended(column: Uint32Array, last: number): Uint32Array {
  const longer = new Uint32Array(column.length + 1);
  longer.set(column);
  longer[column.length] = last;
  return longer;
}

/** Finds the new place of each row: the tracker's rows of one kind share one. */
function placesOf({ node, kind }: RowColumns, isOwn: Uint8Array): Int32Array {
  const ofKind = new Map<number, number>();
  let next = 0;
  return Int32Array.from(node, (at, row) => {
    if (isOwn[at] === 0) return next++;
    const place = ofKind.get(kind[row] as number) ?? next++;
    ofKind.set(kind[row] as number, place);
    return place;
  });
}
