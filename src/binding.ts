/** Loads the native part, and is the only file that loads a `.node`; door.ts has its types. */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Binding } from './door.ts';
import { MemdriftError } from './errors.ts';

let loaded: Binding | null = null;

/**
 * The native part, loaded at the first call so that importing memdrift works everywhere.
 * @throws MemdriftError ERR_UNSUPPORTED off Linux, ERR_NO_BINARY when no binary fits.
 */
export function binding(): Binding {
  loaded ??= load();
  return loaded;
}

/** The file that binding() loads, for a process that is not ours. @throws as binding(). */
export function bindingFile(): string {
  binding();
  const require = createRequire(import.meta.url);
  return (require('node-gyp-build') as { path(root: string): string }).path(packageRoot());
}

function packageRoot(): string {
  return join(dirname(fileURLToPath(import.meta.url)), '..');
}

function load(): Binding {
  if (process.platform !== 'linux') {
    throw new MemdriftError(
      'ERR_UNSUPPORTED',
      `memdrift reads /proc and POSIX shared memory of Linux; this is ${process.platform}. ` +
        'Run it on Linux.',
      { platform: process.platform },
    );
  }
  const native = requireBinary(packageRoot());
  native.initialize(MemdriftError);
  return native;
}

function requireBinary(root: string): Binding {
  const require = createRequire(import.meta.url);
  try {
    return (require('node-gyp-build') as (root: string) => Binding)(root);
  } catch (cause) {
    throw noBinary(root, cause);
  }
}

function noBinary(root: string, cause: unknown): MemdriftError {
  const platform = `linux-${process.arch}`;
  const libc = libcName();
  const given = process.env.MEMDRIFT_PREBUILD;
  const tried = [
    ...(given ? [join(given, 'build/Release')] : []),
    join(root, 'build/Release'),
    join(root, `prebuilds/${platform}/memdrift.${libc}.node`),
  ];
  return new MemdriftError(
    'ERR_NO_BINARY',
    `No native part of memdrift could be loaded for ${platform}, ${libc}, ` +
      `Node ${process.version}.\n` +
      `Tried: ${tried.join(', ')}\n` +
      `Reason: ${cause instanceof Error ? cause.message : String(cause)}\n` +
      'To build it here: npm rebuild memdrift --foreground-scripts (needs python3, make and a ' +
      'C++20 compiler; npm 12 and later also want "npm install-scripts approve memdrift" first).',
    { cause, tried, platform, libc },
  );
}

function libcName(): 'glibc' | 'musl' {
  const report = process.report.getReport() as { header?: { glibcVersionRuntime?: string } };
  return report.header?.glibcVersionRuntime ? 'glibc' : 'musl';
}
