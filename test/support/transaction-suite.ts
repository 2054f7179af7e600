import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { definePgChannel } from 'nest-pg-notify';
import type { PgExecutor } from 'nest-pg-notify';
import { checkTrigger, notifyTrigger } from 'nest-pg-notify/triggers';
import type { PgTriggerOptions } from 'nest-pg-notify/triggers';
import { execute } from '../../lib/executor/pg-executor.js';
import { appSuite } from './app/app-suite.js';
import type { TestApp } from './app/test-app.js';
import { AWKWARD_TEXTS } from './awkward-texts.js';
import type { TestDatabase } from './postgres.js';
import { publishingSuite } from './publishing-suite.js';
import { Recorder } from './recorder.js';

/** A transaction that is under way. */
export interface TestTransaction {
  readonly executor: PgExecutor;
  /** What people pass instead of it. */
  readonly mistakes?: readonly unknown[];
  /** Does the work in a savepoint: releases it, or rolls back to it and rejects where the work does. */
  readonly savepoint: (work: (inner: TestTransaction) => Promise<void>) => Promise<void>;
}

/** One library, connected. */
export interface TransactionLibrary {
  /** Does the work in a transaction: commits, or rolls back and rejects where the work does. */
  transaction(work: (transaction: TestTransaction) => Promise<void>): Promise<void>;
  close(): Promise<unknown>;
}

export interface TransactionSuiteOptions {
  /** What the message says to whoever passes one of the `mistakes`. */
  readonly advice?: string;
  /** Whether the library looks for placeholders by itself, and finds them in literals and comments, too. */
  readonly findsPlaceholders?: boolean;
}

const Texts = definePgChannel('texts', { codec: 'text' });

const SYNTAX = `' " \\ $ ? : { } ( ) 1 ; - / * @ %`.split(' ');

const rollBack = new Error('roll back');

/**
 * What must hold for every library that has transactions: notifications and events come when the transaction commits, never
 * before, and never after a rollback.
 */
export function transactionSuite(
  name: string,
  connect: (database: TestDatabase) => TransactionLibrary | Promise<TransactionLibrary>,
  options: TransactionSuiteOptions = {},
): void {
  const { advice, findsPlaceholders = false } = options;
  publishingSuite(name, connect, options);

  describe(`notify() in a transaction of ${name}`, () => {
    const suite = appSuite();
    let subject: TestApp;
    let library: TransactionLibrary;
    const received = new Recorder<string>();

    beforeAll(async () => {
      subject = await suite.create();
      subject.service.listen(Texts).subscribe(({ payload }) => received.push(payload));
      await subject.app.init();
      library = suite.use(await connect(suite.database));
    });

    afterEach(() => void received.items.splice(0));

    const notify = async (text: string, executor?: PgExecutor): Promise<void> =>
      subject.service.notify(Texts, text, { executor });

    /** All that has arrived when what is sent now, on a connection of its own, has arrived: the order is that of the commits. */
    const arrived = async (mark: string): Promise<readonly string[]> => {
      await notify(mark);
      return [...(await received.until((items) => items.includes(mark)))];
    };

    it('delivers when it commits, and not before', async () => {
      await library.transaction(async ({ executor }) => {
        await notify('inside', executor);
        expect(await arrived('before the commit')).toEqual(['before the commit']);
      });
      expect(await arrived('after the commit')).toEqual(['before the commit', 'inside', 'after the commit']);
    });

    it('delivers nothing after a rollback', async () => {
      const work = library.transaction(async ({ executor }) => {
        await notify('inside', executor);
        throw rollBack;
      });
      await expect(work).rejects.toBe(rollBack);
      expect(await arrived('after the rollback')).toEqual(['after the rollback']);
    });

    it('delivers what is sent in a savepoint that is released, and not what is sent in one that is rolled back', async () => {
      await library.transaction(async ({ executor, savepoint }) => {
        await notify('before', executor);
        const undone = savepoint(async (inner) => {
          await notify('undone', inner.executor);
          throw rollBack;
        });
        await expect(undone).rejects.toBe(rollBack);
        await savepoint(async (inner) => notify('released', inner.executor));
        expect(await arrived('before the commit')).toEqual(['before the commit']);
      });
      expect(await arrived('end')).toEqual(['before the commit', 'before', 'released', 'end']);
    });

    it('delivers nothing of a released savepoint when the transaction is rolled back', async () => {
      const work = library.transaction(async ({ savepoint }) => {
        await savepoint(async (inner) => notify('released', inner.executor));
        throw rollBack;
      });
      await expect(work).rejects.toBe(rollBack);
      expect(await arrived('end')).toEqual(['end']);
    });

    it('delivers equal payloads of one transaction once', async () => {
      await library.transaction(async ({ executor }) => {
        for (const text of ['twice', 'once', 'twice']) await notify(text, executor);
      });
      expect(await arrived('end')).toEqual(['twice', 'once', 'end']);
    });

    it('delivers every text as it is', async () => {
      const unit = fc.oneof(fc.constantFrom(...SYNTAX), fc.string({ unit: 'binary', maxLength: 1 }));
      const text = fc.string({ unit, maxLength: 40 }).filter((sample) => !/[\0\p{Surrogate}]/u.test(sample));
      const texts = [...new Set([...AWKWARD_TEXTS, ...fc.sample(text, 100)])];
      await library.transaction(async ({ executor }) => {
        for (const each of texts) await notify(each, executor);
      });
      expect(await arrived('the end of all texts')).toEqual([...texts, 'the end of all texts']);
    });

    it('delivers many at a time, in savepoints as well, and never what was rolled back', async () => {
      const { service } = subject;
      const texts = [...AWKWARD_TEXTS, ...Array.from({ length: 1_500 }, (_, i) => `text ${i}`)];
      await library.transaction(async ({ executor, savepoint }) => {
        await service.notifyMany(Texts, texts, { executor });
        const undone = savepoint(async (inner) => {
          await service.notifyMany(Texts, ['undone'], { executor: inner.executor });
          throw rollBack;
        });
        await expect(undone).rejects.toBe(rollBack);
        const failed = service.notifyMany(Texts, ['accepted', 'x'.repeat(8_000)], { executor });
        await expect(failed).rejects.toMatchObject({ kind: 'payload', failures: [{ index: 1 }] });
      });
      expect(await arrived('end')).toEqual([...texts, 'accepted', 'end']);
    });

    it('goes on after a payload that is refused', async () => {
      await library.transaction(async ({ executor }) => {
        await expect(notify('x'.repeat(8_000), executor)).rejects.toMatchObject({ kind: 'payload' });
        await notify('accepted', executor);
      });
      expect(await arrived('end')).toEqual(['accepted', 'end']);
    });

    it("rejects with the server's words and SQLSTATE, without the payload, when the transaction refuses", async () => {
      const refusal: unknown[] = [];
      const work = library.transaction(async ({ executor }) => {
        await execute(executor, 'SELECT no_such_column', []).catch(() => undefined);
        refusal.push(await notify('too late', executor).catch((error: unknown) => error));
        throw rollBack;
      });
      await expect(work).rejects.toBe(rollBack);
      const message =
        'The notification for channel "texts" was not sent. current transaction is aborted, commands ignored until end of transaction block';
      const [kind, outcome, sqlState] = ['publish', 'not-sent', '25P02'];
      expect(refusal).toEqual([expect.objectContaining({ kind, outcome, sqlState, channel: 'texts', message })]);
    });

    it('answers what checkTrigger() asks', async () => {
      const trigger: PgTriggerOptions = { table: 'watched', channel: 'texts', key: 'id', level: 'row' };
      await suite.database.query(`CREATE TABLE watched (id integer); ${notifyTrigger(trigger).up}`);
      await library.transaction(async ({ executor }) => {
        const current = { state: 'current', problems: [], warnings: [] };
        expect(await checkTrigger(executor, trigger)).toEqual(current);
        expect(await checkTrigger(executor, { ...trigger, table: 'missing' })).toMatchObject({ state: 'missing' });
      });
    });

    if (advice !== undefined) {
      it('refuses what is passed by mistake, with the line to write, and goes on', async () => {
        await library.transaction(async ({ executor, mistakes = [] }) => {
          expect(mistakes.length).toBeGreaterThan(0);
          for (const mistake of mistakes) {
            const message = expect.stringMatching(/ or a function \(text, values\): /);
            const refused = notify('lost', mistake as PgExecutor).catch((error: unknown) => error);
            expect(await refused).toMatchObject({ kind: 'configuration', message });
            expect(String(await refused)).toContain(`: ${advice}`);
          }
          await notify('sent', executor);
        });
        expect(await arrived('end')).toEqual(['sent', 'end']);
      });
    }

    // Its own search for placeholders would change this statement. Ours hold nothing that only looks like one.
    if (findsPlaceholders) return;

    it('runs statements with values in any order, and with what only looks like a value', async () => {
      const statement = `SELECT $2::text AS second, $1::text AS first, $2::text || $3::text::int AS again, -- not $1 or ?
        '$1 ? ?? :name' AS literal, E'\\'$1' AS escaped, $tag$it's $1$tag$ AS dollar, 1 /* $1 ' ? /* ? */ */ AS "a$1?",
        '{"a": 1}'::jsonb ? 'a' AS operator, '{"a": 1}'::jsonb ? $4::text AS compared, $5::text IS NULL AS absent`;
      await library.transaction(async ({ executor }) => {
        const answer = await execute(executor, statement, ['one', 'two', '3', 'b', null]);
        const [row] = Array.isArray(answer) ? answer : (answer as { rows: unknown[] }).rows;
        expect(row).toEqual({
          first: 'one',
          second: 'two',
          again: 'two3',
          literal: '$1 ? ?? :name',
          escaped: "'$1",
          dollar: "it's $1",
          'a$1?': 1,
          operator: true,
          compared: false,
          absent: true,
        });
      });
    });
  });
}
