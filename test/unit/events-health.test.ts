import { describe, expect, it } from '@jest/globals';
import { PgEventsHealthIndicator } from 'nest-pg-notify/events';
import type { PgEventConsumerState } from 'nest-pg-notify/events';
import { PgNotifyError } from 'nest-pg-notify';
import { failureOf } from '../support/failures.js';
import { turns } from '../support/turn.js';

const WELL: PgEventConsumerState = {
  consumer: 'billing',
  shard: 0,
  channels: ['orders'],
  owner: 'an instance',
  leaseRemaining: 15_000,
  paused: false,
  waiting: 0,
  oldestWaiting: 0,
  retrying: 0,
  dead: 0,
  attempts: 0,
  lastError: undefined,
  isForeign: false,
};

function healthOf(...states: Partial<PgEventConsumerState>[]): PgEventsHealthIndicator {
  return new PgEventsHealthIndicator({ consumers: async () => states.map((state) => ({ ...WELL, ...state })) });
}

describe('the health of an event log', () => {
  it('is up while its consumers keep up, and reports their figures', async () => {
    const states = [
      { shard: 0, waiting: 2, oldestWaiting: 10.4, dead: 1 },
      { shard: 1, waiting: 3, oldestWaiting: 5, retrying: 4 },
    ];
    expect(await healthOf(...states).isHealthy()).toEqual({
      pg_events: {
        status: 'up',
        consumers: { billing: { waiting: 5, lag: 10, retrying: 4, dead: 1, paused: false } },
      },
    });
  });

  it('is down when a consumer lags', async () => {
    const { pg_events: health } = await healthOf({ waiting: 1, oldestWaiting: 300_001 }).isHealthy();
    expect(health).toMatchObject({ status: 'down', reason: 'the consumer billing is 300 s behind' });
  });

  it('is up when a paused consumer lags', async () => {
    const { pg_events: health } = await healthOf({ paused: true, oldestWaiting: 999_999 }).isHealthy();
    expect(health.status).toBe('up');
  });

  it('is down with more dead letters than maxDeadLetters', async () => {
    const indicator = healthOf({ dead: 2 });
    expect((await indicator.isHealthy('log', { maxDeadLetters: 2 })).log.status).toBe('up');
    expect((await indicator.isHealthy('log', { maxDeadLetters: 1 })).log).toMatchObject({
      status: 'down',
      reason: 'the consumer billing has 2 dead letters',
    });
  });

  it('shares one query among concurrent checks', async () => {
    const answers: ((states: readonly PgEventConsumerState[]) => void)[] = [];
    const indicator = new PgEventsHealthIndicator(
      { consumers: () => new Promise((resolve) => answers.push(resolve)) },
      1,
    );
    for (const _ of [1, 2]) expect((await indicator.isHealthy()).pg_events.status).toBe('down');
    expect(answers).toHaveLength(1);
    answers[0]!([WELL]);
    await turns();
    const last = indicator.isHealthy();
    answers[1]!([WELL]);
    expect((await last).pg_events.status).toBe('up');
  });

  it('is down with cursors of another cluster', async () => {
    const { pg_events: health } = await healthOf({ isForeign: true }).isHealthy();
    expect(health.reason).toBe('the consumer billing comes from another cluster');
  });

  it('is down, and names no host, when the log fails or does not answer', async () => {
    const failing = new PgEventsHealthIndicator({ consumers: () => Promise.reject(new Error('secret.host')) });
    const silent = new PgEventsHealthIndicator({ consumers: () => new Promise(() => undefined) }, 5);
    for (const indicator of [failing, silent]) {
      expect(await indicator.isHealthy()).toEqual({
        pg_events: { status: 'down', reason: 'the event log does not answer', consumers: {} },
      });
    }
  });

  it.each([
    ['down for an application with consumers', true, { status: 'down', reason: 'the role may not read the event log' }],
    ['up for an application that only publishes', false, { status: 'up' }],
  ])('is %s whose role may not read the log', async (_what, consumes, health) => {
    const refused = new PgNotifyError('configuration', 'secret.host', { sqlState: '42501' });
    const indicator = new PgEventsHealthIndicator({ consumers: () => Promise.reject(refused) }, 5_000, () => consumes);
    expect(await indicator.isHealthy()).toEqual({ pg_events: { ...health, consumers: {} } });
  });

  it('refuses unknown options', async () => {
    const failure = await failureOf(healthOf().isHealthy('log', { maxlag: 1 } as object));
    expect(failure.message).toContain('maxLag');
  });
});
