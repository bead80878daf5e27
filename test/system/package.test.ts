/**
 * The package as another tool gets it: packed from a clean copy, installed where there is no
 * compiler and where install scripts are blocked, imported both ways, type-checked both ways.
 */
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { root } from '../tidy/files.ts';

const workFolder = mkdtempSync(join(tmpdir(), 'memdrift-package-'));
const copy = join(workFolder, 'copy');
const consumer = join(workFolder, 'consumer');
const narrowPath = join(workFolder, 'bin');
const npm = realpathSync(join(dirname(process.execPath), 'npm'));
const notSource = new Set('.git .cache node_modules dist build prebuilds captures tmp'.split(' '));
let tarball = '';

interface RunOptions {
  readonly cwd: string;
  readonly env?: NodeJS.ProcessEnv;
}

/** Output of a program; its standard error goes into the message when it fails. */
function run(file: string, args: readonly string[], { cwd, env = {} }: RunOptions): string {
  try {
    const all = { ...process.env, npm_config_update_notifier: 'false', ...env };
    return execFileSync(file, args, { cwd, env: all, encoding: 'utf8', maxBuffer: 1 << 26 });
  } catch (error) {
    const { stdout, stderr } = error as { stdout?: string; stderr?: string };
    throw new Error(`${file} ${args.join(' ')} failed:\n${stdout}\n${stderr}`);
  }
}

const npmRun = (args: readonly string[], options: RunOptions): string =>
  run(process.execPath, [npm, ...args], options);

function copyOfSources(to: string): void {
  cpSync(root, to, {
    recursive: true,
    filter: (path) => {
      const name = basename(path);
      return path === root || !(notSource.has(name) || /^build-|\.tgz$/.test(name));
    },
  });
}

/** Runs `script` in the consumer's project with the narrow PATH, as ESM or CommonJS. */
function inConsumer(type: 'module' | 'commonjs', script: string): unknown {
  const args = [`--input-type=${type}`, '--trace-warnings', '-e', script];
  return JSON.parse(run('node', args, { cwd: consumer, env: { PATH: narrowPath } }));
}

beforeAll(() => {
  copyOfSources(copy);
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
  npmRun(['pack'], { cwd: copy });
  tarball = join(copy, readdirSync(copy).find((name) => name.endsWith('.tgz')) as string);

  mkdirSync(narrowPath);
  symlinkSync(process.execPath, join(narrowPath, 'node'));
  symlinkSync(npm, join(narrowPath, 'npm'));
  symlinkSync('/bin/sh', join(narrowPath, 'sh'));
  mkdirSync(consumer);
  writeFileSync(
    join(consumer, 'package.json'),
    JSON.stringify({ name: 'consumer', private: true }),
  );
  run('npm', ['install', '--ignore-scripts', '--prefer-offline', '--no-audit', tarball], {
    cwd: consumer,
    env: { PATH: narrowPath },
  });
});

afterAll(() => rmSync(workFolder, { recursive: true, force: true }));

test('import works without a compiler and without install scripts', () => {
  const result = inConsumer(
    'module',
    `import { MemdriftError, readMappings } from 'memdrift';
     const mappings = readMappings('self');
     let code;
     try { readMappings(-1); } catch (e) { code = e instanceof MemdriftError ? e.code : e; }
     const rssBytes = mappings.totalBytes('rssBytes');
     console.log(JSON.stringify([mappings.length > 10, rssBytes > 1e6, code]));`,
  );
  expect(result).toEqual([true, true, 'ERR_INVALID']);
});

test('require gives the same library, with the same names', () => {
  const names = inConsumer(
    'commonjs',
    `const memdrift = require('memdrift');
     if (memdrift.readMappings('self').length < 10) throw new Error('too few mappings');
     console.log(JSON.stringify(Object.keys(memdrift).filter((n) => n !== '__esModule').sort()));`,
  );
  const imported = inConsumer(
    'module',
    `console.log(JSON.stringify(Object.keys(await import('memdrift')).sort()));`,
  ) as string[];
  expect((names as string[]).filter((name) => name !== 'module.exports')).toEqual(
    imported.filter((name) => name !== 'module.exports' && name !== 'default'),
  );
  expect(imported).toEqual(expect.arrayContaining(['MemdriftError', 'readMappings']));
});

test.each(['mts', 'cts'])('the types fit a nodenext consumer written as .%s', (ending) => {
  const modules = join(root, 'node_modules');
  mkdirSync(join(consumer, 'node_modules/@types'), { recursive: true });
  for (const name of ['@types/node', 'undici-types']) {
    rmSync(join(consumer, 'node_modules', name), { force: true });
    symlinkSync(realpathSync(join(modules, name)), join(consumer, 'node_modules', name));
  }
  writeFileSync(
    join(consumer, `consumer.${ending}`),
    `import { type ErrorCode, MemdriftError, readMappings } from 'memdrift';
     const rssBytes: number | null = readMappings('self').totalBytes('rssBytes');
     const code: ErrorCode = new MemdriftError('ERR_GONE', String(rssBytes)).code;
     // @ts-expect-error: not a code
     export const wrong: ErrorCode = 'ERR_NOTHING';
     export const right = code;`,
  );
  const options = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2022'];
  run(process.execPath, [join(modules, 'typescript/bin/tsc'), ...options, `consumer.${ending}`], {
    cwd: consumer,
  });
});

test('publint and attw find nothing to say', () => {
  const npx = ['exec', '--yes', '--prefer-offline'];
  const publint = [...npx, '--package=publint@0.3.25', '--', 'publint', tarball, '--strict'];
  expect(npmRun(publint, { cwd: copy })).toContain('All good!');
  const attw = ['--package=@arethetypeswrong/cli@0.18.5', '--', 'attw', tarball];
  npmRun([...npx, ...attw, '--profile', 'esm-only'], { cwd: copy });
});

test('the tarball holds what a consumer needs and nothing that only this repository needs', () => {
  const files = run('tar', ['-tzf', tarball], { cwd: copy }).trim().split('\n');
  const has = (pattern: RegExp): boolean => files.some((file) => pattern.test(file));
  expect(has(/prebuilds\/linux-[a-z0-9]+\/memdrift\.(glibc|musl)\.node$/)).toBe(true);
  for (const needed of ['dist/index.js', 'dist/index.d.ts', 'install.cjs', 'binding.gyp']) {
    expect(files).toContain(`package/${needed}`);
  }
  for (const page of namedPages()) expect(files).toContain(`package/${page}`);
  expect(files.filter((file) => /\/(?:test|fuzz|bench|\.ci)\//.test(file))).toEqual([]);
});

/** Returns the pages and pictures that documents of the tarball name. */
function namedPages(): readonly string[] {
  const texts = ['README.md', 'CHANGELOG.md'].map((name) => readFileSync(join(root, name), 'utf8'));
  return [...new Set(texts.join('\n').match(/\bdocs\/[\w/-]+\.(?:md|png)\b/g))];
}

/** The symbols that `binary` wants and the oldest system does not have, with their versions. */
function tooNewSymbols(binary: string): readonly string[] {
  const newest: Readonly<Record<string, readonly number[]>> = {
    GLIBC: [2, 28],
    GLIBCXX: [3, 4, 25],
    CXXABI: [1, 3, 11],
  };
  const table = run('objdump', ['-T', binary], { cwd: copy });
  return [...table.matchAll(/\((GLIBC|GLIBCXX|CXXABI)_([0-9.]+)\) (\S+)/g)]
    .filter(([, kind, version]) => {
      const parts = (version as string).split('.').map(Number);
      const bound = newest[kind as string] as readonly number[];
      const i = parts.findIndex((part, at) => part !== (bound[at] ?? 0));
      return i !== -1 && (parts[i] as number) > (bound[i] ?? 0);
    })
    .map(([, kind, version, symbol]) => `${symbol} of ${kind} ${version}`);
}

test('the binary loads wherever the oldest Node does: glibc 2.28, libstdc++ of gcc 8', () => {
  const folder = join(consumer, `node_modules/memdrift/prebuilds/linux-${process.arch}`);
  const binary = readdirSync(folder).find((name) => name.endsWith('.glibc.node')) as string;
  const hint = 'avoid these, or give them what native/old_glibc.cc gives its like';
  expect(tooNewSymbols(join(folder, binary)), hint).toEqual([]);
});

test('npm ci --omit=dev builds from source with the headers of this Node', () => {
  const source = join(workFolder, 'source');
  copyOfSources(source);
  const env = { npm_config_userconfig: '/dev/null', npm_config_nodedir: '' };
  npmRun(['ci', '--omit=dev', '--prefer-offline', '--no-audit'], { cwd: source, env });
  expect(readdirSync(join(source, 'build/Release'))).toContain('memdrift.node');
});
