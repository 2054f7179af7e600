import { describe, expect, it, jest } from '@jest/globals';
import { definePgChannel } from 'nest-pg-notify';
import type { PgGap, PgNotifyError } from 'nest-pg-notify';
import * as z from 'zod';
import { appSuite } from '../support/app/app-suite.js';
import { Changes, FeatureModule } from '../support/cache-feature.js';

describe('PgNotifyTestBus', () => {
  const suite = appSuite({ bus: true });

  it('simulates every kind of gap, for one channel or for all', async () => {
    const { service } = await suite.start();
    const { bus } = suite;
    const gaps: string[] = [];
    const tell = ({ channel, reason, since, until }: PgGap): void => {
      gaps.push(`${channel} ${reason}${since && since <= until ? ' since' : ''}`);
    };
    for (const channel of ['changes', 'other']) service.gaps(channel).subscribe(tell);
    bus.simulateGap();
    bus.simulateGap({ channel: Changes, reason: 'relisten' });
    bus.simulateGap({ channel: 'other', reason: 'undelivered' });
    bus.simulateGap({ channel: 'unheard' });
    bus.simulateDisconnect();
    bus.simulateGap();
    bus.simulateDisconnect();
    bus.reconnect();
    bus.reconnect();
    expect(gaps).toEqual([
      'changes start',
      'other start',
      'changes reconnect since',
      'other reconnect since',
      'changes relisten since',
      'other undelivered since',
      'changes reconnect since',
      'other reconnect since',
    ]);
    expect(service.stats()).toMatchObject({ gaps: 8, reconnects: 1 });
  });

  it('refuses to emit what PostgreSQL would refuse, and emits what a schema refuses', async () => {
    const Checked = definePgChannel('changes', { schema: z.object({ id: z.number() }) });
    const { service } = await suite.start({ imports: [FeatureModule] });
    const { bus } = suite;
    const errors: PgNotifyError[] = [];
    service.errors$.subscribe((error) => errors.push(error));
    const checked: unknown[] = [];
    service.listen(Checked).subscribe(({ payload }) => checked.push(payload));
    expect(() => bus.emit('x'.repeat(64))).toThrow('is 64 bytes long; PostgreSQL allows 63');
    expect(() => bus.emit(Changes, 'x'.repeat(8_000))).toThrow('PostgreSQL allows 7999');
    expect(() => bus.emit(definePgChannel('changes', { codec: 'text' }), '\0')).toThrow('NUL');
    bus.emit(Checked, { id: 'seven' });
    bus.emit(Checked, { id: 7 });
    await bus.settled();
    expect(checked).toEqual([{ id: 7 }]);
    expect(errors).toMatchObject([{ kind: 'payload', channel: 'changes' }]);
  });

  it('records what was sent, as the definition of the channel has it, with its executor', async () => {
    const Texts = definePgChannel('texts', { codec: 'text' });
    const Dates = definePgChannel('dates', { schema: z.string().transform((text) => new Date(text)) });
    const { service } = await suite.start();
    const { bus } = suite;
    const executor = jest.fn(() => Promise.reject(new Error('It must not be called.')));
    await service.notify(Texts, '12');
    await service.notify(Dates, '2026-01-01', { executor });
    await service.notify('nothing');
    await expect(service.notify(Dates, 7 as never)).rejects.toMatchObject({ kind: 'payload' });
    expect(bus.sent()).toEqual([
      { channel: 'texts', raw: '12', payload: 12 },
      { channel: 'dates', raw: '"2026-01-01"', payload: '2026-01-01', executor },
      { channel: 'nothing', raw: '', payload: undefined },
    ]);
    expect(bus.sent(Texts)).toEqual([{ channel: 'texts', raw: '12', payload: '12' }]);
    const input: string | undefined = bus.sent(Dates)[0]?.payload; // What is sent is the schema's input.
    expect(input).toBe('2026-01-01');
    expect(executor).not.toHaveBeenCalled();
  });

  it('delivers what is emitted during a delivery in its turn, and what is sent after the call', async () => {
    const { service } = await suite.start();
    const { bus } = suite;
    const log: unknown[] = [];
    service.listen('a').subscribe(({ payload }) => {
      if (payload === 1) bus.emit('a', 2);
    });
    service.listen('a').subscribe(({ payload }) => log.push(payload));
    bus.emit('a', 1);
    expect(log).toEqual([1, 2]);
    const sent = service.notify('a', 3);
    log.push('called');
    await sent;
    expect(log).toEqual([1, 2, 'called', 3]);
  });
});
