/**
 * Builds dist/page/*.html, each with its script and styles in it: a report is one file that needs
 * no network. Run by tsc's side in `npm run build:ts`.
 */
'use strict';
const { createHash } = require('node:crypto');
const { mkdirSync, readFileSync, writeFileSync } = require('node:fs');
const { join } = require('node:path');
const { buildSync } = require('esbuild');

const to = join(__dirname, '../../dist/page');
const root = join(__dirname, '../..');
mkdirSync(to, { recursive: true });
const licence = readFileSync(join(root, 'node_modules/uplot/LICENSE'), 'utf8').trim();
const uplotStyles = readFileSync(join(root, 'node_modules/uplot/dist/uPlot.min.css'), 'utf8');
const styles = readFileSync(join(__dirname, 'page.css'), 'utf8');

function scriptOf(name) {
  const { outputFiles } = buildSync({
    entryPoints: [join(__dirname, `${name}.ts`)],
    bundle: true,
    minify: true,
    format: 'iife',
    target: 'chrome110',
    legalComments: 'none',
    write: false,
  });
  // A script may not have its own end in it.
  return outputFiles[0].text.replaceAll('</script', '<\\/script');
}

/** These two scripts run and nothing else does, whatever a capture has in it; nothing is asked for. */
function policyOf(scripts) {
  const hashes = scripts.map((text) => createHash('sha256').update(text).digest('base64'));
  const allowed = hashes.map((hash) => `'sha256-${hash}'`).join(' ');
  return (
    `default-src 'none'; script-src ${allowed}; style-src 'unsafe-inline'; ` +
    `base-uri 'none'; form-action 'none'`
  );
}

const theme = scriptOf('first_theme');
for (const name of ['capture', 'index', 'watch']) {
  const script = `/* With uPlot:\n${licence}\n*/\n${scriptOf(name)}`;
  const page = readFileSync(join(__dirname, `${name}.html`), 'utf8')
    .replace('/* policy */', () => policyOf([theme, script]))
    .replace('/* styles */', () => `${uplotStyles}\n${styles}`)
    .replace('/* theme */', () => theme)
    .replace('/* script */', () => script);
  writeFileSync(join(to, `${name}.html`), page);
}
