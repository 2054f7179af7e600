import { describe, expect, it } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import { OnPgGap, OnPgNotify, OnPgWakeUp } from 'nest-pg-notify';
import type { PgGap, PgWakeUp } from 'nest-pg-notify';
import { consume } from '../support/app/consumer.js';
import { CONTRACT_SUITES } from '../support/app/contract-suite.js';
import { recordStream } from '../support/record-stream.js';
import { Recorder } from '../support/recorder.js';
import { deferred } from '../support/deferred.js';

describe.each(CONTRACT_SUITES)('the handlers of a registration on %s', (_name, createSuite) => {
  const suite = createSuite();

  it('stop at a gap until the gap method has succeeded, and handle what was received before it first', async () => {
    const log = new Recorder<string>();
    const slow = deferred();
    let attempts = 0;

    @Injectable()
    class Cache {
      @OnPgNotify('a')
      async handle(payload: string): Promise<void> {
        log.push(`handle ${payload}`);
        if (payload === 'slow') await slow.promise;
        log.push(`handled ${payload}`);
      }

      @OnPgGap('a')
      reload({ reason }: PgGap): void {
        attempts += 1;
        log.push(`reload ${reason}`);
        if (attempts === 2) throw new Error('on purpose');
      }
    }
    const subject = await suite.start({ providers: [Cache] });
    const { seen } = consume(subject, 'a');
    await log.until(1);
    await suite.emit('a', 'slow');
    await suite.emit('a', 'waits');
    await seen.until((items) => items.includes('waits'));
    await suite.disconnect(subject);
    await suite.reconnect(subject);
    await suite.emit('a', 'after');
    await seen.until((items) => items.includes('after'));
    slow.resolve();
    await log.until((lines) => lines.includes('handled after'));
    expect(log.items).toEqual([
      'reload start',
      'handle slow',
      'handled slow',
      'handle waits',
      'handled waits',
      'reload reconnect',
      'reload reconnect',
      'handle after',
      'handled after',
    ]);
    expect(subject.logger.texts('error')).toEqual([expect.stringContaining('on purpose')]);
  });

  it('drop the oldest when they are too slow, and get a gap with the exact number', async () => {
    const log = new Recorder<unknown>();
    const first = deferred();

    @Injectable()
    class Slow {
      @OnPgNotify('a', { bufferSize: 2 })
      async handle(payload: number): Promise<void> {
        log.push(payload);
        if (payload === 1) await first.promise;
      }

      @OnPgGap('a')
      lost({ reason, dropped }: PgGap): void {
        log.push(`${reason} ${dropped}`);
      }
    }
    const subject = await suite.start({ providers: [Slow] });
    const { seen } = consume(subject, 'a');
    await log.until(1);
    await suite.emit('a', '1');
    await log.until(2);
    for (let id = 2; id <= 6; id += 1) await suite.emit('a', String(id));
    await seen.until((items) => items.includes(6));
    first.resolve();
    await log.until((items) => items.includes(6));
    expect(log.items).toEqual(['start undefined', 1, 'overflow 3', 5, 6]);
    expect(subject.service.stats().dropped).toBe(3);
  });

  it('are woken at the start, by notifications and by gaps', async () => {
    const reasons = new Recorder<string>();

    @Injectable()
    class Worker {
      @OnPgWakeUp('jobs')
      work({ reason, channel }: PgWakeUp): boolean {
        reasons.push(`${channel} ${reason}`);
        return reason === 'notification'; // There is more.
      }
    }
    const subject = await suite.start({ providers: [Worker] });
    expect((await reasons.until(1))[0]).toBe('jobs start');
    await suite.emit('jobs', '');
    await reasons.until((items) => items.includes('jobs again'));
    expect(reasons.items.slice(reasons.items.indexOf('jobs notification'))).toEqual([
      'jobs notification',
      'jobs again',
    ]);
    const { length } = reasons.items;
    await suite.disconnect(subject);
    await suite.reconnect(subject);
    await reasons.until((items) => items.slice(length).includes('jobs gap'));
  });

  it('report what they throw once, and go on', async () => {
    const seen = new Recorder<unknown>();

    @Injectable()
    class Fragile {
      @OnPgNotify('a')
      async handle(payload: unknown): Promise<void> {
        await Promise.resolve();
        if (payload === 'bad') throw new Error('on purpose');
        seen.push(payload);
      }
    }
    const subject = await suite.start({ providers: [Fragile] });
    const errors = recordStream(subject.service.errors$);
    await suite.emit('a', 'bad');
    await suite.emit('a', 'good');
    expect(await seen.until(1)).toEqual(['good']);
    expect(errors.items).toEqual([
      expect.objectContaining({ kind: 'handler', channel: 'a', handler: 'Fragile.handle' }),
    ]);
    expect(subject.logger.texts('error')).toHaveLength(1);
  });
});
