import { join } from 'node:path';
import ts from 'typescript';
import { lineAt, type ProjectFile } from './files.ts';
import type { Dependency } from './rooms.ts';

/** A function as found: where, and the two numbers that have a limit. */
export interface FoundFunction {
  readonly name: string;
  readonly line: number;
  readonly lines: number;
  readonly parameters: number;
}

function parse(file: ProjectFile): ts.SourceFile {
  return ts.createSourceFile(file.path, file.text, ts.ScriptTarget.ES2023, true);
}

function walk(node: ts.Node, visit: (node: ts.Node) => void): void {
  visit(node);
  ts.forEachChild(node, (child) => walk(child, visit));
}

function resolve(from: string, specifier: string): string | null {
  return specifier.startsWith('.') ? join(from, '..', specifier) : null;
}

function importedTypesOnly(node: ts.ImportDeclaration): boolean {
  const clause = node.importClause;
  if (!clause) return false;
  if (clause.isTypeOnly) return true;
  const bindings = clause.namedBindings;
  if (clause.name || !bindings || !ts.isNamedImports(bindings)) return false;
  return bindings.elements.length > 0 && bindings.elements.every((one) => one.isTypeOnly);
}

function exportedTypesOnly(node: ts.ExportDeclaration): boolean {
  if (node.isTypeOnly) return true;
  const clause = node.exportClause;
  return !!clause && ts.isNamedExports(clause) && clause.elements.every((one) => one.isTypeOnly);
}

/** The module that `node` names, if it imports one in any way that there is. */
function specifierOf(node: ts.Node): { specifier: ts.Expression; typeOnly: boolean } | null {
  if (ts.isImportDeclaration(node)) {
    return { specifier: node.moduleSpecifier, typeOnly: importedTypesOnly(node) };
  }
  if (ts.isExportDeclaration(node) && node.moduleSpecifier) {
    return { specifier: node.moduleSpecifier, typeOnly: exportedTypesOnly(node) };
  }
  if (!ts.isCallExpression(node)) return null;
  const called = node.expression;
  const loads =
    called.kind === ts.SyntaxKind.ImportKeyword ||
    (ts.isIdentifier(called) && called.text === 'require');
  const [argument] = node.arguments;
  return loads && argument ? { specifier: argument, typeOnly: false } : null;
}

/** Every import, re-export, `import()` and `require()` of `file`. */
export function dependenciesOf(file: ProjectFile): readonly Dependency[] {
  const found: Dependency[] = [];
  walk(parse(file), (node) => {
    const import_ = specifierOf(node);
    if (!import_) return;
    const { specifier: expression, typeOnly } = import_;
    const specifier = ts.isStringLiteralLike(expression) ? expression.text : expression.getText();
    const line = lineAt(file.text, node.getStart());
    found.push({
      from: file.path,
      line,
      specifier,
      target: resolve(file.path, specifier),
      typeOnly,
    });
  });
  return found;
}

function nameOf(node: ts.FunctionLikeDeclaration): string {
  if (node.name) return node.name.getText();
  if (ts.isConstructorDeclaration(node)) return 'constructor';
  const { parent } = node;
  return ts.isVariableDeclaration(parent) || ts.isPropertyAssignment(parent)
    ? parent.name.getText()
    : '(anonymous)';
}

/** Every function with a body; `this` parameters are not counted. */
export function functionsOf(file: ProjectFile): readonly FoundFunction[] {
  const found: FoundFunction[] = [];
  walk(parse(file), (node) => {
    if (!ts.isFunctionLike(node) || !('body' in node) || !node.body) return;
    const line = lineAt(file.text, node.getStart());
    const isTestBlock = ts.isCallExpression(node.parent) && /^describe/.test(node.parent.getText());
    const lines = lineAt(file.text, node.getEnd()) - line + 1;
    found.push({
      name: nameOf(node),
      line,
      lines: isTestBlock ? 0 : lines,
      parameters: node.parameters.filter((one) => one.name.getText() !== 'this').length,
    });
  });
  return found;
}

const skippers = new Set(['skip', 'todo', 'only', 'skipIf', 'runIf', 'fails']);
const testNames = new Set(['test', 'it', 'describe', 'suite', 'bench', 'context', 'ctx']);

function isSkipped(node: ts.Node): boolean {
  return (
    ts.isPropertyAccessExpression(node) &&
    skippers.has(node.name.text) &&
    ts.isIdentifier(node.expression) &&
    testNames.has(node.expression.text)
  );
}

function isDefaultExport(node: ts.Node): boolean {
  if (ts.isExportAssignment(node)) return true;
  const modifiers = ts.canHaveModifiers(node) ? (ts.getModifiers(node) ?? []) : [];
  return modifiers.some((one) => one.kind === ts.SyntaxKind.DefaultKeyword);
}

function isPrivateKeyword(node: ts.Node): boolean {
  // There is no #constructor: a class that is made by a factory only says it with the keyword.
  if (ts.isConstructorDeclaration(node)) return false;
  const modifiers = ts.canHaveModifiers(node) ? (ts.getModifiers(node) ?? []) : [];
  return modifiers.some((one) => one.kind === ts.SyntaxKind.PrivateKeyword);
}

const bans: readonly (readonly [(node: ts.Node) => boolean, string])[] = [
  [(node) => node.kind === ts.SyntaxKind.AnyKeyword, '`any`: use unknown and narrow it'],
  [(node) => ts.isEnumDeclaration(node), 'enum: use an `as const` object or a union'],
  [
    (node) => ts.isExportDeclaration(node) && !node.exportClause,
    '`export *`: list the names, so that the surface is what was meant',
  ],
  [isDefaultExport, 'default export: export by name, so that it has one name everywhere'],
  [isPrivateKeyword, '`private`: use a #field, which is private at run time too'],
  [isSkipped, 'skipped, todo or only: a test runs or does not exist'],
];

/** Constructs that this project does not use, with what to use instead, as `line: remedy`. */
export function bannedConstructs(file: ProjectFile): readonly string[] {
  const found: string[] = [];
  walk(parse(file), (node) => {
    for (const [matches, remedy] of bans) {
      if (matches(node))
        found.push(`${file.path}:${lineAt(file.text, node.getStart())}: ${remedy}`);
    }
  });
  return found;
}
