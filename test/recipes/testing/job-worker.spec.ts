import type { INestApplication } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { getPgNotifyTransportToken } from 'nest-pg-notify';
import { PgNotifyTestBus } from 'nest-pg-notify/testing';
import { AppModule, JobWorker } from './job-worker.js';

describe('JobWorker', () => {
  let app: INestApplication;
  let bus: PgNotifyTestBus;

  beforeEach(async () => {
    bus = new PgNotifyTestBus();
    const module = await Test.createTestingModule({ imports: [AppModule] })
      .overrideProvider(getPgNotifyTransportToken())
      .useValue(bus)
      .compile();
    app = await module.createNestApplication().init();
    await bus.settled();
  });

  afterEach(() => app.close());

  it('works until no job is left, and announces each one that is done', async () => {
    app.get(JobWorker).jobs.push(1, 2);
    bus.emit('job_queue');
    await bus.settled();
    expect(bus.sent('job_done').map(({ payload }) => payload)).toEqual([{ job: 1 }, { job: 2 }]);
  });
});
