import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { runCommandLine } from '../../lib/cli/command-line.js';
import { Terminal } from '../../lib/cli/terminal.js';
import { eventLog } from '../../lib/event-log/event-log-sql.js';
import type { PgDeadLetter, PgEventConsumerState } from '../../lib/event-log/event-store.js';
import type { SqlEventStore } from '../../lib/event-log/sql-event-store.js';
import { CommandLine } from '../support/command-line.js';
import { CANARY, expectNothingLeft } from '../support/diagnosis.js';
import { eventLogSuite } from '../support/event-log-suite.js';
import { drain } from '../support/event-store-contract.js';

describe('events', () => {
  const suite = eventLogSuite();
  let store: SqlEventStore;
  let consumer: string;
  let count = 0;

  beforeEach(() => {
    count += 1;
    consumer = `consumer ${count}`;
    store = suite.store('an instance');
  });

  afterEach(async () => {
    await expectNothingLeft(suite.database);
    await suite.database.query('DELETE FROM nest_events.consumer');
  });

  /** Runs it in this process. */
  const events = async (...args: readonly string[]) => {
    const [stdout, stderr] = [new PassThrough({ encoding: 'utf8' }), new PassThrough({ encoding: 'utf8' })];
    const env = { DATABASE_URL: suite.database.url };
    const code = await runCommandLine(['events', ...args], { terminal: new Terminal(stdout, stderr, {}), env });
    const textOf = (stream: PassThrough): string => (stream.read() as string | null) ?? '';
    return { code, stdout: textOf(stdout), stderr: textOf(stderr) };
  };

  const json = async <T>(...args: readonly string[]): Promise<T> => {
    const { stdout, stderr } = await events(...args, '--json');
    expect(stderr).toBe('');
    return JSON.parse(stdout) as T;
  };

  const states = async (): Promise<readonly PgEventConsumerState[]> =>
    (await json<{ consumers: PgEventConsumerState[] }>('status')).consumers;

  const shardOf = () => store.shard({ consumer, shard: 0, shards: 1, channels: ['x'] });

  const register = (): Promise<void> => store.register([{ consumer, shards: 1, channels: ['x'], from: 'now' }]);

  /** A consumer of two events that were given up. */
  const withDeadLetters = async (): Promise<readonly string[]> => {
    await register();
    await suite.publish([
      { channel: 'x', key: 'k', payload: '{"n": 1}' },
      { channel: 'x', payload: '"red"' },
    ]);
    const shard = shardOf();
    const claim = (await shard.claim())!;
    const { events: found, cursor } = await drain(shard, claim);
    const failed = found.map(
      ({ seq, key }) => ({ seq, key, state: 'dead', attempts: 20, delay: 0, error: 'no \u001b[31mbank' }) as const,
    );
    await shard.settle(claim.epoch, cursor, { failed });
    await shard.release(claim.epoch);
    return found.map(({ id }) => id);
  };

  describe('sql', () => {
    it('prints what eventLog() returns, also in a process of its own', async () => {
      const { up, down, publication } = eventLog({ schema: 'billing' });
      const sql = ['sql', '--schema', 'billing'];
      expect(await CommandLine.run(['events', ...sql])).toMatchObject({ code: 0, stderr: '', stdout: up });
      expect(await events(...sql, '--down')).toEqual({ code: 0, stderr: '', stdout: down });
      expect(await events(...sql, '--publication')).toEqual({ code: 0, stderr: '', stdout: publication });
      expect(await json(...sql)).toEqual({ up, down, publication });
    });

    it('prints what runs, and may run again', async () => {
      const { stdout: up } = await events('sql', '--schema', 'printed');
      const { stdout: down } = await events('sql', '--schema', 'printed', '--down');
      await suite.database.query(up);
      await suite.database.query(up);
      expect(await events('status', '--schema', 'printed')).toEqual({
        code: 0,
        stdout: 'The log has no consumers.\n',
        stderr: '',
      });
      await suite.database.query(down);
      const { code, stderr } = await events('status', '--schema', 'printed');
      expect(code).toBe(1);
      expect(stderr).toMatch(
        /^error: The event log in the schema "printed" is missing or older.+events sql --schema printed"/,
      );
    });
  });

  describe('status', () => {
    it('exits with 0 while every consumer is well', async () => {
      await register();
      await shardOf().claim();
      expect(await events('status')).toEqual({
        code: 0,
        stdout: expect.stringMatching(
          /^ok {7}consumer \d+ {2}0 waiting; 0 to be retried; 0 dead; owned by an instance, whose lease has \d+\.\d s left\.\n$/,
        ),
        stderr: '',
      });
    });

    it('warns of a consumer without an owner, and exits with 1 once an event has waited for it for 30 s', async () => {
      await register();
      const remedy = `→ No instance runs it. Start one; if no application has it any more: nest-pg-notify events drop "${consumer}"\n`;
      const quiet = await events('status');
      expect(quiet).toMatchObject({ code: 0, stdout: expect.stringContaining(remedy) });
      expect(quiet.stdout).toMatch(/^warning {2}consumer \d+ {2}0 waiting; 0 to be retried; 0 dead; no owner\.\n/);
      await suite.publish([{ channel: 'x' }]);
      const changing = await events('status'); // An instance that takes over needs a moment.
      expect(changing).toMatchObject({ code: 0, stdout: expect.stringContaining(remedy) });
      expect(changing.stdout).toMatch(/^warning .+ 1 waiting, .+ no owner\.\n/);
      await suite.database.query(`UPDATE nest_events.event SET created_at = created_at - interval '31 s'`);
      const abandoned = await events('status');
      expect(abandoned).toMatchObject({ code: 1, stdout: expect.stringContaining(remedy) });
      expect(abandoned.stdout).toMatch(/^problem .+ 1 waiting, .+ no owner\.\n/);
      expect(await json('status')).toMatchObject({ ok: false });
      await store.pause(consumer);
      expect(await events('status')).toMatchObject({ code: 0, stdout: expect.stringContaining('events resume') });
      await store.resume(consumer);
      await shardOf().claim();
      expect(await events('status')).toMatchObject({ code: 0, stdout: expect.stringMatching(/^ok .+ 1 waiting/) });
    });

    it('warns of a consumer whose owner let its lease end', async () => {
      await register();
      await shardOf().claim();
      await suite.database.query(`UPDATE nest_events.consumer SET lease_until = clock_timestamp() - interval '1 s'`);
      expect(await events('status')).toMatchObject({
        code: 0,
        stdout: expect.stringMatching(/^warning .+ no owner\.\n.+ No instance runs it\./),
      });
    });

    it('exits with 1 when something is dead, and says how to see it', async () => {
      await withDeadLetters();
      const { code, stdout } = await events('status');
      expect(code).toBe(1);
      expect(stdout).toMatch(
        /^problem {2}consumer \d+ {2}0 waiting; 0 to be retried; 2 dead; no owner\.\n +→ See them: nest-pg-notify events dead "consumer \d+"\n$/,
      );
      expect(await json('status')).toMatchObject({ ok: false, consumers: [{ consumer, dead: 2 }] });
    });

    it('exits with 1 when something waits for longer than --max-lag', async () => {
      await register();
      await suite.publish([{ channel: 'x' }]);
      expect(await events('status')).toMatchObject({ code: 0 });
      expect(await events('status', '--max-lag', '3600')).toMatchObject({ code: 0 });
      const { code, stdout } = await events('status', '--max-lag', '0.001');
      expect(code).toBe(1);
      expect(stdout).toMatch(
        /^problem .+ 1 waiting, the oldest for \d+\.\d s; .+ no owner\.\n.+ No instance runs it\./,
      );
      await shardOf().claim();
      const owned = await events('status', '--max-lag', '0.001');
      expect(owned).toMatchObject({ code: 1, stdout: expect.stringContaining('→ Can its owner keep up?') });
    });

    it('warns of what is paused or stands still, and tells shards apart', async () => {
      await store.register([{ consumer, shards: 2, channels: ['x'], from: 'now' }]);
      await store.pause(consumer);
      const paused = await events('status');
      expect(paused.code).toBe(0);
      expect(paused.stdout).toMatch(
        /^warning {2}consumer \d+\/0 {2}paused; .+\n.+ events resume "consumer \d+"\nwarning {2}consumer \d+\/1 /,
      );
      await store.resume(consumer);
      const shard = store.shard({ consumer, shard: 0, shards: 2, channels: ['x'] });
      const { epoch, cursor } = (await shard.claim())!;
      await shard.settle(epoch, cursor, { attempts: 3, error: 'no bank' });
      const { stdout, code } = await events('status');
      expect(code).toBe(0);
      expect(stdout).toMatch(
        /^warning .+; 3 failed attempts \(no bank\); owned by an instance, whose lease has \d+\.\d s left\.\n/,
      );
    });

    it('exits with 1 when the tables come from another cluster, until they are rebased', async () => {
      await register();
      await suite.database.query('UPDATE nest_events.consumer SET cluster = 1');
      const { code, stdout } = await events('status');
      expect([code, stdout]).toEqual([1, expect.stringContaining('another cluster: nest-pg-notify events rebase')]);
      expect(await events('rebase')).toMatchObject({ code: 0, stdout: expect.stringContaining('of 1 consumer') });
      expect(await events('rebase')).toMatchObject({
        code: 0,
        stdout: expect.stringContaining('nothing was to be done'),
      });
      expect(await events('status')).toMatchObject({ code: 0 });
    });

    it('exits with 1 when the database cannot be reached, and prints no password', async () => {
      const { code, stdout, stderr } = await events('status', '--url', `postgres://app:${CANARY}@127.0.0.1:1/shop`);
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(stderr).toMatch(/^error: 127\.0\.0\.1:1: .+ECONNREFUSED/);
      expect(stderr).not.toContain(CANARY);
    });
  });

  describe('dead letters', () => {
    it('are printed with what they failed with, and reach no terminal as control characters', async () => {
      const [one] = await withDeadLetters();
      const { code, stdout } = await events('dead', consumer);
      expect(code).toBe(0);
      expect(stdout).toContain(`${one}  x, key "k", 20 attempts, 20`);
      expect(stdout).toContain('\n  no \\e[31mbank\n  {"n": 1}\n');
      expect(stdout).not.toContain('\u001b');
      const { deadLetters } = await json<{ deadLetters: PgDeadLetter[] }>('dead', consumer, '--limit', '1');
      expect(deadLetters).toEqual([
        expect.objectContaining({ id: one, payload: '{"n": 1}', error: 'no \u001b[31mbank' }),
      ]);
    });

    it('are requeued and discarded by their ids, or all', async () => {
      const [one, two] = (await withDeadLetters()) as [string, string];
      expect(await events('requeue', consumer, one)).toMatchObject({
        code: 0,
        stdout: '1 dead letter will be tried again.\n',
      });
      expect(await shardOf().failures()).toHaveLength(1);
      expect(await json('discard', consumer, two)).toEqual({ count: 1 });
      expect(await events('discard', consumer, '--all')).toMatchObject({ stdout: '0 dead letters forgotten.\n' });
      expect(await events('dead', consumer)).toMatchObject({ code: 0, stdout: 'No dead letters.\n' });
    });
  });

  it('replays, pauses, resumes and drops a consumer', async () => {
    await register();
    await suite.publish([{ channel: 'x' }]);
    const shard = shardOf();
    const claim = (await shard.claim())!;
    await drain(shard, claim);
    const since = '2026-01-01T00:00:00+01:00';
    expect(await events('replay', consumer, '--since', since)).toEqual({
      code: 0,
      stdout: `The consumer "${consumer}" gets again what was published since 2025-12-31T23:00:00.000Z.\n`,
      stderr: '',
    });
    expect(await states()).toEqual([expect.objectContaining({ waiting: expect.any(Number) })]);
    expect((await drain(shard, (await shard.claim())!)).events.length).toBeGreaterThan(0);
    expect(await events('pause', consumer)).toMatchObject({
      code: 0,
      stdout: `The consumer "${consumer}" is paused.\n`,
    });
    expect(await states()).toEqual([expect.objectContaining({ paused: true })]);
    expect(await json('resume', consumer)).toEqual({ count: 1 });
    expect(await states()).toEqual([expect.objectContaining({ paused: false })]);
    expect(await events('drop', consumer)).toMatchObject({
      code: 0,
      stdout: `The consumer "${consumer}" is forgotten.\n`,
    });
    expect(await states()).toEqual([]);
  });

  it.each([
    ['dead'],
    ['requeue', '--all'],
    ['discard', '--all'],
    ['replay', '--since', '2026-01-01T00:00Z'],
    ['pause'],
    ['resume'],
    ['drop'],
  ])('does not take a misspelt consumer for one without work: %s', async (action, ...options) => {
    const { code, stdout, stderr } = await events(action, 'biling', ...options);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toBe('error: There is no consumer "biling". See them: nest-pg-notify events status\n');
  });

  it('prunes what is old', async () => {
    await suite.database.query('DELETE FROM nest_events.event');
    await suite.publish([{ channel: 'x' }, { channel: 'x' }]);
    await suite.database.query(`UPDATE nest_events.event SET created_at = created_at - interval '8 days'`);
    await suite.publish([{ channel: 'x' }]);
    expect(await json('prune', '--older-than', '9')).toEqual({ count: 0 });
    // What a transaction of another test may still see is kept.
    let pruned = 0;
    while (pruned < 2) pruned += (await json<{ count: number }>('prune')).count;
    expect(pruned).toBe(2);
  });
});
