import { describe, expect, it } from '@jest/globals';
import { range } from 'rxjs';
import { appSuite } from '../support/app/app-suite.js';
import { Recorder } from '../support/recorder.js';

const CHANNELS = 40_000;

describe('a registration with 40,000 channels', () => {
  const suite = appSuite();

  // One statement for all took the server so long that its silence counted as a loss, again and again.
  it('listens to all of them, and to all of them again after a loss', async () => {
    const { service } = await suite.start({ heartbeat: { interval: 500, timeout: 1_000 } });
    const gaps = new Map<string, number>();
    const received = new Recorder<unknown>();
    service.gaps().subscribe(({ reason }) => gaps.set(reason, (gaps.get(reason) ?? 0) + 1));
    range(CHANNELS).subscribe((n) => service.listen(`many ${n}`).subscribe(({ payload }) => received.push(payload)));
    await service.ready();
    expect(service.status).toMatchObject({
      state: 'listening',
      channels: { wanted: CHANNELS, acknowledged: CHANNELS },
    });

    const states = new Recorder<readonly [state: string, acknowledged: number]>();
    service.status$.subscribe(({ state, channels }) => states.push([state, channels.acknowledged]));
    await suite.database.query('SELECT pg_terminate_backend($1)', [service.status.processId]);
    await states.until((seen) => seen.some(([state]) => state === 'reconnecting'));
    await service.ready();

    expect(Object.fromEntries(gaps)).toEqual({ start: CHANNELS, reconnect: CHANNELS });
    expect(states.items.filter(([state]) => state === 'listening').at(-1)).toEqual(['listening', CHANNELS]);
    expect(service.stats().reconnects).toBe(1);
    await service.notify('many 39999', 'the last one');
    expect(await received.until(1)).toEqual(['the last one']);
  });
});
