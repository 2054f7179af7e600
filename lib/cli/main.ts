#!/usr/bin/env node
import { runCommandLine } from './command-line.js';
import { Terminal } from './terminal.js';

const { stdout, stderr } = process;
for (const output of [stdout, stderr]) writeWithoutWaiting(output);

// The process ends by itself when its output has been read and no handle is open.
void runCommandLine(process.argv.slice(2), {
  terminal: new Terminal(stdout, stderr, process.env),
  env: process.env,
}).then((code) => (process.exitCode = code));

/**
 * Node writes to terminals synchronously. A terminal that is not read (Ctrl-S, a window of tmux that scrolls back)
 * would block the whole process with its connection and signal handlers. There is no public way to change that.
 * https://nodejs.org/api/process.html#a-note-on-process-io
 */
function writeWithoutWaiting(output: NodeJS.WriteStream): void {
  const { _handle: handle } = output as { readonly _handle?: { readonly setBlocking?: (on: boolean) => void } };
  if (output.isTTY) handle?.setBlocking?.(false);
}
