import { describe, expect, it } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import { OnPgGap, OnPgNotify } from 'nest-pg-notify';
import type { PgGap } from 'nest-pg-notify';
import { appSuite, QUICK } from '../support/app/app-suite.js';
import { untilLost } from '../support/app/status.js';
import { Recorder } from '../support/recorder.js';

describe('a cache', () => {
  const suite = appSuite({ proxy: 'listener', options: QUICK });

  it('reloads after a loss, before it handles the next notification', async () => {
    const log = new Recorder<string>();

    @Injectable()
    class Cache {
      @OnPgGap('products')
      reload({ reason }: PgGap): void {
        log.push(`reload: ${reason}`);
      }

      @OnPgNotify('products')
      evict(id: number): void {
        log.push(`evict ${id}`);
      }
    }
    const subject = await suite.start({ providers: [Cache] });
    const lost = untilLost(subject); // Asked for before the fault.
    suite.proxy.reset();
    await lost;
    await subject.service.ready();
    await subject.service.notify('products', 7);
    expect(await log.until(3)).toEqual(['reload: start', 'reload: reconnect', 'evict 7']);
  });
});
