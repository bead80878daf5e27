import type { Reporter, TestModule } from 'vitest/node';

/**
 * Ends a run with the plain line that scripts read: `N passed, N failed`. Printed at exit so that
 * it is the last one; a file that cannot be loaded, an unhandled error and a run of no tests are
 * failures. Before it, tests that passed only when they ran again.
 */
export default class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    let passed = 0;
    let failed = unhandledErrors.length;
    let skipped = 0;
    const lines: string[] = [];
    for (const module of modules) {
      failed += module.errors().length;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (state === 'passed') passed++;
        else if (state === 'skipped') skipped++;
        else failed++;
        if (test.diagnostic()?.flaky) lines.push(`passed when run again: ${test.fullName}\n`);
      }
    }
    if (passed + failed === 0) failed = 1;
    lines.push(`${passed} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ''}\n`);
    process.once('exit', () => process.stdout.write(lines.join('')));
  }
}
