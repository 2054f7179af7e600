import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { Test } from '@nestjs/testing';
import { definePgChannel, PgNotifyService } from 'nest-pg-notify';
import { PgNotifyTestBus, PgNotifyTestingModule } from 'nest-pg-notify/testing';
import { z } from 'zod';
import { PgNotifyError } from '../../lib/pg-notify.errors.js';
import { EmitCalls } from '../../lib/publisher/emit-calls.js';
import { systemClock } from '../../lib/time/clock.js';
import { consumerContext } from '../support/consumer-context.js';

afterEach(() => {
  jest.restoreAllMocks();
});

/** The calls of an application whose `notify()` fails with these, one after the other; undefined is a success. */
function setUp(outcomes: readonly (PgNotifyError | undefined)[]) {
  const left = [...outcomes];
  const reported: unknown[] = [];
  const lines: string[] = [];
  const notify = (): Promise<void> => {
    const error = left.shift();
    return error ? Promise.reject(error) : Promise.resolve();
  };
  const calls = new EmitCalls(
    { notify },
    consumerContext({
      clock: systemClock,
      onFailure: (error) => reported.push(error),
      onLine: (line) => lines.push(line),
    }),
  );
  const emit = async (channel = 'orders'): Promise<void> => {
    calls.emit(channel, 1);
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { emit, reported, lines };
}

const away = new PgNotifyError('publish', 'no database');

describe('emit()', () => {
  it('logs failures in a row of a channel once a minute, with their number', async () => {
    const now = jest.spyOn(performance, 'now').mockReturnValue(0);
    const { emit, lines } = setUp(Array.from({ length: 6 }, () => away));
    await emit();
    now.mockReturnValue(59_999);
    await emit();
    await emit();
    now.mockReturnValue(60_000);
    await emit();
    await emit();
    now.mockReturnValue(120_000);
    await emit();
    expect(lines).toEqual([
      'no database',
      'Emitting to channel "orders" has failed 3 more times, the last time with: no database',
      'Emitting to channel "orders" has failed 2 more times, the last time with: no database',
    ]);
  });

  it('logs the next failure after a success in full', async () => {
    const { emit, lines } = setUp([away, undefined, away, undefined, undefined]);
    for (let count = 0; count < 5; count += 1) await emit();
    const again = 'Emitting to channel "orders" works again.';
    expect(lines).toEqual(['no database', again, 'no database', again]);
  });

  it('reports each failure once, and leaves those of kind publish to the sender', async () => {
    const wrong = new PgNotifyError('payload', 'wrong');
    const { emit, reported } = setUp([wrong, wrong, away]);
    for (let count = 0; count < 3; count += 1) await emit();
    expect(reported).toEqual([wrong, wrong]);
  });

  it('works on the test bus: what was emitted comes back, and is in sent()', async () => {
    const module = await Test.createTestingModule({ imports: [PgNotifyTestingModule.forRoot()] }).compile();
    const app = await module.createNestApplication().init();
    const [bus, service] = [app.get(PgNotifyTestBus), app.get(PgNotifyService)];
    const Orders = definePgChannel('orders', { schema: z.object({ id: z.number() }) });
    const received: unknown[] = [];
    service.listen(Orders).subscribe(({ payload }) => received.push(payload));
    service.emit(Orders, { id: 7 });
    await bus.settled();
    expect([received, bus.sent(Orders)]).toEqual([[{ id: 7 }], [expect.objectContaining({ payload: { id: 7 } })]]);
    await app.close();
  });
});
