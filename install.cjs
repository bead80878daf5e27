// Builds or finds the addon at install. Its one job beside node-gyp-build is to point node-gyp at the
// headers that came with this Node, when they did: node-gyp otherwise downloads them, which fails on
// machines that reach a package registry only.
'use strict';
const { spawnSync } = require('node:child_process');
const { existsSync, readFileSync } = require('node:fs');
const { dirname, join } = require('node:path');

const mode = process.argv[2] ?? '--install';

function headersOfThisNode() {
  const root = dirname(dirname(process.execPath));
  const versionFile = join(root, 'include/node/node_version.h');
  if (!existsSync(join(root, 'include/node/common.gypi')) || !existsSync(versionFile)) return null;
  const text = readFileSync(versionFile, 'utf8');
  const part = (name) => new RegExp(`#define NODE_${name}_VERSION (\\d+)`).exec(text)?.[1];
  const version = `v${part('MAJOR')}.${part('MINOR')}.${part('PATCH')}`;
  return version === process.version ? root : null;
}

function run(file, args, env) {
  const { status } = spawnSync(process.execPath, [file, ...args], {
    stdio: 'inherit',
    cwd: __dirname,
    env: { ...process.env, ...env },
  });
  process.exit(status ?? 1);
}

function resolved(request) {
  try {
    return require.resolve(request, { paths: [__dirname] });
  } catch {
    return null;
  }
}

if (mode === '--prepare') {
  // A production install has no TypeScript; it is fine as long as dist/ came with the package.
  const tsc = resolved('typescript/bin/tsc');
  if (tsc) run(tsc, ['-p', 'tsconfig.json'], {});
  if (existsSync(join(__dirname, 'dist/index.js'))) process.exit(0);
  console.error(
    'memdrift: dist/ is missing and typescript is not installed; run npm install without --omit=dev',
  );
  process.exit(1);
}

const root = process.env.npm_config_nodedir ? null : headersOfThisNode();
const env = { JOBS: process.env.JOBS ?? 'max', ...(root ? { npm_config_nodedir: root } : {}) };
if (mode === '--rebuild') run(resolved('node-gyp/bin/node-gyp.js'), ['rebuild'], env);
run(resolved('node-gyp-build/bin.js'), [], env);
