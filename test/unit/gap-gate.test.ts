import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { GAP_REASONS } from '../../lib/channel/pg-gap.js';
import type { HandlerQueueMode } from '../../lib/consumers/queue-mode.js';
import { GateModel } from '../support/gate-model.js';
import type { Behaviour, HeldRun, MethodModel, QueueModel } from '../support/gate-model.js';
import { turn } from '../support/turn.js';

const BEHAVIOURS: readonly Behaviour[] = ['returns', 'throws', 'resolves', 'rejects', 'held'];

const modes: fc.Arbitrary<HandlerQueueMode> = fc.oneof(
  fc.constant({ concurrency: 1 }),
  fc.integer({ min: 2, max: 3 }).map((concurrency) => ({ concurrency })),
  // Nobody waits for an hour: a batch that is not full is only run at a gap, or at the end.
  fc.constantFrom(0, 3_600_000).map((maxWait) => ({ concurrency: 1, batch: { maxSize: 2, maxWait } })),
  fc.constant({ concurrency: 1, latest: () => true }),
  fc.constant({ concurrency: 1, latest: (payload: unknown) => (payload as { key: number }).key }),
);

const queues: fc.Arbitrary<QueueModel> = fc.record({
  mode: modes,
  bufferSize: fc.integer({ min: 2, max: 4 }),
  behaviours: fc.array(fc.constantFrom(...BEHAVIOURS), { minLength: 1, maxLength: 4 }),
});

const methods: fc.Arbitrary<MethodModel> = fc.record({
  reasons: fc.oneof(fc.constant(GAP_REASONS), fc.subarray([...GAP_REASONS], { minLength: 1 })),
});

type Step =
  | { readonly does: 'push'; readonly key: number }
  | { readonly does: 'gap'; readonly reason: 'start' | 'reconnect' | 'relisten' | 'undelivered' }
  | { readonly does: 'handler ends' | 'gap method ends'; readonly which: number; readonly fails: boolean }
  | { readonly does: 'time passes' | 'microtask' | 'turn' | 'stop' };

const steps: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ does: fc.constant('push' as const), key: fc.integer({ min: 1, max: 2 }) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      does: fc.constant('gap' as const),
      reason: fc.constantFrom('start' as const, 'reconnect' as const, 'relisten' as const, 'undelivered' as const),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      does: fc.constantFrom('handler ends' as const, 'gap method ends' as const),
      which: fc.nat(),
      fails: fc.boolean(),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({ does: fc.constantFrom('time passes' as const, 'microtask' as const, 'turn' as const) }),
  },
);

async function take(step: Step, model: GateModel): Promise<void> {
  if ('which' in step) endOne(step, step.does === 'handler ends' ? model.queues : model.methods);
  else if (step.does === 'push') model.push(step.key);
  else if (step.does === 'gap') model.gap(step.reason);
  else if (step.does === 'time passes') model.clock.advance(30_000);
  else if (step.does === 'microtask') await Promise.resolve();
  else if (step.does === 'turn') {
    await turn();
    model.checkCounts();
  } else model.stop();
}

function endOne(
  { which, fails }: { readonly which: number; readonly fails: boolean },
  all: readonly { readonly held: HeldRun[] }[],
): void {
  const holding = all.filter(({ held }) => held.length > 0);
  if (holding.length === 0) return;
  const { held } = holding[which % holding.length]!;
  const [run] = held.splice(which % held.length, 1);
  run!.end(fails);
}

describe('queues and gap methods of one provider and channel', () => {
  it('keep order, counts and barriers, and settle, whatever happens in which order', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(queues, { minLength: 1, maxLength: 3 }),
        fc.array(methods, { minLength: 0, maxLength: 2 }),
        fc.array(steps, { maxLength: 60 }),
        async (queueModels, methodModels, script) => {
          const model = new GateModel(queueModels, methodModels);
          for (const step of script) await take(step, model);
          await model.settle();
          expect(model.problems).toEqual([]);
        },
      ),
      { numRuns: 1_500 },
    );
  });

  it('run nothing after a stop, and settle as soon as what ran has ended', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(queues, { minLength: 1, maxLength: 3 }),
        fc.array(methods, { minLength: 0, maxLength: 2 }),
        fc.array(steps, { maxLength: 30 }),
        fc.array(steps, { maxLength: 10 }),
        async (queueModels, methodModels, before, after) => {
          const model = new GateModel(queueModels, methodModels);
          for (const step of [...before, { does: 'stop' } as const, ...after]) await take(step, model);
          for (const { held } of [...model.queues, ...model.methods]) for (const run of held.splice(0)) run.end(true);
          await Promise.all([...model.queues.map((queue) => queue.settled()), model.gate.settled()]);
          expect(model.gate.isIdle).toBe(true);
          expect(model.clock.sleeping).toBe(0);
          expect(model.problems).toEqual([]);
        },
      ),
      { numRuns: 500 },
    );
  });
});
