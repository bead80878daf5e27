/** Stacks without what is Node's own, so that memory is under the program's functions. */
import type { CaptureReport, Frame } from '../capture/capture_model.ts';

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
