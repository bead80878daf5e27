// Builds or finds the addon at install. Its one job beside node-gyp-build is to point node-gyp at
// the headers that came with this Node, when they did: node-gyp otherwise downloads them, which
// fails on machines that reach a package registry only.
//
//   node install.cjs             at npm install: nothing if a binary loads, else a build
//   node install.cjs --rebuild   always a build, for whoever edits native/
//   node install.cjs --prepare   dist/ from src/; skipped where only production packages are
//   node install.cjs --prepack   dist/ made new, and the binary of this platform in prebuilds/
'use strict';
const { spawnSync } = require('node:child_process');
const {
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} = require('node:fs');
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
  if (tsc) {
    const status = run(tsc, ['-p', 'tsconfig.json'], {});
    return status !== 0 ? status : run(join(__dirname, 'src/page/bundle.cjs'), [], {});
  }
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

function prepack() {
  const prebuildify = resolved('prebuildify/bin.js');
  if (!prebuildify) fail('prebuildify is not installed; run npm install without --omit=dev');
  rmSync(join(__dirname, 'dist'), { recursive: true, force: true });
  const status = prepare();
  if (status !== 0) return status;
  const prebuilds = join(__dirname, `prebuilds/linux-${process.arch}`);
  rmSync(prebuilds, { recursive: true, force: true });
  const failed = run(prebuildify, ['--napi', '--strip', '--tag-libc'], buildEnvironment());
  if (failed !== 0) return failed;
  // It moves the binary away; what is built here next shall be found before what was packed.
  const binary = readdirSync(prebuilds).find((name) => name.endsWith('.node'));
  copyFileSync(join(prebuilds, binary), join(__dirname, 'build/Release/memdrift.node'));
  return 0;
}

// True in a checkout whose binary is older than a source: it would load, and be something else.
function isStale() {
  const binary = join(__dirname, 'build/Release/memdrift.node');
  if (!existsSync(join(__dirname, 'native/test')) || !existsSync(binary)) return false;
  const builtMs = statSync(binary).mtimeMs;
  const sources = readdirSync(join(__dirname, 'native'), { recursive: true });
  return ['binding.gyp', ...sources.map((name) => join('native', name))].some(
    (name) => statSync(join(__dirname, name)).mtimeMs > builtMs,
  );
}

function install() {
  const nodeGypBuild = resolved('node-gyp-build/bin.js');
  if (!nodeGypBuild) fail('node-gyp-build is not installed; run npm install');
  const env = isStale() ? { npm_config_build_from_source: 'true' } : {};
  const status = run(nodeGypBuild, [], { ...buildEnvironment(), ...env });
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
const modes = { '--prepare': prepare, '--prepack': prepack, '--rebuild': rebuild };
process.exit((modes[process.argv[2]] ?? install)());
