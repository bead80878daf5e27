/** `memdrift tree`: a call tree as text, whole or as a screen that shows a part of it. */
import pc from 'picocolors';
import { type CallNode, type CallTree, type TreeLine, treeLines } from '../analysis/call_tree.ts';
import type { TreeBrowser } from '../analysis/tree_browser.ts';
import { frameText } from './frame_text.ts';
import { printable } from './printable.ts';
import { megabytes, megabytesWithUnit, percent } from './units.ts';

export interface TreeTextOptions {
  /** What the numbers are of: `live at the peak`. */
  readonly what: string;
  /** Functions further in are counted with the one that called them. */
  readonly maxDepth: number;
}

/** Deeper functions are indented no further: their lines begin with their depth. */
const deepestIndent = 100;

/** Yields the text line by line, since deep trees exceed a string; sizes in MB of 10^6 bytes. */
export function* treeText(tree: CallTree, { what, maxDepth }: TreeTextOptions): Generator<string> {
  yield `${titleOf(tree, what)}\n\n${heads}\n`;
  for (const line of treeLines(tree, (_, depth) => depth + 1 < maxDepth)) {
    const isDeep = line.depth > deepestIndent;
    const mark = isDeep ? `[${line.depth.toLocaleString('en-US')}]` : ' ';
    const indent = isDeep ? deepestIndent : line.depth;
    yield `${numbersOf(tree, line)}  ${indented(tree, line, { mark, indent })}\n`;
  }
}

export interface ScreenOptions {
  readonly what: string;
  readonly columns: number;
  readonly rows: number;
  /** The last line: what is being typed, or what happened; empty: which keys there are. */
  readonly message: string;
  readonly color: boolean;
}

const treeKeys =
  '↑↓ move  ←→ close, open  enter toggle  e open branch  ' +
  "i invert  u Node's own  / search  n next  q quit";

/** As many lines as the terminal has rows, none wider than its columns. */
export function treeScreen(browser: TreeBrowser, options: ScreenOptions): readonly string[] {
  const { columns, rows, what, message, color } = options;
  const { bold, dim } = pc.createColors(color);
  const { tree, lines, selected } = browser;
  const height = Math.max(1, rows - 3);
  const top = browser.topOf(height);
  // Stacks are deeper than terminals are wide: what is left of the selected line moves out.
  const hidden = Math.max(0, (lines[selected]?.depth ?? 0) - Math.floor(columns / 8));
  const body = lines.slice(top, top + height).map((line, i) => {
    const mark = line.part !== 'function' ? ' ' : markOf(browser, line.node);
    const indent = Math.min(line.depth - hidden, columns);
    const text = indented(tree, line, { mark, indent });
    const cut = fitted(`${numbersOf(tree, line)}  ${text}`, columns);
    return top + i === selected ? `\x1b[7m${cut.padEnd(columns)}\x1b[27m` : cut;
  });
  while (body.length < height) body.push('');
  return [
    bold(fitted(titleOf(tree, what), columns)),
    dim(fitted(heads, columns)),
    ...body,
    message === '' ? dim(fitted(treeKeys, columns)) : fitted(message, columns),
  ].slice(-rows);
}

function markOf(browser: TreeBrowser, node: number): string {
  const { children, restBytes } = browser.tree.nodes[node] as CallNode;
  if (children.length === 0 && restBytes === 0) return ' ';
  return browser.isOpen(node) ? '▾' : '▸';
}

/** Escapes are added after this: they have no width. */
function fitted(text: string, columns: number): string {
  const characters = [...text];
  if (characters.length <= columns) return text;
  return `${characters.slice(0, Math.max(0, columns - 1)).join('')}…`;
}

const heads = `${['MB', '%', 'count'].map(numberColumn).join('')}  function`;

function titleOf({ nodes, isInverted }: CallTree, what: string): string {
  const order = isInverted ? 'innermost functions first' : 'outermost functions first';
  return `${megabytesWithUnit(rootOf(nodes).bytes)} ${what}, ${order}`;
}

function numbersOf({ nodes }: CallTree, { node, part }: TreeLine): string {
  const one = nodes[node] as CallNode;
  const [bytes, count] = {
    function: [one.bytes, one.count] as const,
    own: [one.ownBytes, one.ownCount] as const,
    rest: [one.restBytes, one.restCount] as const,
  }[part];
  const share = percent(bytes, rootOf(nodes).bytes);
  return [megabytes(bytes), share, count.toLocaleString('en-US')].map(numberColumn).join('');
}

function numberColumn(text: string, i: number): string {
  return text.padStart([10, 7, 10][i] as number);
}

function indented(
  tree: CallTree,
  { node, part }: TreeLine,
  { mark, indent }: { readonly mark: string; readonly indent: number },
): string {
  return `${'  '.repeat(Math.max(0, indent))}${mark} ${textOf(tree, node, part)}`;
}

function textOf({ nodes, isInverted }: CallTree, node: number, part: TreeLine['part']): string {
  const { frame } = nodes[node] as CallNode;
  if (part === 'rest') return '(smaller stacks)';
  if (part === 'own')
    return frame === null ? '(no function)' : isInverted ? '(outermost)' : '(own)';
  return printable(frameText(frame as NonNullable<typeof frame>));
}

function rootOf(nodes: readonly CallNode[]): CallNode {
  return nodes[0] as CallNode;
}
