import { describe, expect, it } from '@jest/globals';
import { EventRetention } from '../../lib/event-log/event-retention.js';
import { PgNotifyError } from '../../lib/pg-notify.errors.js';
import { FakeClock } from '../support/fake-server.js';
import { turns } from '../support/turn.js';

function setUp(prune: (olderThan: number) => Promise<number>, consumes = true) {
  const clock = new FakeClock();
  const asked: number[] = [];
  const errors: unknown[] = [];
  const store = {
    prune: (olderThan: number): Promise<number> => {
      asked.push(olderThan);
      return prune(olderThan);
    },
  };
  const retention = new EventRetention({
    store,
    retention: 1_000,
    clock,
    errors: { report: (error) => errors.push(error) },
    consumes,
  });
  const running = retention.run();
  const pass = async (milliseconds: number): Promise<void> => {
    clock.advance(milliseconds);
    await turns();
  };
  return { clock, asked, errors, retention, running, pass };
}

describe('EventRetention', () => {
  it('runs soon after the start until no event is old, and then every hour', async () => {
    const left = [5_000, 5_000, 12];
    const { asked, pass, retention, running } = setUp(async () => Promise.resolve(left.shift() ?? 0));
    await pass(9_999);
    expect(asked).toEqual([]);
    await pass(1);
    expect(asked).toEqual([1_000, 1_000, 1_000, 1_000]);
    await pass(3_599_999);
    expect(asked).toHaveLength(4);
    await pass(1);
    expect(asked).toHaveLength(5);
    retention.stop();
    await running;
  });

  it('reports a failure, and tries again after an hour', async () => {
    const { asked, errors, pass, retention, running } = setUp(() => Promise.reject(new Error('no connection')));
    await pass(10_000);
    expect(errors).toMatchObject([
      {
        message: 'Old events could not be deleted, which is tried again in an hour: no connection',
        cause: new Error('no connection'),
      },
    ]);
    await pass(3_600_000);
    expect(asked).toHaveLength(2);
    retention.stop();
    await running;
  });

  it('reports a role that may not delete where events are consumed', async () => {
    const refused = new PgNotifyError('configuration', 'permission denied', { sqlState: '42501' });
    const { errors, pass, retention, running } = setUp(() => Promise.reject(refused));
    await pass(10_000);
    expect(errors).toMatchObject([{ kind: 'configuration', cause: refused }]);
    retention.stop();
    await running;
  });

  it('leaves deleting to others, without a word, where nothing is consumed and the role may not', async () => {
    const refused = new PgNotifyError('configuration', 'permission denied', { sqlState: '42501' });
    const { errors, pass, running, asked, clock } = setUp(() => Promise.reject(refused), false);
    await pass(10_000);
    await running;
    expect([asked.length, errors, clock.sleeping]).toEqual([1, [], 0]);
  });

  it('deletes no further part after stop(), and leaves no timer', async () => {
    const { asked, pass, retention, running, clock } = setUp(() => {
      retention.stop();
      return Promise.resolve(5_000);
    });
    await pass(10_000);
    await running;
    expect(asked).toEqual([1_000]);
    expect(clock.sleeping).toBe(0);
  });
});
