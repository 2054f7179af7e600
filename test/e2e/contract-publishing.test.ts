import { describe, expect, it } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import { definePgChannel, OnPgNotify, PgNotifyService } from 'nest-pg-notify';
import * as z from 'zod';
import { consume } from '../support/app/consumer.js';
import { CONTRACT_SUITES } from '../support/app/contract-suite.js';
import { failureOf } from '../support/failures.js';
import { recordStream } from '../support/record-stream.js';
import { Recorder } from '../support/recorder.js';

describe.each(CONTRACT_SUITES)('what is sent by a registration on %s', (_name, createSuite) => {
  const suite = createSuite();

  it('refuses what cannot be sent with the same errors, before anything is sent', async () => {
    const subject = await suite.start();
    const { service } = subject;
    const { seen } = consume(subject, 'a');
    await service.ready();
    const Checked = definePgChannel('a', { schema: z.object({ id: z.number() }) });
    const Text = definePgChannel('a', { codec: 'text' });
    const cyclic: Record<string, unknown> = {};
    cyclic['self'] = cyclic;
    const refused = await Promise.all(
      [
        service.notify('x'.repeat(64)),
        service.notify(''),
        service.notify('a', 'ü'.repeat(4_000)),
        service.notify(Text, 'nul \0'),
        service.notify(Text, '\ud800'),
        service.notify('a', cyclic),
        service.notify('a', () => undefined),
        service.notify(Checked, { id: 'seven' } as never),
      ].map((call) => failureOf(call)),
    );
    expect(refused.map(({ kind, size, limit }) => [kind, size, limit])).toEqual([
      ['channel', 64, 63],
      ['channel', undefined, undefined],
      ['payload', 8_002, 7_999],
      ['payload', undefined, undefined],
      ['payload', undefined, undefined],
      ['payload', undefined, undefined],
      ['payload', undefined, undefined],
      ['payload', undefined, undefined],
    ]);
    expect(refused.at(-1)?.issues).toHaveLength(1);
    await service.notify(Text, 'x'.repeat(7_999));
    expect(await seen.until(2)).toEqual(['a: start', 'x'.repeat(7_999)]);
  });

  it('checks payloads by their schema, and delivers its output to handlers and streams', async () => {
    const Dates = definePgChannel('dates', {
      schema: z.object({ at: z.string().transform((text) => new Date(text)) }),
    });
    const subject = await suite.start();
    const notifications = recordStream(subject.service.listen(Dates));
    const errors = recordStream(subject.service.errors$);
    await subject.service.ready();
    await suite.emit('dates', '{"at":7}');
    await subject.service.notify(Dates, { at: '2026-01-01T00:00:00.000Z' });
    expect(await notifications.until(1)).toMatchObject([{ payload: { at: new Date('2026-01-01T00:00:00.000Z') } }]);
    expect(errors.items).toMatchObject([{ kind: 'payload', channel: 'dates', issues: [expect.anything()] }]);
  });

  it('sends the valid payloads of notifyMany() in order, and rejects with the others', async () => {
    const subject = await suite.start();
    const { seen } = consume(subject, 'a');
    await subject.service.ready();
    const call = subject.service.notifyMany('a', [1, 'x'.repeat(8_000), 2, () => undefined, 2]);
    const error = await failureOf(call);
    expect(error).toMatchObject({ kind: 'payload', channel: 'a' });
    expect(error.failures?.map(({ index }) => index)).toEqual([1, 3]);
    expect(await seen.until(4)).toEqual(['a: start', 1, 2, 2]);
  });

  it('delivers what a handler sends to that handler too', async () => {
    const seen = new Recorder<unknown>();

    @Injectable()
    class Chain {
      constructor(private readonly service: PgNotifyService) {}

      @OnPgNotify('count')
      async count(value: number): Promise<void> {
        seen.push(value);
        if (value < 3) await this.service.notify('count', value + 1);
      }
    }
    await suite.start({ providers: [Chain] });
    await suite.emit('count', '1');
    expect(await seen.until(3)).toEqual([1, 2, 3]);
  });
});
