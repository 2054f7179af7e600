#!/usr/bin/env node
import { runCommandLine } from './command-line.js';
import { Terminal } from './terminal.js';

const { stdout, stderr } = process;
for (const output of [stdout, stderr]) writeWithoutWaiting(output);

// The process ends by itself, once all that was written has been taken and nothing is open any more.
void runCommandLine(process.argv.slice(2), {
  terminal: new Terminal(stdout, stderr, process.env),
  env: process.env,
}).then((code) => (process.exitCode = code));

/**
 * Node writes to terminals synchronously: one that nobody reads (Ctrl-S, a window of tmux that scrolls back) would stop the
 * whole process, its connection and its signal handlers with it. Nothing public turns that off.
 * https://nodejs.org/api/process.html#a-note-on-process-io
 */
function writeWithoutWaiting(output: NodeJS.WriteStream): void {
  const { _handle: handle } = output as { readonly _handle?: { readonly setBlocking?: (on: boolean) => void } };
  if (output.isTTY) handle?.setBlocking?.(false);
}
