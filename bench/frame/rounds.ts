import type { Bench } from './bench.js';
import type { Contestant, Sample, Scenario } from './scenario.js';

/** One measurement of one contestant. */
export interface Turn {
  readonly round: number;
  readonly contestant: Contestant;
}

/** A turn and what it measured, or why it could not. */
export interface TurnResult extends Turn {
  readonly sample?: Sample;
  readonly failure?: string;
}

/**
 * Who is measured when: floor, ours, peers, ours, floor, and again. A machine that becomes slower during a run so slows all
 * of them alike. Peers take part in every second round.
 */
export function turnsOf(contestants: readonly Contestant[], rounds: number): Turn[] {
  const withoutPeers = contestants.filter(({ role }) => role !== 'peer');
  return Array.from({ length: rounds }, (_, index) => index + 1).flatMap((round) => {
    const order = round % 2 === 1 ? contestants : withoutPeers.toReversed();
    return order.map((contestant) => ({ round, contestant }));
  });
}

/** Measures all contestants of a scenario. A turn that fails is recorded, and the others go on. */
export async function measureAll(
  scenario: Scenario,
  rounds: number,
  bench: Bench,
  onTurn: (turn: Turn) => void,
): Promise<TurnResult[]> {
  const results: TurnResult[] = [];
  for (const turn of turnsOf(scenario.contestants, rounds)) {
    onTurn(turn);
    results.push(await measure(turn, bench));
  }
  return results;
}

async function measure(turn: Turn, bench: Bench): Promise<TurnResult> {
  try {
    return { ...turn, sample: await turn.contestant.measure(bench) };
  } catch (error) {
    return { ...turn, failure: error instanceof Error ? error.message : String(error) };
  } finally {
    await bench.endRound();
  }
}
