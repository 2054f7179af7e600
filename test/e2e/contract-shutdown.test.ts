import { describe, expect, it } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import { OnPgNotify, PgNotifyService } from 'nest-pg-notify';
import { consume } from '../support/app/consumer.js';
import { CONTRACT_SUITES } from '../support/app/contract-suite.js';
import { failureOf } from '../support/failures.js';
import { recordStream } from '../support/record-stream.js';
import { Recorder } from '../support/recorder.js';
import { deferred } from '../support/deferred.js';

describe.each(CONTRACT_SUITES)('the end of a registration on %s', (_name, createSuite) => {
  const suite = createSuite();

  it('completes every stream, and sends nothing any more', async () => {
    const subject = await suite.start();
    const { service } = subject;
    const streams = [
      recordStream(service.listen('a')),
      recordStream(service.gaps('a')),
      recordStream(service.gaps()),
      recordStream(service.errors$),
      recordStream(service.status$),
      recordStream(service.liveQuery('a', () => 1)),
    ];
    await service.ready();
    await subject.app.close();
    for (const stream of streams) expect(stream.items.at(-1)).toBe('completed');
    expect(service.status).toMatchObject({ state: 'closed', channels: { wanted: 0, acknowledged: 0 } });
    const [late, ready] = [recordStream(service.listen('a')), await failureOf(service.ready())];
    expect(late.items).toEqual(['completed']);
    expect(ready.kind).toBe('closed');
    const error = await failureOf(service.notify('a', 1));
    expect([error.kind, error.message]).toEqual([
      'closed',
      'Nothing can be sent to channel "a": the registration has been closed.',
    ]);
  });

  it('lets handlers finish what was received, and send while they do', async () => {
    const log = new Recorder<unknown>();
    const first = deferred();

    @Injectable()
    class Slow {
      constructor(private readonly service: PgNotifyService) {}

      @OnPgNotify('a')
      async handle(payload: number): Promise<void> {
        log.push(payload);
        await first.promise;
        await this.service.notify('done', payload);
        log.push(`${payload} done`);
      }
    }
    const subject = await suite.start({ providers: [Slow] });
    const { seen } = consume(subject, 'a');
    await subject.service.ready();
    await suite.emit('a', '1');
    await suite.emit('a', '2');
    await seen.until((items) => items.includes(2));
    const closed = subject.app.close();
    first.resolve();
    await closed;
    expect(log.items).toEqual([1, '1 done', 2, '2 done']);
  });
});
