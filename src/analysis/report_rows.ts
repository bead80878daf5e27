/** Rows of a report: one by one, or fewer of them. */
import {
  type AllocationKind,
  type CaptureReport,
  type Frame,
  heapKinds,
  numbersPerChange,
  type RowColumns,
  type TableRow,
} from '../capture/capture_model.ts';

/** Rows with their stacks, the largest first; at most `most` of those that hold something. */
export function tableRows(report: CaptureReport, most = Number.POSITIVE_INFINITY): TableRow[] {
  return Array.from(eachRow(report, most));
}

/** Yields the same rows one by one: many rows with deep stacks do not fit in memory together. */
export function* eachRow(
  report: CaptureReport,
  most = Number.POSITIVE_INFINITY,
): Generator<TableRow> {
  const { rows, kinds, threads } = report;
  let made = 0;
  for (let i = 0; i < rows.bytes.length && made < most; i++) {
    const count = rows.count[i] as number;
    if (rows.bytes[i] === 0 && count === 0) continue;
    made++;
    yield {
      bytes: rows.bytes[i] as number,
      count: Number.isNaN(count) ? null : count,
      kind: kinds[rows.kind[i] as number] as AllocationKind,
      thread: threads[rows.thread[i] as number] as string,
      stack: stackAt(report, rows.node[i] as number),
    };
  }
}

/** The largest rows, and the others that hold something; together `totalBytes`. */
export interface LargestRows {
  readonly totalBytes: number;
  readonly rows: readonly TableRow[];
  readonly left: number;
  readonly leftBytes: number;
}

/** Rows of the kinds that the report counts in its total, and rows of other kinds; null: none. */
export interface RowsByTotal {
  readonly counted: LargestRows;
  readonly beside: LargestRows | null;
}

/** Returns at most `most` rows of each. */
export function largestRows(report: CaptureReport, most: number): RowsByTotal {
  // The total of a report of other kinds alone is theirs.
  if (sumOfRows(report) === report.totalBytes)
    return { counted: largestOf(report, most), beside: null };
  const others = report.kinds.filter((kind) => !heapKinds.includes(kind));
  return {
    counted: largestOf(onlyKinds(report, heapKinds), most),
    beside: largestOf(onlyKinds(report, others), most),
  };
}

function largestOf(report: CaptureReport, most: number): LargestRows {
  const { bytes, count } = report.rows;
  const held = bytes.reduce((sum, one, row) => sum + (one === 0 && count[row] === 0 ? 0 : 1), 0);
  const rows = tableRows(report, most);
  const totalBytes = sumOfRows(report);
  const shownBytes = rows.reduce((sum, row) => sum + row.bytes, 0);
  return { totalBytes, rows, left: held - rows.length, leftBytes: totalBytes - shownBytes };
}

/** Of all kinds. */
export function sumOfRows({ rows }: CaptureReport): number {
  return rows.bytes.reduce((sum, bytes) => sum + bytes, 0);
}

/** The functions of a stack, innermost first. */
export function stackAt({ stacks, frames }: CaptureReport, node: number): readonly Frame[] {
  const stack: Frame[] = [];
  for (let at = node; at !== 0; at = stacks.parent[at] as number) {
    stack.push(frames[stacks.frame[at] as number] as Frame);
  }
  return stack;
}

/** The same report with its rows in their order, after their bytes became others. */
export function largestFirst(report: CaptureReport): CaptureReport {
  const { bytes } = report.rows;
  const order = Uint32Array.from(bytes, (_, row) => row);
  order.sort((a, b) => (bytes[b] as number) - (bytes[a] as number) || a - b);
  const places = new Int32Array(order.length);
  order.forEach((row, place) => {
    places[row] = place;
  });
  const rows = { ...report.rows };
  for (const name of Object.keys(rows) as (keyof RowColumns)[]) {
    const column = rows[name];
    Object.assign(rows, { [name]: column.map((_, place) => column[order[place] as number] ?? 0) });
  }
  return { ...report, rows, changes: movedChanges(report, places) };
}

/** The same report with the rows of these kinds only, and a total of theirs. */
export function onlyKinds(report: CaptureReport, kinds: readonly AllocationKind[]): CaptureReport {
  const isWanted = report.kinds.map((kind) => kinds.includes(kind));
  const isOfHeap = report.kinds.map((kind) => heapKinds.includes(kind));
  const { rows } = report;
  const places = new Int32Array(rows.kind.length).fill(-1);
  let count = 0;
  let totalBytes = 0;
  rows.kind.forEach((kind, row) => {
    if (!isWanted[kind]) return;
    places[row] = count++;
    // Where other kinds are asked for alone, their sum is what the question is about.
    if (isOfHeap[kind] || !kinds.some((one) => heapKinds.includes(one))) {
      totalBytes += rows.bytes[row] as number;
    }
  });
  return {
    ...report,
    totalBytes,
    rows: rowsAt(rows, places),
    changes: movedChanges(report, places),
  };
}

/** The rows that have a place, which are in order. */
function rowsAt(rows: RowColumns, places: Int32Array): RowColumns {
  const isKept = (_: number, row: number): boolean => (places[row] as number) >= 0;
  return {
    bytes: rows.bytes.filter(isKept),
    count: rows.count.filter(isKept),
    everBytes: rows.everBytes.filter(isKept),
    everCount: rows.everCount.filter(isKept),
    node: rows.node.filter(isKept),
    thread: rows.thread.filter(isKept),
    kind: rows.kind.filter(isKept),
  };
}

/**
 * Returns the rows at these places, from 0 on. Rows of one place are added up, and have the stack,
 * kind and thread of one of them.
 */
export function rowsJoinedAt(rows: RowColumns, places: Int32Array): RowColumns {
  const length = places.reduce((most, place) => Math.max(most, place + 1), 0);
  const sums = (column: Float64Array): Float64Array => {
    const summed = new Float64Array(length);
    places.forEach((place, row) => {
      summed[place] = (summed[place] as number) + (column[row] as number);
    });
    return summed;
  };
  const same = (column: Uint32Array): Uint32Array => {
    const kept = new Uint32Array(length);
    places.forEach((place, row) => {
      kept[place] = column[row] as number;
    });
    return kept;
  };
  return {
    bytes: sums(rows.bytes),
    count: sums(rows.count),
    everBytes: sums(rows.everBytes),
    everCount: sums(rows.everCount),
    node: same(rows.node),
    thread: same(rows.thread),
    kind: same(rows.kind),
  };
}

/** Returns the changes of rows that moved to these places; -1: the row is gone. */
export function movedChanges({ changes }: CaptureReport, places: Int32Array): Float64Array {
  const kept: number[] = [];
  for (let i = 0; i < changes.length; i += numbersPerChange) {
    const place = places[changes[i + 1] as number] as number;
    if (place < 0) continue;
    kept.push(changes[i] as number, place, changes[i + 2] as number, changes[i + 3] as number);
  }
  return Float64Array.from(kept);
}
