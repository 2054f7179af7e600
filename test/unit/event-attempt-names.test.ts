import { describe, expect, it } from '@jest/globals';
import type { EventConsumerDefinition } from '../../lib/event-log/event-consumer-definition.js';
import type { PgEvent } from '../../lib/event-log/pg-event.js';
import { PgNotifyDiagnostics } from '../../lib/pg-notify.diagnostics.js';
import { PgNotifyErrorRoute } from '../../lib/pg-notify.error-route.js';
import { PgNotifyLogger } from '../../lib/pg-notify.logger.js';
import type { GivenContext } from '../support/consumer-context.js';
import { MemoryLog } from '../support/event-consumers.js';
import { turns } from '../support/turn.js';

const ONCE = { attempts: 1, delay: 1_000, maxDelay: 1_000 };
const FOR_EVER = { attempts: Infinity, delay: 600_000, maxDelay: 600_000 };

function failing(): never {
  throw new Error('no');
}

describe('the report of a failed event', () => {
  it.each<[string, Partial<EventConsumerDefinition>, string]>([
    ['an event', {}, ' (attempt 1 of 3; again in 0.5 s at the earliest)'],
    ['an event of strict order', { ordering: 'strict' }, ' (attempt 1 of 3; again in 0.5 s at the earliest)'],
    ['an event without a limit of attempts', { retry: FOR_EVER }, ' (attempt 1; again in 300 s at the earliest)'],
    ['an event of a transaction', { isTransactional: true }, ' (attempt 1 of 3)'],
    ['an event that has used up its attempts', { retry: ONCE }, ' (attempt 1 of 1)'],
  ])('names %s, its attempt and the next one when it fails', async (_what, kind, attempt) => {
    const memory = new MemoryLog();
    const ids: string[] = [];
    const call = ([event]: readonly PgEvent[]): never => {
      ids.push(event!.id);
      throw new Error('no');
    };
    await memory.consume({ ...kind, call });
    memory.publish('a1');
    await turns();
    expect(memory.reports[0]).toBe(
      `warning: Handler Billing.charge failed for the event ${ids[0]} at position 1 of the channel "orders"${attempt}: no`,
    );
  });

  it('names the second attempt as such, and what cannot be decoded without an attempt', async () => {
    const memory = new MemoryLog();
    await memory.consume({ call: failing });
    memory.publish('a1');
    await memory.pass(2_000);
    expect(memory.reports[1]).toContain('at position 1 of the channel "orders" (attempt 2 of 3; again in 1.0 s');
    memory.store.publish({ channel: 'orders', payload: '{' });
    await memory.pass(2_000);
    expect(memory.reports).toContainEqual(
      expect.stringMatching(/^warning: .+ failed for the event \S+ at position 2 of the channel "orders": /),
    );
  });

  it('names the positions of a batch', async () => {
    const memory = new MemoryLog();
    await memory.consume({ batch: { maxSize: 10 }, call: failing });
    memory.publish('a1', 'b1', 'a2');
    await turns();
    expect(memory.reports[0]).toContain(
      'failed for the 3 events at positions 1 to 3 of the channel "orders" (attempt 1 of 3; again in 0.5 s at the earliest): ',
    );
  });

  it.each([
    ['an error', () => new Error('no bank')],
    ['nothing', () => undefined],
  ])('collapses in the log what fails with %s, whichever event it is', async (_what, thrown) => {
    const [lines, errors] = [[] as string[], [] as string[]];
    const logger = Object.assign(new PgNotifyLogger('test'), {
      warn: (line: string) => void lines.push(line),
      log: (line: string) => void lines.push(line),
    });
    const memory = new MemoryLog();
    const route = new PgNotifyErrorRoute(logger, new PgNotifyDiagnostics('test'), () => memory.clock.now());
    route.errors$.subscribe(({ message }) => errors.push(message));
    let isDown = true;
    const onError: GivenContext['onError'] = (...failure) => route.report(...failure);
    const onRecovery = (handler: string, source?: object): void => route.recovered(handler, source);
    const call = (): Promise<void> => (isDown ? Promise.reject(thrown()) : Promise.resolve());
    await memory.consume({ call }, { context: { onError, onRecovery } });
    memory.publish('a1', 'b1', 'c1');
    await turns();
    expect(errors).toHaveLength(3);
    expect(new Set(errors).size).toBe(3);
    expect(lines).toEqual([errors[0]]);
    isDown = false;
    await memory.pass(2_000);
    expect(lines.at(-1)).toMatch(/^Billing\.charge works again, after 3 failures in \d s\.$/);
    expect(lines).toHaveLength(2);
  });
});
