import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { RUN_COMMAND_LINE } from './node-typescript.js';

export interface TerminalResult {
  readonly code: unknown;
  readonly stderr: string;
}

/** For commands that hang. A busy machine may be ten times slower than a quiet one. */
const HANGS = 200_000;

/** Runs commands as a reader does who pastes them into a terminal. */
export type Terminal = (script: string, env?: Readonly<Record<string, string>>) => Promise<TerminalResult>;

/**
 * A terminal for the commands of the pages, in that folder.
 *
 * @param tools What `npx` runs beside `nest-pg-notify`: the arguments of Node, by the name of the tool.
 * @param programs Folders of further programs.
 */
export async function openTerminal(
  folder: string,
  tools: Readonly<Record<string, readonly string[]>> = {},
  programs: readonly string[] = [],
): Promise<Terminal> {
  const cases = Object.entries({ ...tools, 'nest-pg-notify': RUN_COMMAND_LINE }).map(([tool, args]) => {
    const quoted = [process.execPath, ...args].map((argument) => `'${argument}'`).join(' ');
    return `${tool}) exec ${quoted} "$@" ;;`;
  });
  const npx = ['#!/bin/sh', 'tool=$1', 'shift', 'case "$tool" in', ...cases, 'esac', 'exit 127', ''];
  await writeFile(join(folder, 'npx'), npx.join('\n'), { mode: 0o755 });
  const PATH = [folder, ...programs, process.env['PATH']].join(delimiter);
  return (script, env) =>
    new Promise((resolve) => {
      const options = { cwd: folder, env: { PATH, PGOPTIONS: '', LC_ALL: 'C', ...env }, timeout: HANGS };
      execFile('/bin/sh', ['-e', '-c', script], options, (error, _stdout, stderr) =>
        // One that was killed has no code.
        resolve({ code: error ? (error.code ?? error.signal) : 0, stderr }),
      );
    });
}
