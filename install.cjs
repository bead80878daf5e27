// Builds or finds the addon at install. Its one job beside node-gyp-build is to point node-gyp at
// the headers that came with this Node, when they did: node-gyp otherwise downloads them, which
// fails on machines that reach a package registry only.
//
//   node install.cjs             at npm install: nothing if a binary loads, else a build
//   node install.cjs --rebuild   always a build, for whoever edits native/
//   node install.cjs --prepare   dist/ from src/; skipped where only production packages are
'use strict';
const { spawnSync } = require('node:child_process');
const { existsSync, readFileSync } = require('node:fs');
const { dirname, join } = require('node:path');

function fail(message) {
  process.stderr.write(`memdrift: ${message}\n`);
  process.exit(1);
}

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
  const { status, error } = spawnSync(process.execPath, [file, ...args], {
    stdio: 'inherit',
    cwd: __dirname,
    env: { ...process.env, ...env },
  });
  if (error) fail(`could not start ${file}: ${error.message}`);
  return status ?? 1;
}

function resolved(request) {
  try {
    return require.resolve(request, { paths: [__dirname] });
  } catch {
    return null;
  }
}

function buildEnvironment() {
  const root = process.env.npm_config_nodedir ? null : headersOfThisNode();
  return {
    JOBS: process.env.JOBS ?? 'max',
    ...(root ? { npm_config_nodedir: root } : {}),
  };
}

function prepare() {
  const tsc = resolved('typescript/bin/tsc');
  if (tsc) return run(tsc, ['-p', 'tsconfig.json'], {});
  if (existsSync(join(__dirname, 'dist/index.js'))) return 0;
  process.stderr.write(
    'memdrift: dist/ is not built, because typescript is not installed; ' +
      'it is made by npm install without --omit=dev, then kept.\n',
  );
  return 0;
}

function rebuild() {
  const nodeGyp = resolved('node-gyp/bin/node-gyp.js');
  if (!nodeGyp) fail('node-gyp is not installed; run npm install without --omit=dev');
  return run(nodeGyp, ['rebuild'], buildEnvironment());
}

function install() {
  const nodeGypBuild = resolved('node-gyp-build/bin.js');
  if (!nodeGypBuild) fail('node-gyp-build is not installed; run npm install');
  const status = run(nodeGypBuild, [], buildEnvironment());
  if (status !== 0) {
    process.stderr.write(
      'memdrift: no binary for this machine came with the package, and building one failed ' +
        '(see above). It needs python3, make and a C++20 compiler; on Debian: ' +
        'apt-get install python3 make g++\n',
    );
  }
  return status;
}

if (process.platform !== 'linux') {
  // Importing works everywhere and says at the first call that this is not Linux.
  process.exit(process.argv[2] === '--prepare' ? prepare() : 0);
}
const modes = { '--prepare': prepare, '--rebuild': rebuild };
process.exit((modes[process.argv[2]] ?? install)());
