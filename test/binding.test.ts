import { execFileSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import ts from 'typescript';
import { afterAll, describe, expect, test } from 'vitest';
import { binding } from '../src/binding.ts';
import { root } from './tidy/files.ts';

/** The names of all members of the interfaces `…Binding` in src/door.ts and its other parts. */
function declaredFunctions(): readonly string[] {
  const names = ['door', 'door_drift', 'door_launch', 'door_sampler', 'door_tracker']
    .map((name) => join(root, `src/${name}.ts`))
    .map((file) => ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.ES2023))
    .flatMap((source) => source.statements)
    .filter((node) => ts.isInterfaceDeclaration(node))
    .filter((node) => node.name.text.endsWith('Binding'))
    .flatMap((node) => node.members.map((member) => (member.name as ts.Identifier).text));
  return [...new Set(names)].sort(); // an overload is the same function
}

test('the addon exports what the interface Binding declares, nothing more and nothing less', () => {
  const declared = declaredFunctions();
  expect(declared).toContain('initialize');
  expect(Object.keys(binding()).sort()).toEqual(declared);
});

describe('without a binary', () => {
  const emptyRoot = mkdtempSync(join(tmpdir(), 'memdrift-loader-'));
  afterAll(() => rmSync(emptyRoot, { recursive: true }));
  mkdirSync(join(emptyRoot, 'dist'));
  for (const name of ['binding', 'errors']) {
    const { outputText } = ts.transpileModule(readFileSync(join(root, `src/${name}.ts`), 'utf8'), {
      compilerOptions: {
        target: ts.ScriptTarget.ES2023,
        module: ts.ModuleKind.ESNext,
        rewriteRelativeImportExtensions: true,
      },
    });
    writeFileSync(join(emptyRoot, `dist/${name}.js`), outputText);
  }
  cpSync(join(root, 'package.json'), join(emptyRoot, 'package.json'));
  mkdirSync(join(emptyRoot, 'node_modules'));
  const loader = join('node_modules', 'node-gyp-build');
  symlinkSync(join(root, loader), join(emptyRoot, loader));

  /** Runs `body`, in which `loaded` is the copy's binding.js, and gives what it prints as JSON. */
  function inCopy(body: string): unknown {
    const script = `const loaded = await import('./dist/binding.js');\n${body}`;
    const output = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
      cwd: emptyRoot,
      encoding: 'utf8',
      env: { ...process.env, MEMDRIFT_PREBUILD: '' },
    });
    return JSON.parse(output);
  }

  test('the package can be imported, and the first call says what was tried and what to do', () => {
    const error = inCopy(
      `try { loaded.binding(); } catch (e) {
         const { name, code, message, details } = e;
         console.log(JSON.stringify({ name, code, message, ...details }));
       }`,
    );
    expect(error).toMatchObject({
      name: 'MemdriftError',
      code: 'ERR_NO_BINARY',
      platform: `linux-${process.arch}`,
      libc: expect.stringMatching(/^(glibc|musl)$/),
      tried: [
        join(emptyRoot, 'build/Release'),
        expect.stringContaining(join(emptyRoot, `prebuilds/linux-${process.arch}/memdrift.`)),
      ],
    });
    const { message } = error as { message: string };
    for (const part of [
      `linux-${process.arch}`,
      process.version,
      emptyRoot,
      'npm rebuild memdrift',
    ]) {
      expect(message).toContain(part);
    }
  });

  test('another system than Linux is told apart from a missing binary', () => {
    const error = inCopy(
      `Object.defineProperty(process, 'platform', { value: 'darwin' });
       try { loaded.binding(); } catch (e) { console.log(JSON.stringify([e.code, e.message])); }`,
    );
    expect(error).toEqual(['ERR_UNSUPPORTED', expect.stringContaining('darwin')]);
  });
});
