#!/usr/bin/env node
import { runCommandLine } from './command-line.js';
import { Terminal } from './terminal.js';

const terminal = new Terminal(process.stdout, process.stderr, process.env);

// The process ends by itself, once all that was written has been taken and nothing is open any more.
void runCommandLine(process.argv.slice(2), { terminal, env: process.env }).then((code) => (process.exitCode = code));
