import { defineConfig } from 'vitest/config';

// forks, not threads: a crash of the native part is then one failed file, not the end of the run.
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/system/**', 'node_modules/**'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 30_000,
    reporters: ['default', './test/closing_line.ts'],
  },
});
