import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { lineAt, type ProjectFile, root } from './files.ts';
import type { Dependency } from './rooms.ts';
import type { FoundFunction } from './typescript_source.ts';

/** `text` with comments, string and character literals blanked; offsets and lines stay. */
export function blanked(text: string): string {
  const comment = /\/\/[^\n]*|\/\*[\s\S]*?\*\//;
  const raw = /R"([^(\s]*)\([\s\S]*?\)\1"/;
  const literal = /"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)+'/;
  const tokens = new RegExp([comment, raw, literal].map((one) => one.source).join('|'), 'g');
  return text.replace(tokens, (token, ...rest) => {
    const offset = rest.at(-2) as number;
    const isDigitSeparator = token.startsWith("'") && /[0-9a-fA-F]/.test(text[offset - 1] ?? '');
    return isDigitSeparator ? token : token.replace(/[^\n]/g, ' ');
  });
}

/** Headers that are neither C++ nor POSIX nor Linux: these need a place in the table. */
const foreignHeader = /^(napi|node|v8|uv|js_native|gtest|gmock|benchmark)/;

/** Every `#include` of our own files, looked for in native/, and of foreign headers. */
export function includesOf(file: ProjectFile): readonly Dependency[] {
  const found: Dependency[] = [];
  for (const match of file.text.matchAll(/^[ \t]*#[ \t]*include[ \t]*([<"])([^>"\n]+)[>"]/gm)) {
    const specifier = match[2] as string;
    const ours = match[1] === '"';
    if (!ours && !foreignHeader.test(specifier)) continue;
    const target = ours ? join('native', specifier) : null;
    const line = lineAt(file.text, match.index);
    found.push({ from: file.path, line, specifier, target, typeOnly: false });
  }
  return found;
}

/** Includes in quotes that name no file under native/. */
export function missingIncludes(file: ProjectFile): readonly string[] {
  return includesOf(file)
    .filter(({ target }) => target !== null && !existsSync(join(root, target)))
    .map(({ line, specifier }) => `${file.path}:${line}: "${specifier}" is not under native/`);
}

function countParameters(list: string): number {
  let depth = 0;
  let count = list.trim() === '' || list.trim() === 'void' ? 0 : 1;
  for (const char of list) {
    if ('(<[{'.includes(char)) depth++;
    else if (')>]}'.includes(char)) depth--;
    else if (char === ',' && depth === 0) count++;
  }
  return count;
}

const notNames = new Set(['alignas', 'decltype', 'noexcept', 'requires', '__attribute__']);
const callable = /((?:[\w~]+::)*(?:operator\s*(?:\(\)|[^\s(\w]+|[\w ]+)|~?\w+))\s*\(/g;

/** The name and parameters of a definition, from the text before its `{`; null if no function. */
function signatureOf(head: string): { name: string; parameters: number } | null {
  const match = [...head.matchAll(callable)].find((one) => !notNames.has(one[1] as string));
  if (!match) return null;
  const open = match.index + match[0].length - 1;
  let depth = 0;
  for (let i = open; i < head.length; i++) {
    if (head[i] === '(') depth++;
    else if (head[i] === ')' && --depth === 0) {
      return { name: match[1] as string, parameters: countParameters(head.slice(open + 1, i)) };
    }
  }
  return null;
}

/** True for a brace that starts no block: in a parameter list, or in a constructor's list. */
function isInitializer(head: string): boolean {
  const opened = head.split('(').length - head.split(')').length;
  return opened !== 0 || (/\)\s*(?:noexcept\s*)?:[^:]/.test(head) && /[\w>]\s*$/.test(head));
}

/**
 * The functions defined in `file`, by a scan of braces: a block that is opened in a namespace or a
 * class after something with a parameter list. Lambdas and blocks inside belong to their function.
 */
export function cppFunctionsOf(file: ProjectFile): readonly FoundFunction[] {
  const text = blanked(file.text)
    .replace(/^[ \t]*#(?:[^\n]*\\\n)*[^\n]*/gm, (lines) => lines.replace(/[^\n]/g, ' '))
    .replace(/\[\[[^\]\n]*\]\]/g, (attribute) => ' '.repeat(attribute.length));
  const found: FoundFunction[] = [];
  const open: (FoundFunction | 'block' | 'initializer')[] = [];
  let headStart = 0;
  for (let i = 0; i < text.length; i++) {
    const char = text[i];
    const inFunction = open.some((one) => typeof one === 'object');
    const head = text.slice(headStart, i);
    if (char === '{' && !inFunction && isInitializer(head)) {
      open.push('initializer');
      continue;
    }
    if (char === '{') {
      const signature = inFunction ? null : signatureOf(head);
      const line = lineAt(text, headStart + head.length - head.trimStart().length);
      open.push(signature ? { ...signature, line, lines: 0 } : 'block');
    } else if (char === '}') {
      const closed = open.pop();
      if (closed === 'initializer') continue;
      if (typeof closed === 'object') {
        found.push({ ...closed, lines: lineAt(text, i) - closed.line + 1 });
      }
    }
    if (char === '{' || char === '}' || (char === ';' && !open.includes('initializer'))) {
      headStart = i + 1;
    }
  }
  return found;
}
