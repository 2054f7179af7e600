import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { channelWith, recordingSubscriber, setUpChannels } from '../support/decoded-channels.js';

const ANSWERS = ['passes', 'issues', 'throws'] as const;

const command = fc.oneof(
  { weight: 2, arbitrary: fc.record({ do: fc.constant('subscribe' as const) }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('notify' as const), answer: fc.constantFrom(...ANSWERS) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('gap' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('leave' as const), index: fc.nat(9) }) },
);

/** What a subscriber is to see. */
interface Expected {
  readonly seen: string[];
  hasLeft: boolean;
}

describe('a decoded channel', () => {
  it('gives each subscriber its own events, however notifications, gaps, arrivals and departures interleave', () =>
    fc.assert(
      fc.property(fc.array(command, { maxLength: 60 }), (steps) => {
        const { listener, channels, errors } = setUpChannels();
        const channel = channelWith((value) => {
          const [, answer] = value as [number, (typeof ANSWERS)[number]];
          if (answer === 'throws') throw new Error('broken');
          return answer === 'issues' ? { issues: [{ message: 'no' }] } : { value };
        });
        const subscribers: { readonly seen: readonly string[]; readonly leave: () => void }[] = [];
        const expected: Expected[] = [];
        let failures = 0;
        const tell = (event: string): void => {
          for (const { seen, hasLeft } of expected) if (!hasLeft) seen.push(event);
        };
        for (const [index, step] of steps.entries()) {
          if (step.do === 'subscribe') {
            const { seen, subscriber } = recordingSubscriber();
            subscribers.push({ seen, leave: channels.subscribe(channel, subscriber) });
            expected.push({ seen: ['start'], hasLeft: false });
          } else if (step.do === 'notify') {
            listener.notify(JSON.stringify([index, step.answer]));
            if (step.answer === 'passes') tell(`${index},passes`);
            else if (expected.some(({ hasLeft }) => !hasLeft)) failures += 1;
          } else if (step.do === 'gap') {
            listener.lose();
            listener.gap();
            tell('reconnect');
          } else if (subscribers.length > 0) {
            const place = step.index % subscribers.length;
            subscribers[place]!.leave(); // Some leave twice.
            expected[place]!.hasLeft = true;
          }
          expect(subscribers.map(({ seen }) => seen)).toEqual(expected.map(({ seen }) => seen));
          expect(errors).toHaveLength(failures);
          expect(listener.wants('c')).toBe(expected.some(({ hasLeft }) => !hasLeft));
        }
        listener.stop();
        tell('complete');
        expect(subscribers.map(({ seen }) => seen)).toEqual(expected.map(({ seen }) => seen));
      }),
    ));
});
