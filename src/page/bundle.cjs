/**
 * Builds dist/page/*.html, each with its script and styles in it: a report is one file that needs
 * no network. Run by tsc's side in `npm run build:ts`.
 */
'use strict';
const { mkdirSync, readFileSync, writeFileSync } = require('node:fs');
const { join } = require('node:path');
const { buildSync } = require('esbuild');

const to = join(__dirname, '../../dist/page');
const root = join(__dirname, '../..');
mkdirSync(to, { recursive: true });
const licence = readFileSync(join(root, 'node_modules/uplot/LICENSE'), 'utf8').trim();
const uplotStyles = readFileSync(join(root, 'node_modules/uplot/dist/uPlot.min.css'), 'utf8');
const styles = readFileSync(join(__dirname, 'page.css'), 'utf8');

for (const name of ['capture', 'index']) {
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
  const script = outputFiles[0].text.replaceAll('</script', '<\\/script');
  const page = readFileSync(join(__dirname, `${name}.html`), 'utf8')
    .replace('/* styles */', () => `${uplotStyles}\n${styles}`)
    .replace('/* script */', () => `/* With uPlot:\n${licence}\n*/\n${script}`);
  writeFileSync(join(to, `${name}.html`), page);
}
