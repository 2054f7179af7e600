import { readdirSync, readFileSync } from 'node:fs';

/** Milliseconds in a tick of `/proc`, whose length programs are told as 1/100 s on every Linux. */
const TICK = 10;

/**
 * CPU time of a process and of its children so far, in milliseconds. A child that ends takes its time to its parent. Undefined
 * where there is no `/proc`.
 */
export function processorTimeOf(pid: number | undefined): number | undefined {
  if (pid === undefined) return undefined;
  const own = ticksOf(pid);
  if (own === undefined) return undefined;
  const children = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => ticksOf(Number(name)))
    .filter((ticks) => ticks?.parent === pid);
  return TICK * children.reduce((sum, ticks) => sum + (ticks?.used ?? 0), own.used + own.ofEndedChildren);
}

interface Ticks {
  readonly parent: number;
  readonly used: number;
  readonly ofEndedChildren: number;
}

/** The fields of proc_pid_stat(5) behind the name, which may hold anything: 4 is the parent, 14 to 17 are times. */
function ticksOf(pid: number): Ticks | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined; // It has ended meanwhile.
  }
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const field = (number: number): number => Number(fields[number - 3]);
  return { parent: field(4), used: field(14) + field(15), ofEndedChildren: field(16) + field(17) };
}
