/**
 * The rules of this house that no compiler checks. Every failure says which line and what to do.
 * The table of rooms is in ARCHITECTURE.md; test/tidy/ has the readers of TypeScript, C++ and it.
 */
import { basename } from 'node:path';
import { describe, expect, test } from 'vitest';
import { cppFunctionsOf, includesOf, missingIncludes } from './tidy/cpp_source.ts';
import { filesUnder, lineAt, type ProjectFile } from './tidy/files.ts';
import {
  type Dependency,
  findCycle,
  judgeDependency,
  reachable,
  readRooms,
  roomOf,
} from './tidy/rooms.ts';
import { bannedConstructs, dependenciesOf, functionsOf } from './tidy/typescript_source.ts';

const limits = { fileLines: 400, functionLines: 70, lineColumns: 100, parameters: 3 };

/** Functions that may have more parameters, with how many and why; a ratchet: only ever fewer. */
const manyParameters: Readonly<Record<string, number>> = {
  // One row of the export table: where, under which name, what.
  'native/door/addon.cc exportFunction': 4,
  // Signatures of the C library.
  'native/tracker/hooks.cc memdrift_mmap': 6,
  'native/tracker/hooks.cc memdrift_mmap64': 6,
  'native/tracker/hooks.cc memdrift_pthread_create': 4,
  'native/tracker/hooks.cc memdrift_mremap': 5,
  'native/old_glibc.cc fstatat': 4,
  'native/old_glibc.cc pthread_cond_clockwait': 4,
};

const typescript = filesUnder(['src'], ['.ts']);
const tests = filesUnder(['test'], ['.ts']);
const cpp = filesUnder(['native'], ['.cc', '.h']);
const scripts = filesUnder(['bench', 'install.cjs'], ['.mjs', '.cjs', '.py']);
const code = [...typescript, ...tests, ...cpp, ...scripts];
const rooms = readRooms();

const imports = typescript.flatMap(dependenciesOf);
const includes = cpp.flatMap(includesOf);

function edgesOf(
  files: readonly ProjectFile[],
  dependencies: readonly Dependency[],
): ReadonlyMap<string, readonly string[]> {
  const edges = new Map<string, string[]>(files.map((file) => [file.path, []]));
  for (const { from, target } of dependencies) if (target !== null) edges.get(from)?.push(target);
  return edges;
}

function gypSources(list: string): readonly string[] {
  const file = filesUnder(['native/sources.gypi'], ['.gypi'])[0] as ProjectFile;
  const { variables } = JSON.parse(file.text) as { variables: Record<string, string[]> };
  return variables[list] ?? [];
}

describe('rooms', () => {
  test('each row of the table names rooms and files that exist, and rows form no cycle', () => {
    const names = new Set(rooms.map((room) => room.name));
    expect(names.size).toBe(rooms.length);
    const edges = new Map(
      rooms.map((room) => [room.name, [...room.mayImport, ...room.mayImportTypesOf]] as const),
    );
    const unknown = [...edges.values()].flat().filter((name) => !names.has(name));
    expect(unknown, 'rooms that are imported but have no row').toEqual([]);
    expect(findCycle(edges), 'rooms that import each other in a circle').toBeNull();
  });

  test('every import in src/ is allowed by the table', () => {
    const broken = imports.map((one) => judgeDependency(rooms, one)).filter((one) => one !== null);
    expect(broken).toEqual([]);
  });

  test('every #include in native/ exists and is allowed by the table', () => {
    expect(cpp.flatMap(missingIncludes)).toEqual([]);
    const broken = includes.map((one) => judgeDependency(rooms, one)).filter((one) => one !== null);
    expect(broken).toEqual([]);
  });

  test('every file of src/ and native/ is in a room', () => {
    const homeless = [...typescript, ...cpp].filter((file) => !roomOf(rooms, file.path));
    expect(homeless.map((file) => file.path)).toEqual([]);
  });

  test('no file imports itself by a detour', () => {
    expect(findCycle(edgesOf(typescript, imports)), 'cycle in src/').toBeNull();
    expect(findCycle(edgesOf(cpp, includes)), 'cycle in native/').toBeNull();
  });
});

describe('one door', () => {
  test('only src/entry/debug_signal.ts sends SIGUSR1', () => {
    const door = 'src/entry/debug_signal.ts';
    const sends = /\bkill\([^)]*SIGUSR1|\bprocessSignal\(|\b_debugProcess\b/g;
    const shipped = [...typescript, ...filesUnder(['src'], ['.cts', '.cjs'])];
    const found = shipped
      .filter(({ path }) => path !== door && path !== 'src/door.ts')
      .flatMap(({ path, text }) =>
        [...text.matchAll(sends)].map(({ index }) => `${path}:${lineAt(text, index)}`),
      );
    expect(found, 'a process that is not proven to wait for it may end').toEqual([]);
    const callers = imports.filter(({ target }) => target === door).map(({ from }) => from);
    expect(callers, 'the guard outlives whoever asked, and closes what it opened').toEqual([
      'src/entry/guard.ts',
    ]);
  });

  test('only native/entry sends signals that JavaScript chooses', () => {
    const found = cpp
      .filter(({ path }) => !/^native\/(?:test|fuzz|bench)\//.test(path))
      .filter(({ text }) => /\bSIGUSR1\b|SYS_pidfd_send_signal,/.test(text))
      .map(({ path }) => path);
    expect(found).toEqual(['native/entry/process_handle.cc']);
  });
});

describe('nothing is dead', () => {
  test('every file of src/ is reached from an entry point', () => {
    const processes = [
      ...['index', 'cli', 'main', 'experiment/server', 'experiment/client', 'entry/guard'],
    ];
    const names = [...processes, 'page/capture', 'page/index', 'page/watch', 'page/first_theme'];
    const entries = names.map((name) => `src/${name}.ts`);
    const live = reachable(edgesOf(typescript, imports), entries);
    const dead = typescript.map((file) => file.path).filter((path) => !live.has(path));
    expect(dead, 'import them from an entry point or delete them').toEqual([]);
  });

  test('every header is included by a source that is built', () => {
    const sources = cpp.map((file) => file.path).filter((path) => path.endsWith('.cc'));
    const live = reachable(edgesOf(cpp, includes), sources);
    const dead = cpp.map((file) => file.path).filter((path) => !live.has(path));
    expect(dead, 'include them or delete them').toEqual([]);
  });

  test('native/sources.gypi lists every source once, in its list, in order', () => {
    const paths = cpp.map((file) => file.path).filter((path) => path.endsWith('.cc'));
    const inFolder = (folder: string): string[] =>
      paths.filter((path) => path.startsWith(`native/${folder}/`)).sort();
    const [door, native, fuzz, bench] = ['door', 'test', 'fuzz', 'bench'].map(inFolder) as [
      ...[string[], string[], string[], string[]],
    ];
    const pack = ['native/old_glibc.cc'];
    const others = [...door, ...native, ...fuzz, ...bench, ...pack];
    const core = paths.filter((path) => !others.includes(path));
    const hint = 'edit native/sources.gypi: one per line, alphabetical';
    expect(gypSources('core_sources'), hint).toEqual(core.sort());
    expect(gypSources('door_sources'), hint).toEqual(door);
    expect(gypSources('package_sources'), hint).toEqual(pack);
    expect(gypSources('test_sources'), hint).toEqual(native);
    const misnamed = fuzz.filter((path) => !path.endsWith('_fuzzer.cc'));
    expect(misnamed, 'CMake builds native/fuzz/*_fuzzer.cc only').toEqual([]);
  });
});

describe('style', () => {
  test('TypeScript keeps away from what cannot be stripped, searched or trusted', () => {
    expect([...typescript, ...tests].flatMap(bannedConstructs).filter(notOfVitest)).toEqual([]);
  });

  test('files are named in snake_case after what they hold', () => {
    const vague = new Set(['utils', 'util', 'common', 'helpers', 'helper', 'misc', 'shared']);
    const bad = code.filter(({ path }) => {
      const stem = basename(path).replace(/\..*$/, '');
      return vague.has(stem) || !/^[a-z0-9_]+$/.test(stem);
    });
    expect(
      bad.map((file) => file.path),
      'name them after what they hold',
    ).toEqual([]);
  });

  test(`no file has more than ${limits.fileLines} lines`, () => {
    const long = code
      .map(({ path, text }) => ({ path, lines: text.trimEnd().split('\n').length }))
      .filter(({ lines }) => lines > limits.fileLines)
      .map(({ path, lines }) => `${path}: ${lines} lines; split it where a part has its own name`);
    expect(long).toEqual([]);
  });

  test(`no line is wider than ${limits.lineColumns} columns`, () => {
    const wide = code.flatMap(({ path, text }) =>
      text.split('\n').flatMap((line, i) => {
        const width = [...line].length;
        if (width <= limits.lineColumns || /https?:\/\//.test(line)) return [];
        return [`${path}:${i + 1}: ${width} columns; break it`];
      }),
    );
    expect(wide).toEqual([]);
  });

  const measured = [
    ...[...typescript, ...tests].map((file) => ({ file, functions: functionsOf(file) })),
    ...cpp.map((file) => ({ file, functions: cppFunctionsOf(file) })),
  ];

  test(`no function has more than ${limits.functionLines} lines`, () => {
    const long = measured.flatMap(({ file, functions }) =>
      functions
        .filter(({ lines }) => lines > limits.functionLines)
        .map((one) => `${file.path}:${one.line}: ${one.name} has ${one.lines} lines; split it`),
    );
    expect(long).toEqual([]);
  });

  test(`no function takes more than ${limits.parameters} parameters`, () => {
    const many = measured.flatMap(({ file, functions }) =>
      functions
        .filter((one) => {
          const allowed = manyParameters[`${file.path} ${one.name}`] ?? limits.parameters;
          return one.parameters > allowed;
        })
        .map((one) => {
          const where = `${file.path}:${one.line}: ${one.name}`;
          return `${where} takes ${one.parameters} parameters; pass one object with names`;
        }),
    );
    expect(many).toEqual([]);
  });

  test('C++ files begin with their licence, headers with #pragma once', () => {
    const bad = cpp.filter(
      ({ path, text }) =>
        !text.startsWith('// SPDX-License-Identifier: MIT\n') ||
        (path.endsWith('.h') && !text.includes('\n#pragma once\n')),
    );
    expect(bad.map((file) => file.path)).toEqual([]);
  });
});

/** vitest itself asks for a default export from its configuration and its reporters. */
function notOfVitest(line: string): boolean {
  return !(line.startsWith('test/closing_line.ts:') && line.includes('default export'));
}

describe('words', () => {
  const documents = filesUnder(
    [
      'README.md',
      'ARCHITECTURE.md',
      'CHANGELOG.md',
      'CMakeLists.txt',
      'binding.gyp',
      'docs',
      '.ci',
    ],
    [''],
  );
  const everything = [...code, ...documents, ...filesUnder(['bench', 'test', 'native'], ['.md'])]
    // This file has to name what it bans.
    .filter((file) => file.path !== 'test/tidy.test.ts');
  const bans: readonly (readonly [RegExp, string])[] = [
    [/\b(?:TODO|FIXME|XXX|HACK)\b/g, 'do it now, or write down in docs/ what is absent and why'],
    [/\/work\//g, 'a path of one machine; make it relative or an option'],
    [/\.\.\/shared\b/g, 'a path outside this repository; say it here instead'],
    [/\bthe seed(?:'s)?\b/gi, 'say "the original experiment": readers know no seed'],
  ];

  test.each(bans)('%s is nowhere', (pattern, remedy) => {
    const found = everything.flatMap(({ path, text }) =>
      [...text.matchAll(pattern)].map(
        (match) => `${path}:${lineAt(text, match.index)}: "${match[0]}": ${remedy}`,
      ),
    );
    expect(found).toEqual([]);
  });
});
