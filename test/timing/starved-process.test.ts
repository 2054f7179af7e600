import { describe, expect, it } from '@jest/globals';
import { setTimeout as lasting } from 'node:timers/promises';
import type { PgNotifyModuleOptions } from 'nest-pg-notify';
import { appSuite, QUICK } from '../support/app/app-suite.js';
import { ChildApp } from '../support/child-app.js';

const LONGER_THAN_A_HEARTBEAT = 2 * (QUICK.heartbeat.interval + QUICK.heartbeat.timeout);

describe('an application in a process of its own', () => {
  const suite = appSuite();

  async function start(options: Partial<PgNotifyModuleOptions> = QUICK, openFiles?: number): Promise<ChildApp> {
    const child = await ChildApp.start({ connection: suite.database.url, ...options }, openFiles);
    suite.cleanup(() => child.kill());
    return child;
  }

  /** Sends numbers, as one transaction each. */
  async function send(from: number, count: number): Promise<number[]> {
    const numbers = Array.from({ length: count }, (_, index) => from + index);
    for (const number of numbers) await suite.database.query(`SELECT pg_notify('watched', $1)`, [String(number)]);
    return numbers;
  }

  // FAULTS 24.
  it('keeps its session and loses nothing when it is stopped for longer than a heartbeat may take', async () => {
    const child = await start();
    const { processId } = child.statuses.items.at(-1)!;
    const sent: number[] = [];
    for (const round of [1, 2, 3]) {
      child.signal('SIGSTOP');
      sent.push(...(await send(round * 1_000, 50)));
      await lasting(LONGER_THAN_A_HEARTBEAT); // The fault itself: how long the process stands still.
      child.signal('SIGCONT');
      await child.seen.until(1 + sent.length);
    }
    // It still answers, and heartbeats go on.
    await child.heartbeats(3);
    sent.push(...(await send(9_000, 1)));
    await child.seen.until(1 + sent.length);
    expect(child.seen.items).toEqual(['start', ...sent]);
    expect(child.states).toEqual(['closed', 'connecting', 'listening']);
    expect(child.statuses.items.at(-1)?.processId).toBe(processId);
    expect(await child.close()).toBe(0);
    expect(child.errors).toBe('');
  });

  // FAULTS 24.
  it.each(['block', 'blockHeartbeat'])(
    'keeps its session when its event loop is blocked for longer than a heartbeat may take (%s)',
    async (command) => {
      const child = await start();
      child.command(`${command} ${LONGER_THAN_A_HEARTBEAT}`);
      if (command === 'blockHeartbeat')
        await child.facts.until((facts) => facts.some(({ fact }) => fact === 'blocked'));
      const sent = await send(1, 50);
      await child.heartbeats(3);
      await child.seen.until(51);
      expect(child.seen.items).toEqual(['start', ...sent]);
      expect(child.states).toEqual(['closed', 'connecting', 'listening']);
      expect(await child.close()).toBe(0);
      expect(child.errors).toBe('');
    },
  );

  // FAULTS 42.
  it('keeps trying while it has no file descriptor left, and listens again when it has one', async () => {
    // One connection, which only this test ends: neither a heartbeat that a busy machine answers late nor a check's second one.
    const child = await start({ reconnect: QUICK.reconnect, deliveryCheck: false }, 256);
    child.command('takeFiles');
    await child.facts.until((facts) => facts.some(({ fact, value }) => fact === 'taken' && value === 'EMFILE'));
    const { processId } = child.statuses.items.at(-1)!;
    // The socket that this frees is all that is left: the files take it before the next attempt.
    child.command('takeFilesWhenLost');
    await child.facts.until((facts) => facts.some(({ fact }) => fact === 'watching'));
    await suite.database.query('SELECT pg_terminate_backend($1)', [processId]);
    const { lastFailure } = (
      await child.statuses.until((statuses) => /EMFILE/.test(statuses.at(-1)?.lastFailure?.message ?? ''))
    ).at(-1)!;
    expect(lastFailure?.kind).toBe('connection');
    child.command('releaseFiles');
    await child.statuses.until((statuses) => statuses.at(-1)?.state === 'listening');
    await send(1, 1);
    await child.seen.until((items) => items.includes(1));
    expect(child.seen.items).toEqual(['start', 'reconnect', 1]);
    expect(await child.close()).toBe(0);
    expect(child.errors).toBe('');
  });
});
