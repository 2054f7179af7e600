import { describe, expect, it, jest } from '@jest/globals';
import { Inject, Injectable, Module, Scope } from '@nestjs/common';
import type { DynamicModule, Type } from '@nestjs/common';
import { REQUEST } from '@nestjs/core';
import { Test } from '@nestjs/testing';
import { OnPgNotify, PgNotifyModule } from 'nest-pg-notify';
import type { PgNotifyModuleOptions } from 'nest-pg-notify';
import { PgEventsModule } from 'nest-pg-notify/events';
import { PgNotifyTestingModule } from 'nest-pg-notify/testing';
import { appSuite } from '../support/app/app-suite.js';
import { CapturingLogger } from '../support/capturing-logger.js';
import { deferred } from '../support/deferred.js';
import { failureOf } from '../support/failures.js';

/** What JavaScript or a cast may hold: the compiler sees none of it. */
const unchecked = (value: unknown): never => value as never;

const suite = appSuite({ bus: true });
const SWITCHED_OFF: PgNotifyModuleOptions = { connection: 'postgres://127.0.0.1:1/nowhere', enabled: false };

@Injectable()
class Handlers {
  readonly handled: unknown[] = [];

  @OnPgNotify('orders')
  handle(payload: unknown): void {
    this.handled.push(payload);
  }
}

async function refusal(...imports: (DynamicModule | Type)[]): Promise<string> {
  const { app } = await suite.createOf({
    imports: [PgNotifyTestingModule.forRoot(), ...imports],
    providers: [Handlers],
  });
  const error = await failureOf(app.init());
  expect(error).toMatchObject({ kind: 'configuration', permanent: true });
  return error.message;
}

describe('forRoot()', () => {
  it('refuses a promise and a string with what to write', async () => {
    const options = Promise.resolve(SWITCHED_OFF);
    expect(() => PgNotifyModule.forRoot(unchecked(options))).toThrow(
      'PgNotifyModule.forRoot() takes its options at once, not as a promise. Write PgNotifyModule.forRootAsync({ useFactory: async () => … }).',
    );
    expect(() => PgEventsModule.forRoot(unchecked(options))).toThrow(
      'PgEventsModule.forRoot() takes its options at once, not as a promise. Write PgEventsModule.forRootAsync({ useFactory: async () => … }).',
    );
    expect(() => PgNotifyModule.forRoot(unchecked('postgres://shop:secret@localhost/shop'))).toThrow(
      'PgNotifyModule.forRoot() takes its options as an object, not this text.',
    );
    expect(() => PgEventsModule.forRoot(unchecked(['events']))).toThrow(
      "PgEventsModule.forRoot() takes its options as an object, not ['events'].",
    );
  });
});

describe('forRootAsync()', () => {
  const cases: [options: object, problem: string][] = [
    [{}, 'takes one of useFactory, useClass and useExisting, and got none.'],
    [{ inject: ['CONFIG'] }, 'takes one of useFactory, useClass and useExisting, and got none.'],
    [
      { useFactory: () => SWITCHED_OFF, useClass: Handlers },
      'takes one of useFactory, useClass and useExisting, not useFactory and useClass.',
    ],
  ];

  it.each(cases)('refuses %j, which does not say where the options come from', (options, problem) => {
    const refused = (message: string): object => expect.objectContaining({ kind: 'configuration', message });
    expect(() => PgNotifyModule.forRootAsync(options)).toThrow(refused(`PgNotifyModule.forRootAsync() ${problem}`));
    expect(() => PgEventsModule.forRootAsync(options)).toThrow(refused(`PgEventsModule.forRootAsync() ${problem}`));
  });

  it('refuses a source of another type', () => {
    expect(() => PgNotifyModule.forRootAsync(unchecked({ useFactory: SWITCHED_OFF }))).toThrow(
      'The option useFactory of PgNotifyModule.forRootAsync() must be a function, not an object.',
    );
    expect(() => PgEventsModule.forRootAsync(unchecked({ useClass: new Handlers() }))).toThrow(
      'The option useClass of PgEventsModule.forRootAsync() must be a class, not an object.',
    );
  });

  @Injectable({ scope: Scope.REQUEST })
  class Tenant {
    constructor(@Inject(REQUEST) readonly request: unknown) {}
  }

  @Module({ providers: [Tenant], exports: [Tenant] })
  class TenantModule {}

  const message = (module: string): string =>
    `The options of ${module} for the registration 'default' come from a request-scoped provider, so Nest would make the module anew for each request, ` +
    `and its handlers would never be called. Inject only providers of the default scope into its factory, not REQUEST or what depends on it.`;

  it('refuses options that depend on a request, with which nothing would ever listen', async () => {
    const source = { imports: [TenantModule], inject: [Tenant] };
    const registration = PgNotifyModule.forRootAsync({ ...source, useFactory: () => SWITCHED_OFF });
    const compiled = await Test.createTestingModule({ imports: [registration], providers: [Handlers] }).compile();
    const app = suite.use(compiled.createNestApplication());
    expect((await failureOf(app.init())).message).toBe(message('PgNotifyModule'));

    expect(await refusal(PgEventsModule.forRootAsync({ ...source, useFactory: () => ({}) }))).toBe(
      message('PgEventsModule'),
    );
  });
});

describe('a factory of options that does not return', () => {
  const awaited = deferred<never>();

  @Injectable()
  class Slow {
    createPgNotifyOptions(): Promise<PgNotifyModuleOptions> {
      return awaited.promise;
    }
  }

  const slow = { useFactory: () => awaited.promise };
  const cases: [what: string, module: string, context: string, imports: () => DynamicModule][] = [
    ['PgNotifyModule', 'PgNotifyModule', 'PgNotifyModule', () => PgNotifyModule.forRootAsync(slow)],
    [
      'one of several registrations',
      'PgNotifyModule',
      'PgNotifyModule:analytics',
      () => PgNotifyModule.forRootAsync({ ...slow, name: 'analytics' }),
    ],
    ['a class', 'PgNotifyModule', 'PgNotifyModule', () => PgNotifyModule.forRootAsync({ useClass: Slow })],
    ['PgEventsModule', 'PgEventsModule', 'PgEventsModule', () => PgEventsModule.forRootAsync(slow)],
  ];

  it.each(cases)(
    'is named once in the log, which would say nothing: that of %s',
    async (_what, module, context, imports) => {
      jest.useFakeTimers();
      suite.cleanup(() => void jest.useRealTimers());
      const logger = new CapturingLogger();
      const modules = module === 'PgEventsModule' ? [PgNotifyTestingModule.forRoot(), imports()] : [imports()];
      void Test.createTestingModule({ imports: modules }).setLogger(logger).compile();
      await jest.advanceTimersByTimeAsync(9_999);
      expect(logger.texts('warn')).toEqual([]);
      await jest.advanceTimersByTimeAsync(60_000);
      expect(logger.texts('warn')).toEqual([
        `The factory of ${module}.forRootAsync() has not returned its options for 10 s, and the application cannot start without them. ` +
          `Does it wait for a secret, a service or a connection that does not answer? ${context}`,
      ]);
      expect(jest.getTimerCount()).toBe(0);
    },
  );

  it('leaves no timer behind when it has returned or failed', async () => {
    jest.useFakeTimers();
    suite.cleanup(() => void jest.useRealTimers());
    const compile = (useFactory: () => Promise<PgNotifyModuleOptions>): Promise<unknown> =>
      Test.createTestingModule({ imports: [PgNotifyModule.forRootAsync({ useFactory })] }).compile();
    await compile(() => Promise.resolve(SWITCHED_OFF));
    await expect(compile(() => Promise.reject(new Error('the vault is down')))).rejects.toThrow('the vault is down');
    expect(jest.getTimerCount()).toBe(0);
  });
});

describe('a module that is imported by its class alone', () => {
  it('is refused with what to import, if nothing else imports it with its options', async () => {
    await expect(suite.createOf({ imports: [PgNotifyModule], providers: [Handlers] })).rejects.toMatchObject({
      kind: 'configuration',
      message:
        'PgNotifyModule was imported by its class alone, so it does nothing. Import PgNotifyModule.forRoot({ connection: … }) in the root module.',
    });
    await expect(
      suite.createOf({ imports: [PgNotifyTestingModule.forRoot(), PgEventsModule], providers: [Handlers] }),
    ).rejects.toMatchObject({
      kind: 'configuration',
      message:
        'PgEventsModule was imported by its class alone, so it does nothing. Import PgEventsModule.forRoot() in the root module.',
    });
  });

  it('is accepted in the modules of an application that imports it with its options elsewhere', async () => {
    @Module({ imports: [PgNotifyModule], providers: [Handlers], exports: [Handlers] })
    class OrderModule {}

    const { app } = await suite.start({ imports: [OrderModule] });
    suite.bus.emit('orders', 7);
    await suite.bus.settled();
    expect(app.get(Handlers, { strict: false }).handled).toEqual([7]);
  });
});
