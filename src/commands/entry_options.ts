/** Options of the commands that enter a process by its inspector. */
import type { Command } from 'commander';
import type { ExplainOptions } from '../drift/explain.ts';

interface EntryFlags {
  readonly yesOpenInspector?: true;
  readonly signal?: true;
}

type EntryOptions = Pick<ExplainOptions, 'onNotice' | 'signal' | 'yesOpenInspector'>;

const about = `
A process that memdrift run did not start is entered through its inspector. SIGUSR1 opens it on
loopback for about a second; only a Node that is proven to wait for the signal is sent it, and says
so on its stderr ("Debugger listening on …", "Debugger attached.", "Debugger ending on …"). A guard
process closes the inspector whatever ends this command. An inspector that is open already is used
and stays open.
`;

/** Adds the options that allow entering, and the help text on it; returns the command. */
export function addEntryOptions(command: Command): Command {
  return command
    .option('--yes-open-inspector', 'open the inspector even on a machine with other users')
    .option('--signal', 'send SIGUSR1 to a Node that may have a listener of its own for it')
    .addHelpText('after', about);
}

/** Returns the options of explain(), attach() and detach(); notices go to stderr. */
export function entryOptions(flags: EntryFlags): EntryOptions {
  return {
    yesOpenInspector: flags.yesOpenInspector === true,
    signal: flags.signal === true,
    onNotice: (text) => process.stderr.write(`memdrift: ${text}\n`),
  };
}
