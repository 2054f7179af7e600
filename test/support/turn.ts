import { setImmediate as nextTurn } from 'node:timers/promises';

/** Lets one turn of the event loop pass: every promise that is ready settles in it. */
export async function turn(): Promise<void> {
  await nextTurn();
}

/** Lets everything happen that only waits for its turn: three turns, because a slow machine may use up a turn's budget. */
export async function turns(): Promise<void> {
  for (let left = 3; left > 0; left -= 1) await nextTurn();
}
