/** What a capture says of how its program was started; loaded within the program, by the preload. */

/** The part of `process` that says so. */
export interface Started {
  readonly argv: readonly string[];
  readonly execArgv: readonly string[];
}

/**
 * The arguments, or without them the program's name: Node and the script. With code in the place of
 * a script there is none. It stands alone: attach() sends its text to the process.
 */
function commandLineOf({ argv, execArgv }: Started, whole: boolean): Started {
  if (whole) return { argv, execArgv };
  const isCode = execArgv.some((one) => /^(-[a-z]*[ep]|--eval|--print)($|=)/.test(one));
  return { argv: argv.slice(0, isCode ? 1 : 2), execArgv: [] };
}

module.exports = { commandLineOf };

/** What this module is to who loads it. */
export interface CommandLineModule {
  readonly commandLineOf: typeof commandLineOf;
}
