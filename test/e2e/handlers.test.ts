import { Controller, Injectable, Logger } from '@nestjs/common';
import { afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { definePgChannel, OnPgNotify } from 'nest-pg-notify';
import type { PgNotification } from 'nest-pg-notify';
import { appSuite } from '../support/app/app-suite.js';
import type { TestApp } from '../support/app/test-app.js';
import { HeldCalls } from '../support/held-calls.js';
import { Recorder } from '../support/recorder.js';

interface Change {
  readonly id: number;
}

const Changes = definePgChannel<Change>('changes');
const Texts = definePgChannel('texts', { codec: 'text' });
const Strict = definePgChannel<Change>('strict', { codec: 'json' });

type Call = readonly [method: string, payload: unknown, notification: PgNotification];

const calls = { current: new Recorder<Call>() };
const record = (...call: Call): void => calls.current.push(call);

class Parent {
  @OnPgNotify('inherited')
  inherited(payload: unknown, notification: PgNotification): void {
    record('inherited', payload, notification);
  }

  @OnPgNotify('overridden')
  overridden(payload: unknown, notification: PgNotification): void {
    record('Parent.overridden', payload, notification);
  }
}

@Injectable()
class Handlers extends Parent {
  private readonly own = 'own state';

  @OnPgNotify(Changes)
  typed(change: Change, notification: PgNotification<Change>): void {
    record(`typed with ${this.own}`, change, notification);
  }

  @OnPgNotify('first')
  @OnPgNotify('second')
  stacked(payload: unknown, notification: PgNotification): void {
    record('stacked', payload, notification);
  }

  @OnPgNotify(Texts)
  text(payload: string, notification: PgNotification<string>): void {
    record('text', payload, notification);
  }

  @OnPgNotify(Strict)
  strict(payload: Change, notification: PgNotification<Change>): void {
    record('strict', payload, notification);
  }

  @OnPgNotify('throws')
  throws(payload: unknown): never {
    throw new Error(`cannot take ${String(payload)}`);
  }

  @OnPgNotify('throws')
  async rejects(payload: unknown): Promise<never> {
    await Promise.resolve();
    throw new TypeError(`will not take ${String(payload)}`);
  }

  @OnPgNotify('throws')
  async survives(payload: unknown, notification: PgNotification): Promise<void> {
    await Promise.resolve();
    record('survives', payload, notification);
  }

  override overridden(payload: unknown, notification: PgNotification): void {
    record('Handlers.overridden', payload, notification);
  }
}

@Controller()
class HandlerController {
  @OnPgNotify('to_controller')
  handle(payload: unknown, notification: PgNotification): void {
    record('controller', payload, notification);
  }
}

describe('@OnPgNotify', () => {
  const suite = appSuite();
  let subject: TestApp;

  beforeAll(async () => {
    subject = await suite.start({
      providers: [
        Handlers,
        { provide: 'an alias', useExisting: Handlers },
        { provide: 'made from another', useFactory: (handlers: Handlers) => handlers, inject: [Handlers] },
        { provide: 'no prototype', useValue: Object.create(null) as object },
        { provide: 'a value', useValue: 42 },
      ],
      controllers: [HandlerController],
    });
  });

  afterEach(() => {
    calls.current = new Recorder();
    subject.logger.lines.length = 0;
  });

  it('is live as soon as init() has resolved', async () => {
    await suite.database.query(`SELECT pg_notify('changes', '{"id":7}')`);
    const [[method, payload, notification]] = (await calls.current.until(1)) as [Call];
    expect([method, payload]).toEqual(['typed with own state', { id: 7 }]);
    expect(notification).toEqual({
      channel: 'changes',
      raw: '{"id":7}',
      payload: { id: 7 },
      processId: expect.any(Number),
      receivedAt: expect.any(Date),
    });
  });

  it('may be stacked on a method, and serves controllers', async () => {
    await suite.database.query(
      `SELECT pg_notify('first', '1'), pg_notify('second', '2'), pg_notify('to_controller', '3')`,
    );
    const received = await calls.current.until(3);
    expect(received.map(([method, payload]) => [method, payload])).toEqual([
      ['stacked', 1],
      ['stacked', 2],
      ['controller', 3],
    ]);
  });

  it('is inherited, unless a method is overridden without it', async () => {
    await suite.database.query(`SELECT pg_notify('overridden', ''), pg_notify('inherited', '')`);
    const received = await calls.current.until(1);
    expect(received.map(([method]) => method)).toEqual(['inherited']);
  });

  it('decodes JSON, text, numbers that JavaScript would change, and an empty payload', async () => {
    const raws = [
      '{"a":[1,null]}',
      'plain text',
      '9007199254740993',
      '1.0',
      '12',
      '"quoted"',
      '',
      'null',
      '{"broken":',
    ];
    for (const raw of raws) await suite.database.query('SELECT pg_notify($1, $2)', ['first', raw]);
    const received = await calls.current.until(raws.length);
    expect(received.map(([, payload]) => payload)).toEqual([
      { a: [1, null] },
      'plain text',
      '9007199254740993',
      '1.0',
      12,
      'quoted',
      undefined,
      null,
      '{"broken":',
    ]);
    expect(received.map(([, , { raw }]) => raw)).toEqual(raws);
  });

  it('leaves the text as it is on a channel with the codec "text"', async () => {
    await suite.database.query(`SELECT pg_notify('texts', '{"a":1}'), pg_notify('texts', '')`);
    const received = await calls.current.until(2);
    expect(received.map(([, payload]) => payload)).toEqual(['{"a":1}', '']);
  });

  it('withholds what is not JSON from the handler of a channel with the codec "json", and goes on', async () => {
    await suite.database.query(`SELECT pg_notify('strict', 'hunter2'), pg_notify('strict', '{"id":1}')`);
    const received = await calls.current.until(1);
    expect(received.map(([, payload]) => payload)).toEqual([{ id: 1 }]);
    const errors = subject.logger.texts('error');
    expect(errors).toEqual([expect.stringContaining('A notification of 7 bytes on channel "strict" is not JSON.')]);
    expect(errors.join()).not.toContain('hunter2');
  });

  it('logs once what a handler throws or rejects with, and runs the others', async () => {
    await suite.database.query(`SELECT pg_notify('throws', '1'), pg_notify('throws', '2')`);
    await calls.current.until(2);
    const errors = subject.logger.texts('error').toSorted();
    expect(errors).toHaveLength(4);
    expect(errors[0]).toContain('Handler Handlers.rejects failed for the channel "throws": will not take 1');
    expect(errors[1]).toContain('Handler Handlers.rejects failed for the channel "throws": will not take 2');
    expect(errors[2]).toContain('Handler Handlers.throws failed for the channel "throws": cannot take 1');
    expect(errors[3]).toContain('Handler Handlers.throws failed for the channel "throws": cannot take 2');
  });
});

describe('a handler', () => {
  const suite = appSuite();

  it('runs for one notification at a time, in order, without delaying another', async () => {
    const log = new Recorder<string>();
    const held = new HeldCalls<number>();

    @Injectable()
    class Slow {
      @OnPgNotify('work')
      async slow(id: number): Promise<void> {
        log.push(`slow ${id} begins`);
        await held.run(id);
        log.push(`slow ${id} ends`);
      }

      @OnPgNotify('work')
      quick(id: number): void {
        log.push(`quick ${id}`);
      }
    }

    const { service } = await suite.start({ providers: [Slow] });
    await service.notify('work', 1);
    await service.notify('work', 2);
    await log.until((lines) => lines.includes('quick 2') && lines.includes('slow 1 begins'));
    expect(log.items).not.toContain('slow 2 begins');
    held.end();
    await log.until((lines) => lines.includes('slow 2 begins'));
    held.end();
    await log.until((lines) => lines.includes('slow 2 ends'));
    expect(log.items.filter((line) => line.startsWith('slow'))).toEqual([
      'slow 1 begins',
      'slow 1 ends',
      'slow 2 begins',
      'slow 2 ends',
    ]);
  });

  it('is refused on a channel whose name PostgreSQL would cut', () => {
    expect(() => OnPgNotify('x'.repeat(64))).toThrow('is 64 bytes long; PostgreSQL allows 63');
  });

  it('is neither duplicated nor silenced by a logger that throws, which Node warns of', async () => {
    const seen = new Recorder<unknown>();

    @Injectable()
    class Fragile {
      @OnPgNotify('other')
      other(payload: unknown): void {
        seen.push(payload);
      }

      @OnPgNotify('other')
      throws(): never {
        throw new Error('a handler');
      }

      @OnPgNotify(definePgChannel('strictly', { codec: 'json' }))
      strictly(): void {}
    }
    await suite.start({ providers: [Fragile] });
    const broken = (): never => {
      throw new Error('a logger');
    };
    Logger.overrideLogger({ log: broken, warn: broken, error: broken });
    const warn = jest.spyOn(process, 'emitWarning').mockReturnValue();
    suite.cleanup(() => warn.mockRestore());
    await suite.database.query(
      `SELECT pg_notify('other', '1'), pg_notify('strictly', 'no JSON'), pg_notify('other', '2'), pg_notify('other', '3')`,
    );
    expect(await seen.until(3)).toEqual([1, 2, 3]);
    expect(warn.mock.calls).toContainEqual(['The logger of the application threw: a logger', 'PgNotifyWarning']);
    suite.cleanup(() => Logger.overrideLogger(false)); // Closing the application would log.
  });
});
