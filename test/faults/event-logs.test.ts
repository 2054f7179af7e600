import { describe, expect, it } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import { definePgChannel } from 'nest-pg-notify';
import { OnPgEvent } from 'nest-pg-notify/events';
import type { PgEvent, PgEventContext } from 'nest-pg-notify/events';
import { inspect } from 'node:util';
import { z } from 'zod';
import { eventsSuite } from '../support/app/events-suite.js';
import { expectNoSecret } from '../support/app/no-secret.js';
import { rejection } from '../support/failures.js';
import { eventually, Recorder } from '../support/recorder.js';

const SECRET = 'canary-4711-payload';
const Strict = definePgChannel('strict', { schema: z.object({ card: z.string().max(1_000) }) });

interface Order {
  readonly card: string;
}

describe('what an event log reports', () => {
  const suite = eventsSuite({ proxy: 'all' });

  it("contains no payload and no password, unless a method's error message does", async () => {
    await suite.database.query('CREATE TABLE card (card text PRIMARY KEY, n int CHECK (n > 0))');
    const tried = new Recorder<string>();
    const emitted: unknown[] = [];
    const retry = { attempts: 2, delay: 1, maxDelay: 1 };

    @Injectable()
    class Consumers {
      @OnPgEvent('cards', { consumer: 'throws it', retry })
      throwIt(order: Order): void {
        tried.push('throws');
        throw Object.assign(new Error('Cannot charge.'), { order });
      }

      @OnPgEvent('cards', { consumer: 'rejects with it', retry, batch: { maxSize: 10 } })
      async rejectIt([order]: readonly Order[]): Promise<void> {
        tried.push('rejects');
        throw Object.assign(new Error('no'), { order, config: { password: new URL(suite.database.url).password } });
      }

      @OnPgEvent('cards', { consumer: 'counts below zero', transactional: true, retry })
      async count({ card }: Order, _: PgEvent, { tx }: PgEventContext): Promise<void> {
        tried.push('counts');
        await tx.query('INSERT INTO card VALUES ($1, -1)', [card]);
      }

      @OnPgEvent('cards', { consumer: 'writes it twice', transactional: true, retry })
      async write({ card }: Order, _: PgEvent, { tx }: PgEventContext): Promise<void> {
        tried.push('writes');
        await tx.query('INSERT INTO card VALUES ($1, 1), ($1, 2)', [card]);
      }

      @OnPgEvent(Strict, { consumer: 'strict' })
      never(): void {
        tried.push('never');
      }
    }
    const { events, service, logger, app } = await suite.start({
      reconnect: { minDelay: 10, maxDelay: 50 },
      providers: [Consumers],
    });
    service.errors$.subscribe((error) => emitted.push(error));
    await events.publish(
      'cards',
      { card: SECRET },
      { executor: false, key: 'k', headers: { trace: `${SECRET}-header` } },
    );
    // Past the schema, as another language may.
    await suite.database.query(`INSERT INTO nest_events.event (channel, payload) VALUES ('strict', $1)`, [
      JSON.stringify({ card: [SECRET] }),
    ]);
    const states = await eventually(
      () => events.consumers(),
      (all) => all.every(({ dead }) => dead === 1),
    );
    expect(states).toHaveLength(5);
    expect(tried.items).not.toContain('never');
    const refused = await rejection(events.publish('cards', { card: SECRET, n: 1n }, { executor: false }));
    suite.proxy.refuse();
    suite.proxy.reset();
    const lost = await rejection(events.publish('cards', { card: SECRET }, { executor: false }));
    await suite.proxy.accept();
    await eventually(
      () => events.requeue('writes it twice').catch(() => 0),
      (count) => count === 1,
    );
    await eventually(
      () => events.consumers(),
      (all) => all.every(({ dead }) => dead === 1),
    );
    await app.close();
    expect(logger.texts().length).toBeGreaterThan(5);
    expect(logger.texts().join('\n')).not.toContain(SECRET);
    expectNoSecret({ logger }, suite.database.url);
    const details = inspect([refused, lost], { depth: 10, showHidden: true });
    expect(details).not.toContain(SECRET);
    expect(details).not.toContain(new URL(suite.database.url).password);
    expect(emitted.length).toBeGreaterThan(0);
    expect(emitted.map((error) => (error as Error).message).join('\n')).not.toContain(SECRET);
    const stored = states.map(({ lastError }) => lastError).join('\n');
    expect(stored).not.toContain(SECRET);
  });

  it('names the consumer and the position of a dead letter, and the remedy', async () => {
    @Injectable()
    class Billing {
      @OnPgEvent('letters', { consumer: 'letters', retry: { attempts: 1 } })
      charge(): void {
        throw new Error('The card was refused.');
      }
    }
    const { events, logger } = await suite.start({ providers: [Billing] });
    await events.publish('letters', { card: SECRET }, { executor: false });
    const [text] = await eventually(
      () => logger.texts('error'),
      ({ length }) => length > 0,
    );
    expect(text).toMatch(
      /The event at position \d+ is a dead letter of the consumer "letters".*The card was refused\./,
    );
    expect(text).toContain('npx nest-pg-notify events dead "letters"');
    expect(text).not.toContain(SECRET);
  });
});
