import { beforeAll, describe, expect, it } from '@jest/globals';
import { setTimeout as lasting } from 'node:timers/promises';
import type { PgNotifyModuleOptions } from 'nest-pg-notify';
import { appSuite, QUICK } from '../support/app/app-suite.js';
import { ChildApp } from '../support/child-app.js';

const HEARTBEAT = { interval: 100, timeout: 300 };
const LONGER_THAN_A_HEARTBEAT = 2 * (HEARTBEAT.interval + HEARTBEAT.timeout);

describe('an application in a process of its own', () => {
  const suite = appSuite();

  async function start(options: Partial<PgNotifyModuleOptions>, openFiles?: number): Promise<ChildApp> {
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
  describe('that stands still for longer than a heartbeat may take', () => {
    const sent: number[] = [];
    let child: ChildApp;

    beforeAll(async () => {
      child = await start({ ...QUICK, heartbeat: HEARTBEAT });
    });

    /** Sees that it still answers; returns all that it has noticed so far. */
    async function noticed(): Promise<{ readonly seen: readonly unknown[]; readonly states: readonly string[] }> {
      await child.heartbeats(3);
      sent.push(...(await send(sent.length + 1, 1)));
      await child.seen.until(1 + sent.length);
      return { seen: child.seen.items, states: child.states };
    }

    const allOnOneSession = () => ({ seen: ['start', ...sent], states: ['closed', 'connecting', 'listening'] });

    it('keeps its session and loses nothing when it is stopped', async () => {
      for (let round = 1; round <= 2; round += 1) {
        child.signal('SIGSTOP');
        sent.push(...(await send(sent.length + 1, 50)));
        await lasting(LONGER_THAN_A_HEARTBEAT); // The fault itself: how long the process stands still.
        child.signal('SIGCONT');
        await child.seen.until(1 + sent.length);
      }
      expect(await noticed()).toEqual(allOnOneSession());
    });

    it('keeps its session when its event loop is blocked', async () => {
      child.command(`block ${LONGER_THAN_A_HEARTBEAT}`);
      sent.push(...(await send(sent.length + 1, 50)));
      expect(await noticed()).toEqual(allOnOneSession());
    });

    it('keeps its session when its event loop is blocked right after a heartbeat was sent', async () => {
      child.command(`blockHeartbeat ${LONGER_THAN_A_HEARTBEAT}`);
      await child.facts.until((facts) => facts.some(({ fact }) => fact === 'blocked'));
      sent.push(...(await send(sent.length + 1, 50)));
      expect(await noticed()).toEqual(allOnOneSession());
    });

    it('ends by itself when it is closed after that', async () => {
      expect(await child.close()).toBe(0);
      expect(child.errors).toBe('');
    });
  });

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
