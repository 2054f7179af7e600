import { execFile } from 'node:child_process';
import { AsyncLocalStorage } from 'node:async_hooks';
import { promisify } from 'node:util';
import { beforeEach, describe, expect, it } from '@jest/globals';
import { Injectable, UseFilters, UseGuards, UseInterceptors, UsePipes } from '@nestjs/common';
import type { CallHandler } from '@nestjs/common';
import { definePgChannel, OnPgGap, OnPgNotify, OnPgWakeUp } from 'nest-pg-notify';
import { createTestDatabase } from '../support/postgres.js';
import { CONTRACT_SUITES } from '../support/app/contract-suite.js';
import type { TestApp } from '../support/app/test-app.js';
import { runTypeScript } from '../support/node-typescript.js';
import { Recorder } from '../support/recorder.js';

const context = new AsyncLocalStorage<string>();

/** Who runs, and in which context; each then leaves another one behind. */
let seen: Recorder<string>;

function look(who: string): void {
  seen.push(`${who}: ${context.getStore()}`);
  context.enterWith(`left by ${who}`);
}

beforeEach(() => {
  seen = new Recorder();
});

/** What has been seen of these, each once, as soon as each was seen so often. */
async function contextsOf(names: readonly string[], times: number): Promise<string[]> {
  const of = (items: readonly string[], name: string) => items.filter((item) => item.startsWith(`${name}: `));
  await seen.until((items) => names.every((name) => of(items, name).length >= times));
  return [...new Set(names.flatMap((name) => of(seen.items, name)))];
}

const inBoot = (names: readonly string[]): string[] => names.map((name) => `${name}: boot`);

describe.each(CONTRACT_SUITES)('the async context on %s', (_name, createSuite) => {
  const suite = createSuite();

  async function boot(provider?: new () => object): Promise<TestApp> {
    return context.run('boot', async () => suite.start({ providers: provider ? [provider] : [] }));
  }

  const Checked = definePgChannel('checked', {
    schema: {
      '~standard': {
        version: 1,
        vendor: 'test',
        validate: (value) => {
          look('schema');
          return { value };
        },
      },
    },
  });

  it('is that of the registration in every run of a handler, whoever sends and whatever ran before', async () => {
    @Injectable()
    class Handlers {
      @OnPgNotify('orders')
      sync(): void {
        look('sync');
      }

      @OnPgNotify('orders')
      async asynchronous(): Promise<void> {
        look('async');
        await Promise.resolve();
        context.enterWith('left after an await');
      }

      @OnPgNotify('orders', { timeout: 60_000 })
      timed(): void {
        look('timed');
      }

      @OnPgNotify('orders', { batch: { maxSize: 2 } })
      batch(): void {
        look('batch');
      }

      @OnPgNotify('orders', {
        latest: () => {
          look('key');
          return Symbol('a key of its own'); // None replaces another.
        },
      })
      latest(): void {
        look('latest');
      }

      @OnPgNotify(Checked)
      checked(): void {
        look('checked');
      }

      @OnPgNotify('orders')
      @UseGuards({
        canActivate: () => {
          look('guard');
          return true;
        },
      })
      guarded(): void {}

      @OnPgNotify('orders')
      @UsePipes({ transform: () => look('pipe') })
      piped(): void {}

      @OnPgNotify('orders')
      @UseInterceptors({
        intercept: (_context: unknown, next: CallHandler) => {
          look('interceptor');
          return next.handle();
        },
      })
      intercepted(): void {}

      @OnPgNotify('orders')
      @UseFilters({ catch: () => context.enterWith('left by the filter') })
      filtered(): void {
        look('filtered');
        throw new Error('caught');
      }
    }

    const { service } = await boot(Handlers);
    for (let round = 0; round < 3; round += 1) {
      await context.run('request', async () => {
        await service.notify('orders', round);
        await service.notify('checked', round);
      });
    }
    const names = [
      'sync',
      'async',
      'timed',
      'batch',
      'latest',
      'key',
      'checked',
      'guard',
      'pipe',
      'interceptor',
      'filtered',
    ];
    expect(await contextsOf(names, 2)).toEqual(inBoot(names));
  });

  it('is that of the registration in gap methods and woken methods, also after failures, polls and reconnects', async () => {
    let failures = 0;

    @Injectable()
    class Handlers {
      @OnPgGap('orders')
      reload(): void {
        look('gap');
        failures += 1;
        if (failures === 1) throw new Error('once');
      }

      @OnPgGap('orders', { timeout: 60_000 })
      async reloadSlowly(): Promise<void> {
        look('slow gap');
        await Promise.resolve();
      }

      @OnPgWakeUp('jobs', { errorDelay: 1, fallbackPollInterval: 1 })
      async work(): Promise<void> {
        look('wake-up');
        await Promise.resolve();
        if (failures === 1) throw new Error('once');
      }
    }

    const running = await boot(Handlers);
    await context.run('request', async () => {
      await running.service.notify('jobs');
      await suite.disconnect(running);
      await suite.reconnect(running);
      await running.service.notify('jobs');
    });
    const names = ['gap', 'slow gap', 'wake-up'];
    expect(await contextsOf(names, 2)).toEqual(inBoot(names));
  });

  it('is that of the registration in every load of a live query, not that of its first subscriber', async () => {
    const { service } = await boot();
    let loads = 0;
    const query$ = service.liveQuery('orders', async () => {
      look('load');
      await Promise.resolve();
      loads += 1;
      return loads;
    });
    const subscription = context.run('tenant 1', () => query$.subscribe(() => look('value')));
    await contextsOf(['load', 'value'], 1);
    for (let round = 2; round < 4; round += 1) {
      await context.run(`tenant ${round}`, async () => service.notify('orders', round));
      await contextsOf(['load', 'value'], round);
    }
    subscription.unsubscribe();
    expect(await contextsOf(['load', 'value'], 1)).toEqual(inBoot(['load', 'value']));
  });

  it('is that of the registration when streams emit', async () => {
    const running = await boot();
    const { service } = running;
    const names = ['listen', 'gaps', 'all gaps', 'status', 'errors', 'schema'];
    const subscriptions = context.run('tenant 1', () => [
      service.listen('orders').subscribe(() => look('listen')),
      service.gaps('orders').subscribe(() => look('gaps')),
      service.gaps().subscribe(() => look('all gaps')),
      service.status$.subscribe(() => look('status')),
      service.errors$.subscribe(() => look('errors')),
      service.listen(Checked).subscribe(),
    ]);
    await service.ready();
    await context.run('request', async () => {
      for (const round of [1, 2]) {
        await service.notify('orders', round);
        await service.notify('checked', round);
        await contextsOf(['listen', 'schema'], round);
        await suite.disconnect(running);
        await suite.reconnect(running);
      }
    });
    expect(await contextsOf(names, 2)).toEqual(inBoot(names));
    for (const subscription of subscriptions) subscription.unsubscribe();
  });

  it('is the own one of a handler in what it sends', async () => {
    const current = new Recorder<string | undefined>();
    const subject: { current?: TestApp } = {};

    @Injectable()
    class Handlers {
      @OnPgNotify('orders')
      async handle(): Promise<void> {
        context.enterWith('handler');
        await subject.current?.service.notify(
          definePgChannel('answers', {
            schema: {
              '~standard': {
                version: 1,
                vendor: 'test',
                validate: (value) => {
                  current.push(context.getStore());
                  return { value };
                },
              },
            },
          }),
          1,
        );
      }
    }

    subject.current = await boot(Handlers);
    await subject.current.service.notify('orders');
    expect(await current.until(1)).toEqual(['handler']);
  });
});

it('gives handlers and loads no store of nestjs-cls but their own', async () => {
  const database = await createTestDatabase();
  const command = runTypeScript('test/support/nestjs-cls-context.ts');
  const env = { ...process.env, NODE_OPTIONS: '', DATABASE_URL: database.url };
  const { stdout } = await promisify(execFile)(process.execPath, command, { env });
  await database.drop();
  expect(JSON.parse(stdout)).toEqual({
    handler: [null, null],
    'handler of its own store': ['set by the handler of 1', 'set by the handler of 2'],
    'transactional handler': [[1], [2]],
    load: [null, null, null],
  });
});
