import { defineConfig } from 'vitest/config';

// forks, not threads: a crash of the native part is then one failed file, not the end of the run.
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/system/**', 'test/real/**', 'node_modules/**'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 30_000,
    // What the kernel, V8's threads or a scheduler does at the moment of a look is in some results: in
    // CI a test that fails runs once more, and the closing lines name it.
    retry: process.env.CI ? 1 : 0,
    reporters: ['default', './test/closing_line.ts'],
  },
});
