import { Test } from '@nestjs/testing';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { PgNotifyTestBus, PgNotifyTestingModule } from 'nest-pg-notify/testing';
import { JobWorker } from './job-worker.js';

describe('JobWorker, by the clock', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  it('looks for jobs every 30 s, woken or not', async () => {
    vi.useFakeTimers();
    const module = await Test.createTestingModule({
      imports: [PgNotifyTestingModule.forRoot()],
      providers: [JobWorker],
    }).compile();
    const app = await module.createNestApplication().init();
    const bus = app.get(PgNotifyTestBus);
    await bus.settled();

    app.get(JobWorker).jobs.push(1);
    await vi.advanceTimersByTimeAsync(30_000);
    await bus.settled();

    expect(bus.sent('job_done')).toHaveLength(1);
    await app.close();
  });
});
