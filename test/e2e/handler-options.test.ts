import { describe, expect, it } from '@jest/globals';
import type { Type } from '@nestjs/common';
import { OnPgGap, OnPgNotify, OnPgWakeUp, PgNotifyError } from 'nest-pg-notify';
import { appSuite } from '../support/app/app-suite.js';
import { untilListeners } from '../support/backends.js';

const suite = appSuite();

/** A class whose only method has this decorator: what JavaScript, or a cast, may give to it. */
function decorated(
  decorator: (target: object, name: string, descriptor: TypedPropertyDescriptor<never>) => void,
): Type {
  class Handlers {
    handle(): void {}
  }
  const descriptor = Object.getOwnPropertyDescriptor(Handlers.prototype, 'handle')!;
  decorator(Handlers.prototype, 'handle', descriptor as TypedPropertyDescriptor<never>);
  return Handlers;
}

const notify = (options: unknown): Type => decorated(OnPgNotify('orders', options as never));
const gap = (options: unknown): Type => decorated(OnPgGap('orders', options as never));
const wakeUp = (options: unknown): Type => decorated(OnPgWakeUp('orders', options as never));

const ON_NOTIFY = `@OnPgNotify('orders') on Handlers.handle`;
const ON_GAP = `@OnPgGap('orders') on Handlers.handle`;
const ON_WAKE_UP = `@OnPgWakeUp('orders') on Handlers.handle`;
const MILLISECONDS = (where: string, option: string, least: number, value: string): string =>
  `The option ${option} of ${where} must be a number of milliseconds from ${least} to 2147483647, not ${value}.`;
const COUNT = (where: string, option: string, value: string): string =>
  `The option ${option} of ${where} must be an integer of at least 1, not ${value}.`;
const LATEST = (value: string): string =>
  `The option latest of ${ON_NOTIFY} must be true, or a function that returns the key of a payload, not ${value}.`;
const REASONS = (value: string): string =>
  `The option reasons of ${ON_GAP} must be a list of some of 'start', 'reconnect', 'relisten', 'undelivered', 'overflow', not ${value}.`;

const batch = { maxSize: 10 };
const key = (): unknown => 1;

const WRONG: [message: string, handlers: Type][] = [
  [
    `${ON_NOTIFY} takes one of concurrency, batch and latest, not concurrency and batch. Leave the others out.`,
    notify({ concurrency: 2, batch }),
  ],
  [
    `${ON_NOTIFY} takes one of concurrency, batch and latest, not concurrency and latest. Leave the others out.`,
    notify({ concurrency: 2, latest: key }),
  ],
  [
    `${ON_NOTIFY} takes one of concurrency, batch and latest, not batch and latest. Leave the others out.`,
    notify({ batch, latest: true }),
  ],
  [
    `${ON_NOTIFY} takes one of concurrency, batch and latest, not concurrency and batch and latest. Leave the others out.`,
    notify({ concurrency: 2, batch, latest: true }),
  ],
  [LATEST(`'id'`), notify({ latest: 'id' })],
  [LATEST('false'), notify({ latest: false })],
  [COUNT(ON_NOTIFY, 'concurrency', '0'), notify({ concurrency: 0 })],
  [COUNT(ON_NOTIFY, 'concurrency', '1.5'), notify({ concurrency: 1.5 })],
  [COUNT(ON_NOTIFY, 'concurrency', 'Infinity'), notify({ concurrency: Infinity })],
  [COUNT(ON_NOTIFY, 'concurrency', `'2'`), notify({ concurrency: '2' })],
  [COUNT(ON_NOTIFY, 'batch.maxSize', 'undefined'), notify({ batch: {} })],
  [`The option batch of ${ON_NOTIFY} must be an object, not null.`, notify({ batch: null })],
  [COUNT(ON_NOTIFY, 'batch.maxSize', '-1'), notify({ batch: { maxSize: -1 } })],
  [MILLISECONDS(ON_NOTIFY, 'batch.maxWait', 0, 'NaN'), notify({ batch: { maxSize: 1, maxWait: NaN } })],
  [MILLISECONDS(ON_NOTIFY, 'batch.maxWait', 0, '-1'), notify({ batch: { maxSize: 1, maxWait: -1 } })],
  [COUNT(ON_NOTIFY, 'bufferSize', '0'), notify({ bufferSize: 0 })],
  [COUNT(ON_NOTIFY, 'bufferSize', '5n'), notify({ bufferSize: 5n })],
  [
    `The option bufferSize of ${ON_NOTIFY} (9) cannot hold a batch of 10. Raise it, or lower batch.maxSize.`,
    notify({ batch, bufferSize: 9 }),
  ],
  [
    `The option bufferSize of ${ON_NOTIFY} (10000) cannot hold a batch of 10001. Raise it, or lower batch.maxSize.`,
    notify({ batch: { maxSize: 10_001 } }),
  ],
  [MILLISECONDS(ON_NOTIFY, 'timeout', 1, '0'), notify({ timeout: 0 })],
  [MILLISECONDS(ON_NOTIFY, 'timeout', 1, '2147483648'), notify({ timeout: 2 ** 31 })],
  [MILLISECONDS(ON_GAP, 'timeout', 1, `'1s'`), gap({ timeout: '1s' })],
  [REASONS("['begin']"), gap({ reasons: ['begin'] })],
  [REASONS('[]'), gap({ reasons: [] })],
  [REASONS("'start'"), gap({ reasons: 'start' })],
  [MILLISECONDS(ON_WAKE_UP, 'timeout', 1, '-5'), wakeUp({ timeout: -5 })],
  [MILLISECONDS(ON_WAKE_UP, 'pollInterval', 1, '0'), wakeUp({ pollInterval: 0 })],
  [MILLISECONDS(ON_WAKE_UP, 'fallbackPollInterval', 1, 'false'), wakeUp({ fallbackPollInterval: false })],
  [MILLISECONDS(ON_WAKE_UP, 'errorDelay', 0, '-1'), wakeUp({ errorDelay: -1 })],
];

const UNKNOWN: [decorator: string, handlers: Type][] = [
  ['@OnPgNotify', notify({ registration: 'analytics' })],
  ['@OnPgGap', gap({ registration: 'analytics' })],
  ['@OnPgWakeUp', wakeUp({ registration: 'analytics' })],
];

async function failureOf(handlers: Type): Promise<unknown> {
  const { app } = await suite.create({ providers: [handlers] });
  return app.init().then(
    () => 'it started',
    (error: unknown) => error,
  );
}

describe('options of decorators', () => {
  it.each(WRONG)('fail the bootstrap when they make no sense: %s', async (message, handlers) => {
    const error = await failureOf(handlers);
    expect(error).toBeInstanceOf(PgNotifyError);
    expect(error).toMatchObject({ message, kind: 'configuration', permanent: true });
    await untilListeners(suite.database, 0);
  });

  it.each(UNKNOWN)('fail the bootstrap when they name an unknown registration: %s', async (decorator, handlers) => {
    const error = await failureOf(handlers);
    expect(error).toMatchObject({
      kind: 'configuration',
      message:
        `${decorator}('orders') on Handlers.handle names the registration 'analytics', which does not exist. ` +
        `There is 'default'. Import PgNotifyModule.forRoot({ name: 'analytics', … }), or correct the name.`,
    });
    await untilListeners(suite.database, 0);
  });

  it('are checked even if no connection is opened, but not if no handlers are wanted', async () => {
    const providers = [notify({ concurrency: 0 })];
    const disabled = await suite.create({ providers, enabled: false });
    await expect(disabled.app.init()).rejects.toThrow('must be an integer of at least 1, not 0');
    const { service } = await suite.start({ providers, handlers: false });
    expect(service.stats().handlers).toEqual([]);
  });

  it('are accepted at their limits', async () => {
    const most = 2 ** 31 - 1;
    const { service } = await suite.start({
      providers: [
        decorated(OnPgNotify('a', { concurrency: 1, batch: { maxSize: 1, maxWait: most }, bufferSize: 1 })),
        decorated(OnPgNotify('b', { concurrency: Number.MAX_SAFE_INTEGER, timeout: most })),
        decorated(OnPgGap('c', { reasons: ['start', 'overflow'], timeout: 1 })),
        decorated(OnPgWakeUp('d', { pollInterval: most, fallbackPollInterval: most, errorDelay: 0 })),
      ],
    });
    expect(
      service
        .stats()
        .handlers.map(({ channel }) => channel)
        .toSorted(),
    ).toEqual(['a', 'b', 'c', 'd']);
  });
});
