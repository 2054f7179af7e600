import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { inspect } from 'node:util';
import { Injectable } from '@nestjs/common';
import { describe, expect, it } from '@jest/globals';
import type { PgNotifyDiagnosticsEvents } from 'nest-pg-notify';
import { OnPgEvent } from 'nest-pg-notify/events';
import { eventsSuite } from '../support/app/events-suite.js';
import { Recorder } from '../support/recorder.js';

type EventName = keyof PgNotifyDiagnosticsEvents;

const suite = eventsSuite();

/** Records what is published on diagnostics channels until the test ends. */
function watch(...names: readonly EventName[]) {
  const log = new Recorder<{ readonly name: string; readonly event: unknown }>();
  for (const name of names) {
    const onEvent = (event: unknown): void => log.push({ name, event });
    subscribe(name, onEvent);
    suite.cleanup(() => void unsubscribe(name, onEvent));
  }
  return {
    log,
    of: (name: EventName) => log.items.filter((item) => item.name === name).map(({ event }) => event),
  };
}

@Injectable()
class Orders {
  @OnPgEvent('figures', { consumer: 'figures', retry: { attempts: 2, delay: 1 } })
  async handle(payload: string): Promise<void> {
    await Promise.resolve();
    if (payload === 'bad canary') throw new Error('no');
  }
}

describe('the figures of an event log', () => {
  it('are published on diagnostics channels, with exactly the documented properties and no payload', async () => {
    const seen = watch(
      'nest-pg-notify.published',
      'nest-pg-notify.delivered',
      'nest-pg-notify.failed',
      'nest-pg-notify.dead',
    );
    const { events } = await suite.start({ providers: [Orders] });
    await events.publish('figures', 'bad canary', { executor: false });
    await events.publishMany('figures', [{ payload: 'canary' }, { payload: 'canary' }], { executor: false });
    await seen.log.until(
      () =>
        seen.of('nest-pg-notify.dead').length === 1 &&
        (seen.of('nest-pg-notify.delivered') as { count: number }[]).reduce((sum, { count }) => sum + count, 0) === 2,
    );
    const on = { registration: 'default', channel: 'figures' };
    const duration = expect.any(Number);
    const published = { ...on, kind: 'event', duration };
    expect(seen.of('nest-pg-notify.published')).toEqual([
      { ...published, size: '"bad canary"'.length },
      { ...published, size: '"canary"'.length },
      { ...published, size: '"canary"'.length },
    ]);
    const run = { ...on, handler: 'Orders.handle', kind: 'event', count: expect.any(Number), duration };
    for (const event of seen.of('nest-pg-notify.delivered')) expect(event).toEqual(run);
    expect(seen.of('nest-pg-notify.failed')).toEqual([
      { ...run, count: 1 },
      { ...run, count: 1 },
    ]);
    for (const event of seen.of('nest-pg-notify.failed')) {
      expect((event as { duration: number }).duration).toBeGreaterThan(0);
    }
    const dead = { ...on, handler: 'Orders.handle', consumer: 'figures', position: '1', attempts: 2 };
    expect(seen.of('nest-pg-notify.dead')).toEqual([dead]);
    expect(inspect(seen.log.items, { depth: 10 })).not.toContain('canary');
  });

  it('do not count an event as published if it could not be written', async () => {
    const seen = watch('nest-pg-notify.published');
    const { events } = await suite.start({ events: { consume: false } });
    const executor = (): Promise<never> => Promise.reject(new Error('down'));
    await expect(events.publish('figures', 1, { executor })).rejects.toThrow('not published');
    await events.publish('figures', 2, { executor: false });
    expect(seen.of('nest-pg-notify.published')).toHaveLength(1);
  });
});
