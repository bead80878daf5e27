import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './files.ts';

/** One row of the table "Rooms" of ARCHITECTURE.md. */
export interface Room {
  readonly name: string;
  /** Files, or folders that end in `/`, from the project's root. */
  readonly files: readonly string[];
  readonly mayImport: ReadonlySet<string>;
  readonly mayImportTypesOf: ReadonlySet<string>;
  readonly fromOutside: readonly string[];
}

/** One dependency as written; the target is a path of this project, null for what is not ours. */
export interface Dependency {
  readonly from: string;
  readonly line: number;
  readonly specifier: string;
  readonly target: string | null;
  readonly typeOnly: boolean;
}

const header = ['room', 'files', 'may import', 'from outside', 'because'];

function cellsOf(line: string): string[] {
  return line
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim());
}

/** The names in back quotes of a cell. */
function quoted(cell: string): string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map((match) => match[1] as string);
}

/** Reads the one table under "## Rooms"; throws when it does not have the form that is expected. */
export function parseRooms(markdown: string): readonly Room[] {
  const lines = markdown.split('\n');
  const start = lines.findIndex((line) => cellsOf(line).join() === header.join());
  if (start === -1) throw new Error(`ARCHITECTURE.md: no table with head ${header.join(' | ')}`);
  const rooms: Room[] = [];
  for (const line of lines.slice(start + 2)) {
    if (!line.startsWith('|')) break;
    const cells = cellsOf(line);
    if (cells.length !== header.length)
      throw new Error(`ARCHITECTURE.md: wrong number of cells in: ${line}`);
    const [names, files, imports, outside, because] = cells as [string, ...string[]];
    const name = quoted(names)[0];
    if (!name || !because) throw new Error(`ARCHITECTURE.md: no name or reason in: ${line}`);
    const allowed = quoted(imports as string);
    const types = allowed.filter((one) => one.startsWith('type '));
    rooms.push({
      name,
      files: quoted(files as string),
      mayImport: new Set(allowed.filter((one) => !one.startsWith('type '))),
      mayImportTypesOf: new Set(types.map((one) => one.slice('type '.length))),
      fromOutside: quoted(outside as string),
    });
  }
  return rooms;
}

export function readRooms(): readonly Room[] {
  return parseRooms(readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8'));
}

/** The room of `path`: the row with the longest entry that covers it. */
export function roomOf(rooms: readonly Room[], path: string): Room | null {
  let best: { room: Room; length: number } | null = null;
  for (const room of rooms) {
    for (const entry of room.files) {
      const covers = entry.endsWith('/') ? path.startsWith(entry) : path === entry;
      if (covers && entry.length > (best?.length ?? 0)) best = { room, length: entry.length };
    }
  }
  return best?.room ?? null;
}

function outsideAllowed(room: Room, specifier: string): boolean {
  return room.fromOutside.some((entry) =>
    entry.endsWith('*') ? specifier.startsWith(entry.slice(0, -1)) : specifier === entry,
  );
}

/** What is wrong with `dependency` by the table, or null. */
export function judgeDependency(rooms: readonly Room[], dependency: Dependency): string | null {
  const { from, line, specifier, target, typeOnly } = dependency;
  const where = `${from}:${line}`;
  const room = roomOf(rooms, from);
  if (!room) return `${where}: no row of "Rooms" in ARCHITECTURE.md covers this file; add one`;
  if (target === null) {
    if (outsideAllowed(room, specifier)) return null;
    return (
      `${where}: room ${room.name} may not use ${specifier}; ` +
      'move the code to a room that may, or change its row in ARCHITECTURE.md and say why'
    );
  }
  const other = roomOf(rooms, target);
  if (!other) return `${where}: ${target} is in no room of ARCHITECTURE.md; add a row for it`;
  if (other === room || room.mayImport.has(other.name)) return null;
  if (room.mayImportTypesOf.has(other.name)) {
    if (typeOnly) return null;
    return (
      `${where}: room ${room.name} may import only types of ${other.name}; ` +
      'write "import type" or pass the value in'
    );
  }
  return (
    `${where}: room ${room.name} may not import ${other.name} (${specifier}); ` +
    'turn the dependency round, pass the value in, or change the table and say why'
  );
}

/** A cycle in `edges` as the list of its members, or null. */
export function findCycle(edges: ReadonlyMap<string, readonly string[]>): readonly string[] | null {
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (node: string): readonly string[] | null => {
    if (path.includes(node)) return [...path.slice(path.indexOf(node)), node];
    if (done.has(node)) return null;
    path.push(node);
    for (const next of edges.get(node) ?? []) {
      const cycle = visit(next);
      if (cycle) return cycle;
    }
    path.pop();
    done.add(node);
    return null;
  };
  for (const node of edges.keys()) {
    const cycle = visit(node);
    if (cycle) return cycle;
  }
  return null;
}

/** Everything that can be reached from `entries` along `edges`, the entries included. */
export function reachable(
  edges: ReadonlyMap<string, readonly string[]>,
  entries: readonly string[],
): ReadonlySet<string> {
  const seen = new Set<string>();
  const waiting = [...entries];
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    if (seen.has(node)) continue;
    seen.add(node);
    waiting.push(...(edges.get(node) ?? []));
  }
  return seen;
}
