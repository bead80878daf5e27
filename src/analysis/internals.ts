/** Stacks without what is Node's own, so that memory is under the program's functions. */
import type { CaptureReport, Frame, RowColumns } from '../capture/capture_model.ts';

/** The libraries that every Node has loaded: what of their code is in a stack is Node's doing. */
const runtimeObject = /^(ld-linux.*|lib(c|m|dl|rt|gcc_s|pthread|stdc\+\+|node|uv)[-.].*)$/;

/**
 * True for Node's JavaScript, V8's built-in code, and native code of Node and the C library. Addons
 * and the libraries that they bring are of the program.
 */
export function isInternal(frame: Frame, executable: string | undefined): boolean {
  if (frame.file.startsWith('node:')) return true;
  if (!frame.native) return frame.file === '';
  const path = frame.object ?? '';
  const object = path.slice(path.lastIndexOf('/') + 1);
  return path === executable || /^(node(js)?)?$/.test(object) || runtimeObject.test(object);
}

/**
 * The same rows, each under the innermost function that is the program's. What no function of the
 * program asked for is under the empty stack; no byte is lost. Nodes keep their numbers.
 */
export function withoutInternals(report: CaptureReport): CaptureReport {
  const executable = report.stats.argv?.[0];
  const isHidden = report.frames.map((frame) => isInternal(frame, executable));
  const { parent, frame } = report.stacks;
  const shownAt = new Uint32Array(parent.length);
  const shownParent = new Uint32Array(parent.length);
  for (let node = 1; node < parent.length; node++) {
    shownParent[node] = shownAt[parent[node] as number] as number;
    shownAt[node] = isHidden[frame[node] as number] ? (shownParent[node] as number) : node;
  }
  const { rows } = report;
  const node = rows.node.map((at) => shownAt[at] as number);
  return { ...report, stacks: { parent: shownParent, frame }, rows: { ...rows, node } };
}

/**
 * Of withoutInternals, for a list of stacks: rows of a kind and a thread that came to have one
 * stack are one row, the largest first. Without a timeline, which is of the rows before.
 */
export function mergedRows(report: CaptureReport): CaptureReport {
  const { rows } = report;
  const places = new Map<string, number>();
  const firsts: number[] = [];
  const sums: { bytes: number; count: number; everBytes: number; everCount: number }[] = [];
  rows.node.forEach((node, row) => {
    const key = `${node} ${rows.thread[row]} ${rows.kind[row]}`;
    const place = places.get(key) ?? sums.length;
    if (place === sums.length) {
      places.set(key, place);
      firsts.push(row);
      sums.push({ bytes: 0, count: 0, everBytes: 0, everCount: 0 });
    }
    const sum = sums[place] as (typeof sums)[number];
    for (const name of ['bytes', 'count', 'everBytes', 'everCount'] as const) {
      sum[name] += rows[name][row] as number;
    }
  });
  const order = sums.map((_, place) => place);
  order.sort((a, b) => (sums[b]?.bytes ?? 0) - (sums[a]?.bytes ?? 0));
  const summed = (name: keyof (typeof sums)[number]): Float64Array =>
    Float64Array.from(order, (place) => sums[place]?.[name] ?? 0);
  const same = (name: 'node' | 'thread' | 'kind'): Uint32Array =>
    Uint32Array.from(order, (place) => rows[name][firsts[place] as number] as number);
  const merged: RowColumns = {
    bytes: summed('bytes'),
    count: summed('count'),
    everBytes: summed('everBytes'),
    everCount: summed('everCount'),
    node: same('node'),
    thread: same('thread'),
    kind: same('kind'),
  };
  return { ...report, rows: merged, changes: new Float64Array(), moments: [] };
}
