/** Places in compiled JavaScript, told as places in what it was compiled from. */
import { readFileSync, statSync } from 'node:fs';
import { SourceMap, type SourceMapPayload } from 'node:module';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** A place as V8 tells it: lines and columns from 1, null: not known. */
interface Place {
  readonly file: string;
  readonly functionLine: number | null;
  readonly line: number | null;
  readonly column: number | null;
  readonly native: boolean;
}

/** Scripts and maps beyond it are not read: the places stay those of the script. */
const maxFileBytes = 64 << 20;
/** Behind every mapping of a line. */
const endOfLine = 2 ** 30;

/**
 * The source maps that scripts name in their last line (`//# sourceMappingURL=`), a file beside
 * them or data in them; each script is read once, as it is when the report is made.
 */
export class SourceMaps {
  readonly #maps = new Map<string, Found | null>();

  /** The same frame with the place in the source, or as it is where no map tells. */
  apply<F extends Place>(frame: F): F {
    if (frame.native || frame.functionLine === null) return frame;
    const path = pathOf(frame.file);
    if (path === null) return frame;
    if (!this.#maps.has(path)) this.#maps.set(path, mapOf(path));
    const found = this.#maps.get(path);
    if (!found) return frame;
    const definition = originOf(found, frame.functionLine, (frame.column ?? 1) - 1);
    if (definition === null) return frame;
    const at = frame.line === null ? null : originOfLine(found, frame.line);
    const { file, line: functionLine, column } = definition;
    return { ...frame, file, functionLine, column, line: at?.file === file ? at.line : null };
  }
}

interface Found {
  readonly map: SourceMap;
  /** That its sources are relative to. */
  readonly folder: string;
}

interface Origin {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

function originOf(
  { map, folder }: Found,
  line: number,
  column: number,
): (Origin & { generatedLine: number }) | null {
  const entry = map.findEntry(line - 1, column);
  if (!('originalSource' in entry) || !entry.originalSource) return null;
  const { originalSource, originalLine, originalColumn, generatedLine } = entry;
  const url = URL.canParse(originalSource) ? originalSource : null;
  const file = url === null ? resolve(folder, originalSource) : (pathOf(url) ?? url);
  return { file, line: originalLine + 1, column: originalColumn + 1, generatedLine };
}

/** Of a line whose column is not known: its first mapping, else the last one before its end. */
function originOfLine(found: Found, line: number): Origin | null {
  const first = originOf(found, line, 0);
  return first?.generatedLine === line - 1 ? first : originOf(found, line, endOfLine);
}

function mapOf(path: string): Found | null {
  try {
    const [, url] = /\/\/[#@] sourceMappingURL=(\S+)\s*$/.exec(textOf(path)) ?? [];
    if (url === undefined) return null;
    const data = /^data:application\/json[^,]*?(;base64)?,(.*)$/s.exec(url);
    const file = data === null ? resolve(dirname(path), decodeURIComponent(url)) : path;
    const payload = JSON.parse(data === null ? textOf(file) : decoded(data)) as SourceMapPayload;
    const folder = resolve(dirname(file), payload.sourceRoot ?? '');
    return { map: new SourceMap({ ...payload, sourceRoot: '' }), folder };
  } catch {
    return null; // Gone, or no map: what V8 said stays.
  }
}

function decoded([, isBase64, text = '']: readonly string[]): string {
  return isBase64 ? Buffer.from(text, 'base64').toString() : decodeURIComponent(text);
}

function textOf(path: string): string {
  if (statSync(path).size > maxFileBytes) throw new RangeError(`${path} is too large`);
  return readFileSync(path, 'utf8');
}

/** Of a script that is a file; null for Node's own, for eval and for what was fetched. */
function pathOf(name: string): string | null {
  if (name.startsWith('/')) return name;
  return name.startsWith('file://') ? fileURLToPath(name) : null;
}
