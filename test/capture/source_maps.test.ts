/** Source maps as compilers write them, and as they should not be. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import ts from 'typescript';
import { afterAll, describe, expect, test } from 'vitest';
import { SourceMaps } from '../../src/capture/source_maps.ts';

const folder = mkdtempSync(join(tmpdir(), 'memdrift-maps-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const source = `interface Gone {
  readonly a: number;
}

type Also = Gone & {
  b: 1;
};

export function grows(by: Also): number {
  const twice = by.a * 2;
  return twice;
}
`;

/** Compiled by TypeScript into `name`, with the map beside it or in it. */
function compile(name: string, options: ts.CompilerOptions): string {
  const from = join(folder, name);
  mkdirSync(join(from, 'src'), { recursive: true });
  const file = join(from, 'src', 'grows.ts');
  writeFileSync(file, source);
  const outDir = join(from, 'dist');
  const program = ts.createProgram([file], {
    outDir,
    rootDir: join(from, 'src'),
    module: ts.ModuleKind.CommonJS,
    target: ts.ScriptTarget.ES2022,
    types: [],
    ...options,
  });
  program.emit();
  return join(outDir, 'grows.js');
}

/** As V8 tells it: where the parameters begin. */
function frameIn(script: string, text: string) {
  const lines = text.split('\n');
  const at = lines.findIndex((line) => line.startsWith('function grows'));
  const column = (lines[at]?.indexOf('(') ?? 0) + 1;
  const line = lines.findIndex((one) => one.includes('twice =')) + 1;
  return { file: script, functionLine: at + 1, column, line, native: false };
}

describe.each([
  ['a file beside the script', { sourceMap: true }],
  ['in the script', { inlineSourceMap: true }],
  ['with a root of its sources', { sourceMap: true, sourceRoot: '../src' }],
])('a map %s', (name, options) => {
  const script = compile(name, options);
  const frame = frameIn(script, ts.sys.readFile(script) ?? '');
  const file = join(folder, name, 'src', 'grows.ts');

  test('tells where a function and its line are', () => {
    expect(frame.functionLine).not.toBe(9);
    const told = new SourceMaps().apply(frame);
    expect(told).toMatchObject({ file, functionLine: 9, line: 10 });
  });

  test('of a module, which has a URL', () => {
    const told = new SourceMaps().apply({ ...frame, file: `file://${encodeURI(script)}` });
    expect(told).toMatchObject({ file, functionLine: 9 });
  });

  test('leaves what is not known', () => {
    const told = new SourceMaps().apply({ ...frame, line: null });
    expect(told).toMatchObject({ file, line: null });
  });
});

test.each([
  ['no file', null],
  ['no map', 'function grows() {}\n'],
  ['a map that is gone', 'x\n//# sourceMappingURL=gone.js.map\n'],
  ['a map that is no JSON', 'x\n//# sourceMappingURL=data:application/json;base64,e30x\n'],
  ['a map without mappings', 'x\n//# sourceMappingURL=data:application/json;base64,e30=\n'],
])('a script with %s stays as V8 told it', (name, text) => {
  const file = join(folder, `${name}.js`);
  if (text !== null) writeFileSync(file, text);
  const frame = { file, functionLine: 1, column: 9, line: 1, native: false };
  expect(new SourceMaps().apply(frame)).toEqual(frame);
});

test.each(['node:fs', '', 'evalmachine.<anonymous>'])('%j is no file', (file) => {
  const frame = { file, functionLine: 1, column: 9, line: 1, native: false };
  expect(new SourceMaps().apply(frame)).toBe(frame);
});
