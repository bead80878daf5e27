/** Stacks without what is Node's own, so that memory is under the program's functions. */
import type { CaptureReport, Frame } from '../capture/capture_model.ts';
import { largestFirst, rowsJoinedAt } from './report_rows.ts';

/** The libraries that every Node has loaded: what of their code is in a stack is Node's doing. */
const runtimeObject = /^(ld-linux.*|lib(c|m|dl|rt|gcc_s|pthread|stdc\+\+|node|uv)[-.].*)$/;

/** The tracker's own code within the program: its addon, and the files that are loaded with it. */
const trackerObject = /^memdrift\.node$/;
const trackerScripts = [
  ...['command_line', 'control', 'js_heap', 'preload', 'preload_order'].map(
    (name) => `tracker/${name}`,
  ),
  ...['deep_facts', 'inside_facts', 'retained_buffers', 'worker_facts'].map(
    (name) => `drift/${name}`,
  ),
  // A source map names the source.
].flatMap((name) => [`/dist/${name}.cjs`, `/src/${name}.cts`]);

/** True for a script that the tracker runs within the program. */
export function isOfTracker(file: string): boolean {
  return trackerScripts.some((end) => file.endsWith(end));
}

/**
 * Stands for all stacks of the tracker. It is not a function, and lists of functions leave it out.
 */
export const ownFrame: Frame = {
  function: '(memdrift itself)',
  file: '',
  functionLine: null,
  line: null,
  column: null,
  native: true,
  object: null,
  inlined: false,
};

/** True for the frame that stands for the tracker's stacks. */
export function isOwnFrame(frame: Frame): boolean {
  return frame.function === ownFrame.function && frame.native && frame.object === null;
}

/** Parts of V8's heap that are under no function, as native/analysis/js_heap.cc names them. */
const heapPart = /^\((V8's heap|no JavaScript on the stack): /;

/**
 * True for the tracker's own code, Node's JavaScript, V8's built-in code, and native code of Node
 * and the C library. Addons and the libraries that they bring are of the program.
 */
export function isInternal(frame: Frame, executable: string | undefined): boolean {
  if (frame.file.startsWith('node:')) return true;
  if (isOwnFrame(frame)) return false;
  if (!frame.native) return frame.file === '' || isOfTracker(frame.file);
  if (heapPart.test(frame.function)) return false;
  const path = frame.object ?? '';
  const object = path.slice(path.lastIndexOf('/') + 1);
  return (
    path === executable ||
    /^(node(js)?)?$/.test(object) ||
    runtimeObject.test(object) ||
    trackerObject.test(object)
  );
}

/**
 * The same rows, each under the innermost function that is the program's. What no function of the
 * program asked for is under the empty stack, and objects (kind jsheap) under Node's innermost
 * function: only the part of Node that holds them is known. No byte is lost. Nodes keep their
 * numbers.
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
  const ofNode = nodeFunctions(report);
  const jsheap = report.kinds.indexOf('jsheap');
  const node = rows.node.map((at, row) => {
    const shown = shownAt[at] as number;
    return shown === 0 && rows.kind[row] === jsheap ? ofNode(at) : shown;
  });
  return { ...report, stacks: { parent: shownParent, frame }, rows: { ...rows, node } };
}

/** Finds Node's innermost function of a stack, as one node per function; 0: the stack has none. */
function nodeFunctions({ frames, stacks }: CaptureReport): (node: number) => number {
  const nodeOf = new Map<number, number>();
  return (node) => {
    let at = node;
    const frame = (): number => stacks.frame[at] as number;
    while (at !== 0 && !frames[frame()]?.file.startsWith('node:')) at = stacks.parent[at] as number;
    if (at === 0) return 0;
    const known = nodeOf.get(frame()) ?? at;
    nodeOf.set(frame(), known);
    return known;
  };
}

/**
 * Of withoutInternals, for a list of stacks: rows of a kind and a thread that came to have one
 * stack are one row, the largest first. Without a timeline, which is of the rows before.
 */
export function joinedRows(report: CaptureReport): CaptureReport {
  const { rows, threads, kinds } = report;
  const known = new Map<number, number>();
  const places = Int32Array.from(rows.node, (node, row) => {
    const thread = rows.thread[row] as number;
    const key = (node * threads.length + thread) * kinds.length + (rows.kind[row] as number);
    const place = known.get(key) ?? known.size;
    known.set(key, place);
    return place;
  });
  const joined = rowsJoinedAt(rows, places);
  return largestFirst({ ...report, rows: joined, changes: new Float64Array(), moments: [] });
}
