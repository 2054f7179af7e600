import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { inspect } from 'node:util';
import { Injectable } from '@nestjs/common';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { definePgChannel, OnPgGap, OnPgNotify, OnPgWakeUp } from 'nest-pg-notify';
import type { PgHandlerStats, PgNotifyDiagnosticsEvents } from 'nest-pg-notify';
import { PgNotifyDiagnostics } from '../../lib/pg-notify.diagnostics.js';
import { appSuite } from '../support/app/app-suite.js';
import type { TestApp } from '../support/app/test-app.js';
import { eventually, Recorder } from '../support/recorder.js';

type EventName = keyof PgNotifyDiagnosticsEvents;

const EVENTS: readonly EventName[] = [
  'nest-pg-notify.received',
  'nest-pg-notify.delivered',
  'nest-pg-notify.failed',
  'nest-pg-notify.dropped',
  'nest-pg-notify.gap',
  'nest-pg-notify.state',
  'nest-pg-notify.published',
  'nest-pg-notify.error',
];

/** Holds whoever asks until the test lets them go. */
class Brake {
  readonly waiting = new Recorder<() => void>();

  hold(): Promise<void> {
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  release(): void {
    for (const resolve of this.waiting.items.splice(0)) resolve();
  }
}

const brake = new Brake();
interface Work {
  readonly id: number;
  readonly note: string;
}
const Work = definePgChannel<Work>('work');
const workOf = (id: number): Work => ({ id, note: 'canary' });

@Injectable()
class Handlers {
  @OnPgNotify(Work)
  quick(): void {}

  @OnPgNotify(Work)
  async odd({ id }: Work): Promise<void> {
    await Promise.resolve();
    if (id % 2 === 1) throw new Error('odd');
  }

  @OnPgNotify(Work, { bufferSize: 2 })
  async slow(): Promise<void> {
    await brake.hold();
  }

  @OnPgNotify(Work, { latest: true })
  async latest(): Promise<void> {
    await brake.hold();
  }

  @OnPgNotify(Work, { batch: { maxSize: 2, maxWait: 600_000 } })
  pairs(): void {}
}

@Injectable()
class Cache {
  @OnPgGap(Work)
  reload(): void {}
}

@Injectable()
class Jobs {
  @OnPgWakeUp('jobs')
  drain(): void {}
}

/** Those whose queues fill. */
const UNHURRIED = ['Handlers.slow', 'Handlers.latest', 'Handlers.pairs'];

describe('the figures', () => {
  const suite = appSuite();
  let subject: TestApp;
  const events = new Recorder<readonly [EventName, Record<string, unknown>]>();
  const listeners = EVENTS.map(
    (name) => [name, (event: unknown) => events.push([name, event as Record<string, unknown>])] as const,
  );
  const eventsOf = (name: EventName, only: Record<string, unknown> = {}): Record<string, unknown>[] =>
    events.items
      .filter(([other]) => other === name)
      .map(([, event]) => event)
      .filter((event) => Object.entries(only).every(([key, value]) => event[key] === value));

  beforeAll(async () => {
    subject = await suite.create({ handlers: { bufferSize: 2 }, providers: [Handlers, Cache, Jobs] });
    for (const [name, listener] of listeners) subscribe(name, listener);
    suite.cleanup(() => listeners.forEach(([name, listener]) => unsubscribe(name, listener)));
    await subject.app.init();
  });

  const row = (handler: string, counts: Partial<PgHandlerStats> = {}): unknown => ({
    handler,
    channel: 'work',
    kind: 'notification',
    waiting: 0,
    running: 0,
    delivered: 0,
    failed: 0,
    rejected: 0,
    dropped: 0,
    conflated: 0,
    ...counts,
  });
  const others = [
    row('Cache.reload', { kind: 'gap', delivered: 1 }),
    row('Jobs.drain', { channel: 'jobs', kind: 'wake-up', delivered: expect.any(Number) as unknown as number }),
  ];
  it('are zero at the start, except for the gaps', () => {
    expect(subject.service.stats()).toMatchObject({
      received: 0,
      delivered: 0,
      failed: 0,
      rejected: 0,
      dropped: 0,
      gaps: 2, // One start for each channel.
      reconnects: 0,
    });
    expect(eventsOf('nest-pg-notify.state')).toEqual([
      { registration: 'default', state: 'connecting' },
      { registration: 'default', state: 'listening' },
    ]);
    expect(eventsOf('nest-pg-notify.gap')).toEqual([
      { registration: 'default', channel: 'work', reason: 'start' },
      { registration: 'default', channel: 'jobs', reason: 'start' },
    ]);
  });

  it('count what happened to each notification, while handlers run and afterwards', async () => {
    const { service } = subject;
    await service.notify(Work, workOf(1));
    await brake.waiting.until(2); // The slow one and the latest one run.
    for (const id of [2, 3, 4, 5, 6]) {
      await service.notify(Work, workOf(id));
      // Several that come together are too many for the queue of one that is to keep up.
      await eventually(
        () => service.stats().handlers.filter(({ waiting, handler }) => waiting === 0 || UNHURRIED.includes(handler)),
        (settled) => settled.length === service.stats().handlers.length && service.stats().received === id,
      );
    }
    await eventually(
      () => service.stats().handlers.find(({ handler }) => handler === 'Handlers.odd'),
      (odd) => odd!.delivered + odd!.failed === 6,
    );
    expect(service.stats()).toEqual({
      received: 6,
      discarded: 0,
      delivered: 6 + 3 + 6,
      failed: 3,
      rejected: 0,
      dropped: 3,
      gaps: 2,
      reconnects: 0,
      handlers: expect.arrayContaining([
        row('Handlers.quick', { delivered: 6 }),
        row('Handlers.odd', { delivered: 3, failed: 3 }),
        row('Handlers.slow', { waiting: 2, running: 1, dropped: 3 }),
        row('Handlers.latest', { waiting: 1, running: 1, conflated: 4 }),
        row('Handlers.pairs', { delivered: 6 }),
        ...others,
      ]),
    });
    for (let left = 3 + 2; left > 0;) {
      await brake.waiting.until(1);
      left -= brake.waiting.items.length;
      brake.release();
    }
    await eventually(
      () => service.stats(),
      ({ delivered }) => delivered === 6 + 3 + 6 + 3 + 2,
    );
    expect(service.stats().handlers).toEqual(
      expect.arrayContaining([
        row('Handlers.slow', { delivered: 3, dropped: 3 }),
        row('Handlers.latest', { delivered: 2, conflated: 4 }),
      ]),
    );
  });

  it('are published on a diagnostics channel for each kind, with exactly the documented properties', () => {
    const on = { registration: 'default', channel: 'work' };
    const duration = expect.any(Number);
    const size = JSON.stringify(workOf(1)).length;
    expect(eventsOf('nest-pg-notify.received')).toEqual(times(6, { ...on, size }));
    expect(eventsOf('nest-pg-notify.published')).toEqual(times(6, { ...on, kind: 'notification', size, duration }));
    const run = { ...on, kind: 'notification', count: 1, duration };
    const delivered = (handler: string): unknown => eventsOf('nest-pg-notify.delivered', { handler });
    expect(delivered('Handlers.quick')).toEqual(times(6, { ...run, handler: 'Handlers.quick' }));
    expect(delivered('Handlers.odd')).toEqual(times(3, { ...run, handler: 'Handlers.odd' }));
    expect(delivered('Handlers.slow')).toEqual(times(3, { ...run, handler: 'Handlers.slow' }));
    expect(delivered('Handlers.pairs')).toEqual(times(3, { ...run, handler: 'Handlers.pairs', count: 2 }));
    expect(delivered('Cache.reload')).toEqual([{ ...run, handler: 'Cache.reload', kind: 'gap' }]);
    expect(eventsOf('nest-pg-notify.failed')).toEqual(times(3, { ...run, handler: 'Handlers.odd' }));
    expect(eventsOf('nest-pg-notify.dropped')).toEqual(times(3, { ...on, handler: 'Handlers.slow', count: 1 }));
    expect(eventsOf('nest-pg-notify.gap', { reason: 'overflow' })).toEqual([{ ...on, reason: 'overflow' }]);
    const errors = eventsOf('nest-pg-notify.error');
    expect(errors).toEqual(
      times(3, {
        registration: 'default',
        error: expect.objectContaining({ kind: 'handler', handler: 'Handlers.odd', channel: 'work' }),
      }),
    );
  });

  it('are published without a payload', () => {
    expect(inspect(events.items, { depth: 10, maxArrayLength: null })).not.toContain('canary');
  });

  it('count a reconnect and its gaps', async () => {
    const before = subject.service.stats();
    events.items.length = 0;
    await suite.database.query('SELECT pg_terminate_backend($1)', [subject.service.status.processId]);
    await events.until(() => eventsOf('nest-pg-notify.delivered', { handler: 'Cache.reload' }).length === 1);
    expect(eventsOf('nest-pg-notify.gap')).toEqual([
      { registration: 'default', channel: 'work', reason: 'reconnect' },
      { registration: 'default', channel: 'jobs', reason: 'reconnect' },
    ]);
    await events.until(() => eventsOf('nest-pg-notify.state').length === 2);
    expect(eventsOf('nest-pg-notify.state')).toEqual([
      { registration: 'default', state: 'reconnecting' },
      { registration: 'default', state: 'listening' },
    ]);
    const after = subject.service.stats();
    expect([after.gaps - before.gaps, after.reconnects - before.reconnects]).toEqual([2, 1]);
    expect([after.delivered, after.failed, after.dropped]).toEqual([before.delivered, before.failed, before.dropped]);
  });
});

describe('an event', () => {
  it('is not read when nobody is subscribed', () => {
    const looks: string[] = [];
    const event = new Proxy(
      { state: 'closed' as const },
      {
        get: (target, key) => {
          looks.push(String(key));
          return Reflect.get(target, key) as unknown;
        },
        ownKeys: (target) => {
          looks.push('its keys');
          return Reflect.ownKeys(target);
        },
      },
    );
    const diagnostics = new PgNotifyDiagnostics('test');
    diagnostics.publish('nest-pg-notify.state', event);
    expect([looks, diagnostics.isWatched('nest-pg-notify.state')]).toEqual([[], false]);
    const seen: unknown[] = [];
    const listener = (message: unknown): void => void seen.push(message);
    subscribe('nest-pg-notify.state', listener);
    diagnostics.publish('nest-pg-notify.state', event);
    unsubscribe('nest-pg-notify.state', listener);
    expect(seen).toEqual([{ registration: 'test', state: 'closed' }]);
    expect(looks).toEqual(['its keys', 'state']);
  });
});

function times(count: number, value: unknown): unknown[] {
  return Array.from({ length: count }, () => value);
}
