import { beforeEach, describe, expect, it } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import { OnPgEvent } from 'nest-pg-notify/events';
import type { OnPgEventOptions, PgEvent, PgEventContext } from 'nest-pg-notify/events';
import { eventsSuite } from '../support/app/events-suite.js';
import { EFFECTS, publishNumbers, range, writeEffect } from '../support/event-effects.js';
import { HeldCalls } from '../support/held-calls.js';
import { eventually, Recorder } from '../support/recorder.js';
import { turn } from '../support/turn.js';

interface Numbered {
  readonly n: number;
}

const ROUNDS = 5;
const EVENTS = 100;

describe('an application that is closed in the middle of a page', () => {
  const suite = eventsSuite();

  beforeEach(async () => {
    await suite.database.query(
      `DROP TABLE IF EXISTS effect; ${EFFECTS}; TRUNCATE nest_events.event; DELETE FROM nest_events.consumer`,
    );
  });

  const owners = async (): Promise<readonly unknown[]> =>
    (await suite.database.query('SELECT FROM nest_events.consumer WHERE owner IS NOT NULL')).rows;

  const sessions = async (): Promise<number | null> =>
    (
      await suite.database.query(
        `SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'nest-pg-notify%'`,
      )
    ).rowCount;

  it.each<[string, Partial<OnPgEventOptions>]>([
    ['one event at a time', {}],
    ['several at a time', { concurrency: 3 }],
    ['in strict order', { ordering: 'strict' }],
    ['in transactions', { transactional: true }],
  ])('loses nothing and repeats nothing, and leaves nothing behind: %s', async (_how, options) => {
    const log = new Recorder<number>();

    @Injectable()
    class Consumer {
      @OnPgEvent('orders', { consumer: 'closed', ...options } as OnPgEventOptions)
      async handle({ n }: Numbered, event: PgEvent, { tx }: PgEventContext): Promise<void> {
        if (options.transactional) await writeEffect(tx, 'closed', 'app', event);
        await turn();
        log.push(n);
      }
    }
    let cut = 0;
    for (let round = 0; round < ROUNDS; round += 1) {
      const { app } = await suite.start({ providers: [Consumer] });
      const last = (round + 1) * EVENTS;
      await publishNumbers(suite.database, last - EVENTS + 1, last, 5);
      await log.until((items) => items.length >= round * EVENTS + 20 + 10 * round);
      await app.close();
      if (log.items.length < last) cut += 1;
      expect(await owners()).toEqual([]);
      await eventually(sessions, (count) => count === 0);
    }
    expect(cut).toBeGreaterThan(0);
    await suite.start({ providers: [Consumer] });
    await log.until(ROUNDS * EVENTS);
    const numbers = options.transactional
      ? await eventually(effects, ({ length }) => length >= ROUNDS * EVENTS)
      : log.items;
    for (const key of range(0, 4)) {
      const ofKey = (all: readonly number[]): readonly number[] => all.filter((n) => n % 5 === key);
      expect(ofKey(numbers)).toEqual(ofKey(range(1, ROUNDS * EVENTS)));
    }
  });

  it('has another application take over at once, which repeats nothing', async () => {
    const calls = new HeldCalls<number>();
    const log = new Recorder<{ readonly owner: string; readonly n: number }>();
    const consumerOf = (owner: string) => {
      @Injectable()
      class Consumer {
        @OnPgEvent('orders', { consumer: 'handed over' })
        async handle({ n }: Numbered): Promise<void> {
          if (owner === 'first') await calls.run(n);
          log.push({ owner, n });
        }
      }
      return Consumer;
    };
    const first = await suite.start({ providers: [consumerOf('first')] });
    const second = await suite.start({ providers: [consumerOf('second')] });
    await publishNumbers(suite.database, 1, 1_000);
    await calls.begun.until(1);
    let isClosed = false;
    const closing = first.app.close().then(() => (isClosed = true));
    while (!isClosed) {
      if (calls.pending > 0) calls.end();
      await turn();
    }
    await closing;
    await log.until(1_000);
    expect(log.items.map(({ n }) => n)).toEqual(range(1, 1_000));
    // The second one may begin before the first has closed all that it has beside its consumers.
    const reached = log.items.findIndex(({ owner }) => owner === 'second');
    expect(reached).toBeGreaterThan(0);
    expect(log.items.slice(reached).every(({ owner }) => owner === 'second')).toBe(true);
    await second.app.close();
    expect(await owners()).toEqual([]);
  });

  const effects = async (): Promise<readonly number[]> =>
    (await suite.database.query<Numbered>('SELECT n FROM effect ORDER BY id')).rows.map(({ n }) => n);
});
