import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../../', import.meta.url));

/** One file of the project: its path from the root and its text. */
export interface ProjectFile {
  readonly path: string;
  readonly text: string;
}

const skippedFolders = new Set(['node_modules', 'fixtures', 'corpus', 'tmp', 'captures']);

/** Every file under `folders` (or itself a file; from the root) that ends in one of `endings`. */
export function filesUnder(
  folders: readonly string[],
  endings: readonly string[],
): readonly ProjectFile[] {
  const found: ProjectFile[] = [];
  const visit = (path: string): void => {
    if (statSync(path).isDirectory()) {
      for (const entry of readdirSync(path).sort()) {
        if (!skippedFolders.has(entry)) visit(join(path, entry));
      }
    } else if (endings.some((ending) => path.endsWith(ending))) {
      found.push({ path: relative(root, path), text: readFileSync(path, 'utf8') });
    }
  };
  for (const folder of folders) {
    const path = join(root, folder);
    if (statSync(path, { throwIfNoEntry: false })) visit(path);
  }
  return found;
}

/** Number of the line that `offset` is on, from 1. */
export function lineAt(text: string, offset: number): number {
  let line = 1;
  for (let i = text.indexOf('\n'); i !== -1 && i < offset; i = text.indexOf('\n', i + 1)) line++;
  return line;
}
