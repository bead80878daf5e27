/** The readers that test/tidy.test.ts stands on: each finds what it is there to find. */
import { expect, test } from 'vitest';
import { blanked, cppFunctionsOf, includesOf } from './cpp_source.ts';
import { findCycle, judgeDependency, parseRooms, reachable, roomOf } from './rooms.ts';
import { bannedConstructs, dependenciesOf, functionsOf } from './typescript_source.ts';

const rooms = parseRooms(`
| room   | files | may import | from outside | because |
| --- | --- | --- | --- | --- |
| \`low\` | \`src/low/\` | - | \`node:*\` | it is low |
| \`odd\` | \`src/low/odd.ts\` | - | - | it is odd |
| \`high\` | \`src/high.ts\` | \`low\`, \`type odd\` | - | it is high |

| other | table |
`);
const base = { line: 1, specifier: 'x', typeOnly: false };

test('a table of rooms is read up to its end, and a file belongs to its closest row', () => {
  expect(rooms.map((room) => room.name)).toEqual(['low', 'odd', 'high']);
  expect(roomOf(rooms, 'src/low/odd.ts')?.name).toBe('odd');
  expect(roomOf(rooms, 'src/low/even.ts')?.name).toBe('low');
  expect(roomOf(rooms, 'src/else.ts')).toBeNull();
  expect(() => parseRooms('# nothing')).toThrow(/no table/);
  expect(() =>
    parseRooms('| room | files | may import | from outside | because |\n|\n| a |\n'),
  ).toThrow(/number of cells/);
});

test('a dependency is allowed by its row only', () => {
  const judge = (from: string, target: string | null, more = {}): string | null =>
    judgeDependency(rooms, { ...base, from, target, ...more });
  expect(judge('src/high.ts', 'src/low/even.ts')).toBeNull();
  expect(judge('src/high.ts', 'src/low/odd.ts', { typeOnly: true })).toBeNull();
  expect(judge('src/high.ts', 'src/low/odd.ts')).toMatch(/only types of odd/);
  expect(judge('src/low/even.ts', 'src/high.ts')).toMatch(/low may not import high/);
  expect(judge('src/low/even.ts', null, { specifier: 'node:fs' })).toBeNull();
  expect(judge('src/high.ts', null, { specifier: 'node:fs' })).toMatch(/may not use node:fs/);
  expect(judge('src/else.ts', null)).toMatch(/no row/);
  expect(judge('src/high.ts', 'src/else.ts')).toMatch(/in no room/);
});

test('cycles and what is reachable are found', () => {
  const edges = new Map([
    ['a', ['b']],
    ['b', ['c']],
    ['c', ['b']],
    ['d', []],
  ]);
  expect(findCycle(edges)).toEqual(['b', 'c', 'b']);
  expect(findCycle(new Map([['a', ['b']]]))).toBeNull();
  expect([...reachable(edges, ['a'])].sort()).toEqual(['a', 'b', 'c']);
});

test('every way to import is seen, and which of them load nothing at run time', () => {
  const text = `
import { a, type B } from './a.ts';
import type { C } from './c.ts';
import { type D } from '../d.ts';
import 'node:fs';
export { e } from './e.ts';
export type { F } from './f.ts';
const g = await import('./g.ts'), h = require('h');
// import { no } from './no.ts';`;
  const found = dependenciesOf({ path: 'src/x/y.ts', text });
  expect(found.map(({ specifier, target, typeOnly }) => [specifier, target, typeOnly])).toEqual([
    ['./a.ts', 'src/x/a.ts', false],
    ['./c.ts', 'src/x/c.ts', true],
    ['../d.ts', 'src/d.ts', true],
    ['node:fs', null, false],
    ['./e.ts', 'src/x/e.ts', false],
    ['./f.ts', 'src/x/f.ts', true],
    ['./g.ts', 'src/x/g.ts', false],
    ['h', null, false],
  ]);
  expect(found[0]?.line).toBe(2);
});

test('constructs that are not used here are named with their line', () => {
  const text = `export * from './a.ts';
enum E { A }
export default function f(x: any) { return x; }
class C { private x = 1; #y = 2; }
test.skip('x', () => {});
describe.only('x', () => {});
map.only('fine'); const any = 'any';`;
  const lines = bannedConstructs({ path: 'x.ts', text }).map((one) => one.split(':')[1]);
  expect(lines).toEqual(['1', '2', '3', '3', '4', '5', '6']);
});

test('functions of TypeScript are measured', () => {
  const text = `function a(x: number, y: number) {\n  return x + y;\n}\nconst b = (x = 1) => x;\n`;
  expect(functionsOf({ path: 'x.ts', text })).toEqual([
    { name: 'a', line: 1, lines: 3, parameters: 2 },
    { name: 'b', line: 4, lines: 1, parameters: 1 },
  ]);
});

test('functions of C++ are measured, whatever braces stand around them', () => {
  const text = `// void no() {
#define X(name) \\
  void name() {}
namespace a {
struct alignas(64) S {
  S(int a, std::map<int, int> b) : a_{a}, b_(b) {
    if (a) { run([&] { return '}'; }); }
  }
  int a_{0};
  bool operator()(int x) const { return x < 1'000; }
};
static const int table[] = {1, 2, f(3)};
[[nodiscard]] std::vector<int> S::make(const Options& options = {}) {
  const char* text = "{{{";
  return {};
}
extern "C" int entry(const uint8_t* data, size_t size) {
  return 0;
}
}  // namespace a
`;
  const found = cppFunctionsOf({ path: 'native/x.cc', text });
  expect(found.map(({ name, line, lines, parameters }) => [name, line, lines, parameters])).toEqual(
    [
      ['S', 6, 3, 2],
      ['operator()', 10, 1, 1],
      ['S::make', 13, 4, 1],
      ['entry', 17, 3, 2],
    ],
  );
  expect(blanked(text)).toHaveLength(text.length);
});

test('includes are ours by their quotes, and foreign headers are seen', () => {
  const text = '#include <vector>\n#include <napi.h>\n#include "errors.h"\n';
  const found = includesOf({ path: 'native/x.cc', text });
  expect(found.map(({ specifier, target }) => [specifier, target])).toEqual([
    ['napi.h', null],
    ['errors.h', 'native/errors.h'],
  ]);
});
