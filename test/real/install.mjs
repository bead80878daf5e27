// Installs what test/real runs: packages at these versions, outside of the project's own, and
// better-sqlite3 built for each Node. `node test/real/install.mjs [FOLDER [NODE…]]`; a NODE is a
// program of npm's node-linux-*, which brings its headers. FOLDER: .cache/real-packages
import { spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const versions = {
  '@babel/core': '7.29.13',
  '@babel/preset-env': '7.29.14',
  '@duckdb/node-api': '1.5.6-r.1',
  '@napi-rs/canvas': '1.1.1',
  'better-sqlite3': '12.11.1',
  'classic-level': '3.0.0',
  exceljs: '4.4.0',
  lmdb: '3.5.6',
  pdfkit: '0.20.2',
  sharp: '0.35.5',
  vite: '8.3.8',
  vitest: '4.1.12',
  ws: '8.23.0',
};

function run(program, args, options = {}) {
  return new Promise((done, fail) => {
    const child = spawn(program, args, { stdio: ['ignore', 'inherit', 'inherit'], ...options });
    child.on('error', fail);
    child.on('close', (code, signal) => {
      if (code === 0) done();
      else fail(new Error(`${program} ${args.join(' ')} ended with ${signal ?? code}`));
    });
  });
}

function output(program, args) {
  return new Promise((done, fail) => {
    let text = '';
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    child.stdout.on('data', (part) => {
      text += part;
    });
    child.on('error', fail).on('close', () => done(text.trim()));
  });
}

/** better-sqlite3 uses V8 itself, so that a build is for one Node only. */
async function buildSqlite(folder, node) {
  const major = await output(node, ['-p', 'process.versions.node.split(".")[0]']);
  const headers = resolve(dirname(node), '..');
  if (!existsSync(join(headers, 'include/node/node.h')))
    throw new Error(`${node} has no headers in ${headers}/include; install it from npm`);
  const to = join(folder, `sqlite-${major}`);
  cpSync(join(folder, 'node_modules/better-sqlite3'), to, { recursive: true });
  const gyp = fileURLToPath(
    new URL('../../node_modules/node-gyp/bin/node-gyp.js', import.meta.url),
  );
  await run(node, [gyp, 'rebuild', '--release', '--silent', '--nodedir', headers], { cwd: to });
}

const [folder = '.cache/real-packages', ...nodes] = process.argv
  .slice(2)
  .map((path) => resolve(path));
mkdirSync(folder, { recursive: true });
writeFileSync(
  join(folder, 'package.json'),
  JSON.stringify({ private: true, dependencies: versions }),
);
const quiet = ['--no-audit', '--no-fund', '--ignore-scripts', '--no-package-lock'];
await run('npm', ['install', ...quiet, '--prefix', folder]);
await Promise.all(nodes.map((node) => buildSqlite(folder, node)));
