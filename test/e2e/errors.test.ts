import { inspect } from 'node:util';
import { Injectable } from '@nestjs/common';
import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { definePgChannel, OnPgGap, OnPgNotify, OnPgWakeUp, PgNotifyError } from 'nest-pg-notify';
import { config, lastValueFrom, toArray } from 'rxjs';
import { appSuite } from '../support/app/app-suite.js';
import { untilStatus } from '../support/app/status.js';
import type { TestApp } from '../support/app/test-app.js';
import { rejection } from '../support/failures.js';
import { Recorder } from '../support/recorder.js';

const Strict = definePgChannel('strict', { codec: 'json' });

/** What a handler of the channel `throws` throws, by the payload. */
const THROWN: Readonly<Record<string, unknown>> = {
  error: new TypeError('an error'),
  text: 'a text',
  nothing: undefined,
  proxy: new Proxy({}, { get: refuse, getPrototypeOf: refuse, has: refuse }),
};

@Injectable()
class Handlers {
  isBroken = false;

  @OnPgNotify('throws')
  throws(kind: string): never {
    throw THROWN[kind];
  }

  @OnPgNotify('rejects')
  rejects(kind: string): Promise<never> {
    return Promise.resolve().then(() => this.throws(kind));
  }

  @OnPgNotify('hangs', { timeout: 1 })
  hangs(): Promise<void> {
    return new Promise(() => undefined);
  }

  @OnPgNotify(Strict)
  strict(): void {}

  @OnPgGap('gaps')
  gap(): void {
    if (this.isBroken) {
      this.isBroken = false;
      throw new Error('a gap');
    }
  }

  @OnPgWakeUp('wakes', { errorDelay: 1 })
  wake(): void {
    this.gap();
  }
}

describe('errors$', () => {
  const suite = appSuite();
  let subject: TestApp;
  const errors = new Recorder<PgNotifyError>();

  beforeAll(async () => {
    subject = await suite.start({ providers: [Handlers] });
    subject.service.errors$.subscribe(errors.push);
  });

  afterEach(() => {
    errors.items.length = 0;
    subject.logger.lines.length = 0;
  });

  const problems = (): string[] => [...subject.logger.texts('error'), ...subject.logger.texts('warn')];

  it.each([
    ['throws', 'error', 'an error'],
    ['throws', 'text', 'a text'],
    ['throws', 'nothing', 'something that is no Error was thrown'],
    ['throws', 'proxy', 'something that is no Error was thrown'],
    ['rejects', 'error', 'an error'],
    ['rejects', 'text', 'a text'],
    ['rejects', 'nothing', 'something that is no Error was thrown'],
    ['rejects', 'proxy', 'something that is no Error was thrown'],
  ] as const)('reports a handler that %s (%s), and logs it once', async (channel, kind, message) => {
    await subject.service.notify(channel, kind);
    const [error] = (await errors.until(1)) as [PgNotifyError];
    const handler = `Handlers.${channel}`;
    expect(error).toMatchObject({
      kind: 'handler',
      channel,
      handler,
      message: `Handler ${handler} failed for the channel "${channel}": ${message}`,
    });
    expect(error.cause).toBe(THROWN[kind]);
    expect(problems()).toHaveLength(1);
    expect(problems()[0]).toContain(error.message);
    // The stack says where it was thrown, not where it was caught.
    if (kind === 'error') expect(problems()[0]).toContain('TypeError: an error\n');
    expect(errors.items).toHaveLength(1);
  });

  it('reports a handler that takes too long', async () => {
    await subject.service.notify('hangs');
    await errors.until(1);
    expect(errors.items).toEqual([
      expect.objectContaining({
        kind: 'handler',
        handler: 'Handlers.hangs',
        message: 'Handler Handlers.hangs failed for the channel "hangs": It took longer than its timeout of 1 ms.',
      }),
    ]);
    expect(problems()).toHaveLength(1);
  });

  it('reports a woken method that fails', async () => {
    subject.app.get(Handlers).isBroken = true;
    await subject.service.notify('wakes');
    await errors.until(1);
    expect(errors.items).toEqual([expect.objectContaining({ kind: 'handler', handler: 'Handlers.wake' })]);
    expect(problems()).toHaveLength(1);
  });

  it('reports a payload that cannot be decoded, without quoting it', async () => {
    await suite.database.query(`SELECT pg_notify('strict', 'canary')`);
    const [error] = (await errors.until(1)) as [PgNotifyError];
    expect(error).toMatchObject({ kind: 'payload', channel: 'strict', size: 6 });
    expect(problems()).toEqual([expect.stringContaining(error.message)]);
    expect(inspect(error) + problems().join()).not.toContain('canary');
  });

  it('reports a lost connection, and a gap method that fails', async () => {
    subject.app.get(Handlers).isBroken = true;
    const { processId } = subject.service.status;
    await suite.database.query('SELECT pg_terminate_backend($1)', [processId]);
    await errors.until((items) => items.some(({ kind }) => kind === 'handler'));
    await untilStatus(subject, ({ state }) => state === 'listening');
    expect(errors.items.map(({ kind, handler }) => [kind, handler])).toEqual([
      ['connection', undefined],
      // The gap method and the woken method share the flag: whichever comes first fails.
      ['handler', expect.stringMatching(/^Handlers\.(gap|wake)$/)],
    ]);
    expect(errors.items[0]).toMatchObject({ sqlState: '57P01', endpoint: expect.stringContaining(':') });
    const told = errors.items.map(({ message }) => problems().filter((line) => line.includes(message)).length);
    expect(told).toEqual([1, 1]);
    expect(problems()).toHaveLength(2);
  });

  it('does not report a mistake of the caller, who gets the rejection', async () => {
    await expect(subject.service.notify('large', 'x'.repeat(8_000))).rejects.toMatchObject({ kind: 'payload' });
    await expect(subject.service.notify('')).rejects.toMatchObject({ kind: 'channel' });
    expect(errors.items).toEqual([]);
    expect(problems()).toEqual([]);
  });

  it('goes on for the others when a subscriber throws', async () => {
    const thrown = new Error('a subscriber');
    const unhandled = new Recorder<unknown>();
    // RxJS throws it on a timer otherwise, which ends the process: it is the subscriber's own.
    config.onUnhandledError = unhandled.push;
    const subscription = subject.service.errors$.subscribe(() => {
      throw thrown;
    });
    const after = new Recorder<PgNotifyError>();
    subscription.add(subject.service.errors$.subscribe(after.push));
    await subject.service.notify('throws', 'text');
    await subject.service.notify('throws', 'text');
    await Promise.all([errors.until(2), after.until(2), unhandled.until(2)]);
    expect(unhandled.items).toEqual([thrown, thrown]);
    subscription.unsubscribe();
    config.onUnhandledError = null;
  });
});

describe('errors$ of a registration that cannot send', () => {
  const suite = appSuite();

  it('emits what notify() rejects with, unlogged and without a secret, and completes at close', async () => {
    const { app, service, logger } = await suite.start({
      deliveryCheck: false,
      // Nobody listens on port 1.
      publisher: { connection: 'postgres://canary-user:canary-password@127.0.0.1:1/canary-database' },
    });
    const all = lastValueFrom(service.errors$.pipe(toArray()));
    const rejected = await rejection(service.notify('orders', { note: 'canary-payload' }));
    expect(rejected).toMatchObject({
      kind: 'publish',
      channel: 'orders',
      outcome: 'not-sent',
      endpoint: '127.0.0.1:1',
    });
    await app.close();
    await expect(service.notify('orders')).rejects.toMatchObject({ kind: 'closed' });
    const errors = await all;
    expect(errors).toHaveLength(1);
    expect(errors[0]).toBe(rejected);
    expect([...logger.texts('error'), ...logger.texts('warn')]).toEqual([]);
    expect(inspect(rejected, { depth: 10, showHidden: true })).not.toContain('canary');
    expect(logger.texts().join()).not.toContain('canary');
  });
});

describe('errors$ of a registration that cannot connect', () => {
  const suite = appSuite();

  it('emits each failed attempt, logs each cause once, and holds no secret', async () => {
    const { app, service, logger } = await suite.create({
      connection: 'postgres://canary-user:canary-password@127.0.0.1:1/canary-database',
      startup: { mode: 'background' },
      reconnect: { minDelay: 1, maxDelay: 1 },
    });
    const errors = new Recorder<PgNotifyError>();
    service.errors$.subscribe(errors.push);
    await app.init();
    await errors.until(3);
    await app.close();
    for (const error of errors.items) {
      expect(error).toMatchObject({ kind: 'connection', endpoint: '127.0.0.1:1' });
      expect(inspect(error, { depth: 10, showHidden: true })).not.toContain('canary');
    }
    expect(logger.texts('warn')).toHaveLength(1);
    expect(logger.texts('error')).toEqual([]);
    expect(logger.texts().join()).not.toContain('canary');
  });
});

function refuse(): never {
  throw new Error('not to be looked at');
}
