import { describe, expect, it } from '@jest/globals';
import { turnsOf } from './rounds.js';
import type { Contestant, Role } from './scenario.js';

const contestant = (name: string, role: Role): Contestant => ({ name, role, measure: async () => ({ figures: {} }) });
const ALL = [contestant('floor', 'floor'), contestant('ours', 'ours'), contestant('peer', 'peer')];

describe('turnsOf', () => {
  it('measures floor, ours, peer, ours, floor', () => {
    expect(turnsOf(ALL, 2).map((turn) => turn.contestant.name)).toEqual(['floor', 'ours', 'peer', 'ours', 'floor']);
  });

  it('gives five rounds to the floor and to ours, and three to a peer', () => {
    const turns = turnsOf(ALL, 5);
    const roundsOf = (name: string): number[] =>
      turns.filter((turn) => turn.contestant.name === name).map(({ round }) => round);
    expect(roundsOf('floor')).toEqual([1, 2, 3, 4, 5]);
    expect(roundsOf('ours')).toEqual([1, 2, 3, 4, 5]);
    expect(roundsOf('peer')).toEqual([1, 3, 5]);
  });
});
