import { readdirSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import type { Scenario } from '../frame/scenario.js';

const FOLDER = new URL('../scenarios/', import.meta.url);
const NAMES = readdirSync(FOLDER)
  .filter((file) => /^(events-.*|roads|simulation)\.ts$/.test(file))
  .map((file) => file.slice(0, -'.ts'.length));

describe('the scenarios of events', () => {
  it('cover publishing, draining, latency, stalls, idling, other roads and many instances', () => {
    expect(NAMES.toSorted()).toEqual([
      'events-drain',
      'events-idle',
      'events-latency',
      'events-publish',
      'events-stall',
      'roads',
      'simulation',
    ]);
  });

  it.each(NAMES)(
    '%s has targets for contestants and figures that it has: others would never be reported',
    async (name) => {
      const { default: scenario } = (await import(`../scenarios/${name}.js`)) as { default: Scenario };
      const contestants = scenario.contestants.map((contestant) => contestant.name);
      const named = scenario.targets.flatMap(({ contestant, against = contestant }) => [contestant, against]);
      expect(scenario.name).toBe(name);
      expect(scenario.targets).not.toEqual([]);
      expect(named.filter((each) => !contestants.includes(each))).toEqual([]);
      expect(scenario.targets.filter(({ figure }) => !Object.hasOwn(scenario.figures, figure))).toEqual([]);
    },
  );
});
