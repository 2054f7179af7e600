import type { Facts } from './facts.js';
import type { Fault } from './faults.js';
import type { Peer } from './peers.js';
import { Trial } from './trial.js';

/** Milliseconds that one trial may take. */
const TIME_LIMIT = 480_000;

/** Throws one fault at one peer. Resolves with what was seen, also if the trial itself failed. */
export async function runTrial(peer: Peer, fault: Fault): Promise<Facts> {
  const trial = await Trial.open(peer.name, fault.id);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('time limit')), TIME_LIMIT);
  });
  try {
    await Promise.race([fault.run(trial), late]);
  } catch (error) {
    trial.facts.extra.harnessFailed = String(error);
  } finally {
    clearTimeout(timer);
    await trial.close();
  }
  return trial.facts;
}

/** Throws all the faults at one peer, several at the same time: trials wait more than they compute. */
export async function runTrials(peer: Peer, faults: readonly Fault[], atOnce: number): Promise<Facts[]> {
  const waiting = [...faults];
  const facts: Facts[] = [];
  const lane = async (): Promise<void> => {
    for (let fault = waiting.shift(); fault; fault = waiting.shift()) facts.push(await runTrial(peer, fault));
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
  return facts;
}
