/** The command line that a capture keeps; the preload loads this within the program. */

/** The part of `process` that has it. */
export interface Started {
  readonly argv: readonly string[];
  readonly execArgv: readonly string[];
}

/**
 * Returns the arguments, or without them Node and the script; code in place of a script is left
 * out. Uses nothing outside itself: attach() sends its text to the process.
 */
function commandLineOf({ argv, execArgv }: Started, whole: boolean): Started {
  if (whole) return { argv, execArgv };
  const isCode = execArgv.some((one) => /^(-[a-z]*[ep]|--eval|--print)($|=)/.test(one));
  return { argv: argv.slice(0, isCode ? 1 : 2), execArgv: [] };
}

module.exports = { commandLineOf };

/** Type of this module. */
export interface CommandLineModule {
  readonly commandLineOf: typeof commandLineOf;
}
